"""The counters of a process are for its operators: with a token, or from the machine itself."""

import httpx
import msgspec
import pytest

from tests.asgi import transport_to


def client(system, address):
    transport = transport_to(system.app)
    transport.client = (address, 50_000)
    return httpx.AsyncClient(transport=transport, base_url="http://zoufang.test")


@pytest.fixture
def token(services):
    token = "a-token-of-the-collector"
    object.__setattr__(services, "settings", msgspec.structs.replace(services.settings, metrics_token=token))
    return token


async def status(system, address, **headers):
    return (await client(system, address).get("/metrics", headers=headers)).status_code


async def test_without_a_token_only_the_machine_itself_reads_the_counters(system):
    assert await status(system, "127.0.0.1") == 200
    assert await status(system, "::1") == 200
    assert await status(system, "10.0.0.7") == 401
    assert await status(system, "203.0.113.9") == 401


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
async def test_behind_a_proxy_on_the_machine_nobody_passes_for_it(system, header):
    assert await status(system, "127.0.0.1", **{header: "203.0.113.9"}) == 401


async def test_with_a_token_whoever_sends_it_reads_the_counters_and_nobody_else(system, token):
    assert await status(system, "10.0.0.7", Authorization=f"Bearer {token}") == 200
    assert await status(system, "10.0.0.7", Authorization="Bearer another") == 401
    assert await status(system, "127.0.0.1") == 401
