"""Complaints: every one has a number, a deadline and a reply; who complained is the handler's alone to know."""

import hashlib
from datetime import timedelta

from sqlalchemy import select, text

from server.complaints.reminders import remind_of_due
from server.complaints.reply_codes import key_reply_codes
from server.core.clock import CHINA, utc_now
from server.core.database import open_session
from server.core.job_types import KeyReplyCodes
from server.core.working_days import add_working_days, day_of
from server.models.audit import AuditEntry
from server.models.cases import CaseFile, RelativeOnStaff
from server.models.complaints import Complaint
from server.models.households import Assignment, Household
from server.models.notifications import Notice
from server.models.people import Staff
from tests.makers.cases import VILLAGE, done, look

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
    decided = {"finding": "partly", "reply": "经查一辆属实，已启动复核"}
    for _ in range(2):
        assert (await ask(town, complaint_id, "decide", **decided)).status_code == 200
    last = (await client.post("/public/v1/complaints/look-up", json=code)).json()
    assert (last["state"], last["reply"], last["dueOn"]) == ("decided", decided["reply"], None)
    for wrong in ({"code": "0000000000"}, {"number": "XF3399012026-99999"}):
        answer = await client.post("/public/v1/complaints/look-up", json=code | wrong)
        assert (answer.status_code, answer.json()["code"]) == (404, "thing.not_found")
    other = await ask(town, complaint_id, "decide", finding="upheld", reply="改变主意了吧")
    assert other.json()["code"] == "complaint.not_now"


async def test_a_code_can_not_be_tried_against_a_dump_and_codes_from_before_stay_valid(office, services):
    taken = await complain(office.system)
    client, code = office.system.client(), {"number": taken["number"], "code": taken["code"]}
    plain = hashlib.sha256(taken["code"].encode()).digest()
    async with open_session(services.sessions) as session:
        row = (await session.scalars(select(Complaint))).one()
        keyed = row.code_hash
        assert plain not in keyed
        row.code_hash = plain
    assert (await client.post("/public/v1/complaints/look-up", json=code)).status_code == 200
    for _ in range(2):
        await key_reply_codes(services, KeyReplyCodes())
    async with services.sessions() as session:
        assert (await session.scalars(select(Complaint.code_hash))).one() == keyed
    assert (await client.post("/public/v1/complaints/look-up", json=code)).status_code == 200


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
        body = (await ask(town, complaint_id, "extend", reason="当事人外出")).json()
    assert body["line"]["dueOn"] == (received + timedelta(days=90)).isoformat()
    assert body["line"]["isExtended"]


async def test_an_office_may_count_a_complaints_limits_in_working_days(office, services):
    for key in ("complaint.register_days", "complaint.decide_days", "complaint.extension_days"):
        await office.rule(key, {"count": 10, "unit": "working_days"})
    taken = await complain(office.system)
    complaint_id, town = await only_id(services), await office.person("town_officer")
    ten = add_working_days(day_of(utc_now()), 10).on
    assert taken["dueOn"] == ten.isoformat()
    assert (await ask(town, complaint_id, "register")).json()["line"]["dueOn"] == ten.isoformat()
    extended = (await ask(town, complaint_id, "extend", reason="当事人外出")).json()
    assert extended["line"]["dueOn"] == add_working_days(ten, 10).on.isoformat()


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
    body = {"kind": "appeal", "caseId": str(case_id), "text": "收入核算有误，请复核"}
    assert (await other.http.post("/resident/v1/complaints", json=body)).json()["code"] == "thing.not_found"
    taken = (await mine.http.post("/resident/v1/complaints", json=body)).json()
    county = await office.person("county_officer")
    complaint_id = await only_id(services)
    # The trail is read by many: it says that a complaint came, and not from whom.
    async with services.sessions() as session:
        (received,) = await session.scalars(select(AuditEntry).where(AuditEntry.action == "complaint.received"))
    assert (received.actor_kind, received.actor_id, received.device_id) == ("system", None, None)
    await ask(county, complaint_id, "register")
    await ask(county, complaint_id, "decide", finding="upheld", reply="已重新核算。")
    own = (await mine.http.get("/resident/v1/complaints")).json()
    assert [(item["number"], item["reply"]) for item in own] == [(taken["number"], "已重新核算。")]
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
    listed = (await town.http.get("/desk/v1/complaints")).json()["items"]
    assert [(item["number"] == number, item["urgency"]) for item in listed] == [(True, "overdue"), (False, "later")]
    login = next(
        staff_member.login
        for staff_member in county.staff
        if staff_member.role == "town_officer" and staff_member.area_code != "339901001"
    )
    stranger = await office.sign_in(login)
    assert (await stranger.http.get("/desk/v1/complaints")).json()["items"] == []
    body = {"channel": "letter", "areaCode": VILLAGE, "text": TEXT, "householdId": str(household)}
    assert (await stranger.http.post("/desk/v1/complaints", json=body)).json()["code"] == "auth.forbidden"
    assert (await town.http.post("/desk/v1/complaints", json=body | {"householdId": None})).status_code == 201


