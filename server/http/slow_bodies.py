"""Bound how many request bodies are on their way and how slowly they come, so that nobody can take all connections.

A body counts until its last byte is here. The proxy bounds the same from outside (deploy/Caddyfile); this holds without
one too.
"""

import asyncio
import time
from collections import Counter
from typing import Any

from litestar.types import ASGIApp, Receive, Scope, Send

from server.core.errors import Problem

# Bodies on their way at once: in a process, and from one address without and with an `Authorization` header. Whole
# offices stand behind one address, with a phone for each caseworker.
MAX_IN_PROCESS = 600
MAX_ANONYMOUS_PER_ADDRESS = 16
MAX_PER_ADDRESS = 200
# A body that is here within this time holds no place: thirty people of an office may sign in at the same moment.
AT_ONCE_SECONDS = 0.5
# A body gets so long, and a second more for each of these bytes: 2G at the edge of a village is faster.
GRACE_SECONDS = 30.0
MIN_BYTES_PER_SECOND = 1_000
_METHODS = {"POST", "PUT", "PATCH"}


class BodyLimits:
    """The bodies on their way in one process, by address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._by_address: Counter[tuple[str, bool]] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if str(scope["type"]) != "http" or scope.get("method") not in _METHODS:
            await self._app(scope, receive, send)
            return
        is_anonymous = not any(name == b"authorization" for name, _ in scope["headers"])
        key = (scope["client"][0] if scope["client"] else "", is_anonymous)
        limit = MAX_ANONYMOUS_PER_ADDRESS if is_anonymous else MAX_PER_ADDRESS
        if self._by_address[key] >= limit or self._by_address.total() >= MAX_IN_PROCESS:
            await self._app(scope, await _receive_at_once(receive), send)
            return
        self._by_address[key] += 1
        body = _TimedBody(receive)

        async def receive_counted() -> Any:
            had_ended = body.has_ended
            message = await body.receive()
            if body.has_ended and not had_ended:
                self._forget(key)
            return message

        try:
            await self._app(scope, receive_counted, send)
        finally:
            if not body.has_ended:
                self._forget(key)

    def _forget(self, key: tuple[str, bool]) -> None:
        self._by_address[key] -= 1
        if self._by_address[key] <= 0:
            del self._by_address[key]


class _TimedBody:
    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._until = time.monotonic() + GRACE_SECONDS
        self.has_ended = False

    async def receive(self) -> Any:
        """Return the next message. Raises `request.too_slow`; after the body's end it waits as long as it takes."""
        if self.has_ended:
            return await self._receive()
        try:
            async with asyncio.timeout(max(0, self._until - time.monotonic())):
                message: Any = await self._receive()
        except TimeoutError:
            raise Problem("request.too_slow") from None
        self._until += len(message.get("body", b"")) / MIN_BYTES_PER_SECOND
        self.has_ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message


async def _receive_at_once(receive: Receive) -> Receive:
    """Return what gives a body that is whole already, else what refuses it."""
    try:
        async with asyncio.timeout(AT_ONCE_SECONDS):
            first: Any = await receive()
    except TimeoutError:
        return _refuse
    if first["type"] == "http.request" and first.get("more_body", False):
        return _refuse
    given: list[Any] = [first]

    async def receive_again() -> Any:
        return given.pop() if given else await receive()

    return receive_again


async def _refuse() -> Any:
    raise Problem("request.too_many_open", headers={"Retry-After": "10"})
