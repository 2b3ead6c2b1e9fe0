"""What the bank returned is paid again by the decisions of today, to the home as it is now, and once."""

from sqlalchemy import update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.working_days import day_of
from server.models.cases import CaseFile
from server.models.households import Household
from tests import days
from tests.rosters.test_rosters import file_of, unexplained

STEPS = ("prepare", "check", "send")


async def returned(pay, *places, month=None):
    """A sent roster of which the homes at these places came back."""
    roster = await pay.sent(month or days.month())
    results = {
        line["reference"]: "失败" if place in places else "成功"
        for place, line in enumerate(await pay.lines(roster))
        if line["totalFen"]
    }
    assert (await pay.answer(roster, results)).json()["state"] == "settled"
    return roster


async def corrected(pay, roster):
    """The draft of a correction."""
    body = {"id": str(new_id())}
    answer = await pay.town.http.post(f"/desk/v1/rosters/{roster}/corrections", json=body)
    assert answer.status_code == 201, answer.text
    await pay.system.run_jobs()
    return body["id"]


async def go(pay, roster):
    await pay.judge(roster)
    for act, desk in zip(STEPS, (pay.town, pay.county, pay.town), strict=True):
        answer = await pay.act(desk, roster, act)
        assert answer.status_code == 200, answer.text


def codes(findings):
    return {finding["code"] for finding in findings}


async def test_a_home_that_was_stopped_since_the_return_is_not_paid_again(pay):
    roster = await returned(pay, 0, 1)
    await pay.decide(pay.homes[0], "stopped", days.month(), 0, ground="moved")
    correction = await corrected(pay, roster)
    stopped, other = await pay.lines(correction)
    assert (stopped["totalFen"], stopped["parts"], other["totalFen"]) == (0, [], 300_00)
    assert "correction_changed" in codes(await pay.findings(correction))
    await go(pay, correction)
    assert [row["户名"] for row in await file_of(pay, correction)] == [pay.homes[1].head]
    following = await pay.make(days.month(1))
    assert pay.homes[0].head not in {line["headName"] for line in await pay.lines(following)}
    assert {line["recoveryFen"] for line in await pay.lines(following)} == {0}
    assert await unexplained(pay) == []


async def test_a_cut_since_the_return_is_paid_as_cut_and_never_recovered_after(pay):
    roster = await returned(pay, 0)
    await pay.decide(pay.homes[0], "cut", days.month(), 200_00)
    correction = await corrected(pay, roster)
    (line,) = await pay.lines(correction)
    assert line["totalFen"] == 200_00
    await go(pay, correction)
    following = await pay.sent(days.month(1))
    line = next(line for line in await pay.lines(following) if line["headName"] == pay.homes[0].head)
    assert (line["dueFen"], line["arrearsFen"], line["recoveryFen"]) == (200_00, 0, 0)
    assert await unexplained(pay) == []


async def test_a_decision_made_after_the_draft_of_a_correction_refuses_it(pay):
    roster = await returned(pay, 0)
    correction = await corrected(pay, roster)
    await pay.judge(correction)
    await pay.act(pay.town, correction, "prepare")
    await pay.act(pay.county, correction, "check")
    await pay.decide(pay.homes[0], "stopped", days.month(), 0, ground="moved")
    refused = await pay.act(pay.town, correction, "send")
    assert refused.json()["code"] == "roster.findings_open"
    assert "correction_differs" in codes(await pay.findings(correction))


async def test_a_raise_since_the_return_is_arrears_once_and_the_correction_pays_the_old_line(pay):
    roster = await returned(pay, 0, month=days.month(-1))
    await pay.decide(pay.homes[0], "raised", days.month(-1), 350_00)
    following = await pay.sent(days.month())
    line = next(line for line in await pay.lines(following) if line["headName"] == pay.homes[0].head)
    assert (line["dueFen"], line["arrearsFen"]) == (350_00, 50_00)
    correction = await corrected(pay, roster)
    (line,) = await pay.lines(correction)
    assert line["totalFen"] == 300_00
    await go(pay, correction)
    assert {line["arrearsFen"] for line in await pay.lines(await pay.make(days.month(1)))} == {0}
    assert await unexplained(pay) == []


async def merged_away(pay, gone, kept):
    """As a merge does it: the case moves to the home that is kept; its line stays as it was sent."""
    async with open_session(pay.services.sessions) as session:
        await session.execute(
            update(CaseFile).where(CaseFile.id == gone.case_id).values(household_id=kept.household_id)
        )
        ended = {"merged_into": kept.household_id, "monthly_amount_fen": None}
        await session.execute(update(Household).where(Household.id == gone.household_id).values(**ended))


