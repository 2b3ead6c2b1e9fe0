"""Run work on files from outside in a child process with limits on memory and time.

A file that unpacks to gigabytes then ends the child and never the API or the worker. The child gets no environment of
ours, so it holds no secret, and it ends by itself when it is idle or when its parent is gone. Functions and arguments
must be picklable; the child is trusted as our own code, it is only limited.
"""

import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, Literal, NamedTuple, NoReturn, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
MEGABYTE = 1024 * 1024
_LENGTH = struct.Struct(">Q")
# The parent replaces a child this long before the child would end by itself, so that the two never cross.
_IDLE_MARGIN_S = 10
_COMMAND = "from server.core.child_process import serve_requests; serve_requests()"


class ChildLimits(NamedTuple):
    """`memory_mb` is address space, which only Linux enforces. After `uses` the child is replaced by a new one."""

    memory_mb: int
    seconds: float
    uses: int = 500
    idle_seconds: int = 60


class ChildFailed(Exception):
    """The child exceeded its memory or its time, or died. The file that it worked on is to blame, or the machine."""

    def __init__(self, reason: Literal["memory", "time", "died"]) -> None:
        super().__init__(reason)
        self.reason = reason


class ChildProcess:
    """A child process that is started at the first call and runs one call at a time; others wait for their turn."""

    def __init__(self, limits: ChildLimits) -> None:
        self._limits = limits
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._uses = 0
        self._last_used = 0.0

    def run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Return what `work` returns and raise what it raises. Blocks: call it in a thread. Raises ChildFailed."""
        request = pickle.dumps((work, arguments, named))
        with self._turn:
            process = self._ready_process()
            succeeded, result = self._exchange(process, request)
            self._last_used = time.monotonic()
            if isinstance(result, MemoryError):
                self.close()
                raise ChildFailed("memory")
        if succeeded:
            return result  # type: ignore[no-any-return]  # pickled by the child
        raise result

    def close(self) -> None:
        """End the child, whatever it does. The next call starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]  # both are pipes

    def _ready_process(self) -> subprocess.Popen[bytes]:
        idle_s = time.monotonic() - self._last_used
        if self._uses >= self._limits.uses or idle_s > self._limits.idle_seconds - _IDLE_MARGIN_S:
            self.close()
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process, self._uses = _start(self._limits), 0
        self._uses += 1
        return self._process

    def _exchange(self, process: subprocess.Popen[bytes], request: bytes) -> tuple[bool, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        timed_out = threading.Event()

        def end_overdue() -> None:
            timed_out.set()
            process.kill()

        timer = threading.Timer(self._limits.seconds, end_overdue)
        timer.start()
        try:
            _write_frame(process.stdin, request)
            answer: tuple[bool, Any] = pickle.loads(_read_frame(process.stdout))  # noqa: S301  our own child wrote it
        except (EOFError, OSError, pickle.UnpicklingError):
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1)  # its own exit code, before `close` kills it
            reason = _failure_reason(process, timed_out=timed_out.is_set())
            self.close()
            raise ChildFailed(reason) from None
        except BaseException:
            self.close()  # the answer of this call must not become that of the next
            raise
        finally:
            timer.cancel()
        return answer


def _start(limits: ChildLimits) -> subprocess.Popen[bytes]:
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        # Threads of numpy's linear algebra reserve address space and gain nothing at this size.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        # One heap instead of one for each thread: address space stays near what is used.
        "MALLOC_ARENA_MAX": "1",
    }
    return subprocess.Popen(  # noqa: S603  our own interpreter and code
        [sys.executable, "-c", _COMMAND, str(limits.memory_mb), str(limits.idle_seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


def _failure_reason(process: subprocess.Popen[bytes], *, timed_out: bool) -> Literal["memory", "time", "died"]:
    if timed_out:
        return "time"
    # The kernel kills where the machine or the container has no memory left.
    return "memory" if process.returncode == -signal.SIGKILL else "died"


def _write_frame(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(_LENGTH.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def _read_frame(pipe: IO[bytes]) -> bytes:
    (length,) = _LENGTH.unpack(_read_exactly(pipe, _LENGTH.size))
    return _read_exactly(pipe, length)


def _read_exactly(pipe: IO[bytes], size: int) -> bytes:
    data = pipe.read(size)
    if len(data) != size:
        raise EOFError
    return data


# -- the child


def serve_requests() -> NoReturn:
    """Run requests from stdin until it closes or nothing comes for the idle time. The child's entry point."""
    memory_mb, idle_seconds = int(sys.argv[1]), int(sys.argv[2])
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints does not get between the answers
    requests = os.fdopen(0, "rb")  # select sees all of a request: the parent sends one and waits for its answer
    _limit_memory(memory_mb)
    while select.select([requests], [], [], idle_seconds)[0]:
        try:
            request = _read_frame(requests)
        except (EOFError, struct.error):
            break
        _write_frame(answers, _run_request(request))
    sys.exit(0)


def _limit_memory(memory_mb: int) -> None:
    if sys.platform == "linux":
        import resource  # noqa: PLC0415  there is none on Windows

        resource.setrlimit(resource.RLIMIT_AS, (memory_mb * MEGABYTE, memory_mb * MEGABYTE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _run_request(request: bytes) -> bytes:
    try:
        work, arguments, named = pickle.loads(request)  # noqa: S301  our own parent wrote it
        return pickle.dumps((True, work(*arguments, **named)))
    except MemoryError:
        return pickle.dumps((False, MemoryError()))
    except Exception as error:  # noqa: BLE001  any error of the work is the caller's
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301  an exception with a constructor of its own may not survive
            return pickle.dumps((False, error))
        except Exception:  # noqa: BLE001  likewise
            return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
