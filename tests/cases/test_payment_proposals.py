"""What moves money takes two people: one officer proposes a change, a stop or a return, another decides it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from server.cases.daily import begin_payments
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.working_days import day_of
from server.models.benefits import BenefitChange, PaymentProposal
from server.models.cases import CaseFile, RelativeOnStaff
from server.models.people import Staff, StaffRole
from tests import days
from tests.benefits.test_changes import earns, household_of, in_force
from tests.cases.test_procedure import to_county
from tests.makers.cases import calculated, done, look, refused, settled, step

STOP: dict[str, Any] = {"reason": "收入超过标准", "ground": "income"}


async def test_nobody_stops_a_payment_that_nobody_else_has_proposed_to_stop(office):
    case_id, county = await in_force(office)
    assert await refused(county, case_id, "stopped", **STOP) == "case.proposal_missing"
    await done(county, case_id, "stop_proposed", **STOP)
    assert await refused(county, case_id, "stopped", reason="收入超过标准") == "case.second_person"
    shown = await look(county, case_id)
    assert (shown["proposal"]["isOwn"], "stopped" in shown["acts"]) == (True, False)
    assert (await household_of(office, case_id)).monthly_amount_fen is not None


async def test_another_officer_decides_as_it_was_proposed(office, services):
    case_id, county = await in_force(office)
    town = await office.person("town_officer")
    month = days.month(2)
    await done(town, case_id, "stop_proposed", **STOP, fromMonth=month.isoformat())
    proposal = (await look(county, case_id))["proposal"]
    assert (proposal["step"], proposal["groundZh"], proposal["proposedByName"], proposal["isOwn"]) == (
        "stopped", "收入超过标准", town.signed_in["name"], False,
    )  # fmt: skip
    assert {"stopped", "proposal_declined"} <= set((await look(county, case_id))["acts"])
    assert await refused(town, case_id, "stop_proposed", **STOP) == "case.proposal_open"
    stopped = await done(county, case_id, "stopped", reason="收入超过标准")
    assert (stopped["stoppedFrom"], stopped["proposal"]) == (month.isoformat(), None)
    async with services.sessions() as session:
        (row,) = list(await session.scalars(select(PaymentProposal)))
        assert (row.outcome, row.proposed_by != row.decided_by) == ("decided", True)


async def test_a_change_is_decided_on_the_calculation_that_was_proposed(office):
    case_id, county = await in_force(office)
    town = await office.person("town_officer")
    await earns(office, case_id, 50_00)
    first = await calculated(town, case_id)
    await done(town, case_id, "change_proposed", reason="新增收入")
    assert (await look(county, case_id))["proposal"]["amountFen"] == first["amountFen"]
    await calculated(county, case_id)
    assert await refused(county, case_id, "amount_changed", reason="新增收入") == "case.proposal_outdated"
    await done(county, case_id, "proposal_declined", reason="重新测算")
    await done(town, case_id, "change_proposed", reason="新增收入")
    assert (await done(county, case_id, "amount_changed", reason="新增收入"))["amountFen"] == first["amountFen"]


async def test_a_proposal_that_is_put_aside_moves_nothing_and_the_household_reads_neither(office):
    case_id, county = await in_force(office)
    town, resident = await office.person("town_officer"), await office.resident()
    before = (await resident.http.get(f"/resident/v1/cases/{case_id}")).json()["status"]["timeline"]
    assert await refused(county, case_id, "proposal_declined", reason="无") == "case.proposal_missing"
    await done(town, case_id, "stop_proposed", **STOP)
    await done(county, case_id, "proposal_declined", reason="收入为一次性")
    assert await refused(county, case_id, "stopped", reason="收入超过标准") == "case.proposal_missing"
    assert (await resident.http.get(f"/resident/v1/cases/{case_id}")).json()["status"]["timeline"] == before
    assert [item["step"] for item in (await look(town, case_id))["timeline"]][-2:] == [
        "stop_proposed", "proposal_declined",
    ]  # fmt: skip


async def test_a_declared_relative_neither_proposes_nor_decides(office):
    case_id, county = await in_force(office)
    town = await office.person("town_officer")
    async with open_session(office.services.sessions) as session:
        case = await session.get_one(CaseFile, UUID(str(case_id)))
        for officer in (county, town):
            session.add(
                RelativeOnStaff(
                    household_id=case.household_id, name=officer.signed_in["name"], office="民政", relation="舅",
                    declared_on=case.applied_on,
                )
            )  # fmt: skip
    assert await refused(town, case_id, "stop_proposed", **STOP) == "case.own_relative"
    assert await refused(county, case_id, "stopped", reason="收入超过标准") == "case.own_relative"


async def delegated(office):
    """The county has delegated, and the town has two officers."""
    await office.rule("case.decided_by", "town")
    async with open_session(office.services.sessions) as session:
        await session.execute(update(CaseFile).values(rules_on=days.in_days(0)))
        colleague = Staff(id=new_id(), login="town2", name="甘黍畦", password_hash=None)
        session.add(colleague)
        await session.flush()
        session.add(StaffRole(staff_id=colleague.id, role="town_officer", area_code="339901001"))
    return await office.person("town_officer"), await office.sign_in("town2")


async def test_where_the_town_decides_whoever_proposed_the_grant_does_not_give_it(office):
    case_id = await office.case()
    await to_county(office, case_id)
    town, second = await delegated(office)
    assert await refused(town, case_id, "confirmed") == "case.second_person"
    assert (await done(second, case_id, "confirmed"))["state"] == "confirmed"


async def test_where_the_town_decides_two_officers_of_the_town_do_it(office):
    case_id, _ = await in_force(office)
    town, second = await delegated(office)
    await done(town, case_id, "stop_proposed", **STOP)
    assert await refused(town, case_id, "stopped", reason="收入超过标准") == "case.second_person"
    assert (await done(second, case_id, "stopped", reason="收入超过标准"))["state"] == "stopped"


async def test_the_database_itself_refuses_a_payment_by_one_person(office, services):
    case_id, county = await in_force(office)
    await done(county, case_id, "stop_proposed", **STOP)
    one_person = update(PaymentProposal).values(
        outcome="decided", decided_by=PaymentProposal.proposed_by, decided_at=utc_now()
    )
    with pytest.raises(IntegrityError, match="payment_takes_two"):
        async with open_session(services.sessions) as session:
            await session.execute(one_person)


async def test_the_same_proposal_again_is_the_same(office):
    case_id, _ = await in_force(office)
    town = await office.person("town_officer")
    first = await step(town, case_id, "stop_proposed", key="once", **STOP)
    again = await step(town, case_id, "stop_proposed", key="once", **STOP)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json()["proposal"]["id"] == first.json()["proposal"]["id"]


# --- grounds and the register of stops


async def test_a_ground_is_a_code_of_the_area_and_keeps_its_name_in_the_register(office):
    case_id, county = await in_force(office)
    town = await office.person("town_officer")
    unknown = await step(town, case_id, "stop_proposed", reason="其他", ground="lottery")
    assert unknown.json()["errors"][0]["code"] == "ground.unknown"
    codes = [ground["code"] for ground in (await look(town, case_id))["stopGrounds"]]
    assert {"employment", "pension", "moved", "death", "found_by_report", "refused_work", "own_wish"} <= set(codes)
    await settled(office, case_id, "stopped", reason="查实为关系保", ground="wrongly_granted.favour")

    await office.rule("case.stop_grounds", [{"code": "lottery", "zh": "中奖", "en": "Lottery"}])
    assert (await county.http.get("/desk/v1/stop-grounds")).json() == [
        {"code": "lottery", "zh": "中奖", "en": "Lottery"}
    ]
    for ground, count in (("wrongly_granted", 1), ("wrongly_granted.favour", 1), ("wrongly_granted.split", 0)):
        params = {"kind": "stopped", "ground": ground}
        items = (await county.http.get("/desk/v1/benefit-changes", params=params)).json()["items"]
        assert [item["groundZh"] for item in items] == ["认定有误：人情保、关系保"] * count, ground
    saved = await county.http.get("/desk/v1/benefit-changes/export", params={"kind": "stopped", "format": "csv"})
    assert "认定有误：人情保、关系保" in saved.text


# --- coming back


async def test_nobody_comes_back_without_an_application_unless_the_area_allows_it(office):
    case_id, county = await in_force(office)
    await settled(office, case_id, "stopped", **STOP)
    assert "return_proposed" not in (await look(county, case_id))["acts"]
    assert await refused(county, case_id, "return_proposed", reason="失业") == "case.come_back_closed"


async def test_a_household_comes_back_within_the_months_that_its_area_allows(office, services):
    case_id, county = await in_force(office)
    await office.rule("case.come_back_months", 3)
    await settled(office, case_id, "stopped", **STOP)
    resident = await office.resident()
    again = await calculated(county, case_id)
    back = await settled(office, case_id, "came_back", reason="再次失业")
    next_month = days.month(1).isoformat()
    assert (back["state"], back["paidFrom"], back["stoppedFrom"]) == ("confirmed", next_month, None)
    paper = await county.http.get(f"/desk/v1/cases/{case_id}/notices/confirmed")
    assert paper.status_code == 200
    await done(county, case_id, "published")
    async with open_session(services.sessions) as session:
        assert await begin_payments(session, utc_now() + timedelta(days=32)) == 1
    assert (await household_of(office, case_id)).monthly_amount_fen == again["amountFen"]
    async with services.sessions() as session:
        kinds = list(await session.scalars(select(BenefitChange.kind).order_by(BenefitChange.id)))
    assert kinds == ["granted", "stopped", "granted"]
    own = (await resident.http.get(f"/resident/v1/cases/{case_id}")).json()["status"]
    assert own["timeline"][-1]["step"] == "in_force"
    assert "came_back" in {item["step"] for item in own["timeline"]}


async def test_the_way_back_closes_with_its_months_and_with_a_new_application(office):
    case_id, county = await in_force(office)
    await office.rule("case.come_back_months", 3)
    await settled(office, case_id, "stopped", **STOP)
    async with open_session(office.services.sessions) as session:
        await session.execute(
            update(CaseFile).where(CaseFile.id == UUID(str(case_id))).values(stopped_from=days.month(-3))
        )
    assert await refused(county, case_id, "return_proposed", reason="失业") == "case.come_back_closed"
    async with open_session(office.services.sessions) as session:
        await session.execute(
            update(CaseFile).where(CaseFile.id == UUID(str(case_id))).values(stopped_from=day_of(utc_now()))
        )
    worker = await office.person("caseworker")
    body = {"id": str(new_id()), "householdId": (await look(county, case_id))["householdId"]}
    assert (await worker.http.post("/desk/v1/applications", json=body)).status_code == 201
    assert await refused(county, case_id, "return_proposed", reason="失业") == "case.open_already"
