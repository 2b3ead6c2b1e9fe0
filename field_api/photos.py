"""Photos in: whichever way the bytes came, they must be the ones that the manifest announced.

Bytes with another hash are kept aside under their own and reported; the announced photo stays awaited.
What is in the store is named by its hash, so the same photo sent twice is stored and examined once.
"""

import asyncio
import hashlib
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Literal, NamedTuple, cast
from uuid import UUID

import msgspec
from sqlalchemy import exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from field_api.completion import settle_visits
from field_api.uploads.incoming import hash_of
from media.fingerprint import Fingerprint
from media.limits import Limits
from media.photo import PhotoFacts, examine, hash_file
from media.refusals import PhotoRefused
from media.renditions import Renditions, make_renditions
from media.store import original_key, rendition_key
from server.core import jobs
from server.core.access import Caller, found, readable
from server.core.database import open_session
from server.core.errors import Problem
from server.core.services import Services
from server.core.threads import in_thread
from server.core.tokens import utc_now
from server.core.wire import Answer
from server.models import audit
from server.models.cases import PaperPhoto
from server.models.evidence import Evidence, MismatchedUpload, Photo
from server.models.feed import announce
from server.models.uploads import Upload, UploadChunk
from server.models.visits import Visit

JPEG = "image/jpeg"
# What came is called nothing until it was examined.
OCTETS = "application/octet-stream"


State = Literal["received", "verified", "refused"]
# What may be uploaded: a photo of a visit, announced by a phone, or of a paper, announced by a resident.
Claim = Evidence | PaperPhoto


class Received(Answer):
    """What became of an upload: `received` waits for examination, the others are final."""

    evidence_id: UUID
    state: State
    sha256: str


class Arrival(NamedTuple):
    """Which announced photo came, from which device, and by which upload where there is one.

    `caller` is None when a job finishes what a request began.
    """

    evidence_id: UUID
    device_id: UUID
    caller: Caller | None
    upload_id: str | None = None


async def find_claim(session: AsyncSession, caller: Caller, evidence_id: UUID) -> Claim:
    """The caller's own announced photo: a resident's is of a paper. Raises `thing.not_found`."""
    visits = select(Evidence).where(Evidence.id == evidence_id, Evidence.author_id == caller.id)
    papers = readable(PaperPhoto, caller).where(PaperPhoto.id == evidence_id)
    claim: Claim = found(await session.scalar(papers if caller.is_resident else visits))
    return claim


async def _claim(session: AsyncSession, evidence_id: UUID, *, lock: bool = False) -> Claim:
    held: Any = {"key_share": True} if lock else None
    of_visit = await session.get(Evidence, evidence_id, with_for_update=held)
    if of_visit is not None:
        return of_visit
    return await session.get_one(PaperPhoto, evidence_id, with_for_update=held)


async def take_in(
    services: Services, arrival: Arrival, content: IO[bytes], size: int, announced: Claim | None = None
) -> Received:
    """All bytes of an announced photo are here. The same bytes again are the same success.

    `announced` as it was read a moment ago, where it was.

    Nothing stands under a photo's name in the store that was not hashed before. Holds no transaction while
    it hashes and stores. Raises `photo.hash_mismatch` (bytes kept aside) and StoreError (nothing noted).
    """
    sha256 = (await in_thread(hash_of, content)).hex()
    if announced is None:
        async with services.sessions() as session:
            announced = await _claim(session, arrival.evidence_id)
    if sha256 != announced.sha256:
        await _keep_aside(services, arrival, content, size, sha256)
        raise Problem("photo.hash_mismatch", expected=announced.sha256[:12], received=sha256[:12])
    if announced.state == "announced":
        await services.store.put(original_key(sha256), content, size, OCTETS)
    async with open_session(services.sessions) as session:
        return await claim_stored(session, arrival, sha256, size)