# --- who may handle it


async def test_nobody_handles_a_complaint_about_themselves(office, services):
    town, county = await office.person("town_officer"), await office.person("county_officer")
    accused = town.signed_in["name"]
    await complain(office.system, against=[f" {accused} "])
    complaint_id = await only_id(services)
    answer = await ask(town, complaint_id, "register")
    assert (answer.status_code, answer.json()["code"]) == (403, "complaint.against_you")
    assert (await ask(county, complaint_id, "register")).status_code == 200
    handed = await ask(county, complaint_id, "hand-over", staffId=str(town.id))
    assert handed.json()["code"] == "complaint.against_you"
    async with services.sessions() as session:
        assert accused not in str((await session.execute(text("SELECT t::text FROM complaint t"))).all())


async def test_nobody_sends_away_a_complaint_about_themselves(office, services):
    town, county = await office.person("town_officer"), await office.person("county_officer")
    await complain(office.system, against=[town.signed_in["name"]])
    complaint_id, body = await only_id(services), {"reply": "不属于本机关职责"}
    assert (await ask(town, complaint_id, "decline", **body)).json()["code"] == "complaint.against_you"
    assert (await ask(county, complaint_id, "decline", **body)).json()["line"]["state"] == "declined"


async def test_a_complaint_is_not_handed_to_who_can_no_longer_sign_in(office, services):
    town, county = await office.person("town_officer"), await office.person("county_officer")
    await complain(office.system)
    complaint_id = await only_id(services)
    await ask(town, complaint_id, "register")
    async with open_session(services.sessions) as session:
        (await session.get_one(Staff, county.id)).disabled_at = utc_now()
    handed = await ask(town, complaint_id, "hand-over", staffId=str(county.id))
    assert (handed.status_code, handed.json()["code"]) == (400, "request.invalid")
    assert (await ask(town, complaint_id, "decide", finding="unfounded", reply="查无此事。")).status_code == 200


async def test_a_complaint_whose_handler_has_left_is_taken_over_in_its_time(office, services):
    town, county = await office.person("town_officer"), await office.person("county_officer")
    await complain(office.system)
    complaint_id = await only_id(services)
    due_on = (await ask(town, complaint_id, "register")).json()["line"]["dueOn"]
    assert (await ask(county, complaint_id, "register")).json()["code"] == "complaint.handled_by_other"
    async with open_session(services.sessions) as session:
        (await session.get_one(Staff, town.id)).disabled_at = utc_now()
        (await session.get_one(Complaint, complaint_id)).due_on = day_of(utc_now()) + timedelta(days=1)
    async with open_session(services.sessions) as session:
        assert await remind_of_due(session, services, utc_now()) == 1
    await office.system.run_jobs()
    assert county.id in {person for person, _ in await notices(services)}
    taken = (await ask(county, complaint_id, "register")).json()
    assert (taken["text"], taken["line"]["handlerId"]) == (TEXT, str(county.id))
    assert taken["line"]["dueOn"] < due_on


async def test_an_appeal_is_not_handled_by_whoever_decided_nor_by_a_relative(office, services):
    case_id = await office.case()
    town, county = await office.person("town_officer"), await office.person("county_officer")
    await office.system_step(case_id, "survey_done")
    await done(town, case_id, "opinion_refuse", reason="收入高于标准")
    resident = await office.resident(0)
    body = {"kind": "appeal", "caseId": str(case_id), "text": "收入核算有误，请复核"}
    await resident.http.post("/resident/v1/complaints", json=body)
    complaint_id = await only_id(services)
    assert (await ask(town, complaint_id, "register")).json()["code"] == "complaint.against_you"
    async with open_session(services.sessions) as session:
        case = await session.get_one(CaseFile, case_id)
        session.add(
            RelativeOnStaff(
                household_id=case.household_id, name=county.signed_in["name"], office="县民政局", relation="表亲",
                declared_on=case.applied_on,
            )
        )  # fmt: skip
    assert (await ask(county, complaint_id, "register")).json()["code"] == "complaint.against_you"
    supervisor = await office.person("supervisor")
    assert (await ask(supervisor, complaint_id, "register")).status_code == 200


