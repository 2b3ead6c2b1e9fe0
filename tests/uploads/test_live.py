"""The API as a process: little memory for many uploads, tus-js-client over links that break, a kill half way."""

import asyncio
import contextlib
import hashlib
import json
import random
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy import update

from media.store import original_key
from server.core.clock import utc_now
from server.models.uploads import Upload
from tests.clients.rxdb import HERE, NODE
from tests.uploads.proxy import CuttingProxy
from tests.uploads.tus import KIB, OCTETS, TUS, announce, evidence_of, fresh_bytes, metadata, stored, upload_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
MIB = KIB * KIB
# 96 MiB at once. The whole claim, 32 photos of 12 MB below 150 MB, is a row of `make bench`.
PHOTOS, SIZE = 16, 6 * MIB
LIMIT_MIB = 60
DELAYS = [0, 50, 100, 200, 400, 800, 1600, 1600, 1600, 1600]


# First, while the process is fresh: one that has worked before has room to spare, and its growth tells less.
async def test_many_large_uploads_at_once_are_never_held_whole(services, phone, live):
    headers = TUS | OCTETS | {"Authorization": phone.http.headers["Authorization"]}
    watching = asyncio.create_task(_highest_rss_mib(live.process.pid))
    async with httpx.AsyncClient(base_url=live.url, headers=headers, timeout=120) as client:
        await asyncio.sleep(0.1)
        before = _rss_mib(live.process.pid)
        sent = await asyncio.gather(*(_send(client, phone, number) for number in range(PHOTOS)))
    watching.cancel()
    highest = await watching
    assert [(await evidence_of(services, item)).state for item in sent] == ["received"] * PHOTOS
    assert highest - before < LIMIT_MIB, f"grew by {highest - before:.0f} MiB"