async def claim_stored(session: AsyncSession, arrival: Arrival, sha256: str, size: int) -> Received:
    """The store has the bytes under this hash: the photo is received, and its upload is done.

    Raises `server.conflict` when the manifest came to name another hash meanwhile.
    """
    evidence = await _claim(session, arrival.evidence_id, lock=True)
    if evidence.sha256 != sha256:
        raise Problem("server.conflict")
    if evidence.state == "announced":
        await mark_received(session, arrival.caller, evidence, size, utc_now())
    await _end_upload(session, arrival, "done")
    state = cast("State", evidence.state)  # `announced` has just ended
    return Received(evidence_id=evidence.id, state=state, sha256=sha256)


async def has_same_photo(services: Services, caller: Caller, sha256: str) -> bool:
    """Whether the caller has sent these very bytes before, and the store still has them."""
    kind, author = (PaperPhoto, PaperPhoto.resident_id) if caller.is_resident else (Evidence, Evidence.author_id)
    same = exists().where(author == caller.id, kind.sha256 == sha256, kind.state != "announced")
    async with open_session(services.sessions) as session:
        sent_before = await session.scalar(select(same))
    return bool(sent_before) and await services.store.exists(original_key(sha256))


async def _keep_aside(services: Services, arrival: Arrival, content: IO[bytes], size: int, sha256: str) -> None:
    await services.store.put(f"mismatched/{sha256}", content, size, OCTETS)
    async with open_session(services.sessions) as session:
        session.add(
            MismatchedUpload(
                evidence_id=arrival.evidence_id, sha256=sha256, size_bytes=size, device_id=arrival.device_id
            )
        )
        audit.record(session, arrival.caller, "evidence.mismatched", "evidence", arrival.evidence_id, received=sha256)
        await _end_upload(session, arrival, "mismatched")
        await _doubt_again(session, arrival.evidence_id)


async def _doubt_again(session: AsyncSession, evidence_id: UUID) -> None:
    """A visit that was whole before the other bytes came has been examined without them."""
    rows = select(Visit.id).join(Evidence, Evidence.visit_id == Visit.id)
    whole = await session.scalar(rows.where(Evidence.id == evidence_id, Visit.complete_at.is_not(None)))
    if whole is not None:
        await jobs.defer(session, "review.look_again", visit_id=str(whole), codes=["photo.swapped"])


async def _end_upload(session: AsyncSession, arrival: Arrival, state: str) -> None:
    """The upload that brought the bytes needs its pieces no more."""
    if arrival.upload_id is None:
        return
    changes: dict[str, Any] = {"state": state, "lease": None, "lease_until": None}
    if state == "done":
        changes["received_bytes"] = Upload.size_bytes
    await session.execute(update(Upload).where(Upload.id == arrival.upload_id).values(**changes))
    if await session.scalar(select(_has_pieces(arrival.upload_id))):
        await jobs.defer(session, "uploads.clear", upload_id=arrival.upload_id)


def _has_pieces(upload_id: str) -> Any:
    by_put = exists().where(Upload.id == upload_id, Upload.way == "put")
    return or_(by_put, exists().where(UploadChunk.upload_id == upload_id))


