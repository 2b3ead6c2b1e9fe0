"""One case whole, by real people and real jobs: from the desk's first page to the money, and what the resident reads."""

from datetime import timedelta

from sqlalchemy import select

from server.cases.progress import begin_payments
from server.core.database import open_session
from server.core.ids import new_id
from server.core.tokens import utc_now
from server.models.cases import CaseFile
from server.models.feed import announce
from server.models.households import Assignment, Household
from tests.cases import offices
from tests.cases.makers import TOWN, VILLAGE, calculated, done, look, refused
from tests.cases.test_crosschecks import import_, request_file
from tests.cases.test_households import household
from tests.cases.test_postings import end, opened
from tests.phones import make_kit
from tests.test_first_path import push_whole

PLACE = {"latitude": 28.9051, "longitude": 118.8921, "datum": "wgs84"}


async def clear_desk(office):
    """The demo's own visits, so that the one on the phone is this case's."""
    async with open_session(office.services.sessions) as session:
        rows = list(await session.scalars(select(Assignment).where(Assignment.kind == "intake")))
        for one in rows:
            one.state = "cancelled"
        await session.flush()
        await announce(session, "assignments", [one.id for one in rows])


async def visit(office, case_id):
    """The caseworker who holds the household goes there with a county officer; a supervisor accepts the visit."""
    county_login = next(one.login for one in office.county.staff if one.role == "county_officer")
    worker_login = next(one.login for one in office.county.staff if one.role == "caseworker")
    phone = await office.system.sign_in(worker_login, "caseworker")
    county = await office.system.sign_in(county_login, "county_officer")
    kit = await make_kit(phone, county.id)
    await push_whole(phone, county, kit)
    await office.system.run_jobs()
    reviewer = await office.person("supervisor")
    claim = (await reviewer.http.post("/desk/v1/queue/claim")).json()
    answer = await reviewer.http.post(
        f"/desk/v1/visits/{claim['visitId']}/decision",
        json={"outcome": "accepted", "reason": "已核对"},
        headers={"If-Match": f'"{claim["version"]}"'},
    )
    assert answer.status_code == 200, answer.text
    await office.system.run_jobs()


async def test_a_relatives_application_from_the_desk_to_the_money(office, services):
    await clear_desk(office)
    await office.rule("amount.standard_fen", {"urban": 36000, "rural": 26000})
    worker, town = await office.person("caseworker"), await office.person("town_officer")
    county = await office.person("county_officer")

    relative = [{"name": "甘穗垄", "office": "县民政局", "relation": "表叔"}]
    body = {
        "id": str(new_id()),
        "householdId": str(new_id()),
        "areaCode": VILLAGE,
        "household": household(relatives=relative, place=PLACE),
        "consentedOn": "2026-11-20",
    }
    made = (await worker.http.post("/desk/v1/applications", json=body)).json()
    case_id = made["id"]
    await done(worker, case_id, "papers_missing")
    for one in made["papers"]:
        await worker.http.post(
            f"/desk/v1/cases/{case_id}/papers", json={"code": one["code"], "receivedOn": "2026-11-23"}
        )
    accepted = await done(town, case_id, "accepted")
    assert [one["kind"] for one in accepted["deadlines"]] == ["cross_check", "survey", "total"]

    batch = {"id": str(new_id()), "source": "tax", "areaCode": TOWN}
    await town.http.post("/desk/v1/cross-checks", json=batch)
    asked = await request_file(town, batch["id"])
    number = body["household"]["members"][0]["idNumber"]
    told = (await import_(town, batch["id"], offices.answer("tax", asked, {number: "150.00"}))).json()
    assert told["differing"] == 1  # 100 yuan were declared

    await visit(office, case_id)
    told = await look(town, case_id)
    assert (told["state"], told["countyVisitedAt"] is not None) == ("preliminary", True)

    await calculated(town, case_id)
    await done(town, case_id, "opinion_grant")
    posting = await opened(office)
    await end(office, posting["id"])
    assert await refused(town, case_id, "confirmed") == "auth.forbidden"
    await done(county, case_id, "confirmed")
    await done(county, case_id, "notice_delivered", delivery="送达本人")
    await done(town, case_id, "published")
    async with open_session(services.sessions) as session:
        assert await begin_payments(session, utc_now() + timedelta(days=32)) == 1

    async with services.sessions() as session:
        case = await session.get_one(CaseFile, case_id)
        paid = await session.get_one(Household, case.household_id)
        assert (case.state, paid.monthly_amount_fen) == ("in_force", 260_00)
    looked = await office.system.client().post(
        "/public/v1/cases/look-up", json={"applicationNumber": made["applicationNumber"], "idEnding": number[-4:]}
    )
    assert looked.json()["stateZh"] == "发放中"
    steps = [one["step"] for one in (await look(county, case_id))["timeline"]]
    assert steps == [
        "applied",
        "papers_missing",
        "accepted",
        "cross_check_begun",
        "survey_done",
        "county_visited",
        "opinion_grant",
        "posting_ended",
        "confirmed",
        "notice_delivered",
        "published",
        "in_force",
    ]