class _Sparse:
    """Megabytes that need no memory here: a short block, different for each photo, over and over."""

    def __init__(self, number: int) -> None:
        self.block = hashlib.sha256(str(number).encode()).digest() * 2048

    def whole(self) -> bytes:
        return self.block * (SIZE // len(self.block))

    async def sent(self):
        for _ in range(SIZE // len(self.block)):
            yield self.block


async def _send(client: httpx.AsyncClient, phone, number: int) -> str:
    photo = _Sparse(number)
    evidence_id = await announce(phone, photo.whole())
    params = {"Upload-Length": str(SIZE), "Upload-Metadata": metadata(evidence_id)}
    url = (await client.post("/uploads", headers=params)).headers["Location"]
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
    return sum(item.memory_info().rss for item in [process, *process.children(recursive=True)]) / MIB


# -- tus-js-client


class Files:
    """Announced photos in files, for the client to read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.contents: dict[str, bytes] = {}

    async def add(self, phone, size: int) -> str:
        content = fresh_bytes(size)
        evidence_id = await announce(phone, content)
        (self.folder / evidence_id).write_bytes(content)
        self.contents[evidence_id] = content
        return evidence_id

    def as_json(self) -> list[dict]:
        return [{"path": str(self.folder / content), "evidenceId": content} for content in self.contents]


async def upload(phone, url: str, files: Files, **options) -> list[dict]:
    command = {
        "endpoint": f"{url}/uploads",
        "token": phone.http.headers["Authorization"].removeprefix("Bearer "),
        "files": files.as_json(),
        "options": {"retryDelays": DELAYS} | options,
    }
    process = await asyncio.create_subprocess_exec(
        NODE / "node", "upload.mjs", json.dumps(command), cwd=HERE, stdout=asyncio.subprocess.PIPE
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 40)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    result = json.loads(out)
    assert [item["error"] for item in result] == [None] * len(result)
    return result


async def check_all_arrived(services, files: Files) -> None:
    for evidence_id, content in files.contents.items():
        assert (await evidence_of(services, evidence_id)).state == "received"
        assert await stored(services, content) == content


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunkSize": 64 * KIB},
        {"overridePatchMethod": True, "chunkSize": 100_000},
        {"uploadDataDuringCreation": True},
        {"uploadDataDuringCreation": True, "chunkSize": 100_000},
    ],
    ids=["whole", "in pieces", "without PATCH", "with creation", "pieces with creation"],
)
async def test_the_clients_uploads_arrive(services, phone, live, tmp_path, options):
    files = Files(tmp_path)
    for size in (1, 700_001):
        await files.add(phone, size)
    await upload(phone, live.url, files, **options)
    await check_all_arrived(services, files)


@pytest.mark.parametrize("overriding", [False, True], ids=["PATCH", "POST"])
async def test_uploads_side_by_side_over_a_link_that_breaks_arrive_whole(services, phone, live, tmp_path, overriding):
    files = Files(tmp_path)
    for number in range(4):
        await files.add(phone, 1_000_000 + number)
    chance = random.Random(int(overriding))
    cuts = [chance.randrange(1, 700_000) for _ in range(14)]
    async with CuttingProxy(live.port, cuts) as proxy:
        result = await upload(phone, proxy.url, files, overridePatchMethod=overriding)
        assert proxy.made >= 4
    await check_all_arrived(services, files)
    assert any(["HEAD", 200] in item["statuses"] for item in result), "nothing was resumed"


async def test_small_pieces_over_a_link_that_keeps_breaking_lose_nothing(services, phone, live, tmp_path):
    files = Files(tmp_path)
    await files.add(phone, 3_000_000)
    async with CuttingProxy(live.port, [200_000 + 1000 * number for number in range(12)]) as proxy:
        await upload(phone, proxy.url, files, chunkSize=64 * KIB)
        assert proxy.made >= 8
    await check_all_arrived(services, files)


async def test_a_photo_the_server_has_is_no_error_to_the_client(services, phone, live, tmp_path):
    files = Files(tmp_path)
    evidence_id = await files.add(phone, 50_000)
    await upload(phone, live.url, files)
    again = Files(tmp_path)
    content = files.contents[evidence_id]
    second = await announce(phone, content)
    (tmp_path / second).write_bytes(content)
    again.contents[second] = content
    await upload(phone, live.url, again)
    await check_all_arrived(services, again)


async def test_a_killed_api_loses_no_acknowledged_byte(services, phone, live):
    """Most of a photo is on its way when the process is killed; its successor goes on where the store stands."""
    content = fresh_bytes(11 * KIB * KIB)
    evidence_id = await announce(phone, content)
    token = {"Authorization": phone.http.headers["Authorization"]}
    async with httpx.AsyncClient(base_url=live.url, headers=TUS | OCTETS | token, timeout=20) as client:
        params = {"Upload-Length": str(len(content)), "Upload-Metadata": metadata(evidence_id)}
        url = (await client.post("/uploads", headers=params)).headers["Location"]
        killed = asyncio.Event()
        cut_at = 9 * KIB * KIB + 12_345
        sending = asyncio.create_task(
            client.patch(url, headers={"Upload-Offset": "0"}, content=_until(killed, content[:cut_at]))
        )
        await _until_received(services, url, 4 * KIB * KIB)
        live.kill()
        killed.set()
        with pytest.raises(httpx.TransportError):
            await sending
        live.start()

        offset = int((await client.head(url)).headers["Upload-Offset"])
        assert 4 * KIB * KIB <= offset <= cut_at
        async with services.sessions() as session:  # the lease that died with its holder ends sooner than in seconds
            await session.execute(update(Upload).where(Upload.lease.is_not(None)).values(lease_until=utc_now()))
            await session.commit()
        answer = await _patch_when_free(client, url, offset, content[offset:])
        assert answer.status_code == 204, answer.text
    assert (await evidence_of(services, evidence_id)).state == "received"
    size = await services.store.download(original_key(hashlib.sha256(content).hexdigest()), live.log.parent / "photo")
    assert size == len(content)
    assert (live.log.parent / "photo").read_bytes() == content


async def _until(killed: asyncio.Event, content: bytes):
    for at in range(0, len(content), 256 * KIB):
        yield content[at : at + 256 * KIB]
    await killed.wait()
    yield b"?"


async def _until_received(services, url: str, size: int) -> None:
    for _ in range(500):
        if (await upload_of(services, url)).received_bytes >= size:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("nothing was acknowledged")


async def _patch_when_free(client: httpx.AsyncClient, url: str, offset: int, content: bytes) -> httpx.Response:
    """The killed process still holds the upload, for some seconds."""
    for _ in range(40):
        answer = await client.patch(url, headers={"Upload-Offset": str(offset)}, content=content)
        if answer.status_code != 423:
            break
        await asyncio.sleep(0.25)
    return answer
