"""Resumable uploads: chunks of any size, in order, through any replica; an acknowledged chunk is never lost.

A chunk is written to the store first and then recorded with the new offset in one transaction, so the offset is true
after a crash at any byte. Only one request at a time writes to an upload: it holds a short lease, and each recorded
chunk requires that lease. No transaction is open while a slow phone is sending.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from field_api.uploads.body import Body, Spool
from field_api.uploads.tus import Checksum, Creation
from media.store import spool_key
from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import Caller, require_found
from server.core.clock import utc_now
from server.core.database import open_autocommit, open_session
from server.core.errors import Problem
from server.core.ids import new_secret_id
from server.core.job_types import ClearSpool
from server.core.services import Services
from server.models.evidence import Evidence
from server.models.uploads import Upload, UploadChunk
from server.models.visits import Visit
from server.photos.receive import (
    OCTETS,
    Content,
    UploadContext,
    find_expected,
    get_expected,
    has_same_photo,
    mark_received,
    receive_photo,
)

# A phone may be offline for a week.
LIFETIME = timedelta(days=7)
# A chunk is stored when it has this size, or this long after the chunk before.
SEGMENT_BYTES = 4 * 1024 * 1024
SEGMENT_SECONDS = 2.0
# Renewed with each chunk: a request without data loses it, and the phone's next request may write.
LEASE = timedelta(seconds=6)


@dataclass(frozen=True)
class Progress:
    upload_id: str
    offset: int
    size: int
    expires_at: datetime
    upload_metadata: str


async def create_upload(services: Services, caller: Caller, creation: Creation) -> Progress:
    """Create the upload of an announced photo. It is complete at once if this caller has uploaded the photo before.

    Raises `thing.not_found`, `upload.size_differs`, `photo.empty`, `photo.too_many_bytes`.
    """
    check_size(services, creation.size_bytes)
    expected = await find_expected(services, caller, creation.evidence_id)
    if creation.size_bytes != expected.size_bytes:
        raise Problem("upload.size_differs", announced=expected.size_bytes, received=creation.size_bytes)
    is_stored = expected.state != "announced" or await has_same_photo(services, caller, expected.sha256)
    async with open_session(services.sessions) as session:
        await _expire_abandoned(session, expected.id)
        upload = Upload(
            id=new_secret_id(),
            evidence_id=expected.id,
            author_id=caller.id,
            device_id=caller.device_id,
            way="tus",
            size_bytes=creation.size_bytes,
            upload_metadata=creation.upload_metadata,
            expires_at=utc_now() + LIFETIME,
        )
        session.add(upload)
        await session.flush()  # mark_received ends the upload by an UPDATE statement
        if is_stored:
            await mark_received(session, _context(upload, caller), expected.sha256, expected.size_bytes)
            await session.refresh(upload)
        return _progress(upload)


async def append_first(
    services: Services, caller: Caller, created: Progress, body: Body, checksum: Checksum | None
) -> Progress:
    """Append the bytes that came with the creation. When they are refused, the upload is removed: nobody has its URL.

    Raises what `append` raises.
    """
    try:
        return await append(services, caller, created.upload_id, 0, body, checksum)
    except Problem:
        own = (*_is_own(caller, created.upload_id), Upload.state == "open", Upload.received_bytes == 0)
        async with open_autocommit(services.sessions) as session:
            await session.execute(delete(Upload).where(*own))
        raise


def check_size(services: Services, size: int) -> None:
    if size == 0:
        raise Problem("photo.empty")
    if size > max_photo_bytes(services):
        raise Problem("photo.too_many_bytes")


def max_photo_bytes(services: Services) -> int:
    return services.settings.max_photo_mb * 1024 * 1024


async def _expire_abandoned(session: AsyncSession, evidence_id: UUID) -> None:
    """Expire the photo's earlier uploads: a phone that creates a new upload has lost their URLs."""
    now = utc_now()
    abandoned = (Upload.evidence_id == evidence_id, Upload.way == "tus", Upload.state == "open")
    await session.execute(update(Upload).where(*abandoned, Upload.lease_is_free(now)).values(expires_at=now))


def _context(upload: Upload, caller: Caller | None) -> UploadContext:
    return UploadContext(upload.evidence_id, upload.device_id, caller, upload.id)


def _progress(upload: Upload) -> Progress:
    return Progress(upload.id, upload.received_bytes, upload.size_bytes, upload.expires_at, upload.upload_metadata)


async def read_progress(services: Services, caller: Caller, upload_id: str) -> Progress:
    """Return the progress. Finish an upload that has all its bytes but was interrupted by a crash or a store failure.

    Raises `thing.not_found`, `upload.gone`; `upload.busy` while another request finishes it.
    """
    async with open_autocommit(services.sessions) as session:
        upload = await _find_upload(session, caller, upload_id)
    if upload.state == "open" and upload.received_bytes == upload.size_bytes:
        lease = await _acquire_lease(services, caller, upload_id, upload.size_bytes)
        async with _releasing(services, lease):
            await _finish(services, lease)
    return _progress(upload)