# --- in time


async def notices(services):
    async with services.sessions() as session:
        rows = await session.execute(select(Notice.staff_id, Notice.facts).where(Notice.kind == "complaint_due"))
        return [(staff_id, facts["number"]) for staff_id, facts in rows]


async def test_reminders_reach_the_last_of_many(office, services, monkeypatch):
    monkeypatch.setattr("server.complaints.reminders.BATCH_SIZE", 2)
    for _ in range(5):
        await complain(office.system)
    async with open_session(services.sessions) as session:
        assert await remind_of_due(session, services, utc_now() + timedelta(days=20)) == 5


async def test_those_who_may_register_hear_before_day_15_and_the_handler_before_60_and_90(office, services):
    town, county = await office.person("town_officer"), await office.person("county_officer")
    taken = await complain(office.system, against=[county.signed_in["name"]])
    complaint_id, now = await only_id(services), utc_now()

    async def remind(day):
        async with open_session(services.sessions) as session:
            count = await remind_of_due(session, services, now + timedelta(days=day))
        await office.system.run_jobs()
        return count

    assert await remind(11) == 0
    assert await remind(12) == 1
    assert await remind(13) == 1
    result = await notices(services)
    assert {number for _, number in result} == {taken["number"]}
    people = [person for person, _ in result]
    assert len(people) == len(set(people))
    assert town.id in people
    assert county.id not in people
    before = len(people)
    await remind(16)  # past: once more
    assert len(await notices(services)) == 2 * before

    await ask(town, complaint_id, "register")
    assert await remind(56) == 0
    assert await remind(57) == 1
    await ask(town, complaint_id, "extend", reason="当事人外出")
    assert await remind(60) == 0
    assert await remind(87) == 1
    later = (await notices(services))[2 * before :]
    assert [person for person, _ in later] == [town.id, town.id]
    await ask(town, complaint_id, "decide", finding="unfounded", reply="查无此事。")
    assert await remind(95) == 0


async def test_complaints_are_listed_by_cursor_and_saved_without_who_or_what(office):
    numbers = [(await complain(office.system))["number"] for _ in range(5)]
    county = await office.person("county_officer")
    first = (await county.http.get("/desk/v1/complaints", params={"limit": 3})).json()
    rest = (await county.http.get("/desk/v1/complaints", params={"cursor": first["nextCursor"]})).json()
    assert sorted(item["number"] for item in [*first["items"], *rest["items"]]) == sorted(numbers)
    assert (await county.http.get("/desk/v1/complaints", params={"urgency": "overdue"})).json()["items"] == []
    saved = await county.http.get("/desk/v1/complaints/export", params={"format": "csv"})
    rows = saved.content.decode("utf-8-sig").splitlines()
    assert rows[0].startswith("编号,类别,渠道")
    assert len(rows) == 6
    assert "告状人甲" not in saved.text
    assert TEXT not in saved.text
    town = await office.person("town_officer")
    await ask(town, first["items"][0]["id"], "register")
    for request, count in (({"complaint_state": "registered"}, 1), ({"urgency": "overdue"}, 0)):
        saved = await county.http.get("/desk/v1/complaints/export", params=request | {"format": "csv"})
        assert len(saved.content.decode("utf-8-sig").splitlines()) == 1 + count


async def test_a_complaint_about_a_household_that_receives_is_looked_into_at_the_home(office, services):
    async with services.sessions() as session:
        household = await session.scalar(select(Household).where(Household.number == "YQ-0002"))
    town = await office.person("town_officer")
    for _ in range(2):
        body = {"channel": "letter", "areaCode": VILLAGE, "text": TEXT, "householdId": str(household.id)}
        await town.http.post("/desk/v1/complaints", json=body)
    for item in (await town.http.get("/desk/v1/complaints")).json()["items"]:
        await ask(town, item["id"], "register", householdId=str(household.id))
    await office.system.run_jobs()
    async with services.sessions() as session:
        visits = await session.execute(
            select(Assignment.kind, Assignment.case_id).where(
                Assignment.household_id == household.id, Assignment.kind == "complaint"
            )
        )
        assert [tuple(visit) for visit in visits] == [("complaint", None)]
