"""A visit that no checklist fits is not lost: who ordered it hears of it, and it goes out once one is published."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import delete, func, select, update

from server.cases.transitions import apply_transition
from server.checklists.publishing import publish
from server.checklists.shipped import load_shipped
from server.core.clock import utc_now
from server.core.database import open_session
from server.models.cases import CaseFile
from server.models.checklists import ChecklistTemplate
from server.models.households import Assignment, Caseload, Household
from server.models.people import Staff
from server.models.workload import BlockedVisit, DayPlanStop
from server.workload.schedule import schedule_reviews
from tests.makers.cases import VILLAGE, Office, done
from tests.workload.test_workload import run

BLOCKED = "/desk/v1/blocked-visits"


@pytest.fixture
async def office(system, services, county):
    return Office(system, services, county)


async def retire(services, kind):
    async with open_session(services.sessions) as session:
        rows = update(ChecklistTemplate).where(ChecklistTemplate.kind == kind)
        await session.execute(rows.values(retired_at=utc_now()))


async def publish_anew(services, kind):
    template = next(item for item in load_shipped() if item.kind == kind)
    async with open_session(services.sessions) as session:
        await publish(session, msgspec.structs.replace(template, version=template.version + 1))


async def count_open(services, case_id):
    async with services.sessions() as session:
        rows = select(func.count()).select_from(Assignment)
        return await session.scalar(rows.where(Assignment.case_id == case_id, Assignment.state == "open"))


async def test_whoever_ordered_it_and_the_administrators_hear_of_it_and_it_goes_out_later(office, system):
    await retire(system.services, "intake")
    case_id = await office.case(state="applied")
    town = await office.person("town_officer")
    async with open_session(system.services.sessions) as session:
        case = await session.get_one(CaseFile, case_id)
        await session.execute(delete(Assignment).where(Assignment.case_id == case_id))
        await apply_transition(session, case, "accepted", cause="test", actor_id=town.id, at=utc_now())
    await system.run_jobs()
    async with system.services.sessions() as session:
        name = (await session.get_one(Staff, town.id)).name
    [result] = (await town.http.get(f"/desk/v1/cases/{case_id}")).json()["blockedVisits"]
    assert (result["code"], result["kind"]) == ("visit.no_checklist", "intake")
    assert "入户调查" in result["zh"]
    for person in (town, await office.person("county_officer"), await office.person("admin")):
        [line] = (await person.http.get(BLOCKED)).json()["items"]
        assert (line["code"], line["caseId"], line["orderedByName"]) == (result["code"], str(case_id), name)
        [notice] = (await person.http.get("/desk/v1/notices")).json()["items"]
        assert notice["kind"] == "visit_blocked"
        assert "入户调查" in notice["zh"]
    assert (await town.http.get(BLOCKED, params={"kind": "care"})).json()["items"] == []
    assert await count_open(system.services, case_id) == 0

    await publish_anew(system.services, "intake")
    await system.run_jobs()
    assert (await town.http.get(BLOCKED)).json()["items"] == []
    assert (await town.http.get(f"/desk/v1/cases/{case_id}")).json()["blockedVisits"] == []
    async with system.services.sessions() as session:
        [given] = await session.scalars(select(Assignment).where(Assignment.case_id == case_id))
        assert (given.kind, given.due_on.isoformat()) == ("intake", result["dueOn"])
        assert (await session.scalar(select(BlockedVisit.assignment_id))) == given.id


async def test_an_application_that_ended_orders_nothing_any_more(office, system):
    await retire(system.services, "intake")
    case_id = await office.case(state="applied")
    town = await office.person("town_officer")
    async with open_session(system.services.sessions) as session:
        await session.execute(delete(Assignment).where(Assignment.case_id == case_id))
    await office.system_step(case_id, "accepted")
    assert len((await town.http.get(BLOCKED)).json()["items"]) == 1
    await done(town, case_id, "withdrawn", reason="本人要求")
    assert (await town.http.get(BLOCKED)).json()["items"] == []
    await publish_anew(system.services, "intake")
    await system.run_jobs()
    assert await count_open(system.services, case_id) == 0


async def test_another_areas_desk_does_not_see_what_waits(office, system):
    await retire(system.services, "intake")
    await office.system_step(await office.case(state="applied"), "accepted")
    other = await office.sign_in(
        next(
            staff_member.login
            for staff_member in office.county.staff
            if staff_member.role == "town_officer" and not VILLAGE.startswith(staff_member.area_code)
        )
    )
    assert (await other.http.get(BLOCKED)).json()["items"] == []


async def test_reviews_of_the_timetable_wait_for_their_checklist_and_are_told_of_once(office, services, system):
    async with open_session(services.sessions) as session:
        await session.execute(delete(DayPlanStop))
        await session.execute(delete(Assignment).where(Assignment.kind == "review"))
    await retire(services, "review")
    county = await office.person("county_officer")
    assert await run(services) == 0
    assert await run(services) == 0
    await system.run_jobs()
    waiting = []
    cursor = None
    while True:
        page = (await county.http.get(BLOCKED, params={"limit": 3, **({"cursor": cursor} if cursor else {})})).json()
        waiting += page["items"]
        if (cursor := page["nextCursor"]) is None:
            break
    homes = {item["householdId"] for item in waiting}
    assert len(homes) == len(waiting) > 3
    assert [item["dueOn"] for item in waiting] == sorted(item["dueOn"] for item in waiting)
    [notice] = (await county.http.get("/desk/v1/notices")).json()["items"]
    assert notice["facts"]["count"] == len(waiting)
    await publish_anew(services, "review")
    await run(services)
    assert (await county.http.get(BLOCKED)).json()["items"] == []
    async with services.sessions() as session:
        given = select(Assignment.household_id).where(Assignment.kind == "review", Assignment.state == "open")
        assert homes <= {str(row) for row in await session.scalars(given)}
        planned = select(DayPlanStop.assignment_id).join(Assignment, Assignment.id == DayPlanStop.assignment_id)
        assert len((await session.scalars(planned.where(Assignment.household_id.in_(homes)))).all()) == len(homes)


# --- whose day it goes into ---


@pytest.fixture
async def shared(services, system):
    """A village whose homes two caseworkers hold, a few of them the second's alone."""
    async with open_session(services.sessions) as session:
        village = await session.scalar(select(Household.area_code).where(Household.class_.is_not(None)).limit(1))
        homes = list(
            await session.scalars(
                select(Household.id).where(Household.area_code == village, Household.class_.is_not(None)).limit(3)
            )
        )
        held = select(Caseload.staff_id).where(Caseload.household_id == homes[0], Caseload.revoked_at.is_(None))
        other = await session.scalar(
            select(Staff.id).where(Staff.login.in_(["linhexi", "hesuian"]), Staff.id.not_in(held)).limit(1)
        )
        await _hand(session, homes, other)
    return homes, other


