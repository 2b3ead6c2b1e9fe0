"""What a visit found decides what is paid: drafts, adopted or declined line by line, and two people where it differs."""

from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.working_days import day_of
from server.models.areas import PolicySetting
from server.models.audit import AuditEntry
from server.models.benefits import BenefitChange
from server.models.cases import CaseFile, IncomeItem, RelativeOnStaff
from server.models.found_figures import FoundFigure
from server.models.households import Assignment
from server.residents.own_cases import load_statuses
from tests import days
from tests.benefits.test_changes import decide, in_force, report
from tests.cases.test_standard_raises import colleague_of
from tests.cases.test_whole_case import accepted, decide_visit, submit_visit, visit, with_found
from tests.crosschecks.test_crosschecks import import_, request_file
from tests.makers import offices
from tests.makers.cases import calculated, done, look, refused, settled
from tests.postings.test_postings import end, opened
from tests.visits.test_amendments import amend

# 2,400 of wages, 600 of rent and 1,440 of transfers a year: 370 yuan a month.
FOUND = {"wages": 2_400_00, "property": 600_00, "transfer": 1_440_00}
INCOMES = {"wage": 200_00, "business": 0, "property": 50_00, "transfer": 120_00}


async def record(desk, case_id):
    answer = await desk.http.get(f"/desk/v1/cases/{case_id}/found-figures")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def lines(desk, case_id):
    return {line["figure"]: line for line in (await record(desk, case_id))["figures"] if line["memberId"] is None}


async def act(desk, case_id, figure_id, what, **body):
    return await desk.http.post(f"/desk/v1/cases/{case_id}/found-figures/{figure_id}/{what}", json=body)


async def adopt_incomes(desk, case_id):
    for figure in INCOMES:
        answer = await act(desk, case_id, (await lines(desk, case_id))[figure]["id"], "adoption")
        assert answer.status_code == 200, answer.text


async def explain(desk, case_id, step, reason="工资为一次性补发，不是固定收入"):
    body = {"id": str(new_id()), "step": step, "reason": reason}
    return await desk.http.post(f"/desk/v1/cases/{case_id}/difference-reasons", json=body)


async def approve(desk, case_id, reason_id):
    return await desk.http.post(f"/desk/v1/cases/{case_id}/difference-reasons/{reason_id}/approval")


async def reopen(office, visit_id):
    supervisor = await office.person("supervisor")
    answer = await supervisor.http.post(f"/desk/v1/visits/{visit_id}/reopen", json={"reason": "收入须再核"})
    assert answer.status_code < 300, answer.text


async def surveyed(office, found=FOUND, **changes):
    """A home of one that declares nothing, and an accepted visit that found something."""
    made, _, _ = await accepted(office, incomes=[], **changes)
    phone, kit = await visit(office, made["id"], found)
    return made["id"], phone, kit


async def test_a_grant_against_what_the_visit_found_takes_a_reason_and_a_second_person(office, services):
    case_id, _, kit = await surveyed(office)
    town, county = await office.person("town_officer"), await office.person("county_officer")
    found = await lines(town, case_id)
    assert {figure: found[figure]["foundAmount"] for figure in INCOMES} == INCOMES
    assert {found[figure]["registeredAmount"] for figure in INCOMES} == {None}
    assert (found["wage"]["totalAmount"], found["wage"]["months"], found["wage"]["visitId"]) == (
        2_400_00, 12, kit.visit["id"],
    )  # fmt: skip
    calculation = await calculated(town, case_id)
    assert (calculation["incomeFen"], calculation["eligible"], calculation["standardFen"]) == (0, True, 360_00)

    assert await refused(town, case_id, "opinion_grant") == "case.visit_differs"
    assert (await record(town, case_id))["differenceFen"] == 370_00
    assert (await explain(town, case_id, "opinion_grant", " ")).json()["code"] == "case.reason_required"
    written = await explain(town, case_id, "opinion_grant")
    assert written.status_code == 201, written.text
    assert await refused(town, case_id, "opinion_grant") == "case.visit_differs"
    assert (await approve(town, case_id, written.json()["id"])).json()["code"] == "case.second_person"
    approved = (await approve(county, case_id, written.json()["id"])).json()
    assert (approved["approvedByName"], approved["isValid"]) == (county.signed_in["name"], True)
    await done(town, case_id, "opinion_grant")

    await end(office, (await opened(office))["id"])
    assert await refused(county, case_id, "confirmed") == "case.visit_differs"
    again = (await explain(county, case_id, "confirmed", "县级核实为一次性补发")).json()
    await approve(town, case_id, again["id"])
    await done(county, case_id, "confirmed")
    async with services.sessions() as session:
        actions = list(await session.scalars(select(AuditEntry.action).where(AuditEntry.action.startswith("case.d"))))
    assert sorted(actions) == ["case.difference_approved"] * 2 + ["case.difference_explained"] * 2


