"""Process photos, once per content: type, limits, EXIF facts, fingerprint, renditions.

The photos of a visit are processed together in one job. One that fails is deferred as a job of its own, so it does not
delay the others, and is marked failed with its error after the last attempt.
"""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from media.fingerprint import Fingerprint
from media.limits import Limits
from media.processing import OtherBytes, Outcome
from media.refusals import PhotoRefused
from media.renditions import Renditions
from media.store import StoreError, StoreHandle, original_key, rendition_key
from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_autocommit, open_session
from server.core.job_types import ProcessPhoto, ProcessVisitPhotos
from server.core.log import log
from server.core.services import Services
from server.models.evidence import Evidence, Photo
from server.photos.children import photo_children
from server.photos.statements import write_features
from server.visits.completeness import complete_visits

JPEG = "image/jpeg"


class StoredPhoto(NamedTuple):
    """A stored photo that has to be processed."""

    sha256: str
    size_bytes: int


@jobs.task(ProcessVisitPhotos)
async def process_visit_photos(services: Services, job: ProcessVisitPhotos) -> None:
    """Process the waiting photos of a visit and write their outcomes in one transaction. Idempotent."""
    features: list[dict[str, Any]] = []
    failed: list[str] = []
    # The argument's name stands in queued jobs; it may be the id of a record too.
    of_owner = or_(Evidence.visit_id == job.visit_id, Evidence.subject_id == job.visit_id)
    of_visit = select(Evidence.sha256).where(of_owner, Evidence.state == "received")
    for photo in await _list_stored(
        services, Photo.sha256.in_(of_visit), Photo.state == "stored", Photo.parked_at.is_(None)
    ):
        try:
            features.append(await _process(services, photo))
        except Exception as error:  # noqa: BLE001  any error concerns this photo alone; its own job reports it
            log.warning("photo.tried_again", sha256=photo.sha256, error=type(error).__name__)
            failed.append(photo.sha256)
    async with open_session(services.sessions) as session:
        for sha256 in failed:
            await jobs.defer(session, ProcessPhoto(sha256=sha256), once=f"examine:{sha256}")
        await _write_outcomes(session, features)


async def mark_photo_failed(services: Services, job: ProcessPhoto, error: str) -> None:
    """Mark a photo whose last attempt failed; the area's officers see it and may retry it. Idempotent."""
    async with open_session(services.sessions) as session:
        waiting = update(Photo).where(Photo.sha256 == job.sha256, Photo.state == "stored", Photo.parked_at.is_(None))
        marked = await session.scalar(waiting.values(parked_at=utc_now(), parked_error=error).returning(Photo.sha256))
        if marked is None:
            return
        for photo_id in await session.scalars(select(Evidence.id).where(Evidence.sha256 == job.sha256)):
            audit.record(session, None, Action.EVIDENCE_PARKED, "evidence", photo_id, error=error)


@jobs.task(ProcessPhoto, on_final_failure=mark_photo_failed)
async def process_photo(services: Services, job: ProcessPhoto) -> None:
    """Process one photo. Idempotent."""
    (photo,) = await _list_stored(services, Photo.sha256 == job.sha256)
    features = await _process(services, photo)
    async with open_session(services.sessions) as session:
        await _write_outcomes(session, [features])


async def backfill_photo_features(services: Services, progress: Callable[[int], None]) -> list[str]:
    """Process photos again that were processed before `look` was stored, so that their crops are found. Idempotent.

    `progress` gets the total first, and then 0 after each photo. Return the hashes of the unreadable ones.
    """
    photos = await _list_stored(services, Photo.state == "verified", Photo.look.is_(None))
    progress(len(photos))
    failed: list[str] = []
    for photo in photos:
        try:
            features = await _process(services, photo)
        except (StoreError, OtherBytes):
            failed.append(photo.sha256)
        else:
            async with open_session(services.sessions) as session:
                await session.execute(update(Photo), [features])
        progress(0)
    return failed


async def _list_stored(services: Services, *conditions: ColumnElement[bool]) -> list[StoredPhoto]:
    statement = select(Photo.sha256, Photo.size_bytes).where(*conditions).order_by(Photo.sha256)
    async with open_autocommit(services.sessions) as session:
        return [StoredPhoto._make(row) for row in await session.execute(statement)]


async def _process(services: Services, photo: StoredPhoto) -> dict[str, Any]:
    """Return the columns to write; the renditions are in the store by then."""
    return await services.store.run_in_thread(
        lambda store: _process_in_thread(store, photo, services.settings.max_photo_mb)
    )


def _process_in_thread(store: StoreHandle, photo: StoredPhoto, max_mb: int) -> dict[str, Any]:
    limits = Limits(max_bytes=max_mb * 1024 * 1024)
    try:
        data = store.read(original_key(photo.sha256), photo.size_bytes)
    except ValueError as error:
        raise OtherBytes(photo.sha256) from error
    outcome = photo_children.process(data, photo.sha256, limits)
    if not isinstance(outcome, PhotoRefused):
        for name, jpeg in _renditions_by_name(outcome[1]).items():
            store.put(rendition_key(photo.sha256, name), jpeg, len(jpeg), JPEG)
    return {"sha256": photo.sha256, **_describe_outcome(outcome), "examined_at": utc_now()}


def _renditions_by_name(renditions: Renditions) -> dict[str, bytes]:
    return {"320": renditions.small.jpeg, "1280": renditions.large.jpeg}


def _describe_outcome(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, PhotoRefused):
        return {"state": "refused", "refused_code": outcome.code}
    facts, renditions = outcome
    return {
        "state": "verified",
        "media_type": facts.media_type,
        "facts": msgspec.to_builtins(facts),
        "copies": {name: hashlib.sha256(jpeg).hexdigest() for name, jpeg in _renditions_by_name(renditions).items()},
        **describe_features(renditions.fingerprint, renditions.inside),
    }


def describe_features(whole: Fingerprint, inside: Fingerprint | None) -> dict[str, Any]:
    features: dict[str, Any] = {
        "fingerprint": _to_bit_string(whole),
        "fingerprint_quality": whole.quality,
        "look": whole.luma,
    }
    if inside is not None:
        features |= {
            "inside_fingerprint": _to_bit_string(inside),
            "inside_quality": inside.quality,
            "inside_look": inside.luma,
        }
    return features


def _to_bit_string(fingerprint: Fingerprint) -> str:
    return "".join(f"{byte:08b}" for byte in fingerprint.bits)


async def _write_outcomes(session: AsyncSession, features: list[dict[str, Any]]) -> None:
    """Write the features and the outcome of every expected photo; visits that waited for them may be complete now."""
    if features:
        await complete_visits(session, await write_features(session, features, utc_now()))
