"""Reaching a home from the phone: its number for a call, the papers of its application, the office's hotline."""

from sqlalchemy import select

from server.core.clock import today
from server.core.database import open_session
from server.models.audit import AuditEntry
from tests.households.test_register import apply
from tests.makers.cases import look, step


async def test_whoever_holds_a_home_sees_its_number_with_a_reason_and_a_line(office, phone, services, system):
    home = next(item for item in (await phone.pull("households")).values() if item["phoneMask"])
    path = f"/field/v1/households/{home['id']}/phone"
    shown = await phone.http.post(path, json={"reason": "预约走访"})
    assert shown.status_code == 200, shown.text
    number = shown.json()["value"]
    assert (number[:3], number[-4:]) == (home["phoneMask"][:3], home["phoneMask"][-4:])
    async with open_session(services.sessions) as session:
        rows = list(await session.scalars(select(AuditEntry).where(AuditEntry.action == "household.revealed")))
    assert [(row.thing_id, row.facts["what"], row.facts["reason"]) for row in rows] == [
        (home["id"], "phone", "预约走访")
    ]
    assert number not in str(rows[0].facts)
    assert (await phone.http.post(path, json={"reason": ""})).status_code == 400
    stranger = await system.sign_in("wuyanqiu", "caseworker")
    assert (await stranger.http.post(path, json={"reason": "预约走访"})).json()["code"] == "thing.not_found"
    county = await office.person("county_officer")
    assert (await county.http.post(path, json={"reason": "预约走访"})).json()["code"] == "thing.not_found"
    await office.rule("reveal.per_day", 1)
    spent = await phone.http.post(path, json={"reason": "预约走访"})
    assert (spent.status_code, spent.json()["code"]) == (429, "reveal.limit_reached")


async def test_papers_are_received_and_asked_for_at_the_door(office, phone, system):
    worker = await office.person("caseworker")
    answer, body = await apply(worker)
    case_id, home = answer.json()["id"], body["householdId"]
    path = f"/field/v1/households/{home}/papers"
    seen = (await worker.http.get(path)).json()
    assert (seen["caseId"], seen["mayAsk"]) == (case_id, True)
    assert {paper["state"] for paper in seen["papers"]} == {"missing"}
    code = seen["papers"][0]["code"]
    handed = {"code": code, "receivedOn": today().isoformat()}
    assert (await worker.http.post(f"/desk/v1/cases/{case_id}/papers", json=handed)).status_code == 200
    answer = await step(worker, case_id, "papers_missing", version=(await worker.http.get(path)).json()["version"])
    assert answer.status_code == 200, answer.text
    after = (await worker.http.get(path)).json()
    assert after["mayAsk"] is False
    assert [bool(paper["receivedOn"]) for paper in after["papers"]] == [True, *[False] * (len(seen["papers"]) - 1)]
    assert all(paper["askedAt"] for paper in after["papers"][1:])
    assert (await look(worker, case_id))["state"] == "materials"
    stranger = await system.sign_in("wuyanqiu", "caseworker")
    assert (await stranger.http.get(path)).status_code == 404
    applied = {application.household_number for application in office.county.applications}
    quiet = next(item for item in (await phone.pull("households")).values() if item["number"] not in applied)
    assert (await phone.http.get(f"/field/v1/households/{quiet['id']}/papers")).status_code == 404


async def test_a_phone_gets_the_hotline_of_each_village(office, phone):
    kinds = (await phone.http.get("/field/v1/unordered-kinds")).json()
    assert {village["hotline"] for village in kinds} == {""}
    await office.rule("office.hotline", "0570-12345")
    kinds = (await phone.http.get("/field/v1/unordered-kinds")).json()
    assert {village["hotline"] for village in kinds} == {"0570-12345"}
