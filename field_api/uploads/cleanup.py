"""Uploads that nobody brings to an end: finished where all bytes are here, removed where their time is over."""

from sqlalchemy import delete, select

from field_api.uploads.resumable import finish_unattended
from media.store import StoreError, spool_prefix
from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Problem
from server.core.log import log
from server.core.services import Services
from server.models.uploads import Upload

# In one run; what is left waits for the next.
AT_ONCE = 500


@jobs.task("uploads.clear")
async def clear_spool(services: Services, *, upload_id: str) -> None:
    """Remove every piece of an upload from the store, also those that were never acknowledged."""
    async for key in services.store.list_keys(spool_prefix(upload_id)):
        await services.store.remove(key)


@jobs.task("uploads.sweep", cron="*/10 * * * *")
async def sweep_uploads(services: Services) -> None:
    now = utc_now()
    free = Upload.nobody_writes(now)
    whole = (Upload.state == "open", Upload.way == "tus", Upload.received_bytes == Upload.size_bytes)
    async with open_session(services.sessions) as session:
        unfinished = await session.scalars(
            select(Upload.id).where(*whole, Upload.expires_at > now, free).limit(AT_ONCE)
        )
        over = await session.scalars(select(Upload.id).where(Upload.expires_at <= now, free).limit(AT_ONCE))
    for upload_id in unfinished:
        await _finish(services, upload_id)
    for upload_id in over:
        await _remove(services, upload_id)


async def _finish(services: Services, upload_id: str) -> None:
    """One that can't be finished keeps no other from it: the phone hears why when it asks."""
    try:
        await finish_unattended(services, upload_id)
    except (Problem, StoreError) as error:
        log.warning("upload.unfinished", upload_id=upload_id, reason=str(error.args[0]) if error.args else "")


async def _remove(services: Services, upload_id: str) -> None:
    """The pieces first: a crash between leaves a row to find the rest by."""
    await clear_spool(services, upload_id=upload_id)
    async with open_session(services.sessions) as session:
        await session.execute(
            delete(Upload).where(
                Upload.id == upload_id, Upload.expires_at <= utc_now(), Upload.nobody_writes(utc_now())
            )
        )
