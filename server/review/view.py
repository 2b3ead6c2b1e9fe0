"""All that the rules may look at when they doubt a visit, read once."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.location import Fix, Point
from server.models.areas import rule_values
from server.models.evidence import Evidence, MismatchedUpload, Photo
from server.models.households import Household
from server.models.people import Device
from server.models.visits import Attestation, Visit

CHINA = ZoneInfo("Asia/Shanghai")


class PhotoView(NamedTuple):
    evidence: Evidence
    facts: dict[str, Any]
    # Other visits whose manifests announce the very same bytes, as (visit, household).
    used_elsewhere: list[tuple[UUID, UUID]]
    mismatches: int

    @property
    def taken_at(self) -> datetime | None:
        """When the camera says: with its own zone, else by satellite, else its bare clock as China's time.

        Phones here run on China's time, and a doubt is put before a person with its `taken_at_source`.
        """
        if told := self.facts.get("capturedAt"):
            return datetime.fromisoformat(told)
        local = self.facts.get("capturedLocal")
        return datetime.fromisoformat(local).replace(tzinfo=CHINA) if local else None

    @property
    def taken_at_source(self) -> str | None:
        """`offset`, `gps` or `local_clock`; None when the camera says no time."""
        if self.taken_at is None:
            return None
        source: str = self.facts.get("capturedAtSource") or "local_clock"
        return source

    @property
    def place(self) -> Point | None:
        position = self.facts.get("position")
        return Point(position["latitude"], position["longitude"]) if position else None


class VisitView(NamedTuple):
    visit: Visit
    household: Household
    home: Fix | None
    start: Fix | None
    end: Fix | None
    photos: list[PhotoView]
    attestations: list[Attestation]
    devices: dict[UUID, Device]
    previous: Visit | None
    rules: dict[str, Any]

    def rule(self, key: str) -> Any:
        return self.rules[key]


async def view_visit(session: AsyncSession, visit: Visit) -> VisitView:
    household = await session.get_one(Household, visit.household_id)
    on = (visit.started_at or visit.received_at).astimezone(CHINA).date()
    attestations = list(await session.scalars(select(Attestation).where(Attestation.visit_id == visit.id)))
    devices = await session.scalars(
        select(Device).where(Device.id.in_({visit.device_id, *(one.device_id for one in attestations)}))
    )
    return VisitView(
        visit=visit,
        household=household,
        home=_home(household, visit),
        start=_fix(visit.document.get("startFix")),
        end=_fix(visit.document.get("endFix")),
        photos=await _photos(session, visit),
        attestations=attestations,
        devices={one.id: one for one in devices},
        previous=await _previous(session, visit),
        rules=await rule_values(session, visit.area_code, on),
    )


def _fix(told: dict[str, Any] | None) -> Fix | None:
    return msgspec.convert(told, Fix) if told else None


def _home(household: Household, visit: Visit) -> Fix | None:
    if household.latitude is None or household.longitude is None:
        return None
    return Fix(
        latitude=household.latitude,
        longitude=household.longitude,
        datum=household.datum,  # type: ignore[arg-type]  # one of the three by constraint
        captured_at=visit.received_at,
    )


async def _photos(session: AsyncSession, visit: Visit) -> list[PhotoView]:
    listed = [UUID(one["id"]) for one in visit.document.get("photos", [])]
    rows = await session.execute(
        select(Evidence, Photo.facts)
        .outerjoin(Photo, Photo.sha256 == Evidence.sha256)
        .where(Evidence.id.in_(listed), Evidence.visit_id == visit.id)
        .order_by(Evidence.id)
    )
    pairs = rows.all()
    elsewhere = await _used_elsewhere(session, visit, [one.sha256 for one, _ in pairs])
    mismatched = list(
        await session.scalars(select(MismatchedUpload.evidence_id).where(MismatchedUpload.evidence_id.in_(listed)))
    )
    return [
        PhotoView(one, facts or {}, elsewhere.get(one.sha256, []), mismatched.count(one.id)) for one, facts in pairs
    ]


async def _used_elsewhere(session: AsyncSession, visit: Visit, hashes: list[str]) -> dict[str, list[tuple[UUID, UUID]]]:
    rows = await session.execute(
        select(Evidence.sha256, Visit.id, Visit.household_id)
        .join(Visit, Visit.id == Evidence.visit_id)
        .where(Evidence.sha256.in_(hashes), Visit.id != visit.id, Visit.submitted_at.is_not(None))
        .limit(100)
    )
    uses: dict[str, list[tuple[UUID, UUID]]] = {}
    for sha256, visit_id, household_id in rows:
        uses.setdefault(sha256, []).append((visit_id, household_id))
    return uses


async def _previous(session: AsyncSession, visit: Visit) -> Visit | None:
    """The visit that the same author ended last before this one began."""
    if visit.started_at is None:
        return None
    found: Visit | None = await session.scalar(
        select(Visit)
        .where(
            Visit.author_id == visit.author_id,
            Visit.id != visit.id,
            Visit.submitted_at.is_not(None),
            Visit.started_at <= visit.started_at,
        )
        .order_by(Visit.started_at.desc())
        .limit(1)
    )
    return found
