"""Raising the standard: previewed home by home, confirmed by a second person, applied by a job, undone before its month."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update

from server.benefits.amount_timeline import build_timeline
from server.benefits.changes import apply_due_changes
from server.cases import raise_changes, raise_preview
from server.cases.daily import run_daily
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import RunDailyCaseWork
from server.models.areas import PolicySetting
from server.models.benefits import BenefitChange
from server.models.cases import Calculation, CaseEvent, CaseFile
from server.models.people import Staff, StaffRole
from server.models.raises import StandardRaiseLine
from server.models.rosters import Roster
from tests import days
from tests.benefits.test_changes import earns, household_of, in_force
from tests.makers.cases import Office, calculated, done, look, settled
from tests.pdf import words

ADDRESS = "/desk/v1/standard-raises"
COUNTY = "339901"
DOCUMENT = "县民发〔测试〕8号"


async def colleague_of(office: Office):
    """A second officer of the county."""
    async with open_session(office.services.sessions) as session:
        if await session.scalar(select(Staff).where(Staff.login == "county2")) is None:
            staff = Staff(id=new_id(), login="county2", name="闻人霁", password_hash=None)
            session.add(staff)
            await session.flush()
            session.add(StaffRole(staff_id=staff.id, role="county_officer", area_code=COUNTY))
    return await office.sign_in("county2")


async def propose(desk, **changes: Any):
    body = {"id": str(new_id()), "areaCode": COUNTY, "month": days.month(1).isoformat(), "document": DOCUMENT}
    return await desk.http.post(ADDRESS, json=body | {"urbanFen": 99_000, "ruralFen": 98_000} | changes)


async def previewed(system, desk, **changes: Any):
    answer = await propose(desk, **changes)
    assert answer.status_code == 201, answer.text
    await system.run_jobs()
    return await shown(desk, answer.json()["id"])


async def shown(desk, raise_id):
    answer = await desk.http.get(f"{ADDRESS}/{raise_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def decide(desk, raise_id, outcome="confirmed", reason=""):
    return await desk.http.post(f"{ADDRESS}/{raise_id}/decision", json={"outcome": outcome, "reason": reason})


async def undo(desk, raise_id, reason=""):
    return await desk.http.post(f"{ADDRESS}/{raise_id}/undo", json={"reason": reason})


async def line_of(desk, raise_id, case_id):
    items = (await desk.http.get(f"{ADDRESS}/{raise_id}/lines", params={"limit": 200})).json()["items"]
    return next((line for line in items if line["caseId"] == str(case_id)), None)


async def applied(system, office, case_id, county, **changes: Any):
    """A raise that a colleague has confirmed, with the line of the case."""
    raised = await previewed(system, county, **changes)
    answer = await decide(await colleague_of(office), raised["id"])
    assert answer.status_code == 200, answer.text
    await system.run_jobs()
    return raised["id"], await line_of(county, raised["id"], case_id)


async def test_the_preview_shows_each_home_before_and_after_and_moves_nothing(office, system):
    case_id, county = await in_force(office)
    before = (await look(county, case_id))["amountFen"]
    raised = await previewed(system, county)
    line = await line_of(county, raised["id"], case_id)
    assert (raised["state"], line["doubt"], line["beforeFen"]) == ("ready", None, before)
    assert line["afterFen"] > before
    assert raised["counts"]["costFen"] >= line["afterFen"] - before
    assert (await look(county, case_id))["amountFen"] == before
    assert (await household_of(office, case_id)).monthly_amount_fen == before
    file = await county.http.get(f"{ADDRESS}/{raised['id']}/lines/export", params={"format": "csv"})
    assert line["applicationNumber"] in file.content.decode("utf-8-sig")
    assert raised["id"] in (await county.http.get(ADDRESS)).text
    listed = await county.http.get(f"{ADDRESS}/export", params={"format": "csv"})
    assert DOCUMENT in listed.content.decode("utf-8-sig")


async def test_nobody_confirms_what_they_proposed_and_a_town_confirms_nothing(office, system):
    _, county = await in_force(office)
    raised = await previewed(system, county)
    assert (await decide(county, raised["id"])).json()["code"] == "rule.second_person"
    town = await office.person("town_officer")
    assert (await decide(town, raised["id"])).json()["code"] == "auth.forbidden"
    assert (await propose(town)).json()["code"] == "auth.forbidden"
    assert (await shown(town, raised["id"]))["canDecide"] is False


async def test_a_confirmed_raise_writes_the_standard_and_each_homes_decision_with_its_calculation(
    office, system, services
):
    case_id, county = await in_force(office)
    resident = await office.resident()
    raise_id, line = await applied(system, office, case_id, county)
    assert ((await shown(county, raise_id))["state"], line["outcome"]) == ("applied", "applied")
    case = await look(county, case_id)
    assert case["amountFen"] == line["afterFen"]
    assert [(span["kind"], span["beforeFen"], span["amountFen"]) for span in case["amounts"]] == [
        ("granted", 0, line["beforeFen"]),
        ("raised", line["beforeFen"], line["afterFen"]),
    ]
    own = (await resident.http.get(f"/resident/v1/cases/{case_id}")).json()["status"]
    assert (own["amountFen"], own["amounts"]) == (line["beforeFen"], case["amounts"])
    assert DOCUMENT in own["amounts"][-1]["reason"]
    assert "changed" in [notice["kind"] for notice in (await resident.http.get("/resident/v1/notices")).json()["items"]]
    async with services.sessions() as session:
        rows = select(PolicySetting).where(PolicySetting.area_code == COUNTY, PolicySetting.source == DOCUMENT)
        (row,) = list(await session.scalars(rows))
        assert (row.value, row.effective_from) == ({"urban": 99_000, "rural": 98_000}, days.month(1))
        assert row.agreed_by not in {None, row.written_by}
        event = await session.scalar(select(CaseEvent).where(CaseEvent.step == "standard_raised"))
        calculation = await session.get_one(Calculation, UUID(event.facts["calculationId"]))
        assert calculation.amount_fen == event.facts["amountFen"]
    assert (await county.http.get(f"/desk/v1/cases/{case_id}/notices/changed")).status_code == 200


async def test_what_is_raised_is_what_a_calculation_of_the_month_gives(office, system):
    case_id, county = await in_force(office)
    _, line = await applied(system, office, case_id, county)
    assert (await calculated(county, case_id, days.month(1).isoformat()))["amountFen"] == line["afterFen"]
    assert (await settled_again(county, case_id)) == "case.amount_unchanged"


async def settled_again(county, case_id):
    version = (await look(county, case_id))["version"]
    answer = await county.http.post(
        f"/desk/v1/cases/{case_id}/steps",
        json={"step": "change_proposed", "reason": "再调"},
        headers={"If-Match": f'"{version}"'},
    )
    return answer.json()["code"]


async def test_the_amount_follows_on_the_first_of_the_month(office, system, services):
    case_id, county = await in_force(office)
    _, line = await applied(system, office, case_id, county)
    assert (await household_of(office, case_id)).monthly_amount_fen == line["beforeFen"]
    async with open_session(services.sessions) as session:
        moved = update(BenefitChange).where(BenefitChange.kind == "raised").values(month=days.month(0))
        await session.execute(moved)
        assert await apply_due_changes(session, utc_now()) >= 1
    assert (await household_of(office, case_id)).monthly_amount_fen == line["afterFen"]


async def test_a_raise_of_a_month_that_has_begun_counts_at_once_and_names_the_arrears(office, system):
    case_id, county = await in_force(office)
    raise_id, line = await applied(system, office, case_id, county, month=days.month(0).isoformat())
    counts = (await shown(county, raise_id))["counts"]
    assert (await household_of(office, case_id)).monthly_amount_fen == line["afterFen"]
    assert counts["arrearsFen"] == counts["costFen"]
    assert (await undo(county, raise_id, "弄错")).json()["code"] == "raise.month_begun"


async def test_a_home_that_the_old_standard_would_not_pay_so_is_left_to_a_person(office, system):
    case_id, county = await in_force(office)
    await earns(office, case_id, 50_00)
    raised = await previewed(system, county)
    line = await line_of(county, raised["id"], case_id)
    assert (line["doubt"], raised["counts"]["more"], raised["counts"]["costFen"]) == ("differs_before", 0, 0)
    first = (await county.http.get(f"{ADDRESS}/{raised['id']}/lines")).json()["items"][0]
    assert first["doubt"] is not None
    await decide(await colleague_of(office), raised["id"])
    await system.run_jobs()
    assert (await look(county, case_id))["amountFen"] == line["beforeFen"]


@pytest.mark.parametrize("doubt", ["programme_missing", "proposal_open", "stop_to_come", "not_eligible"])
async def test_whatever_waits_for_a_person_is_named_and_left_out(office, system, services, doubt):
    case_id, county = await in_force(office)
    if doubt == "programme_missing":
        async with open_session(services.sessions) as session:
            await session.execute(update(CaseFile).where(CaseFile.id == case_id).values(programme=None))
    elif doubt == "proposal_open":
        await done(county, case_id, "stop_proposed", reason="收入超过标准", ground="income")
    elif doubt == "stop_to_come":
        month = days.month(3).isoformat()
        await settled(office, case_id, "stopped", reason="收入超过标准", ground="income", fromMonth=month)
    else:
        await earns(office, case_id, 900_000)
    raised = await previewed(system, county)
    assert (await line_of(county, raised["id"], case_id))["doubt"] in {doubt, "decided_later"}
    assert (await shown(county, raised["id"]))["counts"]["odd"] == 1


async def test_a_home_that_has_changed_since_the_preview_is_left_as_it_is(office, system):
    case_id, county = await in_force(office)
    raised = await previewed(system, county)
    before = (await look(county, case_id))["amountFen"]
    await earns(office, case_id, 50_00)
    await decide(await colleague_of(office), raised["id"])
    await system.run_jobs()
    line = await line_of(county, raised["id"], case_id)
    assert (line["doubt"], line["outcome"]) == ("changed_since", "left")
    assert (await look(county, case_id))["amountFen"] == before


async def test_two_people_undo_it_before_its_month_and_the_line_of_amounts_is_as_before(office, system, services):
    case_id, county = await in_force(office)
    second = await colleague_of(office)
    amounts = (await look(county, case_id))["amounts"]
    raise_id, line = await applied(system, office, case_id, county)
    assert (await undo(county, raise_id)).json()["code"] == "review.reason_required"
    assert (await undo(county, raise_id, "标准有误")).json()["state"] == "applied"
    assert (await undo(county, raise_id, "标准有误")).json()["state"] == "applied"
    assert (await undo(second, raise_id)).json()["state"] == "undoing"
    await system.run_jobs()
    assert (await shown(county, raise_id))["state"] == "undone"
    case = await look(county, case_id)
    assert (case["amountFen"], case["amounts"]) == (line["beforeFen"], amounts)
    async with services.sessions() as session:
        assert await session.scalar(select(PolicySetting).where(PolicySetting.source == DOCUMENT)) is None
    again = await previewed(system, county)
    assert (await line_of(county, again["id"], case_id))["doubt"] is None


async def test_a_frozen_roster_of_the_month_keeps_the_raise(office, system, services):
    case_id, county = await in_force(office)
    raise_id, line = await applied(system, office, case_id, county)
    async with open_session(services.sessions) as session:
        officer = (await session.scalars(select(Staff).where(Staff.login == "county2"))).one()
        session.add(
            Roster(
                number="R-1", kind="monthly", program="dibao", program_zh="低保", program_en="dibao", fund="县级",
                area_code=COUNTY + "001", month=days.month(1), state="frozen", made_by=officer.id, made_at=utc_now(),
                lines_hash="0" * 64,
            )
        )  # fmt: skip
    assert (await undo(county, raise_id, "标准有误")).json()["code"] == "raise.roster_frozen"
    assert (await look(county, case_id))["amountFen"] == line["afterFen"]


async def test_a_decision_made_since_outlasts_the_undoing(office, system):
    case_id, county = await in_force(office)
    raise_id, _ = await applied(system, office, case_id, county)
    await earns(office, case_id, 50_00)
    later = (await calculated(county, case_id, days.month(1).isoformat()))["amountFen"]
    await settled(office, case_id, "amount_changed", reason="新增收入")
    await undo(county, raise_id, "标准有误")
    await undo(await colleague_of(office), raise_id)
    await system.run_jobs()
    line = await line_of(county, raise_id, case_id)
    assert ((await look(county, case_id))["amountFen"], line["doubt"], line["outcome"]) == (
        later, "decided_since", "kept",
    )  # fmt: skip


async def test_what_is_no_raise_and_a_second_raise_beside_it_are_refused(office, system):
    _, county = await in_force(office)
    low = await propose(county, urbanFen=50_00, ruralFen=None)
    assert [fault["code"] for fault in low.json()["errors"]] == ["standard.not_higher"]
    assert (await propose(county, urbanFen=None, ruralFen=None)).json()["errors"][0]["code"] == "standard.missing"
    far = await propose(county, month=days.month(14).isoformat())
    assert far.json()["errors"][0]["code"] == "month.too_far"
    raised = await previewed(system, county)
    assert (await propose(county)).json()["code"] == "raise.open"
    assert (await decide(county, raised["id"], "declined")).json()["code"] == "review.reason_required"
    assert (await decide(county, raised["id"], "declined", "写错")).json()["state"] == "declined"
    assert (await propose(county, id=raised["id"])).status_code == 201
    assert (await propose(county, id=raised["id"], urbanFen=99_100)).json()["code"] == "request.idempotency_key_reused"
    await office.rule("amount.standard_fen", 60_000, since=days.month(2))
    assert (await propose(county)).json()["code"] == "raise.later_standard"


async def test_a_place_with_a_standard_of_its_own_is_not_touched(office, system):
    case_id, county = await in_force(office)
    await office.rule("amount.standard_fen", 70_000, area="339901001", since=date(2020, 1, 3))
    raised = await previewed(system, county)
    assert (raised["counts"]["elsewhere"], await line_of(county, raised["id"], case_id)) == (1, None)


async def test_a_job_that_dies_on_the_way_goes_on_where_it_stopped(office, system, monkeypatch):
    case_id, county = await in_force(office)
    monkeypatch.setattr(raise_preview, "STEP", 1)
    monkeypatch.setattr(raise_changes, "STEP", 1)
    raise_id, line = await applied(system, office, case_id, county)
    counts = (await shown(county, raise_id))["counts"]
    assert (line["outcome"], counts["applied"], counts["appliedFen"]) == ("applied", counts["more"], counts["costFen"])
    async with office.services.sessions() as session:
        rows = select(BenefitChange).where(BenefitChange.case_id == case_id).order_by(BenefitChange.id)
        changes = list(await session.scalars(rows))
    assert [change.kind for change in changes] == ["granted", "raised"]
    assert build_timeline(changes).spans[-1].amount_fen == line["afterFen"]


async def without_line(office):
    """As of a home that was granted after the preview: the raise has no line for it."""
    async with open_session(office.services.sessions) as session:
        await session.execute(delete(StandardRaiseLine))


async def test_a_home_granted_after_the_preview_is_named_to_a_person_until_its_month(office, system, services):
    case_id, county = await in_force(office)
    raised = await previewed(system, county)
    before = (await look(county, case_id))["amountFen"]
    await without_line(office)
    await decide(await colleague_of(office), raised["id"])
    await system.run_jobs()
    line = await line_of(county, raised["id"], case_id)
    assert (line["doubt"], line["outcome"], line["beforeFen"]) == ("granted_since", "left", before)
    assert line["afterFen"] > before
    assert (await look(county, case_id))["amountFen"] == before
    # Granted when the raise was applied long since: the nightly job looks until the month has begun.
    await without_line(office)
    await run_daily(services, RunDailyCaseWork())
    assert (await line_of(county, raised["id"], case_id))["doubt"] == "granted_since"


async def test_a_home_granted_by_the_new_standard_needs_nobody_until_the_raise_is_undone(office, system, services):
    case_id, county = await in_force(office)
    raise_id, line = await applied(system, office, case_id, county)
    await without_line(office)
    await run_daily(services, RunDailyCaseWork())
    named = await line_of(county, raise_id, case_id)
    assert (named["doubt"], named["beforeFen"]) == (None, line["afterFen"])
    await undo(county, raise_id, "标准有误")
    await undo(await colleague_of(office), raise_id)
    await system.run_jobs()
    assert (await shown(county, raise_id))["state"] == "undone"
    named = await line_of(county, raise_id, case_id)
    assert (named["doubt"], named["outcome"], named["afterFen"]) == ("decided_since", "kept", line["beforeFen"])
    assert (await look(county, case_id))["amountFen"] == line["afterFen"]


async def test_the_poster_of_a_confirmed_raise_names_the_standards_and_nobody(office, system):
    case_id, county = await in_force(office)
    raised = await previewed(system, county)
    path = f"{ADDRESS}/{raised['id']}/poster"
    assert (await county.http.get(path)).json()["code"] == "raise.not_ready"
    await decide(await colleague_of(office), raised["id"])
    await system.run_jobs()
    poster = await county.http.get(path)
    assert poster.status_code == 200, poster.text
    printed = words(poster.content)
    assert "980.00" in printed
    assert "990.00" in printed
    line = await line_of(county, raised["id"], case_id)
    assert line["headName"] not in printed
    town = await office.person("town_officer")
    assert (await town.http.get(path)).json()["code"] == "auth.forbidden"
