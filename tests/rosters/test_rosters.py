"""A month of payments: drafted from what is in force, judged, checked by a second person, sent, answered, corrected."""

import csv
import io
from dataclasses import replace

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models.audit import AuditEntry
from server.models.benefits import BenefitChange
from server.models.cases import CaseFile
from server.models.people import Staff
from server.models.rosters import Roster, RosterLine, RosterPart
from server.rosters.reconcile import reconcile
from tests import days
from tests.makers.rosters import PILOT


def totals(lines):
    return [(line["headName"], line["dueFen"], line["arrearsFen"], line["recoveryFen"]) for line in lines]


async def unexplained(pay):
    async with pay.services.sessions() as session:
        return (await reconcile(session, pay.services.encryption)).faults


async def file_of(pay, roster, part=1):
    answer = await pay.county.http.get(f"/desk/v1/rosters/{roster}/file", params={"part": part})
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


async def test_a_month_goes_from_its_draft_to_the_bank_and_every_sum_is_the_same(pay):
    roster = await pay.make(days.month())
    shown = await pay.show(roster)
    assert (shown["state"], shown["homes"], shown["people"], shown["totalFen"]) == ("drafted", 4, 8, 4 * 300_00)
    assert [finding["code"] for finding in await pay.findings(roster)] == ["first_roster"]
    assert (await pay.act(pay.town, roster, "prepare")).json()["code"] == "roster.findings_open"
    await pay.judge(roster)
    assert (await pay.act(pay.town, roster, "prepare")).json()["state"] == "prepared"
    assert (await pay.act(pay.town, roster, "check")).json()["code"] == "roster.second_person"
    frozen = (await pay.act(pay.county, roster, "check")).json()
    assert (frozen["state"], len(frozen["linesHash"])) == ("frozen", 64)
    assert (await pay.county.http.get(f"/desk/v1/rosters/{roster}/file")).json()["code"] == "roster.not_now"
    sent = (await pay.act(pay.town, roster, "send")).json()
    assert sent["state"] == "sent"
    again = (await pay.act(pay.town, roster, "send")).json()
    assert (again["state"], again["sentAt"]) == ("sent", sent["sentAt"])
    rows = await file_of(pay, roster)
    lines = await pay.lines(roster)
    assert [(row["户名"], row["账号"]) for row in rows] == [(home.head, home.card) for home in pay.homes]
    in_file = sum(round(float(row["金额"]) * 100) for row in rows)
    by_town = sum(town["totalFen"] for town in sent["towns"])
    by_class = sum(part["totalFen"] for part in sent["classes"])
    assert in_file == by_town == by_class == sent["totalFen"] == sum(line["totalFen"] for line in lines)
    assert {part["kind"] for line in lines for part in line["parts"]} == {"due"}
    assert lines[0]["groundReason"] == "测试决定（新增）"
    assert await unexplained(pay) == []


async def test_the_file_is_for_officers_of_the_area_and_each_download_leaves_a_trace(pay, services):
    roster = await pay.sent(days.month())
    await file_of(pay, roster)
    supervisor = await pay.office.person("supervisor")
    path = f"/desk/v1/rosters/{roster}/file"
    assert (await supervisor.http.get(path)).json()["code"] == "auth.forbidden"
    worker = await pay.office.person("caseworker")
    assert (await worker.http.get(path)).json()["code"] == "auth.forbidden"
    stranger = await pay.office.sign_in(
        next(
            staff.login
            for staff in pay.office.county.staff
            if staff.role == "town_officer" and staff.area_code != "339901001"
        )
    )
    assert (await stranger.http.get(path)).json()["code"] == "thing.not_found"
    assert (await stranger.http.get("/desk/v1/payments")).json()["items"] == []
    async with services.sessions() as session:
        taken = list(await session.scalars(select(AuditEntry).where(AuditEntry.action == "roster.file_taken")))
    assert [(entry.facts["lines"], entry.area_code) for entry in taken] == [(4, PILOT)]
    for line in await pay.lines(roster):
        assert line["accountMask"].count("*") >= 8


