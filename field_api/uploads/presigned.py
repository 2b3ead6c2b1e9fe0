"""A photo put straight into the store by a signed link, for good networks; then the phone says so.

What was put lies under a name of its own until it was hashed: a link can't touch what others rely on.
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
from server.core.services import Services
from server.models.uploads import Upload, new_upload_id
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
# The phone may say that it is done long after the link has ended.
LIFETIME = timedelta(days=2)


class PutLink(ResponseBody):
    """Where to put the bytes. No link means that the server has them already: see `received`."""

    url: str | None = None
    expires_at: datetime | None = None
    received: Received | None = None


async def make_put_link(services: Services, caller: Caller, evidence_id: UUID) -> PutLink:
    """Raises `thing.not_found`, `photo.too_many_bytes`."""
    evidence = await find_expected(services, caller, evidence_id)
    check_size(services, evidence.size_bytes)
    if evidence.state != "announced" or await has_same_photo(services, caller, evidence.sha256):
        async with open_session(services.sessions) as session:
            arrival = UploadContext(evidence_id, caller.device_id, caller)
            return PutLink(received=await mark_received(session, arrival, evidence.sha256, evidence.size_bytes))
    async with open_session(services.sessions) as session:
        upload = await _open_upload(session, caller, evidence_id) or _new_upload(caller, evidence)
        session.add(upload)
    url = services.store.put_link(_key(upload.id), LINK_LIFETIME)
    return PutLink(url=url, expires_at=utc_now() + LINK_LIFETIME)


async def _open_upload(session: AsyncSession, caller: Caller, evidence_id: UUID) -> Upload | None:
    wanted = select(Upload).where(
        Upload.in_scope(caller),
        Upload.evidence_id == evidence_id,
        Upload.way == "put",
        Upload.state == "open",
        Upload.expires_at > utc_now(),
    )
    found: Upload | None = await session.scalar(wanted.order_by(Upload.created_at.desc()).limit(1))
    return found


def _new_upload(caller: Caller, evidence: ExpectedPhoto) -> Upload:
    return Upload(
        id=new_upload_id(),
        evidence_id=evidence.id,
        author_id=caller.id,
        device_id=caller.device_id,
        way="put",
        size_bytes=evidence.size_bytes,
        expires_at=utc_now() + LIFETIME,
    )


def _key(upload_id: str) -> str:
    return f"{spool_prefix(upload_id)}whole"


async def finish_put(services: Services, caller: Caller, evidence_id: UUID) -> Received:
    """The phone says that the photo was put. Safe to say again.

    Raises `thing.not_found`, `upload.nothing_put`, `photo.too_many_bytes`, `photo.hash_mismatch`.
    """
    evidence = await find_expected(services, caller, evidence_id)
    async with open_session(services.sessions) as session:
        upload = await _open_upload(session, caller, evidence_id)
        arrival = UploadContext(evidence_id, caller.device_id, caller, upload.id if upload else None)
        if evidence.state != "announced":
            return await mark_received(session, arrival, evidence.sha256, evidence.size_bytes)
    if upload is None:
        raise Problem("upload.nothing_put")
    try:
        return await _take_in(services, arrival, evidence)
    except ObjectMissing:
        raise Problem("upload.nothing_put") from None


async def _take_in(services: Services, arrival: UploadContext, announced: ExpectedPhoto) -> Received:
    key = _key(str(arrival.upload_id))
    # A link bounds no size, so it is looked at before anything is read.
    check_size(services, (await services.store.stat(key)).size)
    with TemporaryDirectory(prefix="zoufang-") as folder:
        path = Path(folder) / "photo"
        came = await services.store.join([key], path)
        with path.open("rb") as file:
            return await receive_photo(services, arrival, announced, Content(file, came.size, came.sha256))