async def finish_unattended(services: Services, upload_id: str) -> None:
    """Finish an upload that a crash left with all its bytes; the phone may never ask for it again."""
    async with open_autocommit(services.sessions) as session:
        upload = await _find_upload(session, None, upload_id)
    lease = await _acquire_lease(services, None, upload_id, upload.size_bytes)
    async with _releasing(services, lease):
        await _finish(services, lease)


async def append(
    services: Services, caller: Caller, upload_id: str, offset: int, body: Body, checksum: Checksum | None
) -> Progress:
    """Append the bytes that follow `offset`. When the connection is cut, the bytes before the cut are stored.

    With a checksum the body is stored completely or not at all. Raises `upload.offset_differs`, `upload.busy`,
    `upload.too_long`, `upload.checksum_failed`, and with the last byte what `receive_photo` raises.
    """
    lease = await _acquire_lease(services, caller, upload_id, offset)
    if lease.is_done:
        return lease.progress()
    if (body.announced_bytes or 0) > lease.remaining_bytes:
        await _release_lease(services, lease)
        raise Problem("upload.too_long")
    async with _releasing(services, lease):
        if checksum is None:
            await _append_chunks(services, lease, body)
        else:
            await _append_checked(services, lease, body, checksum)
        if lease.remaining_bytes == 0 and not lease.is_done:
            await _finish(services, lease)
    return lease.progress()


@dataclass
class UploadLease:
    """An upload that only this request may write to, and its progress."""

    context: UploadContext
    upload_id: str
    token: UUID
    offset: int
    size: int
    expires_at: datetime
    upload_metadata: str
    is_done: bool = False
    is_released: bool = False

    @property
    def remaining_bytes(self) -> int:
        return self.size - self.offset

    def progress(self) -> Progress:
        return Progress(self.upload_id, self.offset, self.size, self.expires_at, self.upload_metadata)


async def _acquire_lease(services: Services, caller: Caller | None, upload_id: str, offset: int) -> UploadLease:
    """Acquire the lease; an upload that is done needs none. Raises `upload.offset_differs` and `upload.busy`."""
    now, token = utc_now(), uuid4()
    free = (*_is_own(caller, upload_id), Upload.state == "open", Upload.received_bytes == offset)
    statement = (
        update(Upload)
        .where(*free, Upload.expires_at > now, Upload.lease_is_free(now))
        .values(lease=token, lease_until=now + LEASE)
        .returning(Upload)
        .execution_options(synchronize_session=False)
    )
    async with open_autocommit(services.sessions) as session:
        upload = await session.scalar(statement)
        if upload is None:
            upload = await _find_upload(session, caller, upload_id)
            _check_offset(upload, offset)
            if upload.state != "done":
                raise Problem("upload.busy", headers={"Retry-After": "1"})
    return UploadLease(
        context=_context(upload, caller),
        upload_id=upload.id,
        token=token,
        offset=offset,
        size=upload.size_bytes,
        expires_at=upload.expires_at,
        upload_metadata=upload.upload_metadata,
        is_done=upload.state == "done",
    )


def _check_offset(upload: Upload, offset: int) -> None:
    if upload.received_bytes != offset:
        raise Problem(
            "upload.offset_differs",
            offset=upload.received_bytes,
            headers={"Upload-Offset": str(upload.received_bytes)},
        )


def _is_own(caller: Caller | None, upload_id: str) -> list[ColumnElement[bool]]:
    scope = [] if caller is None else [Upload.in_scope(caller)]
    return [Upload.id == upload_id, Upload.way == "tus", *scope]


async def _find_upload(session: AsyncSession, caller: Caller | None, upload_id: str, *, lock: bool = False) -> Upload:
    statement = select(Upload).where(*_is_own(caller, upload_id))
    upload: Upload = require_found(await session.scalar(statement.with_for_update() if lock else statement))
    if upload.state == "mismatched" or upload.expires_at <= utc_now():
        raise Problem("upload.gone")
    return upload


@contextlib.asynccontextmanager
async def _releasing(services: Services, lease: UploadLease) -> AsyncIterator[None]:
    try:
        yield
    finally:
        # If the database is down the lease expires by itself; the first error is the one to raise.
        with contextlib.suppress(DBAPIError):
            await _release_lease(services, lease)


async def _release_lease(services: Services, lease: UploadLease) -> None:
    if lease.is_done or lease.is_released:
        return
    async with open_autocommit(services.sessions) as session:
        own = (Upload.id == lease.upload_id, Upload.lease == lease.token)
        await session.execute(update(Upload).where(*own).values(lease=None, lease_until=None))


async def _append_chunks(services: Services, lease: UploadLease, body: Body) -> None:
    while not body.ended:
        with Spool() as spool:
            await body.fill(
                spool, enough_bytes=SEGMENT_BYTES, at_most_bytes=lease.remaining_bytes, seconds=SEGMENT_SECONDS
            )
            await _store_chunk(services, lease, spool, is_last=body.ended)