async def _hand(session, homes, to):
    rows = update(Caseload).where(Caseload.household_id.in_(homes), Caseload.revoked_at.is_(None))
    await session.execute(rows.values(revoked_at=utc_now(), revoke_reason="test"))
    session.add_all(Caseload(household_id=home, staff_id=to) for home in homes)


async def planned_for(services, homes):
    async with services.sessions() as session:
        rows = await session.execute(
            select(Assignment.household_id, DayPlanStop.staff_id, DayPlanStop.day)
            .join(DayPlanStop, DayPlanStop.assignment_id == Assignment.id)
            .where(Assignment.household_id.in_(homes), Assignment.state == "open")
        )
        return rows.all()


async def test_each_visit_is_planned_for_whoever_holds_its_home(services, shared):
    homes, other = shared
    await run(services, utc_now() + timedelta(days=200))
    result = await planned_for(services, homes)
    assert {item for item, _, _ in result}
    assert {staff for _, staff, _ in result} == {other}


async def test_a_home_that_changes_hands_and_a_day_that_passed_are_planned_anew(services, shared, system):
    homes, other = shared
    now = utc_now()
    await run(services, now + timedelta(days=200))
    before = await planned_for(services, homes)
    async with open_session(services.sessions) as session:
        third = await session.scalar(select(Staff.id).where(Staff.login == "xuyuning"))
        await _hand(session, homes[:1], third)
    await run(services, now + timedelta(days=201))
    assert third in {staff for home, staff, _ in await planned_for(services, homes[:1])}
    after_all = max(day for _, _, day in before) + timedelta(days=30)
    async with open_session(services.sessions) as session:
        await schedule_reviews(session, "339901", datetime.combine(after_all, datetime.min.time(), tzinfo=UTC))
    kept = [item for item in await planned_for(services, homes[1:]) if item[1] == other]
    assert kept
    assert min(day for _, _, day in kept) >= after_all
