"""Attempts are counted under keyed hashes: no address of anybody is stored, and no row for each number they try."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Problem
from server.core.job_types import PurgeAttempts
from server.http import rate_limit
from server.http.rate_limit import KEPT, purge_attempts
from server.models.people import AttemptWindow

ADDRESS = "203.0.113.9"


async def count_attempt(services, subjects, limit, now):
    async with services.sessions() as session:
        await rate_limit.count_attempt(session, services.encryption, subjects, limit, now)


def hash_subject(services, subject):
    return rate_limit.hash_subject(services.encryption, subject)


async def subjects(services):
    async with open_session(services.sessions) as session:
        return list(await session.scalars(select(AttemptWindow.subject)))


async def test_no_address_and_no_number_is_stored_in_clear(system, services):
    body = {"areaCode": "339901001001", "text": "专干收礼，村里都知道"}
    assert (await system.client().post("/public/v1/complaints", json=body)).status_code == 201
    look = {"number": "XF3399012025-00001", "code": "0000000000"}
    await system.client().post("/public/v1/complaints/look-up", json=look)
    await system.client().post("/public/v1/objections/look-up", json=look)
    login = {"login": "nobody", "password": "guess", "device": {"label": "t"}}
    await system.client().post("/auth/v1/staff/sign-in", json=login)
    stored = await subjects(services)
    assert len(stored) == 8
    assert all(len(subject) == 64 and set(subject) <= set("0123456789abcdef") for subject in stored)


async def test_the_hash_needs_the_key(services):
    other = type(services.encryption)(services.encryption._ring, b"x" * 32)
    assert hash_subject(services, ADDRESS) != other.index("attempt", ADDRESS).hex()


async def test_an_address_over_its_limit_adds_no_row_for_each_number(services):
    now = utc_now()
    for number in range(60):
        if number < 5:
            await count_attempt(services, [f"follow:{ADDRESS}", f"follow:{number}"], 5, now)
        else:
            with pytest.raises(Problem):
                await count_attempt(services, [f"follow:{ADDRESS}", f"follow:{number}"], 5, now)
    assert len(await subjects(services)) == 1 + 5


async def test_a_number_that_many_addresses_try_is_braked_too(services):
    now = utc_now()
    for number in range(5):
        await count_attempt(services, [f"follow:198.51.100.{number}", "follow:X"], 5, now)
    with pytest.raises(Problem):
        await count_attempt(services, ["follow:198.51.100.77", "follow:X"], 5, now)


async def test_counts_are_purged(services):
    await count_attempt(services, ["a"], 5, utc_now())
    async with open_session(services.sessions) as session:
        await session.execute(update(AttemptWindow).values(window_start=utc_now() - KEPT - timedelta(hours=1)))
    await count_attempt(services, ["b"], 5, utc_now())
    await purge_attempts(services, PurgeAttempts())
    assert await subjects(services) == [hash_subject(services, "b")]
    async with open_session(services.sessions) as session:
        assert await session.scalar(select(func.count()).select_from(AttemptWindow)) == 1
