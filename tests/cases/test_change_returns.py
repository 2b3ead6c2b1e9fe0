"""Monthly returns of changes: drafted from what happened, sent, sent back, closed; who is late is visible."""

from datetime import date, timedelta

from sqlalchemy import update

from server.cases import change_return_routes
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.working_days import day_of
from server.models.benefits import BenefitChange
from server.models.change_returns import ChangeReturn
from server.models.households import Caseload
from server.models.people import StaffRole
from tests import days
from tests.benefits.test_changes import in_force, report
from tests.makers.aid import stand_in
from tests.makers.cases import TOWN, VILLAGE

ADDRESS = "/desk/v1/change-returns"


async def happened(office):
    """A grant of last month, and a birth that the household reports."""
    case_id, county = await in_force(office)
    resident = await office.resident()
    await report(resident, case_id)
    async with open_session(office.services.sessions) as session:
        await session.execute(update(BenefitChange).values(decided_on=days.month(-1)))
    return county


async def show(desk, area=VILLAGE, month=None):
    return await desk.http.get(f"{ADDRESS}/{area}/{(month or days.month(-1)).isoformat()}")


async def send(desk, area=VILLAGE, month=None, note=""):
    path = f"{ADDRESS}/{area}/{(month or days.month(-1)).isoformat()}/sending"
    return await desk.http.post(path, json={"note": note})


async def decide(desk, outcome, reason="", area=VILLAGE):
    path = f"{ADDRESS}/{area}/{days.month(-1).isoformat()}/decision"
    return await desk.http.post(path, json={"outcome": outcome, "reason": reason})


async def listed(desk, level="village", **query):
    answer = await desk.http.get(ADDRESS, params={"month": days.month(-1).isoformat(), "level": level, **query})
    assert answer.status_code == 200, answer.text
    return {line["areaCode"]: line for line in answer.json()["items"]}


async def test_a_return_is_drafted_from_what_happened_in_its_month(office):
    county = await happened(office)
    drafted = (await show(county)).json()
    assert drafted["state"] == "draft"
    assert [(line["kind"], line["amountFen"] is None) for line in drafted["lines"]] == [("granted", False)]
    this_month = (await show(county, month=days.month(0))).json()
    assert [line["kind"] for line in this_month["lines"]] == ["report_birth"]
    assert (await listed(county))[VILLAGE]["changes"] == 1
    assert (await listed(county, "town"))[TOWN]["changes"] == 1


async def test_the_town_sends_for_a_village_and_the_county_sends_it_back_until_it_is_right(office):
    county = await happened(office)
    town = await office.person("town_officer")
    assert (await send(county)).json()["code"] == "auth.forbidden"
    assert (await send(town, month=days.month(0))).json()["code"] == "change_return.not_now"
    for _ in range(2):
        sent = (await send(town, note="另有一户拟迁出")).json()
        assert (sent["state"], sent["maySend"], sent["mayDecide"]) == ("sent", False, False)
    assert (await send(town, note="改一改")).json()["code"] == "change_return.not_now"
    assert (await decide(town, "closed")).json()["code"] == "case.second_person"
    assert (await decide(county, "returned")).json()["code"] == "review.reason_required"
    returned = (await decide(county, "returned", "缺迁出户的户主姓名")).json()
    assert (returned["state"], returned["answer"]) == ("returned", "缺迁出户的户主姓名")
    again = (await send(town, note="另有一户拟迁出：已补户主")).json()
    assert (again["state"], again["note"]) == ("sent", "另有一户拟迁出：已补户主")
    for _ in range(2):
        assert (await decide(county, "closed")).json()["state"] == "closed"
    assert (await send(town)).json()["code"] == "change_return.not_now"


async def test_what_was_sent_stays_as_it_was(office, services):
    county = await happened(office)
    await send(await office.person("town_officer"))
    async with open_session(services.sessions) as session:
        await session.execute(update(BenefitChange).values(amount_fen=1))
    assert [line["amountFen"] for line in (await show(county)).json()["lines"]] != [1]


