"""Whatever comes, each wrong thing has its own stable code, nothing is lost and nothing leaks."""

import base64
import hashlib
import json
import struct
import zlib
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from server.core.clock import utc_now
from server.core.ids import new_id
from server.core.paths import OPENAPI
from server.core.tokens import AccessClaims, issue_access_token
from server.models.evidence import Evidence, MismatchedUpload
from server.models.feed import QuarantinedRow
from server.models.visits import Visit
from tests.phones import make_kit


@pytest.fixture
async def partner(system, county, phone):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    return await system.sign_in(due.partner_login, "caseworker")


async def count(services, model, *where) -> int:
    async with services.sessions() as session:
        return await session.scalar(select(func.count()).select_from(model).where(*where))


async def quarantined(services, code: str) -> int:
    return await count(services, QuarantinedRow, QuarantinedRow.kept_as == "quarantined", QuarantinedRow.code == code)


# --- tokens ---


async def test_without_a_token_the_answer_is_auth_required(system):
    answer = await system.client().get("/field/v1/sync/visits/1/pull")
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.required")


@pytest.mark.parametrize("token", ["x", "eyJhbGciOiJub25lIn0.e30.", "a.b.c"])
async def test_a_wrong_token_is_refused(system, token):
    answer = await system.client(Authorization=f"Bearer {token}").get("/auth/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.token_invalid")


async def test_an_expired_token_is_told_apart_so_that_the_phone_refreshes(system, services, phone):
    claims = AccessClaims(phone.id, new_id(), is_resident=False)
    old = issue_access_token(services.token_keys, claims, now=utc_now() - timedelta(hours=1), minutes=15)
    answer = await system.client(Authorization=f"Bearer {old}").get("/auth/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.token_expired")


async def test_a_token_opens_nothing_with_the_device_of_another_person(system, services, phone, partner):
    claims = AccessClaims(partner.id, UUID(phone.signed_in["deviceId"]), is_resident=False)
    token = issue_access_token(services.token_keys, claims, now=utc_now(), minutes=15)
    answer = await system.client(Authorization=f"Bearer {token}").get("/auth/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.token_invalid")


async def test_a_token_of_another_key_is_refused(system, services, phone):
    ring = type(services.token_keys)("t1", {"t1": b"k" * 32})
    claims = AccessClaims(phone.id, new_id(), is_resident=False)
    forged = issue_access_token(ring, claims, now=utc_now(), minutes=15)
    answer = await system.client(Authorization=f"Bearer {forged}").get("/auth/v1/me")
    assert answer.json()["code"] == "auth.token_invalid"


async def test_a_caseworker_may_not_review_and_a_resident_may_not_sync(system, phone, county):
    assert (await phone.http.get("/desk/v1/queue")).json()["code"] == "auth.forbidden"
    resident = county.residents[0]
    signed_in = await system.client().post(
        "/auth/v1/resident/sign-in-wechat",
        json={"code": f"demo-{resident.wechat_suffix}-a", "device": {"label": "phone"}},
    )
    client = system.client(Authorization=f"Bearer {signed_in.json()['accessToken']}")
    answer = await client.get("/field/v1/sync/households/1/pull")
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.forbidden")


def cursor_of(*parts):
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


BY_TWO_WORDS = ("/desk/v1/retention/photos", "/desk/v1/village-groups")


async def test_a_cursor_that_nobody_wrote_is_refused_by_every_list(system, county, phone):
    desks = {staff_member.role: staff_member.login for staff_member in county.staff}
    callers = [
        phone,
        *[await system.sign_in_at_desk(desks[role], role) for role in ("supervisor", "town_officer", "admin")],
    ]
    schema = json.loads(OPENAPI.read_text())
    lists = [
        path
        for path, methods in schema["paths"].items()
        if "{" not in path  # there must be the thing first
        and any(item["name"] == "cursor" for item in methods.get("get", {}).get("parameters", []))
    ]
    assert len(lists) > 15
    for path in lists:
        for bad in ("%", cursor_of(), cursor_of("x"), cursor_of("x", "y"), cursor_of(*"xyz"), cursor_of(*"wxyz")):
            answers = [await caller.http.get(path, params={"cursor": bad}) for caller in callers]
            result = {
                (answer.status_code, answer.json().get("code")) for answer in answers if answer.status_code != 403
            }
            # A list ordered by words alone takes any one word; some go by two: shelf and hash, village and group.
            words = cursor_of("x", "y") if path in BY_TWO_WORDS else cursor_of("x")
            assert result <= {(400, "request.invalid")} or (bad == words and result == {(200, None)}), (path, bad)
            assert result, path


# --- rows ---


