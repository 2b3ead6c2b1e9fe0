"""Failed photos: all attempts to process them failed. Their visits wait until an officer retries."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from server.audit.actions import Action
from server.audit.trail import actor_params, audit_cte
from server.core.access import Caller, readable, require_found
from server.core.clock import utc_now
from server.core.http import ResponseBody
from server.core.job_types import ProcessPhoto
from server.core.paging import Keyset, Page, fetch_page
from server.models.evidence import Evidence, Photo

PAGE = 50
_LATEST_FIRST = Keyset(Photo.parked_at, Evidence.id, descending=True)


class FailedPhoto(ResponseBody):
    """`error` is the kind of fault, for the system's administrators: `StoreUnavailable`, `ObjectMissing` …"""

    evidence_id: UUID
    # Null: a photo of a record.
    visit_id: UUID | None
    sha256: str
    size_bytes: int
    error: str
    parked_at: datetime


class RetriedPhotos(ResponseBody):
    retried: int


async def list_failed(session: AsyncSession, caller: Caller, cursor: str | None) -> Page[FailedPhoto]:
    """List the failed photos of the caller's area, latest first."""
    statement = _parked(caller).add_columns(Photo.parked_at, Photo.parked_error)
    page, next_cursor = await fetch_page(session, statement, _LATEST_FIRST, cursor, PAGE)
    items = [
        FailedPhoto(
            evidence_id=photo.id,
            visit_id=photo.visit_id,
            sha256=photo.sha256,
            size_bytes=photo.size_bytes,
            error=error,
            parked_at=parked_at,
        )
        for photo, parked_at, error in page
    ]
    return Page(items=items, next_cursor=next_cursor)


async def retry_photo(session: AsyncSession, caller: Caller, evidence_id: UUID) -> None:
    """Process a failed photo again, with a new set of attempts. Raises `thing.not_found` if it has not failed."""
    evidence: Evidence = require_found(await session.scalar(_parked(caller).where(Evidence.id == evidence_id)))
    await _retry(session, caller, [evidence.id])


async def retry_all_photos(session: AsyncSession, caller: Caller) -> RetriedPhotos:
    """Process all failed photos of the caller's area again."""
    ids = (await session.scalars(_parked(caller).with_only_columns(Evidence.id))).all()
    return RetriedPhotos(retried=await _retry(session, caller, ids))


def _parked(caller: Caller) -> Select[Evidence]:
    return (
        readable(Evidence, caller)
        .join(Photo, Photo.sha256 == Evidence.sha256)
        .where(Photo.parked_at.is_not(None), Evidence.erased_at.is_(None))
    )


_AUDIT = audit_cte(
    Action.EVIDENCE_TRIED_AGAIN,
    "SELECT 'evidence', e.id::text, NULL, '{}'::jsonb FROM evidence e JOIN waiting USING (sha256)"
    " WHERE e.id = ANY(%(ids)s)",
)
# A photo of several visits is processed once. The failed jobs of before have done their part: the new one counts.
_RETRY = f"""
WITH waiting AS (
    UPDATE photo SET parked_at = NULL, parked_error = NULL
    WHERE parked_at IS NOT NULL AND sha256 IN (SELECT sha256 FROM evidence WHERE id = ANY(%(ids)s))
    RETURNING sha256
), done AS (
    DELETE FROM procrastinate_jobs USING waiting
    WHERE status = 'failed' AND task_name = '{ProcessPhoto.task_name}' AND args ->> 'sha256' = waiting.sha256
), {_AUDIT}, queued AS (
    SELECT procrastinate_defer_jobs_v1(array_agg(ROW(
        '{ProcessPhoto.task_name}', '{ProcessPhoto.task_name}', 0, NULL, NULL,
        jsonb_build_object('sha256', sha256), NULL)::procrastinate_job_to_defer_v1)) AS ids
    FROM waiting HAVING count(*) > 0
)
SELECT coalesce(sum(cardinality(ids)), 0)::int FROM queued
"""  # noqa: S608  the names are constants


async def _retry(session: AsyncSession, caller: Caller, ids: Sequence[UUID]) -> int:
    connection = await session.connection()
    params = {"ids": list(ids), "now": utc_now(), **actor_params(caller)}
    retried: int = (await connection.exec_driver_sql(_RETRY, params)).scalar_one()
    return retried