async def test_a_town_sends_its_own_to_the_county(office):
    county = await happened(office)
    town = await office.person("town_officer")
    assert (await send(town, area=TOWN)).json()["state"] == "sent"
    assert (await decide(town, "closed", area=TOWN)).json()["code"] == "auth.forbidden"
    assert (await decide(county, "closed", area=TOWN)).json()["state"] == "closed"


async def test_who_is_late_is_visible(office, services, monkeypatch):
    county = await happened(office)
    await send(await office.person("town_officer"))
    after = days.month(0) + timedelta(days=20)
    monkeypatch.setattr(change_return_routes, "today", lambda: after)
    on_time = utc_now().replace(year=days.month(0).year, month=days.month(0).month, day=3)
    async with open_session(services.sessions) as session:
        await session.execute(update(ChangeReturn).values(first_sent_at=on_time))
    lines = await listed(county)
    assert (lines[VILLAGE]["isLate"], lines[VILLAGE]["dueOn"]) == (
        False,
        (days.month(0) + timedelta(days=4)).isoformat(),
    )
    assert all(line["isLate"] for code, line in lines.items() if code != VILLAGE)
    assert VILLAGE not in await listed(county, late=True)
    async with open_session(services.sessions) as session:
        await session.execute(update(ChangeReturn).values(first_sent_at=on_time + timedelta(days=9)))
    assert (await listed(county, late=True))[VILLAGE]["isLate"] is True
    export = await county.http.get(
        f"{ADDRESS}/export", params={"format": "csv", "month": days.month(-1).isoformat(), "level": "village"}
    )
    assert "已上报" in export.content.decode("utf-8-sig")


async def test_nobody_reads_the_return_of_another_place(office):
    await happened(office)
    stranger = await office.sign_in(
        next(s.login for s in office.county.staff if s.role == "town_officer" and s.area_code != TOWN)
    )
    assert (await show(stranger)).json()["code"] == "thing.not_found"
    assert (await show(stranger, area="339901")).json()["code"] == "thing.not_found"
    assert day_of(utc_now()) >= days.month(0)


async def test_a_caseworker_reads_villages_alone_and_no_words_of_other_peoples_residents(office, services):
    county = await happened(office)
    worker = await office.person("caseworker")
    async with open_session(services.sessions) as session:
        await session.execute(update(StaffRole).where(StaffRole.staff_id == worker.id).values(area_code=TOWN))
        await session.execute(update(Caseload).values(revoked_at=utc_now()))
    assert (await show(worker, area=TOWN)).json()["code"] == "thing.not_found"
    assert await listed(worker, "town") == {}
    (line,) = (await show(worker, month=days.month(0))).json()["lines"]
    (seen,) = (await show(county, month=days.month(0))).json()["lines"]
    assert (line["kind"], line["reason"], bool(seen["reason"])) == ("report_birth", "", True)


async def test_a_deputy_of_the_sender_does_not_decide(office, services):
    county = await happened(office)
    town = await office.person("town_officer")
    await send(town)
    await stand_in(services, county, town, "town_officer", TOWN)
    assert (await decide(county, "closed")).json()["code"] == "case.second_person"
    assert (await show(county)).json()["mayDecide"] is False


async def test_a_month_of_another_age_is_refused(office):
    county = await office.person("county_officer")
    town = await office.person("town_officer")
    for month in (date(9999, 12, 31), date(1, 1, 1), days.month(2)):
        answers = [
            await county.http.get(ADDRESS, params={"month": month.isoformat()}),
            await show(county, month=month),
            await send(town, month=month),
            await county.http.post(f"{ADDRESS}/{VILLAGE}/{month.isoformat()}/decision", json={"outcome": "closed"}),
        ]
        assert [answer.json().get("code") for answer in answers] == ["request.invalid"] * 4
