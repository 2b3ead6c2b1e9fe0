"""Traces: what a visit leaves for the checks of other visits, its fixes and its photos' fingerprints."""

from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.device_times import TimeBounds, believe_time
from server.core.location import Fix, usable_fix
from server.models.evidence import Evidence, Photo
from server.models.review import SeenFix, SeenPhoto
from server.models.visits import Attestation, Visit
from server.photos.near_duplicates import store_keypoints
from server.policy.resolver import load_policy_values
from server.review.check_context import field_bounds, visited_on

# Below this PDQ quality a fingerprint carries no information (a blank wall): the threshold of PDQ's authors.
LEAST_QUALITY = 50


async def record_traces(session: AsyncSession, visit: Visit) -> None:
    """Replace the visit's fixes and bring its photos' fingerprints up to date."""
    await session.execute(delete(SeenFix).where(SeenFix.visit_id == visit.id))
    attested = await session.scalars(
        select(Attestation).where(Attestation.visit_id == visit.id, Attestation.staff_id != visit.author_id)
    )
    recorded = [
        ("start", visit.author_id, usable_fix(visit.document.get("startFix"))),
        ("end", visit.author_id, usable_fix(visit.document.get("endFix"))),
        *(("attested", attestation.staff_id, usable_fix(attestation.document.get("fix"))) for attestation in attested),
    ]
    settings = await load_policy_values(
        session, visit.area_code, visited_on(visit), ["field.earliest_day", "field.clock_ahead_min"]
    )
    bounds = field_bounds(settings, visit.received_at)
    fixes = {(moment, person): fix for moment, person, fix in recorded if fix is not None}
    session.add_all(_seen_fix(visit, moment, person, fix, bounds) for (moment, person), fix in fixes.items())
    await _record_fingerprints(session, visit)
    await session.flush()  # the check context reads them


def _seen_fix(visit: Visit, moment: str, person: UUID, fix: Fix, bounds: TimeBounds) -> SeenFix:
    instead = (visit.started_at if moment == "start" else visit.ended_at) or visit.received_at
    return SeenFix(
        visit_id=visit.id,
        staff_id=person,
        moment=moment,
        household_id=visit.household_id,
        area_code=visit.area_code,
        latitude=fix.latitude,
        longitude=fix.longitude,
        datum=fix.datum,
        accuracy_m=fix.accuracy_m,
        captured_at=believe_time(fix.captured_at, bounds, instead),
    )


async def _record_fingerprints(session: AsyncSession, visit: Visit) -> None:
    """Insert only new rows: each row is in sixteen indexes, and most runs change none."""
    listed = [UUID(photo["id"]) for photo in visit.document.get("photos", [])]
    photos = await session.execute(
        select(Evidence.id, Photo)
        .join(Photo, Photo.sha256 == Evidence.sha256)
        .where(Evidence.id.in_(listed), Evidence.visit_id == visit.id)
    )
    fingerprints = [
        (evidence_id, part, photo.sha256, fingerprint)
        for evidence_id, photo in photos
        for part, fingerprint, quality in (
            ("whole", photo.fingerprint, photo.fingerprint_quality),
            ("inside", photo.inside_fingerprint, photo.inside_quality),
        )
        if fingerprint is not None and (quality or 0) >= LEAST_QUALITY
    ]
    stale = SeenPhoto.evidence_id.not_in({evidence_id for evidence_id, *_ in fingerprints})
    await session.execute(delete(SeenPhoto).where(SeenPhoto.visit_id == visit.id, stale))
    if not fingerprints:
        return
    rows = [
        {
            "evidence_id": evidence_id,
            "part": part,
            "visit_id": visit.id,
            "household_id": visit.household_id,
            "county_code": visit.area_code[:6],
            "sha256": sha256,
            "fingerprint": fingerprint,
        }
        for evidence_id, part, sha256, fingerprint in fingerprints
    ]
    inserted = await session.execute(
        insert(SeenPhoto).values(rows).on_conflict_do_nothing().returning(SeenPhoto.evidence_id, SeenPhoto.part)
    )
    await store_keypoints(session, [(evidence_id, part) for evidence_id, part in inserted])
