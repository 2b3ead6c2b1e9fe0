"""One case whole, by real people and real jobs: from the desk's first page to the money, and what the resident reads."""

from datetime import timedelta

from sqlalchemy import select

from server.cases.daily import begin_payments
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models.cases import CaseFile
from server.models.households import Assignment, Household
from server.sync_feed.publish import publish_change
from tests import days
from tests.crosschecks.test_crosschecks import import_, request_file
from tests.households.test_register import household
from tests.makers import offices
from tests.makers.cases import TOWN, VILLAGE, calculated, done, look, refused
from tests.pdf import words
from tests.phones import Desk, make_kit
from tests.postings.test_postings import end, opened
from tests.test_first_path import push_whole

SIGN_IN = "/auth/v1/resident/sign-in-wechat"
PLACE = {"latitude": 28.9051, "longitude": 118.8921, "datum": "wgs84"}


async def clear_desk(office):
    """The demo's own visits, so that the one on the phone is this case's."""
    async with open_session(office.services.sessions) as session:
        rows = list(await session.scalars(select(Assignment).where(Assignment.kind == "intake")))
        for row in rows:
            row.state = "cancelled"
        await session.flush()
        await publish_change(session, "assignments", [row.id for row in rows])


# What `household` declares: a wage of 100 yuan a month.
AS_DECLARED = {"wages": 1_200_00}


def with_found(answers, yearly_fen, **more):
    """The answers of a visit that finds these incomes over its twelve months, declared as nothing."""
    table = [row | {"declaredFen": 0, "foundFen": yearly_fen.get(row["kind"], 0)} for row in answers["income"]]
    costs = {"work_cost_fen": 0} if "work_cost_fen" in answers else {}
    return answers | {"income": table} | costs | more


async def visit(office, case_id, found=AS_DECLARED, *, kind="intake", **answers):
    """The caseworker who holds the household goes there with a county officer; a supervisor accepts the visit.

    `found`: fen a year by kind of income.
    """
    phone, kit = await submit_visit(office, found, kind=kind, **answers)
    await decide_visit(office)
    await office.system.run_jobs()
    return phone, kit


async def submit_visit(office, found=AS_DECLARED, *, kind="intake", **answers):
    county_login = next(
        staff_member.login for staff_member in office.county.staff if staff_member.role == "county_officer"
    )
    worker_login = next(staff_member.login for staff_member in office.county.staff if staff_member.role == "caseworker")
    phone = await office.system.sign_in(worker_login, "caseworker")
    county = await office.system.sign_in(county_login, "county_officer")
    kit = await make_kit(phone, county.id, kind=kind)
    kit.visit["answers"] = with_found(kit.visit["answers"], found, **answers)
    await push_whole(phone, county, kit)
    await office.system.run_jobs()
    return phone, kit


async def decide_visit(office):
    reviewer = await office.person("supervisor")
    claim = (await reviewer.http.post("/desk/v1/queue/claim")).json()
    answer = await reviewer.http.post(
        f"/desk/v1/visits/{claim['visitId']}/decision",
        json={"outcome": "accepted", "reason": "已核对"},
        headers={"If-Match": f'"{claim["version"]}"'},
    )
    assert answer.status_code == 200, answer.text


async def accepted(office, **changes):
    """Applied for at the village's desk, papers asked for and brought, taken on, and the tax office asked."""
    await clear_desk(office)
    await office.rule("amount.standard_fen", {"urban": 36000, "rural": 26000})
    worker, town = await office.person("caseworker"), await office.person("town_officer")
    body = {
        "id": str(new_id()),
        "householdId": str(new_id()),
        "areaCode": VILLAGE,
        "household": household(place=PLACE, **changes),
        "consentedOn": days.in_days(-10).isoformat(),
    }
    answer = await worker.http.post("/desk/v1/applications", json=body)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    await done(worker, made["id"], "papers_missing")
    for paper in made["papers"]:
        received = {"code": paper["code"], "receivedOn": days.in_days(-7).isoformat()}
        await worker.http.post(f"/desk/v1/cases/{made['id']}/papers", json=received)
    await done(town, made["id"], "accepted")
    batch = {"id": str(new_id()), "source": "tax", "areaCode": TOWN}
    assert (await town.http.post("/desk/v1/cross-checks", json=batch)).status_code == 201
    return made, body["household"]["members"][0]["idNumber"], batch["id"]