async def test_another_areas_household_is_quarantined_and_says_nothing_of_it(system, services, county, phone, partner):
    kit = await make_kit(phone, partner.id)
    own = set(await phone.pull("households"))
    async with services.sessions() as session:
        from server.models.households import Household

        other = await session.scalar(select(Household).where(Household.id.not_in(own)).limit(1))
    returned = await phone.push("visits", kit.visit | {"householdId": str(other.id)})
    assert returned[0]["server"]["state"] == "quarantined"
    assert returned[0]["server"]["problem"]["en"]["code"] == "visit.household_unknown"
    assert other.head_name not in str(returned)
    unknown = await phone.push("visits", kit.visit | {"id": str(new_id()), "householdId": str(new_id())})
    assert unknown[0]["server"]["problem"]["zh"]["title"] == returned[0]["server"]["problem"]["zh"]["title"]
    assert await quarantined(services, "visit.household_unknown") == 2
    assert await count(services, Visit) == 0


async def test_one_investigator_alone_is_a_hard_reject_and_the_visit_is_kept(services, phone, partner):
    kit = await make_kit(phone, partner.id)
    alone = kit.visit | {"investigatorIds": [str(phone.id), str(phone.id)]}
    returned = await phone.push("visits", alone)
    assert returned[0]["server"]["problem"]["en"]["code"] == "visit.one_investigator"
    assert returned[0]["answers"] == alone["answers"]
    pulled = (await phone.pull("visits"))[alone["id"]]
    assert pulled["server"]["state"] == "quarantined"

    mended = alone | {"investigatorIds": [str(phone.id), str(partner.id)]}
    assert await phone.push("visits", mended, assumed=pulled) == []
    assert (await phone.pull("visits"))[alone["id"]]["server"]["state"] == "submitted"
    assert await count(services, QuarantinedRow, QuarantinedRow.resolved_at.is_(None)) == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"startFix": None}, "visit.fix_missing"),
        ({"mode": "phone", "startFix": None, "endFix": None}, "visit.remote_without_reason"),
        ({"checklistVersion": 99}, "visit.checklist_unknown"),
        ({"answers": {}}, "visit.answers_invalid"),
        ({"startedAt": "2025-11-23T09:00:00"}, "row.invalid"),
        ({"answers": {"n": 2**60}}, "row.number_not_portable"),
    ],
)
async def test_each_broken_rule_has_its_own_code(services, phone, partner, change, code):
    kit = await make_kit(phone, partner.id, photos=[])
    returned = await phone.push("visits", kit.visit | change)
    assert returned[0]["server"]["problem"]["en"]["code"] == code
    assert returned[0]["server"]["problem"]["zh"]["title"]
    assert await quarantined(services, code) == 1


async def test_a_bad_row_holds_up_no_other(services, phone, partner):
    kit = await make_kit(phone, partner.id)
    bad = kit.visit | {"id": str(new_id()), "investigatorIds": [str(phone.id)]}
    returned = await phone.push("visits", bad, kit.visit, {"id": "no-uuid"}, {})
    assert [item.get("id") for item in returned][:2] == [bad["id"], "no-uuid"]
    assert await count(services, Visit) == 1
    assert await count(services, QuarantinedRow) == 3


async def test_a_duplicate_push_is_a_success_and_another_content_a_conflict(services, phone, partner):
    kit = await make_kit(phone, partner.id)
    assert await phone.push("visits", kit.visit) == []
    first = (await phone.pull("visits"))[kit.visit["id"]]["server"]["receipt"]
    assert await phone.push("visits", kit.visit) == []
    assert (await phone.pull("visits"))[kit.visit["id"]]["server"]["receipt"] == first

    returned = await phone.push("visits", kit.visit | {"modeReason": "changed"})
    assert "modeReason" not in returned[0]
    assert await count(services, QuarantinedRow, QuarantinedRow.kept_as == "lost_conflict") == 1
    assert await count(services, Visit) == 1


async def test_a_visit_of_someone_else_under_the_same_id_shows_nothing(system, services, county, phone, partner):
    kit = await make_kit(phone, partner.id)
    await phone.push("visits", kit.visit)
    outsider = next(
        staff_member.login
        for staff_member in county.staff
        if staff_member.role == "caseworker"
        and staff_member.login != kit_login(county)
        and staff_member.partner_login != kit_login(county)
    )
    stranger = await system.sign_in(outsider, "caseworker")
    returned = await stranger.push("visits", kit.visit | {"answers": {"mine": "x"}})
    assert returned[0]["answers"] == {"mine": "x"}
    assert returned[0]["server"]["state"] == "quarantined"
    assert "receipt" not in returned[0]["server"]


