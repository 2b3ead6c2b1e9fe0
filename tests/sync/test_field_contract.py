"""docs/field-contract.md shows a visit from sign-in to receipt as the server answers it.

`pytest -n 0 tests/sync/test_field_contract.py --write-docs` writes its exchanges anew.
"""

import re
from functools import partial

from server.core.paths import ROOT
from server.core.tokens import verify_receipt
from server.demo.staff import DEMO_PASSWORDS
from tests.phones import Phone, make_kit
from tests.recording import plain
from tests.sync.exchanges import Scribe

PAGE = ROOT / "docs" / "field-contract.md"
BLOCK = re.compile(r"(<!-- exchange: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
SYNC = "/field/v1/sync"


async def test_the_field_contract_shows_what_the_server_answers(system, county, request):
    scribe = Scribe()
    await walk(scribe, system, county)
    text = PAGE.read_text()
    shown = [name for _, name, _ in BLOCK.findall(text)]
    assert sorted(shown) == sorted(scribe.blocks)
    made = BLOCK.sub(lambda found: f"{found[1]}{scribe.blocks[found[2]]}\n{found[3]}", text)
    if request.config.getoption("--write-docs"):
        PAGE.write_text(made)
    assert PAGE.read_text() == made, "pytest -n 0 tests/sync/test_field_contract.py --write-docs"


async def walk(scribe: Scribe, system, county) -> None:
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    device = {"label": "红米 12", "platform": "android", "hardwareId": "0f3c"}
    login = {"login": due.caseworker_login, "password": DEMO_PASSWORDS["caseworker"], "device": device}
    signed_in = await system.client().post("/auth/v1/staff/sign-in", json=login)
    scribe.note("sign-in", signed_in)
    phone = Phone(system, signed_in.json())
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id)
    await look_around(scribe, phone, kit.visit)
    await record(scribe, phone, kit)
    scribe.note("attest", await partner.http.post(f"{SYNC}/attestations/1/push", json=[row(kit.attestation)]))
    await system.run_jobs()
    await read_receipt(scribe, phone, kit.visit["id"])
    await go_wrong(scribe, phone, kit.visit)
    refresh = {"refreshToken": signed_in.json()["refreshToken"]}
    scribe.note("refresh", await system.client().post("/auth/v1/refresh", json=refresh))


async def look_around(scribe: Scribe, phone: Phone, visit) -> None:
    listed = await phone.http.get(SYNC)
    scribe.note(
        "collections", listed, cut=lambda result: [visits_fields(item) for item in result if item["name"] == "visits"]
    )
    expected = {
        "assignments": visit["assignmentId"],
        "households": visit["householdId"],
        "checklists": await checklist_id(phone, visit),
    }
    for collection, doc_id in expected.items():
        page = await phone.http.get(f"{SYNC}/{collection}/1/pull", params={"lwt": 0, "id": "", "limit": 200})
        scribe.note(f"pull-{collection}", page, cut=partial(only, doc_id=doc_id))


async def checklist_id(phone: Phone, visit) -> str:
    held = await phone.pull("checklists")
    return next(key for key, item in held.items() if item["code"] == visit["checklistCode"])


async def record(scribe: Scribe, phone: Phone, kit) -> None:
    scribe.note("draft", await push(phone, "visits", kit.visit | {"state": "draft", "endedAt": None, "endFix": None}))
    scribe.note("announce", await push(phone, "evidence", *kit.evidence))
    for evidence_id, content in kit.photos.items():
        scribe.note("upload", await phone.upload(evidence_id, content))
    [held] = (await phone.pull("visits")).values()
    scribe.note("submit", await phone.http.post(f"{SYNC}/visits/1/push", json=[row(kit.visit, assumed=held)]))


async def read_receipt(scribe: Scribe, phone: Phone, visit_id: str) -> None:
    page = await phone.http.get(f"{SYNC}/visits/1/pull", params={"lwt": 0, "id": "", "limit": 200})
    scribe.note("receipt", page, cut=lambda result: only(result, visit_id))
    keys = await phone.system.client().get("/.well-known/zoufang-receipt-keys.json")
    scribe.note("keys", keys)
    server = next(document for document in page.json()["documents"] if document["id"] == visit_id)["server"]
    assert server["complete"]
    assert verify_receipt(server["receipt"], keys.json())["visitId"] == visit_id
    empty = await phone.http.get(f"{SYNC}/visits/1/pull", params=page.json()["checkpoint"] | {"limit": 200})
    assert empty.json()["documents"] == []


async def go_wrong(scribe: Scribe, phone: Phone, visit) -> None:
    alone = visit | {"id": "0193a5c0-7d2e-7000-8000-0000000000ff", "investigatorIds": visit["investigatorIds"][:1]}
    scribe.note("quarantined", await push(phone, "visits", alone))
    scribe.note("conflict", await push(phone, "visits", visit | {"modeReason": "其他"}))
    scribe.note("outdated", await phone.http.get(f"{SYNC}/visits/0/pull"))


async def push(phone: Phone, collection: str, *documents):
    return await phone.http.post(f"{SYNC}/{collection}/1/push", json=[row(document) for document in documents])


def row(document, *, assumed=None):
    return {"newDocumentState": document} | ({"assumedMasterState": assumed} if assumed else {})


def only(page, doc_id):
    """The page with one document, as a reader wants to see it."""
    return plain(page | {"documents": [document for document in page["documents"] if document["id"] == doc_id]})


def visits_fields(listed):
    """The fields of a visit itself, without those inside them."""
    return listed | {"fields": [field for field in listed["fields"] if "." not in field]}