async def test_the_resident_reads_why_the_grant_differs(office):
    case_id, _, _ = await surveyed(office)
    town, county = await office.person("town_officer"), await office.person("county_officer")
    await calculated(town, case_id)
    written = (await explain(town, case_id, "opinion_grant")).json()
    await approve(county, case_id, written["id"])
    await done(town, case_id, "opinion_grant")
    event = next(item for item in (await look(town, case_id))["timeline"] if item["step"] == "opinion_grant")
    assert event["facts"]["differenceReason"] == written["reason"]
    async with open_session(office.services.sessions) as session:
        case = await session.get_one(CaseFile, UUID(str(case_id)))
        (status,) = await load_statuses(session, [case], day_of(utc_now()))
    assert [item.reason for item in status.timeline if item.step == "opinion_grant"] == [written["reason"]]


async def test_another_calculation_takes_another_reason(office):
    case_id, _, _ = await surveyed(office)
    town, county = await office.person("town_officer"), await office.person("county_officer")
    await calculated(town, case_id)
    written = (await explain(town, case_id, "opinion_grant")).json()
    await approve(county, case_id, written["id"])
    await calculated(town, case_id)
    assert await refused(town, case_id, "opinion_grant") == "case.visit_differs"
    assert [item["isValid"] for item in (await record(town, case_id))["reasons"]] == [False]


async def test_adopting_what_was_found_makes_the_home_ineligible_line_by_line(office, services):
    case_id, _, kit = await surveyed(office)
    town = await office.person("town_officer")
    await adopt_incomes(town, case_id)
    calculation = await calculated(town, case_id)
    assert (calculation["incomeFen"], calculation["eligible"]) == (370_00, False)
    shown = {line["figure"]: line for line in calculation["lines"] if line["figure"]}
    assert {figure: line["amountFen"] for figure, line in shown.items()} == INCOMES
    assert {line["visitId"] for line in shown.values()} == {kit.visit["id"]}
    assert {line["origin"] for line in shown.values()} == {"visit"}
    assert await refused(town, case_id, "opinion_grant") == "case.amount_missing"
    assert (await record(town, case_id))["differenceFen"] == 0
    household_id = (await look(town, case_id))["householdId"]
    versions = (await town.http.get(f"/desk/v1/households/{household_id}/versions")).json()
    assert [version["reason"] for version in versions].count("采用走访查实数") == 4
    async with services.sessions() as session:
        rows = list(await session.scalars(select(IncomeItem).where(IncomeItem.household_id == UUID(household_id))))
    assert {row.source_visit_id for row in rows} == {UUID(kit.visit["id"])}


