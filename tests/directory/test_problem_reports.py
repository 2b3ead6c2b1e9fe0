"""Reports that something does not work: nothing of people in them, answered by administrators of the area."""

import json
from typing import Any

import pytest
from sqlalchemy import select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models.audit import AuditEntry
from server.models.people import StaffRole
from server.models.problem_reports import ProblemReport

DEVICE: dict[str, Any] = {
    "appVersion": "0.4.0",
    "system": "Android 14",
    "browser": "WeChat 8",
    "online": True,
    "clockOffS": -3,
    "usedBytes": 12_000_000,
    "quotaBytes": 900_000_000,
    "isPersistent": False,
}


def report(**changes: Any) -> dict[str, Any]:
    error: dict[str, Any] = {
        "at": utc_now().isoformat(),
        "kind": "request",
        "code": "visit.answers_invalid",
        "place": "/desk/v1/visits/{visit_id}",
        "status": 422,
    }
    sync: dict[str, Any] = {
        "lastAt": None,
        "waitingDocuments": 3,
        "waitingPhotos": 11,
        "refused": 1,
        "problem": "server.not_ready",
    }
    body: dict[str, Any] = {
        "id": str(new_id()),
        "app": "phone",
        "about": "sync",
        "device": DEVICE,
        "sync": sync,
        "errors": [error],
    }
    return body | changes


async def send(person, body, side="field"):
    return await person.http.post(f"/{side}/v1/problem-reports", json=body)


async def test_a_report_is_answered_and_its_sender_reads_the_answer(phone, admin, services):
    body = report()
    sent = await send(phone, body)
    assert sent.status_code == 200, sent.text
    assert (await send(phone, body)).json() == sent.json(), "the same again is the same report"
    [line] = (await admin.http.get("/desk/v1/problem-reports", params={"state": "open"})).json()["items"]
    assert (line["id"], line["device"], line["sync"]["waitingPhotos"]) == (body["id"], DEVICE, 11)
    answered = await admin.http.post(
        f"/desk/v1/problem-reports/{body['id']}/answer", json={"state": "answered", "answer": "请更新到新版本"}
    )
    assert answered.status_code == 200, answered.text
    [own] = (await phone.http.get("/field/v1/problem-reports")).json()
    assert (own["state"], own["answer"]) == ("answered", "请更新到新版本")
    async with services.sessions() as session:
        actions = await session.scalars(select(AuditEntry.action).where(AuditEntry.thing_id == body["id"]))
        assert set(actions) == {"problem.reported", "problem.answered"}


async def test_nothing_personal_fits_into_a_report(phone, services):
    error = report()["errors"][0]
    token = "eyJhbGciOiJFZERTQSIsImtpZCI6ImExIn0"
    personal: list[dict[str, Any]] = [
        {"errors": [error | {"place": "/desk/v1/households?q=王秀兰"}]},
        {"errors": [error | {"place": "/m/home/0193a5c0-7d2e-7000-8000-000000000002"}]},
        {"errors": [error | {"place": "/x/33990119570607003X"}]},
        {"errors": [error | {"place": f"/x/{token}"}]},
        {"errors": [error | {"code": "13800000000"}]},
        {"errors": [error | {"code": "张三"}]},
        {"errors": [error | {"message": "张三 住在 砚州"}]},
        {"device": DEVICE | {"system": "张三的手机"}},
        {"device": DEVICE | {"browser": "Chrome 120 330102199001011234"}},
        {"device": DEVICE | {"appVersion": "138000000001"}},
        {"device": DEVICE | {"label": "王秀兰"}},
        {"sync": report()["sync"] | {"problem": "砚州市毛河镇 3 组"}},
        {"note": "她住在 3 组"},
    ]
    for change in personal:
        answer = await send(phone, report(**change))
        assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid"), change
    async with services.sessions() as session:
        assert await session.scalar(select(ProblemReport.id)) is None


async def test_neither_list_nor_file_names_who_sent_a_report(phone, admin):
    await send(phone, report())
    listed = (await admin.http.get("/desk/v1/problem-reports")).json()
    exported = await admin.http.get("/desk/v1/problem-reports/export", params={"format": "csv"})
    for text in (json.dumps(listed, ensure_ascii=False), exported.text):
        assert str(phone.id) not in text
        assert phone.signed_in["name"] not in text
        assert phone.signed_in["accessToken"] not in text


async def test_only_administrators_of_the_area_see_and_answer_reports(phone, admin, county_desk, services):
    body = report(app="desk", sync=None)
    assert (await send(county_desk, body, "desk")).status_code == 200
    assert (await county_desk.http.get("/desk/v1/problem-reports")).status_code == 403
    own = (await county_desk.http.get("/desk/v1/problem-reports/own")).json()
    assert [line["id"] for line in own] == [body["id"]]
    assert (await phone.http.get("/field/v1/problem-reports")).json() == []
    async with open_session(services.sessions) as session:
        await session.execute(update(StaffRole).where(StaffRole.role == "admin").values(area_code="440101"))
    assert (await admin.http.get("/desk/v1/problem-reports")).json()["items"] == []
    path = f"/desk/v1/problem-reports/{body['id']}/answer"
    assert (await admin.http.post(path, json={"state": "closed", "answer": "不处理"})).status_code == 404
    assert (await county_desk.http.post(path, json={"state": "closed", "answer": "不处理"})).status_code == 403


@pytest.mark.parametrize("side", ["field", "desk"])
async def test_a_report_of_somebody_else_is_not_overwritten(phone, county_desk, side):
    body = report()
    await send(phone, body)
    answer = await send(county_desk, body, side)
    assert (answer.status_code, answer.json()["code"]) == (409, "request.idempotency_key_reused")


async def test_twenty_reports_a_day_are_enough(phone):
    for _ in range(20):
        assert (await send(phone, report())).status_code == 200
    assert (await send(phone, report())).json()["code"] == "request.rate_limited"
