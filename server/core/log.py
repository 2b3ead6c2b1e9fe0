"""Structured logs: one JSON object a line on standard error, each with the id of its request or job.

No personal data is logged: a route is logged as its pattern, without the values of its parameters.
"""

import logging
import sys
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import msgspec

from server.core.clock import utc_now

# Facts about the request or job of the current asyncio task; each task has its own.
_context: ContextVar[Mapping[str, Any]] = ContextVar("log_context", default=MappingProxyType({}))


def bind_context(**facts: Any) -> None:
    """Add facts to every line that this task logs from here on."""
    _context.set({**_context.get(), **facts})


def clear_context() -> None:
    _context.set({})


def get_context() -> Mapping[str, Any]:
    return _context.get()


class Logger:
    """Log an event by its stable name, and facts about it by keyword."""

    def __init__(self) -> None:
        self.log_format = "json"

    def info(self, event: str, **facts: Any) -> None:
        self._write("info", event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        self._write("warning", event, facts)

    def error(self, event: str, **facts: Any) -> None:
        self._write("error", event, facts)

    def _write(self, level: str, event: str, facts: Mapping[str, Any]) -> None:
        timestamp = utc_now().isoformat().replace("+00:00", "Z")
        if self.log_format == "console":
            words = " ".join(f"{name}={value}" for name, value in {**_context.get(), **facts}.items())
            line = f"{timestamp} {level:7} {event} {words}"
        else:
            entry = {**_context.get(), **facts, "event": event, "level": level, "timestamp": timestamp}
            line = msgspec.json.encode(entry, enc_hook=repr).decode()
        sys.stderr.write(line + "\n")


log = Logger()


def set_up_logging(log_format: str) -> None:
    log.log_format = log_format
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")


def traceback_lines(error: BaseException) -> list[str]:
    """Return the innermost 12 frames, the last one innermost, without the message: many hold what a person typed."""
    return [
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)[-12:]
    ]