async def test_a_found_total_replaces_what_was_declared_of_its_kind_and_never_adds(office, services):
    made, _, _ = await accepted(
        office,
        incomes=[
            {"id": str(new_id()), "kind": "wage", "declaredFen": 100_00},
            {"id": str(new_id()), "kind": "wage", "declaredFen": 600_00, "period": "year"},
            {"id": str(new_id()), "kind": "transfer", "declaredFen": 70_00, "category": "veteran_benefit"},
            {"id": str(new_id()), "kind": "transfer", "declaredFen": 30_00},
        ],
    )
    await visit(office, made["id"], FOUND)
    town = await office.person("town_officer")
    before = await lines(town, made["id"])
    assert (before["wage"]["registeredAmount"], before["transfer"]["registeredAmount"]) == (150_00, 30_00)
    for _ in range(2):
        for figure in ("wage", "transfer"):
            answer = await act(town, made["id"], before[figure]["id"], "adoption")
            assert answer.status_code == 200, answer.text
    async with services.sessions() as session:
        household_id = UUID((await look(town, made["id"]))["householdId"])
        rows = await session.scalars(select(IncomeItem).where(IncomeItem.household_id == household_id))
        kept = {(row.kind, row.category): (row.period, row.declared_fen, row.verified_fen) for row in rows}
    assert kept == {
        ("wage", ""): ("year", 1_800_00, 2_400_00),
        ("transfer", "veteran_benefit"): ("month", 70_00, None),
        ("transfer", ""): ("year", 360_00, 1_440_00),
    }
    assert (await act(town, made["id"], before["wage"]["id"], "refusal", reason="算错")).json()["code"] == (
        "found_figure.decided"
    )


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        ((days.in_days(-90), days.in_days(-400)), days.in_days(-400)),
        ((days.in_days(-90), None), None),
        ((None, None), None),
    ],
)
async def test_a_total_over_several_jobs_starts_with_the_oldest_of_them(office, services, starts, expected):
    """The gradual exit counts from it: a job without a first day was counted all along."""
    wages = [
        {"id": str(new_id()), "kind": "wage", "declaredFen": 100_00, "startedOn": start and start.isoformat()}
        for start in starts
    ]
    made, _, _ = await accepted(office, incomes=wages)
    await visit(office, made["id"], FOUND)
    town = await office.person("town_officer")
    answer = await act(town, made["id"], (await lines(town, made["id"]))["wage"]["id"], "adoption")
    assert answer.status_code == 200, answer.text
    async with services.sessions() as session:
        household_id = UUID((await look(town, made["id"]))["householdId"])
        rows = await session.scalars(select(IncomeItem).where(IncomeItem.household_id == household_id))
        assert [(row.kind, row.started_on) for row in rows] == [("wage", expected)]


async def test_a_line_that_is_declined_keeps_its_reason_and_the_register(office):
    case_id, _, _ = await surveyed(office)
    town = await office.person("town_officer")
    figure = (await lines(town, case_id))["wage"]["id"]
    assert (await act(town, case_id, figure, "refusal", reason="  ")).json()["code"] == "case.reason_required"
    declined = (await act(town, case_id, figure, "refusal", reason="该收入已停")).json()
    line = next(item for item in declined["figures"] if item["id"] == figure)
    assert (line["verdict"], line["reason"], line["registeredAmount"]) == ("declined", "该收入已停", None)
    await calculated(town, case_id)
    assert await refused(town, case_id, "opinion_grant") == "case.visit_differs"


async def let_decisions_be_undone(office):
    async with open_session(office.services.sessions) as session:
        await session.execute(update(PolicySetting).where(PolicySetting.key == "review.undo_s").values(value=60))


async def let_the_minute_pass(office):
    async with open_session(office.services.sessions) as session:
        await session.execute(text("UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE status = 'todo'"))
    await office.system.run_jobs()


async def test_nothing_is_drafted_before_the_minute_of_undo_is_over(office):
    made, _, _ = await accepted(office, incomes=[])
    await let_decisions_be_undone(office)
    await submit_visit(office, FOUND)
    await decide_visit(office)
    await office.system.run_jobs()
    town = await office.person("town_officer")
    assert await lines(town, made["id"]) == {}
    await let_the_minute_pass(office)
    assert set(INCOMES) <= set(await lines(town, made["id"]))


