"""Near-duplicates: latency of look-ups among a million photos, and their recall and precision on known photos.

The look-up by fingerprint is compared with an exact scan of the same table. Crops are found by keypoints: those of
a million photos are keypoints of drawn homes with an eighth of their bits changed, so that they are as dense as those
of a real county.
"""

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from bench.photo_changes import (
    INSIDE,
    OUTSIDE,
    PAPERS,
    PHOTO_CHANGES,
    Picture,
    draw_scene,
    load_scenes,
    make_pair,
    make_retake,
    reencode,
)
from bench.rows import Row
from media.fingerprint import fingerprint, fingerprints
from media.keypoints import Keypoints, find_keypoints
from server.cli.migrate import upgrade
from server.core.database import open_once, plain_url
from server.core.ids import new_id
from server.devserver.embedded import EmbeddedPostgres
from server.models.evidence import Photo
from server.models.review import SeenPhoto
from server.models.visits import Visit
from server.photos.near_duplicates import find_by_fingerprint, find_by_keypoints, find_near_duplicates, store_keypoints
from server.photos.process import describe_features

MILLION = 1_000_000
LIMIT_BITS, LOOK_UPS, SCANS = 31, 300, 100
SCENES_EACH, OTHER_HOMES_EACH = 12, 60
COUNTY = "339901"
NOBODY = "00000000-0000-7000-8000-000000000000"
# These rows have no visits, so foreign keys are off; indexes are built once at the end.
FILL = f"""
INSERT INTO seen_photo (evidence_id, part, visit_id, household_id, county_code, sha256, fingerprint)
SELECT uuidv7(), 'whole', '{NOBODY}', '{NOBODY}', '{COUNTY}',
  encode(sha256(n::text::bytea), 'hex'), ('x' || encode(sha256(('bench' || n)::bytea), 'hex'))::bit(256)
FROM generate_series(1, {MILLION}) n"""  # noqa: S608  our own constants
RANDOM = "(random() * 4294967295)::bigint << 32 | (random() * 4294967295)::bigint"
FILL_KEYPOINTS = f"""
INSERT INTO seen_mark (evidence_id, part, county_code, key, bits, x, y, across, down)
SELECT evidence_id, part, county_code, ((bits >> 36) & 268435455)::integer, bits, x, y, across, down FROM (
  SELECT seen.evidence_id, part, county_code, x, y, across, down,
    sample.bits # (({RANDOM}) & ({RANDOM}) & ({RANDOM})) AS bits
  FROM (SELECT evidence_id, part, county_code, floor(random() * %(samples)s)::integer AS pick
        FROM seen_photo, generate_series(1, 16)) AS seen
  JOIN sample_mark AS sample ON sample.number = seen.pick
) AS marks"""  # noqa: S608  our own constants


def measure(seconds: float) -> Iterator[Row]:
    del seconds  # measures a number of look-ups
    folder = Path(tempfile.mkdtemp(prefix="zoufang-bench-"))
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder / "postgres") as postgres:
            url = postgres.create_database("bench")
            upgrade(url)
            seconds_taken = _fill(plain_url(url))
            yield Row(f"{MILLION:,} photos filled in, with 16 keypoints each and all indexes", f"{seconds_taken:.0f} s")
            yield from asyncio.run(_measure(url))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fill(address: str) -> float:
    began = time.perf_counter()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET maintenance_work_mem = '512MB'")
        indices = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE indexname ~ '^ix_seen_(photo_band|mark)'"
        ).fetchall()
        for name, _ in indices:
            connection.execute(f"DROP INDEX {name}")
        connection.execute(FILL)
        _fill_keypoints(connection)
        for _, definition in indices:
            connection.execute(definition)
        connection.execute("VACUUM ANALYZE seen_photo, seen_mark")
    return time.perf_counter() - began


def _fill_keypoints(connection: psycopg.Connection) -> None:
    rows = [
        row
        for picture in _draw_other_homes(range(1000, 1000 + OTHER_HOMES_EACH))
        for row in _keypoint_rows(_find_keypoints(picture))
    ]
    connection.execute(
        "CREATE TEMPORARY TABLE sample_mark (number integer, bits bigint, x smallint, y smallint, across smallint,"
        " down smallint)"
    )
    with connection.cursor() as cursor, cursor.copy("COPY sample_mark FROM STDIN") as copy:
        for number, row in enumerate(rows):
            copy.write_row((number, *row))
    connection.execute("ANALYZE sample_mark")
    connection.execute(FILL_KEYPOINTS, {"samples": len(rows)})


def _draw_other_homes(seeds: Sequence[int]) -> Iterator[Picture]:
    return (draw_scene(kind, seed) for kind in (OUTSIDE, INSIDE, PAPERS) for seed in seeds)


