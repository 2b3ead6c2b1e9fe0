"""Failed photos: all attempts to process them failed. Their visits wait until an officer retries."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import Caller, readable, require_found
from server.core.http import ResponseBody
from server.core.job_types import ProcessPhoto
from server.core.paging import Keyset, Page, fetch_page
from server.models.evidence import Evidence, Photo

PAGE = 50
_LATEST_FIRST = Keyset(Photo.parked_at, Evidence.id, descending=True)


class FailedPhoto(ResponseBody):
    """`error` is the kind of fault, for the system's administrators: `StoreUnavailable`, `ObjectMissing` …"""

    evidence_id: UUID
    visit_id: UUID
    sha256: str
    size_bytes: int
    error: str
    parked_at: datetime


async def list_failed(session: AsyncSession, caller: Caller, cursor: str | None) -> Page[FailedPhoto]:
    """List the failed photos of the caller's area, latest first."""
    statement = (
        readable(Evidence, caller)
        .join(Photo, Photo.sha256 == Evidence.sha256)
        .add_columns(Photo.parked_at, Photo.parked_error)
        .where(Photo.parked_at.is_not(None), Evidence.erased_at.is_(None))
    )
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
    evidence: Evidence = require_found(
        await session.scalar(
            readable(Evidence, caller)
            .join(Photo, Photo.sha256 == Evidence.sha256)
            .where(Evidence.id == evidence_id, Photo.parked_at.is_not(None))
        )
    )
    content = update(Photo).where(Photo.sha256 == evidence.sha256)
    await session.execute(content.values(parked_at=None, parked_error=None))
    audit.record(session, caller, Action.EVIDENCE_TRIED_AGAIN, "evidence", evidence_id)
    once = f"examine:{evidence.sha256}"
    await jobs.defer(session, ProcessPhoto(sha256=evidence.sha256), once=once)
