"""Photos of other visits that look the same: found by fingerprint among millions, or by marks when they were changed.

The look-up by fingerprint is exact. Two fingerprints within the limit of the area agree in one of sixteen bands of 16
bits, but for a bit or two, so every band is looked up with its neighbours, and whoever turns up is compared whole. A
picture that was cut, mirrored or turned changes many bits: it is looked for by its marks (`media.keypoints`), and those
that share some, lying so that one may be a part of the other, are laid over it (`media.crops`).
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import combinations
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from sqlalchemy import Float, String, bindparam, exists, select, text, tuple_
from sqlalchemy.dialects.postgresql import BIT
from sqlalchemy.ext.asyncio import AsyncSession

from media.crops import Overlap, align, mirror
from media.keypoints import Floats, Keypoints, find_keypoints
from server.core.database import open_session
from server.core.services import Services
from server.core.threads import run_in_thread
from server.models.evidence import Photo
from server.models.review import FINGERPRINT_BANDS, SEEN_KEYPOINT, SeenPhoto
from server.models.visits import Visit

# A mark is looked up under so many keys, each as it is and mirrored: of a picture and its part, cut to nine tenths,
# three in four then still share two marks or more. Of the 64 bits of a mark it shares, few differ.
_PROBES, _MARK_BITS = 16, 12
# Where a mark lies in the one and in the other says where their edges would be, give or take so much of a side.
_EDGES_OFF = 0.06
# Marks find more than is alike: so many are laid over, those with most marks in common, at a few milliseconds each.
_MOST_LAID, _STARTS = 10, 2
# Laid over each other exactly, a part differs from its whole in fewer bits than a copy from its original that nobody
# moved: so much of what the area allows.
_PART_SHARE = 3 / 4
_MOST_FOUND = 60
# What a frame surrounds has a shape that nobody kept: that of the whole, or of a camera's pictures, is tried.
_CAMERAS = (4 / 3, 3 / 4)
_SCALE = 10_000


class NearDuplicate(NamedTuple):
    visit_id: UUID
    household_id: UUID
    bits: int
    most_bits: int
    # One is a part of the other, mirrored, or turned; None where the two are alike as they are.
    changed: "Changed | None" = None


class Alteration(NamedTuple):
    shown_percent: int
    is_mirrored: bool
    turned_degrees: float


class FingerprintMatch(NamedTuple):
    """One fingerprint that turned up: `bits` differ over all."""

    evidence_id: UUID
    part: str
    bits: int


class KeypointMatch(NamedTuple):
    """One picture that has marks in common with another, so many; and where the likest of them are in each."""

    evidence_id: UUID
    part: str
    is_mirrored: bool
    marks: int
    places: list[tuple[Floats, Floats]]


class Picture(NamedTuple):
    """A picture with what is needed to find parts of it: its look, and the shapes it may have."""

    look: bytes
    ratios: tuple[float, ...]

    def marks(self) -> Keypoints:
        found = [find_keypoints(self.look, ratio) for ratio in self.ratios]
        return Keypoints(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


class _Seen(NamedTuple):
    evidence_id: UUID
    part: str
    sha256: str
    fingerprint: str
    visit_id: UUID
    household_id: UUID
    county_code: str
    # None of a photo examined before looks were kept.
    looked: Picture | None


async def find_near_duplicates(
    session: AsyncSession, visit: Visit, most_bits: int
) -> dict[UUID, Sequence[NearDuplicate]]:
    """For each photo of the visit, photos of other visits of its county with other bytes; the nearest come first."""
    county, found = visit.area_code[:6], dict[UUID, list[NearDuplicate]]()
    for own in await _seen(session, SeenPhoto.visit_id == visit.id):
        alike = await find_by_fingerprint(session, county, own.fingerprint, most_bits)
        twins = [
            NearDuplicate(one.visit_id, one.household_id, bits, most_bits)
            for one, bits in await _others(session, own, alike)
        ]
        if all(one.household_id == own.household_id for one in twins):  # of its own home it may be an honest one
            twins += await _find_changed(session, county, own, most_bits)
        found.setdefault(own.evidence_id, []).extend(twins)
    return {one: sorted(twins, key=lambda twin: twin.bits) for one, twins in found.items() if twins}


async def find_by_fingerprint(
    session: AsyncSession, county_code: str, fingerprint: str, most_bits: int
) -> list[FingerprintMatch]:
    """Every fingerprint of the county that differs in at most `most_bits`; the nearest ones where they are many."""
    masks = _masks(most_bits // len(FINGERPRINT_BANDS))
    bands = {
        f"band_{number}": _array(_probes(_band(fingerprint, number), masks)) for number in range(len(FINGERPRINT_BANDS))
    }
    told = {"county": county_code, "fingerprint": fingerprint, "most": most_bits, **bands}
    return [
        FingerprintMatch(evidence_id, part, int(bits))
        for evidence_id, part, bits in await session.execute(_ALIKE, told)
    ]


async def find_by_keypoints(
    session: AsyncSession, county_code: str, marks: Keypoints, but: Sequence[UUID] = ()
) -> list[KeypointMatch]:
    """Those that may show a part of this one, or of which this one may be a part; most marks in common come first."""
    told = {"county": county_code, "but": _array(but), **await run_in_thread(_ask_for, marks)}
    rows = await session.execute(_MARKED, told)
    return [
        KeypointMatch(evidence_id, part, is_mirrored, count, [_places(one) for one in nearest])
        for evidence_id, part, is_mirrored, count, nearest in rows
    ]


def _places(steps: list[int]) -> tuple[Floats, Floats]:
    shares = np.array(steps[1:]) / _SCALE
    return shares[:4], shares[4:]


def _array(values: Iterable[Any]) -> str:
    """As PostgreSQL writes one: the driver would take each of the hundreds of numbers in its hand."""
    return f"{{{','.join(map(str, values))}}}"


def _ask_for(marks: Keypoints) -> dict[str, str]:
    """Each probe, and each mark it is of: as it is, and mirrored."""
    told: dict[str, list[Any]] = {name: [] for name in ("keys", "of", "bits", "mirrored", *_PLACE)}
    for is_mirrored, one in ((False, marks), (True, marks.mirrored())):
        for keys, bits, place in zip(one.probes(_PROBES), one.bits(), _in_steps(one), strict=True):
            told["keys"] += keys
            told["of"] += [len(told["bits"])] * len(keys)
            told["bits"].append(bits)
            told["mirrored"].append(is_mirrored)
            for name, value in zip(_PLACE, place, strict=True):
                told[name].append(value)
    return {name: _array(values) for name, values in told.items()}


_PLACE = ("x", "y", "across", "down")


def _in_steps(marks: Keypoints) -> list[list[int]]:
    steps: list[list[int]] = np.rint(marks.places * _SCALE).astype(int).tolist()
    return steps


def _band(fingerprint: str, number: int) -> int:
    """As `FINGERPRINT_BANDS` computes it in the database."""
    half, block = divmod(number, 4)
    if half > 1:
        return int(fingerprint[number * 16 :][:16], 2)
    first = block * 32 + half * 8
    return int(fingerprint[first : first + 8] + fingerprint[first + 16 : first + 24], 2)


def _probes(value: int, masks: list[int]) -> list[int]:
    return [value ^ mask for mask in masks]


@cache
def _masks(reach: int) -> list[int]:
    """What changes at most so many of sixteen bits."""
    return [sum(1 << bit for bit in bits) for count in range(reach + 1) for bits in combinations(range(16), count)]


def _look_up_bands() -> Any:
    """One index-only scan a band. As text, since the planner has to see the very words of each index."""
    seen = "SELECT evidence_id, part, fingerprint FROM seen_photo WHERE county_code = :county"
    scans = " UNION ALL ".join(
        f"{seen} AND {band} = ANY(CAST(:band_{number} AS integer[]))" for number, band in enumerate(FINGERPRINT_BANDS)
    )
    return text(
        "SELECT DISTINCT evidence_id, part, bits FROM"  # noqa: S608  no input
        f" (SELECT evidence_id, part, fingerprint <~> :fingerprint AS bits FROM ({scans}) AS turned_up) AS found"
        f" WHERE bits <= :most ORDER BY bits LIMIT {_MOST_FOUND}"
    ).bindparams(
        bindparam("fingerprint", type_=BIT(256)),
        bindparam("county", type_=String),
    )


_ALIKE = _look_up_bands()


def _contains(whole: str, part: str) -> str:
    """One picture may be a part of the other, when these two marks are the same: it reaches beyond no edge of it."""
    return " AND ".join(
        f"{whole}.{size}::float8 >= {LEAST_LEFT - _EDGES_OFF:.2f}::float8 * {part}.{size}"
        f" AND {whole}.{at} - {whole}.{size}::float8 / {part}.{size} * {part}.{at} >= -:off"
        f" AND {whole}.{at} + {whole}.{size}::float8 / {part}.{size} * ({_SCALE} - {part}.{at}) <= {_SCALE} + :off"
        for at, size in (("x", "across"), ("y", "down"))
    )


_MARKED = text(
    f"""
    WITH own AS (
      SELECT * FROM unnest(
        CAST(:bits AS bigint[]), CAST(:mirrored AS boolean[]),
        {", ".join(f"CAST(:{name} AS integer[])" for name in _PLACE)}
      ) WITH ORDINALITY
        AS own (bits, mirrored, x, y, across, down, number)
    )
    SELECT seen.evidence_id, seen.part, own.mirrored, count(*) AS marks, (array_agg(ARRAY[
      bit_count((seen.bits # own.bits)::bit(64)),
      own.x, own.y, own.across, own.down, seen.x, seen.y, seen.across, seen.down
    ] ORDER BY bit_count((seen.bits # own.bits)::bit(64))))[1:{_STARTS}] AS nearest
    FROM unnest(CAST(:keys AS integer[]), CAST(:of AS integer[])) AS probe (key, of)
    JOIN own ON own.number = probe.of + 1
    JOIN seen_mark AS seen ON seen.county_code = :county AND seen.key = probe.key
    WHERE bit_count((seen.bits # own.bits)::bit(64)) <= {_MARK_BITS} AND seen.evidence_id <> ALL (CAST(:but AS uuid[]))
      AND (({_contains("own", "seen")}) OR ({_contains("seen", "own")}))
    GROUP BY seen.evidence_id, seen.part, own.mirrored
    ORDER BY marks DESC, nearest LIMIT {_MOST_FOUND}
    """  # noqa: S608  no input
).bindparams(
    bindparam("county", type_=String),
    bindparam("off", round(_EDGES_OFF * _SCALE), type_=Float),
)


async def _seen(session: AsyncSession, *which: Any) -> list[_Seen]:
    rows = await session.execute(
        select(SeenPhoto, Photo.look, Photo.inside_look, Photo.facts)
        .outerjoin(Photo, Photo.sha256 == SeenPhoto.sha256)
        .where(*which)
        .order_by(SeenPhoto.evidence_id, SeenPhoto.part)
    )
    return [
        _Seen(
            evidence_id=one.evidence_id,
            part=one.part,
            sha256=one.sha256,
            fingerprint=one.fingerprint,
            visit_id=one.visit_id,
            household_id=one.household_id,
            county_code=one.county_code,
            looked=_looked(one.part, look if one.part == "whole" else inside_look, facts or {}),
        )
        for one, look, inside_look, facts in rows
    ]


def _looked(part: str, look: bytes | None, facts: dict[str, Any]) -> Picture | None:
    if look is None:
        return None
    ratio = facts.get("width", 4) / facts.get("height", 3)
    return Picture(look, (ratio,) if part == "whole" else (ratio, *_CAMERAS))


async def _others(session: AsyncSession, own: _Seen, alike: Iterable[FingerprintMatch]) -> list[tuple[_Seen, int]]:
    """The nearest first, none of the same visit and none of the same bytes: that is another finding."""
    bits = {(one.evidence_id, one.part): one.bits for one in alike}
    if not bits:
        return []
    rows = await _seen(
        session,
        tuple_(SeenPhoto.evidence_id, SeenPhoto.part).in_(bits),
        SeenPhoto.visit_id != own.visit_id,
        SeenPhoto.sha256 != own.sha256,
    )
    return sorted(((row, bits[row.evidence_id, row.part]) for row in rows), key=lambda pair: pair[1])


async def _find_changed(session: AsyncSession, county_code: str, own: _Seen, most_bits: int) -> list[NearDuplicate]:
    if own.looked is None:
        return []
    siblings = list(await session.scalars(select(SeenPhoto.evidence_id).where(SeenPhoto.visit_id == own.visit_id)))
    marked = await find_by_keypoints(session, county_code, await run_in_thread(own.looked.marks), siblings)
    if not marked:
        return []
    rows = await _seen(
        session,
        tuple_(SeenPhoto.evidence_id, SeenPhoto.part).in_([(one.evidence_id, one.part) for one in marked]),
        SeenPhoto.sha256 != own.sha256,
    )
    others = {(row.evidence_id, row.part): row for row in rows}
    pairs = [(one, others[one.evidence_id, one.part]) for one in marked if (one.evidence_id, one.part) in others]
    twins, most = [], int(most_bits * _PART_SHARE)
    for one, other in pairs[:_MOST_LAID]:
        laid = await run_in_thread(_lay, own.looked, other.looked, one) if other.looked else None
        if laid is not None and laid.bits <= most:
            changed = Alteration(round(laid.shown * 100), one.is_mirrored, laid.turned)
            twins.append(NearDuplicate(other.visit_id, other.household_id, laid.bits, most, changed))
    return twins


def _lay(own: Picture, other: Picture, marked: KeypointMatch) -> Overlap | None:
    """From the likest mark, and from the next where that leads nowhere."""
    look = mirror(own.look) if marked.is_mirrored else own.look
    tried = (align(look, other.look, (own.ratios, other.ratios), places) for places in marked.places)
    return next((laid for laid in tried if laid is not None), None)


# -- what is left for others to find


async def store_keypoints(session: AsyncSession, photos: Sequence[tuple[UUID, str]]) -> None:
    """Of these photos and parts, which have none yet."""
    seen = await _seen(session, tuple_(SeenPhoto.evidence_id, SeenPhoto.part).in_(photos))
    rows = await run_in_thread(_rows_of, [one for one in seen if one.looked is not None])
    if rows["key"]:
        await session.execute(_REMEMBER, {name: _array(values) for name, values in rows.items()})


def _rows_of(seen: list[_Seen]) -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = {name: [] for name in ("evidence_id", "part", "county_code", "key", "bits", *_PLACE)}
    for one in seen:
        marks = one.looked.marks() if one.looked else None
        if marks is None:
            continue
        count = len(marks.places)
        told = {"evidence_id": one.evidence_id, "part": one.part, "county_code": one.county_code}
        for name, value in told.items():
            rows[name] += [value] * count
        rows["key"] += marks.keys()
        rows["bits"] += marks.bits()
        for name, values in zip(_PLACE, zip(*_in_steps(marks), strict=True), strict=bool(count)):
            rows[name] += values
    return rows


_REMEMBER = text(
    "INSERT INTO seen_mark (evidence_id, part, county_code, key, bits, x, y, across, down) SELECT * FROM unnest("
    "CAST(:evidence_id AS uuid[]), CAST(:part AS text[]), CAST(:county_code AS text[]), CAST(:key AS integer[]),"
    " CAST(:bits AS bigint[]), CAST(:x AS integer[]), CAST(:y AS integer[]), CAST(:across AS integer[]),"
    " CAST(:down AS integer[]))"
)


async def backfill_keypoints(services: Services, progress: Callable[[int, int], None]) -> None:
    """Of photos examined before marks were kept, so that parts of them are found. Safe to run again.

    `progress` hears how many are done, of how many.
    """
    lacking = (
        select(SeenPhoto.evidence_id, SeenPhoto.part)
        .join(Photo, Photo.sha256 == SeenPhoto.sha256)
        .where(~exists().where(SEEN_KEYPOINT.c.evidence_id == SeenPhoto.evidence_id), Photo.look.is_not(None))
        .order_by(SeenPhoto.evidence_id)
    )
    async with open_session(services.sessions) as session:
        photos = [(evidence_id, part) for evidence_id, part in await session.execute(lacking)]
    progress(0, len(photos))
    for start in range(0, len(photos), _BATCH):
        some = photos[start : start + _BATCH]
        async with open_session(services.sessions) as session:
            await store_keypoints(session, some)
        progress(start + len(some), len(photos))


_BATCH = 100
