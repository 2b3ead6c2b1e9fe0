"""The end of a gradual exit: found ahead, told to the household, decided on by people, deferred by the county."""

from datetime import date
from uuid import UUID

from sqlalchemy import delete, func, select

from server.cases.grace_ends import find_step
from server.core.clock import utc_now
from server.core.database import open_session
from server.models.benefits import BenefitChange
from server.models.cases import CaseFile, IncomeItem
from server.models.grace import GraceEnd
from tests import days
from tests.benefits.test_changes import in_force
from tests.makers.cases import calculated, look, settled

ADDRESS = "/desk/v1/grace-ends"


async def find(services):
    async with open_session(services.sessions) as session:
        await find_step(session, UUID(int=0), utc_now())


async def at_work(office, services, since: date):
    """A household that is paid and has risen above the standard by a job since that day, with two months of grace."""
    await office.rule("amount.exit_grace_months", 2)
    await office.rule("amount.disregard_months", 0)
    case_id, county = await in_force(office)
    async with open_session(services.sessions) as session:
        case = await session.get_one(CaseFile, case_id)
        session.add(
            IncomeItem(
                household_id=case.household_id, kind="wage", category="", period="month", declared_fen=900_000,
                verified_fen=900_000, started_on=since,
            )
        )  # fmt: skip
    await find(services)
    return case_id, county


async def listed(desk):
    answer = await desk.http.get(ADDRESS)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def defer(desk, line_id, until, reason="试用期未满"):
    return await desk.http.post(f"{ADDRESS}/{line_id}/deferral", json={"until": until.isoformat(), "reason": reason})


async def test_an_end_is_found_a_month_ahead_and_told_once_and_nothing_moves(office, services, system):
    case_id, county = await at_work(office, services, days.month(-1))
    resident = await office.resident()
    await find(services)
    (line,) = await listed(county)
    assert (line["caseId"], line["endsOn"], line["isOverdue"]) == (str(case_id), days.month(1).isoformat(), False)
    await system.run_jobs()
    notices = (await resident.http.get("/resident/v1/notices")).json()["items"]
    assert [notice["kind"] for notice in notices].count("grace_ending") == 1
    case = await look(county, case_id)
    assert (case["state"], case["amountFen"]) == ("in_force", line["amountFen"])
    async with services.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(BenefitChange)) == 1


async def test_a_grace_that_goes_on_for_longer_is_not_listed(office, services):
    _, county = await at_work(office, services, days.month(0))
    assert await listed(county) == []


async def test_the_county_defers_with_a_reason_and_within_what_the_area_allows(office, services):
    _, county = await at_work(office, services, days.month(-2))
    (line,) = await listed(county)
    assert line["isOverdue"] is True
    town = await office.person("town_officer")
    assert (await defer(town, line["id"], days.month(2))).json()["code"] == "auth.forbidden"
    assert (await defer(county, line["id"], days.month(4))).json()["errors"][0]["code"] == "month.too_far"
    assert (await defer(county, line["id"], days.month(2))).status_code == 200
    assert (await defer(county, line["id"], days.month(2))).status_code == 200
    (line,) = await listed(county)
    assert (line["dueOn"], line["isOverdue"], line["deferralReason"]) == (
        days.month(2).isoformat(), False, "试用期未满",
    )  # fmt: skip
    assert "试用期未满" in (await county.http.get(f"{ADDRESS}/export?format=csv")).content.decode("utf-8-sig")


async def test_a_decision_settles_the_line_for_good(office, services):
    case_id, county = await at_work(office, services, days.month(-2))
    (line,) = await listed(county)
    await settled(office, case_id, "stopped", reason="就业增收", ground="employment")
    assert await listed(county) == []
    await find(services)
    async with services.sessions() as session:
        assert (await session.scalar(select(GraceEnd.settled_at).where(GraceEnd.id == UUID(line["id"])))) is not None
        assert await session.scalar(select(func.count()).select_from(GraceEnd)) == 1


async def keep(desk, line_id, reason="已离职，重新测算金额不变"):
    return await desk.http.post(f"{ADDRESS}/{line_id}/kept-amount", json={"reason": reason})


async def test_a_calculation_that_gives_the_same_amount_settles_the_line_by_a_second_person(office, services):
    case_id, county = await at_work(office, services, days.month(-2))
    (line,) = await listed(county)
    assert (await keep(county, line["id"])).json()["code"] == "grace.not_calculated"
    async with open_session(services.sessions) as session:
        await session.execute(delete(IncomeItem).where(IncomeItem.kind == "wage"))
    town = await office.person("town_officer")
    calculation = await calculated(county, case_id)
    assert calculation["amountFen"] == line["amountFen"]
    assert (await keep(town, line["id"])).json()["code"] == "auth.forbidden"
    assert (await keep(county, line["id"])).json()["code"] == "case.second_person"
    await calculated(town, case_id)
    for _ in range(2):
        assert (await keep(county, line["id"])).status_code == 200
    assert await listed(county) == []
    async with services.sessions() as session:
        settled_line = await session.get_one(GraceEnd, UUID(line["id"]))
        assert (settled_line.settled_reason, settled_line.settled_at is not None) == ("已离职，重新测算金额不变", True)
        assert await session.scalar(select(func.count()).select_from(BenefitChange)) == 1
