"""The procedure: a table that is read by people, and cases led through it by officers."""

import asyncio
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import chinese_calendar.constants
import pytest
from sqlalchemy import delete, select, update

from server.benefits.changes import first_paid_month, month_after
from server.cases.daily import begin_payments
from server.cases.deadlines import backfill_deadlines
from server.cases.workflow import ACTIONS, STATE_INFO, TRANSITIONS, find_refusal
from server.core.access import Role
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import CATALOGUE
from server.core.ids import new_id
from server.core.working_days import Length, day_of, end_of, length_of
from server.models.areas import CalendarDay
from server.models.audit import AuditEntry
from server.models.cases import CASE_STATES, CaseDeadline, CaseEvent, CaseFile, RelativeOnStaff
from server.models.households import Assignment, Household
from tests import days
from tests.makers.cases import calculated, done, look, refused, step

# The last year whose working days are decreed.
PUBLISHED = max(chinese_calendar.constants.holidays).year
TABLE = Path(__file__).parent / "who_may_do_what.txt"
SHORT = {"auth.forbidden": "·", "case.not_now": "-", "case.closed": "x", "case.suspended": "s"}


# --- the table


def who_may_do_what() -> str:
    """For each role a table of acts by states: Y allowed, · not this role, - not now, x closed."""
    parts = ["Y allowed   · auth.forbidden   - case.not_now   x case.closed"]
    for role in Role:
        rows = [f"{act:18}" + " ".join(_judged(role, act)) for act in ACTIONS]
        may = [row for row in rows if set(row.split()[1:]) != {"·"}]
        parts.append(f"\n{role.value:18}" + " ".join(state[:7].rjust(7) for state in CASE_STATES))
        parts += may
        parts.append(f"{len(rows) - len(may)} other acts: · in every state" if len(may) < len(rows) else "")
    return "\n".join(parts) + "\n"


def _judged(role, act):
    codes = [
        find_refusal(act, case_state, {role}, is_suspended=False, decided_by=Role.COUNTY_OFFICER)
        for case_state in CASE_STATES
    ]
    return [(SHORT[code] if code else "Y").rjust(7) for code in codes]


def test_each_role_each_act_each_state_is_as_the_committed_table_says():
    assert who_may_do_what() == TABLE.read_text(), "look at the change and write the table anew"


def test_a_suspended_case_only_goes_on_or_is_withdrawn():
    allowed = {
        (act, state)
        for act in ACTIONS
        for state in CASE_STATES
        if find_refusal(act, state, set(Role), is_suspended=True, decided_by=Role.COUNTY_OFFICER) is None
    }
    assert {act for act, _ in allowed} == {"resumed", "withdrawn"}


def test_the_town_decides_where_the_county_has_delegated_and_only_there():
    town = {Role.TOWN_OFFICER}
    assert find_refusal("confirmed", "county", town, is_suspended=False, decided_by=Role.TOWN_OFFICER) is None
    assert (
        find_refusal("confirmed", "county", town, is_suspended=False, decided_by=Role.COUNTY_OFFICER)
        == "auth.forbidden"
    )


def test_every_state_can_be_reached_and_says_what_is_next():
    reached = {move.to_state for move in TRANSITIONS.values()}
    assert reached - {None} == set(CASE_STATES) == set(STATE_INFO)
    assert {state for move in TRANSITIONS.values() for state in move.from_states} <= set(CASE_STATES)


async def test_a_step_over_http_is_judged_by_the_same_table_in_every_state(office, services):
    case_id = await office.case(situations=["illness"])
    people: dict[Role, Any] = {role: await office.person(role.value) for role in Role if role is not Role.RESIDENT}
    people[Role.RESIDENT] = await office.resident()
    version = (await look(people[Role.TOWN_OFFICER], case_id))["version"]
    tried = 0
    for state in CASE_STATES:
        async with open_session(services.sessions) as session:
            await session.execute(update(CaseFile).where(CaseFile.id == case_id).values(state=state))
        for role, who in people.items():
            # Those who never may are asked for fewer acts: the answer is the same for all.
            for act in ACTIONS if role.value.endswith(("worker", "officer")) else ACTIONS[::9]:
                expected = find_refusal(act, state, {role}, is_suspended=False, decided_by=Role.COUNTY_OFFICER)
                if expected is None and role is not Role.RESIDENT:
                    continue  # led through below
                result = (await step(who, case_id, act, version=version, reason="试")).json()["code"]
                # A resident acts at their own address and has no business at the desk's.
                assert result == ("auth.forbidden" if role is Role.RESIDENT else expected), (role, act, state)
                assert result in CATALOGUE
                tried += 1
    assert tried > 900