async def test_an_acceptance_that_is_undone_drafts_nothing(office):
    made, _, _ = await accepted(office, incomes=[])
    await let_decisions_be_undone(office)
    _, kit = await submit_visit(office, FOUND)
    await decide_visit(office)
    reviewer, town = await office.person("supervisor"), await office.person("town_officer")
    undone = await reviewer.http.post(f"/desk/v1/visits/{kit.visit['id']}/decision/undo")
    assert undone.status_code in {200, 201}, undone.text
    await let_the_minute_pass(office)
    assert await lines(town, made["id"]) == {}


async def test_a_visit_that_is_reopened_takes_its_lines_and_what_was_adopted_back(office, services):
    case_id, _, kit = await surveyed(office)
    town = await office.person("town_officer")
    await adopt_incomes(town, case_id)
    assert (await calculated(town, case_id))["eligible"] is False
    await reopen(office, kit.visit["id"])
    assert await lines(town, case_id) == {}
    assert (await calculated(town, case_id))["incomeFen"] == 0
    async with services.sessions() as session:
        assert set(await session.scalars(select(FoundFigure.state))) == {"withdrawn"}


async def test_what_somebody_wrote_since_stays_when_the_visit_is_taken_back(office, services):
    case_id, _, kit = await surveyed(office)
    town = await office.person("town_officer")
    await adopt_incomes(town, case_id)
    household_id = UUID((await look(town, case_id))["householdId"])
    async with open_session(services.sessions) as session:
        by_hand = update(IncomeItem).where(IncomeItem.household_id == household_id, IncomeItem.kind == "wage")
        await session.execute(by_hand.values(verified_fen=99_00, source_visit_id=None))
    await reopen(office, kit.visit["id"])
    async with services.sessions() as session:
        rows = await session.scalars(select(IncomeItem).where(IncomeItem.household_id == household_id))
        assert [(row.kind, row.verified_fen) for row in rows] == [("wage", 99_00)]


async def test_an_amendment_of_the_visit_moves_the_draft(office):
    case_id, phone, kit = await surveyed(office)
    town = await office.person("town_officer")
    await adopt_incomes(town, case_id)
    await reopen(office, kit.visit["id"])
    stored = (await phone.pull("visits"))[kit.visit["id"]]
    less = with_found(stored["answers"], {"wages": 1_200_00})
    assert await phone.push("visits", amend(stored, answers=less), assumed=stored) == []
    await office.system.run_jobs()
    assert await lines(town, case_id) == {}
    await decide_visit(office)
    await office.system.run_jobs()
    found = await lines(town, case_id)
    assert {figure: found[figure]["foundAmount"] for figure in INCOMES} == {
        "wage": 100_00, "business": 0, "property": 0, "transfer": 0,
    }  # fmt: skip
    assert {line["verdict"] for line in found.values()} == {None}


async def test_a_later_visit_moves_the_draft_and_the_one_before_counts_again_without_it(office):
    case_id, _, first = await surveyed(office)
    town = await office.person("town_officer")
    wage = (await lines(town, case_id))["wage"]["id"]
    await act(town, case_id, wage, "adoption")
    await done(town, case_id, "survey_ordered", reason="收入须再核")
    _, second = await visit(office, case_id, {"wages": 1_200_00})
    moved = await lines(town, case_id)
    assert {line["visitId"] for line in moved.values()} == {second.visit["id"]}
    assert (moved["wage"]["foundAmount"], moved["wage"]["registeredAmount"], moved["wage"]["verdict"]) == (
        100_00, 200_00, None,
    )  # fmt: skip
    assert (await act(town, case_id, wage, "refusal", reason="x")).json()["code"] == "found_figure.not_current"
    await act(town, case_id, moved["wage"]["id"], "adoption")
    assert (await lines(town, case_id))["wage"]["registeredAmount"] == 100_00

    await reopen(office, second.visit["id"])
    back = (await lines(town, case_id))["wage"]
    assert (back["visitId"], back["verdict"], back["registeredAmount"]) == (first.visit["id"], "adopted", 200_00)
    await reopen(office, first.visit["id"])
    assert (await calculated(town, case_id))["incomeFen"] == 0


