"""Upload rate of each protocol compared with bare puts to the same store, and the memory of the API meanwhile."""

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

PHOTO_BYTES, PHOTOS, CONCURRENCY = 3_000_000, 40, 4
LARGE_BYTES, LARGE = 12_000_000, 32
Send = Callable[[httpx.AsyncClient, str, bytes], Awaitable[None]]


def measure(seconds: float) -> list[Row]:
    del seconds  # measures a number of photos
    with running_system(workers=0) as system:
        return asyncio.run(_measure(system))


async def _measure(system: System) -> list[Row]:
    with system.connect() as connection:
        caseworker = connection.execute(
            "SELECT s.login FROM staff s JOIN staff_role r ON r.staff_id = s.id WHERE r.role = 'caseworker' LIMIT 1"
        ).fetchone()
    assert caseworker is not None
    token = sign_in(system.url, caseworker[0], DEMO_PASSWORDS["caseworker"])["accessToken"]
    headers = {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}
    async with (
        httpx.AsyncClient(base_url=system.url, headers=headers, timeout=120) as client,
        httpx.AsyncClient(timeout=60) as store,
    ):
        bare = await _bare(system)
        await _rate(client, _tus)  # warm up: first requests are slow
        rows = [Row("bare puts to the store, 3 MB each", f"{bare:.0f} MB/s")]
        for name, send in (
            ("tus, one request", _tus),
            ("tus, chunks of 64 KiB", _tus_chunks),
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
    evidence_ids = [await _push_manifest(client, content) for content in contents]
    return await _timed(
        [send(client, evidence_id, content) for evidence_id, content in zip(evidence_ids, contents, strict=True)]
    )


async def _timed(sends: list[Any]) -> float:
    """Run the uploads, CONCURRENCY at a time; return MB/s."""
    gate = asyncio.Semaphore(CONCURRENCY)

    async def run_gated(send: Awaitable[None]) -> None:
        async with gate:
            await send

    began = time.perf_counter()
    await asyncio.gather(*(run_gated(send) for send in sends))
    return len(sends) * PHOTO_BYTES / 1e6 / (time.perf_counter() - began)


async def _push_manifest(client: httpx.AsyncClient, content: bytes) -> str:
    evidence_id = str(new_id())
    manifest = {
        "id": evidence_id,
        "visitId": str(new_id()),
        "questionId": "photo",
        "sha256": hashlib.sha256(content).hexdigest(),
        "sizeBytes": len(content),
        "_deleted": False,
    }
    response = await client.post("/field/v1/sync/evidence/1/push", json=[{"newDocumentState": manifest}])
    assert response.json() == [], response.text
    return evidence_id


async def _create(client: httpx.AsyncClient, evidence_id: str, size: int) -> str:
    headers = {
        "Upload-Length": str(size),
        "Upload-Metadata": f"evidenceId {base64.b64encode(evidence_id.encode()).decode()}",
    }
    url: str = (await client.post("/uploads", headers=headers)).headers["Location"]
    return url


async def _patch(client: httpx.AsyncClient, url: str, offset: int, content: bytes) -> None:
    headers = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    response = await client.patch(url, headers=headers, content=content)
    assert response.status_code == httpx.codes.NO_CONTENT, response.text


async def _tus(client: httpx.AsyncClient, evidence_id: str, content: bytes) -> None:
    await _patch(client, await _create(client, evidence_id, len(content)), 0, content)


async def _tus_chunks(client: httpx.AsyncClient, evidence_id: str, content: bytes) -> None:
    url = await _create(client, evidence_id, len(content))
    for at in range(0, len(content), 65536):
        await _patch(client, url, at, content[at : at + 65536])


async def _form(client: httpx.AsyncClient, evidence_id: str, content: bytes) -> None:
    files = {"file": ("photo.jpg", content, "image/jpeg")}
    response = await client.post("/field/v1/photos", data={"evidenceId": evidence_id}, files=files)
    assert response.status_code == httpx.codes.OK, response.text


async def _put(store: httpx.AsyncClient, client: httpx.AsyncClient, evidence_id: str, content: bytes) -> None:
    link = (await client.post(f"/field/v1/photos/{evidence_id}/put-link")).json()["url"]
    (await store.put(link, content=content)).raise_for_status()
    (await client.post(f"/field/v1/photos/{evidence_id}/put-done")).raise_for_status()


async def _memory(system: System, client: httpx.AsyncClient) -> Row:
    contents = [os.urandom(LARGE_BYTES) for _ in range(LARGE)]
    evidence_ids = [await _push_manifest(client, content) for content in contents]
    before = system.api_memory_mb()
    with _watch_memory(system) as peak:
        await asyncio.gather(*(_tus(client, key, content) for key, content in zip(evidence_ids, contents, strict=True)))
    return Row(
        f"{LARGE} uploads of 12 MB at once: growth of the API process",
        f"{peak[0] - before:.0f} MB",
        f"{LARGE * LARGE_BYTES / 1e6:.0f} MB sent",
        target="< 150 MB",
    )


@contextmanager
def _watch_memory(system: System) -> Any:
    """Yield a list whose only item is the peak memory (MB) of the API during the block."""
    peak, is_over = [0.0], threading.Event()

    def watch() -> None:
        while not is_over.wait(0.02):
            peak[0] = max(peak[0], system.api_memory_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        is_over.set()
        watcher.join()
