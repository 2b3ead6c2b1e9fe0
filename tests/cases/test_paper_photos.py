"""Papers as photos: a resident sends them by the same ways as a phone, and an officer looks and writes the date."""

import hashlib

import httpx
import pytest
from sqlalchemy import select

from server.core.database import open_session
from server.core.ids import new_id
from server.models.audit import AuditEntry
from server.models.cases import CaseFile
from server.models.evidence import MismatchedUpload
from server.models.households import HouseholdMember
from server.models.notifications import Notice
from server.models.people import ResidentBinding
from tests import days
from tests.makers.cases import VILLAGE, look
from tests.phones import tiny_photo
from tests.uploads.tus import create, head, patch

PAPER = "household_register"


async def announce(resident, case_id, content, *, code=PAPER, photo_id=None, size=None):
    photo_id = photo_id or str(new_id())
    body = {
        "id": photo_id,
        "sha256": hashlib.sha256(content).hexdigest(),
        "sizeBytes": size or len(content),
    }
    answer = await resident.http.post(f"/resident/v1/cases/{case_id}/papers/{code}/photos", json=body)
    return photo_id, answer


async def by_form(resident, photo_id, content):
    return await resident.http.post(
        "/field/v1/photos", data={"evidenceId": photo_id}, files={"file": ("p.jpg", content, "image/jpeg")}
    )


async def by_tus(resident, photo_id, content):
    """In two pieces, as after a cut line."""
    url = (await create(resident, photo_id, len(content))).headers["Location"]
    await patch(resident, url, 0, content[:200])
    assert (await head(resident, url)).headers["Upload-Offset"] == "200"
    return await patch(resident, url, 200, content[200:])


async def by_link(resident, photo_id, content):
    link = (await resident.http.post(f"/field/v1/photos/{photo_id}/put-link")).json()
    async with httpx.AsyncClient() as client:
        assert (await client.put(link["url"], content=content)).status_code == 200
    return await resident.http.post(f"/field/v1/photos/{photo_id}/put-done")


def paper(papers, code=PAPER):
    return next(item for item in papers if item["code"] == code)


@pytest.mark.parametrize("send", [by_form, by_tus, by_link])
async def test_a_paper_is_sent_as_a_photo_examined_seen_by_an_officer_and_received(office, services, send):
    case_id, resident = await office.case(), await office.resident()
    town, content = await office.person("town_officer"), tiny_photo(1)
    photo_id, result = await announce(resident, case_id, content)
    assert result.status_code == 201, result.text
    assert (paper(result.json())["state"], paper(result.json())["receivedOn"]) == ("missing", None)
    assert (await send(resident, photo_id, content)).status_code in {200, 204}
    await office.system.run_jobs()

    seen = paper((await look(town, case_id))["papers"])
    assert (seen["state"], [photo["state"] for photo in seen["photos"]], seen["receivedOn"]) == (
        "sent",
        ["verified"],
        None,
    )
    for desk, side in ((town, "desk"), (resident, "resident")):
        link = await desk.http.get(f"/{side}/v1/cases/{case_id}/paper-photos/{photo_id}/link?rendition=original")
        async with httpx.AsyncClient() as client:
            assert (await client.get(link.json()["url"])).content == content
    async with services.sessions() as session:
        looks = list(
            await session.scalars(
                select(AuditEntry).where(AuditEntry.thing_id == photo_id, AuditEntry.action == "photo.linked")
            )
        )
    assert [item.actor_id for item in looks] == [town.id, resident.id]
    # Of the case's area, so that whoever watches over it reads who looked.
    assert {(item.area_code, item.facts["why"], item.facts["rendition"]) for item in looks} == {
        (VILLAGE, "case", "original")
    }

    today = days.in_days(0).isoformat()
    on = {"code": PAPER, "receivedOn": today}
    received = (await town.http.post(f"/desk/v1/cases/{case_id}/papers", json=on)).json()
    assert (paper(received)["state"], paper(received)["receivedOn"]) == ("received", today)


