"""tus as other people's clients speak it: tuspy, aiotus, tus-js-client in browsers, curl and proxies."""

import asyncio
import random
from uuid import UUID

import httpx
import pytest
from litestar.routes import HTTPRoute
from sqlalchemy import func, select

from field_api.uploads import body as upload_body
from server.app import create_app
from server.core.settings import Settings
from server.models.uploads import Upload
from tests.uploads.tus import (
    KIB,
    OCTETS,
    TUS,
    announce,
    begin,
    checksum,
    create,
    metadata,
    offset_of,
    patch,
    stored,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
# What aiotus and tuspy's async uploader, WeChat, curl and a form of a browser put on a POST without a body.
EMPTY_TYPES = [
    "application/octet-stream",
    "application/json",
    "application/x-www-form-urlencoded",
    "text/plain;charset=UTF-8",
    "image/jpeg",
]


async def uploads_of(services, evidence_id: str) -> int:
    async with services.sessions() as session:
        mine = Upload.evidence_id == UUID(evidence_id)
        return await session.scalar(select(func.count()).select_from(Upload).where(mine)) or 0


@pytest.mark.parametrize("content_type", EMPTY_TYPES)
async def test_an_empty_creation_may_have_any_content_type(services, phone, content, content_type):
    evidence_id = await announce(phone, content)
    answer = await create(phone, evidence_id, len(content), b"", **{"Content-Type": content_type})
    assert (answer.status_code, answer.headers["Upload-Offset"], answer.content) == (201, "0", b"")
    url = httpx.URL(answer.headers["Location"]).path
    assert (await patch(phone, url, 0, content)).status_code == 204
    assert await stored(services, content) == content


async def test_an_empty_creation_of_unknown_length_is_a_creation(phone, content):
    async def nothing():
        for piece in (b"", b""):
            yield piece

    evidence_id = await announce(phone, content)
    answer = await create(phone, evidence_id, len(content), nothing(), **{"Content-Type": "text/plain"})
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "0")


async def test_a_library_that_resolves_no_relative_address_gets_a_whole_one(phone, content):
    evidence_id = await announce(phone, content)
    as_aiohttp = await create(phone, evidence_id, len(content), b"", **{"Content-Type": "application/octet-stream"})
    assert as_aiohttp.headers["Location"].startswith("http://")
    as_phone = await create(phone, evidence_id, len(content))
    assert as_phone.headers["Location"].startswith("/uploads/")


async def pieces(content: bytes):
    for at in range(0, len(content), 32 * KIB):
        yield content[at : at + 32 * KIB]


