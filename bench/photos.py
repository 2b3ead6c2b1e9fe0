"""Photos: visits that come with four of them, accepted and verified; and their examination beside bare Pillow."""

import asyncio
import hashlib
import io
import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.load import Ask, Loop, exchange
from bench.rows import Row
from bench.sync import households_of, publish_template
from bench.system import System, running_system, sign_in
from bench.workload import make_visit, push
from server.core.clock import today, utc_now
from server.core.ids import new_id
from server.demo.county import build_county
from server.demo.staff import DEMO_PASSWORDS
from server.photos.process import process_bytes

Json = dict[str, Any]
PHOTO_BYTES, PHOTOS = 200_000, 4
# Visits with four photos of 200 kB a second, of the peer at 1, 8 and 32 connections, and what it sustained.
PEER, PEER_SUSTAINED = {1: 22, 8: 44, 32: 45}, 26
WARM_UP_S = 3.0
# Of whole visits: a week's of each pair.
DAYS, VISITS_A_DAY = 5, 4


class Crew(NamedTuple):
    """Who visits: the author's sign-in and their partner's, their ids, and the homes that the author holds."""

    token: str
    partner_token: str
    people: list[str]
    households: list[Json]


# What one visit sends, in its order, each with whose sign-in sends it.
Requests = list[tuple[str, Ask]]


def measure(seconds: float) -> Iterator[Row]:
    yield from _examinations()
    with running_system(replicas=1) as system:
        asyncio.run(publish_template(system))
        crews = _crews(system)
        photo = _photo(_scene(1280, 960, seed=0))
        for connections in PEER:
            yield from _visits(system, crews[0], photo, connections, min(seconds, 10.0))
        yield from _whole_visits(system, crews, 8)
        yield Row(
            "API memory after all of it", f"{system.api_memory_mb():.0f} MB", "peer 394–413 MB, 711 with large files"
        )


def _crews(system: System) -> list[Crew]:
    """The caseworkers of the demo county, two by two."""
    workers = {
        staff_member.login: staff_member
        for staff_member in build_county(today=today()).staff
        if staff_member.role == "caseworker"
    }
    signed_in = {login: sign_in(system.url, login, DEMO_PASSWORDS["caseworker"]) for login in workers}
    return [
        Crew(
            signed_in[login]["accessToken"],
            signed_in[item.partner_login]["accessToken"],
            [signed_in[login]["personId"], signed_in[item.partner_login]["personId"]],
            households_of(system, signed_in[login]["accessToken"]),
        )
        for login, item in workers.items()
        if item.partner_login is not None and login < item.partner_login
    ]


# -- visits


def _visits(system: System, crew: Crew, photo: bytes, connections: int, seconds: float) -> list[Row]:
    sent = _send(system, _without_end(crew, photo), connections, seconds, WARM_UP_S)
    name = f"visits with {PHOTOS} × 200 kB, {connections} connections"
    rows = [
        Row(
            f"{name}: accepted/s",
            f"{sent.loop.rate:.0f} (p95 {sent.loop.percentile_ms(0.95):.0f} ms){sent.failures}",
            f"peer {PEER[connections]}",
            f"{sent.loop.rate / PEER[connections]:.2f}",
            f"≥ {3 * PEER[connections]} (3 × peer's {PEER[connections]})",
        ),
        Row(
            f"{name}: photos verified, visits/s, draining included",
            f"{sent.sustained:.1f}",
            f"peer {PEER_SUSTAINED}",
            f"{sent.sustained / PEER_SUSTAINED:.2f}",
            f"≥ {PEER_SUSTAINED}",
        ),
        Row(f"{name}: CPU s per 1,000, the store's included", f"{sent.cpu_per_1000:.0f}", "peer 62–68"),
    ]
    if sent.unverified:
        rows.append(Row(f"{name}: photos NOT verified", f"{sent.unverified}"))
    return rows


def _without_end(crew: Crew, photo: bytes) -> Iterator[Requests]:
    """All by one person, and all photos of one scene: what counts here is the way in."""
    chance = random.Random(0)
    while True:
        visit = make_visit(chance.choice(crew.households), crew.people, chance, [])
        yield _requests(crew, visit, [_one_of_its_own(photo) for _ in range(PHOTOS)])


def _whole_visits(system: System, crews: list[Crew], connections: int) -> list[Row]:
    """What the peer has nothing beside: attested by the second person, looked at by every rule, in the queue."""
    sent = _send(system, iter(_a_week(crews)), connections, 3600.0, 0.0)
    name = f"whole visits with {PHOTOS} × 200 kB, {connections} connections"
    lost = f", {sent.submitted - sent.waiting} NOT THERE" if sent.waiting != sent.submitted else ""
    return [
        Row(
            f"{name}: attested, verified, examined and in the queue, visits/s, draining included",
            f"{sent.sustained:.1f}{lost}{sent.failures}",
            f"{sent.loop.rate:.0f} accepted/s",
        ),
        Row(f"{name}: CPU s per 1,000, the store's included", f"{sent.cpu_per_1000:.0f}"),
    ]


