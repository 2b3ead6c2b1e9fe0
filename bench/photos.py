"""Photos: visits with four photos, accepted and verified; and photo processing compared with bare Pillow."""

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

from bench.load import LoadResult, Request, send_request
from bench.rows import Row
from bench.sync import publish_template, pull_households
from bench.system import System, running_system, sign_in
from bench.workload import make_push, make_visit
from media.processing import process_bytes
from server.core.clock import today, utc_now
from server.core.ids import new_id
from server.demo.county import build_county
from server.demo.staff import DEMO_PASSWORDS

Json = dict[str, Any]
PHOTO_BYTES, PHOTOS = 200_000, 4
# The peer's visits/s with four photos of 200 kB at 1, 8 and 32 connections, and the rate that it sustained.
PEER, PEER_SUSTAINED = {1: 22, 8: 44, 32: 45}, 26
WARM_UP_S = 3.0
# Complete visits: a week of each pair.
DAYS, VISITS_A_DAY = 5, 4


class Crew(NamedTuple):
    """A pair of caseworkers: tokens of the author and the partner, their ids, and the author's households."""

    token: str
    partner_token: str
    people: list[str]
    households: list[Json]


VisitRequests = list[tuple[str, Request]]
"""The requests of a visit in order, each with its token."""


def measure(seconds: float) -> Iterator[Row]:
    yield from _process_rows()
    with running_system(replicas=1) as system:
        asyncio.run(publish_template(system))
        crews = _sign_in_crews(system)
        photo = _photo(_scene(1280, 960, seed=0))
        for connections in PEER:
            yield from _visit_rows(system, crews[0], photo, connections, min(seconds, 10.0))
        yield from _complete_visit_rows(system, crews, 8)
        yield Row("API memory at the end", f"{system.api_memory_mb():.0f} MB", "peer 394–413 MB, 711 with large files")


def _sign_in_crews(system: System) -> list[Crew]:
    """Sign in the caseworkers of the demo county; return their pairs."""
    caseworkers = {person.login: person for person in build_county(today=today()).staff if person.role == "caseworker"}
    signed_in = {login: sign_in(system.url, login, DEMO_PASSWORDS["caseworker"]) for login in caseworkers}
    return [
        Crew(
            signed_in[login]["accessToken"],
            signed_in[person.partner_login]["accessToken"],
            [signed_in[login]["personId"], signed_in[person.partner_login]["personId"]],
            pull_households(system, signed_in[login]["accessToken"]),
        )
        for login, person in caseworkers.items()
        if person.partner_login is not None and login < person.partner_login
    ]


# -- visits


def _visit_rows(system: System, crew: Crew, photo: bytes, connections: int, seconds: float) -> list[Row]:
    result = _send(system, _iter_visits(crew, photo), connections, seconds, WARM_UP_S)
    name = f"visits with {PHOTOS} × 200 kB, {connections} connections"
    rows = [
        Row(
            f"{name}: accepted/s",
            f"{result.load.rate:.0f} (p95 {result.load.percentile_ms(0.95):.0f} ms){result.failures}",
            f"peer {PEER[connections]}",
            f"{result.load.rate / PEER[connections]:.2f}",
            f"≥ {3 * PEER[connections]} (3 × peer's {PEER[connections]})",
        ),
        Row(
            f"{name}: photos verified, visits/s, draining included",
            f"{result.sustained:.1f}",
            f"peer {PEER_SUSTAINED}",
            f"{result.sustained / PEER_SUSTAINED:.2f}",
            f"≥ {PEER_SUSTAINED}",
        ),
        Row(f"{name}: CPU s per 1,000, the store's included", f"{result.cpu_per_1000:.0f}", "peer 62–68"),
    ]
    if result.unverified:
        rows.append(Row(f"{name}: photos NOT verified", f"{result.unverified}"))
    return rows


def _iter_visits(crew: Crew, photo: bytes) -> Iterator[VisitRequests]:
    """Yield visits of one person without end. All photos show one scene: this measures the intake of photos."""
    chance = random.Random(0)
    while True:
        visit = make_visit(chance.choice(crew.households), crew.people, chance, [])
        yield _requests(crew, visit, [_make_unique(photo) for _ in range(PHOTOS)])


def _complete_visit_rows(system: System, crews: list[Crew], connections: int) -> list[Row]:
    """Measure visits until they are attested, checked and in the queue; the peer has nothing comparable."""
    result = _send(system, iter(_make_week(crews)), connections, 3600.0, 0.0)
    name = f"complete visits with {PHOTOS} × 200 kB, {connections} connections"
    lost = f", {result.submitted - result.waiting} NOT THERE" if result.waiting != result.submitted else ""
    return [
        Row(
            f"{name}: attested, verified, checked and in the queue, visits/s, draining included",
            f"{result.sustained:.1f}{lost}{result.failures}",
            f"{result.load.rate:.0f} accepted/s",
        ),
        Row(f"{name}: CPU s per 1,000, the store's included", f"{result.cpu_per_1000:.0f}"),
    ]