async def mark_received(
    session: AsyncSession, caller: Caller | None, evidence: Claim, size: int, now: datetime
) -> None:
    """The announced bytes are in the store: note it, and have them examined unless they already were."""
    await session.execute(
        insert(Photo).values(sha256=evidence.sha256, size_bytes=size, state="stored").on_conflict_do_nothing()
    )
    photo = await session.get_one(Photo, evidence.sha256, with_for_update=True)
    evidence.state = "received"
    evidence.uploaded_at = now
    audit.record(session, caller, "evidence.received", evidence.__tablename__, evidence.id, sha256=evidence.sha256)
    if photo.state == "stored":
        await jobs.defer(session, "evidence.examine", once=f"examine:{photo.sha256}", sha256=photo.sha256)
        await session.flush()  # announce and the phone's answer read the new state
        await announce(session, "evidence", [evidence.id])  # of a paper's photo no phone is to hear
    else:
        await _settle(session, photo, now)


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
    """Look at a stored photo once: type, limits, EXIF, fingerprint, renditions. Safe to run again."""
    with TemporaryDirectory(prefix="zoufang-") as folder:
        path = Path(folder) / "photo"
        await services.store.download(original_key(sha256), path)
        outcome = await in_thread(examine_file, path, sha256, services.settings.max_photo_mb)
    if not isinstance(outcome, PhotoRefused):
        await _store_copies(services, sha256, outcome[1])
    async with open_session(services.sessions) as session:
        photo = await session.get_one(Photo, sha256, with_for_update=True)
        if isinstance(outcome, PhotoRefused):
            photo.state, photo.refused_code = "refused", outcome.code
        else:
            _note_facts(photo, *outcome)
        photo.examined_at, photo.parked_at, photo.parked_error = utc_now(), None, None
        await session.flush()  # the rows below are settled by what was just written
        await _settle(session, photo, utc_now())


def examine_file(path: Path, sha256: str, max_mb: int) -> tuple[PhotoFacts, Renditions] | PhotoRefused:
    if hash_file(path) != sha256:
        raise RuntimeError(f"the store gave back other bytes for {sha256}")
    try:
        facts = examine(path, limits=Limits(max_bytes=max_mb * 1024 * 1024))
        return facts, make_renditions(path, facts)
    except PhotoRefused as refused:
        return refused


def _copies(pictures: Renditions) -> dict[str, bytes]:
    return {"320": pictures.small.jpeg, "1280": pictures.large.jpeg}


async def _store_copies(services: Services, sha256: str, pictures: Renditions) -> None:
    await asyncio.gather(
        *(
            services.store.put(rendition_key(sha256, name), jpeg, len(jpeg), JPEG)
            for name, jpeg in _copies(pictures).items()
        )
    )


def _note_facts(photo: Photo, facts: PhotoFacts, pictures: Renditions) -> None:
    photo.state, photo.media_type = "verified", facts.media_type
    photo.facts = msgspec.to_builtins(facts)
    photo.copies = {name: hashlib.sha256(jpeg).hexdigest() for name, jpeg in _copies(pictures).items()}
    note_looks(photo, pictures.fingerprint, pictures.inside)


def note_looks(photo: Photo, whole: Fingerprint, inside: Fingerprint | None) -> None:
    photo.fingerprint, photo.fingerprint_quality, photo.look = _as_bits(whole), whole.quality, whole.look
    if inside is not None:
        photo.inside_fingerprint, photo.inside_quality = _as_bits(inside), inside.quality
        photo.inside_look = inside.look


def _as_bits(fingerprint: Fingerprint) -> str:
    return "".join(f"{byte:08b}" for byte in fingerprint.bits)


async def _settle(session: AsyncSession, photo: Photo, now: datetime) -> None:
    """Every claim to this content gets its outcome, and the visits that waited for it may be whole."""
    outcome = {"state": photo.state, "refused_code": photo.refused_code, "settled_at": now}
    rows = await session.execute(
        update(Evidence)
        .where(Evidence.sha256 == photo.sha256, Evidence.state == "received")
        .values(**outcome)
        .returning(Evidence.id, Evidence.visit_id)
    )
    settled = rows.all()
    papers = await session.scalars(
        update(PaperPhoto)
        .where(PaperPhoto.sha256 == photo.sha256, PaperPhoto.state == "received")
        .values(**outcome)
        .returning(PaperPhoto.id)
    )
    for paper_id in papers:
        audit.record(session, None, f"evidence.{photo.state}", "paper_photo", paper_id, code=photo.refused_code)
    for evidence_id, _ in settled:
        audit.record(session, None, f"evidence.{photo.state}", "evidence", evidence_id, code=photo.refused_code)
    await announce(session, "evidence", [one for one, _ in settled])
    await settle_visits(session, {visit_id for _, visit_id in settled})