async def test_a_photo_that_is_no_picture_or_is_sent_back_asks_for_another(office, services):
    case_id, resident = await office.case(), await office.resident()
    town = await office.person("town_officer")
    bad_id, _ = await announce(resident, case_id, b"no picture")
    await by_form(resident, bad_id, b"no picture")
    await office.system.run_jobs()
    own = (await resident.http.get(f"/resident/v1/cases/{case_id}")).json()
    assert paper(own["papers"])["state"] == "returned"
    assert paper(own["papers"])["photos"][0]["refusedCode"] == "photo.not_an_image"
    not_ready = await town.http.get(f"/desk/v1/cases/{case_id}/paper-photos/{bad_id}/link")
    assert not_ready.json()["code"] == "photo.not_ready"

    content = tiny_photo(2)
    photo_id, _ = await announce(resident, case_id, content)
    await by_form(resident, photo_id, content)
    await office.system.run_jobs()
    path = f"/desk/v1/cases/{case_id}/paper-photos/{photo_id}/return"
    for reason in ("字看不清", "另一个理由"):
        body = (await town.http.post(path, json={"reason": reason})).json()
    assert paper(body)["photos"][-1]["returnReason"] == "字看不清"
    assert paper(body)["stateZh"] == "照片不能用，请重新拍"
    await office.system.run_jobs()
    async with services.sessions() as session:
        body = await session.execute(select(Notice.resident_id, Notice.facts).where(Notice.kind == "papers"))
        assert [tuple(item) for item in body] == [(resident.id, {"caseId": str(case_id)})]


async def test_only_the_applicant_announces_sends_and_looks(office, services):
    case_id = await office.case()
    mine, stranger = await office.resident(0), await office.resident(1)
    worker, content = await office.person("caseworker"), tiny_photo(3)
    _, refused = await announce(stranger, case_id, content)
    assert (refused.status_code, refused.json()["code"]) == (404, "thing.not_found")
    photo_id, _ = await announce(mine, case_id, content)
    for other in (stranger, worker):
        assert (await by_form(other, photo_id, content)).json()["code"] == "thing.not_found"
        assert (await create(other, photo_id, len(content))).json()["code"] == "thing.not_found"
    other_bytes = await by_form(mine, photo_id, tiny_photo(4))
    assert other_bytes.json()["code"] == "photo.hash_mismatch"
    async with services.sessions() as session:
        assert [str(evidence_id) for evidence_id in await session.scalars(select(MismatchedUpload.evidence_id))] == [
            photo_id
        ]
    await by_form(mine, photo_id, content)
    await office.system.run_jobs()
    link = await stranger.http.get(f"/resident/v1/cases/{case_id}/paper-photos/{photo_id}/link")
    assert link.json()["code"] == "thing.not_found"


async def test_a_member_of_the_same_household_does_not_open_what_another_sent(office, services):
    case_id = await office.case()
    mine, other = await office.resident(0), await office.resident(1)
    content = tiny_photo(8)
    photo_id, _ = await announce(mine, case_id, content)
    async with open_session(services.sessions) as session:
        case = await session.get_one(CaseFile, case_id)
        members = list(
            await session.scalars(select(HouseholdMember.id).where(HouseholdMember.household_id == case.household_id))
        )
        session.add(ResidentBinding(resident_id=other.id, household_id=case.household_id, member_id=members[-1]))
    assert (await other.http.get(f"/resident/v1/cases/{case_id}")).status_code == 200
    assert (await by_form(other, photo_id, content)).json()["code"] == "thing.not_found"
    await by_form(mine, photo_id, content)
    await office.system.run_jobs()
    link = f"/resident/v1/cases/{case_id}/paper-photos/{photo_id}/link"
    assert (await mine.http.get(link)).status_code == 200
    assert (await other.http.get(link)).json()["code"] == "thing.not_found"


async def test_what_may_not_be_announced_is_refused_and_the_same_again_is_once(office):
    case_id, resident = await office.case(), await office.resident()
    content = tiny_photo(5)
    assert (await announce(resident, case_id, content, code="no_such"))[1].json()["code"] == "case.paper_unknown"
    assert (await announce(resident, case_id, content, size=10**9))[1].json()["code"] == "photo.too_many_bytes"
    assert (await announce(resident, case_id, b""))[1].json()["code"] == "photo.empty"
    photo_id, _ = await announce(resident, case_id, content)
    _, again = await announce(resident, case_id, content, photo_id=photo_id)
    assert len(paper(again.json())["photos"]) == 1
    _, other = await announce(resident, case_id, tiny_photo(6), photo_id=photo_id)
    assert other.json()["code"] == "request.idempotency_key_reused"
    for number in range(11):
        _, last = await announce(resident, case_id, tiny_photo(7 + number % 3))
    _, full = await announce(resident, case_id, content)
    assert (last.status_code, full.json()["code"]) == (201, "case.paper_photos_full")
    await resident.http.post(f"/resident/v1/cases/{case_id}/withdraw", json={"reason": "不申请了"})
    assert (await announce(resident, case_id, content))[1].json()["code"] == "case.closed"