async def test_visits_that_are_taken_back_in_another_order_leave_the_register_as_it_was(office):
    case_id, _, first = await surveyed(office)
    town = await office.person("town_officer")
    await adopt_incomes(town, case_id)
    await done(town, case_id, "survey_ordered", reason="收入须再核")
    _, second = await visit(office, case_id, {"wages": 1_200_00})
    await adopt_incomes(town, case_id)
    await reopen(office, first.visit["id"])
    assert (await calculated(town, case_id))["incomeFen"] == 100_00
    await reopen(office, second.visit["id"])
    assert await lines(town, case_id) == {}
    assert (await calculated(town, case_id))["incomeFen"] == 0


async def test_a_members_health_goes_to_the_member_and_back(office):
    case_id, _, kit = await surveyed(office)
    town = await office.person("town_officer")
    line = next(item for item in (await record(town, case_id))["figures"] if item["figure"] == "health")
    answered = kit.visit["answers"]["members"][0]
    assert (line["memberId"], line["registeredValue"]) == (answered["memberId"], "healthy")
    assert (await act(town, case_id, line["id"], "adoption")).status_code == 200
    household_id = (await look(town, case_id))["householdId"]
    path = f"/desk/v1/households/{household_id}"
    assert (await town.http.get(path)).json()["members"][0]["health"] == line["foundValue"]
    await reopen(office, kit.visit["id"])
    assert (await town.http.get(path)).json()["members"][0]["health"] == "healthy"


async def test_an_office_that_finds_more_than_the_record_asks_for_a_reason_as_a_visit_does(office):
    """The tax office finds a wage that the calculation does not use."""
    made, number, batch_id = await accepted(office)
    town, county = await office.person("town_officer"), await office.person("county_officer")
    request = await request_file(town, batch_id)
    await import_(town, batch_id, offices.answer("tax", request, {number: "900.00"}))
    await visit(office, made["id"])
    await calculated(town, made["id"])
    assert await refused(town, made["id"], "opinion_grant") == "case.visit_differs"
    shown = await record(town, made["id"])
    assert (shown["visitDifferenceFen"], shown["checkDifferenceFen"], shown["differenceFen"]) == (0, 800_00, 800_00)
    written = await explain(town, made["id"], "opinion_grant")
    assert written.status_code == 201, written.text
    assert await refused(town, made["id"], "opinion_grant") == "case.visit_differs"
    await approve(county, made["id"], written.json()["id"])
    granted = await done(town, made["id"], "opinion_grant")
    assert granted["timeline"][-1]["facts"]["differenceFen"] == 800_00


async def in_force_with_review(office, found, **answers):
    """A household that receives, and an accepted review of it."""
    case_id, county = await in_force(office)
    async with open_session(office.services.sessions) as session:
        await session.execute(update(Assignment).values(state="cancelled"))
    resident, town = await office.resident(), await office.person("town_officer")
    change_id = await report(resident, case_id)
    await decide(town, change_id, outcome="visit", reply="我们三天内来核实")
    _, kit = await visit(office, case_id, found, kind="review", **answers)
    return case_id, town, county, kit


async def inbox(desk, **params):
    return (await desk.http.get("/desk/v1/recommendations", params=params)).json()["items"]


async def test_a_recommendation_to_stop_stands_in_the_inbox_until_somebody_acts(office):
    case_id, town, county, kit = await in_force_with_review(office, FOUND, proposal="stop")
    (line,) = await inbox(town)
    assert (line["recommendation"], line["step"], line["caseId"], line["visitId"]) == (
        "stop", "stopped", str(case_id), kit.visit["id"],
    )  # fmt: skip
    assert await inbox(town, area="110101") == []
    exported = await town.http.get("/desk/v1/recommendations/export", params={"format": "csv"})
    assert "停发" in exported.text
    await adopt_incomes(town, case_id)
    assert len(await inbox(county)) == 1
    await settled(office, case_id, "stopped", reason="收入超过标准", ground="income")
    assert await inbox(county) == []
    assert (await lines(town, case_id))["recommendation"]["verdict"] == "adopted"


