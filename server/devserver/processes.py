"""Child processes, ports and directory locks, for `make run` and the tests.

A StartError explains in one line why a part does not start. A child process ends with its parent, even when the parent
is killed: on Linux the kernel stops it, elsewhere the next start does.
"""

import contextlib
import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import psutil

LOOPBACK = "127.0.0.1"
LOG_LIMIT_BYTES = 5_000_000

Process = subprocess.Popen[bytes]


class Stoppable(Protocol):
    """What `stop` needs of a process, which leads a session of its own."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> object: ...
    def send_signal(self, number: int, /) -> object: ...


StopSignals = Sequence[tuple[signal.Signals, float]]
"""Signals to send one after the other, each with the seconds to wait for the process to end."""

STOP: Final[StopSignals] = ((signal.SIGTERM, 8), (signal.SIGKILL, 3))

# Runs in the child before the program, instead of Popen's preexec_fn, which is unsafe with threads. PR_SET_PDEATHSIG
# is 1. It is set after the change of user, which clears it; ctypes is imported before, because the new user may not be
# able to read this interpreter's modules.
_LAUNCH = """
import os, sys
user, group, death, parent, *command = sys.argv[1:]
prctl = None
if sys.platform == "linux":
    import ctypes
    prctl = ctypes.CDLL(None).prctl
if user != "-":
    os.setgroups([]); os.setgid(int(group)); os.setuid(int(user))
if prctl:
    prctl(1, int(death))
    if os.getppid() != int(parent):
        sys.exit(1)
os.execv(command[0], command)
"""


class StartError(Exception):
    """A part can't start or has stopped; the message is one line for the terminal."""


@contextlib.contextmanager
def lock_directory(directory: Path) -> Iterator[None]:
    """Make the directory, accessible only to its owner, and lock it while the block runs.

    Raise StartError when another process, or another part of this one, has the lock. The operating system releases the
    lock when its process ends in any way.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 20).decode().strip() or "unknown"
            raise StartError(f"{directory} is already in use by process {holder}; stop that one first") from None
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def check_port(host: str, port: int, setting: str) -> None:
    """Raise StartError when the port is in use or not allowed; it names the other process and the setting to change."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            # BSD lets two sockets share a port when one of them is bound to every address.
            busy = _accepts_connection(loopback_host(host), port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise StartError(
                    f"{host} port {port} can't be used ({error.strerror}); set {setting} to another"
                ) from None
            busy = True
    if busy:
        raise StartError(f"port {port} is in use{_name_listener(port)}; stop it or set {setting} to another port")


def _accepts_connection(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def _name_listener(port: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr.port == port
                and connection.pid
            ):
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""


def loopback_host(host: str) -> str:
    """Return the address at which this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104 the name is looked up, not bound


def find_free_port() -> int:
    """Return a port that was free a moment ago. Another process may take it before the caller does."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    user: tuple[int, int] | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
) -> Process:
    """Start a program in its own session, so that Ctrl-C in the terminal reaches only the parent.

    The program writes to `log`, runs as `user` (uid, gid) when given, and gets `death_signal` when the calling thread
    ends, so call this from the main thread.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_name(log.name + ".1"))
    uid, gid = user or ("-", "-")
    launch = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(uid), str(gid), str(int(death_signal))]
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 the commands are ours
            [*launch, str(os.getpid()), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environ,
            cwd=directory,
            start_new_session=True,
        )


def stop(process: Stoppable, stop_signals: StopSignals = STOP) -> None:
    """Stop a process of `spawn` with the signals of `stop_signals`, then kill the rest of its session."""
    for number, seconds in stop_signals:
        if process.poll() is not None:
            break
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def stop_orphan(pid: int, *, program: str, directory: Path, stop_signals: StopSignals = STOP) -> bool:
    """Stop process `pid` if it runs `program` on `directory`, left over from a parent that was killed.

    Return True when it no longer runs, and False when `pid` is another process.
    """
    try:
        process = psutil.Process(pid)
        command = process.cmdline()
        if not (command and Path(command[0]).name == program and any(str(directory) in word for word in command)):
            return bool(process.status() == psutil.STATUS_ZOMBIE)
        for number, seconds in stop_signals:
            process.send_signal(number)
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(seconds)
                return True
    except psutil.NoSuchProcess:
        return True
    raise StartError(f"{program} (process {pid}) still works on {directory} and can't be stopped")


def last_line(log: Path, *, start: int = 0) -> str:
    """Return the last non-blank line of the log after byte `start`, shortened to 300 characters."""
    with contextlib.suppress(OSError), log.open("rb") as text:
        text.seek(max(start, log.stat().st_size - 8192))
        lines = [line.strip() for line in text.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1][:300] if lines else "it wrote nothing"
    return "there is no log"
