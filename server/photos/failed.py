"""Photos whose examination failed as often as it is tried: their visits wait, until someone looks and tries again."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core import jobs
from server.core.access import Caller, require_found, readable
from server.core.http import ResponseBody
from server.core.paging import Page, decode_keyset_cursor, encode_cursor
from server.models.evidence import Evidence, Photo

PAGE = 50


class FailedPhoto(ResponseBody):
    """`error` is the kind of fault, for whoever looks after the system: `StoreUnavailable`, `ObjectMissing` …"""

    evidence_id: UUID
    visit_id: UUID
    sha256: str
    size_bytes: int
    error: str
    parked_at: datetime


async def list_failed(session: AsyncSession, caller: Caller, cursor: str | None) -> Page[FailedPhoto]:
    """Of the caller's area, the latest first."""
    rows = (
        readable(Evidence, caller)
        .join(Photo, Photo.sha256 == Evidence.sha256)
        .add_columns(Photo.parked_at, Photo.parked_error)
        .where(Photo.parked_at.is_not(None), Evidence.erased_at.is_(None))
        .order_by(Photo.parked_at.desc(), Evidence.id.desc())
        .limit(PAGE + 1)
    )
    place = decode_keyset_cursor(cursor, datetime.fromisoformat)
    if place is not None:
        rows = rows.where(tuple_(Photo.parked_at, Evidence.id) < place)
    page = (await session.execute(rows)).all()
    items = [
        FailedPhoto(
            evidence_id=one.id,
            visit_id=one.visit_id,
            sha256=one.sha256,
            size_bytes=one.size_bytes,
            error=error,
            parked_at=parked_at,
        )
        for one, parked_at, error in page[:PAGE]
    ]
    more = len(page) > PAGE
    last = items[-1] if items else None
    return Page(
        items=items,
        next_cursor=encode_cursor([last.parked_at.isoformat(), str(last.evidence_id)]) if more and last else None,
    )


async def retry_photo(session: AsyncSession, caller: Caller, evidence_id: UUID) -> None:
    """Have it examined again, with all attempts before it. Raises `thing.not_found` unless it is parked."""
    evidence: Evidence = require_found(
        await session.scalar(
            readable(Evidence, caller)
            .join(Photo, Photo.sha256 == Evidence.sha256)
            .where(Evidence.id == evidence_id, Photo.parked_at.is_not(None))
        )
    )
    parked = update(Photo).where(Photo.sha256 == evidence.sha256)
    await session.execute(parked.values(parked_at=None, parked_error=None))
    audit.record(session, caller, "evidence.tried_again", "evidence", evidence_id)
    once = f"examine:{evidence.sha256}"
    await jobs.defer(session, "evidence.examine", once=once, sha256=evidence.sha256)