def _find_keypoints(picture: Picture) -> Keypoints:
    return find_keypoints(fingerprint(picture).luma, picture.width / picture.height)


def _keypoint_rows(keypoints: Keypoints) -> Iterator[tuple[int, ...]]:
    for bits, position in zip(keypoints.bits(), keypoints.positions, strict=True):
        yield bits, *(round(10_000 * coordinate) for coordinate in position)


async def _measure(url: str) -> list[Row]:
    async with open_once(url) as session:
        connection = await session.connection()
        await connection.exec_driver_sql("SET session_replication_role = replica")
        await connection.exec_driver_sql("SET idle_in_transaction_session_timeout = 0")  # drawing pictures takes long
        return [*await _measure_look_ups(session), *await _measure_accuracy(session)]


async def _measure_look_ups(session: AsyncSession) -> list[Row]:
    chance = random.Random(7)
    stored = await _sample_fingerprints(session, LOOK_UPS)
    queries = [_flip_bits(bits, chance.randint(0, LIMIT_BITS), chance) for bits in stored]
    latencies, found = await _look_up_fingerprints(session, queries)
    keypoint_latencies = await _look_up_keypoints(session)
    began = time.perf_counter()
    exact = [await _scan(session, bits) for bits in queries[:SCANS]]
    scan_ms = (time.perf_counter() - began) / SCANS * 1000
    expected = sum(len(ids) for ids in exact)
    hits = sum(len(ids & found_ids) for ids, found_ids in zip(exact, found[:SCANS], strict=True))
    p95_ms, keypoints_p95_ms = _percentile_ms(latencies, 0.95), _percentile_ms(keypoint_latencies, 0.95)
    return [
        Row(
            f"near-duplicate look-up among {MILLION:,} fingerprints, p95",
            f"{p95_ms:.1f} ms (p50 {_percentile_ms(latencies, 0.5):.1f})",
            f"{scan_ms:.0f} ms exact scan, mean",
            f"{p95_ms / scan_ms:.2f}",
            "< 20 ms",
        ),
        Row(
            f"recall of the look-up at ≤ {LIMIT_BITS} bits",
            f"{hits / expected:.4f} ({hits} of {expected})",
            f"exact scan, {SCANS} photos changed by 0–{LIMIT_BITS} bits",
            "",
            "≥ 0.99",
        ),
        Row(
            f"look-up of crops by keypoints of {MILLION:,} photos, as they are and mirrored, p95",
            f"{keypoints_p95_ms:.1f} ms (p50 {_percentile_ms(keypoint_latencies, 0.5):.1f})",
            f"{scan_ms:.0f} ms exact scan of fingerprints",
            f"{keypoints_p95_ms / scan_ms:.2f}",
        ),
    ]


async def _look_up_fingerprints(session: AsyncSession, queries: list[str]) -> tuple[list[float], list[set[object]]]:
    """Return seconds and found photos of each look-up."""
    for bits in queries[:20]:  # warm up the plan and the pages
        await find_by_fingerprint(session, COUNTY, bits, LIMIT_BITS)
    latencies: list[float] = []
    found: list[set[object]] = []
    for bits in queries:
        began = time.perf_counter()
        candidates = await find_by_fingerprint(session, COUNTY, bits, LIMIT_BITS)
        latencies.append(time.perf_counter() - began)
        found.append({candidate.evidence_id for candidate in candidates if candidate.bits <= LIMIT_BITS})
    return latencies, found


