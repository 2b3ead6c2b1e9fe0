# ruff: noqa: INP001 a script beside configuration, not a package
"""Find a Chromium for the tests under tests/web, and provide one where the system has none.

In this order: the program that ZOUFANG_BROWSER names; Chromium or Google Chrome of the system; the headless Chromium
that the npm package @sparticuz/chromium contains, unpacked into the checkout's own `.cache/browser`. The package is
built for serverless hosts and also contains the libraries that a small system lacks (NSS, NSPR, expat). Its own loader
unpacks them only on such hosts and always into a shared path, so this module unpacks them itself.

The set-up runs it as a script in the virtual environment, because it needs the package `brotli`; the tests import it.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
VARIABLE = "ZOUFANG_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC_APPS = ("Google Chrome.app/Contents/MacOS/Google Chrome", "Chromium.app/Contents/MacOS/Chromium")
PACKAGE = "@sparticuz/chromium"
PIN = ("package.json", "package-lock.json", ".npmrc")
START_SECONDS = 30
INSTALL = f"install Chromium or Google Chrome, or set {VARIABLE} to the path of one"
# One font for all text, so that a page has the same line breaks on every Linux machine and Chinese text has glyphs. The
# system's fonts are excluded.
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{fonts}</dir>
  <cachedir>{cache}</cachedir>
  <alias binding="same"><family>sans-serif</family><prefer><family>Noto Sans SC</family></prefer></alias>
  <alias binding="same"><family>serif</family><prefer><family>Noto Serif SC</family></prefer></alias>
</fontconfig>
"""


class NoBrowserError(Exception):
    """There is no browser; the message says in one line why, and what to do."""


@dataclass(frozen=True)
class Browser:
    program: Path
    version: str
    source: str
    libraries: Path | None = None

    @property
    def is_shell(self) -> bool:
        """Tell whether it is a headless shell, which has no permission dialogs and can't install web apps."""
        return self.libraries is not None or "headless" in self.program.name

    def environ(self, project: Path = PROJECT) -> dict[str, str]:
        """Return the environment to start it with: its libraries and the fonts of the tests."""
        environ = {**os.environ, "FONTCONFIG_FILE": str(write_fonts(project))}
        return environ | (_library_path(self.libraries) if self.libraries else {})


def find(project: Path = PROJECT, environ: Mapping[str, str] = os.environ) -> Browser:
    """Return the browser that the tests use; raise NoBrowserError where the set-up must provide it first."""
    if browser := _named(environ) or _of_system(environ):
        return browser
    cache = _cache(project)
    if not _is_complete(cache, project):
        raise NoBrowserError(f"there is no browser for the tests: run `make set-up-test`, or {INSTALL}")
    return _unpacked(cache)


def provide(project: Path = PROJECT, environ: Mapping[str, str] = os.environ) -> Browser:
    """Return the browser that the tests use, after downloading and unpacking it if necessary."""
    if browser := _named(environ) or _of_system(environ):
        return browser
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise NoBrowserError(f"there is no browser for the tests: {INSTALL}")
    cache = _cache(project)
    if not _is_complete(cache, project):
        _unpack(cache, project)
    return _unpacked(cache)


def write_fonts(project: Path = PROJECT) -> Path:
    """Write the fontconfig file of the tests: the font of the PDFs, which has Latin and Chinese glyphs."""
    package = importlib.util.find_spec("pylopdf_fonts_zh_cn")
    if package is None or package.origin is None:
        raise NoBrowserError("the package pylopdf-fonts-zh-cn is missing: run `make set-up-dev`")
    folder = project / ".cache"
    folder.mkdir(exist_ok=True)
    text = FONTS.format(fonts=Path(package.origin).parent, cache=folder / "fontconfig")
    with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".conf", delete=False) as draft:
        draft.write(text)
    return Path(draft.name).rename(folder / "fonts.conf")


def _named(environ: Mapping[str, str]) -> Browser | None:
    name = environ.get(VARIABLE, "")
    if not name:
        return None
    version = _version(Path(name))
    if not version:
        raise NoBrowserError(f"{VARIABLE} names {name}, which does not start as a browser")
    return Browser(Path(name), version, f"{name}, as {VARIABLE} says")


def _of_system(environ: Mapping[str, str]) -> Browser | None:
    """Return the first that starts. On some systems `chromium-browser` only prints how to install it."""
    candidates = [shutil.which(name, path=environ.get("PATH")) for name in NAMES]
    if sys.platform == "darwin":
        folders = (Path("/Applications"), Path.home() / "Applications")
        candidates += [str(folder / app) for folder in folders for app in MAC_APPS]
    for name in filter(None, candidates):
        if version := _version(Path(name)):
            return Browser(Path(name), version, f"{name}, of this system")
    return None


