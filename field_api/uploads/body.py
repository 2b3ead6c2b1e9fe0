"""A request's body as it arrives, piece by piece, so that no photo is ever held whole in memory.

A connection that is cut is no error here: what came before the cut is worth keeping.
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

# What WeChat makes of a photo fits: only larger ones cost a file and a thread. 32 at once hold 12 MB so.
IN_MEMORY_BYTES = 384 * 1024
# A sender that says nothing for so long has gone without a goodbye.
SILENCE_SECONDS = 60.0
# A refusal waits so long for the rest of a body, or for so much of it: see `linger`.
LINGER_SECONDS = 2.0
LINGER_BYTES = 8 * 1024 * 1024


class Spool:
    """Bytes between the phone and the store: a little in memory, the rest in an unnamed file; hashed as they come."""

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
        """From its start."""
        self._file.seek(0)
        return Content(self._file, self.size, self.digest("sha256").hex())


class Body:
    """What one request sends. `ended` once nothing more will come, `was_cut` if that was not its end."""

    def __init__(self, request: Request[Any, Any, Any]) -> None:
        self.announced_bytes = _content_length(request)
        self.ended = False
        self.was_cut = False
        self._receive = request.receive
        self._next: asyncio.Future[Any] | None = None
        self._heard_at = time.monotonic()

    async def fill(self, spool: Spool, *, enough_bytes: int, at_most_bytes: int, seconds: float) -> None:
        """Move what arrives into the spool until it holds enough, the time is over, or the body has ended.

        Raises `upload.too_long` when the spool would hold more than `at_most_bytes`.
        """
        until = time.monotonic() + seconds
        while not self.ended and spool.size < enough_bytes and (left := until - time.monotonic()) > 0:
            piece = await self._piece(left)
            if spool.size + len(piece) > at_most_bytes:
                raise Problem("upload.too_long")
            if piece:
                await spool.add(piece)

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of it, to the end or the cut."""
        while not self.ended:
            if piece := await self._piece(SILENCE_SECONDS):
                yield piece

    async def aclose(self) -> None:
        """Stop listening."""
        if self._next is not None:
            self._next.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._next

    async def _piece(self, seconds: float) -> bytes:
        """The next piece; empty when none came in time, or the body ended with it."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._receive())
        # Not wait_for: it would cancel the receiving and lose what was about to arrive.
        done, _ = await asyncio.wait({self._next}, timeout=seconds)
        now = time.monotonic()
        if not done:
            self.ended = self.was_cut = now - self._heard_at > SILENCE_SECONDS
            return b""
        event, self._next, self._heard_at = self._next.result(), None, now
        if event["type"] == "http.disconnect":
            self.ended = self.was_cut = True
            return b""
        self.ended = not event.get("more_body", False)
        piece: bytes = event.get("body", b"")
        return piece


def linger(app: ASGIApp) -> ASGIApp:
    """Refusals wait a little for the rest of the body, and throw it away.

    A server that answers and closes while the client still sends resets the connection, and the client may
    never read why it was refused. One that asks first (`Expect: 100-continue`) needs no such patience.
    """

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        waits = any(name == b"expect" for name, _ in scope["headers"])
        has_ended = waits

        async def noting_receive() -> Any:
            nonlocal has_ended
            event = await receive()
            has_ended = has_ended or not event.get("more_body", False)
            return event

        async def patient_send(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400 and not has_ended:  # noqa: PLR2004
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LINGER_SECONDS):
                        await _throw_away()
            await send(message)

        async def _throw_away() -> None:
            left = LINGER_BYTES
            while not has_ended and left > 0:
                left -= len((await noting_receive()).get("body", b""))

        await app(scope, noting_receive, patient_send)

    return middleware


def _content_length(request: Request[Any, Any, Any]) -> int | None:
    """None for a body of unknown length (chunked)."""
    told = request.headers.get("Content-Length", "")
    return int(told) if told.isascii() and told.isdigit() else None