async def test_arrears_and_recoveries_follow_from_what_was_paid_each_with_its_reason(pay):
    earlier = days.month(-1)
    await pay.settled(earlier)
    raised, cut, stopped, honest = pay.homes
    await pay.decide(raised, "raised", earlier, 350_00)
    await pay.decide(cut, "cut", earlier, 280_00)
    await pay.decide(stopped, "stopped", days.month(), 0, ground="moved")
    roster = await pay.make(days.month())
    lines = await pay.lines(roster)
    assert totals(lines) == [
        (raised.head, 350_00, 50_00, 0),
        (cut.head, 280_00, 0, 20_00),
        (honest.head, 300_00, 0, 0),
    ]
    parts = {(part["kind"], part["cause"], part["reason"]) for line in lines for part in line["parts"]}
    assert ("arrears", "decided_later", "测试决定（增发）") in parts
    assert ("recovery", "overpaid", "测试决定（减发）") in parts
    assert sorted(finding["code"] for finding in await pay.findings(roster)) == ["arrears", "recovery"]
    await pay.judge(roster)
    for desk, act in ((pay.town, "prepare"), (pay.county, "check"), (pay.county, "send")):
        assert (await pay.act(desk, roster, act)).status_code == 200
    assert await unexplained(pay) == []


async def test_a_home_that_was_left_out_is_owed_the_month_and_paid_it_later_once(pay):
    roster = await pay.make(days.month(-1))
    await pay.judge(roster)
    first = (await pay.lines(roster))[0]
    body = {"lineId": first["id"], "reason": "账户待核实"}
    left = await pay.town.http.post(f"/desk/v1/rosters/{roster}/left-out", json=body)
    assert (left.json()["homes"], left.json()["totalFen"]) == (3, 900_00)
    for desk, act in ((pay.town, "prepare"), (pay.county, "check"), (pay.town, "send")):
        assert (await pay.act(desk, roster, act)).status_code == 200
    following = await pay.make(days.month())
    line = next(line for line in await pay.lines(following) if line["headName"] == first["headName"])
    assert (line["dueFen"], line["arrearsFen"], line["parts"][0]["cause"]) == (300_00, 300_00, "left_out")
    await pay.judge(following)
    for desk, act in ((pay.town, "prepare"), (pay.county, "check"), (pay.town, "send")):
        assert (await pay.act(desk, following, act)).status_code == 200
    last = await pay.make(days.month(1))
    assert {line["arrearsFen"] for line in await pay.lines(last)} == {0}
    assert await unexplained(pay) == []


async def test_what_the_bank_returns_is_corrected_once_and_failed_people_only(pay):
    roster = await pay.sent(days.month())
    references = [line["reference"] for line in await pay.lines(roster)]
    part = dict.fromkeys(references[:2], "成功") | {references[2]: "失败"}
    answered = (await pay.answer(roster, part)).json()
    assert (answered["state"], [state["state"] for state in answered["states"]]) == (
        "sent",
        ["paid", "returned", "sent"],
    )
    repeated = (await pay.answer(roster, part)).json()
    assert len(repeated["answers"]) == 1
    rest = (await pay.answer(roster, part | {references[3]: "成功"})).json()
    assert rest["state"] == "settled"
    assert [answer["repeated"] for answer in rest["answers"]] == [0, 3]
    body = {"id": str(new_id())}
    path = f"/desk/v1/rosters/{roster}/corrections"
    for _ in range(2):
        assert (await pay.town.http.post(path, json=body)).status_code == 201
    await pay.system.run_jobs()
    (line,) = await pay.lines(body["id"])
    assert (line["headName"], line["totalFen"]) == (pay.homes[2].head, 300_00)
    assert (await pay.town.http.post(path, json={"id": str(new_id())})).json()["code"] == "roster.nothing_returned"
    assert [finding["code"] for finding in await pay.findings(body["id"])] == ["account_unchanged"]
    await pay.account(pay.homes[2], card="6222020000099999999")
    await pay.act(pay.town, body["id"], "draft_again")
    assert [finding["code"] for finding in await pay.findings(body["id"])] == ["account_changed"]
    await pay.judge(body["id"])
    for desk, act in ((pay.town, "prepare"), (pay.county, "check"), (pay.town, "send")):
        assert (await pay.act(desk, body["id"], act)).status_code == 200
    assert [row["账号"] for row in await file_of(pay, body["id"])] == ["6222020000099999999"]
    following = await pay.make(days.month(1))
    assert {line["arrearsFen"] for line in await pay.lines(following)} == {0}
    assert await unexplained(pay) == []


