"""Near-duplicates: the look-ups among a million photos, and what they find and leave alone of photos of known truth.

The look-up by fingerprint stands beside an exact scan of the same table. Parts are looked for by the marks of a million
photos: marks of drawn homes with an eighth of their bits changed, so that they crowd, as those of one county's do.
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

from bench.changes import CHANGES, INSIDE, OUTSIDE, PAPERS, Picture, again, beside, draw, scenes, sent
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
SCENES_EACH, STRANGERS_EACH = 12, 60
COUNTY = "339901"
NOBODY = "00000000-0000-7000-8000-000000000000"
# No visit stands behind these rows, so the foreign keys sleep; indices are built once instead of a million times.
FILL = f"""
INSERT INTO seen_photo (evidence_id, part, visit_id, household_id, county_code, sha256, fingerprint)
SELECT uuidv7(), 'whole', '{NOBODY}', '{NOBODY}', '{COUNTY}',
  encode(sha256(n::text::bytea), 'hex'), ('x' || encode(sha256(('bench' || n)::bytea), 'hex'))::bit(256)
FROM generate_series(1, {MILLION}) n"""  # noqa: S608  our own constants
RANDOM = "(random() * 4294967295)::bigint << 32 | (random() * 4294967295)::bigint"
FILL_MARKS = f"""
INSERT INTO seen_mark (evidence_id, part, county_code, key, bits, x, y, across, down)
SELECT evidence_id, part, county_code, ((bits >> 36) & 268435455)::integer, bits, x, y, across, down FROM (
  SELECT seen.evidence_id, part, county_code, x, y, across, down,
    known.bits # (({RANDOM}) & ({RANDOM}) & ({RANDOM})) AS bits
  FROM (SELECT evidence_id, part, county_code, floor(random() * %(known)s)::integer AS pick
        FROM seen_photo, generate_series(1, 16)) AS seen
  JOIN known_mark AS known ON known.number = seen.pick
) AS marks"""  # noqa: S608  our own constants


def measure(seconds: float) -> Iterator[Row]:
    del seconds  # a number of look-ups, not of seconds
    folder = Path(tempfile.mkdtemp(prefix="zoufang-bench-"))
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder / "postgres") as postgres:
            url = postgres.create_database("bench")
            upgrade(url)
            took = _fill(plain_url(url))
            yield Row(f"{MILLION:,} photos filled in, with 16 marks each and all indices", f"{took:.0f} s")
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
        _fill_marks(connection)
        for _, definition in indices:
            connection.execute(definition)
        connection.execute("VACUUM ANALYZE seen_photo, seen_mark")
    return time.perf_counter() - began


def _fill_marks(connection: psycopg.Connection) -> None:
    rows = [row for picture in _strangers(range(1000, 1000 + STRANGERS_EACH)) for row in _rows_of(_marks(picture))]
    connection.execute(
        "CREATE TEMPORARY TABLE known_mark (number integer, bits bigint, x smallint, y smallint, across smallint,"
        " down smallint)"
    )
    with connection.cursor() as cursor, cursor.copy("COPY known_mark FROM STDIN") as copy:
        for number, row in enumerate(rows):
            copy.write_row((number, *row))
    connection.execute("ANALYZE known_mark")
    connection.execute(FILL_MARKS, {"known": len(rows)})


def _strangers(seeds: Sequence[int]) -> Iterator[Picture]:
    return (draw(kind, seed) for kind in (OUTSIDE, INSIDE, PAPERS) for seed in seeds)


def _marks(picture: Picture) -> Keypoints:
    return find_keypoints(fingerprint(picture).luma, picture.width / picture.height)


def _rows_of(marks: Keypoints) -> Iterator[tuple[int, ...]]:
    for bits, place in zip(marks.bits(), marks.positions, strict=True):
        yield bits, *(round(10_000 * item) for item in place)


async def _measure(url: str) -> list[Row]:
    async with open_once(url) as session:
        connection = await session.connection()
        await connection.exec_driver_sql("SET session_replication_role = replica")
        await connection.exec_driver_sql("SET idle_in_transaction_session_timeout = 0")  # pictures are drawn meanwhile
        return [*await _look_ups(session), *await _truth(session)]


async def _look_ups(session: AsyncSession) -> list[Row]:
    chance = random.Random(7)
    stored = await _some(session, LOOK_UPS)
    request = [_change(item, chance.randint(0, LIMIT_BITS), chance) for item in stored]
    for entry in request[:20]:
        await find_by_fingerprint(session, COUNTY, entry, LIMIT_BITS)  # the plan is made and the pages are warm
    took, found = [], []
    for entry in request:
        began = time.perf_counter()
        alike = await find_by_fingerprint(session, COUNTY, entry, LIMIT_BITS)
        took.append(time.perf_counter() - began)
        found.append({twin.evidence_id for twin in alike if twin.bits <= LIMIT_BITS})
    marks = [_marks(picture) for picture in _strangers(range(2000, 2000 + LOOK_UPS // 6))]
    for some in marks[::5]:
        await find_by_keypoints(session, COUNTY, some)
    took_marks = []
    for some in marks:
        began = time.perf_counter()
        await find_by_keypoints(session, COUNTY, some)
        took_marks.append(time.perf_counter() - began)
    began = time.perf_counter()
    exact = [await _scan(session, item) for item in request[:SCANS]]
    scan_ms = (time.perf_counter() - began) / SCANS * 1000
    expected = sum(len(item) for item in exact)
    hit = sum(len(item & other) for item, other in zip(exact, found[:SCANS], strict=True))
    p95_ms, p95_marks_ms = (sorted(some)[int(0.95 * len(some))] * 1000 for some in (took, took_marks))
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
            f"{hit / expected:.4f} ({hit} of {expected})",
            f"exact scan, {SCANS} photos changed by 0–{LIMIT_BITS} bits",
            "",
            "≥ 0.99",
        ),
        Row(
            f"look-up of parts by the marks of {MILLION:,} photos, as they are and mirrored, p95",
            f"{p95_marks_ms:.1f} ms (p50 {sorted(took_marks)[len(took_marks) // 2] * 1000:.1f})",
            f"{scan_ms:.0f} ms exact scan of fingerprints",
            f"{p95_marks_ms / scan_ms:.2f}",
        ),
    ]


# -- what is found, and what is left alone


async def _truth(session: AsyncSession) -> list[Row]:
    """The originals lie among the million; each changed picture comes from another visit."""
    chance, originals = random.Random(20261127), scenes(SCENES_EACH)
    homes = {name: await _send(session, picture) for name, picture in originals.items()}
    rows, wrong = [], 0
    for name, (change, quality) in CHANGES.items():
        missed = []
        for scene, picture in originals.items():
            named = await _named(session, sent(change(picture, chance), quality))
            missed += [] if homes[scene].id in named else [scene]
            wrong += bool(named - {homes[scene].id})
        found = len(originals) - len(missed)
        rows.append(
            Row(
                f"near-duplicate, {name}: recall",
                f"{found / len(originals):.2f} ({found} of {len(originals)})",
                _shorten(missed),
            )
        )
    strangers = [bool(await _named(session, picture)) for picture in _strangers(range(100, 100 + STRANGERS_EACH))]
    result = sum(len(originals) for _ in CHANGES)
    return [
        *rows,
        Row(
            "near-duplicates named of another scene than the one that was changed", f"{wrong} of {result}", "", "", "0"
        ),
        Row("honest photos of other homes like these, told as near-duplicates", *_share(strangers), "", "0"),
        *[
            await _honest(session, f"taken anew, corners of the view off by {wobble:.0%}", originals, wobble, chance)
            for wobble in (0.02, 0.03, 0.05, 0.08)
        ],
        *[await _honest_pairs(session, originals, share) for share in (0.04, 0.08, 0.12)],
    ]


async def _send(session: AsyncSession, picture: Picture) -> Visit:
    """A visit of its own, as its examination leaves it."""
    visit, evidence_id = Visit(id=new_id(), area_code=COUNTY), new_id()
    sha256 = evidence_id.hex * 2
    looks = describe_features(*fingerprints(picture))
    facts = {"width": picture.width, "height": picture.height}
    await session.execute(insert(Photo).values(sha256=sha256, size_bytes=1, state="verified", facts=facts, **looks))
    parts = {"whole": looks["fingerprint"], "inside": looks.get("inside_fingerprint")}
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


async def _named(session: AsyncSession, picture: Picture) -> set[Any]:
    """The visits that a finding would name first for this picture; nothing of it is kept."""
    async with session.begin_nested() as once:
        visit = await _send(session, picture)
        found = await find_near_duplicates(session, visit, LIMIT_BITS)
        await once.rollback()
    return {twins[0].visit_id for twins in found.values()}


async def _some(session: AsyncSession, count: int) -> list[str]:
    connection = await session.connection()
    rows = await connection.exec_driver_sql(
        f"SELECT fingerprint::text FROM seen_photo TABLESAMPLE SYSTEM (1) LIMIT {count}"  # noqa: S608
    )
    return [row for (row,) in rows]


def _change(bits: str, count: int, chance: random.Random) -> str:
    changed = set(chance.sample(range(256), count))
    return "".join("10"[int(bit)] if place in changed else bit for place, bit in enumerate(bits))


async def _scan(session: AsyncSession, bits: str) -> set[object]:
    connection = await session.connection()
    of_county = f"SELECT evidence_id FROM seen_photo WHERE county_code = '{COUNTY}'"  # noqa: S608
    rows = await connection.exec_driver_sql(f"{of_county} AND fingerprint <~> B'{bits}' <= {LIMIT_BITS}")
    return {row for (row,) in rows}


async def _honest(
    session: AsyncSession, name: str, originals: dict[str, Picture], wobble: float, chance: random.Random
) -> Row:
    lines = [bool(await _named(session, sent(again(wobble)(original, chance)))) for original in originals.values()]
    return Row(f"honest: {name}: told as near-duplicates", *_share(lines))


async def _honest_pairs(session: AsyncSession, originals: dict[str, Picture], share: float) -> Row:
    lines = []
    for picture in originals.values():
        item, other = beside(share)(picture)
        async with session.begin_nested() as once:
            visit = await _send(session, sent(item))
            lines.append(visit.id in await _named(session, sent(other)))
            await once.rollback()
    return Row(f"honest: one held further by {share:.0%} than the other: told as near-duplicates", *_share(lines))


def _share(result: list[bool]) -> tuple[str, str]:
    return f"{sum(result)} of {len(result)}", ""


def _shorten(missed: list[str]) -> str:
    shown = ", ".join(missed[:6])
    return f"missed: {shown}{' …' if len(missed) > 6 else ''}" if missed else ""