def _make_week(crews: list[Crew]) -> list[VisitRequests]:
    """Return realistic visits: those of a pair don't overlap, each in another home, each photo of another scene."""
    visits: list[VisitRequests] = []
    chance, monday = random.Random(1), utc_now().replace(hour=1, minute=0, second=0) - timedelta(days=8)
    for slot in range(DAYS * VISITS_A_DAY):
        began = monday + timedelta(days=slot // VISITS_A_DAY, hours=slot % VISITS_A_DAY)
        for number, crew in enumerate(crews):
            visit = make_visit(crew.households[slot % len(crew.households)], crew.people, chance, [])
            times = {"startedAt": began, "endedAt": began + timedelta(minutes=chance.randint(20, 45))}
            visit |= {name: at.isoformat() for name, at in times.items()}
            visit["startFix"]["capturedAt"], visit["endFix"]["capturedAt"] = visit["startedAt"], visit["endedAt"]
            seeds = [(slot * len(crews) + number) * PHOTOS + position for position in range(PHOTOS)]
            visits.append(
                _requests(crew, visit, [_photo(_scene(1280, 960, seed=seed)) for seed in seeds], is_attested=True)
            )
    return visits


def _requests(crew: Crew, visit: Json, photos: list[bytes], *, is_attested: bool = False) -> VisitRequests:
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
    requests = [(crew.token, make_push("evidence", manifests)), (crew.token, make_push("visits", [visit]))]
    requests += [
        (crew.token, make_photo_form(manifest["id"], photo)) for manifest, photo in zip(manifests, photos, strict=True)
    ]
    if is_attested:
        attestation = {
            "id": str(new_id()),
            "visitId": visit["id"],
            "attestedAt": visit["endedAt"],
            "fix": visit["endFix"],
            "_deleted": False,
        }
        requests.append((crew.partner_token, make_push("attestations", [attestation])))
    return requests


def send_week(system: System, connections: int = 8) -> "SendResult":
    """Send a week of complete visits, each photo of another scene; return when all jobs are done."""
    return _send(system, iter(_make_week(_sign_in_crews(system))), connections, 3600.0, 0.0)


def send_large(system: System, visits: int, connections: int = 8) -> "SendResult":
    """Send visits with four photos of 12 megapixels as a camera writes them; return when all jobs are done."""
    large = io.BytesIO()
    _scene(4000, 3000, seed=0).save(large, "JPEG", quality=88, comment=MARK)
    requests = islice(_iter_visits(_sign_in_crews(system)[0], large.getvalue()), visits)
    return _send(system, requests, connections, 3600.0, 0.0)


class SendResult(NamedTuple):
    """What was sent, and the state of the server when no job was left."""

    load: LoadResult
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
        return f", {self.load.failed} FAILED: {self.load.first_failure}" if self.load.failed else ""


def _send(
    system: System, visits: Iterator[VisitRequests], connections: int, seconds: float, warm_up: float
) -> SendResult:
    before = _count(system)
    cpu_before, began = system.cpu_seconds(), time.perf_counter()
    load = asyncio.run(_run(system.urls, visits, connections, seconds, warm_up))
    sent_s = time.perf_counter() - began
    drained_s = system.wait_for_jobs()
    cpu = system.cpu_seconds() - cpu_before
    submitted, unverified, waiting = (now - then for now, then in zip(_count(system), before, strict=True))
    return SendResult(load, submitted, unverified, waiting, sent_s + drained_s, cpu)


def _count(system: System) -> tuple[int, int, int]:
    """Count the submitted visits, their unverified photos, and the visits in the review queue."""
    with system.connect() as connection:
        row = connection.execute(
            """WITH sent AS (SELECT id FROM visit WHERE checklist_code = 'bench' AND state <> 'draft')
            SELECT (SELECT count(*) FROM sent),
                (SELECT count(*) FROM evidence WHERE visit_id IN (SELECT id FROM sent) AND state <> 'verified'),
                (SELECT count(*) FROM review_item WHERE visit_id IN (SELECT id FROM sent))"""
        ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


async def _run(
    urls: list[str], visits: Iterator[VisitRequests], connections: int, seconds: float, warm_up: float
) -> LoadResult:
    """Send complete visits on each connection, until the time is over or there are no more."""
    result = LoadResult()
    counted_from = time.perf_counter() + warm_up
    until = counted_from + seconds

    async def send(number: int) -> None:
        address = urlsplit(urls[number % len(urls)])
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        while (now := time.perf_counter()) < until and (requests := next(visits, None)):
            for token, request in requests:
                status, _ = await send_request(reader, writer, address.netloc, token, request)
                if status != 200:
                    result.failed += 1
                    result.first_failure = result.first_failure or f"HTTP {status} {request[1]}"
            if now >= counted_from:
                result.done += 1
                result.latencies.append(time.perf_counter() - now)
        writer.close()

    await asyncio.gather(*(send(number) for number in range(connections)))
    result.seconds = time.perf_counter() - counted_from
    return result


def make_photo_form(evidence_id: str, photo: bytes) -> Request:
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
    """Return a JPEG of exactly 200,000 bytes, as WeChat sends them, with a comment of 64 bytes that can be replaced."""
    jpeg = b""
    for quality in (90, 84, 78, 72, 66, 60, 54, 48, 42, 36):
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality, comment=MARK)
        jpeg = out.getvalue()
        if len(jpeg) <= PHOTO_BYTES - 4:
            break
    # Fill up with comment segments before the first table; a segment has two bytes of marker and two of length.
    left, filler = PHOTO_BYTES - len(jpeg), b""
    while left:
        size = min(left, 60_000) if left - min(left, 60_000) not in range(1, 4) else left - 30_000
        filler += b"\xff\xfe" + (size - 2).to_bytes(2) + b"\0" * (size - 4)
        left -= size
    return jpeg[:2] + filler + jpeg[2:]


def _make_unique(photo: bytes) -> bytes:
    at = photo.index(MARK)
    return b"".join((photo[:at], os.urandom(len(MARK)), photo[at + len(MARK) :]))


def _scene(width: int, height: int, *, seed: int) -> Image.Image:
    """Draw noise of every scale, the coarse scales strongest as in photographs, and the noise of a small sensor."""
    numbers = np.random.default_rng(seed)
    total = _grain(width, height).copy()
    for cells, strength in ((4, 60), (8, 40), (16, 30), (32, 20), (64, 12), (128, 8)):
        patches = Image.fromarray(numbers.normal(0, strength, (cells, cells)).astype(np.float32))
        total += np.asarray(patches.resize((width, height), Image.Resampling.BICUBIC))[:, :, None]
    return Image.fromarray((118 + total * 0.6).clip(0, 255).astype(np.uint8))


@cache
def _grain(width: int, height: int) -> NDArray[np.float32]:
    return np.random.default_rng(width).normal(0, 6, (height, width, 3)).astype(np.float32)


# -- processing


def _process_rows() -> Iterator[Row]:
    large = io.BytesIO()
    _scene(4000, 3000, seed=0).save(large, "JPEG", quality=88)
    for name, photo, count in (
        ("1280 × 960, as the phone sends them", _photo(_scene(1280, 960, seed=0)), 40),
        ("12 megapixels", large.getvalue(), 12),
    ):
        sha256 = hashlib.sha256(photo).hexdigest()
        ours, bare = _compare_cpu(lambda: process_bytes(photo, sha256), lambda: _render_with_pillow(photo), count)  # noqa: B023
        yield Row(
            f"photos verified/s on one core, {name} ({len(photo) / 1e6:.1f} MB)",
            f"{1 / ours:.0f}",
            f"{1 / bare:.0f} bare Pillow, same decode and encodes",
            f"{ours / bare:.2f} × its time",
            "≤ 1.25 ×",
        )


def _compare_cpu(ours: Callable[[], Any], bare: Callable[[], Any], count: int) -> tuple[float, float]:
    """Return the CPU seconds of each; they alternate, so that a busy machine slows both."""
    ours(), bare()
    spent = [0.0, 0.0]
    for _ in range(count):
        for index, work in enumerate((ours, bare)):
            began = time.process_time()
            work()
            spent[index] += time.process_time() - began
    return spent[0] / count, spent[1] / count


def _render_with_pillow(photo: bytes) -> None:
    """Write the two renditions with plain Pillow calls."""
    with Image.open(io.BytesIO(photo)) as image:
        image.draft("RGB", (1280, 1280))
        image.load()
        large = image.convert("RGB")
    large.thumbnail((1280, 1280), Image.Resampling.BICUBIC)
    large.save(io.BytesIO(), "JPEG", quality=85)
    small = large.copy()
    small.thumbnail((320, 320), Image.Resampling.BICUBIC)
    small.save(io.BytesIO(), "JPEG", quality=80)