async def test_a_row_of_the_bank_that_leaves_a_doubt_moves_nothing_and_is_listed(pay):
    roster = await pay.sent(days.month())
    first, second, third, fourth = [line["reference"] for line in await pay.lines(roster)]
    await pay.answer(roster, {first: "成功"})
    answered = await pay.answer(
        roster, {first: "失败", second: "成功", third: "处理中", "FF000000": "成功"}, amounts={second: "300.01"}
    )
    (_, answer) = answered.json()["answers"]
    assert answer["returned"] == 1  # the bank sent back what it had paid
    assert [row["why"] for row in answer["refused"]] == [
        "amount_differs", "unknown_result", "unknown_reference",
    ]  # fmt: skip
    states = {line["reference"]: line["state"] for line in await pay.lines(roster)}
    assert states == {first: "returned", second: "sent", third: "sent", fourth: "sent"}
    page = await pay.county.http.post(
        f"/desk/v1/rosters/{roster}/answers",
        data={"id": str(new_id())},
        files={"file": ("a.csv", b"a,b\r\n1,2", "text/csv")},
    )
    assert page.json()["code"] == "bank_answer.columns_missing"


async def test_three_people_where_the_area_says_so(pay):
    await pay.office.rule("roster.people", 3)
    roster = await pay.make(days.month())
    await pay.judge(roster)
    await pay.act(pay.town, roster, "prepare")
    await pay.act(pay.county, roster, "check")
    for desk in (pay.town, pay.county):
        assert (await pay.act(desk, roster, "send")).json()["code"] == "roster.second_person"
    third = await pay.office.second_town_officer()
    assert (await pay.act(third, roster, "send")).json()["state"] == "sent"


async def test_two_rosters_never_pay_one_home_for_one_month(pay, services):
    roster = await pay.make(days.month())
    body = {"id": str(new_id()), "program": "rural_dibao", "areaCode": PILOT, "month": days.month().isoformat()}
    assert (await pay.town.http.post("/desk/v1/rosters", json=body)).json()["code"] == "roster.exists"
    wider = await pay.make(days.month(), area=PILOT[:9])
    assert PILOT not in {line["areaCode"] for line in await pay.lines(wider)}
    async with services.sessions() as session:
        line = (await session.scalars(select(RosterLine).where(RosterLine.area_code == PILOT))).first()
        copied = {key: getattr(line, key) for key in list(RosterLine.__mapper__.column_attrs.keys())}
        session.add(RosterLine(**copied | {"id": new_id(), "position": 99, "reference": "X-1"}))
        with pytest.raises(IntegrityError, match="uq_roster_line_month"):
            await session.flush()
    cancelled = await pay.act(pay.town, roster, "cancel", reason="口径有误")
    assert cancelled.json()["state"] == "cancelled"
    assert (await pay.town.http.post("/desk/v1/rosters", json=body)).status_code == 201


async def test_a_program_pays_by_head_or_by_home_as_its_data_say(pay):
    heating = {
        "zh": "取暖补贴",
        "en": "Heating",
        "fund": "县级",
        "homes": ["rural"],
        "pays": "per_household",
        "fen": 246_00,
    }
    price = {
        "zh": "价格补贴",
        "en": "Price subsidy",
        "fund": "县级",
        "homes": ["urban", "rural"],
        "pays": "per_person",
        "fen": 46_00,
    }
    await pay.office.rule("roster.programs", [heating | {"code": "heating"}, price | {"code": "price"}])
    for program, each_fen in (("heating", 246_00), ("price", 92_00)):
        roster = await pay.sent(days.month(), program=program)
        assert (await pay.show(roster))["totalFen"] == 4 * each_fen
    assert await unexplained(pay) == []


