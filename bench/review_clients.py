"""A process of reviewers who take leases from the queue over HTTP, one reviewer per token.

`python -m bench.review_clients URL BEGIN SECONDS PAUSE_S TOKEN…` prints a line for each lease: reviewer, HTTP status,
visit, milliseconds. BEGIN is Unix time. Reviewers who pause start at a random moment of their first pause; those
without a pause all start at BEGIN.
"""

import asyncio
import random
import sys
import time
from urllib.parse import urlsplit

import msgspec

from server.core.clock import utc_now


async def take_leases(url: str, token: str, number: int, begin: float, seconds: float, pause_s: float) -> None:
    """Take a lease, keep it, pause for about `pause_s`, take the next."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = (
        f"POST /desk/v1/queue/claim HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()
    await asyncio.sleep(begin - utc_now().timestamp() + random.uniform(0, 1) * pause_s)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(head)
        response_head = await reader.readuntil(b"\r\n\r\n")
        size = next(
            int(line[16:]) for line in response_head.lower().split(b"\r\n") if line.startswith(b"content-length: ")
        )
        body = await reader.readexactly(size)
        took_ms = (time.perf_counter() - began) * 1000
        status = int(response_head.split(b" ", 2)[1])
        visit = msgspec.json.decode(body).get("visitId", "-")
        print(number, status, visit, f"{took_ms:.2f}", flush=True)
        if pause_s:
            await asyncio.sleep(random.uniform(0.5, 1.5) * pause_s)
    writer.close()


async def main(url: str, begin: float, seconds: float, pause_s: float, tokens: list[str]) -> None:
    await asyncio.gather(*(take_leases(url, token, n, begin, seconds, pause_s) for n, token in enumerate(tokens)))


if __name__ == "__main__":
    start, length, pause = map(float, sys.argv[2:5])
    asyncio.run(main(sys.argv[1], start, length, pause, sys.argv[5:]))
