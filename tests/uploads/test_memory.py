"""Uploads are streamed: however many come at once, the API process holds little of them."""

import asyncio
import hashlib

import httpx
import psutil
import pytest

from tests.uploads.tus import KIB, OCTETS, TUS, announce, evidence_of, metadata

pytestmark = pytest.mark.asyncio(loop_scope="module")
MIB = KIB * KIB
# 96 MiB at once. The whole claim, 32 photos of 12 MB below 150 MB, is a row of `make bench`.
PHOTOS, SIZE = 16, 6 * MIB
LIMIT_MIB = 60


class _Sparse:
    """Megabytes that need no memory here: a short block, different for each photo, over and over."""

    def __init__(self, number: int) -> None:
        self.block = hashlib.sha256(str(number).encode()).digest() * 2048

    def whole(self) -> bytes:
        return self.block * (SIZE // len(self.block))

    async def sent(self):
        for _ in range(SIZE // len(self.block)):
            yield self.block


async def test_many_large_uploads_at_once_are_never_held_whole(services, phone, live):
    headers = TUS | OCTETS | {"Authorization": phone.http.headers["Authorization"]}
    watching = asyncio.create_task(_highest_rss_mib(live.process.pid))
    async with httpx.AsyncClient(base_url=live.url, headers=headers, timeout=120) as client:
        await asyncio.sleep(0.1)
        before = _rss_mib(live.process.pid)
        sent = await asyncio.gather(*(_send(client, phone, number) for number in range(PHOTOS)))
    watching.cancel()
    highest = await watching
    assert [(await evidence_of(services, one)).state for one in sent] == ["received"] * PHOTOS
    assert highest - before < LIMIT_MIB, f"grew by {highest - before:.0f} MiB"


async def _send(client: httpx.AsyncClient, phone, number: int) -> str:
    photo = _Sparse(number)
    evidence_id = await announce(phone, photo.whole())
    told = {"Upload-Length": str(SIZE), "Upload-Metadata": metadata(evidence_id)}
    url = (await client.post("/uploads", headers=told)).headers["Location"]
    answer = await client.patch(url, headers={"Upload-Offset": "0", "Content-Length": str(SIZE)}, content=photo.sent())
    assert answer.status_code == 204, answer.text
    return evidence_id


async def _highest_rss_mib(pid: int) -> float:
    highest = 0.0
    try:
        while True:
            highest = max(highest, _rss_mib(pid))
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        return highest


def _rss_mib(pid: int) -> float:
    """Of the API process and its workers."""
    process = psutil.Process(pid)
    return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)]) / MIB
