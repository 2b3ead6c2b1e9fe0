"""A home that was left out comes back into the roster: by a second person, until the roster is checked."""

from sqlalchemy import update

from server.core.database import open_session
from server.models.cases import CaseFile
from server.models.households import HouseholdMember
from tests import days
from tests.rosters.test_rosters import file_of, unexplained


async def readmit(desk, roster, household_id, reason="账户已更正"):
    body = {"householdId": str(household_id), "reason": reason}
    return await desk.http.post(f"/desk/v1/rosters/{roster}/readmissions", json=body)


async def leave_out_homes(pay, roster):
    ids = [finding["id"] for finding in await pay.findings(roster) if finding["householdId"]]
    body = {"findingIds": ids, "verdict": "leave_out", "reason": "没有账户"}
    answer = await pay.town.http.post(f"/desk/v1/rosters/{roster}/judgements", json=body)
    assert answer.status_code == 200, answer.text


async def test_a_home_whose_cause_is_mended_comes_back_the_same_day_by_a_second_person(pay):
    home = await pay.home(has_account=False)
    roster = await pay.make(days.month())
    await leave_out_homes(pay, roster)
    await pay.judge(roster)
    assert (await pay.show(roster))["homes"] == 4
    assert (await readmit(pay.town, roster, home.household_id)).json()["code"] == "roster.second_person"
    # The cause is still there: the home is back, and nobody can pay it.
    assert (await readmit(pay.county, roster, home.household_id)).json()["state"] == "drafting"
    await pay.system.run_jobs()
    (finding,) = await pay.findings(roster)
    assert (finding["code"], finding["isCertain"], finding["verdict"]) == ("no_account", True, None)
    await leave_out_homes(pay, roster)
    await pay.act(pay.town, roster, "prepare")
    await pay.account(home, card=home.card, holder=home.head)
    # Until it is checked: the roster goes back to its draft.
    assert (await readmit(pay.county, roster, home.household_id)).status_code == 200
    await pay.system.run_jobs()
    again = await readmit(pay.county, roster, home.household_id)
    assert (again.json()["state"], again.json()["homes"]) == ("drafted", 5)
    await pay.judge(roster)
    for desk, act in ((pay.town, "prepare"), (pay.county, "check")):
        assert (await pay.act(desk, roster, act)).status_code == 200
    assert home.card in [row["账号"] for row in await file_of(pay, await sent_by(pay, roster))]
    assert await unexplained(pay) == []


async def sent_by(pay, roster):
    assert (await pay.act(pay.town, roster, "send")).status_code == 200
    return roster


async def test_once_checked_nobody_is_taken_back_in(pay):
    roster = await pay.make(days.month())
    line = (await pay.lines(roster))[0]
    await pay.judge(roster)
    left = {"lineId": line["id"], "reason": "账户待核实"}
    await pay.town.http.post(f"/desk/v1/rosters/{roster}/left-out", json=left)
    for desk, act in ((pay.town, "prepare"), (pay.county, "check")):
        assert (await pay.act(desk, roster, act)).status_code == 200
    assert (await readmit(pay.county, roster, line["householdId"])).json()["code"] == "roster.not_now"


async def take_up_again(pay, home):
    """Stopped from this month, and decided to be paid again from next month; nobody has disclosed it yet."""
    await pay.decide(home, "stopped", days.month(), 0, ground="moved")
    await pay.decide(home, "granted", days.month(1), 300_00)
    async with open_session(pay.services.sessions) as session:
        values = {"state": "confirmed", "paid_from": days.month(1), "stopped_from": None}
        await session.execute(update(CaseFile).where(CaseFile.id == home.case_id).values(**values))


async def test_what_a_home_was_owed_before_its_stop_does_not_wait_for_its_return(pay):
    """Left out, stopped from the month after, and decided to be paid again from next month."""
    earlier = days.month(-1)
    roster = await pay.make(earlier)
    await pay.judge(roster)
    line = (await pay.lines(roster))[0]
    await pay.town.http.post(f"/desk/v1/rosters/{roster}/left-out", json={"lineId": line["id"], "reason": "账户待核实"})
    home = next(home for home in pay.homes if home.head == line["headName"])
    await take_up_again(pay, home)
    roster = await pay.make(days.month())
    assert home.head not in {line["headName"] for line in await pay.lines(roster)}
    # What is owed is said while the return is not disclosed yet, though it is to be paid from a later month.
    assert "not_published" in {finding["code"] for finding in await pay.findings(roster)}
    async with open_session(pay.services.sessions) as session:
        await session.execute(update(CaseFile).where(CaseFile.id == home.case_id).values(state="published"))
    assert (await pay.act(pay.town, roster, "draft_again")).status_code == 200
    lines = {line["headName"]: line for line in await pay.lines(roster)}
    assert (lines[home.head]["dueFen"], lines[home.head]["arrearsFen"]) == (0, 300_00)


async def test_a_home_taken_up_again_later_whose_months_are_all_paid_is_missing_nowhere(pay):
    await pay.settled(days.month(-1))
    paid, new = pay.homes[:2]
    await take_up_again(pay, paid)
    roster = await pay.make(days.month())
    assert (await pay.show(roster))["homes"] == 3
    assert [finding["code"] for finding in await pay.findings(roster)] == []
    # Another that is owed this month is said, alone.
    async with open_session(pay.services.sessions) as session:
        await session.execute(update(CaseFile).where(CaseFile.id == new.case_id).values(state="confirmed"))
    assert (await pay.act(pay.town, roster, "draft_again")).status_code == 200
    (finding,) = await pay.findings(roster)
    assert (finding["code"], finding["zh"][:4]) == ("not_published", "1 户已")


async def test_what_was_judged_of_one_person_in_two_homes_is_not_judged_of_another(pay):
    """Nor of another home on the same account: the count alone would be the same."""
    first, second = pay.homes[:2]
    index = pay.services.encryption.index("id_number", "110101196003041234")
    at_once = update(HouseholdMember).where(HouseholdMember.household_id.in_([first.household_id, second.household_id]))

    async def enter_twice(position: int) -> None:
        async with open_session(pay.services.sessions) as session:
            await session.execute(at_once.values(id_number_index=None))
            same = at_once.where(HouseholdMember.position == position)
            await session.execute(same.values(id_number_index=index))

    async def list_open(roster: str) -> list[str]:
        found = await pay.findings(roster)
        return [finding["code"] for finding in found if finding["code"] == "person_elsewhere"]

    await enter_twice(0)
    roster = await pay.make(days.month())
    await pay.judge(roster)
    assert await list_open(roster) == []
    await enter_twice(1)
    answer = await pay.act(pay.town, roster, "prepare")
    assert (answer.status_code, answer.json()["code"]) == (409, "roster.findings_open")
    assert await list_open(roster) == ["person_elsewhere"] * 2