# --- led through


async def to_county(office, case_id):
    """From accepted to the county's desk, by the shortest way there is."""
    town = await office.person("town_officer")
    await office.rule("amount.standard_fen", 36000)
    await done(town, case_id, "cross_check_begun")
    await office.system_step(case_id, "survey_done")
    assert await refused(town, case_id, "opinion_grant") == "case.amount_missing"
    await calculated(town, case_id)
    await done(town, case_id, "opinion_grant")
    await office.system_step(case_id, "posting_ended")


async def test_a_grant_goes_from_application_to_payment(office, services):
    case_id = await office.case()
    await to_county(office, case_id)
    county = await office.person("county_officer")
    result = await done(county, case_id, "confirmed")
    assert (result["state"], result["paidFrom"]) == (
        "confirmed",
        month_after(date.fromisoformat(result["decidedOn"])).isoformat(),
    )
    assert result["deadlines"] == []
    await done(county, case_id, "notice_delivered", delivery="本人签收")
    await done(county, case_id, "published")

    async with open_session(services.sessions) as session:
        assert await begin_payments(session, utc_now()) == 0
    async with open_session(services.sessions) as session:
        assert await begin_payments(session, utc_now() + timedelta(days=32)) == 1
        case = await session.get_one(CaseFile, case_id)
        household = await session.get_one(Household, case.household_id)
        assert (case.state, household.monthly_amount_fen) == ("in_force", case.amount_fen)
    result = await look(county, case_id)
    assert result["timeline"][-1]["step"] == "in_force"
    assert [item["step"] for item in result["timeline"]][-4:] == [
        "confirmed",
        "notice_delivered",
        "published",
        "in_force",
    ]


async def test_a_refusal_needs_its_reasons_and_a_notice_within_three_working_days(office):
    case_id = await office.case()
    town, county = await office.person("town_officer"), await office.person("county_officer")
    await office.system_step(case_id, "survey_done")
    assert await refused(town, case_id, "opinion_refuse") == "case.reason_required"
    await done(town, case_id, "opinion_refuse", reason="人均收入高于标准")
    assert await refused(county, case_id, "refused", reason="  ") == "case.reason_required"
    result = await done(county, case_id, "refused", reason="人均收入高于标准")
    assert [(item["kind"], item["count"], item["unit"]) for item in result["deadlines"]] == [
        ("notice", 3, "working_days")
    ]
    result = await done(county, case_id, "notice_delivered", delivery="邮寄")
    assert result["deadlines"] == []
    resident = await office.resident()
    own = (await resident.http.get("/resident/v1/cases")).json()[0]
    assert own["timeline"][-2]["reason"] == "人均收入高于标准"
    assert own["stateZh"] == "未通过"


async def test_a_relatives_case_waits_for_the_countys_own_visit(office):
    case_id = await office.case(needs_county_visit=True)
    await to_county(office, case_id)
    county = await office.person("county_officer")
    assert await refused(county, case_id, "confirmed") == "case.county_visit_missing"
    await office.system_step(case_id, "county_visited")
    assert (await done(county, case_id, "confirmed"))["state"] == "confirmed"


async def test_nobody_confirms_what_was_not_cross_checked(office):
    case_id = await office.case()
    town, county = await office.person("town_officer"), await office.person("county_officer")
    await office.rule("amount.standard_fen", 36000)
    await office.system_step(case_id, "survey_done")
    await calculated(town, case_id)
    await done(town, case_id, "opinion_grant")
    await office.system_step(case_id, "posting_ended")
    assert await refused(county, case_id, "confirmed") == "case.cross_check_missing"


async def test_the_county_sends_a_case_back_and_the_opinion_is_given_anew(office):
    case_id = await office.case()
    await to_county(office, case_id)
    county = await office.person("county_officer")
    result = await done(county, case_id, "returned_to_town", reason="计算有误")
    assert (result["state"], result["amountFen"]) == ("preliminary", None)
    assert "county_opinion" not in {item["kind"] for item in result["deadlines"]}


