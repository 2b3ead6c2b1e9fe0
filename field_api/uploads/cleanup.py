"""Clean up abandoned uploads: finish those that have all bytes, remove those that have expired."""

from sqlalchemy import delete, select

from field_api.uploads.resumable import finish_unattended
from media.store import StoreError, spool_prefix
from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Problem
from server.core.job_types import ClearSpool, SweepUploads
from server.core.log import log
from server.core.services import Services
from server.models.uploads import Upload

# Uploads per run; the rest waits for the next run.
BATCH = 500


@jobs.task(ClearSpool)
async def clear_spool(services: Services, job: ClearSpool) -> None:
    """Remove every chunk of an upload from the store, including unacknowledged ones."""
    async for key in services.store.list_keys(spool_prefix(job.upload_id)):
        await services.store.remove(key)


@jobs.task(SweepUploads, cron="*/10 * * * *")
async def sweep_uploads(services: Services, _: SweepUploads) -> None:
    now = utc_now()
    free = Upload.lease_is_free(now)
    has_all_bytes = (Upload.state == "open", Upload.way == "tus", Upload.received_bytes == Upload.size_bytes)
    async with open_session(services.sessions) as session:
        unfinished = await session.scalars(
            select(Upload.id).where(*has_all_bytes, Upload.expires_at > now, free).limit(BATCH)
        )
        expired = await session.scalars(select(Upload.id).where(Upload.expires_at <= now, free).limit(BATCH))
    for upload_id in unfinished:
        await _finish(services, upload_id)
    for upload_id in expired:
        await _remove(services, upload_id)


async def _finish(services: Services, upload_id: str) -> None:
    """Finish an upload. Log a failure and continue with the others: the phone gets the error when it asks."""
    try:
        await finish_unattended(services, upload_id)
    except (Problem, StoreError) as error:
        log.warning("upload.unfinished", upload_id=upload_id, reason=str(error.args[0]) if error.args else "")


async def _remove(services: Services, upload_id: str) -> None:
    """Remove the chunks before the row: after a crash in between the row still leads to the rest."""
    await clear_spool(services, ClearSpool(upload_id=upload_id))
    async with open_session(services.sessions) as session:
        await session.execute(
            delete(Upload).where(
                Upload.id == upload_id, Upload.expires_at <= utc_now(), Upload.lease_is_free(utc_now())
            )
        )
