"""Uploads that resume: pieces of any size, in order, to whichever replica, and none lost once acknowledged.

A piece is written to the store first and then noted with the new offset in one transaction, so the offset
is true after a crash at any byte. One request at a time writes to an upload: it holds a short lease, and
each of its notes is taken only with that lease. No transaction is open while a phone is being slow.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from field_api.uploads.body import Body, Spool
from field_api.uploads.tus import Checksum, Creation
from media.store import spool_key
from server import audit
from server.core import jobs
from server.core.access import Caller, require_found
from server.core.clock import utc_now
from server.core.database import open_autocommit, open_session
from server.core.errors import Problem
from server.core.services import Services
from server.models.evidence import Evidence
from server.models.uploads import Upload, UploadChunk, new_upload_id
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

# A phone may be a week without a network.
LIFETIME = timedelta(days=7)
# A piece goes to the store when it is so large, or when so long has passed since the one before.
SEGMENT_BYTES = 4 * 1024 * 1024
SEGMENT_SECONDS = 2.0
# Renewed with each piece: a request that hears nothing loses it, and the phone's next one may write.
LEASE = timedelta(seconds=6)


@dataclass(frozen=True)
class Progress:
    """Where an upload stands."""

    upload_id: str
    offset: int
    size: int
    expires_at: datetime
    metadata_told: str


async def create_upload(services: Services, caller: Caller, wish: Creation) -> Progress:
    """Begin the upload of an announced photo. One that the server has from this caller is done at once.

    Raises `thing.not_found`, `upload.size_differs`, `photo.too_many_bytes`.
    """
    check_size(services, wish.size_bytes)
    evidence = await find_expected(services, caller, wish.evidence_id)
    if wish.size_bytes != evidence.size_bytes:
        raise Problem("upload.size_differs", announced=evidence.size_bytes, received=wish.size_bytes)
    is_here = evidence.state != "announced" or await has_same_photo(services, caller, evidence.sha256)
    async with open_session(services.sessions) as session:
        await _end_forgotten(session, evidence.id)
        upload = Upload(
            id=new_upload_id(),
            evidence_id=evidence.id,
            author_id=caller.id,
            device_id=caller.device_id,
            way="tus",
            size_bytes=wish.size_bytes,
            metadata_told=wish.metadata_told,
            expires_at=utc_now() + LIFETIME,
        )
        session.add(upload)
        await session.flush()  # it is ended by a statement where the photo is here already
        if is_here:
            await mark_received(session, _arrival(upload, caller), evidence.sha256, evidence.size_bytes)
            await session.refresh(upload)
        return _progress(upload)


def check_size(services: Services, size: int) -> None:
    if size > max_photo_bytes(services):
        raise Problem("photo.too_many_bytes")


def max_photo_bytes(services: Services) -> int:
    return services.settings.max_photo_mb * 1024 * 1024


async def _end_forgotten(session: AsyncSession, evidence_id: UUID) -> None:
    """A phone that starts anew has lost the address of its earlier upload: the sweep may have it."""
    now = utc_now()
    forgotten = (Upload.evidence_id == evidence_id, Upload.way == "tus", Upload.state == "open")
    await session.execute(update(Upload).where(*forgotten, Upload.nobody_writes(now)).values(expires_at=now))


def _arrival(upload: Upload, caller: Caller | None) -> UploadContext:
    return UploadContext(upload.evidence_id, upload.device_id, caller, upload.id)


def _progress(upload: Upload) -> Progress:
    return Progress(upload.id, upload.received_bytes, upload.size_bytes, upload.expires_at, upload.metadata_told)


async def read_progress(services: Services, caller: Caller, upload_id: str) -> Progress:
    """Where it stands. One that has all its bytes and was not finished (a crash, the store away) is finished now.

    Raises `thing.not_found`, `upload.gone`; `upload.busy` while the last bytes are being looked at.
    """
    async with open_autocommit(services.sessions) as session:
        upload = await _find(session, caller, upload_id)
    if upload.state == "open" and upload.received_bytes == upload.size_bytes:
        held = await _hold(services, caller, upload_id, upload.size_bytes)
        async with _letting_go(services, held):
            await _finish(services, held)
    return _progress(upload)


async def finish_unattended(services: Services, upload_id: str) -> None:
    """What a crash left with all its bytes and no end; the phone may never ask again."""
    async with open_autocommit(services.sessions) as session:
        upload = await _find(session, None, upload_id)
    held = await _hold(services, None, upload_id, upload.size_bytes)
    async with _letting_go(services, held):
        await _finish(services, held)


async def append(
    services: Services, caller: Caller, upload_id: str, offset: int, body: Body, checksum: Checksum | None
) -> Progress:
    """Take the bytes that follow `offset`. When the connection is cut, what came is kept.

    With a checksum the piece is kept whole or not at all. Raises `upload.offset_differs`, `upload.busy`,
    `upload.too_long`, `upload.checksum_failed`, and with the last byte what `receive_photo` raises.
    """
    held = await _hold(services, caller, upload_id, offset)
    if held.is_done:
        return held.progress()
    if (body.announced_bytes or 0) > held.room:
        await _let_go(services, held)
        raise Problem("upload.too_long")
    async with _letting_go(services, held):
        if checksum is None:
            await _take_pieces(services, held, body)
        else:
            await _take_checked(services, held, body, checksum)
        if held.room == 0 and not held.is_done:
            await _finish(services, held)
    return held.progress()


@dataclass
class UploadLease:
    """An upload that this request alone may write to, and how far it has come."""

    arrival: UploadContext
    upload_id: str
    lease: UUID
    offset: int
    size: int
    expires_at: datetime
    metadata_told: str
    is_done: bool = False
    is_free: bool = False

    @property
    def room(self) -> int:
        return self.size - self.offset

    def progress(self) -> Progress:
        return Progress(self.upload_id, self.offset, self.size, self.expires_at, self.metadata_told)


async def _hold(services: Services, caller: Caller | None, upload_id: str, offset: int) -> UploadLease:
    """Take the lease, or find out what is in the way. Raises `upload.offset_differs` and `upload.busy`."""
    now, lease = utc_now(), uuid4()
    free = (*_of_caller(caller, upload_id), Upload.state == "open", Upload.received_bytes == offset)
    taken = (
        update(Upload)
        .where(*free, Upload.expires_at > now, Upload.nobody_writes(now))
        .values(lease=lease, lease_until=now + LEASE)
        .returning(Upload)
        .execution_options(synchronize_session=False)
    )
    async with open_autocommit(services.sessions) as session:
        upload = await session.scalar(taken)
        if upload is None:
            upload = await _find(session, caller, upload_id)
            _check_offset(upload, offset)
            if upload.state != "done":
                raise Problem("upload.busy", headers={"Retry-After": "1"})
    return UploadLease(
        arrival=_arrival(upload, caller),
        upload_id=upload.id,
        lease=lease,
        offset=offset,
        size=upload.size_bytes,
        expires_at=upload.expires_at,
        metadata_told=upload.metadata_told,
        is_done=upload.state == "done",
    )


def _check_offset(upload: Upload, offset: int) -> None:
    if upload.received_bytes != offset:
        raise Problem(
            "upload.offset_differs",
            offset=upload.received_bytes,
            headers={"Upload-Offset": str(upload.received_bytes)},
        )


def _of_caller(caller: Caller | None, upload_id: str) -> list[ColumnElement[bool]]:
    mine = [] if caller is None else [Upload.in_scope(caller)]
    return [Upload.id == upload_id, Upload.way == "tus", *mine]


async def _find(session: AsyncSession, caller: Caller | None, upload_id: str, *, lock: bool = False) -> Upload:
    wanted = select(Upload).where(*_of_caller(caller, upload_id))
    upload: Upload = require_found(await session.scalar(wanted.with_for_update() if lock else wanted))
    if upload.state == "mismatched" or upload.expires_at <= utc_now():
        raise Problem("upload.gone")
    return upload


@contextlib.asynccontextmanager
async def _letting_go(services: Services, held: UploadLease) -> AsyncIterator[None]:
    try:
        yield
    finally:
        # The lease ends by itself where the database is away too; the error that matters is the first.
        with contextlib.suppress(DBAPIError):
            await _let_go(services, held)


async def _let_go(services: Services, held: UploadLease) -> None:
    if held.is_done or held.is_free:
        return
    async with open_autocommit(services.sessions) as session:
        mine = (Upload.id == held.upload_id, Upload.lease == held.lease)
        await session.execute(update(Upload).where(*mine).values(lease=None, lease_until=None))


async def _take_pieces(services: Services, held: UploadLease, body: Body) -> None:
    while not body.ended:
        with Spool() as spool:
            await body.fill(spool, enough_bytes=SEGMENT_BYTES, at_most_bytes=held.room, seconds=SEGMENT_SECONDS)
            await _keep(services, held, spool, is_last=body.ended)


async def _take_checked(services: Services, held: UploadLease, body: Body, checksum: Checksum) -> None:
    with Spool(checksum.algorithm) as spool:
        while not body.ended:
            before = spool.size
            await body.fill(spool, enough_bytes=held.size + 1, at_most_bytes=held.room, seconds=SEGMENT_SECONDS)
            if not body.ended and spool.size > before:
                await _note(services, held)
        if spool.digest(checksum.algorithm) != checksum.digest:
            raise Problem("upload.checksum_failed")
        await _keep(services, held, spool, is_last=True)


async def _keep(services: Services, held: UploadLease, spool: Spool, *, is_last: bool) -> None:
    """Put one piece into the store and note it; a photo that came in one piece goes to its own place at once.

    With the last piece of a request the upload is free again, unless it is whole and has to be finished.
    """
    if spool.size == 0:
        return
    if spool.size == held.size:
        await _take_in(services, held, spool.content)
        held.offset = held.size
        return
    # The lease in the name: a request that lost it can't overwrite what its successor wrote.
    key = f"{spool_key(held.upload_id, held.offset)}-{held.lease.hex}"
    await services.store.put(key, spool.content.file, spool.size, OCTETS)
    await _note(services, held, spool.size, key, frees=is_last and spool.size < held.room)


async def _note(services: Services, held: UploadLease, size: int = 0, key: str = "", *, frees: bool = False) -> None:
    """Write down the piece, if there is one, and keep the lease or let go. Raises `upload.busy` when it was lost."""
    now = utc_now()
    told = {
        "id": held.upload_id,
        "lease": held.lease,
        "until": None if frees else now + LEASE,
        "expires": now + LIFETIME,
        "start": held.offset,
        "size": size,
        "key": key,
    }
    async with open_autocommit(services.sessions) as session:
        connection = await session.connection()
        if (await connection.exec_driver_sql(RECORD_CHUNK, told)).first() is None:
            raise Problem("upload.busy", headers={"Retry-After": "1"})
    held.expires_at = now + LIFETIME
    held.offset += size
    held.is_free = frees


RECORD_CHUNK = """
WITH mine AS (
    UPDATE upload SET expires_at = %(expires)s, received_bytes = received_bytes + %(size)s,
        lease_until = %(until)s, lease = CASE WHEN %(until)s::timestamptz IS NULL THEN NULL ELSE lease END
    WHERE id = %(id)s AND lease = %(lease)s RETURNING id
), piece AS (
    INSERT INTO upload_chunk (upload_id, start_at, size_bytes, object_key)
    SELECT id, %(start)s, %(size)s, %(key)s FROM mine WHERE %(size)s > 0
)
SELECT id FROM mine
"""


async def _finish(services: Services, held: UploadLease) -> None:
    """Join the pieces and take the photo in. Safe to do again: nothing is changed before it is whole."""
    async with open_autocommit(services.sessions) as session:
        keys = await session.scalars(
            select(UploadChunk.object_key).where(UploadChunk.upload_id == held.upload_id).order_by(UploadChunk.start_at)
        )
    with TemporaryDirectory(prefix="zoufang-") as folder:
        path = Path(folder) / "photo"
        joined = await services.store.join(keys.all(), path)
        with path.open("rb") as file:
            await _take_in(services, held, Content(file, joined.size, joined.sha256))


async def _take_in(services: Services, held: UploadLease, content: Content) -> None:
    async with open_autocommit(services.sessions) as session:
        announced = await get_expected(session, held.arrival.evidence_id)
    await receive_photo(services, held.arrival, announced, content)
    held.is_done = True


async def terminate(services: Services, caller: Caller, upload_id: str) -> None:
    """End the upload and free what it holds. A photo that arrived stays: only the visit decides about it.

    Raises `upload.visit_submitted` once the visit is, `upload.busy` while someone writes.
    """
    async with open_session(services.sessions) as session:
        upload = await _find(session, caller, upload_id, lock=True)
        if upload.lease_until is not None and upload.lease_until > utc_now():
            raise Problem("upload.busy", headers={"Retry-After": "1"})
        if await session.scalar(select(_visit_is_submitted(upload))):
            raise Problem("upload.visit_submitted")
        audit.record(session, caller, "upload.terminated", "evidence", upload.evidence_id)
        await session.delete(upload)
        await jobs.defer(session, "uploads.clear", upload_id=upload.id)


def _visit_is_submitted(upload: Upload) -> ColumnElement[bool]:
    return exists().where(
        Evidence.id == upload.evidence_id,
        Visit.id == Evidence.visit_id,
        Visit.state.not_in(("draft", "discarded")),
    )