async def _look_up_keypoints(session: AsyncSession) -> list[float]:
    """Return the seconds of each look-up."""
    queries = [_find_keypoints(picture) for picture in _draw_other_homes(range(2000, 2000 + LOOK_UPS // 6))]
    for keypoints in queries[::5]:  # warm up
        await find_by_keypoints(session, COUNTY, keypoints)
    latencies: list[float] = []
    for keypoints in queries:
        began = time.perf_counter()
        await find_by_keypoints(session, COUNTY, keypoints)
        latencies.append(time.perf_counter() - began)
    return latencies


def _percentile_ms(latencies: list[float], share: float) -> float:
    return sorted(latencies)[int(share * len(latencies))] * 1000


# -- recall and precision


async def _measure_accuracy(session: AsyncSession) -> list[Row]:
    """Store the originals among the million; look up each changed picture for another visit."""
    chance, originals = random.Random(20261127), load_scenes(SCENES_EACH)
    visits = {name: await _store_photo(session, picture) for name, picture in originals.items()}
    rows, wrong = [], 0
    for name, (change, quality) in PHOTO_CHANGES.items():
        missed = []
        for scene, picture in originals.items():
            reported = await _find_visits(session, reencode(change(picture, chance), quality))
            missed += [] if visits[scene].id in reported else [scene]
            wrong += bool(reported - {visits[scene].id})
        found = len(originals) - len(missed)
        rows.append(
            Row(
                f"near-duplicate, {name}: recall",
                f"{found / len(originals):.2f} ({found} of {len(originals)})",
                _shorten(missed),
            )
        )
    false_alarms = [
        bool(await _find_visits(session, picture)) for picture in _draw_other_homes(range(100, 100 + OTHER_HOMES_EACH))
    ]
    total = len(originals) * len(PHOTO_CHANGES)
    return [
        *rows,
        Row("near-duplicates reported for another scene than the changed one", f"{wrong} of {total}", "", "", "0"),
        Row("honest photos of other homes reported as near-duplicates", *_share(false_alarms), "", "0"),
        *[
            await _honest_row(session, f"retaken, view corners moved by up to {wobble:.0%}", originals, wobble, chance)
            for wobble in (0.02, 0.03, 0.05, 0.08)
        ],
        *[await _honest_pair_row(session, originals, share) for share in (0.04, 0.08, 0.12)],
    ]


async def _store_photo(session: AsyncSession, picture: Picture) -> Visit:
    """Store a visit with this photo, as photo processing stores it."""
    visit, evidence_id = Visit(id=new_id(), area_code=COUNTY), new_id()
    sha256 = evidence_id.hex * 2
    features = describe_features(*fingerprints(picture))
    facts = {"width": picture.width, "height": picture.height}
    await session.execute(insert(Photo).values(sha256=sha256, size_bytes=1, state="verified", facts=facts, **features))
    parts = {"whole": features["fingerprint"], "inside": features.get("inside_fingerprint")}
    rows: list[dict[str, Any]] = [
        {
            "evidence_id": evidence_id,
            "part": part,
            "visit_id": visit.id,
            "household_id": visit.id,
            "county_code": COUNTY,
            "sha256": sha256,
            "fingerprint": bits,
        }
        for part, bits in parts.items()
        if bits
    ]
    await session.execute(insert(SeenPhoto).values(rows))
    await store_keypoints(session, [(row["evidence_id"], row["part"]) for row in rows])
    return visit


async def _find_visits(session: AsyncSession, picture: Picture) -> set[Any]:
    """Return the visits that findings would name first for this picture; roll back afterwards."""
    async with session.begin_nested() as savepoint:
        visit = await _store_photo(session, picture)
        found = await find_near_duplicates(session, visit, LIMIT_BITS)
        await savepoint.rollback()
    return {duplicates[0].visit_id for duplicates in found.values()}


async def _sample_fingerprints(session: AsyncSession, count: int) -> list[str]:
    connection = await session.connection()
    rows = await connection.exec_driver_sql(
        f"SELECT fingerprint::text FROM seen_photo TABLESAMPLE SYSTEM (1) LIMIT {count}"  # noqa: S608
    )
    return [row for (row,) in rows]


def _flip_bits(bits: str, count: int, chance: random.Random) -> str:
    changed = set(chance.sample(range(256), count))
    return "".join("10"[int(bit)] if index in changed else bit for index, bit in enumerate(bits))


async def _scan(session: AsyncSession, bits: str) -> set[object]:
    connection = await session.connection()
    of_county = f"SELECT evidence_id FROM seen_photo WHERE county_code = '{COUNTY}'"  # noqa: S608
    rows = await connection.exec_driver_sql(f"{of_county} AND fingerprint <~> B'{bits}' <= {LIMIT_BITS}")
    return {row for (row,) in rows}


async def _honest_row(
    session: AsyncSession, name: str, originals: dict[str, Picture], wobble: float, chance: random.Random
) -> Row:
    retake = make_retake(wobble)
    reports = [bool(await _find_visits(session, reencode(retake(original, chance)))) for original in originals.values()]
    return Row(f"honest: {name}: reported as near-duplicates", *_share(reports))


async def _honest_pair_row(session: AsyncSession, originals: dict[str, Picture], share: float) -> Row:
    reports = []
    for picture in originals.values():
        first, second = make_pair(share)(picture)
        async with session.begin_nested() as savepoint:
            visit = await _store_photo(session, reencode(first))
            reports.append(visit.id in await _find_visits(session, reencode(second)))
            await savepoint.rollback()
    return Row(f"honest: two shots, the second moved by {share:.0%}: reported as near-duplicates", *_share(reports))


def _share(reports: list[bool]) -> tuple[str, str]:
    return f"{sum(reports)} of {len(reports)}", ""


def _shorten(missed: list[str]) -> str:
    shown = ", ".join(missed[:6])
    return f"missed: {shown}{' …' if len(missed) > 6 else ''}" if missed else ""
