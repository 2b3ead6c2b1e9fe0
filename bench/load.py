"""Closed-loop load of HTTP requests over keep-alive connections, with low client overhead."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

Request = tuple[str, str, str, bytes]
"""Method, path, content type, body."""


@dataclass
class LoadResult:
    """Result of a load. Latencies are in seconds, of requests that started after the warm-up."""

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


async def run_load(
    url: str | list[str],
    token: str,
    make_requests: Callable[[], Iterator[Request]],
    *,
    connections: int,
    seconds: float,
    warm_up: float = 3.0,
    until_exhausted: bool = False,
) -> LoadResult:
    """Send requests on each connection as soon as the previous response arrives, for `seconds` after `warm_up`.

    With `until_exhausted`, send all requests without a time limit. Connections are spread over several URLs in turn.
    """
    urls = [url] if isinstance(url, str) else url
    result = LoadResult()
    requests = make_requests()
    began = time.perf_counter()
    counted_from, until = began + warm_up, began + warm_up + seconds
    await asyncio.gather(
        *(
            _run_connection(
                urls[n % len(urls)], token, requests, result, counted_from, until, until_exhausted=until_exhausted
            )
            for n in range(connections)
        )
    )
    result.seconds = (
        min(time.perf_counter(), until) - counted_from if not until_exhausted else time.perf_counter() - began
    )
    return result


def run_load_sync(
    url: str,
    token: str,
    make_requests: Callable[[], Iterator[Request]],
    connections: int,
    seconds: float,
    warm_up: float = 2.0,
) -> LoadResult:
    """Run `run_load` outside an event loop."""
    return asyncio.run(run_load(url, token, make_requests, connections=connections, seconds=seconds, warm_up=warm_up))


async def _run_connection(
    url: str,
    token: str,
    requests: Iterator[Request],
    result: LoadResult,
    counted_from: float,
    until: float,
    *,
    until_exhausted: bool,
) -> None:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        while (now := time.perf_counter()) < until or until_exhausted:
            request = next(requests, None)
            if request is None:
                return
            status, size = await send_request(reader, writer, address.netloc, token, request)
            if now < counted_from and not until_exhausted:
                continue
            result.done += 1
            result.bytes_in += size
            result.latencies.append(time.perf_counter() - now)
            if status != 200:
                result.failed += 1
                result.first_failure = result.first_failure or f"HTTP {status}"
    finally:
        writer.close()


async def send_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, token: str, request: Request
) -> tuple[int, int]:
    method, path, content_type, body = request
    request_head = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(request_head.encode() + body)
    head_lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    headers = dict(line.lower().split(b": ", 1) for line in head_lines[1:] if b": " in line)
    size = int(headers.get(b"content-length", b"0"))
    if b"transfer-encoding" in headers:
        size = await _skip_chunks(reader)
    elif size:
        await reader.readexactly(size)
    return int(head_lines[0].split()[1]), size


async def _skip_chunks(reader: asyncio.StreamReader) -> int:
    total = 0
    while size := int((await reader.readline()).strip() or b"0", 16):
        await reader.readexactly(size + 2)
        total += size
    await reader.readline()
    return total
