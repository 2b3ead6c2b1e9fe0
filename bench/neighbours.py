"""Near-duplicates: the look-up among a million fingerprints beside an exact scan of the same table."""

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from bench.rows import Row
from media.fingerprint import LOOK_SIDE
from server.core.database import open_once, plain_url
from server.embedded import EmbeddedPostgres
from server.migrating import upgrade
from server.review.neighbours import find_alike, find_alike_when_cropped

MILLION = 1_000_000
LIMIT_BITS, LOOK_UPS, SCANS = 31, 300, 100
COUNTY = "339901"
# No visit stands behind these rows, so the foreign keys sleep; indices are built once instead of a million times.
FILL = f"""
INSERT INTO seen_photo (evidence_id, part, visit_id, household_id, county_code, sha256, fingerprint)
SELECT uuidv7(), 'whole', '00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-000000000000', '{COUNTY}',
  encode(sha256(n::text::bytea), 'hex'), ('x' || encode(sha256(('bench' || n)::bytea), 'hex'))::bit(256)
FROM generate_series(1, {MILLION}) n"""  # noqa: S608  our own constants


def measure(seconds: float) -> Iterator[Row]:
    del seconds  # a number of look-ups, not of seconds
    folder = Path(tempfile.mkdtemp(prefix="zoufang-bench-"))
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder / "postgres") as postgres:
            url = postgres.create_database("bench")
            upgrade(url)
            took = _fill(plain_url(url))
            yield Row(f"{MILLION:,} fingerprints filled in, with their indices", f"{took:.0f} s")
            yield from asyncio.run(_measure(url))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fill(address: str) -> float:
    began = time.perf_counter()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET maintenance_work_mem = '512MB'")
        bands = connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'ix_seen_photo_band%'"
        ).fetchall()
        for name, _ in bands:
            connection.execute(f"DROP INDEX {name}")
        connection.execute(FILL)
        for _, definition in bands:
            connection.execute(definition)
        connection.execute("VACUUM ANALYZE seen_photo")
    return time.perf_counter() - began


async def _measure(url: str) -> list[Row]:
    chance = random.Random(7)
    async with open_once(url) as session:
        stored = await _some(session, LOOK_UPS)
        asked = [_change(one, chance.randint(0, LIMIT_BITS), chance) for one in stored]
        for one in asked[:20]:
            await find_alike(session, COUNTY, one, LIMIT_BITS)  # the plan is made and the pages are warm
        took, found = [], []
        for one in asked:
            began = time.perf_counter()
            alike = await find_alike(session, COUNTY, one, LIMIT_BITS)
            took.append(time.perf_counter() - began)
            found.append({twin.evidence_id for twin in alike if twin.bits <= LIMIT_BITS})
        looks = [np.random.default_rng(n).integers(0, 255, LOOK_SIDE**2, np.uint8).tobytes() for n in range(100)]
        cropped = []
        for one, look in zip(asked, looks, strict=False):
            began = time.perf_counter()
            await find_alike_when_cropped(session, COUNTY, one, look)
            cropped.append(time.perf_counter() - began)
        began = time.perf_counter()
        exact = [await _scan(session, one) for one in asked[:SCANS]]
        scan_ms = (time.perf_counter() - began) / SCANS * 1000
    wanted = sum(len(one) for one in exact)
    hit = sum(len(one & other) for one, other in zip(exact, found[:SCANS], strict=True))
    p95_ms, p95_cropped_ms = (sorted(some)[int(0.95 * len(some))] * 1000 for some in (took, cropped))
    return [
        Row(
            f"near-duplicate look-up among {MILLION:,} fingerprints, p95",
            f"{p95_ms:.1f} ms (p50 {sorted(took)[len(took) // 2] * 1000:.1f})",
            f"{scan_ms:.0f} ms exact scan, mean",
            f"{p95_ms / scan_ms:.2f}",
            "< 20 ms",
        ),
        Row(
            f"recall of the look-up at ≤ {LIMIT_BITS} bits",
            f"{hit / wanted:.4f} ({hit} of {wanted})",
            f"exact scan, {SCANS} photos changed by 0–{LIMIT_BITS} bits",
            "",
            "≥ 0.99",
        ),
        Row(
            f"look-up of crops among {MILLION:,}, under eleven views, p95",
            f"{p95_cropped_ms:.1f} ms",
            f"{scan_ms:.0f} ms exact scan of one view",
            f"{p95_cropped_ms / scan_ms:.2f}",
        ),
    ]


async def _some(session: AsyncSession, count: int) -> list[str]:
    connection = await session.connection()
    rows = await connection.exec_driver_sql(
        f"SELECT fingerprint::text FROM seen_photo TABLESAMPLE SYSTEM (1) LIMIT {count}"  # noqa: S608
    )
    return [one for (one,) in rows]


def _change(bits: str, count: int, chance: random.Random) -> str:
    changed = set(chance.sample(range(256), count))
    return "".join("10"[int(bit)] if place in changed else bit for place, bit in enumerate(bits))


async def _scan(session: AsyncSession, bits: str) -> set[object]:
    connection = await session.connection()
    of_county = f"SELECT evidence_id FROM seen_photo WHERE county_code = '{COUNTY}'"  # noqa: S608
    rows = await connection.exec_driver_sql(f"{of_county} AND fingerprint <~> B'{bits}' <= {LIMIT_BITS}")
    return {one for (one,) in rows}
