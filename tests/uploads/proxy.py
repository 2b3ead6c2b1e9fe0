"""A bad network: a TCP proxy that breaks connections after so many bytes from the phone."""

import asyncio
from collections.abc import Iterable
from typing import Self


class CuttingProxy:
    """Each new connection takes the next number of `cuts` and breaks after so many bytes; then all are whole."""

    def __init__(self, port: int, cuts: Iterable[int]) -> None:
        self._target = port
        self._cuts = list(cuts)
        self.made = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self._cuts.pop(0) if self._cuts else None
        from_api, to_api = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            back = asyncio.create_task(_copy(from_api, writer, None))
            there = asyncio.create_task(_copy(reader, to_api, left))
            await asyncio.wait({back, there}, return_when=asyncio.FIRST_COMPLETED)
            self.made += there.done() and left is not None
            for item in (back, there):
                item.cancel()
            await asyncio.gather(back, there, return_exceptions=True)
        finally:
            to_api.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, at_most: int | None) -> None:
    left = at_most
    while piece := await reader.read(16384 if left is None else min(16384, left)):
        writer.write(piece)
        await writer.drain()
        if left is not None and (left := left - len(piece)) <= 0:
            await asyncio.sleep(0.02)  # what was written leaves before the connection breaks
            return
