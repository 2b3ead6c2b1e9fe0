"""Structured logs: one JSON object a line, each with the request or job it belongs to.

No personal data is logged: routes are logged by their pattern, never with what was filled in.
"""

import logging
import sys
import traceback

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger("zoufang")


def set_up_logging(log_format: str) -> None:
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if log_format == "console" else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")


def place_of(error: BaseException) -> list[str]:
    """Where it happened, the innermost last. Never the message: that of many errors holds what people typed."""
    return [f"{item.filename}:{item.lineno} {item.name}" for item in traceback.extract_tb(error.__traceback__)[-12:]]