async def applicant(office, made, id_number):
    """The applicant, signed in by WeChat and bound with both numbers."""
    code = {"code": "demo-resident20-t", "device": {"label": "t"}}
    resident = Desk(office.system, (await office.system.client().post(SIGN_IN, json=code)).json())
    numbers = {"idNumber": id_number, "applicationNumber": made["applicationNumber"]}
    bound = await resident.http.post("/auth/v1/resident/bind", json=numbers)
    assert bound.status_code == 200, bound.text
    return resident


async def steps_of(desk, case_id):
    return [item["step"] for item in (await look(desk, case_id))["timeline"]]


async def explained(writer, approver, case_id, step, reason):
    """Why a step stands although something else was found: written by one, approved by another."""
    path = f"/desk/v1/cases/{case_id}/difference-reasons"
    written = await writer.http.post(path, json={"id": str(new_id()), "step": step, "reason": reason})
    assert written.status_code == 201, written.text
    approved = await approver.http.post(f"{path}/{written.json()['id']}/approval")
    assert approved.status_code == 200, approved.text


async def granted_opinion(office, case_id):
    town = await office.person("town_officer")
    await calculated(town, case_id)
    await done(town, case_id, "opinion_grant")
    return await opened(office)


async def test_a_visit_of_an_application_before_moves_no_later_one(office, services):
    """Taken back and made again while the visit still waits in the queue."""
    made, _, _ = await accepted(office)
    async with open_session(services.sessions) as session:
        case = await session.get_one(CaseFile, made["id"])
        case.state = "withdrawn"
        await session.flush()
        again = CaseFile(
            id=new_id(), number="SQ-again", household_id=case.household_id, area_code=case.area_code, state="accepted",
            applied_on=case.applied_on, rules_on=case.rules_on, version=1, situations=[], posting_round=0,
            is_extended=False, needs_county_visit=False,
        )  # fmt: skip
        session.add(again)
    await visit(office, made["id"])
    async with services.sessions() as session:
        assert (await session.get_one(CaseFile, again.id)).state == "accepted"


async def test_a_relatives_application_from_the_desk_to_the_money(office, services):
    relative = [{"name": "甘穗垄", "office": "县民政局", "relation": "表叔"}]
    made, number, batch_id = await accepted(office, relatives=relative)
    case_id, town, county = made["id"], await office.person("town_officer"), await office.person("county_officer")
    running = (await look(town, case_id))["deadlines"]
    assert [item["kind"] for item in running] == ["survey", "total"]  # the cross-check has begun
    request = await request_file(town, batch_id)
    body = (await import_(town, batch_id, offices.answer("tax", request, {number: "150.00"}))).json()
    assert body["differing"] == 1  # 100 yuan were declared
    fifty_yuan_more = "税务查得的是一次性补发，非固定收入"

    await visit(office, case_id)
    body = await look(town, case_id)
    assert (body["state"], body["countyVisitedAt"] is not None) == ("preliminary", True)

    await calculated(town, case_id)
    assert await refused(town, case_id, "opinion_grant") == "case.visit_differs"
    await explained(town, county, case_id, "opinion_grant", fifty_yuan_more)
    await done(town, case_id, "opinion_grant")
    posting = await opened(office)
    await end(office, posting["id"])
    assert await refused(town, case_id, "confirmed") == "auth.forbidden"
    await explained(county, town, case_id, "confirmed", fifty_yuan_more)
    await done(county, case_id, "confirmed")
    await done(county, case_id, "notice_delivered", delivery="送达本人")
    await done(town, case_id, "published")
    async with open_session(services.sessions) as session:
        assert await begin_payments(session, utc_now() + timedelta(days=32)) == 1

    async with services.sessions() as session:
        case = await session.get_one(CaseFile, case_id)
        paid = await session.get_one(Household, case.household_id)
        assert (case.state, paid.monthly_amount_fen) == ("in_force", 260_00)
    slip = await town.http.post(f"/desk/v1/cases/{case_id}/look-up-slip")
    pin = words(slip.content).split(made["applicationNumber"])[-1][:8]
    looked = await office.system.client().post(
        "/public/v1/cases/look-up", json={"applicationNumber": made["applicationNumber"], "pin": pin}
    )
    assert looked.json()["stateZh"] == "发放中"
    steps = [item["step"] for item in (await look(county, case_id))["timeline"]]
    assert steps == [
        "applied",
        "papers_missing",
        "accepted",
        "cross_check_begun",
        "survey_done",
        "county_visited",
        "programme_confirmed",
        "opinion_grant",
        "posting_ended",
        "confirmed",
        "notice_delivered",
        "published",
        "in_force",
    ]


