"""Hold every request of a test to one pooled connection at a time.

With two, a few requests that each hold one and wait for another of the same pool stop the process.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from litestar.types import ASGIApp, Receive, Scope, Send
from psycopg_pool import AsyncConnectionPool


class Request:
    """A request of a test: the connections it holds, and the second ones that it took beside them."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.held: set[int] = set()
        self.took_second = False


_current: ContextVar[Request | None] = ContextVar("request", default=None)
_requests_with_second: list[str] = []
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


def watch_pools() -> None:
    """Watch every pool of this process from now on."""
    AsyncConnectionPool.getconn = _take  # type: ignore[assignment,method-assign]
    AsyncConnectionPool.putconn = _give_back  # type: ignore[assignment,method-assign]


def as_request(app: ASGIApp) -> ASGIApp:
    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        token = _current.set(Request(str(scope.get("path"))))
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
