"""Photos: visits that come with four of them, accepted and verified; and their examination beside bare Pillow."""

import asyncio
import hashlib
import io
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from bench.load import Loop, exchange
from bench.rows import Row
from bench.sync import households_of, people_of, publish_template
from bench.system import System, running_system
from bench.workload import make_visit, push
from field_api.examination import examine_bytes
from server.core.ids import new_id

Json = dict[str, Any]
PHOTO_BYTES, PHOTOS = 200_000, 4
# Visits with four photos of 200 kB a second, of the peer at 1, 8 and 32 connections, and what it sustained.
PEER, PEER_SUSTAINED = {1: 22, 8: 44, 32: 45}, 26
WARM_UP_S = 3.0


def measure(seconds: float) -> Iterator[Row]:
    yield from _examinations()
    with running_system(replicas=1) as system:
        asyncio.run(publish_template(system))
        token, person, partner = people_of(system)
        households = households_of(system, token)
        photo = _draw_photo()
        for connections in PEER:
            yield from _visits(system, token, households, [person, partner], photo, connections, min(seconds, 10.0))
        yield Row(
            "API memory after all of it", f"{system.api_memory_mb():.0f} MB", "peer 394–413 MB, 711 with large files"
        )


# -- visits


def _visits(
    system: System,
    token: str,
    households: list[Json],
    people: list[str],
    photo: bytes,
    connections: int,
    seconds: float,
) -> list[Row]:
    cpu_before, began = system.cpu_seconds(), time.perf_counter()
    loop = asyncio.run(_run(system.urls, token, households, people, photo, connections, seconds))
    sent_s = time.perf_counter() - began
    drained_s = system.wait_for_jobs()
    cpu = system.cpu_seconds() - cpu_before
    visits = _count(system)
    sustained = visits["submitted"] / (sent_s + drained_s)
    aim = f"≥ {3 * PEER[connections]} (3 × peer's {PEER[connections]})"
    failed = f", {loop.failed} FAILED: {loop.first_failure}" if loop.failed else ""
    name = f"visits with {PHOTOS} × 200 kB, {connections} connections"
    rows = [
        Row(
            f"{name}: accepted/s",
            f"{loop.rate:.0f} (p95 {loop.percentile_ms(0.95):.0f} ms){failed}",
            f"peer {PEER[connections]}",
            f"{loop.rate / PEER[connections]:.2f}",
            aim,
        ),
        Row(
            f"{name}: fully verified/s, draining included",
            f"{sustained:.1f}",
            f"peer {PEER_SUSTAINED}",
            f"{sustained / PEER_SUSTAINED:.2f}",
            f"≥ {PEER_SUSTAINED}",
        ),
        Row(f"{name}: CPU s per 1,000", f"{cpu / visits['submitted'] * 1000:.0f}", "peer 62–68"),
    ]
    if visits["unverified"]:
        rows.append(Row(f"{name}: photos NOT verified", f"{visits['unverified']} of {visits['photos']}"))
    with system.connect() as connection:
        connection.execute("DELETE FROM bench_counted")
        connection.execute("INSERT INTO bench_counted SELECT id FROM visit")
    return rows


def _count(system: System) -> dict[str, int]:
    """The visits since the last count, and their photos that are not verified."""
    with system.connect() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bench_counted (id uuid PRIMARY KEY)")
        row = connection.execute(
            """SELECT count(DISTINCT v.id), count(e.id), count(e.id) FILTER (WHERE e.state <> 'verified')
            FROM visit v LEFT JOIN evidence e ON e.visit_id = v.id
            WHERE v.state <> 'draft' AND v.id NOT IN (SELECT id FROM bench_counted) AND v.checklist_code = 'bench'"""
        ).fetchone()
    assert row is not None
    return dict(zip(("submitted", "photos", "unverified"), row, strict=True))


async def _run(
    urls: list[str],
    token: str,
    households: list[Json],
    people: list[str],
    photo: bytes,
    connections: int,
    seconds: float,
) -> Loop:
    """Each connection sends whole visits, one after the other: manifests, the visit, its four photos."""
    loop = Loop()
    counted_from = time.perf_counter() + WARM_UP_S
    until = counted_from + seconds

    async def send(number: int) -> None:
        place = urlsplit(urls[number % len(urls)])
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        chance = random.Random(number)
        while (now := time.perf_counter()) < until:
            for ask in _requests(chance, households, people, photo):
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


def _requests(chance: random.Random, households: list[Json], people: list[str], photo: bytes) -> Iterator[Any]:
    photos = [_one_of_its_own(photo) for _ in range(PHOTOS)]
    visit = make_visit(chance.choice(households), people, chance, [])
    manifests = [
        {
            "id": str(new_id()),
            "visitId": visit["id"],
            "questionId": "text_8",
            "sha256": hashlib.sha256(one).hexdigest(),
            "sizeBytes": len(one),
            "_deleted": False,
        }
        for one in photos
    ]
    visit["photos"] = [{"id": one["id"], "sha256": one["sha256"]} for one in manifests]
    yield push("evidence", manifests)
    yield push("visits", [visit])
    for manifest, one in zip(manifests, photos, strict=True):
        yield form_of(manifest["id"], one)


def form_of(evidence_id: str, photo: bytes) -> Any:
    boundary = "----wx7d0f"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="evidenceId"\r\n\r\n{evidence_id}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = b"".join((head.encode(), photo, f"\r\n--{boundary}--\r\n".encode()))
    return "POST", "/field/v1/photos", f"multipart/form-data; boundary={boundary}", body


MARK = b"zoufang!" * 8


def _draw_photo() -> bytes:
    """A JPEG of exactly 200,000 bytes as WeChat sends them, with 64 bytes in a comment to be changed."""
    picture = _scene(1280, 960)
    for quality in range(95, 30, -1):
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=quality, comment=MARK)
        if out.tell() <= PHOTO_BYTES - 4:
            break
    jpeg = out.getvalue()
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


def _scene(width: int, height: int) -> Image.Image:
    """Patches of every size, the large ones strongest, as in photographs, and the grain of a small sensor."""
    numbers = np.random.default_rng(width)
    total = numbers.normal(0, 6, (height, width, 3)).astype(np.float32)
    for cells, strength in ((4, 60), (8, 40), (16, 30), (32, 20), (64, 12), (128, 8)):
        patches = Image.fromarray(numbers.normal(0, strength, (cells, cells)).astype(np.float32))
        total += np.asarray(patches.resize((width, height), Image.Resampling.BICUBIC))[:, :, None]
    return Image.fromarray((118 + total * 0.6).clip(0, 255).astype(np.uint8))


# -- examination


def _examinations() -> Iterator[Row]:
    large = io.BytesIO()
    _scene(4000, 3000).save(large, "JPEG", quality=88)
    for name, photo, count in (
        ("1280 × 960, as the phone sends them", _draw_photo(), 40),
        ("12 megapixels", large.getvalue(), 12),
    ):
        sha256 = hashlib.sha256(photo).hexdigest()
        ours, bare = _side_by_side(lambda: examine_bytes(photo, sha256), lambda: _bare(photo), count)  # noqa: B023
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