def _cache(project: Path) -> Path:
    return project / ".cache" / "browser"


def _unpacked(cache: Path) -> Browser:
    version = _version(cache / "chromium", cache / "lib")
    return Browser(cache / "chromium", version, f"npm's {PACKAGE}, since this system has none", cache / "lib")


def _unpack(cache: Path, project: Path) -> None:
    """Fill the cache. It is built in another directory and renamed, so that an interruption leaves no partial cache."""
    print("Unpacking a browser for the tests (once; under a minute, a download of 69 MB) …", flush=True)  # noqa: T201
    draft = cache.with_name(cache.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(cache, ignore_errors=True)
    draft.mkdir(parents=True)
    for name in PIN:
        shutil.copy(_pin(project) / name, draft)
    _install(draft)
    packed = draft / "node_modules" / PACKAGE / "bin"
    _decompress(packed / "chromium.br", draft / "chromium")
    (draft / "chromium").chmod(0o755)
    _decompress(packed / "al2023.tar.br", draft / "libraries.tar")
    with tarfile.open(draft / "libraries.tar") as archive:
        options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(draft, **options)  # noqa: S202 hashed
    (draft / "libraries.tar").unlink()
    shutil.rmtree(draft / "node_modules")
    if not _version(draft / "chromium", draft / "lib"):
        raise NoBrowserError(f"the browser of npm's {PACKAGE} does not start on this system: {INSTALL}")
    (draft / "contents.json").write_text(json.dumps(_contents(draft, project)))
    draft.rename(cache)


def _install(folder: Path) -> None:
    npm = Path(sys.executable).parent / "npm"
    environ = {name: value for name, value in os.environ.items() if not name.lower().startswith("npm_config_node")}
    environ["PATH"] = f"{npm.parent}{os.pathsep}{environ.get('PATH', '')}"
    command = [str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 the command is ours
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        reason = next((line for line in lines if "error" in line), "no reason given")
        raise NoBrowserError(f"npm could not install {PACKAGE} ({reason}); the next `make test` starts over")


def _decompress(source: Path, target: Path) -> None:
    import brotli  # noqa: PLC0415 only the set-up needs it, in the virtual environment

    stream = brotli.Decompressor()
    with source.open("rb") as packed, target.open("wb") as unpacked:
        while chunk := packed.read(1 << 20):
            unpacked.write(stream.process(chunk))
    if not stream.is_finished():
        raise NoBrowserError(f"{source} ends early; the next `make test` starts over")


def _is_complete(cache: Path, project: Path) -> bool:
    """Tell whether the cache was unpacked from this pin, its files have their sizes and the browser starts."""
    with contextlib.suppress(OSError, ValueError):
        stored = json.loads((cache / "contents.json").read_text())
        return stored == _contents(cache, project) and bool(_version(cache / "chromium", cache / "lib"))
    return False


def _contents(folder: Path, project: Path) -> dict[str, object]:
    files = [folder / "chromium", *(folder / "lib").iterdir()]
    sizes = {str(file.relative_to(folder)): file.stat().st_size for file in sorted(files)}
    return {"pin": hashlib.sha256((_pin(project) / "package-lock.json").read_bytes()).hexdigest(), "files": sizes}


def _pin(project: Path) -> Path:
    return project / "tests" / "web" / "chromium"


def _version(program: Path, libraries: Path | None = None) -> str:
    """Return its version, such as `Chromium 153.0.8010.0`; an empty string when it does not start."""
    environ = os.environ | (_library_path(libraries) if libraries else {})
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = [str(program), "--version"]
        done = subprocess.run(  # noqa: S603 a browser that was found
            command, env=environ, capture_output=True, text=True, check=False, timeout=START_SECONDS
        )
        if done.returncode == 0:
            return " ".join(done.stdout.split())
    return ""


def _library_path(libraries: Path) -> dict[str, str]:
    paths = [str(libraries), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return {"LD_LIBRARY_PATH": os.pathsep.join(paths)}


def main(arguments: list[str]) -> int:
    try:
        browser = provide(Path(arguments[0]).resolve() if arguments else PROJECT)
    except NoBrowserError as error:
        print(f"zoufang: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except OSError as error:
        print(f"zoufang: {error.filename}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    print(f"Browser for the tests: {browser.version} ({browser.source}).", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
