"""The other two ways in: one form, as WeChat sends it, and a PUT straight to the store."""

import asyncio
import hashlib
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, update

from field_api.uploads.body import LINGER_BYTES
from field_api.uploads.cleanup import sweep_uploads
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Problem
from server.core.ids import new_id
from server.core.job_types import SweepUploads
from server.models.evidence import MismatchedUpload
from server.models.uploads import Upload
from server.photos.receive import UploadContext, mark_received
from server.photos.statements import receive_new
from tests.uploads.tus import (
    KIB,
    announce,
    create,
    evidence_of,
    fresh_bytes,
    spooled,
    store_without,
    stored,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
BOUNDARY = "----wx0f3"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def value(name: str, text: str) -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()


def file(content: bytes, name: str = "file") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="tmp_大门.jpg"\r\n'
    return head.encode() + b"Content-Type: image/jpeg\r\n\r\n" + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


async def post(phone, *parts: bytes, **headers: str) -> httpx.Response:
    return await phone.http.post("/field/v1/photos", headers=FORM | headers, content=b"".join(parts))


async def test_bytes_are_not_taken_for_a_claim_that_came_to_name_others_meanwhile(services, phone, content):
    """The manifest was changed while they were on their way: nothing is noted, whichever way they came."""
    old, new = content, fresh_bytes(9 * KIB)
    evidence_id = UUID(await announce(phone, new))
    sha256 = hashlib.sha256(old).hexdigest()
    assert not await receive_new(services.autocommit, None, evidence_id, None, sha256, len(old), utc_now())
    arrival = UploadContext(evidence_id, UUID(phone.signed_in["deviceId"]), None)
    for state in ("announced", "received"):
        with pytest.raises(Problem) as raised:
            async with open_session(services.sessions) as session:
                await mark_received(session, arrival, sha256, len(old))
        assert raised.value.code == "server.conflict"
        assert (await evidence_of(services, str(evidence_id))).state == state
        # And no more so when the right ones have come.
        assert (await post(phone, value("evidenceId", str(evidence_id)), file(new), END)).status_code == 200
    assert (await evidence_of(services, str(evidence_id))).sha256 == hashlib.sha256(new).hexdigest()


# --- the form ---


@pytest.mark.parametrize("file_first", [True, False])
async def test_a_form_brings_a_photo_and_the_body_says_what_happened(services, phone, content, file_first):
    evidence_id = await announce(phone, content)
    parts = [file(content), value("evidenceId", evidence_id), value("takenBy", "李明")]
    answer = await post(phone, *(parts if file_first else reversed(parts)), END)
    assert answer.status_code == 200, answer.text
    assert answer.json()["state"] == "received"
    assert answer.json()["evidenceId"] == evidence_id
    assert await stored(services, content) == content
    again = await post(phone, *parts, END)
    assert (again.status_code, again.json()) == (200, answer.json())


async def test_a_form_in_the_smallest_pieces_is_read_right(services, phone):
    content = b"\r\n--" + BOUNDARY.encode()[:-1] + fresh_bytes(1500) + b"\r\n--\r"
    evidence_id = await announce(phone, content)

    async def bit_by_bit():
        whole = file(content) + value("evidenceId", evidence_id) + END
        for at in range(0, len(whole), 7):
            yield whole[at : at + 7]

    answer = await phone.http.post("/field/v1/photos", headers=FORM, content=bit_by_bit())
    assert answer.status_code == 200, answer.text
    assert await stored(services, content) == content


@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        (lambda i, c: [file(c), END], 400, "request.invalid"),
        (lambda i, c: [file(c), value("evidenceId", "photo-1"), END], 400, "request.invalid"),
        (lambda i, c: [file(c), value("evidenceId", i + "0" * 5000), END], 400, "request.invalid"),
        (lambda i, c: [value("evidenceId", i), END], 400, "request.invalid"),
        (lambda i, c: [file(c, "picture"), value("evidenceId", i), END], 400, "request.invalid"),
        (lambda i, c: [value("evidenceId", i), file(c)], 400, "request.invalid"),
        (lambda i, c: [b"not a form"], 400, "request.invalid"),
        (lambda i, c: [b""], 400, "request.invalid"),
        (lambda i, c: [*[value(f"v{n}", "") for n in range(30)], value("evidenceId", i), END], 400, "request.invalid"),
        (lambda i, c: [file(c), value("evidenceId", str(new_id())), END], 404, "thing.not_found"),
        (lambda i, c: [file(c[:-1]), value("evidenceId", i), END], 422, "photo.hash_mismatch"),
        (lambda i, c: [file(b""), value("evidenceId", i), END], 422, "photo.empty"),
    ],
)
async def test_a_form_that_can_not_be_says_why(services, phone, make, status, code):
    content = fresh_bytes(3000)
    evidence_id = await announce(phone, content)
    answer = await post(phone, *make(evidence_id, content))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await evidence_of(services, evidence_id)).state == "announced"
    assert (await post(phone, file(content), value("evidenceId", evidence_id), END)).status_code == 200