@pytest.mark.parametrize(
    ("headers", "sent", "status", "code"),
    [
        ({"Content-Type": "application/json"}, lambda c: c, 415, "request.unsupported_media_type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, pieces, 415, "request.unsupported_media_type"),
        ({"Upload-Concat": "partial"}, lambda c: c, 400, "upload.concat_unsupported"),
        ({"Upload-Concat": "final;/uploads/a /uploads/b"}, lambda c: b"", 400, "upload.concat_unsupported"),
        ({"Upload-Checksum": "md5 1B2M2Y8AsgTpgAmY7PhCfg=="}, lambda c: c, 400, "upload.header_invalid"),
        (checksum("sha1", b"other"), lambda c: c, 460, "upload.checksum_failed"),
        ({}, lambda c: c + b"x", 413, "upload.too_long"),
        ({}, lambda c: pieces(c + b"x"), 413, "upload.too_long"),
        ({"Upload-Length": "7"}, lambda c: c[:7], 409, "upload.size_differs"),
    ],
)
async def test_a_creation_that_is_refused_leaves_no_upload(services, phone, content, headers, sent, status, code):
    evidence_id = await announce(phone, content)
    answer = await create(phone, evidence_id, len(content), sent(content), **headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "Location" not in answer.headers
    assert await uploads_of(services, evidence_id) == 0
    assert (await create(phone, evidence_id, len(content), content)).headers["Upload-Offset"] == str(len(content))


@pytest.mark.parametrize("seed", range(16))
async def test_whatever_a_creation_looks_like_it_is_made_whole_or_leaves_nothing(services, phone, content, seed):
    chance = random.Random(seed)
    evidence_id = await announce(phone, content)
    content_type = chance.choice([*EMPTY_TYPES, *OCTETS.values(), None])
    sent = chance.choice([b"", b"", content, content[: chance.randrange(1, len(content))], content + b"x"])
    is_chunked = chance.random() < 0.5
    headers = TUS | {"Upload-Length": str(len(content)), "Upload-Metadata": metadata(evidence_id)}
    headers |= {"Content-Type": content_type} if content_type else {}
    answer = await phone.http.post("/uploads", headers=headers, content=pieces(sent) if is_chunked else sent)
    is_right = not sent or (content_type in OCTETS.values() and len(sent) <= len(content))
    assert answer.is_success == is_right, answer.text
    assert await uploads_of(services, evidence_id) == int(is_right)
    if is_right:
        assert (answer.status_code, answer.headers["Upload-Offset"], answer.content) == (201, str(len(sent)), b"")
        assert await offset_of(phone, httpx.URL(answer.headers["Location"]).path) == len(sent)


async def test_options_names_no_extension_that_is_refused(system):
    answer = await system.client().request("OPTIONS", "/uploads")
    assert not {"concatenation", "creation-defer-length"} & set(answer.headers["Tus-Extension"].split(","))


# --- a browser reads an answer only after it has sent the whole body


async def test_the_body_of_a_photo_that_is_here_already_is_read_before_the_answer(system, services, phone, content):
    first = await announce(phone, content)
    assert (await create(phone, first, len(content), content)).status_code == 201
    again = await announce(phone, content)
    read = 0

    async def slowly():
        nonlocal read
        for at in range(0, len(content), 32 * KIB):
            await asyncio.sleep(0)
            read += len(content[at : at + 32 * KIB])
            yield content[at : at + 32 * KIB]

    length = {"Content-Length": str(len(content))}
    answer = await create(phone, again, len(content), slowly(), **length)
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, str(len(content)))
    assert read == len(content)
    read = 0
    asked_first = await create(phone, again, len(content), slowly(), **length, Expect="100-continue")
    assert (asked_first.status_code, read) == (201, 0)


@pytest.mark.parametrize(
    "headers", [{"Upload-Offset": "1"}, {"Content-Type": "image/jpeg"}, {"Tus-Resumable": "0.2.2"}]
)
async def test_a_refusal_on_a_slow_line_waits_for_the_photo_and_is_read(phone, content, monkeypatch, headers):
    monkeypatch.setattr(upload_body, "LINGER_SECONDS", 0.05)
    _, url = await begin(phone, content)
    sent = 0

    async def slowly():
        nonlocal sent
        for at in range(0, len(content), 64 * KIB):
            await asyncio.sleep(0.03)
            sent += len(content[at : at + 64 * KIB])
            yield content[at : at + 64 * KIB]

    answer = await patch(phone, url, 0, slowly(), **headers)
    assert answer.status_code in {409, 412, 415}
    assert sent == len(content)


# --- X-HTTP-Method-Override


async def override(phone, url: str, method: str, **options) -> httpx.Response:
    headers = TUS | {"X-HTTP-Method-Override": method} | options.pop("headers", {})
    return await phone.http.post(url, headers=headers, **options)


@pytest.mark.parametrize("spelled", [str.upper, str.lower])
async def test_every_method_of_every_tus_address_can_be_named_in_a_header(services, phone, content, spelled):
    described = await override(phone, "/uploads", spelled("OPTIONS"))
    assert (described.status_code, described.headers["Tus-Version"]) == (204, "1.0.0")
    evidence_id = await announce(phone, content)
    params = {"Upload-Length": str(len(content)), "Upload-Metadata": metadata(evidence_id)}
    created = await override(phone, "/uploads", spelled("POST"), headers=params)
    assert (created.status_code, created.content) == (201, b"")
    url = created.headers["Location"]
    part = await override(phone, url, spelled("PATCH"), headers=OCTETS | {"Upload-Offset": "0"}, content=content[:9000])
    assert (part.status_code, part.headers["Upload-Offset"]) == (204, "9000")
    seen = await override(phone, url, spelled("HEAD"))
    assert (seen.status_code, seen.headers["Upload-Offset"], seen.content) == (200, "9000", b"")
    assert (await override(phone, url, spelled("DELETE"))).status_code == 204
    assert (await override(phone, url, spelled("HEAD"))).status_code == 404


async def test_the_named_method_counts_and_not_the_one_that_carries_it(phone, content):
    _, url = await begin(phone, content)
    answer = await phone.http.patch(url, headers=TUS | {"X-HTTP-Method-Override": "HEAD"})
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (200, "0")
    assert await offset_of(phone, url) == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "TRACE", "LOOK AROUND", "é"])
@pytest.mark.parametrize("address", ["/uploads", "/uploads/x"])
async def test_a_method_that_an_address_does_not_have_is_refused(services, phone, content, address, method):
    evidence_id = await announce(phone, content)
    params = {"Upload-Length": str(len(content)), "Upload-Metadata": metadata(evidence_id)}
    answer = await override(phone, address, method.encode(), headers=params)
    assert (answer.status_code, answer.json()["code"]) == (405, "request.method_not_allowed")
    assert await uploads_of(services, evidence_id) == 0


async def test_the_header_changes_nothing_beside_uploads(phone):
    answer = await phone.http.get("/auth/v1/me", headers={"X-HTTP-Method-Override": "DELETE"})
    assert answer.status_code == 200


# --- answers that consist of headers


async def test_no_answer_without_content_is_the_word_null(phone, content):
    evidence_id = await announce(phone, content)
    created = await create(phone, evidence_id, len(content))
    url = created.headers["Location"]
    for answer in (created, await patch(phone, url, 0, content), await phone.http.delete(url, headers=TUS)):
        assert answer.content == b""
        assert answer.headers.get("Content-Length", "0") == "0"


async def test_every_route_that_returns_nothing_answers_204():
    """As any other status, Litestar would send `null`."""
    handlers = [
        handler
        for route in create_app(Settings()).routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if handler.parsed_fn_signature.return_type.annotation is type(None) and handler.include_in_schema
    ]
    assert len(handlers) > 5
    assert {str(handler): handler.status_code for handler in handlers if handler.status_code not in {204, 304}} == {}
