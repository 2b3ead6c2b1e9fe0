"""Photos in: whichever way the bytes came, they must be the ones that the manifest announced.

Bytes with another hash are kept aside under their own and reported; the announced photo stays awaited.
What is in the store is named by its hash, so the same photo sent twice is stored and examined once.
"""

import hashlib
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Literal
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from field_api.completion import settle_visits
from media.limits import Limits
from media.photo import PhotoFacts, examine, hash_file
from media.refusals import PhotoRefused
from media.renditions import Renditions, make_renditions
from media.store import original_key, rendition_key
from server.core import jobs
from server.core.access import Caller, found
from server.core.database import open_session
from server.core.errors import Problem
from server.core.services import Services
from server.core.threads import in_thread
from server.core.tokens import utc_now
from server.core.wire import Answer
from server.models import audit
from server.models.evidence import Evidence, MismatchedUpload, Photo
from server.models.feed import announce

JPEG = "image/jpeg"
PIECE = 256 * 1024


class Received(Answer):
    """What became of an upload: `received` waits for examination, the others are final."""

    evidence_id: UUID
    state: Literal["received", "verified", "refused"]
    sha256: str


async def receive_photo(
    session: AsyncSession, services: Services, caller: Caller, evidence_id: UUID, source: BinaryIO, size: int
) -> Received:
    """Take the bytes of an announced photo. The same bytes again are the same success.

    Raises `thing.not_found`, `photo.hash_mismatch` (bytes kept aside), `photo.too_many_bytes`.
    """
    evidence = found(
        await session.scalar(
            select(Evidence)
            .where(Evidence.id == evidence_id, Evidence.author_id == caller.id)
            # Not FOR UPDATE: a mismatch is noted in another transaction, whose foreign key must get by.
            .with_for_update(key_share=True)
        )
    )
    if size > services.settings.max_photo_mb * 1024 * 1024:
        raise Problem("photo.too_many_bytes")
    sha256 = await in_thread(_hash, source)
    if sha256 != evidence.sha256:
        await _keep_aside(services, caller, evidence, source, size, sha256)
        raise Problem("photo.hash_mismatch", expected=evidence.sha256[:12], received=sha256[:12])
    if evidence.state == "announced":
        await services.store.put(original_key(sha256), source, size, "application/octet-stream")
        await mark_received(session, caller, evidence, size, utc_now())
    return Received(evidence_id=evidence.id, state=evidence.state, sha256=sha256)


def _hash(source: BinaryIO) -> str:
    digest = hashlib.sha256()
    source.seek(0)
    while piece := source.read(PIECE):
        digest.update(piece)
    source.seek(0)
    return digest.hexdigest()


async def _keep_aside(
    services: Services, caller: Caller, evidence: Evidence, source: BinaryIO, size: int, sha256: str
) -> None:
    await services.store.put(f"mismatched/{sha256}", source, size, "application/octet-stream")
    # A transaction of its own: the request itself fails and is rolled back.
    async with services.sessions() as session:
        session.add(
            MismatchedUpload(evidence_id=evidence.id, sha256=sha256, size_bytes=size, device_id=caller.device_id)
        )
        audit.record(session, caller, "evidence.mismatched", "evidence", evidence.id, received=sha256)
        await session.commit()


async def mark_received(session: AsyncSession, caller: Caller, evidence: Evidence, size: int, now: datetime) -> None:
    """The announced bytes are in the store: note it, and have them examined unless they already were."""
    await session.execute(
        insert(Photo).values(sha256=evidence.sha256, size_bytes=size, state="stored").on_conflict_do_nothing()
    )
    photo = await session.get_one(Photo, evidence.sha256, with_for_update=True)
    evidence.state = "received"
    evidence.uploaded_at = now
    audit.record(session, caller, "evidence.received", "evidence", evidence.id, sha256=evidence.sha256)
    if photo.state == "stored":
        await jobs.defer(session, "evidence.examine", once=f"examine:{photo.sha256}", sha256=photo.sha256)
        await session.flush()  # announce and the phone's answer read the new state
        await announce(session, "evidence", [evidence.id])
    else:
        await _settle(session, photo, now)


@jobs.task("evidence.examine")
async def examine_photo(services: Services, *, sha256: str) -> None:
    """Look at a stored photo once: type, limits, EXIF, fingerprint, renditions. Safe to run again."""
    with TemporaryDirectory(prefix="zoufang-") as folder:
        path = Path(folder) / "photo"
        await services.store.download(original_key(sha256), path)
        outcome = await in_thread(_examine, path, sha256, services.settings.max_photo_mb)
    async with open_session(services.sessions) as session:
        photo = await session.get_one(Photo, sha256, with_for_update=True)
        if isinstance(outcome, PhotoRefused):
            photo.state, photo.refused_code = "refused", outcome.code
        else:
            facts, pictures = outcome
            for name, picture in (("320", pictures.small), ("1280", pictures.large)):
                await services.store.put(rendition_key(sha256, name), picture.jpeg, len(picture.jpeg), JPEG)
            photo.state, photo.media_type = "verified", facts.media_type
            photo.facts = msgspec.to_builtins(facts)
            photo.fingerprint = "".join(f"{byte:08b}" for byte in pictures.fingerprint.bits)
            photo.fingerprint_quality = pictures.fingerprint.quality
        photo.examined_at = utc_now()
        await session.flush()  # the rows below are settled by what was just written
        await _settle(session, photo, utc_now())


def _examine(path: Path, sha256: str, max_mb: int) -> tuple[PhotoFacts, Renditions] | PhotoRefused:
    if hash_file(path) != sha256:
        raise RuntimeError(f"the store gave back other bytes for {sha256}")
    try:
        facts = examine(path, limits=Limits(max_bytes=max_mb * 1024 * 1024))
        return facts, make_renditions(path, facts)
    except PhotoRefused as refused:
        return refused


async def _settle(session: AsyncSession, photo: Photo, now: datetime) -> None:
    """Every claim to this content gets its outcome, and the visits that waited for it may be whole."""
    rows = await session.execute(
        update(Evidence)
        .where(Evidence.sha256 == photo.sha256, Evidence.state == "received")
        .values(state=photo.state, refused_code=photo.refused_code, settled_at=now)
        .returning(Evidence.id, Evidence.visit_id)
    )
    settled = rows.all()
    for evidence_id, _ in settled:
        audit.record(session, None, f"evidence.{photo.state}", "evidence", evidence_id, code=photo.refused_code)
    await announce(session, "evidence", [one for one, _ in settled])
    await settle_visits(session, {visit_id for _, visit_id in settled})
