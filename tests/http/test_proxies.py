"""Limits are counted by the address of who asks: a trusted proxy says it, anybody else is not believed."""

import httpx
import pytest

from server.core.settings import SettingsError
from server.identity import sign_in
from server.serve import trust_proxies
from tests.asgi import transport_to
from tests.phones import System

PROXY, STRANGER = "172.18.0.5", "203.0.113.9"
LIMIT = 10


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Slow an address down after as few mistakes as lock one name from it: hashing fifty passwords takes seconds."""
    monkeypatch.setattr(sign_in, "_SHARED_FACTOR", 1)


async def fail_to_sign_in(system: System, app, *, peer: str, said: str, times: int) -> list[int]:
    """Each time under another name, so that only the address can be what is counted."""
    transport = transport_to(trust_proxies(app, "10.0.0.0/8, 172.16.0.0/12"), client=(peer, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        device = {"label": "手机", "platform": "web", "appVersion": "1", "hardwareId": "h"}
        return [
            (
                await client.post(
                    "/auth/v1/staff/sign-in",
                    json={"login": f"nobody-{said}-{number}", "password": "wrong", "device": device},
                    headers={"X-Forwarded-For": said},
                )
            ).status_code
            for number in range(times)
        ]


async def test_two_villagers_behind_the_proxy_do_not_share_one_limit(system, app):
    first = await fail_to_sign_in(system, app, peer=PROXY, said="198.51.100.1", times=LIMIT + 3)
    assert first[:LIMIT] == [401] * LIMIT
    assert 429 in first[LIMIT:]  # one attempt in two seconds is still taken
    assert await fail_to_sign_in(system, app, peer=PROXY, said="198.51.100.2", times=1) == [401]


async def test_an_address_that_somebody_else_claims_is_not_believed(system, app):
    lines = [await fail_to_sign_in(system, app, peer=STRANGER, said=f"198.51.100.{n}", times=1) for n in range(LIMIT)]
    assert lines == [[401]] * LIMIT
    assert 429 in await fail_to_sign_in(system, app, peer=STRANGER, said="198.51.100.200", times=3)


async def test_a_claim_passed_on_by_the_proxy_counts_for_nothing(system, app):
    """Of several addresses the last that is no proxy of ours counts: the first are the client's own words."""
    lines = [
        await fail_to_sign_in(system, app, peer=PROXY, said=f"192.0.2.{n}, 198.51.100.7, 10.0.0.3", times=1)
        for n in range(LIMIT + 3)
    ]
    assert lines[:LIMIT] == [[401]] * LIMIT
    assert [429] in lines[LIMIT:]


def test_a_network_that_can_not_be_read_stops_the_start(app):
    with pytest.raises(SettingsError, match="ZOUFANG_TRUSTED_PROXIES"):
        trust_proxies(app, "10.0.0.0/33")