async def test_an_application_that_is_granted_after_a_pause_and_an_extension(office, services):
    made, number, _ = await accepted(office)
    case_id, town = made["id"], await office.person("town_officer")
    county, resident = await office.person("county_officer"), await applicant(office, made, number)
    await done(town, case_id, "suspended", reason="申请人住院")
    await done(town, case_id, "resumed")
    extended = await done(town, case_id, "extended", reason="核对结果未回")
    assert {deadline["kind"]: deadline["count"] for deadline in extended["deadlines"]}["total"] == 45
    await visit(office, case_id)
    own = (await resident.http.get(f"/resident/v1/cases/{case_id}")).json()
    assert [stage["state"] for stage in own["stages"]] == ["done", "done", "now", "to_come", "to_come", "to_come"]
    posting = await granted_opinion(office, case_id)
    own = (await resident.http.get(f"/resident/v1/cases/{case_id}")).json()
    assert own["postings"][0]["page"] == f"/p/{posting['key']}"
    await end(office, posting["id"])
    result = await done(county, case_id, "confirmed")
    assert result["deadlines"] == []
    await done(county, case_id, "published")
    async with open_session(services.sessions) as session:
        assert await begin_payments(session, utc_now() + timedelta(days=32)) == 1
    own = (await resident.http.get(f"/resident/v1/cases/{case_id}")).json()
    assert own["status"]["stateZh"] == "发放中"
    assert {"accepted", "confirmed", "calculation", "papers"} == {notice["kind"] for notice in own["notices"]}
    for item in own["notices"]:
        sheet = await resident.http.get(f"/resident/v1/cases/{case_id}/notices/{item['kind']}")
        assert made["applicationNumber"] in words(sheet.content)


async def require_remedies_before(resident, refused_case):
    """Why, by whom and what can be done, while nothing says that the written decision arrived."""
    own = (await resident.http.get(f"/resident/v1/cases/{refused_case['id']}")).json()
    assert (own["decisionReason"], own["applicant"]) == ("名下有营运车辆一辆", refused_case["headName"])
    assert own["office"]["name"].endswith("民政局")
    assert own["remedies"] == {
        "deliveredOn": None, "reconsiderationDays": 60, "reconsiderationUntil": None,
        "lawsuitMonths": 6, "lawsuitUntil": None,
    }  # fmt: skip
    assert (own["status"]["next"]["by"], own["status"]["next"]["isLate"]) == (
        refused_case["deadlines"][0]["dueOn"],
        False,
    )


async def require_remedies_after(resident, case_id):
    own = (await resident.http.get(f"/resident/v1/cases/{case_id}")).json()
    assert own["remedies"]["reconsiderationUntil"] == days.in_days(60).isoformat()
    assert (own["status"]["next"]["by"], own["status"]["next"]["isLate"]) == (None, False)
    assert "已书面告知" in own["status"]["next"]["zh"]


