"""Hold every request of a test to one pooled connection at a time, and every GET to transactions that write nothing.

With two, a few requests that each hold one and wait for another of the same pool stop the process. A transaction that
has written holds back the sync feed of every phone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from litestar.types import ASGIApp, Receive, Scope, Send
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import Connection, Engine, event


class Request:
    """A request of a test: the connections it holds, and the second ones that it took beside them."""

    def __init__(self, path: str, method: str) -> None:
        self.path = path
        self.is_reading = method in {"GET", "HEAD"}
        self.held: set[int] = set()
        self.took_second = False


_current: ContextVar[Request | None] = ContextVar("request", default=None)
_requests_with_second: list[str] = []
_reads_that_wrote: list[str] = []
_getconn, _putconn = AsyncConnectionPool.getconn, AsyncConnectionPool.putconn


async def _take(pool: Any, *arguments: Any, **named: Any) -> Any:
    connection = await _getconn(pool, *arguments, **named)
    if (request := _current.get()) is not None:
        if request.held:
            _requests_with_second.append(request.path)
        request.held.add(id(connection))
        connection._request = request
    return connection


async def _give_back(pool: Any, connection: Any) -> None:
    if (request := getattr(connection, "_request", None)) is not None:
        request.held.discard(id(connection))
        connection._request = None
    await _putconn(pool, connection)


def _note_writing(connection: Connection) -> None:
    """Note a GET whose transaction is about to commit what it wrote."""
    request = _current.get()
    if request is None or not request.is_reading or _is_drawing(request.path):
        return
    if connection.exec_driver_sql("SELECT pg_current_xact_id_if_assigned()").scalar() is not None:
        _reads_that_wrote.append(request.path)


def _is_drawing(path: str) -> bool:
    """The watermarked copy of a photo is drawn at the first request, and its hash written last."""
    return "/photos/" in path


def watch_pools() -> None:
    """Watch every pool and every commit of this process from now on."""
    AsyncConnectionPool.getconn = _take  # type: ignore[assignment,method-assign]
    AsyncConnectionPool.putconn = _give_back  # type: ignore[assignment,method-assign]
    event.listen(Engine, "commit", _note_writing)


def as_request(app: ASGIApp) -> ASGIApp:
    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        token = _current.set(Request(str(scope.get("path")), str(scope.get("method"))))
        try:
            await app(scope, receive, send)
        finally:
            _current.reset(token)

    return middleware


@contextmanager
def one_connection_each() -> Iterator[list[str]]:
    """Yield the paths of requests that held two connections; empty them first."""
    _requests_with_second.clear()
    yield _requests_with_second
    _requests_with_second.clear()


@contextmanager
def reads_that_write_nothing() -> Iterator[list[str]]:
    """Yield the paths of GETs that committed something; empty them first."""
    _reads_that_wrote.clear()
    yield _reads_that_wrote
    _reads_that_wrote.clear()
