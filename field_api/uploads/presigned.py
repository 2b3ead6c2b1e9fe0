"""Upload a photo straight to the store by a presigned PUT, for good networks; the phone reports when it is done.

The object has a key of its own until it is hashed, so a signed link can't overwrite a photo.
"""

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from field_api.uploads.resumable import check_size
from media.store import ObjectMissing, spool_prefix
from server.core.access import Caller
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Problem
from server.core.http import ResponseBody
from server.core.ids import new_secret_id
from server.core.services import Services
from server.models.uploads import Upload
from server.photos.receive import (
    Content,
    ExpectedPhoto,
    Received,
    UploadContext,
    find_expected,
    has_same_photo,
    mark_received,
    receive_photo,
)

LINK_LIFETIME = timedelta(minutes=30)
# The phone may report long after the link has expired.
LIFETIME = timedelta(days=2)


class PutLink(ResponseBody):
    """Where to PUT the bytes. No link means that the server already has them: see `received`."""

    url: str | None = None
    expires_at: datetime | None = None
    received: Received | None = None


async def make_put_link(services: Services, caller: Caller, evidence_id: UUID) -> PutLink:
    """Sign a link, or mark the photo received if the server has it.

    Raises `thing.not_found`, `photo.too_many_bytes`.
    """
    expected = await find_expected(services, caller, evidence_id)
    check_size(services, expected.size_bytes)
    if expected.state != "announced" or await has_same_photo(services, caller, expected.sha256):
        async with open_session(services.sessions) as session:
            context = UploadContext(evidence_id, caller.device_id, caller)
            return PutLink(received=await mark_received(session, context, expected.sha256, expected.size_bytes))
    async with open_session(services.sessions) as session:
        upload = await _find_open_upload(session, caller, evidence_id) or _new_upload(caller, expected)
        session.add(upload)
    url = services.store.put_link(_key(upload.id), LINK_LIFETIME)
    return PutLink(url=url, expires_at=utc_now() + LINK_LIFETIME)


async def _find_open_upload(session: AsyncSession, caller: Caller, evidence_id: UUID) -> Upload | None:
    statement = select(Upload).where(
        Upload.in_scope(caller),
        Upload.evidence_id == evidence_id,
        Upload.way == "put",
        Upload.state == "open",
        Upload.expires_at > utc_now(),
    )
    upload: Upload | None = await session.scalar(statement.order_by(Upload.created_at.desc()).limit(1))
    return upload


def _new_upload(caller: Caller, expected: ExpectedPhoto) -> Upload:
    return Upload(
        id=new_secret_id(),
        evidence_id=expected.id,
        author_id=caller.id,
        device_id=caller.device_id,
        way="put",
        size_bytes=expected.size_bytes,
        expires_at=utc_now() + LIFETIME,
    )


def _key(upload_id: str) -> str:
    return f"{spool_prefix(upload_id)}whole"


async def finish_put(services: Services, caller: Caller, evidence_id: UUID) -> Received:
    """Receive a photo that the phone reports as PUT. Idempotent.

    Raises `thing.not_found`, `upload.nothing_put`, `photo.too_many_bytes`, `photo.hash_mismatch`.
    """
    expected = await find_expected(services, caller, evidence_id)
    async with open_session(services.sessions) as session:
        upload = await _find_open_upload(session, caller, evidence_id)
        context = UploadContext(evidence_id, caller.device_id, caller, upload.id if upload else None)
        if expected.state != "announced":
            return await mark_received(session, context, expected.sha256, expected.size_bytes)
    if upload is None:
        raise Problem("upload.nothing_put")
    try:
        return await _receive(services, context, expected)
    except ObjectMissing:
        raise Problem("upload.nothing_put") from None


async def _receive(services: Services, context: UploadContext, expected: ExpectedPhoto) -> Received:
    key = _key(str(context.upload_id))
    # A signed link does not limit the size, so check it before reading.
    check_size(services, (await services.store.stat(key)).size)
    with TemporaryDirectory(prefix="zoufang-") as folder:
        path = Path(folder) / "photo"
        joined = await services.store.join([key], path)
        with path.open("rb") as file:
            return await receive_photo(services, context, expected, Content(file, joined.size, joined.sha256))
