"""tus 1.0.0, request by request, in one process."""

import asyncio
import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
import pytest_asyncio
from sqlalchemy import select, update

from field_api.uploads import resumable
from field_api.uploads.cleanup import sweep_uploads
from server.app import create_app
from server.core.clock import utc_now
from server.core.ids import new_id
from server.core.job_types import SweepUploads
from server.core.services import open_services
from server.models.evidence import Evidence, MismatchedUpload, Photo
from server.models.uploads import Upload
from server.models.visits import Visit
from tests.asgi import transport_to
from tests.phones import Phone, System
from tests.uploads.tus import (
    KIB,
    OCTETS,
    TUS,
    announce,
    begin,
    checksum,
    chunks_of,
    create,
    cut_patch,
    evidence_of,
    fresh_bytes,
    head,
    metadata,
    offset_of,
    patch,
    speak,
    spooled,
    store_without,
    stored,
    upload_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


# --- what is spoken ---


async def test_options_tells_what_is_spoken_to_anyone(system, services):
    answer = await system.client().request("OPTIONS", "/uploads")
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert set(answer.headers["Tus-Extension"].split(",")) == {
        "creation", "creation-with-upload", "checksum", "expiration", "termination",
    }  # fmt: skip
    assert answer.headers["Tus-Checksum-Algorithm"] == "sha1,sha256"
    assert answer.headers["Tus-Max-Size"] == str(20 * KIB * KIB)


async def test_a_browser_of_another_origin_may_ask_and_read_the_answers(services):
    settings = msgspec.structs.replace(services.settings, allowed_origins="https://app.example")
    app = create_app(settings, services=services)
    client = httpx.AsyncClient(transport=transport_to(app), base_url="http://zoufang.test")
    origin = {"Origin": "https://app.example"}
    request = origin | {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "tus-resumable"}
    answer = await client.request("OPTIONS", "/uploads/x", headers=request)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, "https://app.example")
    answer = await client.head("/uploads/x", headers=origin | TUS)
    shown = {name.strip().lower() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
    assert {"location", "upload-offset", "upload-length", "tus-resumable"} <= shown


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE", "POST"])
async def test_another_version_of_tus_is_refused_with_the_one_spoken(phone, method):
    url = "/uploads" if method == "POST" else "/uploads/x"
    for headers in ({}, {"Tus-Resumable": "0.2.2"}):
        answer = await phone.http.request(method, url, headers=headers)
        assert answer.status_code == 412
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert answer.headers["Tus-Resumable"] == "1.0.0"


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE", "POST"])
async def test_nothing_is_done_without_a_token(system, method):
    answer = await system.client().request(method, "/uploads/x", headers=TUS)
    assert answer.status_code == 401
    assert answer.headers["Tus-Resumable"] == "1.0.0"


# --- creation ---


async def test_a_photo_goes_up_in_pieces_and_is_received(services, phone, content):
    evidence_id, url = await begin(phone, content)
    assert len(url.rpartition("/")[2]) >= 32
    for at in range(0, len(content), 64 * KIB):
        assert await offset_of(phone, url) == at
        answer = await patch(phone, url, at, content[at : at + 64 * KIB])
        assert answer.status_code == 204, answer.text
        assert answer.headers["Upload-Offset"] == str(min(at + 64 * KIB, len(content)))
        assert answer.headers["Tus-Resumable"] == "1.0.0"
    assert (await evidence_of(services, evidence_id)).state == "received"
    assert await stored(services, content) == content


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replica(settings, phone):
    """The same phone at another process of the API: other connections to the same database and store."""
    async with open_services(settings) as opened:
        other = System(create_app(opened.settings, services=opened), opened)
        yield Phone(other, phone.signed_in)


async def test_any_replica_takes_the_next_piece_and_the_last(services, phone, replica, content):
    evidence_id, url = await begin(phone, content)
    for number, at in enumerate(range(0, len(content), 64 * KIB)):
        here, there = (phone, replica) if number % 2 else (replica, phone)
        assert await offset_of(there, url) == at
        assert (await patch(here, url, at, content[at : at + 64 * KIB])).status_code == 204
    assert await offset_of(phone, url) == await offset_of(replica, url) == len(content)
    assert (await evidence_of(services, evidence_id)).state == "received"
    assert await stored(services, content) == content


async def test_of_two_replicas_at_once_one_takes_the_piece(phone, replica, content):
    _, url = await begin(phone, content)
    for at in range(0, 200_000, 50_000):
        pieces = (patch(item, url, at, content[at : at + 50_000]) for item in (phone, replica, phone, replica))
        statuses = sorted(item.status_code for item in await asyncio.gather(*pieces))
        assert statuses[0] == 204
        assert set(statuses[1:]) <= {409, 423}
        assert await offset_of(replica, url) == at + 50_000


async def test_head_tells_length_metadata_and_end_and_is_not_cached(phone, content):
    evidence_id = await announce(phone, content)
    result = metadata(evidence_id, filename="大门.jpg")
    answer = await create(phone, evidence_id, len(content), None, **{"Upload-Metadata": result})
    assert "GMT" in answer.headers["Upload-Expires"]
    answer = await head(phone, answer.headers["Location"])
    assert answer.headers["Upload-Length"] == str(len(content))
    assert answer.headers["Upload-Metadata"] == result
    assert answer.headers["Cache-Control"] == "no-store"
    assert "GMT" in answer.headers["Upload-Expires"]
    assert answer.content == b""


async def test_a_photo_sent_with_its_creation_needs_one_request_and_no_spool(services, phone, content):
    evidence_id = await announce(phone, content)
    answer = await create(phone, evidence_id, len(content), content)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Upload-Offset"] == str(len(content))
    assert (await evidence_of(services, evidence_id)).state == "received"
    assert await chunks_of(services, answer.headers["Location"]) == []
    assert await stored(services, content) == content


async def test_creation_may_bring_the_first_bytes_alone(services, phone, content):
    evidence_id = await announce(phone, content)
    answer = await create(phone, evidence_id, len(content), content[:1000])
    assert answer.headers["Upload-Offset"] == "1000"
    answer = await patch(phone, answer.headers["Location"], 1000, content[1000:])
    assert answer.status_code == 204
    assert await stored(services, content) == content


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Upload-Defer-Length": "1"}, 400, "upload.length_deferred"),
        ({"Upload-Length": "-1"}, 400, "upload.header_invalid"),
        ({"Upload-Length": "1e3"}, 400, "upload.header_invalid"),
        ({"Upload-Length": "9" * 40}, 400, "upload.header_invalid"),
        ({"Upload-Length": "7"}, 409, "upload.size_differs"),
        ({"Upload-Length": str(21 * KIB * KIB)}, 413, "photo.too_many_bytes"),
        ({"Upload-Metadata": ""}, 400, "upload.header_invalid"),
        ({"Upload-Metadata": "evidenceId ***"}, 400, "upload.header_invalid"),
        ({"Upload-Metadata": "evidenceId bm8gdXVpZA=="}, 400, "upload.header_invalid"),
        ({"Upload-Metadata": "evidenceId /////w=="}, 400, "upload.header_invalid"),
        ({"Upload-Metadata": metadata(str(new_id()), a="x" * 3000)}, 400, "upload.header_invalid"),
        ({"Upload-Metadata": metadata(str(new_id()))}, 404, "thing.not_found"),
    ],
)
async def test_a_creation_that_can_not_be_says_why(phone, headers, status, code, content):
    evidence_id = await announce(phone, content)
    answer = await create(phone, evidence_id, len(content), **headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Tus-Resumable"] == "1.0.0"


async def test_another_persons_photo_and_upload_are_as_if_they_were_not(services, phone, colleague, content):
    evidence_id, url = await begin(phone, content)
    assert (await create(colleague, evidence_id, len(content))).status_code == 404
    assert (await head(colleague, url)).status_code == 404
    assert (await patch(colleague, url, 0, b"x")).status_code == 404
    assert (await colleague.http.delete(url, headers=TUS)).status_code == 404
    assert await offset_of(phone, url) == 0


async def test_a_photo_the_same_person_sent_before_is_done_at_creation(system, services, phone, colleague, content):
    first = await announce(phone, content)
    assert (await create(phone, first, len(content), content)).status_code == 201

    again = await announce(phone, content)
    answer = await create(phone, again, len(content))
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, str(len(content)))
    assert (await evidence_of(services, again)).state == "received"
    assert await offset_of(phone, answer.headers["Location"]) == len(content)
    once_more = await create(phone, again, len(content))
    assert once_more.headers["Upload-Offset"] == str(len(content))
    with_bytes = await create(phone, again, len(content), content)
    assert (with_bytes.status_code, with_bytes.headers["Upload-Offset"]) == (201, str(len(content)))

    theirs = await announce(colleague, content)
    answer = await create(colleague, theirs, len(content))
    assert answer.headers["Upload-Offset"] == "0", "knowing a hash is not having the photo"
    assert (await evidence_of(services, theirs)).state == "announced"