async def test_where_every_case_is_heard_the_opinion_waits_for_the_hearing(office):
    case_id = await office.case()
    await office.rule("case.hearing_required", value=True)
    town = await office.person("town_officer")
    await office.rule("amount.standard_fen", 36000)
    await office.system_step(case_id, "survey_done")
    await calculated(town, case_id)
    assert await refused(town, case_id, "opinion_grant") == "case.hearing_required"


async def test_a_resident_withdraws_once_and_cannot_touch_anothers_case(office):
    case_id = await office.case()
    mine, other = await office.resident(0), await office.resident(1)
    path = f"/resident/v1/cases/{case_id}/withdraw"
    assert (await other.http.post(path, json={"reason": "x"})).json()["code"] == "thing.not_found"
    for _ in range(2):
        answer = await mine.http.post(path, json={"reason": "已找到工作"})
        assert (answer.status_code, answer.json()["status"]["state"]) == (200, "withdrawn")
    steps = [item["step"] for item in answer.json()["status"]["timeline"]]
    assert steps.count("withdrawn") == 1


# --- once, and one of two


async def test_the_same_act_twice_is_once_by_key_and_straight_away(office, services):
    case_id = await office.case()
    town = await office.person("town_officer")
    version = (await look(town, case_id))["version"]
    for key in ("one", "one", None):
        result = await done(town, case_id, "survey_begun", version=version, key=key)
        assert (result["state"], result["version"]) == ("survey", version + 1)
    other = await step(town, case_id, "cross_check_begun", version=version + 1, key="one")
    assert other.json()["code"] == "request.idempotency_key_reused"
    async with services.sessions() as session:
        events = await session.scalars(select(CaseEvent.step).where(CaseEvent.case_id == case_id))
        audited = await session.scalars(select(AuditEntry.facts).where(AuditEntry.action == "case.moved"))
        assert list(events).count("survey_begun") == 1
        assert [item for item in audited if item["step"] == "survey_begun"] == [{"step": "survey_begun"}]


