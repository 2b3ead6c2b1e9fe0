"""Commands of `python -m server` that begin with everything imported, for tests that start many of them.

Each is forked from a process that did nothing but import: of the five seconds of CPU that an API and a worker take
to start, four are spared. What runs is the command itself, with an environment and a log of its own.

A worker does by itself what comes every few minutes. What comes once a day stays out: at 3:00 in China it would plan
visits, at 18:00 send reminders, under the hands of a test that happens to run then. Tests do these jobs by name.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["server.__main__", "server.serve", "server.worker", "server.demo.wechat_stub"])
_PDEATHSIG = 1


class Warm:
    """What `server.devserver.processes.stop` needs of a process."""

    def __init__(self, command: Sequence[str], *, log: Path, environ: Mapping[str, str]) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.inner = _forks.Process(target=_run, args=(list(command), log, dict(environ)))
        self.inner.start()
        assert self.inner.pid is not None
        self.pid = self.inner.pid

    def poll(self) -> int | None:
        return self.inner.exitcode

    def wait(self, timeout: float | None = None) -> None:
        self.inner.join(timeout)
        if self.inner.exitcode is None:
            raise subprocess.TimeoutExpired("server", timeout or 0)

    def send_signal(self, what: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, what)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(command: list[str], log: Path, environ: dict[str, str]) -> None:
    from server.__main__ import main
    from server.core.jobs import TASKS

    for name, task in TASKS.items():
        if task.cron and task.cron.split()[1] != "*":
            TASKS[name] = task._replace(cron=None)
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGTERM)
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(environ)
    multiprocessing.set_start_method("fork", force=True)  # the HTTP server's own worker is forked from here, warm too
    main(command)
