"""Photos are looked at once, whoever claims them: type, limits, EXIF, fingerprint, copies.

Those of a visit come together and are looked at together. One that fails is tried again by itself, so it keeps
none of the others waiting, and parks with its error when it has failed as often as it is tried.
"""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from field_api.completion import settle_visits
from field_api.photo_rows import settle
from media.fingerprint import Fingerprint
from media.limits import Limits
from media.photo import PhotoFacts, examine, hash_file
from media.refusals import PhotoRefused
from media.renditions import Renditions, make_renditions
from media.store import StoreError, original_key, rendition_key
from server.core import jobs
from server.core.database import open_glance, open_session
from server.core.log import log
from server.core.services import Services
from server.core.threads import in_thread
from server.core.tokens import utc_now
from server.models import audit
from server.models.evidence import Evidence, Photo

JPEG = "image/jpeg"
Outcome = tuple[PhotoFacts, Renditions] | PhotoRefused


@jobs.task("evidence.examine_visit")
async def examine_photos(services: Services, *, visit_id: str) -> None:
    """Look at those of a visit's photos that wait for it, and settle them in one transaction. Safe to run again."""
    looks: list[dict[str, Any]] = []
    failed: list[str] = []
    for sha256 in await _waiting(services, UUID(visit_id)):
        try:
            looks.append(await _look_at(services, sha256))
        except Exception as error:  # noqa: BLE001  whatever it is, it is this photo's own and is told when that is tried again
            log.warning("photo.tried_again", sha256=sha256, error=type(error).__name__)
            failed.append(sha256)
    async with open_session(services.sessions) as session:
        for sha256 in failed:
            await jobs.defer(session, "evidence.examine", once=f"examine:{sha256}", sha256=sha256)
        await _note(session, looks)


async def park_photo(services: Services, *, sha256: str, error: str) -> None:
    """Its examination failed for good: whoever watches over the area sees it, and may have it tried again."""
    async with open_session(services.sessions) as session:
        await session.execute(
            update(Photo).where(Photo.sha256 == sha256).values(parked_at=utc_now(), parked_error=error)
        )
        for claim_id in await session.scalars(select(Evidence.id).where(Evidence.sha256 == sha256)):
            audit.record(session, None, "evidence.parked", "evidence", claim_id, error=error)


@jobs.task("evidence.examine", park=park_photo)
async def examine_photo(services: Services, *, sha256: str) -> None:
    """Look at one photo. Safe to run again."""
    look = await _look_at(services, sha256)
    async with open_session(services.sessions) as session:
        await _note(session, [look])


async def fill_in_looks(services: Services, progress: Callable[[int], None]) -> list[str]:
    """Look again at photos examined before looks were kept, of which no crop is found. Safe to run again.

    `progress` hears how many there are, once, and then 0 after each. Returns those that could not be read.
    """
    lacking = select(Photo.sha256).where(Photo.state == "verified", Photo.look.is_(None))
    async with open_glance(services.sessions) as session:
        hashes = (await session.scalars(lacking.order_by(Photo.sha256))).all()
    progress(len(hashes))
    failed: list[str] = []
    for sha256 in hashes:
        try:
            look = await _look_at(services, sha256)
        except (StoreError, RuntimeError):
            failed.append(sha256)
        else:
            async with open_session(services.sessions) as session:
                await session.execute(update(Photo), [look])
        progress(0)
    return failed


async def _waiting(services: Services, visit_id: UUID) -> list[str]:
    of_visit = select(Evidence.sha256).where(Evidence.visit_id == visit_id, Evidence.state == "received")
    async with open_glance(services.sessions) as session:
        rows = await session.scalars(
            select(Photo.sha256).where(Photo.sha256.in_(of_visit), Photo.state == "stored", Photo.parked_at.is_(None))
        )
        return list(rows)


async def _look_at(services: Services, sha256: str) -> dict[str, Any]:
    """What there is to note of a photo; its copies are in the store when this returns."""
    with TemporaryDirectory(prefix="zoufang-") as folder:
        path = Path(folder) / "photo"
        await services.store.download(original_key(sha256), path)
        outcome = await in_thread(examine_file, path, sha256, services.settings.max_photo_mb)
    if not isinstance(outcome, PhotoRefused):
        await _store_copies(services, sha256, outcome[1])
    return {
        "sha256": sha256,
        **_describe(outcome),
        "examined_at": utc_now(),
        "parked_at": None,
        "parked_error": None,
    }


def examine_file(path: Path, sha256: str, max_mb: int) -> Outcome:
    try:
        facts = examine(path, limits=Limits(max_bytes=max_mb * 1024 * 1024))
        if facts.sha256 == sha256:
            return facts, make_renditions(path, facts)
    except PhotoRefused as refused:
        if hash_file(path) == sha256:
            return refused
    raise RuntimeError(f"the store gave back other bytes for {sha256}")


async def _store_copies(services: Services, sha256: str, pictures: Renditions) -> None:
    await asyncio.gather(
        *(
            services.store.put(rendition_key(sha256, name), jpeg, len(jpeg), JPEG)
            for name, jpeg in _copies(pictures).items()
        )
    )


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
        **describe_looks(pictures.fingerprint, pictures.inside),
    }


def describe_looks(whole: Fingerprint, inside: Fingerprint | None) -> dict[str, Any]:
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
        await session.execute(update(Photo), sorted(looks, key=lambda one: one["sha256"]))
        settled = await settle(session, [one["sha256"] for one in looks], utc_now())
        await settle_visits(session, settled)
