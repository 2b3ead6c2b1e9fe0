"""Photos are looked at once, whoever claims them: type, limits, EXIF, fingerprint, copies.

Those of a visit come together and are looked at together. One that fails is tried again by itself, so it keeps
none of the others waiting, and parks with its error when it has failed as often as it is tried.
"""

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from media.fingerprint import Fingerprint
from media.limits import DEFAULT_LIMITS, Limits
from media.photo import PhotoFacts, read_photo_facts
from media.refusals import PhotoRefused
from media.renditions import Renditions, make_renditions
from media.store import StoreError, StoreHandle, original_key, rendition_key
from server import audit
from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_autocommit, open_session
from server.core.log import log
from server.core.services import Services
from server.models.evidence import Evidence, Photo
from server.photos.statements import write_features
from server.visits.completeness import complete_visits

JPEG = "image/jpeg"
Outcome = tuple[PhotoFacts, Renditions] | PhotoRefused


class StoredPhoto(NamedTuple):
    """A photo to be looked at, and how many bytes came."""

    sha256: str
    size_bytes: int


@jobs.task("evidence.examine_visit")
async def process_visit_photos(services: Services, *, visit_id: str) -> None:
    """Look at those of a visit's photos that wait for it, and settle them in one transaction. Safe to run again."""
    looks: list[dict[str, Any]] = []
    failed: list[str] = []
    of_visit = select(Evidence.sha256).where(Evidence.visit_id == UUID(visit_id), Evidence.state == "received")
    for photo in await _waiting(
        services, Photo.sha256.in_(of_visit), Photo.state == "stored", Photo.parked_at.is_(None)
    ):
        try:
            looks.append(await _look_at(services, photo))
        except Exception as error:  # noqa: BLE001  whatever it is, it is this photo's own and is told when that is tried again
            log.warning("photo.tried_again", sha256=photo.sha256, error=type(error).__name__)
            failed.append(photo.sha256)
    async with open_session(services.sessions) as session:
        for sha256 in failed:
            await jobs.defer(session, "evidence.examine", once=f"examine:{sha256}", sha256=sha256)
        await _note(session, looks)


async def mark_photo_failed(services: Services, *, sha256: str, error: str) -> None:
    """Its examination failed for good: whoever watches over the area sees it, and may have it tried again."""
    async with open_session(services.sessions) as session:
        await session.execute(
            update(Photo).where(Photo.sha256 == sha256).values(parked_at=utc_now(), parked_error=error)
        )
        for claim_id in await session.scalars(select(Evidence.id).where(Evidence.sha256 == sha256)):
            audit.record(session, None, "evidence.parked", "evidence", claim_id, error=error)


@jobs.task("evidence.examine", park=mark_photo_failed)
async def process_photo(services: Services, *, sha256: str) -> None:
    """Look at one photo. Safe to run again."""
    (photo,) = await _waiting(services, Photo.sha256 == sha256)
    look = await _look_at(services, photo)
    async with open_session(services.sessions) as session:
        await _note(session, [look])


async def backfill_photo_features(services: Services, progress: Callable[[int], None]) -> list[str]:
    """Look again at photos examined before looks were kept, of which no crop is found. Safe to run again.

    `progress` hears how many there are, once, and then 0 after each. Returns those that could not be read.
    """
    lacking = await _waiting(services, Photo.state == "verified", Photo.look.is_(None))
    progress(len(lacking))
    failed: list[str] = []
    for photo in lacking:
        try:
            look = await _look_at(services, photo)
        except (StoreError, OtherBytes):
            failed.append(photo.sha256)
        else:
            async with open_session(services.sessions) as session:
                await session.execute(update(Photo), [look])
        progress(0)
    return failed


async def _waiting(services: Services, *which: ColumnElement[bool]) -> list[StoredPhoto]:
    async with open_autocommit(services.sessions) as session:
        rows = await session.execute(select(Photo.sha256, Photo.size_bytes).where(*which).order_by(Photo.sha256))
        return [StoredPhoto._make(row) for row in rows]


async def _look_at(services: Services, photo: StoredPhoto) -> dict[str, Any]:
    """What there is to note of a photo; its copies are in the store when this returns."""
    return await services.store.run_in_thread(lambda store: _look(store, photo, services.settings.max_photo_mb))


def _look(store: StoreHandle, photo: StoredPhoto, max_mb: int) -> dict[str, Any]:
    limits = Limits(max_bytes=max_mb * 1024 * 1024)
    try:
        data = store.read(original_key(photo.sha256), photo.size_bytes)
    except ValueError as error:
        raise OtherBytes(photo.sha256) from error
    outcome = process_bytes(data, photo.sha256, limits)
    if not isinstance(outcome, PhotoRefused):
        for name, jpeg in _copies(outcome[1]).items():
            store.put(rendition_key(photo.sha256, name), jpeg, len(jpeg), JPEG)
    return {"sha256": photo.sha256, **_describe(outcome), "examined_at": utc_now()}


class OtherBytes(Exception):
    """What the store gave back is not the photo of this hash."""


def process_bytes(data: bytes, sha256: str, limits: Limits = DEFAULT_LIMITS) -> Outcome:
    try:
        facts = read_photo_facts(data, limits=limits)
        if facts.sha256 == sha256:
            return facts, make_renditions(data, facts)
    except PhotoRefused as refused:
        if hashlib.sha256(data).hexdigest() == sha256:
            return refused
    raise OtherBytes(sha256)


def _copies(pictures: Renditions) -> dict[str, bytes]:
    return {"320": pictures.small.jpeg, "1280": pictures.large.jpeg}


def _describe(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, PhotoRefused):
        return {"state": "refused", "refused_code": outcome.code}
    facts, pictures = outcome
    return {
        "state": "verified",
        "media_type": facts.media_type,
        "facts": msgspec.to_builtins(facts),
        "copies": {name: hashlib.sha256(jpeg).hexdigest() for name, jpeg in _copies(pictures).items()},
        **describe_features(pictures.fingerprint, pictures.inside),
    }


def describe_features(whole: Fingerprint, inside: Fingerprint | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "fingerprint": _as_bits(whole),
        "fingerprint_quality": whole.quality,
        "look": whole.look,
    }
    if inside is not None:
        told |= {
            "inside_fingerprint": _as_bits(inside),
            "inside_quality": inside.quality,
            "inside_look": inside.look,
        }
    return told


def _as_bits(fingerprint: Fingerprint) -> str:
    return "".join(f"{byte:08b}" for byte in fingerprint.bits)


async def _note(session: AsyncSession, looks: list[dict[str, Any]]) -> None:
    """Write down what was seen; every claim gets its outcome, and the visits that waited for it may be whole."""
    if looks:
        await complete_visits(session, await write_features(session, looks, utc_now()))