async def test_another_kind_of_body_is_refused(phone):
    answer = await phone.http.post("/field/v1/photos", json={"evidenceId": str(new_id())})
    assert (answer.status_code, answer.json()["code"]) == (415, "request.unsupported_media_type")


async def test_a_form_that_is_too_large_is_refused_before_it_is_read(services, phone):
    limit = services.settings.max_photo_mb * KIB * KIB
    read = 0

    async def endless():
        nonlocal read
        yield file(b"")[:-2]
        while read < 3 * limit:
            read += KIB * KIB
            yield bytes(KIB * KIB)

    result = await phone.http.post(
        "/field/v1/photos", headers=FORM | {"Content-Length": str(limit + KIB * KIB)}, content=endless()
    )
    assert (result.status_code, result.json()["code"]) == (413, "photo.too_many_bytes")
    assert read <= LINGER_BYTES + 2 * KIB * KIB
    read = 0
    untold = await phone.http.post("/field/v1/photos", headers=FORM, content=endless())
    assert (untold.status_code, untold.json()["code"]) == (413, "photo.too_many_bytes")
    assert read <= limit + LINGER_BYTES + 3 * KIB * KIB


async def test_a_stranger_is_refused_and_may_read_why(system):
    read = 0

    async def endless():
        nonlocal read
        while read < 4 * LINGER_BYTES:
            read += KIB * KIB
            yield bytes(KIB * KIB)

    answer = await system.client().post("/field/v1/photos", headers=FORM, content=endless())
    assert answer.status_code == 401
    assert read <= LINGER_BYTES + 2 * KIB * KIB
    asks = FORM | {"Expect": "100-continue"}
    read = 0
    assert (await system.client().post("/field/v1/photos", headers=asks, content=endless())).status_code == 401
    assert read == 0


async def test_a_form_while_the_store_is_away_may_be_sent_again(services, phone, content):
    evidence_id = await announce(phone, content)
    parts = [file(content), value("evidenceId", evidence_id), END]
    with store_without(services, "put"):
        answer = await post(phone, *parts)
    assert (answer.status_code, answer.json()["code"]) == (503, "store.unavailable")
    assert "Retry-After" in answer.headers
    assert (await evidence_of(services, evidence_id)).state == "announced"
    assert (await post(phone, *parts)).status_code == 200


async def test_the_same_photo_by_all_ways_at_once_is_received_once(system, services, phone, content):
    evidence_id = await announce(phone, content)
    parts = [file(content), value("evidenceId", evidence_id), END]
    answers = await asyncio.gather(
        *(post(phone, *parts) for _ in range(4)), *(create(phone, evidence_id, len(content), content) for _ in range(4))
    )
    assert {answer.status_code for answer in answers} <= {200, 201, 410, 423}
    assert sum(answer.status_code in {200, 201} for answer in answers) >= 4
    assert (await evidence_of(services, evidence_id)).state == "received"
    assert await stored(services, content) == content


# --- the signed link ---


async def link(phone, evidence_id: str) -> dict:
    answer = await phone.http.post(f"/field/v1/photos/{evidence_id}/put-link")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def say_done(phone, evidence_id: str) -> httpx.Response:
    return await phone.http.post(f"/field/v1/photos/{evidence_id}/put-done")


async def put(url: str, content: bytes) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.put(url, content=content)).status_code == 200


async def test_a_photo_put_by_link_is_received_and_its_spool_cleared(system, services, phone, content):
    evidence_id = await announce(phone, content)
    result = await link(phone, evidence_id)
    assert result["expiresAt"]
    assert (await link(phone, evidence_id))["url"].split("?")[0] == result["url"].split("?")[0]
    await put(result["url"], content)
    for _ in range(2):
        answer = await say_done(phone, evidence_id)
        assert (answer.status_code, answer.json()["state"]) == (200, "received"), answer.text
    assert await stored(services, content) == content
    async with services.sessions() as session:
        upload = await session.scalar(select(Upload).where(Upload.evidence_id == UUID(evidence_id)))
    assert upload.state == "done"
    await system.run_jobs()
    assert await spooled(services, upload.id) == []
    assert (await link(phone, evidence_id))["url"] is None


