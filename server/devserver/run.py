"""`make run`: start the whole system on one machine, and stop it on Ctrl-C.

Parts that a setting configures elsewhere are not started. All data is in one directory (`.data`): `postgres/`, `s3/`,
`secrets/` and `logs/`. Without the secrets the personal data in the database can't be decrypted. While the system runs,
the file `environment` in it holds the settings for other commands.
"""

import contextlib
import os
import secrets
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn

import httpx
from rich.console import Console

from server.core import keys
from server.core.database_roles import Login, set_up_roles
from server.core.settings import PREFIX, Settings, SettingsError, load_settings
from server.devserver.addresses import DATABASE, base_url, print_addresses
from server.devserver.embedded import EmbeddedPostgres, EmbeddedS3
from server.devserver.processes import (
    LOOPBACK,
    Process,
    StartError,
    check_port,
    last_line,
    lock_directory,
    spawn,
    stop,
)

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = (sys.executable, "-m", "server")
DATA_FORMAT = "1"
OTHER_ROLES = {f"{PREFIX}OWNER_DATABASE_URL", f"{PREFIX}MAINTENANCE_DATABASE_URL"}
# Exists when every sealed value in this directory is bound to its row; a directory of a former version has none.
VALUES_BOUND = "values-bound"
# Exists once the visits of the last weeks were begun in this directory.
WORK_LOADED = "work-loaded"
READY_SECONDS = 60
STUB_WECHAT = {
    f"{PREFIX}WECHAT_APP_ID": "wx-demo",
    f"{PREFIX}WECHAT_SECRET": "demo",
    f"{PREFIX}WECHAT_SERVICE_APP_ID": "wx-demo-service",
    f"{PREFIX}WECHAT_SERVICE_SECRET": "demo-service",
    f"{PREFIX}WECHAT_PUSH_TOKEN": "demo-push",
    f"{PREFIX}WECHAT_PUSH_KEY": "ZGVtbyBrZXkgb2YgdGhlIHN0dWIgb2YgV2VDaGF0Li4",
}
STUB_SMS = {
    f"{PREFIX}SMS_KEY_ID": "demo-key",
    f"{PREFIX}SMS_KEY_SECRET": "demo-secret",
    f"{PREFIX}SMS_SIGN_NAME": "云栖县民政局",
    f"{PREFIX}SMS_CODE_TEMPLATE": "SMS_100000001",
}


class Part(NamedTuple):
    """A process that must stay alive while the system runs."""

    name: str
    process: Process
    log: Path


class _StopRequested(BaseException):
    """Ctrl-C or another stop signal was received."""


def run(
    environ: Mapping[str, str],
    *,
    program: Sequence[str] = PROGRAM,
    console: Console | None = None,
    with_work: bool = False,
) -> int:
    """Start everything, print the addresses, wait for Ctrl-C and stop everything. Return the exit code.

    `with_work`: at the first start visits of the last weeks are made while the system already runs.
    An error is printed as one line; the exit code is then 1.
    """
    screen = console or Console(highlight=False)
    try:
        with _signals_raise(), contextlib.ExitStack() as parts:
            try:
                _run(parts, environ, program, screen, with_work=with_work)
            except _StopRequested:
                screen.print("\nStopping …", style="dim")
                raise
            finally:
                _ignore_signals()
    except _StopRequested:
        screen.print("Stopped. `make run` continues where this left off.")
        return 0
    except (StartError, SettingsError) as error:
        reason = str(error)
    except OSError as error:
        reason = f"{error.filename or 'this machine'}: {error.strerror}"
    Console(stderr=True, highlight=False).print(f"zoufang: {reason}", markup=False, soft_wrap=True)
    return 1


def _run(
    parts: contextlib.ExitStack,
    environ: Mapping[str, str],
    program: Sequence[str],
    screen: Console,
    *,
    with_work: bool,
) -> NoReturn:
    settings = load_settings(environ, complete=False)
    data_dir = _claim_data_dir(parts, settings)
    logs = data_dir / "logs"
    complete, running = _start_embedded(parts, settings, {**environ, **_secrets(data_dir, settings)}, screen)

    # What serves requests and runs jobs never holds the other roles' passwords.
    served = {name: value for name, value in complete.items() if name not in OTHER_ROLES}

    def start(name: str, *arguments: str) -> None:
        log = logs / f"{name}.log"
        process = spawn([*program, *arguments], log=log, environ=served, directory=PROJECT)
        parts.callback(stop, process)
        running.append(Part(name, process, log))

    if not settings.wechat_base_url:
        start("wechat-stub", "wechat-stub", "--port", str(settings.wechat_stub_port))
    _fill_database(partial(_run_command, screen, program, complete, logs), data_dir)
    with _step(screen, "API and worker"):
        start("worker", "worker")
        start("api", "api")
        _wait_until_ready(settings, running)
    parts.enter_context(_environment_file(data_dir, complete))
    print_addresses(screen, settings, complete, logs)
    if with_work and not (data_dir / WORK_LOADED).exists():
        # Once, whatever becomes of it: an interrupted run is not made up for. It ends by itself, so nobody watches it.
        (data_dir / WORK_LOADED).touch()
        command = [*program, "demo-work"]
        parts.callback(stop, spawn(command, log=logs / "demo-work.log", environ=served, directory=PROJECT))
        screen.print("Visits of the last weeks come in during the next minutes.", style="dim")
    _watch(running)


