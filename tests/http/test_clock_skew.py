"""A server whose clock differs from the database's says so and goes on."""

from datetime import timedelta

import pytest

from server.core.clock import utc_now
from server.http import clock_skew


@pytest.mark.parametrize("ahead_s", [0, 1.5, 9, -9])
async def test_readiness_names_the_skew_of_clocks_and_stays_ready(system, monkeypatch, ahead_s):
    monkeypatch.setattr(clock_skew, "utc_now", lambda: utc_now() + timedelta(seconds=ahead_s))
    answer = await system.client().get("/health/ready")
    assert answer.status_code == 200
    clock = answer.json()["clock"]
    if abs(ahead_s) < clock_skew.TOLERANCE_S:
        assert clock == "ok"
    else:
        found_s = float(clock.removeprefix("differs from the database by ").removesuffix(" s"))
        assert found_s == pytest.approx(ahead_s, abs=1)
