"""A household reads what it was paid, and says whether it arrived."""

from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import select, update

from server.complaints import submission
from server.core import jobs
from server.core.database import open_session
from server.core.job_types import AnnouncePayday
from server.models.cases import CaseFile
from server.models.complaints import Complaint
from server.models.households import Household
from server.models.rosters import RosterLine
from server.rosters.payday import payday
from tests import days


async def bound(pay, place=0):
    """A home of the village that a resident has bound: that of an application, moved there."""
    resident = await pay.office.resident(place)
    (case,) = (await resident.http.get("/resident/v1/cases")).json()
    async with open_session(pay.services.sessions) as session:
        own = await session.get_one(CaseFile, case["id"])
        home = pay.homes[0]
        await session.execute(update(CaseFile).where(CaseFile.id == home.case_id).values(household_id=own.household_id))
        head = await session.scalar(select(Household.head_name).where(Household.id == own.household_id))
        home.household_id = own.household_id
    await pay.account(home, card=home.card, holder=head)
    return resident, case["id"]


async def test_a_household_reads_its_payments_once_they_are_sent_and_confirms_one(pay):
    resident, case_id = await bound(pay)
    path = f"/resident/v1/cases/{case_id}/payments"
    roster = await pay.make(days.month())
    assert (await resident.http.get(path)).json() == []
    await pay.judge(roster)
    for desk, act in ((pay.town, "prepare"), (pay.county, "check"), (pay.town, "send")):
        assert (await pay.act(desk, roster, act)).status_code == 200
    (payment,) = (await resident.http.get(path)).json()
    assert (payment["totalFen"], payment["state"], payment["stance"]) == (300_00, "sent", None)
    assert [(part["kind"], part["amountFen"]) for part in payment["parts"]] == [("due", 300_00)]
    assert payment["accountMask"].endswith(pay.homes[0].card[-4:])
    word = f"{path}/{payment['id']}/word"
    for _ in range(2):
        said = (await resident.http.post(word, json={"stance": "received"})).json()
        assert (said["payments"][0]["stance"], said["receipt"]) == ("received", None)
    lines = {line["id"]: line["stance"] for line in await pay.lines(roster)}
    assert lines[payment["id"]] == "received"


async def test_not_received_is_a_complaint_with_the_payment_attached_once(pay, services):
    resident, case_id = await bound(pay)
    await pay.sent(days.month())
    path = f"/resident/v1/cases/{case_id}/payments"
    (payment,) = (await resident.http.get(path)).json()
    word = f"{path}/{payment['id']}/word"
    said = (await resident.http.post(word, json={"stance": "not_received", "text": "存折上没有"})).json()
    again = (await resident.http.post(word, json={"stance": "not_received", "text": "存折上没有"})).json()
    assert (said["payments"][0]["complaintNumber"], again["receipt"]) == (said["receipt"]["number"], None)
    async with services.sessions() as session:
        (complaint,) = list(await session.scalars(select(Complaint)))
        line = await session.scalar(select(RosterLine).where(RosterLine.complaint_id == complaint.id))
        text = services.encryption.open("complaint.text", complaint.id, complaint.text_sealed)
    assert str(line.id) == payment["id"]
    assert line.reference in text
    assert "存折上没有" in text


async def test_nobody_reads_or_answers_for_the_payments_of_another_household(pay):
    resident, case_id = await bound(pay)
    roster = await pay.sent(days.month())
    other = next(line for line in await pay.lines(roster) if line["headName"] == pay.homes[1].head)
    word = f"/resident/v1/cases/{case_id}/payments/{other['id']}/word"
    assert (await resident.http.post(word, json={"stance": "received"})).json()["code"] == "thing.not_found"
    theirs = f"/resident/v1/cases/{pay.homes[1].case_id}/payments"
    assert (await resident.http.get(theirs)).json()["code"] == "thing.not_found"


async def test_not_received_is_kept_with_its_complaint_or_not_at_all(pay, services, monkeypatch):
    resident, case_id = await bound(pay)
    await pay.sent(days.month())
    path = f"/resident/v1/cases/{case_id}/payments"
    (payment,) = (await resident.http.get(path)).json()
    monkeypatch.setattr(submission, "MAX_ATTEMPTS", 0)
    word = {"stance": "not_received"}
    refused = await resident.http.post(f"{path}/{payment['id']}/word", json=word)
    assert refused.json()["code"] == "request.rate_limited"
    assert (await resident.http.get(path)).json()[0]["stance"] is None
    monkeypatch.undo()
    said = (await resident.http.post(f"{path}/{payment['id']}/word", json=word)).json()
    assert said["receipt"]["number"] == said["payments"][0]["complaintNumber"]


async def test_a_payment_of_a_home_that_was_merged_into_the_own_is_read_and_answered(pay):
    await pay.sent(days.month())
    resident, case_id = await bound(pay)
    path = f"/resident/v1/cases/{case_id}/payments"
    (payment,) = (await resident.http.get(path)).json()
    assert payment["totalFen"] == 300_00
    said = (await resident.http.post(f"{path}/{payment['id']}/word", json={"stance": "received"})).json()
    assert said["payments"][0]["stance"] == "received"


async def payday_notices(resident):
    items = (await resident.http.get("/resident/v1/notices")).json()["items"]
    return [notice for notice in items if notice["kind"] == "payday"]


@pytest.mark.parametrize("shows_sum", [False, True])
async def test_a_home_is_told_once_a_month_from_when_its_money_is_there(pay, shows_sum):
    await pay.office.rule("roster.payday_shows_sum", shows_sum)
    resident, _ = await bound(pay)
    roster = await pay.sent(days.month())
    for _ in range(2):
        async with open_session(pay.services.sessions) as session:
            await jobs.defer(session, AnnouncePayday(roster_id=UUID(roster)))
        await pay.system.run_jobs()
    (notice,) = await payday_notices(resident)
    assert ("300.00" in notice["zh"], "300.00" in notice["en"]) == (shows_sum, shows_sum)
    assert "–" not in notice["zh"]
    async with open_session(pay.services.sessions) as session:
        await session.execute(update(RosterLine).values(program="heating"))
        await jobs.defer(session, AnnouncePayday(roster_id=UUID(roster)))
    await pay.system.run_jobs()
    assert len(await payday_notices(resident)) == 2


def test_payday_is_in_the_rosters_month_or_today_where_it_is_sent_later():
    assert payday(date(2023, 2, 1), 31, date(2023, 2, 10)) == date(2023, 2, 28)
    assert payday(date(2023, 2, 1), 25, date(2023, 3, 2)) == date(2023, 3, 2)