async def _append_checked(services: Services, lease: UploadLease, body: Body, checksum: Checksum) -> None:
    with Spool(checksum.algorithm) as spool:
        while not body.ended:
            before = spool.size
            await body.fill(
                spool, enough_bytes=lease.size + 1, at_most_bytes=lease.remaining_bytes, seconds=SEGMENT_SECONDS
            )
            if not body.ended and spool.size > before:
                await _record_chunk(services, lease)
        if spool.digest(checksum.algorithm) != checksum.digest:
            raise Problem("upload.checksum_failed")
        await _store_chunk(services, lease, spool, is_last=True)


async def _store_chunk(services: Services, lease: UploadLease, spool: Spool, *, is_last: bool) -> None:
    """Store a chunk and record it; a photo that arrives in one chunk is received at once.

    The last chunk of a request releases the lease, unless the upload is complete and has to be finished.
    """
    if spool.size == 0:
        return
    if spool.size == lease.size:
        await _receive(services, lease, spool.content)
        lease.offset = lease.size
        return
    # The key holds the lease's token: a request that lost its lease can't overwrite its successor's chunk.
    key = f"{spool_key(lease.upload_id, lease.offset)}-{lease.token.hex}"
    await services.store.put(key, spool.content.file, spool.size, OCTETS)
    releases = is_last and spool.size < lease.remaining_bytes
    await _record_chunk(services, lease, spool.size, key, releases=releases)


async def _record_chunk(
    services: Services, lease: UploadLease, size: int = 0, key: str = "", *, releases: bool = False
) -> None:
    """Record the chunk, if any, and renew or release the lease. Raises `upload.busy` when the lease was lost."""
    now = utc_now()
    params = {
        "id": lease.upload_id,
        "lease": lease.token,
        "until": None if releases else now + LEASE,
        "expires": now + LIFETIME,
        "start": lease.offset,
        "size": size,
        "key": key,
    }
    async with open_autocommit(services.sessions) as session:
        connection = await session.connection()
        if (await connection.exec_driver_sql(RECORD_CHUNK, params)).first() is None:
            raise Problem("upload.busy", headers={"Retry-After": "1"})
    lease.expires_at = now + LIFETIME
    lease.offset += size
    lease.is_released = releases


RECORD_CHUNK = """
WITH own AS (
    UPDATE upload SET expires_at = %(expires)s, received_bytes = received_bytes + %(size)s,
        lease_until = %(until)s, lease = CASE WHEN %(until)s::timestamptz IS NULL THEN NULL ELSE lease END
    WHERE id = %(id)s AND lease = %(lease)s RETURNING id
), chunk AS (
    INSERT INTO upload_chunk (upload_id, start_at, size_bytes, object_key)
    SELECT id, %(start)s, %(size)s, %(key)s FROM own WHERE %(size)s > 0
)
SELECT id FROM own
"""


async def _finish(services: Services, lease: UploadLease) -> None:
    """Join the chunks and receive the photo. Idempotent: nothing changes before the photo is complete."""
    async with open_autocommit(services.sessions) as session:
        keys = await session.scalars(
            select(UploadChunk.object_key)
            .where(UploadChunk.upload_id == lease.upload_id)
            .order_by(UploadChunk.start_at)
        )
    with TemporaryDirectory(prefix="zoufang-") as folder:
        path = Path(folder) / "photo"
        joined = await services.store.join(keys.all(), path)
        with path.open("rb") as file:
            await _receive(services, lease, Content(file, joined.size, joined.sha256))


async def _receive(services: Services, lease: UploadLease, content: Content) -> None:
    async with open_autocommit(services.sessions) as session:
        expected = await get_expected(session, lease.context.evidence_id)
    await receive_photo(services, lease.context, expected, content)
    lease.is_done = True


async def terminate(services: Services, caller: Caller, upload_id: str) -> None:
    """Delete the upload and its chunks. A received photo stays: only the visit decides about it.

    Raises `upload.visit_submitted` once the visit is submitted, `upload.busy` while another request writes.
    """
    async with open_session(services.sessions) as session:
        upload = await _find_upload(session, caller, upload_id, lock=True)
        if upload.lease_until is not None and upload.lease_until > utc_now():
            raise Problem("upload.busy", headers={"Retry-After": "1"})
        if await session.scalar(select(_is_visit_submitted(upload))):
            raise Problem("upload.visit_submitted")
        audit.record(session, caller, Action.UPLOAD_TERMINATED, "evidence", upload.evidence_id)
        await session.delete(upload)
        await jobs.defer(session, ClearSpool(upload_id=upload.id))


def _is_visit_submitted(upload: Upload) -> ColumnElement[bool]:
    return exists().where(
        Evidence.id == upload.evidence_id,
        Visit.id == Evidence.visit_id,
        Visit.state.not_in(("draft", "discarded")),
    )
