"""Complaints: every one has a number, a deadline and a reply; who complained is the handler's alone to know."""

from datetime import timedelta

from sqlalchemy import select, text

from server.core.database import open_session
from server.core.tokens import utc_now
from server.models.audit import AuditEntry
from server.models.complaints import Complaint
from server.models.households import Assignment, Household
from tests.cases.makers import VILLAGE, look
from tests.phones import CHINA

TEXT = "邻居家有两辆轿车却在领低保"


async def complain(system, **more):
    body = {"areaCode": VILLAGE, "text": TEXT, "reporter": {"name": "告状人甲", "contact": "19900002222"}} | more
    answer = await system.client().post("/public/v1/complaints", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def only_id(services):
    async with services.sessions() as session:
        return await session.scalar(select(Complaint.id))


async def ask(desk, complaint_id, what, **body):
    return await desk.http.post(f"/desk/v1/complaints/{complaint_id}/{what}", json=body)


async def test_an_anonymous_complaint_is_followed_by_its_code_to_the_reply(office, services):
    taken = await complain(office.system, reporter=None)
    complaint_id, town = await only_id(services), await office.person("town_officer")
    client, code = office.system.client(), {"number": taken["number"], "code": taken["code"]}
    first = (await client.post("/public/v1/complaints/look-up", json=code)).json()
    assert (first["state"], first["dueOn"]) == ("received", taken["dueOn"])
    assert (await ask(town, complaint_id, "register")).status_code == 200
    decided = {"finding": "partly", "reply": "经查一辆属实,已启动复核"}
    for _ in range(2):
        assert (await ask(town, complaint_id, "decide", **decided)).status_code == 200
    last = (await client.post("/public/v1/complaints/look-up", json=code)).json()
    assert (last["state"], last["reply"], last["dueOn"]) == ("decided", decided["reply"], None)
    for wrong in ({"code": "0000000000"}, {"number": "XF3399012026-99999"}):
        answer = await client.post("/public/v1/complaints/look-up", json=code | wrong)
        assert (answer.status_code, answer.json()["code"]) == (404, "thing.not_found")
    other = await ask(town, complaint_id, "decide", finding="upheld", reply="改变主意了吧")
    assert other.json()["code"] == "complaint.not_now"


async def test_fifteen_days_to_register_sixty_to_decide_thirty_more_once(office, services):
    await complain(office.system)
    complaint_id, town = await only_id(services), await office.person("town_officer")
    async with services.sessions() as session:
        row = await session.get_one(Complaint, complaint_id)
        received = row.received_at.astimezone(CHINA).date()
        assert row.due_on == received + timedelta(days=15)
    registered = (await ask(town, complaint_id, "register")).json()
    sixty = (received + timedelta(days=60)).isoformat()
    assert registered["line"]["dueOn"] == sixty
    for _ in range(2):
        told = (await ask(town, complaint_id, "extend", reason="当事人外出")).json()
    assert told["line"]["dueOn"] == (received + timedelta(days=90)).isoformat()
    assert told["line"]["isExtended"]


async def test_only_the_handler_sees_who_said_what(office, services):
    await complain(office.system)
    complaint_id = await only_id(services)
    town, county = await office.person("town_officer"), await office.person("county_officer")
    before = (await town.http.get(f"/desk/v1/complaints/{complaint_id}")).json()
    assert (before["text"], before["reporterName"]) == (None, None)
    handled = (await ask(town, complaint_id, "register")).json()
    assert (handled["text"], handled["reporterName"], handled["reporterContact"]) == (TEXT, "告状人甲", "19900002222")
    for desk in (county, await office.person("supervisor")):
        page = await desk.http.get(f"/desk/v1/complaints/{complaint_id}")
        assert page.status_code == 200
        assert "告状人甲" not in page.text
        assert TEXT not in page.text
        assert "告状人甲" not in (await desk.http.get("/desk/v1/complaints")).text
        answer = await ask(desk, complaint_id, "decide", finding="unfounded", reply="查无此事。")
        assert answer.json()["code"] == "complaint.handled_by_other"
    handed = await ask(town, complaint_id, "hand-over", staffId=str(county.id))
    assert handed.json()["text"] is None
    assert (await county.http.get(f"/desk/v1/complaints/{complaint_id}")).json()["text"] == TEXT
    async with services.sessions() as session:
        for table in ("complaint", "audit_entry", "procrastinate_jobs"):
            rows = str((await session.execute(text(f"SELECT t::text FROM {table} t"))).all())
            assert "告状人甲" not in rows
            assert TEXT not in rows
        reads = list(await session.scalars(select(AuditEntry.actor_id).where(AuditEntry.action == "complaint.read")))
    assert set(reads) == {town.id, county.id}


async def test_a_complaint_about_a_household_makes_the_countys_visit_a_must(office, services):
    case_id = await office.case()
    town = await office.person("town_officer")
    household_id = (await look(town, case_id))["householdId"]
    await complain(office.system)
    await ask(town, await only_id(services), "register", householdId=household_id)
    await office.system.run_jobs()
    assert (await look(town, case_id))["needsCountyVisit"]
    async with services.sessions() as session:
        kinds = await session.scalars(select(Assignment.kind).where(Assignment.case_id == case_id))
        assert sorted(kinds) == ["complaint", "intake"]


async def test_a_resident_appeals_about_their_own_case_and_reads_the_reply(office, services):
    case_id = await office.case()
    mine, other = await office.resident(0), await office.resident(1)
    body = {"kind": "appeal", "caseId": str(case_id), "text": "收入核算有误,请复核"}
    assert (await other.http.post("/resident/v1/complaints", json=body)).json()["code"] == "thing.not_found"
    taken = (await mine.http.post("/resident/v1/complaints", json=body)).json()
    county = await office.person("county_officer")
    complaint_id = await only_id(services)
    await ask(county, complaint_id, "register")
    await ask(county, complaint_id, "decide", finding="upheld", reply="已重新核算。")
    own = (await mine.http.get("/resident/v1/complaints")).json()
    assert [(one["number"], one["reply"]) for one in own] == [(taken["number"], "已重新核算。")]
    assert (await other.http.get("/resident/v1/complaints")).json() == []


async def test_what_is_not_for_this_office_is_answered_too(office, services):
    await complain(office.system)
    town = await office.person("town_officer")
    body = {"reply": "请向县人社局反映"}
    assert (await ask(town, await only_id(services), "decline", **body)).json()["line"]["state"] == "declined"
    assert (await ask(town, await only_id(services), "register")).json()["code"] == "complaint.not_now"


async def test_the_list_has_what_is_due_first_and_only_ones_own_areas(office, services, county):
    for _ in range(2):
        await complain(office.system)
    async with open_session(services.sessions) as session:
        late = (await session.scalars(select(Complaint).order_by(Complaint.number.desc()))).first()
        late.due_on = utc_now().date() - timedelta(days=2)
        household = await session.scalar(select(Household.id).limit(1))
        number = late.number
    town = await office.person("town_officer")
    listed = (await town.http.get("/desk/v1/complaints")).json()
    assert [(one["number"] == number, one["urgency"]) for one in listed] == [(True, "overdue"), (False, "later")]
    login = next(one.login for one in county.staff if one.role == "town_officer" and one.area_code != "339901001")
    stranger = await office.sign_in(login)
    assert (await stranger.http.get("/desk/v1/complaints")).json() == []
    body = {"channel": "letter", "areaCode": VILLAGE, "text": TEXT, "householdId": str(household)}
    assert (await stranger.http.post("/desk/v1/complaints", json=body)).json()["code"] == "auth.forbidden"
    assert (await town.http.post("/desk/v1/complaints", json=body | {"householdId": None})).status_code == 201
