"""One process of reviewers who claim from the queue over HTTP, as many at once as it is given tokens.

Each line it prints is a claim: who, which visit, how many milliseconds. It ends by itself or is killed.
`python -m bench.reviewers URL BEGIN SECONDS PAUSE_S TOKEN…`, with the moment (Unix time) when they sit down. Those who
pause come to their first visit at any moment of their pause; those who don't claim at that very instant.
"""

import asyncio
import random
import sys
import time
from urllib.parse import urlsplit

import msgspec

from server.core.clock import utc_now


async def claim_on(url: str, token: str, number: int, begin: float, seconds: float, pause_s: float) -> None:
    """Claim, keep what was claimed, think for about `pause_s`, claim again."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    head = (
        f"POST /desk/v1/queue/claim HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()
    await asyncio.sleep(begin - utc_now().timestamp() + random.uniform(0, 1) * pause_s)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(head)
        answer = await reader.readuntil(b"\r\n\r\n")
        size = next(int(line[16:]) for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length: "))
        body = await reader.readexactly(size)
        took_ms = (time.perf_counter() - began) * 1000
        status = int(answer.split(b" ", 2)[1])
        visit = msgspec.json.decode(body).get("visitId", "-")
        print(number, status, visit, f"{took_ms:.2f}", flush=True)
        if pause_s:
            await asyncio.sleep(random.uniform(0.5, 1.5) * pause_s)
    writer.close()


async def main(url: str, begin: float, seconds: float, pause_s: float, tokens: list[str]) -> None:
    await asyncio.gather(*(claim_on(url, token, n, begin, seconds, pause_s) for n, token in enumerate(tokens)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(float, sys.argv[2:5]), sys.argv[5:]))
