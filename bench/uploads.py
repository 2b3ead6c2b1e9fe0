"""Uploads by each way, beside a bare put to the same store, and what the API process holds meanwhile."""

import asyncio
import base64
import hashlib
import os
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx

from bench.rows import Row
from bench.system import System, running_system, sign_in
from media.store import ObjectStore
from server.core.ids import new_id
from server.demo.staff import DEMO_PASSWORDS

PHOTO_BYTES, PHOTOS, SIDE_BY_SIDE = 3_000_000, 40, 4
LARGE_BYTES, LARGE = 12_000_000, 32
Send = Callable[[httpx.AsyncClient, str, bytes], Awaitable[None]]


def measure(seconds: float) -> list[Row]:
    del seconds  # a number of photos, not of seconds
    with running_system(workers=0) as system:
        return asyncio.run(_measure(system))


async def _measure(system: System) -> list[Row]:
    with system.connect() as connection:
        found = connection.execute(
            "SELECT s.login FROM staff s JOIN staff_role r ON r.staff_id = s.id WHERE r.role = 'caseworker' LIMIT 1"
        ).fetchone()
    assert found is not None
    token = sign_in(system.url, found[0], DEMO_PASSWORDS["caseworker"])["accessToken"]
    headers = {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}
    async with (
        httpx.AsyncClient(base_url=system.url, headers=headers, timeout=120) as client,
        httpx.AsyncClient(timeout=60) as store,
    ):
        bare = await _bare(system)
        await _rate(client, _tus)  # the first requests of a process are slow
        rows = [Row("bare puts to the store, 3 MB each", f"{bare:.0f} MB/s")]
        for name, send in (
            ("tus, one request", _tus),
            ("tus, pieces of 64 KiB", _tus_pieces),
            ("form", _form),
            ("signed put", partial(_put, store)),
        ):
            rate = await _rate(client, send)
            rows.append(Row(f"upload by {name}", f"{rate:.0f} MB/s", f"{bare:.0f} MB/s bare", f"{rate / bare:.2f}"))
        rows.append(await _memory(system, client))
        return rows


async def _bare(system: System) -> float:
    store = ObjectStore(
        endpoint=system.environment["ZOUFANG_S3_ENDPOINT"],
        access_key=system.environment["ZOUFANG_S3_ACCESS_KEY"],
        secret_key=system.environment["ZOUFANG_S3_SECRET_KEY"],
        bucket="zoufang",
    )

    async def put(content: bytes) -> None:
        key = f"bench/{hashlib.sha256(content).hexdigest()}"
        await store.put(key, content, len(content), "application/octet-stream")

    contents = [os.urandom(PHOTO_BYTES) for _ in range(PHOTOS)]
    rate = await _timed([put(content) for content in contents])
    store.close()
    return rate


async def _rate(client: httpx.AsyncClient, send: Send) -> float:
    contents = [os.urandom(PHOTO_BYTES) for _ in range(PHOTOS)]
    announced = [await _announce(client, content) for content in contents]
    return await _timed([send(client, who, what) for who, what in zip(announced, contents, strict=True)])


async def _timed(sends: list[Any]) -> float:
    """MB/s over all of them, some side by side."""
    turn = asyncio.Semaphore(SIDE_BY_SIDE)

    async def in_turn(send: Awaitable[None]) -> None:
        async with turn:
            await send

    began = time.perf_counter()
    await asyncio.gather(*(in_turn(send) for send in sends))
    return len(sends) * PHOTO_BYTES / 1e6 / (time.perf_counter() - began)


async def _announce(client: httpx.AsyncClient, content: bytes) -> str:
    evidence_id = str(new_id())
    manifest = {
        "id": evidence_id,
        "visitId": str(new_id()),
        "questionId": "photo",
        "sha256": hashlib.sha256(content).hexdigest(),
        "sizeBytes": len(content),
        "_deleted": False,
    }
    answer = await client.post("/field/v1/sync/evidence/1/push", json=[{"newDocumentState": manifest}])
    assert answer.json() == [], answer.text
    return evidence_id


async def _create(client: httpx.AsyncClient, evidence_id: str, size: int) -> str:
    params = {
        "Upload-Length": str(size),
        "Upload-Metadata": f"evidenceId {base64.b64encode(evidence_id.encode()).decode()}",
    }
    url: str = (await client.post("/uploads", headers=params)).headers["Location"]
    return url


async def _patch(client: httpx.AsyncClient, url: str, offset: int, content: bytes) -> None:
    params = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    answer = await client.patch(url, headers=params, content=content)
    assert answer.status_code == httpx.codes.NO_CONTENT, answer.text


async def _tus(client: httpx.AsyncClient, evidence_id: str, content: bytes) -> None:
    await _patch(client, await _create(client, evidence_id, len(content)), 0, content)


async def _tus_pieces(client: httpx.AsyncClient, evidence_id: str, content: bytes) -> None:
    url = await _create(client, evidence_id, len(content))
    for at in range(0, len(content), 65536):
        await _patch(client, url, at, content[at : at + 65536])


async def _form(client: httpx.AsyncClient, evidence_id: str, content: bytes) -> None:
    files = {"file": ("photo.jpg", content, "image/jpeg")}
    answer = await client.post("/field/v1/photos", data={"evidenceId": evidence_id}, files=files)
    assert answer.status_code == httpx.codes.OK, answer.text


async def _put(store: httpx.AsyncClient, client: httpx.AsyncClient, evidence_id: str, content: bytes) -> None:
    link = (await client.post(f"/field/v1/photos/{evidence_id}/put-link")).json()["url"]
    (await store.put(link, content=content)).raise_for_status()
    (await client.post(f"/field/v1/photos/{evidence_id}/put-done")).raise_for_status()


async def _memory(system: System, client: httpx.AsyncClient) -> Row:
    contents = [os.urandom(LARGE_BYTES) for _ in range(LARGE)]
    announced = [await _announce(client, content) for content in contents]
    before = system.api_memory_mb()
    with _watching(system) as highest:
        await asyncio.gather(*(_tus(client, who, what) for who, what in zip(announced, contents, strict=True)))
    return Row(
        f"{LARGE} uploads of 12 MB at once: growth of the API process",
        f"{highest[0] - before:.0f} MB",
        f"{LARGE * LARGE_BYTES / 1e6:.0f} MB sent",
        aim="< 150 MB",
    )


@contextmanager
def _watching(system: System) -> Any:
    """The highest memory of the API process while the block runs, in its first place."""
    highest, is_over = [0.0], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.02):
            highest[0] = max(highest[0], system.api_memory_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield highest
    finally:
        is_over.set()
        watcher.join()