async def test_starting_anew_ends_the_forgotten_upload(phone, content):
    evidence_id, url = await begin(phone, content)
    assert (await create(phone, evidence_id, len(content))).status_code == 201
    assert (await head(phone, url)).status_code == 410


# --- bytes ---


async def test_bytes_at_another_place_are_refused_with_the_right_one(phone, content):
    _, url = await begin(phone, content)
    assert (await patch(phone, url, 0, content[:500])).status_code == 204
    for offset in (0, 499, 501, len(content)):
        answer = await patch(phone, url, offset, b"x")
        assert (answer.status_code, answer.json()["code"]) == (409, "upload.offset_differs")
        assert answer.headers["Upload-Offset"] == "500"
    assert await offset_of(phone, url) == 500


async def chunked(content: bytes):
    for at in range(0, len(content), 32 * KIB):
        yield content[at : at + 32 * KIB]


async def test_more_bytes_than_announced_are_refused_and_not_kept(phone, content):
    _, url = await begin(phone, content)
    assert (await patch(phone, url, 0, content[:1000])).status_code == 204
    for rest in (content[1000:] + b"x", chunked(content[1000:] + b"x")):
        answer = await patch(phone, url, 1000, rest)
        assert (answer.status_code, answer.json()["code"]) == (413, "upload.too_long")
    assert await offset_of(phone, url) == 1000
    assert (await patch(phone, url, 1000, chunked(content[1000:]))).status_code == 204


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "application/octet-stream"}, 415, "request.unsupported_media_type"),
        ({"Upload-Offset": "x"}, 400, "upload.header_invalid"),
        ({"Upload-Checksum": "md5 1B2M2Y8AsgTpgAmY7PhCfg=="}, 400, "upload.header_invalid"),
        ({"Upload-Checksum": "sha1"}, 460, "upload.checksum_failed"),
        ({"Upload-Checksum": "sha1 ***"}, 400, "upload.header_invalid"),
    ],
)
async def test_a_patch_that_can_not_be_says_why(phone, headers, status, code, content):
    _, url = await begin(phone, content)
    answer = await patch(phone, url, 0, content[:100], **headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await offset_of(phone, url) == 0


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
async def test_a_piece_whose_checksum_is_wrong_is_not_kept(services, phone, algorithm, content):
    evidence_id, url = await begin(phone, content)
    half = len(content) // 2
    for offset, piece in ((0, content[:half]), (half, content[half:])):
        answer = await patch(phone, url, offset, piece, **checksum(algorithm, b"other"))
        assert (answer.status_code, answer.json()["code"]) == (460, "upload.checksum_failed")
        assert await offset_of(phone, url) == offset
        assert (await patch(phone, url, offset, piece, **checksum(algorithm, piece))).status_code == 204
    assert (await evidence_of(services, evidence_id)).state == "received"


async def test_an_upload_that_is_done_still_answers_and_takes_an_empty_patch(services, phone, content):
    _, url = await begin(phone, content)
    assert (await patch(phone, url, 0, content)).status_code == 204
    answer = await head(phone, url)
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (200, str(len(content)))
    assert (await patch(phone, url, len(content), b"")).status_code == 204
    assert (await patch(phone, url, 0, content)).status_code == 409


async def test_a_cut_keeps_every_byte_that_came(services, phone, content):
    _, url = await begin(phone, content)
    await cut_patch(phone, url, 0, content[:70_001], announced=len(content))
    assert await offset_of(phone, url) == 70_001
    await cut_patch(phone, url, 70_001, b"", announced=len(content) - 70_001)
    assert await offset_of(phone, url) == 70_001
    assert (await patch(phone, url, 70_001, content[70_001:])).status_code == 204
    assert await stored(services, content) == content


async def test_a_cut_in_a_piece_with_a_checksum_keeps_nothing_of_it(phone, content):
    _, url = await begin(phone, content)
    events = [{"type": "http.request", "body": content[:5000], "more_body": True}, {"type": "http.disconnect"}]
    result = checksum("sha1", content[:9000])
    assert await speak(phone, "PATCH", url, events, offset=0, announced=9000, **result) == 460
    assert await offset_of(phone, url) == 0


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_the_pieces_and_cuts_the_bytes_are_right(services, phone, monkeypatch, seed):
    monkeypatch.setattr(resumable, "SEGMENT_BYTES", 20_000)
    chance = random.Random(seed)
    content = fresh_bytes(chance.randrange(100_000, 400_000))
    evidence_id, url = await begin(phone, content)
    offset = 0
    while offset < len(content):
        piece = content[offset : offset + chance.randrange(1, 120_000)]
        if chance.random() < 0.5:
            sent = piece[: chance.randrange(len(piece) + 1)]
            await cut_patch(phone, url, offset, sent, announced=len(piece), piece=chance.randrange(1, 30_000))
            offset += len(sent)
        else:
            assert (await patch(phone, url, offset, piece)).status_code == 204
            offset += len(piece)
        assert await offset_of(phone, url) == offset
    assert (await evidence_of(services, evidence_id)).state == "received"
    assert await stored(services, content) == content


# --- many at once ---


async def test_of_patches_at_once_one_wins_and_the_bytes_are_right(services, phone, content):
    evidence_id, url = await begin(phone, content)
    offset = 0
    while offset < len(content):
        pieces = [content[offset : offset + 60_000 + 1000 * number] for number in range(6)]
        answers = await asyncio.gather(*(patch(phone, url, offset, piece) for piece in pieces))
        won = [answer for answer in answers if answer.status_code == 204]
        assert len(won) == 1
        assert {answer.status_code for answer in answers} <= {204, 409, 423}
        offset = int(won[0].headers["Upload-Offset"])
        assert await offset_of(phone, url) == offset
    assert (await evidence_of(services, evidence_id)).state == "received"
    assert await stored(services, content) == content


async def test_a_request_that_fell_silent_loses_the_upload_to_the_next(services, phone, monkeypatch, content):
    monkeypatch.setattr(resumable, "LEASE", timedelta(seconds=0.2))
    _, url = await begin(phone, content)
    wake = asyncio.Event()
    events: list[dict[str, Any]] = [
        {"type": "http.request", "body": b"?" * 4000, "more_body": True},
        {"pause": wake},
        {"type": "http.request", "body": b"?" * 4000, "more_body": False},
    ]
    silent = asyncio.create_task(speak(phone, "PATCH", url, events, offset=0, announced=8000))
    await asyncio.sleep(0.05)
    busy = await patch(phone, url, 0, content[:6000])
    assert (busy.status_code, busy.json()["code"]) == (423, "upload.busy")
    assert "Retry-After" in busy.headers
    assert (await phone.http.delete(url, headers=TUS)).status_code == 423

    await asyncio.sleep(0.25)
    assert (await patch(phone, url, 0, content[:6000])).status_code == 204
    wake.set()
    assert await silent == 423
    assert await offset_of(phone, url) == 6000
    assert (await patch(phone, url, 6000, content[6000:])).status_code == 204
    assert await stored(services, content) == content


async def test_a_slow_phone_holds_no_connection_to_the_database(services, phone, content):
    wake = asyncio.Event()
    silent = []
    for _ in range(services.settings.database_pool + 2):
        _, url = await begin(phone, fresh_bytes(5000))
        events: list[dict[str, Any]] = [{"pause": wake}, {"type": "http.disconnect"}]
        silent.append(asyncio.create_task(speak(phone, "PATCH", url, events, offset=0, announced=5000)))
    await asyncio.sleep(0.1)
    async with asyncio.timeout(5):
        _, url = await begin(phone, content)
        assert (await patch(phone, url, 0, content)).status_code == 204
    wake.set()
    await asyncio.gather(*silent)


# --- the end ---


async def test_other_bytes_are_kept_aside_and_a_new_upload_may_start(services, phone, content):
    evidence_id, url = await begin(phone, content)
    wrong = content[:-1] + bytes([content[-1] ^ 1])
    await patch(phone, url, 0, wrong[:1000])
    answer = await patch(phone, url, 1000, wrong[1000:])
    assert (answer.status_code, answer.json()["code"]) == (422, "photo.hash_mismatch")
    assert (await head(phone, url)).status_code == 410
    assert (await evidence_of(services, evidence_id)).state == "announced"
    async with services.sessions() as session:
        aside = await session.scalar(select(MismatchedUpload).where(MismatchedUpload.evidence_id == UUID(evidence_id)))
        assert await session.get(Photo, aside.sha256) is None
    assert await services.store.read(f"mismatched/{aside.sha256}") == wrong

    answer = await create(phone, evidence_id, len(content), content)
    assert answer.status_code == 201
    assert (await evidence_of(services, evidence_id)).state == "received"


async def test_a_terminated_upload_is_gone_and_so_are_its_pieces(system, services, phone, content):
    evidence_id, url = await begin(phone, content)
    await patch(phone, url, 0, content[:9000])
    assert len(await spooled(services, url)) == 1
    assert (await phone.http.delete(url, headers=TUS)).status_code == 204
    assert (await head(phone, url)).status_code == 404
    await system.run_jobs()
    assert await spooled(services, url) == []
    assert (await create(phone, evidence_id, len(content), content)).status_code == 201


async def test_terminating_an_upload_that_is_done_leaves_the_photo(services, phone, content):
    evidence_id, url = await begin(phone, content)
    await patch(phone, url, 0, content)
    assert (await phone.http.delete(url, headers=TUS)).status_code == 204
    assert (await evidence_of(services, evidence_id)).state == "received"
    assert await stored(services, content) == content


async def test_no_upload_is_taken_back_once_its_visit_is_submitted(services, phone, content):
    evidence_id, url = await begin(phone, content)
    async with services.sessions() as session:
        visit_id = (await session.get_one(Evidence, UUID(evidence_id))).visit_id
        await add_visit(session, visit_id, "draft")
        await session.commit()
        await session.execute(update(Visit).where(Visit.id == visit_id).values(state="submitted", receipt="x"))
        await session.commit()
    answer = await phone.http.delete(url, headers=TUS)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload.visit_submitted")
    assert await offset_of(phone, url) == 0


async def add_visit(session, visit_id, state):
    from server.models.checklists import ChecklistTemplate
    from server.models.households import Household
    from server.models.people import Device

    household = await session.scalar(select(Household).limit(1))
    checklist = await session.scalar(select(ChecklistTemplate).limit(1))
    device = await session.scalar(select(Device).where(Device.staff_id.is_not(None)).limit(1))
    session.add(
        Visit(
            id=visit_id,
            household_id=household.id,
            area_code=household.area_code,
            kind="care",
            checklist_code=checklist.code,
            checklist_version=checklist.version,
            author_id=device.staff_id,
            device_id=device.id,
            state=state,
            mode="in_person",
            document={},
            content_hash="0" * 64,
            received_at=utc_now(),
        )
    )


async def test_an_upload_whose_time_is_over_is_gone_and_swept(services, phone, content):
    _, url = await begin(phone, content)
    other = fresh_bytes(5000)
    _, living = await begin(phone, other)
    await patch(phone, url, 0, content[:9000])
    await patch(phone, living, 0, other[:2000])
    async with services.sessions() as session:
        over = update(Upload).where(Upload.id == url.rpartition("/")[2])
        await session.execute(over.values(expires_at=utc_now() - timedelta(seconds=1)))
        await session.commit()
    assert (await head(phone, url)).status_code == 410
    assert (await patch(phone, url, 9000, b"x")).status_code == 410
    await sweep_uploads(services, SweepUploads())
    assert (await head(phone, url)).status_code == 404
    assert await upload_of(services, url) is None
    assert await spooled(services, url) == []
    assert await offset_of(phone, living) == 2000


async def test_the_pieces_of_a_photo_that_arrived_are_cleared(system, services, phone, content):
    _, url = await begin(phone, content)
    await patch(phone, url, 0, content[:9000])
    await patch(phone, url, 9000, content[9000:])
    await system.run_jobs()
    assert await spooled(services, url) == []
    assert await offset_of(phone, url) == len(content)


# --- without PATCH ---


async def test_a_client_without_patch_head_or_delete_posts_them(services, phone, content):
    evidence_id, url = await begin(phone, content)

    async def post(method: str, content: bytes = b"", **headers: str):
        result = TUS | OCTETS | {"X-HTTP-Method-Override": method} | headers
        return await phone.http.post(url, headers=result, content=content)

    assert (await post("PATCH", content[:10], **{"Upload-Offset": "0"})).status_code == 204
    answer = await post("HEAD")
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (200, "10")
    answer = await post("patch", content[10:], **{"Upload-Offset": "10"})
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(len(content)))
    assert (await evidence_of(services, evidence_id)).state == "received"
    assert (await post("PUT")).status_code == 405
    assert (await post("DELETE")).status_code == 204
    assert (await head(phone, url)).status_code == 404