def kit_login(county) -> str:
    return next(assignment.caseworker_login for assignment in county.assignments if assignment.kind == "intake")


# --- bodies ---


async def test_broken_json_and_wrong_shapes_are_told_apart(phone):
    path = "/field/v1/sync/visits/1/push"
    broken = await phone.http.post(
        path, content=b'[{"newDocumentState": {"id": 1', headers={"Content-Type": "application/json"}
    )
    assert (broken.status_code, broken.json()["code"]) == (400, "request.not_json")
    shape = await phone.http.post(path, json={"not": "an array"})
    assert (shape.status_code, shape.json()["code"]) == (400, "request.invalid")


async def test_broken_json_in_an_ordinary_body_is_told_as_such(system):
    answer = await system.client().post(
        "/auth/v1/staff/sign-in", content=b'{"login": ', headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "request.not_json")


async def test_an_unknown_field_is_pointed_at(system):
    answer = await system.client().post(
        "/auth/v1/staff/sign-in", json={"login": "x", "password": "y", "device": {"label": "z", "colour": 1}}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")
    assert answer.json()["errors"]


async def test_a_body_of_50_mb_is_refused_before_it_is_read(phone):
    async def body():
        for _ in range(50):
            yield b" " * 1024 * 1024

    answer = await phone.http.post(
        "/field/v1/sync/visits/1/push", content=body(), headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")


async def test_an_old_schema_version_is_asked_to_update(phone):
    answer = await phone.http.get("/field/v1/sync/visits/0/pull")
    assert (answer.status_code, answer.json()["code"]) == (426, "sync.schema_version_gone")
    assert (await phone.http.get("/field/v1/sync/cats/1/pull")).json()["code"] == "sync.collection_unknown"
    assert (await phone.http.post("/field/v1/sync/households/1/push", json=[])).json()[
        "code"
    ] == "sync.collection_read_only"


# --- photos ---


async def announce(phone, content: bytes) -> str:
    manifest: dict[str, Any] = {
        "id": str(new_id()),
        "visitId": str(new_id()),
        "questionId": "photo_house_outside",
        "sha256": hashlib.sha256(content).hexdigest(),
        "sizeBytes": len(content),
        "_deleted": False,
    }
    assert await phone.push("evidence", manifest) == []
    return manifest["id"]


async def test_a_photo_with_another_hash_is_kept_aside_and_still_awaited(services, phone):
    right, wrong = b"the right bytes", b"other bytes"
    evidence_id = await announce(phone, right)
    answer = await phone.upload(evidence_id, wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "photo.hash_mismatch")
    assert await count(services, MismatchedUpload) == 1
    assert await services.store.read(f"mismatched/{hashlib.sha256(wrong).hexdigest()}") == wrong
    assert await count(services, Evidence, Evidence.state == "announced") == 1
    assert (await phone.upload(evidence_id, right)).json()["state"] == "received"


async def refused_as(system, phone, content: bytes) -> str:
    evidence_id = await announce(phone, content)
    assert (await phone.upload(evidence_id, content)).status_code == 200
    await system.run_jobs()
    result = (await phone.pull("evidence"))[evidence_id]["server"]
    assert result["state"] == "refused"
    return result["refusedCode"]


async def test_a_visit_is_not_whole_with_other_bytes_than_its_list_sealed(system, phone, partner):
    kit = await make_kit(phone, partner.id)
    kit.visit["photos"][0]["sha256"] = "0" * 64
    await phone.push("evidence", *kit.evidence)
    await phone.push("visits", kit.visit)
    await partner.push("attestations", kit.attestation)
    for evidence_id, content in kit.photos.items():
        await phone.upload(evidence_id, content)
    await system.run_jobs()
    held = (await phone.pull("visits"))[kit.visit["id"]]
    assert (held["server"]["state"], held["server"]["complete"]) == ("submitted", False)


async def test_a_text_file_called_jpg_is_refused_by_its_content(system, phone):
    assert await refused_as(system, phone, "这不是照片".encode() * 50) == "photo.not_an_image"


async def test_a_100_megapixel_bomb_is_refused_undecoded(system, phone):
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 10_000, 10_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 30_001 * 100, 9)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    assert await refused_as(system, phone, bomb) == "photo.too_many_pixels"


async def test_a_photo_for_what_was_never_announced_is_not_found(phone):
    answer = await phone.upload(str(new_id()), b"bytes")
    assert (answer.status_code, answer.json()["code"]) == (404, "thing.not_found")


async def test_nobody_uploads_for_another_caseworker(phone, partner):
    evidence_id = await announce(phone, b"mine")
    assert (await partner.upload(evidence_id, b"mine")).status_code == 404