def _run_command(screen: Console, program: Sequence[str], environ: Mapping[str, str], logs: Path, name: str) -> None:
    with _step(screen, name):
        _run_to_end(name, [*program, name], environ, logs / f"{name}.log")


def _fill_database(run_command: Callable[[str], None], data_dir: Path) -> None:
    """Bring the database to this release's tables, its sealed values to their rows, and the demo into an empty one."""
    run_command("migrate")
    if not (bound := data_dir / VALUES_BOUND).exists():
        run_command("reseal")
        bound.touch()
    run_command("load-demo")


def _claim_data_dir(parts: contextlib.ExitStack, settings: Settings) -> Path:
    """Lock the folder of the data for this run; raises when it is in use, of another format, or a port is taken."""
    data_dir = (PROJECT / settings.data_dir).resolve()
    parts.enter_context(lock_directory(data_dir))
    _check_format(data_dir)
    _check_ports(settings)
    return data_dir


def _check_format(data_dir: Path) -> None:
    mark = data_dir / "format"
    if not mark.exists():
        mark.write_text(DATA_FORMAT + "\n")
    elif (found := mark.read_text().strip()) != DATA_FORMAT:
        raise StartError(
            f"{data_dir} was made by another version (format {found}, this one reads {DATA_FORMAT}): "
            f"move it away or set {PREFIX}DATA_DIR"
        )


def _check_ports(settings: Settings) -> None:
    """Check all ports before anything is started, so that an error is reported at once."""
    check_port(settings.host, settings.port, f"{PREFIX}PORT")
    if not settings.database_url:
        check_port(LOOPBACK, settings.postgres_port, f"{PREFIX}POSTGRES_PORT")
    if not settings.s3_endpoint:
        check_port(LOOPBACK, settings.s3_port, f"{PREFIX}S3_PORT")
    if not settings.wechat_base_url:
        check_port(LOOPBACK, settings.wechat_stub_port, f"{PREFIX}WECHAT_STUB_PORT")


def _secrets(data_dir: Path, settings: Settings) -> dict[str, str]:
    """Return the secrets of this directory, generated at the first start, without those that a setting gives."""
    folder = data_dir / "secrets"
    if not folder.exists() and (data_dir / "postgres" / "cluster").exists():
        raise StartError(
            f"{folder} is missing, and without its keys the personal data in {data_dir}/postgres can't be "
            "read: put it back, or remove both to start empty"
        )
    if not folder.exists():
        folder.mkdir(mode=0o700)
        (data_dir / VALUES_BOUND).touch()
    fresh = keys.generate_keys() | {
        f"{PREFIX}S3_ACCESS_KEY": "zoufang-" + secrets.token_hex(4),
        f"{PREFIX}S3_SECRET_KEY": secrets.token_urlsafe(30),
    }
    configured = {name for name in fresh if getattr(settings, name.removeprefix(PREFIX).lower())}
    return {name: _read_or_write(folder / name, value) for name, value in fresh.items() if name not in configured}


