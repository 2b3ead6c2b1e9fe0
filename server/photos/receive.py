"""Photos in: whichever way the bytes came, they must be the ones that the manifest announced.

Bytes with another hash are kept aside under their own and reported; the announced photo stays awaited.
What is in the store is named by its hash, so the same photo sent twice is stored and examined once.
"""

from typing import IO, Any, Literal, NamedTuple, cast
from uuid import UUID

from sqlalchemy import exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import original_key
from server import audit
from server.core import jobs
from server.core.access import Caller, require_found, readable
from server.core.clock import utc_now
from server.core.database import open_autocommit, open_session
from server.core.errors import Problem
from server.core.http import ResponseBody
from server.core.services import Services
from server.models.cases import PaperPhoto
from server.models.evidence import Evidence, MismatchedUpload, Photo
from server.models.uploads import Upload, UploadChunk
from server.models.visits import Visit
from server.photos.statements import CLEAR_SPOOL, apply_outcomes, receive, receive_new
from server.visits.completeness import complete_visits

# What came is called nothing until it was examined.
OCTETS = "application/octet-stream"


State = Literal["received", "verified", "refused"]


class ExpectedPhoto(NamedTuple):
    """What may be uploaded: a photo of a visit, announced by a phone, or of a paper, announced by a resident."""

    id: UUID
    sha256: str
    size_bytes: int
    state: str


class Received(ResponseBody):
    """What became of an upload: `received` waits for examination, the others are final."""

    evidence_id: UUID
    state: State
    sha256: str


class UploadContext(NamedTuple):
    """Which announced photo came, from which device, and by which upload where there is one.

    `caller` is None when a job finishes what a request began.
    """

    evidence_id: UUID
    device_id: UUID
    caller: Caller | None
    upload_id: str | None = None


class Content(NamedTuple):
    """All bytes that came, hashed on their way; the file stands at its start."""

    file: IO[bytes]
    size: int
    sha256: str


async def find_expected(services: Services, caller: Caller, evidence_id: UUID) -> ExpectedPhoto:
    """The caller's own announced photo: a resident's is of a paper. Raises `thing.not_found`."""
    if not caller.is_resident:
        rows = await services.autocommit.run(OWN_EXPECTED_PHOTO, {"id": evidence_id, "caller": caller.id})
        return ExpectedPhoto._make(require_found(rows[0] if rows else None))
    columns = (PaperPhoto.id, PaperPhoto.sha256, PaperPhoto.size_bytes, PaperPhoto.state)
    wanted = readable(PaperPhoto, caller).where(PaperPhoto.id == evidence_id).with_only_columns(*columns)
    async with open_autocommit(services.sessions) as session:
        return ExpectedPhoto._make(require_found((await session.execute(wanted)).one_or_none()))


# Only its author sends a photo: narrower than who may read it.
OWN_EXPECTED_PHOTO = "SELECT id, sha256, size_bytes, state FROM evidence WHERE id = %(id)s AND author_id = %(caller)s"


async def get_expected(session: AsyncSession, evidence_id: UUID) -> ExpectedPhoto:
    """As a job finds it, which no caller stands behind."""
    connection = await session.connection()
    return ExpectedPhoto._make((await connection.exec_driver_sql(EXPECTED_PHOTO, {"id": evidence_id})).one())


EXPECTED_PHOTO = """
SELECT id, sha256, size_bytes, state FROM evidence WHERE id = %(id)s
UNION ALL SELECT id, sha256, size_bytes, state FROM paper_photo WHERE id = %(id)s
"""


async def receive_photo(
    services: Services, arrival: UploadContext, announced: ExpectedPhoto, content: Content
) -> Received:
    """All bytes of an announced photo are here. The same bytes again are the same success.

    Nothing stands under a photo's name in the store that was not hashed before. Holds no transaction while
    it stores. Raises `photo.hash_mismatch` (bytes kept aside) and StoreError (nothing noted).
    """
    sha256 = content.sha256
    if sha256 != announced.sha256:
        await _keep_aside(services, arrival, content)
        raise Problem("photo.hash_mismatch", expected=announced.sha256[:12], received=sha256[:12])
    if announced.state == "announced":
        await services.store.put(original_key(sha256), content.file, content.size, OCTETS)
        told = (arrival.caller, arrival.evidence_id, arrival.upload_id, sha256, content.size, utc_now())
        if await receive_new(services.autocommit, *told):
            return Received(evidence_id=arrival.evidence_id, state="received", sha256=sha256)
    async with open_session(services.sessions) as session:
        return await mark_received(session, arrival, sha256, content.size)


async def mark_received(session: AsyncSession, arrival: UploadContext, sha256: str, size: int) -> Received:
    """The store has the bytes under this hash: the photo is received, and its upload is done.

    Raises `server.conflict` when the manifest came to name another hash meanwhile.
    """
    state = await _receive(session, arrival, sha256, size) or await _state_of(session, arrival.evidence_id, sha256)
    await _end_upload(session, arrival, "done")
    return Received(evidence_id=arrival.evidence_id, state=state, sha256=sha256)


async def _receive(session: AsyncSession, arrival: UploadContext, sha256: str, size: int) -> State | None:
    """Note it, and have it examined unless it was. None: not awaited."""
    now = utc_now()
    if not await receive(session, arrival.caller, arrival.evidence_id, sha256, size, now):
        return None
    # Whoever examines or erases the same content at this moment is waited for.
    photo = await session.get_one(Photo, sha256, with_for_update=True)
    if photo.state == "stored":
        await jobs.defer(session, "evidence.examine", once=f"examine:{sha256}", sha256=sha256)
        return "received"
    await complete_visits(session, await apply_outcomes(session, [sha256], now))
    return cast("State", photo.state)


async def _state_of(session: AsyncSession, evidence_id: UUID, sha256: str) -> State:
    claim = await get_expected(session, evidence_id)
    if claim.sha256 != sha256 or claim.state == "announced":
        raise Problem("server.conflict")
    return cast("State", claim.state)


async def has_same_photo(services: Services, caller: Caller, sha256: str) -> bool:
    """Whether the caller has sent these very bytes before, and the store still has them."""
    kind, author = (PaperPhoto, PaperPhoto.resident_id) if caller.is_resident else (Evidence, Evidence.author_id)
    same = exists().where(author == caller.id, kind.sha256 == sha256, kind.state != "announced")
    async with open_autocommit(services.sessions) as session:
        sent_before = await session.scalar(select(same))
    return bool(sent_before) and await services.store.exists(original_key(sha256))


async def _keep_aside(services: Services, arrival: UploadContext, content: Content) -> None:
    sha256, size = content.sha256, content.size
    await services.store.put(f"mismatched/{sha256}", content.file, size, OCTETS)
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


async def _end_upload(session: AsyncSession, arrival: UploadContext, state: str) -> None:
    """The upload that brought the bytes needs its pieces no more."""
    if arrival.upload_id is None:
        return
    changes: dict[str, Any] = {"state": state, "lease": None, "lease_until": None}
    if state == "done":
        changes["received_bytes"] = Upload.size_bytes
    has_pieces = or_(Upload.way == "put", exists().where(UploadChunk.upload_id == Upload.id))
    ended = update(Upload).where(Upload.id == arrival.upload_id).values(**changes).returning(has_pieces)
    if await session.scalar(ended.execution_options(synchronize_session=False)):
        await jobs.defer(session, CLEAR_SPOOL, upload_id=arrival.upload_id)