async def test_who_received_how_much_is_shown_for_a_past_month_whatever_changed_since(pay):
    await pay.settled(days.month(-1))
    home = pay.homes[0]
    before = (await pay.county.http.get("/desk/v1/payments", params={"household": str(home.household_id)})).json()[
        "items"
    ]
    await pay.decide(home, "cut", days.month(-1), 10_00)
    await pay.account(home, card="6222020000088888888", holder=home.spouse)
    after = (
        await pay.county.http.get(
            "/desk/v1/payments", params={"household": str(home.household_id), "month": days.month(-1).isoformat()}
        )
    ).json()["items"]
    assert after == before
    assert (after[0]["totalFen"], after[0]["payeeName"], after[0]["beneficiaries"]) == (
        300_00, home.head, [home.head, home.spouse],
    )  # fmt: skip


async def test_a_line_or_a_part_that_was_altered_after_it_was_sent_is_found(pay, services):
    roster = await pay.sent(days.month())
    assert await unexplained(pay) == []
    await pay.alter(roster, 0, due_fen=400_00, total_fen=400_00)
    codes = {(fault.code, fault.fen) for fault in await unexplained(pay)}
    assert ("sum_differs", 100_00) in codes
    await pay.alter(roster, 0, due_fen=300_00, total_fen=300_00)
    async with open_session(services.sessions) as session:
        await session.execute(update(BenefitChange).where(BenefitChange.area_code == PILOT).values(amount_fen=250_00))
    assert sum(fault.fen for fault in await unexplained(pay) if fault.code == "unexplained") == 4 * 50_00
    async with open_session(services.sessions) as session:
        await session.execute(update(RosterPart).values(amount_fen=1))
    assert any(fault.code == "altered" for fault in await unexplained(pay))


async def test_a_roster_that_was_sent_is_never_cancelled_and_one_person_never_checks_alone(pay, services):
    roster = await pay.sent(days.month())
    assert (await pay.act(pay.town, roster, "cancel", reason="错")).json()["code"] == "roster.not_now"
    async with services.sessions() as session:
        row = await session.scalar(select(Roster))
        row.checked_by, row.checked_at = row.prepared_by, utc_now()
        with pytest.raises(IntegrityError, match="checking_takes_two"):
            await session.flush()


async def test_each_list_is_saved_as_a_file_with_the_masks_and_the_sums_of_the_list(pay):
    roster = await pay.sent(days.month())
    programs = (await pay.county.http.get("/desk/v1/roster-programs", params={"area": PILOT})).json()
    assert [program["code"] for program in programs] == ["urban_dibao", "rural_dibao"]
    (listed,) = (await pay.county.http.get("/desk/v1/rosters", params={"state": "sent"})).json()["items"]
    assert (listed["id"], listed["totalFen"]) == (roster, 1200_00)
    for path, rows in (
        ("rosters", 1), ("payments", 4), (f"rosters/{roster}/lines", 4), (f"rosters/{roster}/findings", 1),
    ):  # fmt: skip
        answer = await pay.county.http.get(f"/desk/v1/{path}/export", params={"format": "csv"})
        assert answer.status_code == 200, answer.text
        text = answer.content.decode("utf-8-sig")
        assert len(list(csv.DictReader(io.StringIO(text)))) == rows
        assert not [home.card for home in pay.homes if home.card in text]


async def test_a_roster_of_a_wider_area_leaves_out_who_is_paid_already(pay):
    """The raise is arrears of the next month: a home has one line in a month."""
    await pay.sent(days.month())
    await pay.decide(pay.homes[0], "raised", days.month(), 350_00)
    wider = await pay.make(days.month(), area=PILOT[:9])
    assert (await pay.show(wider))["state"] == "drafted"
    assert {line["headName"] for line in await pay.lines(wider)}.isdisjoint({home.head for home in pay.homes})


async def test_a_roster_whose_draft_does_not_come_to_an_end_can_be_cancelled(pay):
    roster = await pay.make(days.month())
    await pay.alter_roster(roster, state="drafting")
    answer = await pay.act(pay.town, roster, "cancel", reason="造册没有完成")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")