async def test_saying_done_without_putting_is_told_apart(phone, content):
    evidence_id = await announce(phone, content)
    for _ in range(2):
        answer = await say_done(phone, evidence_id)
        assert (answer.status_code, answer.json()["code"]) == (409, "upload.nothing_put")
        await link(phone, evidence_id)


async def test_other_bytes_put_are_kept_aside_and_a_new_link_is_given(services, phone, content):
    evidence_id = await announce(phone, content)
    first = (await link(phone, evidence_id))["url"]
    await put(first, content[:-1])
    answer = await say_done(phone, evidence_id)
    assert (answer.status_code, answer.json()["code"]) == (422, "photo.hash_mismatch")
    async with services.sessions() as session:
        aside = MismatchedUpload.evidence_id == UUID(evidence_id)
        assert await session.scalar(select(func.count()).select_from(MismatchedUpload).where(aside)) == 1
    second = (await link(phone, evidence_id))["url"]
    assert second.split("?")[0] != first.split("?")[0]
    await put(second, content)
    assert (await say_done(phone, evidence_id)).status_code == 200


async def test_a_photo_of_no_bytes_is_refused_at_every_door_and_nothing_is_kept_aside(services, phone, content):
    evidence_id = await announce(phone, content)
    await put((await link(phone, evidence_id))["url"], b"")
    put_done = await say_done(phone, evidence_id)
    form = await post(phone, value("evidenceId", evidence_id), file(b""), END)
    tus = await create(phone, evidence_id, 0)
    for answer in (put_done, form, tus):
        assert (answer.status_code, answer.json()["code"]) == (422, "photo.empty")
    async with services.sessions() as session:
        aside = MismatchedUpload.evidence_id == UUID(evidence_id)
        assert await session.scalar(select(func.count()).select_from(MismatchedUpload).where(aside)) == 0
    await put((await link(phone, evidence_id))["url"], content)
    assert (await say_done(phone, evidence_id)).status_code == 200


@pytest.mark.parametrize("size", [0, 1])
async def test_a_photo_of_no_bytes_can_not_be_announced(phone, size):
    manifest = {
        "id": str(new_id()),
        "visitId": str(new_id()),
        "questionId": "photo_house_outside",
        "sha256": hashlib.sha256(b"").hexdigest(),
        "sizeBytes": size,
        "_deleted": False,
    }
    answer = await phone.http.post("/field/v1/sync/evidence/1/push", json=[{"newDocumentState": manifest}])
    assert [row["server"]["problem"]["en"]["code"] for row in answer.json()] == ["photo.empty"]


async def test_what_is_put_too_large_is_not_even_read(services, phone, content):
    evidence_id = await announce(phone, content)
    await put((await link(phone, evidence_id))["url"], bytes(services.settings.max_photo_mb * KIB * KIB + 1))
    with store_without(services, "download"):
        answer = await say_done(phone, evidence_id)
    assert (answer.status_code, answer.json()["code"]) == (413, "photo.too_many_bytes")


async def test_a_link_for_a_photo_sent_before_is_not_needed(phone, content):
    first, second = await announce(phone, content), await announce(phone, content)
    await create(phone, first, len(content), content)
    result = await link(phone, second)
    assert (result["url"], result["received"]["state"]) == (None, "received")
    assert (await say_done(phone, second)).json()["evidenceId"] == second


async def test_another_persons_photo_gets_no_link(phone, colleague, content):
    evidence_id = await announce(phone, content)
    for act in ("put-link", "put-done"):
        answer = await colleague.http.post(f"/field/v1/photos/{evidence_id}/{act}")
        assert (answer.status_code, answer.json()["code"]) == (404, "thing.not_found")


async def test_what_was_put_and_never_told_of_is_swept(services, phone, content):
    evidence_id = await announce(phone, content)
    await put((await link(phone, evidence_id))["url"], content)
    mine = Upload.evidence_id == UUID(evidence_id)
    async with services.sessions() as session:
        upload_id = await session.scalar(select(Upload.id).where(mine))
        assert len(await spooled(services, upload_id)) == 1
        await session.execute(update(Upload).where(mine).values(expires_at=utc_now()))
        await session.commit()
    await sweep_uploads(services, SweepUploads())
    assert await spooled(services, upload_id) == []
    assert (await say_done(phone, evidence_id)).json()["code"] == "upload.nothing_put"
