"""Read a request's body piece by piece, so that no photo is buffered in memory as a whole.

A cut connection is no error here: the bytes before the cut are still used.
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import IO, Any, Self

from litestar import Request
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from server.core.errors import Problem
from server.core.threads import run_in_thread
from server.photos.receive import Content

# A photo that WeChat has re-encoded fits; only larger ones need a file and a thread. 32 uploads at once hold 12 MB.
IN_MEMORY_BYTES = 384 * 1024
# After so long without data the client counts as disconnected.
SILENCE_SECONDS = 60.0
# An error response waits at most so long and for so many bytes of the remaining body: see `linger`.
LINGER_SECONDS = 2.0
LINGER_BYTES = 8 * 1024 * 1024
# A signed-in person's whole photo over a slow line: without the answer a browser sends it again, for ever.
LONG_LINGER_SECONDS = 30.0
LONG_LINGER_BYTES = 32 * 1024 * 1024
# Strangers and too large bodies are not waited for.
_SHORT_LINGER_STATUSES = frozenset({401, 403, 413, 429})


class Spool:
    """Buffers bytes between the phone and the store, in memory or an unnamed file, and hashes them on arrival."""

    def __init__(self, *algorithms: str) -> None:
        self.size = 0
        self._file: IO[bytes] = SpooledTemporaryFile(max_size=IN_MEMORY_BYTES)  # noqa: SIM115  closed by __exit__
        self._digests = {name: hashlib.new(name) for name in ("sha256", *algorithms)}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    async def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size <= IN_MEMORY_BYTES:
            self._take(piece)
        else:
            await run_in_thread(self._take, piece)

    def _take(self, piece: bytes) -> None:
        self._file.write(piece)
        for digest in self._digests.values():
            digest.update(piece)

    def digest(self, algorithm: str) -> bytes:
        return self._digests[algorithm].digest()

    @property
    def content(self) -> Content:
        """The spooled bytes, positioned at the start."""
        self._file.seek(0)
        return Content(self._file, self.size, self.digest("sha256").hex())


class Body:
    """The body of a request. `ended` once no more data will come, `was_cut` if the body was not complete."""

    def __init__(self, request: Request[Any, Any, Any]) -> None:
        self.announced_bytes = _content_length(request)
        self.ended = False
        self.was_cut = False
        self._receive = request.receive
        # Such a client sends its body only if the server reads it.
        self._is_held_back = "Expect" in request.headers
        self._next: asyncio.Future[Any] | None = None
        self._received_at = time.monotonic()

    async def fill(self, spool: Spool, *, enough_bytes: int, at_most_bytes: int, seconds: float) -> None:
        """Read into the spool until it holds enough, the time is over, or the body has ended.

        Raises `upload.too_long` when the spool would hold more than `at_most_bytes`.
        """
        until = time.monotonic() + seconds
        while not self.ended and spool.size < enough_bytes and (left := until - time.monotonic()) > 0:
            piece = await self._piece(left)
            if spool.size + len(piece) > at_most_bytes:
                raise Problem("upload.too_long")
            if piece:
                await spool.add(piece)

    async def has_data(self) -> bool:
        """Return whether any byte comes; none is consumed."""
        if self.announced_bytes is not None:
            return self.announced_bytes > 0
        while True:
            event = await self._peek(SILENCE_SECONDS)
            if event is None or event["type"] == "http.disconnect":
                return False
            if event.get("body") or not event.get("more_body"):
                return bool(event.get("body"))
            self._next = None  # an empty piece, and more to come

    async def drain(self, at_most_bytes: int) -> None:
        """Read and discard the rest: a browser reads an answer only after it has sent the whole body."""
        left = 0 if self._is_held_back else at_most_bytes
        while left > 0 and not self.ended:
            left -= len(await self._piece(SILENCE_SECONDS))

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield all data up to the end or the cut."""
        while not self.ended:
            if piece := await self._piece(SILENCE_SECONDS):
                yield piece

    async def aclose(self) -> None:
        """Stop receiving."""
        if self._next is not None:
            self._next.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._next

    async def _piece(self, seconds: float) -> bytes:
        """Return the next piece; empty when none arrives in time or the body ends."""
        event = await self._peek(seconds)
        now = time.monotonic()
        if event is None:
            self.ended = self.was_cut = now - self._received_at > SILENCE_SECONDS
            return b""
        self._next, self._received_at = None, now
        if event["type"] == "http.disconnect":
            self.ended = self.was_cut = True
            return b""
        self.ended = not event.get("more_body", False)
        piece: bytes = event.get("body", b"")
        return piece

    async def _peek(self, seconds: float) -> Any:
        """Return the next event without consuming it; None when none arrives in time."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._receive())
        # Not wait_for: it would cancel the pending receive and lose its data.
        done, _ = await asyncio.wait({self._next}, timeout=seconds)
        return _result_or_cut(self._next) if done else None


def _result_or_cut(received: asyncio.Future[Any]) -> Any:
    """Return the message; a body that comes too slowly counts as cut, so that the bytes before are used."""
    try:
        return received.result()
    except Problem as problem:
        if problem.code != "request.too_slow":
            raise
        return {"type": "http.disconnect"}


def linger(app: ASGIApp) -> ASGIApp:
    """Before an error response, read and discard the rest of the body for a bounded time.

    A server that responds and closes while the client still sends resets the connection, and the client may never
    read the error. A client that asks first (`Expect: 100-continue`) has not sent the body yet.
    """

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        has_ended = any(name == b"expect" for name, _ in scope["headers"])

        async def tracked_receive() -> Any:
            nonlocal has_ended
            event = await receive()
            has_ended = has_ended or not event.get("more_body", False)
            return event

        async def lingering_send(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400 and not has_ended:  # noqa: PLR2004
                is_short = message["status"] in _SHORT_LINGER_STATUSES
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LINGER_SECONDS if is_short else LONG_LINGER_SECONDS):
                        await _discard(LINGER_BYTES if is_short else LONG_LINGER_BYTES)
            await send(message)

        async def _discard(left: int) -> None:
            while not has_ended and left > 0:
                left -= len((await tracked_receive()).get("body", b""))

        await app(scope, tracked_receive, lingering_send)

    return middleware


def _content_length(request: Request[Any, Any, Any]) -> int | None:
    """Return the announced length; None when it is unknown (chunked)."""
    header = request.headers.get("Content-Length", "")
    return int(header) if header.isascii() and header.isdigit() else None
