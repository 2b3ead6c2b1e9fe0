"""A network that breaks: a TCP proxy that cuts connections after a number of bytes, or at each request."""

import asyncio
import contextlib
import re
from collections import Counter
from typing import Self

REQUEST = re.compile(rb"(?:GET|POST) (\S+) HTTP/1.1\r\n")


class Proxy:
    """Listens on a free port and passes on to `port`; `cut_after` counts bytes of both directions, None never cuts.

    With `cut_each_request` every request gets through at its third try alone: the first is cut before the server
    hears of it, the second when the server has done it and its answer is on the way.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.cut_after: int | None = None
        self.cut_each_request = False
        self.tries: Counter[bytes] = Counter()
        self.cuts = 0
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def cut_all(self) -> None:
        for connection in list(self._connections):
            connection.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._pass_on(reader, writer)
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        left = [self.cut_after]
        pumps = (
            (self._ask(reader, far_writer, left), self._answer(far_reader, writer, left))
            if self.cut_each_request
            else (self._pump(reader, far_writer, left), self._pump(far_reader, writer, left))
        )
        try:
            ways = [asyncio.create_task(pump) for pump in pumps]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: list[int | None]) -> None:
        while data := await reader.read(65536):
            if left[0] is not None:
                data = data[: left[0]]
                left[0] -= len(data)
            writer.write(data)
            await writer.drain()
            if left[0] == 0:
                self.cuts += 1
                return

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: list[int | None]) -> None:
        """`left` says what the answer's way is to do: 0 to cut it, None to let it pass."""
        while data := await reader.read(65536):
            if request := REQUEST.match(data):
                self.tries[request[1]] += 1
                turn = self.tries[request[1]] % 3
                left[0] = 0 if turn == 2 else None
                if turn == 1:
                    self.cuts += 1
                    return
            writer.write(data)
            await writer.drain()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: list[int | None]) -> None:
        while data := await reader.read(65536):
            if left[0] == 0:
                self.cuts += 1
                return
            writer.write(data)
            await writer.drain()
