"""The API as a process of its own on a free port, for clients that speak real HTTP."""

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any, Self

import httpx
import msgspec

from server.core.settings import Settings
from server.devserver.processes import LOOPBACK, Process, find_free_port, spawn, stop
from tests.warm import Warm

PROJECT = Path(__file__).resolve().parent.parent


class LiveServer:
    """`python -m server api` with the test's settings. `restart` keeps the port, as a deployment does.

    `warm` where a test asks nothing of the process itself: it starts in a fifth of the time (tests/warm.py).
    """

    def __init__(self, settings: Settings, log: Path, *, warm: bool = False) -> None:
        self.settings = settings
        self.log = log
        self.warm = warm
        self.port = find_free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.process: Process | Warm | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self.process = self.run("api", self.log)
        deadline = time.monotonic() + 30
        with httpx.Client(timeout=2, trust_env=False) as client:
            while time.monotonic() < deadline and self.process.poll() is None:
                with contextlib.suppress(httpx.TransportError):
                    if client.get(f"{self.url}/health/live").status_code == 200:
                        return
                time.sleep(0.05)
        raise AssertionError(f"the API did not start: {self.log.read_text()[-2000:]}")

    def run(self, command: str, log: Path) -> Process | Warm:
        """Another command of this system: its worker."""
        if self.warm:
            return Warm([command], log=log, environ=self._environ())
        return spawn([sys.executable, "-m", "server", command], log=log, environ=self._environ(), directory=PROJECT)

    def stop(self) -> None:
        if self.process is not None:
            stop(self.process)
            self.process = None

    def kill(self) -> None:
        """As a power cut: nothing is finished, nothing is said."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(5)
        self.stop()

    def restart(self, settings: Settings | None = None) -> None:
        self.stop()
        self.settings = settings or self.settings
        self.start()

    def _environ(self) -> dict[str, str]:
        given: dict[str, Any] = msgspec.structs.asdict(self.settings) | {"port": self.port, "host": LOOPBACK}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ZOUFANG_")}
        return kept | {f"ZOUFANG_{name.upper()}": str(value) for name, value in given.items() if value != ""}
