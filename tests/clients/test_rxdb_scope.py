"""RxDB against the running server while households change hands, and with many of them."""

import asyncio
import json

import httpx
import pytest
from sqlalchemy import func, insert, select, true

from field_api.sync.collections import COLLECTIONS
from server.core.database import open_session
from server.core.ids import new_id
from server.models.households import Caseload, Household
from server.sync_feed.publish import publish_change
from tests.clients.test_rxdb import alive, assert_agree, count_receipts, open_phone
from tests.phones import make_kit


@pytest.fixture
async def partner(system, county, phone):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    return await system.sign_in(due.partner_login, "caseworker")


@pytest.fixture
async def officer(system, county):
    login = next(staff_member.login for staff_member in county.staff if staff_member.role == "county_officer")
    return await system.sign_in_at_desk(login, "county_officer")


async def test_households_that_change_hands_while_both_phones_work_lose_no_visit(
    phones, live, phone, partner, officer, services
):
    kit = await make_kit(phone, partner.id, photos=[])
    home = kit.visit["householdId"]
    a = await open_phone(phones, "a", live, phone, live=True)
    b = await open_phone(phones, "b", live, partner, live=True)
    pushed = []
    for number in range(6):
        what = "revoke" if number % 2 == 0 else "assign"
        result = {"fromStaffId": str(phone.id), "reason": "trial"} if what == "revoke" else {"toStaffId": str(phone.id)}
        visits = [kit.visit | {"id": str(new_id())} for _ in range(2)]
        pushed += [visit["id"] for visit in visits]
        changed, *_ = await asyncio.gather(
            officer.http.post(f"/desk/v1/caseload/{what}", json=result | {"householdIds": [home]}),
            a.insert("visits", *visits),
        )
        assert changed.status_code == 200, changed.text
        await asyncio.sleep(0.1)
    for handset in (a, b, a, b):
        await handset.sync()
    assert sorted(await a.documents("visits")) == sorted(pushed)
    assert all(document["server"]["receipt"] for document in (await a.documents("visits")).values())
    assert home in await a.documents("households")
    await assert_agree(a, phone)
    await assert_agree(b, partner)
    assert await count_receipts(services) == (len(pushed), len(pushed))
    await a.do("close")
    await b.do("close")


async def test_a_phone_carries_2000_households(phones, live, phone, services):
    async with services.sessions.begin() as session:
        columns = [column for column in Household.__table__.columns if column.name not in ("id", "number")]
        copy = func.generate_series(1, 6).table_valued("copy").render_derived()
        number = func.concat("X-", Household.number, "-", copy.c.copy)
        copies = select(func.gen_random_uuid(), number, *columns).select_from(Household).join(copy, true())
        await session.execute(insert(Household).from_select(["id", "number", *columns], copies))
        held = select(Caseload.household_id).where(Caseload.staff_id == phone.id)
        ids = list(await session.scalars(select(Household.id).where(Household.id.not_in(held))))
        session.add_all(Caseload(household_id=id_, staff_id=phone.id) for id_ in ids)
        await session.flush()
        await publish_change(session, "households", ids)
    a = await open_phone(phones, "a", live, phone, batch=500, collections=["households"])
    await a.sync()
    held = await a.documents("households")
    assert len(held) >= 2000
    pulled = await phone.pull("households")
    assert held == alive(pulled)


async def test_the_stream_names_the_collections_that_changed(live, phone, services):
    async def next_names(lines):
        async for line in lines:
            if line.startswith("data: "):
                return json.loads(line.removeprefix("data: "))
        return None

    client = httpx.AsyncClient(headers={"Authorization": f"Bearer {phone.signed_in['accessToken']}"}, timeout=20)
    async with client, client.stream("GET", f"{live.url}/field/v1/sync/stream") as answer:
        lines = answer.aiter_lines()
        # Not known since when: all of them.
        assert await next_names(lines) == sorted(COLLECTIONS)
        [held, *_] = await phone.pull("households")
        async with open_session(services.sessions) as session:
            await publish_change(session, "households", [held])
        assert await next_names(lines) == ["households"]


@pytest.mark.parametrize("path", ["/field/v1/sync/visits/1/pullStream", "/field/v1/sync/stream"])
async def test_the_stream_ends_when_the_phone_is_signed_out(live, phone, services, path):
    client = httpx.AsyncClient(headers={"Authorization": f"Bearer {phone.signed_in['accessToken']}"}, timeout=20)
    url = live.url + path
    async with client, client.stream("GET", url) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        assert await anext(lines) == "retry: 3000"
        await phone.http.delete(f"/auth/v1/devices/{phone.signed_in['deviceId']}")
        assert [line async for line in lines]
    async with httpx.AsyncClient(headers=client.headers) as again:
        assert (await again.get(url)).status_code == 401
