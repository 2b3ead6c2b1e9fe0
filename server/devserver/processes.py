"""Processes, ports and directories of this machine, for `make run` and the tests.

Whatever keeps a part from starting is told in one line (StartError); a process started here ends with the
one that started it, even when that one is killed (on Linux by the kernel, elsewhere at the next start).
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
from typing import Final

import psutil

LOOPBACK = "127.0.0.1"
LOG_LIMIT_BYTES = 5_000_000

Process = subprocess.Popen[bytes]
StopSignals = Sequence[tuple[signal.Signals, float]]
"""Signals to send in turn, each with the seconds to wait for the end."""

STOP: Final[StopSignals] = ((signal.SIGTERM, 8), (signal.SIGKILL, 3))

# Runs in the child before the program, in place of Popen's preexec_fn, which is unsafe beside threads.
# PR_SET_PDEATHSIG is 1; it must be asked for after the change of user, which clears it and may lose the
# way to this interpreter's modules.
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
    """A part can't start or has ended; the message is one line for the person at the terminal."""


@contextlib.contextmanager
def lock_directory(directory: Path) -> Iterator[None]:
    """Make the directory, private, and keep it for this process alone while the block runs.

    Raises StartError when another process, or another part of this one, holds it. The operating system
    lets go of it when the holder dies, however it dies.
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
    """Raises StartError when nothing could listen on the port, naming who does and the setting to change."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            # BSD lets two sockets share a port when one of them is bound to every address.
            busy = _answers(loopback_host(host), port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise StartError(
                    f"{host} port {port} can't be used ({error.strerror}); set {setting} to another"
                ) from None
            busy = True
    if busy:
        raise StartError(f"port {port} is in use{_by_whom(port)}; stop it or set {setting} to another port")


def _answers(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def _by_whom(port: int) -> str:
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
    """The address under which this machine reaches what listens on `host`."""
    return {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host)  # noqa: S104 the name is looked up, not bound


def find_free_port() -> int:
    """A port that was free a moment ago; whoever uses it must still expect to lose the race."""
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
    """Start a program of its own session, so that a Ctrl-C at the terminal reaches only its starter.

    It writes to `log`, runs as `user` (uid, gid) when given, and gets `death_signal` when the thread that
    called this ends: call it from the main one.
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


def stop(process: Process, ladder: Ladder = STOP) -> None:
    """End a process of `spawn`, asking first; what is left of its session is killed."""
    for step, seconds in ladder:
        if process.poll() is not None:
            break
        process.send_signal(step)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def stop_orphan(pid: int, *, program: str, directory: Path, ladder: Ladder = STOP) -> bool:
    """End process `pid` if it is `program` at work on `directory`, left by a starter that was killed.

    True when nothing of that kind is running any more, False when `pid` is some other process.
    """
    try:
        process = psutil.Process(pid)
        words = process.cmdline()
        if not (words and Path(words[0]).name == program and any(str(directory) in word for word in words)):
            return bool(process.status() == psutil.STATUS_ZOMBIE)
        for step, seconds in ladder:
            process.send_signal(step)
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(seconds)
                return True
    except psutil.NoSuchProcess:
        return True
    raise StartError(f"{program} (process {pid}) still works on {directory} and can't be stopped")


def last_line(log: Path, *, start: int = 0) -> str:
    """The last line with words in it that the log holds beyond byte `start`, shortened."""
    with contextlib.suppress(OSError), log.open("rb") as text:
        text.seek(max(start, log.stat().st_size - 8192))
        lines = [line.strip() for line in text.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1][:300] if lines else "it wrote nothing"
    return "there is no log"