def _a_week(crews: list[Crew]) -> list[Requests]:
    """As visits are: each pair's one after the other, each of another home, each photo of another scene."""
    visits: list[Requests] = []
    chance, monday = random.Random(1), utc_now().replace(hour=1, minute=0, second=0) - timedelta(days=8)
    for slot in range(DAYS * VISITS_A_DAY):
        began = monday + timedelta(days=slot // VISITS_A_DAY, hours=slot % VISITS_A_DAY)
        for number, crew in enumerate(crews):
            visit = make_visit(crew.households[slot % len(crew.households)], crew.people, chance, [])
            took = {"startedAt": began, "endedAt": began + timedelta(minutes=chance.randint(20, 45))}
            visit |= {name: at.isoformat() for name, at in took.items()}
            visit["startFix"]["capturedAt"], visit["endFix"]["capturedAt"] = visit["startedAt"], visit["endedAt"]
            seeds = [(slot * len(crews) + number) * PHOTOS + item for item in range(PHOTOS)]
            visits.append(
                _requests(crew, visit, [_photo(_scene(1280, 960, seed=seed)) for seed in seeds], attested=True)
            )
    return visits


def _requests(crew: Crew, visit: Json, photos: list[bytes], *, attested: bool = False) -> Requests:
    manifests = [
        {
            "id": str(new_id()),
            "visitId": visit["id"],
            "questionId": "text_8",
            "sha256": hashlib.sha256(photo).hexdigest(),
            "sizeBytes": len(photo),
            "_deleted": False,
        }
        for photo in photos
    ]
    visit["photos"] = [{"id": manifest["id"], "sha256": manifest["sha256"]} for manifest in manifests]
    requests = [(crew.token, push("evidence", manifests)), (crew.token, push("visits", [visit]))]
    requests += [(crew.token, form_of(manifest["id"], item)) for manifest, item in zip(manifests, photos, strict=True)]
    if attested:
        params = {"attestedAt": visit["endedAt"], "fix": visit["endFix"], "_deleted": False}
        word = {"id": str(new_id()), "visitId": visit["id"], **params}
        requests.append((crew.partner_token, push("attestations", [word])))
    return requests


def send_week(system: System, connections: int = 8) -> "Sent":
    """A week of complete visits, each photo of a scene of its own; return when all of it is processed."""
    return _send(system, iter(_a_week(_crews(system))), connections, 3600.0, 0.0)


def send_large(system: System, visits: int, connections: int = 8) -> "Sent":
    """So many visits with four photos of 12 megapixels, as a camera writes them; return when all are processed."""
    large = io.BytesIO()
    _scene(4000, 3000, seed=0).save(large, "JPEG", quality=88, comment=MARK)
    requests = islice(_without_end(_crews(system)[0], large.getvalue()), visits)
    return _send(system, requests, connections, 3600.0, 0.0)


class Sent(NamedTuple):
    """What a loop sent, and what the server had made of it when no job was left."""

    loop: Loop
    submitted: int
    unverified: int
    waiting: int
    seconds: float
    cpu_seconds: float

    @property
    def sustained(self) -> float:
        return self.submitted / self.seconds

    @property
    def cpu_per_1000(self) -> float:
        return self.cpu_seconds / self.submitted * 1000

    @property
    def failures(self) -> str:
        return f", {self.loop.failed} FAILED: {self.loop.first_failure}" if self.loop.failed else ""


def _send(system: System, visits: Iterator[Requests], connections: int, seconds: float, warm_up: float) -> Sent:
    before = _count(system)
    cpu_before, began = system.cpu_seconds(), time.perf_counter()
    loop = asyncio.run(_run(system.urls, visits, connections, seconds, warm_up))
    sent_s = time.perf_counter() - began
    drained_s = system.wait_for_jobs()
    cpu = system.cpu_seconds() - cpu_before
    submitted, unverified, waiting = (now - then for now, then in zip(_count(system), before, strict=True))
    return Sent(loop, submitted, unverified, waiting, sent_s + drained_s, cpu)


def _count(system: System) -> tuple[int, int, int]:
    """The visits of the bench, their photos that are not verified, and those of them that wait for a reviewer."""
    with system.connect() as connection:
        row = connection.execute(
            """WITH sent AS (SELECT id FROM visit WHERE checklist_code = 'bench' AND state <> 'draft')
            SELECT (SELECT count(*) FROM sent),
                (SELECT count(*) FROM evidence WHERE visit_id IN (SELECT id FROM sent) AND state <> 'verified'),
                (SELECT count(*) FROM review_item WHERE visit_id IN (SELECT id FROM sent))"""
        ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


async def _run(urls: list[str], visits: Iterator[Requests], connections: int, seconds: float, warm_up: float) -> Loop:
    """Each connection sends whole visits, one after the other, until the time is over or there are no more."""
    loop = Loop()
    counted_from = time.perf_counter() + warm_up
    until = counted_from + seconds

    async def send(number: int) -> None:
        place = urlsplit(urls[number % len(urls)])
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        while (now := time.perf_counter()) < until and (requests := next(visits, None)):
            for token, ask in requests:
                status, _ = await exchange(reader, writer, place.netloc, token, ask)
                if status != 200:
                    loop.failed += 1
                    loop.first_failure = loop.first_failure or f"HTTP {status} {ask[1]}"
            if now >= counted_from:
                loop.done += 1
                loop.latencies.append(time.perf_counter() - now)
        writer.close()

    await asyncio.gather(*(send(number) for number in range(connections)))
    loop.seconds = time.perf_counter() - counted_from
    return loop


def form_of(evidence_id: str, photo: bytes) -> Ask:
    boundary = "----wx7d0f"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="evidenceId"\r\n\r\n{evidence_id}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = b"".join((head.encode(), photo, f"\r\n--{boundary}--\r\n".encode()))
    return "POST", "/field/v1/photos", f"multipart/form-data; boundary={boundary}", body


MARK = b"zoufang!" * 8


def _photo(picture: Image.Image) -> bytes:
    """A JPEG of exactly 200,000 bytes as WeChat sends them, with 64 bytes in a comment to be changed."""
    jpeg = b""
    for quality in (90, 84, 78, 72, 66, 60, 54, 48, 42, 36):
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality, comment=MARK)
        jpeg = out.getvalue()
        if len(jpeg) <= PHOTO_BYTES - 4:
            break
    # The rest in comments before the first table: each has two bytes of marker, two of length.
    left, filler = PHOTO_BYTES - len(jpeg), b""
    while left:
        size = min(left, 60_000) if left - min(left, 60_000) not in range(1, 4) else left - 30_000
        filler += b"\xff\xfe" + (size - 2).to_bytes(2) + b"\0" * (size - 4)
        left -= size
    return jpeg[:2] + filler + jpeg[2:]


def _one_of_its_own(photo: bytes) -> bytes:
    at = photo.index(MARK)
    return b"".join((photo[:at], os.urandom(len(MARK)), photo[at + len(MARK) :]))


def _scene(width: int, height: int, *, seed: int) -> Image.Image:
    """Patches of every size, the large ones strongest, as in photographs, and the grain of a small sensor."""
    numbers = np.random.default_rng(seed)
    total = _grain(width, height).copy()
    for cells, strength in ((4, 60), (8, 40), (16, 30), (32, 20), (64, 12), (128, 8)):
        patches = Image.fromarray(numbers.normal(0, strength, (cells, cells)).astype(np.float32))
        total += np.asarray(patches.resize((width, height), Image.Resampling.BICUBIC))[:, :, None]
    return Image.fromarray((118 + total * 0.6).clip(0, 255).astype(np.uint8))


@cache
def _grain(width: int, height: int) -> NDArray[np.float32]:
    return np.random.default_rng(width).normal(0, 6, (height, width, 3)).astype(np.float32)


# -- examination


def _examinations() -> Iterator[Row]:
    large = io.BytesIO()
    _scene(4000, 3000, seed=0).save(large, "JPEG", quality=88)
    for name, photo, count in (
        ("1280 × 960, as the phone sends them", _photo(_scene(1280, 960, seed=0)), 40),
        ("12 megapixels", large.getvalue(), 12),
    ):
        sha256 = hashlib.sha256(photo).hexdigest()
        ours, bare = _side_by_side(lambda: process_bytes(photo, sha256), lambda: _bare(photo), count)  # noqa: B023
        yield Row(
            f"photos verified/s on one core, {name} ({len(photo) / 1e6:.1f} MB)",
            f"{1 / ours:.0f}",
            f"{1 / bare:.0f} bare Pillow, same decode and encodes",
            f"{ours / bare:.2f} × its time",
            "≤ 1.25 ×",
        )


def _side_by_side(ours: Callable[[], Any], bare: Callable[[], Any], count: int) -> tuple[float, float]:
    """CPU seconds each, the two in turns, so that a busy machine slows both."""
    ours(), bare()
    spent = [0.0, 0.0]
    for _ in range(count):
        for place, work in enumerate((ours, bare)):
            began = time.process_time()
            work()
            spent[place] += time.process_time() - began
    return spent[0] / count, spent[1] / count


def _bare(photo: bytes) -> None:
    """What anyone would write to get the two copies."""
    with Image.open(io.BytesIO(photo)) as image:
        image.draft("RGB", (1280, 1280))
        image.load()
        large = image.convert("RGB")
    large.thumbnail((1280, 1280), Image.Resampling.BICUBIC)
    large.save(io.BytesIO(), "JPEG", quality=85)
    small = large.copy()
    small.thumbnail((320, 320), Image.Resampling.BICUBIC)
    small.save(io.BytesIO(), "JPEG", quality=80)
