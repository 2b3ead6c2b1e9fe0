"""Photos of other visits that look the same: found by fingerprint among millions, or by laying crops over each other.

The look-up is exact. Two fingerprints within the limit of the area agree in one of sixteen bands of 16 bits, but
for a bit or two, so every band is looked up with its neighbours, and whoever turns up is compared whole. A crop
changes many bits: it is looked for under the views that it may be of, in the four bands of lowest frequencies.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import combinations
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, Integer, String, bindparam, select, text
from sqlalchemy.dialects.postgresql import BIT
from sqlalchemy.ext.asyncio import AsyncSession

from media.crops import align, coarse_views
from server.core.threads import in_thread
from server.models.evidence import Photo
from server.models.review import BANDS, COARSE_BANDS, SeenPhoto
from server.models.visits import Visit

# Of the 64 lowest frequencies a view and its picture differ in few: up to 7 are found for certain, since one of
# four bands then differs in at most one, and 10 nearly always. Unrelated photos differ in 32, and a photo from its
# crop, seen as it is, in up to about 20.
_VIEW_BITS, _CROP_BITS = 10, 20
# Aligning takes tens of milliseconds: so many candidates a photo, the nearest ones.
_MOST_ALIGNED = 8
_MOST_FOUND = 60


class NearDuplicate(NamedTuple):
    visit_id: UUID
    household_id: UUID
    bits: int
    # Alike only where the two overlap: one is a part of the other.
    is_crop: bool


class Alike(NamedTuple):
    """One fingerprint that turned up: `bits` differ over all."""

    evidence_id: UUID
    part: str
    bits: int


class _Seen(NamedTuple):
    evidence_id: UUID
    part: str
    sha256: str
    fingerprint: str
    visit_id: UUID
    household_id: UUID
    look: bytes | None


async def find_near_duplicates(
    session: AsyncSession, visit: Visit, most_bits: int
) -> dict[UUID, Sequence[NearDuplicate]]:
    """For each photo of the visit, photos of other visits of its county with other bytes; the nearest come first."""
    county, found = visit.area_code[:6], dict[UUID, list[NearDuplicate]]()
    for own in await _seen(session, SeenPhoto.visit_id == visit.id):
        alike = await find_alike(session, county, own.fingerprint, most_bits)
        twins = [
            NearDuplicate(one.visit_id, one.household_id, bits, is_crop=False)
            for one, bits in await _others(session, own, alike)
        ]
        found.setdefault(own.evidence_id, []).extend(twins or await _find_crops(session, county, own, most_bits))
    return {one: sorted(twins, key=lambda twin: twin.bits) for one, twins in found.items() if twins}


async def find_alike(session: AsyncSession, county_code: str, fingerprint: str, most_bits: int) -> list[Alike]:
    """Every fingerprint of the county that differs in at most `most_bits`; the nearest ones where they are many."""
    masks = _masks(most_bits // len(BANDS))
    bands = {f"band_{number}": _probes([_band(fingerprint, number)], masks) for number in range(len(BANDS))}
    told = {"county": county_code, "fingerprint": fingerprint, "most": most_bits, **bands}
    return [Alike(evidence_id, part, int(bits)) for evidence_id, part, bits in await session.execute(_ALIKE, told)]


async def find_alike_when_cropped(
    session: AsyncSession, county_code: str, fingerprint: str, look: bytes
) -> list[Alike]:
    """Those that may show a part of this one, or of which this one may be a part; of 64 bits they differ in `bits`."""
    views = await in_thread(coarse_views, look)
    bands = {
        f"band_{number}": _probes([view >> (48 - 16 * number) & 0xFFFF for view in views], _masks(1))
        for number in range(COARSE_BANDS)
    }
    told = {"county": county_code, "fingerprint": fingerprint, "most": _CROP_BITS, **bands}
    return [
        Alike(evidence_id, part, bits)
        for evidence_id, part, found, bits in await session.execute(_CROPS, told)
        if min((_coarse(found) ^ view).bit_count() for view in views) <= _VIEW_BITS
    ]


def _band(fingerprint: str, number: int) -> int:
    """As `BANDS` computes it in the database."""
    if number >= 2 * COARSE_BANDS:
        return int(fingerprint[number * 16 :][:16], 2)
    first = number * 32 if number < COARSE_BANDS else (number - COARSE_BANDS) * 32 + 8
    return int(fingerprint[first : first + 8] + fingerprint[first + 16 : first + 24], 2)


def _coarse(fingerprint: str) -> int:
    return int("".join(fingerprint[row * 16 : row * 16 + 8] for row in range(8)), 2)


def _probes(values: Iterable[int], masks: list[int]) -> list[int]:
    return sorted({value ^ mask for value in values for mask in masks})


@cache
def _masks(reach: int) -> list[int]:
    """What changes at most so many of sixteen bits."""
    return [sum(1 << bit for bit in bits) for count in range(reach + 1) for bits in combinations(range(16), count)]


def _look_up(columns: str, distance: str, bands: Sequence[str]) -> Any:
    """One index-only scan a band. As text, since the planner has to see the very words of each index."""
    seen = f"SELECT {columns}, {distance} AS bits FROM seen_photo WHERE county_code = :county"  # noqa: S608  no input
    scans = " UNION ALL ".join(
        f"{seen} AND {band} = ANY(:band_{number}) AND {distance} <= :most" for number, band in enumerate(bands)
    )
    return text(
        f"SELECT DISTINCT {columns}, bits FROM ({scans}) AS found ORDER BY bits LIMIT {_MOST_FOUND}"  # noqa: S608  no input
    ).bindparams(
        *(bindparam(f"band_{number}", type_=ARRAY(Integer)) for number in range(len(bands))),
        bindparam("fingerprint", type_=BIT(256)),
        bindparam("county", type_=String),
    )


_MASK = "".join("1" if row < 8 and column < 8 else "0" for row in range(16) for column in range(16))  # noqa: PLR2004
_ALIKE = _look_up("evidence_id, part", "fingerprint <~> :fingerprint", BANDS)
_CROPS = _look_up(
    "evidence_id, part, fingerprint",
    f"bit_count((fingerprint # :fingerprint) & B'{_MASK}')",
    BANDS[:COARSE_BANDS],
)


async def _seen(session: AsyncSession, *which: Any) -> list[_Seen]:
    rows = await session.execute(
        select(SeenPhoto, Photo.look, Photo.inside_look)
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
            look=look if one.part == "whole" else inside_look,
        )
        for one, look, inside_look in rows
    ]


async def _others(session: AsyncSession, own: _Seen, alike: list[Alike]) -> list[tuple[_Seen, int]]:
    """The nearest first, none of the same visit and none of the same bytes: that is another finding."""
    bits = {(one.evidence_id, one.part): one.bits for one in alike}
    rows = await _seen(
        session,
        SeenPhoto.evidence_id.in_({one for one, _ in bits}),
        SeenPhoto.visit_id != own.visit_id,
        SeenPhoto.sha256 != own.sha256,
    )
    others = [(row, bits[row.evidence_id, row.part]) for row in rows if (row.evidence_id, row.part) in bits]
    return sorted(others, key=lambda pair: pair[1])


async def _find_crops(session: AsyncSession, county_code: str, own: _Seen, most_bits: int) -> list[NearDuplicate]:
    if own.look is None:
        return []  # examined before looks were kept
    alike = await find_alike_when_cropped(session, county_code, own.fingerprint, own.look)
    twins = []
    for one, _ in (await _others(session, own, alike))[:_MOST_ALIGNED]:
        if one.look is not None:
            aligned = await in_thread(align, own.look, one.look)
            if aligned.bits <= most_bits:
                twins.append(NearDuplicate(one.visit_id, one.household_id, aligned.bits, is_crop=True))
    return twins
