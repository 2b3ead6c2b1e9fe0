"""A server that is told to stop does so at once, though phones and desks listen to it without an end."""

import time

import httpx
import pytest

SOON_S = 2.0  # far below the 10 s after which a server process that does not end is killed


@pytest.mark.parametrize(
    "path", ["/field/v1/sync/visits/1/pullStream", "/field/v1/sync/stream", "/desk/v1/queue/stream"]
)
async def test_a_server_with_an_open_stream_stops_within_two_seconds(live, phone, desk, path):
    person = phone if path.startswith("/field") else desk
    headers = {"Authorization": f"Bearer {person.signed_in['accessToken']}"}
    async with httpx.AsyncClient(base_url=live.url, headers=headers) as client, client.stream("GET", path) as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "retry: 3000"
        started = time.monotonic()
        live.process.terminate()
        live.process.wait(15)
        assert time.monotonic() - started < SOON_S
        assert [line async for line in lines if line.startswith("event: error")] == []