async def test_what_is_paid_a_head_or_a_home_is_owed_to_who_was_left_out_once(pay):
    heating = {
        "code": "heating", "zh": "取暖补贴", "en": "Heating", "fund": "县级", "homes": ["rural"],
        "pays": "per_household", "fen": 246_00, "months": [days.month(-1).month],
    }  # fmt: skip
    await pay.office.rule("roster.programs", [heating])
    roster = await pay.make(days.month(-1), program="heating")
    await pay.judge(roster)
    first = (await pay.lines(roster))[0]
    body = {"lineId": first["id"], "reason": "账户待核实"}
    await pay.town.http.post(f"/desk/v1/rosters/{roster}/left-out", json=body)
    for desk, act in ((pay.town, "prepare"), (pay.county, "check"), (pay.town, "send")):
        assert (await pay.act(desk, roster, act)).status_code == 200
    # A month without the subsidy: its roster pays nobody but who was left out.
    following = await pay.sent(days.month(), program="heating")
    (line,) = await pay.lines(following)
    assert (line["headName"], line["dueFen"], line["arrearsFen"]) == (first["headName"], 0, 246_00)
    assert line["parts"][0]["cause"] == "left_out"
    assert await pay.lines(await pay.make(days.month(1), program="heating")) == []
    assert await unexplained(pay) == []


async def test_a_month_paid_as_rural_is_not_paid_again_when_the_case_becomes_urban(pay):
    await pay.sent(days.month(-1))
    home = pay.homes[0]
    async with open_session(pay.services.sessions) as session:
        await session.execute(update(CaseFile).where(CaseFile.id == home.case_id).values(programme="urban"))
        urban = Roster(
            number="FF-U", kind="monthly", program="urban_dibao", program_zh="城市低保", program_en="Urban", fund="县级",
            area_code=PILOT, month=days.month(-1), state="drafted", made_by=(await session.scalars(select(Staff.id))).first(),
            made_at=utc_now(),
        )  # fmt: skip
        session.add(urban)
    roster = await pay.make(days.month(), program="urban_dibao")
    (line,) = await pay.lines(roster)
    assert (line["headName"], line["dueFen"], line["arrearsFen"]) == (home.head, 300_00, 0)


async def test_what_a_case_of_another_programme_rightly_got_is_not_claimed_back(pay):
    """A rural case, paid until it stopped; then an urban case of the same home."""
    home = pay.homes[0]
    await pay.settled(days.month(-1))
    await pay.decide(home, "stopped", days.month(), 0, ground="moved")
    urban = replace(home, case_id=new_id())
    async with open_session(pay.services.sessions) as session:
        session.add(
            CaseFile(
                id=urban.case_id, number="TSQ-U", household_id=home.household_id, area_code=PILOT, state="in_force",
                applied_on=days.month(), rules_on=days.month(), programme="urban", paid_from=days.month(),
            )
        )  # fmt: skip
    await pay.decide(urban, "granted", days.month(), 400_00)
    # A roster of the urban program that paid nobody: its months are looked at from here on.
    async with open_session(pay.services.sessions) as session:
        session.add(
            Roster(
                number="FF-U", kind="monthly", program="urban_dibao", program_zh="城市低保", program_en="Urban", fund="县级",
                area_code=PILOT, month=days.month(-1), state="drafted", made_by=(await session.scalars(select(Staff.id))).first(),
                made_at=utc_now(),
            )
        )  # fmt: skip
    (line,) = await pay.lines(await pay.make(days.month(), program="urban_dibao"))
    assert (line["headName"], line["dueFen"], line["recoveryFen"]) == (home.head, 400_00, 0)
    assert home.head not in [line["headName"] for line in await pay.lines(await pay.make(days.month()))]


async def test_who_left_a_home_out_does_not_put_it_back_alone(pay):
    roster = await pay.make(days.month())
    await pay.judge(roster)
    first = (await pay.lines(roster))[0]
    body = {"lineId": first["id"], "reason": "账户待核实"}
    await pay.town.http.post(f"/desk/v1/rosters/{roster}/left-out", json=body)
    (finding,) = [finding for finding in await pay.findings(roster, judged=True) if finding["code"] == "by_hand"]
    body = {"findingIds": [finding["id"]], "verdict": "pay", "reason": "已核实（测试）"}
    path = f"/desk/v1/rosters/{roster}/judgements"
    assert (await pay.town.http.post(path, json=body)).json()["code"] == "roster.second_person"
    assert (await pay.county.http.post(path, json=body)).json()["homes"] == 4
