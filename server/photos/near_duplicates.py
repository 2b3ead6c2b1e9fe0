"""Find photos of other visits that look the same: by fingerprint among millions, or by keypoints when altered.

The look-up by fingerprint is exact. Two fingerprints within the area's limit agree in one of sixteen bands of 16 bits
except for a bit or two, so every band is looked up together with its neighbours, and each candidate is compared in
full. A cropped, mirrored or rotated picture changes many bits: it is found by its keypoints (`media.keypoints`), and
candidates that share some, placed so that one may be a part of the other, are aligned with it (`media.crops`).
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

from media.crops import MIN_SCALE, Overlap, align, mirror
from media.keypoints import Floats, Keypoints, find_keypoints
from server.core.database import open_session
from server.core.services import Services
from server.core.threads import run_in_thread
from server.models.evidence import Photo
from server.models.review import FINGERPRINT_BANDS, SEEN_KEYPOINT, SeenPhoto
from server.models.visits import Visit

# Each keypoint is looked up under _PROBES keys, as it is and mirrored: a picture and its crop to nine tenths then still
# share two keypoints or more in three of four cases. Of a shared keypoint's 64 bits at most _MAX_KEYPOINT_BITS differ.
_PROBES, _MAX_KEYPOINT_BITS = 16, 12
# Two matching keypoints give the edges of both pictures within this share of a side.
_EDGE_TOLERANCE = 0.06
# Keypoints find more than real matches: only the candidates with most shared keypoints are aligned, at a few
# milliseconds each, from up to _STARTS keypoints.
_MAX_ALIGNED, _STARTS = 10, 2
# Aligned exactly, a crop differs from its original in fewer bits than an unaligned copy does. As a share of the area's
# limit:
_PART_SHARE = 3 / 4
_MAX_CANDIDATES = 60
# The shape of the content inside a frame is unknown: try the whole picture's shape, and those of camera pictures.
_CAMERA_RATIOS = (4 / 3, 3 / 4)
# Positions are stored as whole numbers, in ten-thousandths of a side.
_SCALE = 10_000


class NearDuplicate(NamedTuple):
    visit_id: UUID
    household_id: UUID
    bits: int
    most_bits: int
    # None when the two pictures match as they are.
    alteration: "Alteration | None" = None


class Alteration(NamedTuple):
    """How one picture was cropped, mirrored or rotated to make the other."""

    shown_percent: int
    is_mirrored: bool
    turned_degrees: float


class FingerprintMatch(NamedTuple):
    """A fingerprint that differs in `bits` bits."""

    evidence_id: UUID
    part: str
    bits: int


class KeypointMatch(NamedTuple):
    """A picture that shares `shared` keypoints; `positions` are those of the most similar pairs."""

    evidence_id: UUID
    part: str
    is_mirrored: bool
    shared: int
    positions: list[tuple[Floats, Floats]]


class Picture(NamedTuple):
    """A picture in the form that finds its parts: the 64 x 64 luma, and its possible width-to-height ratios."""

    luma: bytes
    ratios: tuple[float, ...]

    def find_keypoints(self) -> Keypoints:
        keypoints = [find_keypoints(self.luma, ratio) for ratio in self.ratios]
        return Keypoints(*(np.concatenate(arrays) for arrays in zip(*keypoints, strict=True)))


class _SeenPicture(NamedTuple):
    evidence_id: UUID
    part: str
    sha256: str
    fingerprint: str
    visit_id: UUID
    household_id: UUID
    county_code: str
    # None for a photo processed before its luma was stored.
    picture: Picture | None


async def find_near_duplicates(
    session: AsyncSession, visit: Visit, most_bits: int
) -> dict[UUID, Sequence[NearDuplicate]]:
    """Find for each photo of the visit its near-duplicates in other visits of the county, nearest first.

    Photos with the same bytes are left out.
    """
    county, found = visit.area_code[:6], dict[UUID, list[NearDuplicate]]()
    for own in await _load_pictures(session, SeenPhoto.visit_id == visit.id):
        matches = await find_by_fingerprint(session, county, own.fingerprint, most_bits)
        duplicates = [
            NearDuplicate(other.visit_id, other.household_id, bits, most_bits)
            for other, bits in await _load_others(session, own, matches)
        ]
        # Near-duplicates within the household may be honest, so look for altered pictures of other households too.
        if all(duplicate.household_id == own.household_id for duplicate in duplicates):
            duplicates += await _find_altered(session, county, own, most_bits)
        found.setdefault(own.evidence_id, []).extend(duplicates)
    return {
        evidence_id: sorted(duplicates, key=lambda duplicate: duplicate.bits)
        for evidence_id, duplicates in found.items()
        if duplicates
    }


async def find_by_fingerprint(
    session: AsyncSession, county_code: str, fingerprint: str, most_bits: int
) -> list[FingerprintMatch]:
    """Find every fingerprint of the county that differs in at most `most_bits`; of many, the nearest."""
    masks = _masks(most_bits // len(FINGERPRINT_BANDS))
    bands = {
        f"band_{number}": _to_array([_band(fingerprint, number) ^ mask for mask in masks])
        for number in range(len(FINGERPRINT_BANDS))
    }
    params = {"county": county_code, "fingerprint": fingerprint, "most": most_bits, **bands}
    rows = await session.execute(_FIND_BY_FINGERPRINT, params)
    return [FingerprintMatch(evidence_id, part, int(bits)) for evidence_id, part, bits in rows]


async def find_by_keypoints(
    session: AsyncSession, county_code: str, keypoints: Keypoints, excluded: Sequence[UUID] = ()
) -> list[KeypointMatch]:
    """Find pictures that may contain this picture or be a part of it, most shared keypoints first."""
    probes = await run_in_thread(_make_probes, keypoints)
    rows = await session.execute(_FIND_BY_KEYPOINTS, {"county": county_code, "excluded": _to_array(excluded), **probes})
    return [
        KeypointMatch(evidence_id, part, is_mirrored, count, [_read_positions(pair) for pair in nearest])
        for evidence_id, part, is_mirrored, count, nearest in rows
    ]


def _read_positions(pair: list[int]) -> tuple[Floats, Floats]:
    shares = np.array(pair[1:]) / _SCALE
    return shares[:4], shares[4:]


def _to_array(values: Iterable[Any]) -> str:
    """Format a PostgreSQL array literal, since the driver would convert each of hundreds of numbers by itself."""
    return f"{{{','.join(map(str, values))}}}"


def _make_probes(keypoints: Keypoints) -> dict[str, str]:
    """Return the keys to look up and the keypoint of each key, as the picture is and mirrored."""
    params: dict[str, list[Any]] = {name: [] for name in ("keys", "of", "bits", "mirrored", *_POSITION)}
    for is_mirrored, variant in ((False, keypoints), (True, keypoints.mirrored())):
        for keys, bits, position in zip(variant.probes(_PROBES), variant.bits(), _to_integers(variant), strict=True):
            params["keys"] += keys
            params["of"] += [len(params["bits"])] * len(keys)
            params["bits"].append(bits)
            params["mirrored"].append(is_mirrored)
            for name, value in zip(_POSITION, position, strict=True):
                params[name].append(value)
    return {name: _to_array(values) for name, values in params.items()}


_POSITION = ("x", "y", "across", "down")


def _to_integers(keypoints: Keypoints) -> list[list[int]]:
    integers: list[list[int]] = np.rint(keypoints.positions * _SCALE).astype(int).tolist()
    return integers


def _band(fingerprint: str, number: int) -> int:
    """Compute a band as `FINGERPRINT_BANDS` does in the database."""
    half, block = divmod(number, 4)
    if half > 1:
        return int(fingerprint[number * 16 :][:16], 2)
    first = block * 32 + half * 8
    return int(fingerprint[first : first + 8] + fingerprint[first + 16 : first + 24], 2)


@cache
def _masks(max_bits: int) -> list[int]:
    """Return every mask that changes at most `max_bits` of sixteen bits."""
    return [sum(1 << bit for bit in bits) for count in range(max_bits + 1) for bits in combinations(range(16), count)]


def _build_band_query() -> Any:
    """Build one index-only scan per band, as text: the planner needs the exact expression of each index."""
    seen = "SELECT evidence_id, part, fingerprint FROM seen_photo WHERE county_code = :county"
    scans = " UNION ALL ".join(
        f"{seen} AND {band} = ANY(CAST(:band_{number} AS integer[]))" for number, band in enumerate(FINGERPRINT_BANDS)
    )
    return text(
        "SELECT DISTINCT evidence_id, part, bits FROM"  # noqa: S608  no input
        " (SELECT evidence_id, part, bit_count(fingerprint # :fingerprint) AS bits"
        f" FROM ({scans}) AS candidates) AS distances"
        f" WHERE bits <= :most ORDER BY bits LIMIT {_MAX_CANDIDATES}"
    ).bindparams(
        bindparam("fingerprint", type_=BIT(256)),
        bindparam("county", type_=String),
    )


_FIND_BY_FINGERPRINT = _build_band_query()


def _contains(whole: str, part: str) -> str:
    """Return the condition that `part` lies within the edges of `whole` if the two keypoints are the same."""
    return " AND ".join(
        f"{whole}.{size}::float8 >= {MIN_SCALE - _EDGE_TOLERANCE:.2f}::float8 * {part}.{size}"
        f" AND {whole}.{at} - {whole}.{size}::float8 / {part}.{size} * {part}.{at} >= -:off"
        f" AND {whole}.{at} + {whole}.{size}::float8 / {part}.{size} * ({_SCALE} - {part}.{at}) <= {_SCALE} + :off"
        for at, size in (("x", "across"), ("y", "down"))
    )


_FIND_BY_KEYPOINTS = text(
    f"""
    WITH own AS (
      SELECT * FROM unnest(
        CAST(:bits AS bigint[]), CAST(:mirrored AS boolean[]),
        {", ".join(f"CAST(:{name} AS integer[])" for name in _POSITION)}
      ) WITH ORDINALITY
        AS own (bits, mirrored, x, y, across, down, number)
    )
    SELECT seen.evidence_id, seen.part, own.mirrored, count(*) AS shared, (array_agg(ARRAY[
      bit_count((seen.bits # own.bits)::bit(64)),
      own.x, own.y, own.across, own.down, seen.x, seen.y, seen.across, seen.down
    ] ORDER BY bit_count((seen.bits # own.bits)::bit(64))))[1:{_STARTS}] AS nearest
    FROM unnest(CAST(:keys AS integer[]), CAST(:of AS integer[])) AS probe (key, of)
    JOIN own ON own.number = probe.of + 1
    JOIN seen_mark AS seen ON seen.county_code = :county AND seen.key = probe.key
    WHERE bit_count((seen.bits # own.bits)::bit(64)) <= {_MAX_KEYPOINT_BITS}
      AND seen.evidence_id <> ALL (CAST(:excluded AS uuid[]))
      AND (({_contains("own", "seen")}) OR ({_contains("seen", "own")}))
    GROUP BY seen.evidence_id, seen.part, own.mirrored
    ORDER BY shared DESC, nearest LIMIT {_MAX_CANDIDATES}
    """  # noqa: S608  no input
).bindparams(
    bindparam("county", type_=String),
    bindparam("off", round(_EDGE_TOLERANCE * _SCALE), type_=Float),
)


async def _load_pictures(session: AsyncSession, *conditions: Any) -> list[_SeenPicture]:
    rows = await session.execute(
        select(SeenPhoto, Photo.look, Photo.inside_look, Photo.facts)
        .outerjoin(Photo, Photo.sha256 == SeenPhoto.sha256)
        .where(*conditions)
        .order_by(SeenPhoto.evidence_id, SeenPhoto.part)
    )
    return [
        _SeenPicture(
            evidence_id=seen.evidence_id,
            part=seen.part,
            sha256=seen.sha256,
            fingerprint=seen.fingerprint,
            visit_id=seen.visit_id,
            household_id=seen.household_id,
            county_code=seen.county_code,
            picture=_make_picture(seen.part, luma if seen.part == "whole" else inside_luma, facts or {}),
        )
        for seen, luma, inside_luma, facts in rows
    ]


def _make_picture(part: str, luma: bytes | None, facts: dict[str, Any]) -> Picture | None:
    if luma is None:
        return None
    ratio = facts.get("width", 4) / facts.get("height", 3)
    return Picture(luma, (ratio,) if part == "whole" else (ratio, *_CAMERA_RATIOS))


async def _load_others(
    session: AsyncSession, own: _SeenPicture, matches: Iterable[FingerprintMatch]
) -> list[tuple[_SeenPicture, int]]:
    """Load the matches, nearest first, without the same visit and the same bytes, which is another finding."""
    bits = {(match.evidence_id, match.part): match.bits for match in matches}
    if not bits:
        return []
    others = await _load_pictures(
        session,
        tuple_(SeenPhoto.evidence_id, SeenPhoto.part).in_(bits),
        SeenPhoto.visit_id != own.visit_id,
        SeenPhoto.sha256 != own.sha256,
    )
    return sorted(((other, bits[other.evidence_id, other.part]) for other in others), key=lambda pair: pair[1])


async def _find_altered(
    session: AsyncSession, county_code: str, own: _SeenPicture, most_bits: int
) -> list[NearDuplicate]:
    if own.picture is None:
        return []
    siblings = list(await session.scalars(select(SeenPhoto.evidence_id).where(SeenPhoto.visit_id == own.visit_id)))
    keypoints = await run_in_thread(own.picture.find_keypoints)
    matches = await find_by_keypoints(session, county_code, keypoints, siblings)
    if not matches:
        return []
    rows = await _load_pictures(
        session,
        tuple_(SeenPhoto.evidence_id, SeenPhoto.part).in_([(match.evidence_id, match.part) for match in matches]),
        SeenPhoto.sha256 != own.sha256,
    )
    others = {(row.evidence_id, row.part): row for row in rows}
    pairs = [(match, others[match[:2]]) for match in matches if match[:2] in others]
    duplicates, max_bits = [], int(most_bits * _PART_SHARE)
    for match, other in pairs[:_MAX_ALIGNED]:
        overlap = await run_in_thread(_align, own.picture, other.picture, match) if other.picture else None
        if overlap is not None and overlap.bits <= max_bits:
            alteration = Alteration(round(overlap.shown_share * 100), match.is_mirrored, overlap.turned_degrees)
            duplicates.append(NearDuplicate(other.visit_id, other.household_id, overlap.bits, max_bits, alteration))
    return duplicates


def _align(own: Picture, other: Picture, match: KeypointMatch) -> Overlap | None:
    """Align from the most similar keypoint, and from the next if that fails."""
    luma = mirror(own.luma) if match.is_mirrored else own.luma
    attempts = (align(luma, other.luma, (own.ratios, other.ratios), positions) for positions in match.positions)
    return next((overlap for overlap in attempts if overlap is not None), None)


# -- store the keypoints that later look-ups find


async def store_keypoints(session: AsyncSession, photos: Sequence[tuple[UUID, str]]) -> None:
    """Store the keypoints of these photos and parts, which must have none yet."""
    seen = await _load_pictures(session, tuple_(SeenPhoto.evidence_id, SeenPhoto.part).in_(photos))
    columns = await run_in_thread(_make_columns, seen)
    if columns["key"]:
        await session.execute(_STORE_KEYPOINTS, {name: _to_array(values) for name, values in columns.items()})


def _make_columns(pictures: list[_SeenPicture]) -> dict[str, list[Any]]:
    names = ("evidence_id", "part", "county_code", "key", "bits", *_POSITION)
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for seen in pictures:
        if seen.picture is None:
            continue
        keypoints = seen.picture.find_keypoints()
        count = len(keypoints.positions)
        shared = {"evidence_id": seen.evidence_id, "part": seen.part, "county_code": seen.county_code}
        for name, value in shared.items():
            columns[name] += [value] * count
        columns["key"] += keypoints.keys()
        columns["bits"] += keypoints.bits()
        for name, values in zip(_POSITION, zip(*_to_integers(keypoints), strict=True), strict=bool(count)):
            columns[name] += values
    return columns


_STORE_KEYPOINTS = text(
    "INSERT INTO seen_mark (evidence_id, part, county_code, key, bits, x, y, across, down) SELECT * FROM unnest("
    "CAST(:evidence_id AS uuid[]), CAST(:part AS text[]), CAST(:county_code AS text[]), CAST(:key AS integer[]),"
    " CAST(:bits AS bigint[]), CAST(:x AS integer[]), CAST(:y AS integer[]), CAST(:across AS integer[]),"
    " CAST(:down AS integer[]))"
)


async def backfill_keypoints(services: Services, progress: Callable[[int, int], None]) -> None:
    """Store the keypoints of photos processed before keypoints were stored, so that their parts are found. Idempotent.

    `progress` gets the number done and the total.
    """
    missing = (
        select(SeenPhoto.evidence_id, SeenPhoto.part)
        .join(Photo, Photo.sha256 == SeenPhoto.sha256)
        .where(~exists().where(SEEN_KEYPOINT.c.evidence_id == SeenPhoto.evidence_id), Photo.look.is_not(None))
        .order_by(SeenPhoto.evidence_id)
    )
    async with open_session(services.sessions) as session:
        photos = [(evidence_id, part) for evidence_id, part in await session.execute(missing)]
    progress(0, len(photos))
    for start in range(0, len(photos), _BATCH):
        batch = photos[start : start + _BATCH]
        async with open_session(services.sessions) as session:
            await store_keypoints(session, batch)
        progress(start + len(batch), len(photos))


_BATCH = 100
