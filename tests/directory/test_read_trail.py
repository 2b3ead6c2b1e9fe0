"""Who looked at whom, as auditors read it: by reader, household and day; reading it leaves a line itself."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from server.core.clock import today, utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models.audit import ReadEntry
from server.models.cases import CaseFile
from server.models.households import Household
from server.models.people import Staff, StaffRole


@pytest.fixture
async def town(system):
    return await system.sign_in_at_desk("panhuaixu", "town_officer")


async def looks(person, **query):
    answer = await person.http.get("/desk/v1/reads", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def homes_of_the_town(services, count):
    async with open_session(services.sessions) as session:
        rows = select(Household).where(Household.area_code.startswith("339901001")).order_by(Household.number)
        return list(await session.scalars(rows.limit(count)))


async def test_an_auditor_finds_who_looked_at_a_household_also_through_its_case(desk, town, services):
    async with open_session(services.sessions) as session:
        case = await session.scalar(select(CaseFile).where(CaseFile.area_code.startswith("339901001")).limit(1))
        home = await session.get_one(Household, case.household_id)
    other = next(found for found in await homes_of_the_town(services, 2) if found.id != home.id)
    for path in (f"households/{home.id}", f"cases/{case.id}", f"households/{other.id}"):
        assert (await town.http.get(f"/desk/v1/{path}")).status_code == 200
    lines = await looks(desk, householdId=str(home.id))
    assert [(line["thingKind"], line["actorName"], line["headName"]) for line in lines] == [
        ("case", "潘槐序", home.head_name),
        ("household", "潘槐序", home.head_name),
    ]
    assert {line["householdNumber"] for line in lines} == {home.number}
    assert len(await looks(desk, actorId=str(town.id))) == 3
    assert await looks(desk, actorId=str(town.id), action="listed") == []


async def test_the_trail_is_asked_by_day(desk, town, services):
    (home,) = await homes_of_the_town(services, 1)
    values = {"actor_kind": "staff", "actor_id": town.id, "action": "opened", "thing_kind": "household", "shown": 1}
    async with open_session(services.sessions) as session:
        for age in (0, 3):
            at = utc_now() - timedelta(days=age)
            await session.execute(insert(ReadEntry).values(at=at, filters={}, thing_id=str(home.id), **values))
    day = today() - timedelta(days=3)
    (line,) = await looks(desk, householdId=str(home.id), since=str(day), until=str(day))
    assert line["at"] < (utc_now() - timedelta(days=2)).isoformat()
    assert len(await looks(desk, householdId=str(home.id), since=str(day))) == 2
    far = await desk.http.get("/desk/v1/reads", params={"until": "9999-12-31"})
    assert (far.status_code, far.json()["code"]) == (400, "request.invalid")


async def test_the_trail_is_for_who_may_audit_and_reading_it_leaves_a_line(desk, town, system, services):
    assert (await town.http.get("/desk/v1/reads")).json()["code"] == "auth.forbidden"
    await looks(desk)
    saved = await desk.http.get("/desk/v1/reads/export", params={"actorId": str(desk.id), "format": "csv"})
    assert "read_trail" in saved.text
    lines = await looks(desk, actorId=str(desk.id))
    assert [(line["thingKind"], line["action"]) for line in lines] == [
        ("read_trail", "exported"),
        ("read_trail", "listed"),
    ]


async def test_looks_of_another_county_and_its_homes_stay_there(desk, services):
    (home,) = await homes_of_the_town(services, 1)
    async with open_session(services.sessions) as session:
        elsewhere = Staff(id=new_id(), login="elsewhere", name="外县人", password_hash=None)
        session.add(elsewhere)
        await session.flush()
        session.add(StaffRole(staff_id=elsewhere.id, role="county_officer", area_code="110101"))
        at_home = {"actor_kind": "staff", "actor_id": elsewhere.id, "action": "opened", "thing_kind": "household"}
        for thing_id in (str(new_id()), str(home.id)):
            await session.execute(
                insert(ReadEntry).values(at=utc_now(), shown=1, filters={}, thing_id=thing_id, **at_home)
            )
    assert "外县人" not in {line["actorName"] for line in await looks(desk)}
    assert [line["actorName"] for line in await looks(desk, householdId=str(home.id))] == ["外县人"]
    refused = await desk.http.get("/desk/v1/reads", params={"householdId": str(new_id())})
    assert refused.json()["code"] == "thing.not_found"