def _read_or_write(file: Path, value: str) -> str:
    """Return the content of the file, after writing `value` to it when it does not exist."""
    if not file.exists():
        draft = file.with_name(file.name + ".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as text:
            text.write(value)
        draft.rename(file)
    return file.read_text()


def _start_embedded(
    parts: contextlib.ExitStack, settings: Settings, environ: dict[str, str], screen: Console
) -> tuple[dict[str, str], list[Part]]:
    """Start the servers that no setting names. Return the complete environment and the parts to watch."""
    data_dir = (PROJECT / settings.data_dir).resolve()
    logs = data_dir / "logs"
    logs.mkdir(mode=0o700, exist_ok=True)
    running: list[Part] = []
    if not settings.database_url:
        postgres = EmbeddedPostgres(data_dir / "postgres", settings.postgres_port, log=logs / "postgres.log")
        with _step(screen, "PostgreSQL"):
            parts.enter_context(postgres)
            environ |= _database_urls(postgres, data_dir / "secrets")
        running.append(_part("PostgreSQL", postgres))
    if not settings.s3_endpoint:
        access = settings.s3_access_key or environ[f"{PREFIX}S3_ACCESS_KEY"]
        secret = settings.s3_secret_key or environ[f"{PREFIX}S3_SECRET_KEY"]
        store = EmbeddedS3(data_dir / "s3", settings.s3_port, access, secret, log=logs / "s3.log")
        with _step(screen, "S3 server"):
            parts.enter_context(store)
            store.create_bucket(settings.s3_bucket)
        environ[f"{PREFIX}S3_ENDPOINT"] = store.url
        running.append(_part("the S3 server", store))
    if not settings.wechat_base_url:
        environ[f"{PREFIX}WECHAT_BASE_URL"] = f"http://{LOOPBACK}:{settings.wechat_stub_port}"
        given = {**STUB_WECHAT, f"{PREFIX}WECHAT_AUTHORIZE_URL": environ[f"{PREFIX}WECHAT_BASE_URL"]}
        environ["WECHAT_STUB_PUSH_URL"] = f"http://{LOOPBACK}:{settings.port}/wechat/v1/push"
        if not environ.get(f"{PREFIX}SMS_BASE_URL"):
            given |= {f"{PREFIX}SMS_BASE_URL": environ[f"{PREFIX}WECHAT_BASE_URL"], **STUB_SMS}
        environ.update({name: value for name, value in given.items() if not environ.get(name)})
    environ["PYTHONUNBUFFERED"] = "1"
    return environ, running


def _database_urls(postgres: EmbeddedPostgres, folder: Path) -> dict[str, str]:
    """Return the addresses of the database as each of its roles, which are set up here as the superuser."""
    logins = {
        role: Login(f"zoufang_{role}", _read_or_write(folder / f"database_{role}", secrets.token_urlsafe(24)))
        for role in ("owner", "application", "maintenance")
    }
    set_up_roles(postgres.create_database(DATABASE), **logins)
    urls = {role: postgres.url(DATABASE, login) for role, login in logins.items()}
    return {
        f"{PREFIX}DATABASE_URL": urls["application"],
        f"{PREFIX}OWNER_DATABASE_URL": urls["owner"],
        f"{PREFIX}MAINTENANCE_DATABASE_URL": urls["maintenance"],
    }


def _part(name: str, server: EmbeddedPostgres | EmbeddedS3) -> Part:
    assert server.process is not None
    return Part(name, server.process, server.log)


def _run_to_end(name: str, command: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
    """Run a command to its end. Raise StartError with its last line of output when it fails."""
    start = log.stat().st_size if log.exists() else 0
    process = spawn(command, log=log, environ=environ, directory=PROJECT)
    try:
        code = process.wait()
    finally:
        stop(process)
    if code:
        raise StartError(f"{name} failed: {last_line(log, start=start)} (see {log})")


def _wait_until_ready(settings: Settings, running: Sequence[Part]) -> None:
    url = f"{base_url(settings)}/health/ready"
    deadline = time.monotonic() + READY_SECONDS
    answer = "no answer"
    with httpx.Client(trust_env=False, timeout=5) as client:
        while time.monotonic() < deadline:
            _check_alive(running)
            with contextlib.suppress(httpx.HTTPError):
                response = client.get(url)
                if response.is_success:
                    return
                answer = " ".join(response.text.split())[:300]
            time.sleep(0.1)
    raise StartError(f"the API is not ready after {READY_SECONDS} s: {answer} (see {running[-1].log})")


def _check_alive(running: Sequence[Part]) -> None:
    for part in running:
        if (code := part.process.poll()) is not None:
            reason = last_line(part.log)
            raise StartError(f"{part.name} stopped by itself (exit code {code}): {reason} (see {part.log})")


def _watch(running: Sequence[Part]) -> NoReturn:
    while True:
        _check_alive(running)
        time.sleep(0.2)


@contextlib.contextmanager
def _environment_file(data_dir: Path, environ: Mapping[str, str]) -> Iterator[None]:
    """Write the settings for other commands while the block runs.

    A shell loads them with `set -a; . .data/environment; set +a`.
    """
    file = data_dir / "environment"
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in environ.items() if name.startswith(PREFIX)]
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as text:
        text.writelines(sorted(lines))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


@contextlib.contextmanager
def _step(screen: Console, name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    screen.print(f"  [green]✓[/] {name} [dim]{time.monotonic() - started:.1f} s[/]")


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """In the block, SIGINT, SIGTERM and SIGHUP raise _StopRequested, once."""

    def request_stop(_number: int, _frame: FrameType | None) -> NoReturn:
        _ignore_signals()
        raise _StopRequested

    before = {number: signal.signal(number, request_stop) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _ignore_signals() -> None:
    """Ignore further stop signals, so that a second Ctrl-C does not interrupt the stopping of parts."""
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