async def test_a_merged_away_home_is_corrected_to_the_account_of_the_home_that_was_kept(pay):
    """It was stopped from next month before it was merged, as a merge requires; this month is still owed to it."""
    gone, kept = pay.homes[0], await pay.home(since=days.month(2))
    roster = await returned(pay, 0)
    await pay.decide(gone, "stopped", days.month(1), 0, ground="other")
    await merged_away(pay, gone, kept)
    correction = await corrected(pay, roster)
    (line,) = await pay.lines(correction)
    assert (line["householdId"], line["payeeName"], line["totalFen"]) == (str(kept.household_id), kept.head, 300_00)
    assert "account_changed" in codes(await pay.findings(correction))
    await go(pay, correction)
    assert [row["账号"] for row in await file_of(pay, correction)] == [kept.card]
    query = {"household": str(kept.household_id)}
    paid = (await pay.county.http.get("/desk/v1/payments", params=query)).json()["items"]
    assert {line["rosterId"] for line in paid} == {roster, correction}
    assert await unexplained(pay) == []


async def test_what_the_bank_sends_back_days_after_it_had_paid_is_returned_and_corrected_once(pay):
    roster = await pay.settled(days.month())
    first, second, *_ = [line["reference"] for line in await pay.lines(roster)]
    late = (await pay.answer(roster, {first: "失败"})).json()
    assert [answer["returned"] for answer in late["answers"]] == [0, 1]
    assert {state["state"]: state["totalFen"] for state in late["states"]} == {"paid": 900_00, "returned": 300_00}
    again = (await pay.answer(roster, {first: "成功", second: "成功"})).json()
    assert [row["why"] for row in again["answers"][-1]["refused"]] == ["contradicts"]
    correction = await corrected(pay, roster)
    (finding,) = [finding for finding in await pay.findings(correction) if finding["code"] == "returned_late"]
    # Who brought the file that gave it back doesn't judge it.
    body = {"findingIds": [finding["id"]], "verdict": "pay", "reason": "已核实（测试）"}
    judged = await pay.county.http.post(f"/desk/v1/rosters/{correction}/judgements", json=body)
    assert judged.json()["code"] == "roster.second_person"
    await go(pay, correction)
    path = f"/desk/v1/rosters/{roster}/corrections"
    assert (await pay.town.http.post(path, json={"id": str(new_id())})).json()["code"] == "roster.nothing_returned"
    following = await pay.make(days.month(1))
    assert {line["arrearsFen"] for line in await pay.lines(following)} == {0}
    assert await unexplained(pay) == []


async def test_two_rows_of_one_file_that_differ_leave_a_doubt(pay):
    roster = await pay.sent(days.month())
    first = (await pay.lines(roster))[0]["reference"]
    rows = ["业务编号,金额,结果,失败原因", f"{first},300.00,成功,", f"{first},300.00,失败,退票"]
    answered = await pay.county.http.post(
        f"/desk/v1/rosters/{roster}/answers",
        data={"id": str(new_id())},
        files={"file": ("a.csv", "\r\n".join(rows).encode("gb18030"), "text/csv")},
    )
    (answer,) = answered.json()["answers"]
    assert (answer["paid"], [row["why"] for row in answer["refused"]]) == (1, ["contradicts"])


async def report(pay, roster, desk, line, **more):
    body = {
        "id": str(new_id()),
        "lineId": line["id"],
        "returnedOn": day_of(utc_now()).isoformat(),
        "reason": "账户销户退票",
    }
    return await desk.http.post(f"/desk/v1/rosters/{roster}/late-returns", json=body | more)


async def decide(roster, desk, return_id, outcome="confirmed", reason=""):
    path = f"/desk/v1/rosters/{roster}/late-returns/{return_id}/decision"
    return await desk.http.post(path, json={"outcome": outcome, "reason": reason})


async def test_two_people_enter_a_late_return_without_a_file(pay):
    roster = await pay.settled(days.month())
    line = (await pay.lines(roster))[0]
    future = days.in_days(1).isoformat()
    assert (await report(pay, roster, pay.town, line, returnedOn=future)).json()["code"] == "request.invalid"
    reported = (await report(pay, roster, pay.town, line)).json()
    (waiting,) = reported["lateReturns"]
    assert (waiting["outcome"], waiting["mayDecide"], reported["states"][0]["state"]) == (None, False, "paid")
    assert (await report(pay, roster, pay.county, line)).json()["code"] == "roster.return_waiting"
    assert (await decide(roster, pay.town, waiting["id"])).json()["code"] == "roster.second_person"
    for _ in range(2):
        confirmed = (await decide(roster, pay.county, waiting["id"])).json()
        assert {state["state"]: state["homes"] for state in confirmed["states"]} == {"paid": 3, "returned": 1}
    assert (await report(pay, roster, pay.town, line)).json()["code"] == "roster.line_not_paid"
    await go(pay, await corrected(pay, roster))
    assert await unexplained(pay) == []


async def test_a_late_return_that_is_declined_moves_nothing(pay):
    roster = await pay.settled(days.month())
    line = (await pay.lines(roster))[0]
    (waiting,) = (await report(pay, roster, pay.town, line)).json()["lateReturns"]
    assert (await decide(roster, pay.county, waiting["id"], "declined")).json()["code"] == "review.reason_required"
    declined = (await decide(roster, pay.county, waiting["id"], "declined", "银行查无退票")).json()
    assert [state["state"] for state in declined["states"]] == ["paid"]
    assert declined["lateReturns"][0]["answer"] == "银行查无退票"