async def test_an_application_that_is_refused_and_appealed(office):
    made, number, _ = await accepted(office)
    case_id, town = made["id"], await office.person("town_officer")
    county, resident = await office.person("county_officer"), await applicant(office, made, number)
    await visit(office, case_id)
    await done(town, case_id, "opinion_refuse", reason="名下有营运车辆")
    refused_case = await done(county, case_id, "refused", reason="名下有营运车辆一辆")
    assert [deadline["kind"] for deadline in refused_case["deadlines"]] == ["notice"]
    await require_remedies_before(resident, refused_case)
    await done(town, case_id, "notice_delivered", delivery="邮寄挂号")
    await require_remedies_after(resident, case_id)
    sheet = await resident.http.get(f"/resident/v1/cases/{case_id}/notices/refused")
    assert "名下有营运车辆一辆" in words(sheet.content)
    appeal = {"kind": "appeal", "caseId": case_id, "text": "车辆三年前已报废，请复核"}
    taken = (await resident.http.post("/resident/v1/complaints", json=appeal)).json()
    listed = (await county.http.get("/desk/v1/complaints")).json()["items"][0]
    path = f"/desk/v1/complaints/{listed['id']}"
    # Whoever refused does not judge the appeal.
    assert (await county.http.post(f"{path}/register", json={})).json()["code"] == "complaint.against_you"
    supervisor = await office.person("supervisor")
    await supervisor.http.post(f"{path}/register", json={})
    await supervisor.http.post(f"{path}/decide", json={"finding": "upheld", "reply": "经核实已报废，可重新申请"})
    (own,) = (await resident.http.get("/resident/v1/complaints")).json()
    assert (own["number"], own["stateZh"], own["reply"]) == (taken["number"], "已办结", "经核实已报废，可重新申请")
    again = {"id": str(new_id()), "householdId": refused_case["householdId"]}
    worker = await office.person("caseworker")
    assert (await worker.http.post("/desk/v1/applications", json=again)).status_code == 201


async def test_an_objection_that_overturns_what_was_posted(office):
    made, _, _ = await accepted(office)
    case_id, town = made["id"], await office.person("town_officer")
    county = await office.person("county_officer")
    await visit(office, case_id)
    posting = await granted_opinion(office, case_id)
    public = office.system.client()
    objection = {"position": 1, "text": "该户在县城另有住房一套"}
    code = (await public.post(f"/public/v1/postings/{posting['key']}/objections", json=objection)).json()
    await office.system.run_jobs()
    standing = {deadline["kind"]: deadline["urgency"] for deadline in (await look(town, case_id))["deadlines"]}
    assert standing["total"] != "paused"
    waiting = (await town.http.get(f"/desk/v1/postings/{posting['id']}")).json()["objections"][0]
    answer = {"outcome": "upheld", "answer": "属实，已重新入户调查"}
    await town.http.post(f"/desk/v1/objections/{waiting['id']}/answer", json=answer)
    await done(town, case_id, "survey_ordered", reason="异议属实，重新调查")
    await visit(office, case_id)
    await end(office, posting["id"])
    assert (await look(town, case_id))["state"] == "preliminary"
    await done(town, case_id, "opinion_refuse", reason="另有住房一套")
    await done(county, case_id, "refused", reason="另有住房一套")
    followed = await public.post("/public/v1/objections/look-up", json=code)
    assert (followed.json()["outcome"], followed.json()["answer"]) == ("upheld", answer["answer"])
    assert [item for item in await steps_of(county, case_id) if item != "county_visited"] == [
        "applied",
        "papers_missing",
        "accepted",
        "cross_check_begun",
        "survey_done",
        "programme_confirmed",
        "opinion_grant",
        "objection_made",
        "survey_ordered",
        "survey_done",
        "opinion_refuse",
        "refused",
    ]


async def test_an_application_that_its_applicant_withdraws(office):
    made, number, _ = await accepted(office)
    case_id, town = made["id"], await office.person("town_officer")
    resident = await applicant(office, made, number)
    worker_login = next(staff_member.login for staff_member in office.county.staff if staff_member.role == "caseworker")
    phone = await office.system.sign_in(worker_login, "caseworker")
    due = [item["householdId"] for item in (await phone.pull("assignments")).values() if item["kind"] == "intake"]
    assert due == [(await look(town, case_id))["householdId"]]
    own = (await resident.http.get(f"/resident/v1/cases/{case_id}")).json()
    assert (own["mayWithdraw"], own["appointments"][0]["kindZh"]) == (True, "入户调查")
    path = f"/resident/v1/cases/{case_id}/withdraw"
    for _ in range(2):
        body = (await resident.http.post(path, json={"reason": "已找到工作"})).json()
    assert (body["status"]["state"], body["mayWithdraw"], body["appointments"]) == ("withdrawn", False, [])
    assert [item for item in (await phone.pull("assignments")).values() if item["kind"] == "intake"] == []
    assert await refused(town, case_id, "survey_begun") == "case.closed"
    assert (await steps_of(town, case_id)).count("withdrawn") == 1