async def test_of_two_officers_at_once_one_wins_and_the_other_is_told_who(office):
    case_id = await office.case()
    town, county = await office.person("town_officer"), await office.person("county_officer")
    version = (await look(town, case_id))["version"]
    answers = await asyncio.gather(
        step(town, case_id, "suspended", version=version, reason="住院"),
        step(county, case_id, "extended", version=version, reason="核对未回"),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    lost = next(answer for answer in answers if answer.status_code == 412).json()
    assert lost["code"] == "case.changed"
    winner = town if answers[0].status_code == 200 else county
    assert winner.signed_in["name"] in lost["detail"]


async def test_an_act_needs_the_version_it_was_decided_on(office):
    case_id = await office.case()
    town = await office.person("town_officer")
    bare = await town.http.post(f"/desk/v1/cases/{case_id}/steps", json={"step": "survey_begun"})
    assert (bare.status_code, bare.json()["code"]) == (400, "request.invalid")
    unknown = await step(town, case_id, "posting_ended")
    assert unknown.json()["errors"][0]["code"] == "step.unknown"


async def test_a_case_of_another_town_is_not_there(office, county):
    case_id = await office.case()
    other = next(
        staff_member.login
        for staff_member in county.staff
        if staff_member.role == "town_officer" and staff_member.area_code != "339901001"
    )
    desk = await office.sign_in(other)
    assert (await desk.http.get(f"/desk/v1/cases/{case_id}")).json()["code"] == "thing.not_found"
    assert (await step(desk, case_id, "survey_begun", version=1)).json()["code"] == "thing.not_found"


async def test_nobody_takes_a_step_in_a_case_that_names_them_as_a_relative(office, services):
    case_id = await office.case()
    town, county = await office.person("town_officer"), await office.person("county_officer")
    async with open_session(services.sessions) as session:
        case = await session.get_one(CaseFile, case_id)
        name = town.signed_in["name"]
        session.add(
            RelativeOnStaff(
                household_id=case.household_id, name=name, office="街道", relation="表亲", declared_on=case.applied_on
            )
        )
    assert await refused(town, case_id, "suspended", reason="试") == "case.own_relative"
    reckoned = await town.http.post(f"/desk/v1/cases/{case_id}/calculations", json={"month": days.month().isoformat()})
    assert reckoned.json()["code"] == "case.own_relative"
    held_on = days.in_days(0).isoformat()
    hearing = {"id": str(new_id()), "heldOn": held_on, "place": "村委会", "presenter": "试", "observers": ""}
    called = await town.http.post(f"/desk/v1/cases/{case_id}/hearings", json=hearing)
    assert called.json()["code"] == "case.own_relative"
    household_id = (await look(county, case_id))["householdId"]
    path = f"/desk/v1/households/{household_id}"
    body = (await town.http.get(path)).json()
    undeclared = {
        "reason": "更正",
        "household": {"address": body["address"], "members": [{"id": str(new_id()), "name": "试", "relation": "head"}]},
    }
    written = await town.http.put(path, json=undeclared, headers={"If-Match": f'"{body["version"]}"'})
    assert written.json()["code"] == "case.own_relative"
    assert (await done(county, case_id, "suspended", reason="试"))["isSuspended"]


async def open_visits(services, case_id):
    async with services.sessions() as session:
        rows = await session.execute(
            select(Assignment.kind, Assignment.state)
            .where(Assignment.case_id == case_id)
            .order_by(Assignment.created_at)
        )
        return [tuple(row) for row in rows]


async def test_a_new_survey_is_on_the_phone_at_once_and_a_withdrawal_takes_it_back(office, services, phone):
    case_id = await office.case()
    async with open_session(services.sessions) as session:
        await session.execute(update(Assignment).where(Assignment.case_id == case_id).values(state="done"))
    town = await office.person("town_officer")
    await office.system_step(case_id, "survey_done")
    before = set(await phone.pull("assignments"))
    await done(town, case_id, "survey_ordered", reason="补充调查")
    assert await open_visits(services, case_id) == [("intake", "done"), ("intake", "open")]
    after = await phone.pull("assignments")
    assert {after[item]["kind"] for item in set(after) - before} == {"intake"}
    await done(town, case_id, "withdrawn", reason="本人要求")
    assert await open_visits(services, case_id) == [("intake", "done"), ("intake", "cancelled")]
    assert not set(await phone.pull("assignments")) - before


# --- deadlines


def test_days_and_working_days_are_different_things():
    friday = date(2025, 11, 21)
    assert end_of(friday, Length(3, "working_days"), {}).on == date(2025, 11, 26)
    assert end_of(friday, Length(3, "days"), {}).on == date(2025, 11, 24)
    assert end_of(friday, Length(3, "working_days"), {date(2025, 11, 24): False}).on == date(2025, 11, 27)


def test_a_deadline_beyond_the_published_calendar_says_so():
    assert end_of(date(PUBLISHED, 11, 20), Length(3, "working_days"), {}).certain
    assert not end_of(date(PUBLISHED, 12, 28), Length(10, "working_days"), {}).certain


def test_an_office_may_post_for_working_days():
    assert length_of({"case.posting_days": 7}, "case.posting_days") == Length(7, "days")
    seven = {"count": 7, "unit": "working_days"}
    assert length_of({"case.posting_days": seven}, "case.posting_days") == Length(7, "working_days")


async def deadline(services, case_id, kind):
    async with services.sessions() as session:
        return await session.scalar(
            select(CaseDeadline).where(CaseDeadline.case_id == case_id, CaseDeadline.kind == kind)
        )


async def test_a_case_keeps_the_rules_of_the_day_it_began(office, services):
    await office.rule("case.decision_working_days", 5, since=date(2099, 1, 1))
    await office.rule("case.survey_start_working_days", 2, area="339901001")
    case_id = await office.case()
    assert (await deadline(services, case_id, "total")).count == 30
    assert (await deadline(services, case_id, "survey")).count == 2


async def test_the_offices_own_calendar_moves_a_deadline(office, services):
    async with open_session(services.sessions) as session:
        start = day_of(utc_now()) - timedelta(days=20)
        session.add_all(CalendarDay(day=start + timedelta(days=n), is_working=False, source="测试") for n in range(40))
    case_id = await office.case()
    assert (await deadline(services, case_id, "survey")).due_on > start + timedelta(days=39)


async def test_a_delegated_town_has_twenty_working_days(office, services):
    await office.rule("case.decided_by", "town")
    case_id = await office.case()
    assert (await deadline(services, case_id, "total")).count == 20


async def test_who_gave_the_opinion_does_not_decide_whatever_roles_they_hold(office):
    """Where the town decides, and where its officer deputises at the county, one person would hold both ends."""
    await office.rule("case.decided_by", "town")
    case_id, town = await office.case(), await office.person("town_officer")
    await to_county(office, case_id)
    assert await refused(town, case_id, "confirmed") == "case.second_person"
    assert await refused(town, case_id, "refused", reason="不符合条件") == "case.second_person"
    assert {"confirmed", "refused"} & set((await look(town, case_id))["acts"]) == set()
    second = await office.second_town_officer()
    assert "refused" in (await look(second, case_id))["acts"]
    assert (await done(second, case_id, "refused", reason="不符合条件"))["state"] == "refused"


async def test_a_suspension_moves_every_deadline_and_an_extension_the_last_one(office, services):
    case_id = await office.case()
    town = await office.person("town_officer")
    before, a_fortnight_ago = await deadline(services, case_id, "total"), day_of(utc_now()) - timedelta(days=14)
    result = await done(town, case_id, "suspended", reason="申请人住院")
    assert {item["urgency"] for item in result["deadlines"]} == {"paused"}
    assert await refused(town, case_id, "survey_begun") == "case.suspended"
    assert (await town.http.get("/desk/v1/cases/due")).json()["items"] == [] or str(case_id) not in str(
        (await town.http.get("/desk/v1/cases/due")).json()
    )
    async with open_session(services.sessions) as session:
        for case_deadline in await session.scalars(select(CaseDeadline).where(CaseDeadline.case_id == case_id)):
            case_deadline.paused_on = a_fortnight_ago
        case = await session.get_one(CaseFile, case_id)
        case.suspended_on = a_fortnight_ago
    await done(town, case_id, "resumed")
    after = await deadline(services, case_id, "total")
    assert after.paused > 0
    assert after.due_on > before.due_on
    assert after.due_on == end_of(after.started_on, Length(30 + after.paused, "working_days"), {}).on
    result = await done(town, case_id, "extended", reason="核对未回")
    assert next(item["count"] for item in result["deadlines"] if item["kind"] == "total") == 45
    assert await refused(town, case_id, "extended", reason="再次") == "case.extended_already"


async def test_a_clock_that_stood_twice_is_moved_by_both_times(office, services):
    case_id = await office.case()
    town, paused = await office.person("town_officer"), []
    for reason in ("申请人住院", "申请人外出"):
        await done(town, case_id, "suspended", reason=reason)
        async with open_session(services.sessions) as session:
            total = CaseDeadline.case_id == case_id, CaseDeadline.kind == "total"
            standing = (await session.scalars(select(CaseDeadline).where(*total))).one()
            standing.paused_on = day_of(utc_now()) - timedelta(days=14)
        await done(town, case_id, "resumed")
        paused.append((await deadline(services, case_id, "total")).paused)
    assert paused[1] == 2 * paused[0] > 0


async def test_an_objection_stops_no_clock_and_allows_the_extension(office, services):
    """83 四(一): an objection allows 45 working days from acceptance; the days until its answer count."""
    case_id = await office.case()
    town = await office.person("town_officer")
    await office.rule("amount.standard_fen", 36000)
    before = await deadline(services, case_id, "total")
    await office.system_step(case_id, "survey_done")
    await calculated(town, case_id)
    await done(town, case_id, "opinion_grant")
    await office.system_step(case_id, "objection_made")
    assert (await deadline(services, case_id, "total")).paused_on is None
    await done(town, case_id, "extended", reason="公示期间有异议")
    await office.system_step(case_id, "objection_answered")
    after = await deadline(services, case_id, "total")
    assert (after.started_on, after.count, after.paused) == (before.started_on, 45, 0)
    assert after.due_on == end_of(before.started_on, Length(45, "working_days"), {}).on


async def test_an_objection_stops_the_clock_of_the_decision_alone_where_the_area_says_so(office, services):
    await office.rule("case.objection_stops_clock", value=True)
    case_id = await office.case()
    town = await office.person("town_officer")
    await office.rule("amount.standard_fen", 36000)
    await done(town, case_id, "cross_check_requested")
    await office.system_step(case_id, "survey_done")
    await calculated(town, case_id)
    await done(town, case_id, "opinion_grant")
    await office.system_step(case_id, "objection_made")
    paused = {item["kind"]: item["urgency"] for item in (await look(town, case_id))["deadlines"]}
    assert paused["total"] == "paused"
    assert paused["cross_check"] != "paused"
    await done(town, case_id, "survey_ordered", reason="重新调查")
    assert (await deadline(services, case_id, "total")).paused_on is None


async def test_the_clock_of_the_cross_check_runs_from_the_request_and_not_from_acceptance(office, services):
    """57 §17: three working days from the county's receipt of the town's request."""
    case_id = await office.case()
    town, county = await office.person("town_officer"), await office.person("county_officer")
    kinds = {item["kind"] for item in (await look(town, case_id))["deadlines"]}
    assert kinds == {"survey", "total"}
    await done(town, case_id, "cross_check_requested")
    running = await deadline(services, case_id, "cross_check")
    assert (running.started_on, running.count, running.unit) == (day_of(utc_now()), 3, "working_days")
    assert await refused(town, case_id, "cross_check_requested") == "case.cross_check_requested"
    await done(county, case_id, "cross_check_begun")
    assert "cross_check" not in {item["kind"] for item in (await look(town, case_id))["deadlines"]}


async def test_a_cross_check_clock_of_before_that_ran_from_acceptance_is_counted_from_the_request(office, services):
    case_id = await office.case()
    town, long_ago = await office.person("town_officer"), day_of(utc_now()) - timedelta(days=40)
    async with open_session(services.sessions) as session:
        session.add(
            CaseDeadline(
                id=new_id(), case_id=case_id, kind="cross_check", started_on=long_ago, count=3, unit="working_days",
                paused=2, due_on=long_ago + timedelta(days=7), certain=True,
            )
        )  # fmt: skip
    await done(town, case_id, "cross_check_requested")
    running = await deadline(services, case_id, "cross_check")
    assert (running.started_on, running.paused) == (day_of(utc_now()), 0)


async def test_due_lists_hold_what_is_late_today_and_soon_and_nothing_of_other_towns(office, services):
    await office.case()
    town, county = await office.person("town_officer"), await office.person("county_officer")
    all_due = (await county.http.get("/desk/v1/cases/due", params={"limit": 3})).json()
    assert len(all_due["items"]) == 3
    rest = (await county.http.get("/desk/v1/cases/due", params={"cursor": all_due["nextCursor"]})).json()["items"]
    both = [*all_due["items"], *rest]
    assert [item["deadline"]["dueOn"] for item in both] == sorted(item["deadline"]["dueOn"] for item in both)
    assert {item["deadline"]["urgency"] for item in both} <= {"overdue", "due", "soon"}
    for urgency in ("overdue", "due", "soon"):
        some = (await county.http.get("/desk/v1/cases/due", params={"urgency": urgency})).json()["items"]
        assert {item["deadline"]["urgency"] for item in some} <= {urgency}
    of_town = (await town.http.get("/desk/v1/cases/due")).json()["items"]
    assert of_town
    assert {item["areaCode"][:9] for item in of_town} == {"339901001"}
    bad = await county.http.get("/desk/v1/cases/due", params={"cursor": "WyJ4Il0"})
    assert (bad.status_code, bad.json()["code"]) == (400, "request.invalid")


async def test_cases_are_loaded_with_deadlines_and_those_without_get_them_once(office, services):
    async with open_session(services.sessions) as session:
        assert await backfill_deadlines(session) == 0
        await session.execute(delete(CaseDeadline))
    async with open_session(services.sessions) as session:
        assert await backfill_deadlines(session) == 8
    async with open_session(services.sessions) as session:
        assert await backfill_deadlines(session) == 0


async def bring_in(services, case_id, *steps, **case):
    """As another system's export has it: the steps with their days, and no deadlines."""
    async with open_session(services.sessions) as session:
        await session.execute(delete(CaseEvent).where(CaseEvent.case_id == case_id))
        await session.execute(delete(CaseDeadline).where(CaseDeadline.case_id == case_id))
        for step, state, on in steps:
            at = datetime.fromisoformat(f"{on}T10:00+08:00")
            session.add(
                CaseEvent(id=new_id(), case_id=case_id, at=at, step=step, state=state, cause=f"import:{on}", facts={})
            )
        await session.execute(update(CaseFile).where(CaseFile.id == case_id).values(**case))
    async with open_session(services.sessions) as session:
        assert await backfill_deadlines(session) == 1
    async with services.sessions() as session:
        rows = await session.scalars(select(CaseDeadline).where(CaseDeadline.case_id == case_id))
        return {row.kind: row for row in rows}


async def test_an_imported_case_has_stood_still_on_the_days_it_was_suspended_and_on_no_others(office, services):
    """Suspended today, it was not when it was taken on; and what a pause of long ago moved is moved."""
    case_id = await office.case()
    taken_on = ("accepted", "accepted", "2025-09-01")
    stood = [("suspended", "accepted", "2025-09-07"), ("resumed", "accepted", "2025-09-14")]
    plain = await bring_in(services, case_id, taken_on, state="accepted", suspended_on=None)
    moved = await bring_in(services, case_id, taken_on, *stood, state="accepted", suspended_on=None)
    assert (moved["total"].paused, moved["total"].paused_on) == (5, None)
    assert moved["total"].due_on > plain["total"].due_on
    # What a household says meanwhile makes no clock go on.
    again = ("suspended", "accepted", "2025-09-21"), ("change_reported", "accepted", "2025-09-23")
    still = await bring_in(
        services, case_id, taken_on, *stood, *again, state="accepted", suspended_on=date(2025, 9, 21)
    )
    assert (still["total"].paused, still["total"].paused_on) == (5, date(2025, 9, 21))
    unsaid = await bring_in(services, case_id, taken_on, state="accepted", suspended_on=date(2025, 9, 8))
    assert (unsaid["total"].paused, unsaid["total"].paused_on) == (0, date(2025, 9, 8))


async def test_an_imported_case_that_is_objected_to_stood_still_from_the_objection_where_the_area_says_so(
    office, services
):
    await office.rule("case.objection_stops_clock", value=True)
    case_id = await office.case()
    way = [
        ("accepted", "accepted", "2025-09-01"),
        ("cross_check_requested", "accepted", "2025-09-02"),
        ("survey_done", "preliminary", "2025-09-04"),
        ("opinion_grant", "posting", "2025-09-07"),
        ("objection_made", "objection", "2025-09-09"),
    ]
    result = await bring_in(services, case_id, *way, state="objection", suspended_on=None)
    assert result["total"].paused_on == date(2025, 9, 9)
    assert result["survey"].met_on == date(2025, 9, 4)
    assert (result["cross_check"].started_on, result["cross_check"].paused_on) == (date(2025, 9, 2), None)
    way += [("objection_answered", "posting", "2025-09-11"), ("posting_ended", "county", "2025-09-15")]
    result = await bring_in(services, case_id, *way, state="county", suspended_on=None)
    assert (result["total"].paused, result["total"].paused_on) == (2, None)
    assert result["county_opinion"].started_on == date(2025, 9, 15)


@pytest.mark.parametrize(
    ("decided", "paid"), [("2024-11-30", "2024-12-01"), ("2024-12-01", "2025-01-01"), ("2025-01-31", "2025-02-01")]
)
def test_payment_begins_with_the_month_after_unless_the_area_pays_the_same(decided, paid):
    on = date.fromisoformat(decided)
    assert first_paid_month(on, {"case.first_month": "next"}) == month_after(on) == date.fromisoformat(paid)
    assert first_paid_month(on, {"case.first_month": "same"}) == on.replace(day=1)


async def test_where_the_area_pays_the_month_of_the_decision_it_is_in_force_at_once(office, services):
    await office.rule("case.first_month", "same")
    case_id = await office.case()
    await to_county(office, case_id)
    county = await office.person("county_officer")
    granted = await done(county, case_id, "confirmed")
    assert granted["paidFrom"] == day_of(utc_now()).replace(day=1).isoformat()
    await done(county, case_id, "published")
    async with open_session(services.sessions) as session:
        assert await begin_payments(session, utc_now()) == 1
