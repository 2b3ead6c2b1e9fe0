"""Phones that upload: announced photos, tus requests, and connections that are cut in the middle."""

import asyncio
import base64
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from media.store import ObjectStore, StoreUnavailable, original_key
from server.core.ids import new_id
from server.core.services import Services
from server.models.evidence import Evidence
from server.models.uploads import Upload, UploadChunk
from tests.phones import Phone

OCTETS = {"Content-Type": "application/offset+octet-stream"}
TUS = {"Tus-Resumable": "1.0.0"}
KIB = 1024


def fresh_bytes(size: int) -> bytes:
    """Of a photo that nobody sent before."""
    return os.urandom(size)


async def announce(phone: Phone, content: bytes, *, visit_id: str | None = None) -> str:
    """The manifest of a photo, pushed; its id."""
    evidence_id = str(new_id())
    manifest = {
        "id": evidence_id,
        "visitId": visit_id or str(new_id()),
        "questionId": "photo_house_outside",
        "sha256": hashlib.sha256(content).hexdigest(),
        "sizeBytes": len(content),
        "capturedAt": "2025-11-23T09:00:00+08:00",
        "_deleted": False,
    }
    answer = await phone.http.post("/field/v1/sync/evidence/1/push", json=[{"newDocumentState": manifest}])
    assert answer.status_code == 200, answer.text
    return evidence_id


def metadata(evidence_id: str, **others: str) -> str:
    pairs = {"evidenceId": evidence_id} | others
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


def checksum(algorithm: str, content: bytes) -> dict[str, str]:
    digest = base64.b64encode(hashlib.new(algorithm, content).digest()).decode()
    return {"Upload-Checksum": f"{algorithm} {digest}"}


async def create(
    phone: Phone, evidence_id: str, length: int | None, content: bytes | None = None, **headers: str
) -> httpx.Response:
    result = TUS | {"Upload-Metadata": metadata(evidence_id)} | (OCTETS if content is not None else {})
    if length is not None:
        result |= {"Upload-Length": str(length)}
    return await phone.http.post("/uploads", headers=result | headers, content=content)


async def begin(phone: Phone, content: bytes) -> tuple[str, str]:
    """Announce and create: the id of the evidence and the address of the upload."""
    evidence_id = await announce(phone, content)
    answer = await create(phone, evidence_id, len(content))
    assert answer.status_code == 201, answer.text
    return evidence_id, answer.headers["Location"]


async def patch(phone: Phone, url: str, offset: int, content: Any, **headers: str) -> httpx.Response:
    result = TUS | OCTETS | {"Upload-Offset": str(offset)} | headers
    return await phone.http.patch(url, headers=result, content=content)


async def head(phone: Phone, url: str) -> httpx.Response:
    return await phone.http.head(url, headers=TUS)


async def offset_of(phone: Phone, url: str) -> int:
    answer = await head(phone, url)
    assert answer.status_code == 200, answer.text
    return int(answer.headers["Upload-Offset"])


async def cut_patch(phone: Phone, url: str, offset: int, sent: bytes, *, announced: int, piece: int = 16 * KIB) -> None:
    """A PATCH whose connection breaks after `sent`, as the server sees it."""
    pieces = [sent[at : at + piece] for at in range(0, len(sent), piece)]
    events = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    await speak(phone, "PATCH", url, [*events, {"type": "http.disconnect"}], offset=offset, announced=announced)


async def speak(
    phone: Phone, method: str, url: str, events: list[dict[str, Any]], *, offset: int, announced: int, **others: str
) -> int:
    """Speak ASGI itself; the status answered, though a client that is gone never reads it."""
    waiting = iter(events)
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        event = next(waiting, None)
        if event is None:
            await asyncio.sleep(3600)
            raise AssertionError("the app still reads after an hour")
        if isinstance(event.get("pause"), asyncio.Event):
            await event["pause"].wait()
            return await receive()
        return event

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    headers = TUS | OCTETS | {"Upload-Offset": str(offset), "Content-Length": str(announced)} | others
    headers |= {"Authorization": phone.http.headers["Authorization"]}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": url,
        "raw_path": url.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("zoufang.test", 80),
    }
    app: Any = phone.system.app  # typed by Litestar in dicts of its own
    await app(scope, receive, send)
    return statuses[0]


async def evidence_of(services: Services, evidence_id: str) -> Evidence:
    async with services.sessions() as session:
        return await session.get_one(Evidence, UUID(evidence_id))


async def upload_of(services: Services, url: str) -> Upload | None:
    async with services.sessions() as session:
        return await session.get(Upload, url.rpartition("/")[2])


async def chunks_of(services: Services, url: str) -> list[UploadChunk]:
    expected = select(UploadChunk).where(UploadChunk.upload_id == url.rpartition("/")[2]).order_by(UploadChunk.start_at)
    async with services.sessions() as session:
        return list(await session.scalars(expected))


async def spooled(services: Services, url: str) -> list[str]:
    return [key async for key in services.store.list_keys(f"spool/{url.rpartition('/')[2]}/")]


async def stored(services: Services, content: bytes) -> bytes:
    """What the store holds under the photo's name."""
    return await services.store.read(original_key(hashlib.sha256(content).hexdigest()))


@contextmanager
def store_without(services: Services, *calls: str) -> Iterator[None]:
    """The store fails in these calls while the block runs."""
    whole = services.store
    object.__setattr__(services, "store", _Failing(whole, calls))
    try:
        yield
    finally:
        object.__setattr__(services, "store", whole)


class _Failing:
    def __init__(self, store: ObjectStore, calls: tuple[str, ...]) -> None:
        self.store, self.calls = store, calls

    def __getattr__(self, name: str) -> Any:
        if name in self.calls:
            raise StoreUnavailable("away")
        return getattr(self.store, name)