async def test_a_recommendation_is_settled_by_a_note_or_a_reason_and_by_nothing_else(office):
    case_id, town, _, _ = await in_force_with_review(office, FOUND, proposal="urgent")
    (line,) = await inbox(town)
    assert (await act(town, case_id, line["figureId"], "adoption")).json()["code"] == "case.reason_required"
    assert len(await inbox(town)) == 1
    noted = await act(town, case_id, line["figureId"], "adoption", note="已转临时救助窗口")
    assert noted.status_code == 200, noted.text
    assert await inbox(town) == []


async def test_an_open_inbox_is_counted_and_a_check_sends_somebody_there_again(office, services):
    case_id, town, _, _ = await in_force_with_review(office, FOUND, proposal="check")
    (line,) = await inbox(town, recommendation="check")
    assert await inbox(town, recommendation="stop") == []
    counts = (await town.http.get("/desk/v1/recommendations/counts")).json()
    assert (counts["total"], counts["waitingSince"]) == (1, line["waitingSince"])
    assert {kind["recommendation"]: kind["count"] for kind in counts["kinds"]} == {
        "raise": 0, "cut": 0, "stop": 0, "check": 1, "urgent": 0,
    }  # fmt: skip
    other = (await town.http.get("/desk/v1/recommendations/counts", params={"area": "110101"})).json()
    assert (other["total"], other["waitingSince"]) == (0, None)

    sent = await act(town, case_id, line["figureId"], "adoption", note="再次入户核实", ordersVisit=True)
    assert sent.status_code == 200, sent.text
    assert (await town.http.get("/desk/v1/recommendations/counts")).json()["total"] == 0
    async with services.sessions() as session:
        ordered = select(Assignment.kind).where(
            Assignment.case_id == UUID(str(case_id)), Assignment.state == "open", Assignment.kind == "review"
        )
        assert list(await session.scalars(ordered)) == ["review"]


async def test_the_inbox_says_what_was_proposed_and_waits_for_another(office):
    case_id, town, county, _ = await in_force_with_review(office, FOUND, proposal="stop")
    await done(town, case_id, "stop_proposed", reason="收入超过标准", ground="income")
    (line,) = await inbox(county)
    assert (line["proposedStep"], line["proposedByName"]) == ("stopped", town.signed_in["name"])


async def test_each_line_shows_its_question_and_the_photos_of_its_visit(office):
    case_id, _, kit = await surveyed(office)
    town = await office.person("town_officer")
    shown = await record(town, case_id)
    assert [visit["id"] for visit in shown["visits"]] == [kit.visit["id"]]
    wage = next(line for line in shown["figures"] if line["figure"] == "wage")
    assert wage["questionZh"]
    signed = {photo["evidenceId"] for photo in wage["photos"]}
    assert signed
    assert signed <= {photo["id"] for photo in kit.visit["photos"]}
    link = f"/desk/v1/visits/{kit.visit['id']}/photos/{wage['photos'][0]['evidenceId']}/link"
    assert (await town.http.get(link, params={"rendition": "1280"})).status_code == 200


async def test_a_review_that_would_keep_the_payment_is_no_work_for_anybody(office):
    _, town, _, _ = await in_force_with_review(office, FOUND, proposal="keep")
    assert await inbox(town) == []


async def test_what_a_review_found_stands_before_a_change_of_the_amount(office):
    case_id, town, county, _ = await in_force_with_review(office, FOUND, proposal="cut")
    await office.rule("amount.standard_fen", 500_00, since=days.month(0))
    await calculated(county, case_id)
    await done(town, case_id, "change_proposed", reason="标准提高")
    assert await refused(county, case_id, "amount_changed", reason="标准提高") == "case.visit_differs"
    await adopt_incomes(town, case_id)