# --- the store fails ---


async def test_a_store_that_is_away_is_a_retryable_answer_and_nothing_is_noted(services, phone, monkeypatch, content):
    evidence_id, url = await begin(phone, content)
    for piece in (content[:1000], content):
        with store_without(services, "put"):
            answer = await patch(phone, url, 0, piece)
        assert (answer.status_code, answer.json()["code"]) == (503, "store.unavailable")
        assert "Retry-After" in answer.headers
        assert await offset_of(phone, url) == 0
    assert (await evidence_of(services, evidence_id)).state == "announced"
    assert (await patch(phone, url, 0, content)).status_code == 204


@pytest.mark.parametrize("by", ["head", "patch", "sweep"])
async def test_what_fails_after_the_last_byte_is_finished_later(services, phone, by, content):
    evidence_id, url = await begin(phone, content)
    await patch(phone, url, 0, content[:1000])
    with store_without(services, "join"):
        assert (await patch(phone, url, 1000, content[1000:])).status_code == 503
        assert (await evidence_of(services, evidence_id)).state == "announced"
        assert (await head(phone, url)).status_code == 503, "a full offset would tell the phone that all is well"
        await sweep_uploads(services, SweepUploads())  # one that can't be finished yet is no error of the sweep
    if by == "head":
        assert await offset_of(phone, url) == len(content)
    elif by == "patch":
        assert (await patch(phone, url, len(content), b"")).status_code == 204
    else:
        await sweep_uploads(services, SweepUploads())
    assert (await evidence_of(services, evidence_id)).state == "received"
    assert await stored(services, content) == content


async def test_many_uploads_at_once_all_arrive(services, phone):
    contents = [fresh_bytes(40_000 + number) for number in range(12)]

    async def send(content: bytes) -> str:
        evidence_id, url = await begin(phone, content)
        for at in range(0, len(content), 15_000):
            assert (await patch(phone, url, at, content[at : at + 15_000])).status_code == 204
        return evidence_id

    for evidence_id in await asyncio.gather(*map(send, contents)):
        assert (await evidence_of(services, evidence_id)).state == "received"
