"""Receive photos: whichever way the bytes were uploaded, they must match the hash that the manifest announced.

Bytes with another hash are quarantined under their own hash and reported; the announced photo stays expected. The store
is content-addressed, so the same photo uploaded twice is stored and processed once.
"""

from typing import IO, Any, Literal, NamedTuple, cast
from uuid import UUID

from sqlalchemy import exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import original_key
from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import Caller, readable, require_found
from server.core.clock import utc_now
from server.core.database import open_autocommit, open_session
from server.core.errors import Problem
from server.core.http import ResponseBody
from server.core.job_types import ClearSpool, ProcessPhoto, RecheckVisit
from server.core.services import Services
from server.models.cases import PaperPhoto
from server.models.evidence import Evidence, MismatchedUpload, Photo
from server.models.uploads import Upload, UploadChunk
from server.models.visits import Visit
from server.photos.statements import apply_outcomes, receive, receive_new
from server.visits.completeness import complete_visits

# The media type is unknown until the photo is processed.
OCTETS = "application/octet-stream"


State = Literal["received", "verified", "refused"]


class ExpectedPhoto(NamedTuple):
    """A photo that may be uploaded: of a visit, announced by a phone, or of a paper, announced by a resident."""

    id: UUID
    sha256: str
    size_bytes: int
    state: str


class Received(ResponseBody):
    """The result of an upload: `received` waits for processing, the other states are final."""

    evidence_id: UUID
    state: State
    sha256: str


class UploadContext(NamedTuple):
    """Which expected photo was uploaded, from which device, and by which upload if there is one.

    `caller` is None when a job finishes what a request began.
    """

    evidence_id: UUID
    device_id: UUID
    caller: Caller | None
    upload_id: str | None = None


class Content(NamedTuple):
    """All uploaded bytes and their hash; the file is positioned at its start."""

    file: IO[bytes]
    size: int
    sha256: str


async def find_expected(services: Services, caller: Caller, evidence_id: UUID) -> ExpectedPhoto:
    """Return the caller's own expected photo; a resident's belongs to a paper. Raises `thing.not_found`."""
    if not caller.is_resident:
        rows = await services.autocommit.run(OWN_EXPECTED_PHOTO, {"id": evidence_id, "caller": caller.id})
        return ExpectedPhoto._make(require_found(rows[0] if rows else None))
    columns = (PaperPhoto.id, PaperPhoto.sha256, PaperPhoto.size_bytes, PaperPhoto.state)
    statement = readable(PaperPhoto, caller).where(PaperPhoto.id == evidence_id).with_only_columns(*columns)
    async with open_autocommit(services.sessions) as session:
        return ExpectedPhoto._make(require_found((await session.execute(statement)).one_or_none()))


# Only its author may upload a photo, which is narrower than who may read it.
OWN_EXPECTED_PHOTO = "SELECT id, sha256, size_bytes, state FROM evidence WHERE id = %(id)s AND author_id = %(caller)s"


async def get_expected(session: AsyncSession, evidence_id: UUID) -> ExpectedPhoto:
    """Return an expected photo without an access check: for jobs, which have no caller."""
    connection = await session.connection()
    return ExpectedPhoto._make((await connection.exec_driver_sql(EXPECTED_PHOTO, {"id": evidence_id})).one())


EXPECTED_PHOTO = """
SELECT id, sha256, size_bytes, state FROM evidence WHERE id = %(id)s
UNION ALL SELECT id, sha256, size_bytes, state FROM paper_photo WHERE id = %(id)s
"""


async def receive_photo(
    services: Services, context: UploadContext, expected: ExpectedPhoto, content: Content
) -> Received:
    """Store all bytes of an expected photo and mark it received. Idempotent for the same bytes.

    Only hashed bytes are stored under a photo's key. Holds no transaction while it stores. Raises `photo.empty`,
    `photo.hash_mismatch` (the bytes are quarantined) and StoreError (nothing is recorded).
    """
    if content.size == 0:
        raise Problem("photo.empty")
    sha256 = content.sha256
    if sha256 != expected.sha256:
        await _quarantine_mismatch(services, context, content)
        raise Problem("photo.hash_mismatch", expected=expected.sha256[:12], received=sha256[:12])
    if expected.state == "announced":
        await services.store.put(original_key(sha256), content.file, content.size, OCTETS)
        received = (context.caller, context.evidence_id, context.upload_id, sha256, content.size, utc_now())
        if await receive_new(services.autocommit, *received):
            return Received(evidence_id=context.evidence_id, state="received", sha256=sha256)
    async with open_session(services.sessions) as session:
        return await mark_received(session, context, sha256, content.size)