@pytest.mark.parametrize("role", ["caseworker", "county_officer", "supervisor"])
async def test_only_a_town_officer_writes_the_register_from_a_visit(office, role):
    case_id, _, _ = await surveyed(office)
    town, other = await office.person("town_officer"), await office.person(role)
    figure = (await lines(town, case_id))["wage"]["id"]
    assert (await act(other, case_id, figure, "adoption")).json()["code"] == "auth.forbidden"
    assert (await lines(town, case_id))["wage"]["verdict"] is None


async def test_a_declared_relative_neither_reads_nor_decides_what_was_found(office):
    case_id, _, _ = await surveyed(office)
    town = await office.person("town_officer")
    figure = (await lines(town, case_id))["wage"]["id"]
    async with open_session(office.services.sessions) as session:
        case = await session.get_one(CaseFile, UUID(str(case_id)))
        session.add(
            RelativeOnStaff(
                household_id=case.household_id, name=town.signed_in["name"], office="街道", relation="舅",
                declared_on=case.applied_on,
            )
        )  # fmt: skip
    for answer in (
        await town.http.get(f"/desk/v1/cases/{case_id}/found-figures"),
        await act(town, case_id, figure, "adoption"),
        await explain(town, case_id, "opinion_grant"),
    ):
        assert answer.json()["code"] == "case.own_relative"


async def test_a_void_takes_drafts_back_and_says_so_before_it_takes_back_what_was_adopted(office, services):
    case_id, _, kit = await surveyed(office)
    town = await office.person("town_officer")
    await adopt_incomes(town, case_id)
    assert (await calculated(town, case_id))["eligible"] is False
    supervisor = await office.person("supervisor")
    address = f"/desk/v1/visits/{kit.visit['id']}/void"
    refusal = await supervisor.http.post(address, json={"reason": "走错了家"})
    assert (refusal.status_code, refusal.json()["code"]) == (409, "visit.void_takes_back")
    assert str(len(INCOMES)) in refusal.json()["detail"]
    answer = await supervisor.http.post(address, json={"reason": "走错了家", "takesBackFigures": True})
    assert answer.status_code == 204, answer.text
    assert await lines(town, case_id) == {}
    assert (await calculated(town, case_id))["incomeFen"] == 0
    async with services.sessions() as session:
        assert set(await session.scalars(select(FoundFigure.state))) == {"withdrawn"}


@pytest.mark.parametrize("act_name", ["void", "reopen"])
async def test_figures_by_which_a_payment_was_decided_go_back_by_two_people(office, services, act_name):
    case_id, _, kit = await surveyed(office)
    town, second = await office.person("town_officer"), await colleague_of(office)
    await adopt_incomes(town, case_id)
    async with open_session(services.sessions) as session:
        case = await session.get_one(CaseFile, UUID(str(case_id)))
        session.add(
            BenefitChange(
                case_id=case.id, household_id=case.household_id, area_code=case.area_code, kind="granted",
                month=days.month(1), before_fen=0, amount_fen=100_00, people=1, reason="审核确认", class_=None,
                decided_by=None, decided_on=day_of(utc_now()),
            )
        )  # fmt: skip
    supervisor = await office.person("supervisor")
    address = f"/desk/v1/visits/{kit.visit['id']}/{act_name}"
    body = {"reason": "走错了家"} | ({"takesBackFigures": True} if act_name == "void" else {})
    for _ in range(2):
        assert (await supervisor.http.post(address, json=body)).json()["code"] == "visit.withdrawal_waits"
    assert {line["verdict"] for line in (await lines(town, case_id)).values() if line["figure"] in INCOMES} == {
        "adopted"
    }
    answer = await second.http.post(address, json=body)
    assert answer.status_code == 204, answer.text
    assert await lines(town, case_id) == {}
    async with services.sessions() as session:
        actions = list(await session.scalars(select(AuditEntry.action).where(AuditEntry.thing_id == kit.visit["id"])))
    assert actions.count("visit.withdrawal_proposed") == 1
