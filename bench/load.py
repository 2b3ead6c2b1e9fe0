"""A closed loop of HTTP requests over keep-alive connections, with as little client cost as Python allows."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# One request: method, path, content type, body.
Ask = tuple[str, str, str, bytes]


@dataclass
class Loop:
    """What a loop did. Latencies are in seconds and count only what began after the warm-up."""

    done: int = 0
    failed: int = 0
    bytes_in: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    first_failure: str = ""

    @property
    def rate(self) -> float:
        return self.done / self.seconds if self.seconds else 0.0

    def percentile_ms(self, share: float) -> float:
        ranked = sorted(self.latencies)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))] * 1000 if ranked else 0.0


async def run_loop(
    url: str | list[str],
    token: str,
    asks: Callable[[], Iterator[Ask]],
    *,
    connections: int,
    seconds: float,
    warm_up: float = 3.0,
    most: int | None = None,
) -> Loop:
    """Each connection asks as soon as it has its answer, for `seconds` after `warm_up` (or `most` answers).

    Of several addresses each connection takes one, in turn.
    """
    urls = [url] if isinstance(url, str) else url
    loop = Loop()
    source = asks()
    began = time.perf_counter()
    counted_from, until = began + warm_up, began + warm_up + seconds
    await asyncio.gather(
        *(
            _one_connection(urls[n % len(urls)], token, source, loop, counted_from, until, most)
            for n in range(connections)
        )
    )
    loop.seconds = min(time.perf_counter(), until) - counted_from if most is None else time.perf_counter() - began
    return loop


def run_measured(
    url: str,
    token: str,
    asks: Callable[[], Iterator[Ask]],
    connections: int,
    seconds: float,
    warm_up: float = 2.0,
) -> Loop:
    """`run_loop` for whoever is not in an event loop."""
    return asyncio.run(run_loop(url, token, asks, connections=connections, seconds=seconds, warm_up=warm_up))


async def _one_connection(
    url: str, token: str, source: Iterator[Ask], loop: Loop, counted_from: float, until: float, most: int | None
) -> None:
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        while (now := time.perf_counter()) < until or most is not None:
            ask = next(source, None)
            if ask is None:
                return
            status, size = await exchange(reader, writer, place.netloc, token, ask)
            if now < counted_from and most is None:
                continue
            loop.done += 1
            loop.bytes_in += size
            loop.latencies.append(time.perf_counter() - now)
            if status != 200:
                loop.failed += 1
                loop.first_failure = loop.first_failure or f"HTTP {status}"
    finally:
        writer.close()


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, token: str, ask: Ask
) -> tuple[int, int]:
    method, path, content_type, body = ask
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    headers = dict(line.lower().split(b": ", 1) for line in answer[1:] if b": " in line)
    size = int(headers.get(b"content-length", b"0"))
    if b"transfer-encoding" in headers:
        size = await _skip_chunks(reader)
    elif size:
        await reader.readexactly(size)
    return int(answer[0].split()[1]), size


async def _skip_chunks(reader: asyncio.StreamReader) -> int:
    total = 0
    while size := int((await reader.readline()).strip() or b"0", 16):
        await reader.readexactly(size + 2)
        total += size
    await reader.readline()
    return total