async def mark_received(session: AsyncSession, context: UploadContext, sha256: str, size: int) -> Received:
    """Mark a photo received whose bytes are in the store under this hash, and end its upload.

    Raises `server.conflict` when the manifest was changed to another hash meanwhile.
    """
    state = await receive_stored(session, context.caller, context.evidence_id, sha256, size) or await _load_state(
        session, context.evidence_id, sha256
    )
    await _end_upload(session, context, "done")
    return Received(evidence_id=context.evidence_id, state=state, sha256=sha256)


async def receive_stored(
    session: AsyncSession, caller: Caller | None, photo_id: UUID, sha256: str, size: int
) -> State | None:
    """Mark a photo received whose bytes are in the store. Return its state; None: nobody expects it.

    Defer its processing unless the bytes were processed before.
    """
    now = utc_now()
    if not await receive(session, caller, photo_id, sha256, size, now):
        return None
    # Wait for a job that processes or erases the same content at this moment.
    photo = await session.get_one(Photo, sha256, with_for_update=True)
    if photo.state == "stored":
        await jobs.defer(session, ProcessPhoto(sha256=sha256), once=f"examine:{sha256}")
        return "received"
    await complete_visits(session, await apply_outcomes(session, [sha256], now))
    return cast("State", photo.state)


async def _load_state(session: AsyncSession, evidence_id: UUID, sha256: str) -> State:
    expected = await get_expected(session, evidence_id)
    if expected.sha256 != sha256 or expected.state == "announced":
        raise Problem("server.conflict")
    return cast("State", expected.state)


async def has_same_photo(services: Services, caller: Caller, sha256: str) -> bool:
    """Return whether the caller has uploaded these very bytes before and the store still has them."""
    kind, author = (PaperPhoto, PaperPhoto.resident_id) if caller.is_resident else (Evidence, Evidence.author_id)
    same = exists().where(author == caller.id, kind.sha256 == sha256, kind.state != "announced")
    async with open_autocommit(services.sessions) as session:
        sent_before = await session.scalar(select(same))
    return bool(sent_before) and await services.store.exists(original_key(sha256))


async def _quarantine_mismatch(services: Services, context: UploadContext, content: Content) -> None:
    sha256, size = content.sha256, content.size
    await services.store.put(f"mismatched/{sha256}", content.file, size, OCTETS)
    async with open_session(services.sessions) as session:
        session.add(
            MismatchedUpload(
                evidence_id=context.evidence_id, sha256=sha256, size_bytes=size, device_id=context.device_id
            )
        )
        audit.record(
            session, context.caller, Action.EVIDENCE_MISMATCHED, "evidence", context.evidence_id, received=sha256
        )
        await _end_upload(session, context, "mismatched")
        await _recheck_complete_visit(session, context.evidence_id)


async def _recheck_complete_visit(session: AsyncSession, evidence_id: UUID) -> None:
    """A visit that was complete before the mismatched bytes arrived was checked without them: check it again."""
    rows = select(Visit.id).join(Evidence, Evidence.visit_id == Visit.id)
    visit_id = await session.scalar(rows.where(Evidence.id == evidence_id, Visit.complete_at.is_not(None)))
    if visit_id is not None:
        await jobs.defer(session, RecheckVisit(visit_id=visit_id, codes=["photo.swapped"]))


async def _end_upload(session: AsyncSession, context: UploadContext, state: str) -> None:
    """End the upload that brought the bytes, and have its chunks removed."""
    if context.upload_id is None:
        return
    changes: dict[str, Any] = {"state": state, "lease": None, "lease_until": None}
    if state == "done":
        changes["received_bytes"] = Upload.size_bytes
    has_chunks = or_(Upload.way == "put", exists().where(UploadChunk.upload_id == Upload.id))
    statement = update(Upload).where(Upload.id == context.upload_id).values(**changes).returning(has_chunks)
    if await session.scalar(statement.execution_options(synchronize_session=False)):
        await jobs.defer(session, ClearSpool(upload_id=context.upload_id))
