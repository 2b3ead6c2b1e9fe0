"""The desk hears of what happens in its own areas, once, and no longer than its device is signed in."""

import asyncio
import json
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, update

from server.core.access import Caller, Grant, Role
from server.core.clock import utc_now
from server.core.database import open_session
from server.models.cases import RelativeOnStaff
from server.models.people import Device, StaffRole
from server.models.review import ReviewItem
from server.models.visits import Visit, VisitInvestigator
from server.review.live import QueueWatch
from tests.makers.visits import MORNING
from tests.review.test_queue import claim


def listener(desk):
    return Caller(
        id=desk.id,
        name=desk.signed_in["name"],
        device_id=UUID(desk.signed_in["deviceId"]),
        grants=tuple(Grant(Role(role["role"]), role["area_code"]) for role in desk.signed_in["roles"]),
    )


async def of_another_town(system, county):
    login = next(
        staff_member.login
        for staff_member in county.staff
        if staff_member.role == "town_officer" and staff_member.area_code != "339901001"
    )
    return await system.sign_in_at_desk(login, "town_officer")


async def next_change(stream):
    async with asyncio.timeout(8):
        async for event in stream:
            if event.startswith(b"event: changed"):
                return json.loads(event.split(b"data: ")[1])
    return None


async def test_a_claim_is_heard_once_and_only_where_it_concerns(ground, desk, services, system, county, monkeypatch):
    monkeypatch.setattr("server.review.live.LOOK_EVERY_S", 0.05)
    visit = await ground.examined()
    watch = QueueWatch(services)
    other = await of_another_town(system, county)
    here, elsewhere = watch.stream(listener(desk)), watch.stream(listener(other))
    assert await anext(here) == await anext(elsewhere)
    silent = asyncio.create_task(anext(elsewhere))
    heard = asyncio.create_task(next_change(here))
    await asyncio.sleep(0.3)
    assert not heard.done()  # what was before is for the list to tell
    await claim(desk, visit)
    change = await heard
    assert (change["visitId"], change["state"]) == (str(visit), "claimed")
    again = asyncio.create_task(next_change(here))
    await asyncio.sleep(0.3)
    assert not again.done()
    assert not silent.done()
    async with open_session(services.sessions) as session:
        await session.execute(update(Device).values(ended_at=utc_now()))
    assert await again is None
    silent.cancel()


async def test_a_stream_that_is_open_hears_no_more_than_its_desk_may_see_by_now(ground, desk, services, monkeypatch):
    """A role that is taken away, a visit one took part in, a home that names one as a relative."""
    monkeypatch.setattr("server.review.live.LOOK_EVERY_S", 0.05)
    own, of_relative, other, later = [await ground.examined(home=number) for number in range(4)]
    async with open_session(services.sessions) as session:
        session.add(VisitInvestigator(visit_id=own, staff_id=desk.id))
        household_id = await session.scalar(select(Visit.household_id).where(Visit.id == of_relative))
        session.add(
            RelativeOnStaff(
                household_id=household_id,
                name=desk.signed_in["name"],
                office="局",
                relation="兄",
                declared_on=MORNING.date(),
            )
        )
    stream = QueueWatch(services).stream(listener(desk))
    await anext(stream)
    await asyncio.sleep(0.3)
    for visit in (own, of_relative, other):
        async with open_session(services.sessions) as session:
            await session.execute(
                update(ReviewItem)
                .where(ReviewItem.visit_id == visit)
                .values(version=ReviewItem.version + 1, changed_at=utc_now())
            )
    assert (await next_change(stream))["visitId"] == str(other)
    async with open_session(services.sessions) as session:
        await session.execute(update(StaffRole).where(StaffRole.staff_id == desk.id).values(revoked_at=utc_now()))
        await session.execute(
            update(ReviewItem)
            .where(ReviewItem.visit_id == later)
            .values(version=ReviewItem.version + 1, changed_at=utc_now())
        )
    assert await next_change(stream) is None


async def test_who_watches_the_queue_hears_of_a_claim_handed_over_and_of_one_that_lapsed(
    ground, desk, county_desk, services, monkeypatch
):
    """Long after the claim, whose own news are over by then; nothing is written when a lease ends."""
    monkeypatch.setattr("server.review.live.LOOK_EVERY_S", 0.05)
    monkeypatch.setattr("server.review.live.OVERLAP", timedelta(seconds=3))
    visit, other = await ground.examined(0), await ground.examined(1, started_at=MORNING + timedelta(days=1))
    for item in (visit, other):
        await claim(desk, item)
    async with open_session(services.sessions) as session:
        await session.execute(update(ReviewItem).values(changed_at=MORNING))
    stream = QueueWatch(services).stream(listener(desk))
    await anext(stream)
    heard = asyncio.create_task(next_change(stream))
    await asyncio.sleep(0.3)
    await desk.http.post(f"/desk/v1/queue/{visit}/hand-over", json={"toStaffId": str(county_desk.id)})
    change = await heard
    assert (change["visitId"], change["state"]) == (str(visit), "claimed")
    heard = asyncio.create_task(next_change(stream))
    async with open_session(services.sessions) as session:
        lapsing = update(ReviewItem).where(ReviewItem.visit_id == other)
        await session.execute(lapsing.values(lease_until=utc_now() + timedelta(seconds=0.3)))
    change = await heard
    assert (change["visitId"], change["state"]) == (str(other), "waiting")
    await stream.aclose()


async def test_more_changes_at_once_than_one_page_are_all_sent(ground, desk, services, monkeypatch):
    """A rule that changes, or an import, moves many visits within one look."""
    monkeypatch.setattr("server.review.live.LOOK_EVERY_S", 0.05)
    monkeypatch.setattr("server.review.live.PAGE", 2)
    visits = {str(await ground.examined(home=number)) for number in range(5)}
    stream = QueueWatch(services).stream(listener(desk))
    await anext(stream)
    await asyncio.sleep(0.3)
    async with open_session(services.sessions) as session:
        # At one and the same time: neither page may pass over an equal time.
        await session.execute(update(ReviewItem).values(version=ReviewItem.version + 1, changed_at=utc_now()))
    assert {(await next_change(stream))["visitId"] for _ in visits} == visits


async def test_a_stream_that_can_not_keep_up_ends_so_that_its_desk_loads_anew(ground, desk, services, monkeypatch):
    monkeypatch.setattr("server.review.live.LOOK_EVERY_S", 0.05)
    monkeypatch.setattr("server.review.live.MOST_UNREAD", 2)
    for number in range(4):
        await ground.examined(home=number)
    stream = QueueWatch(services).stream(listener(desk))
    await anext(stream)
    await asyncio.sleep(0.3)
    async with open_session(services.sessions) as session:
        await session.execute(update(ReviewItem).values(version=ReviewItem.version + 1, changed_at=utc_now()))
    await asyncio.sleep(0.3)
    assert [event async for event in stream] == []
