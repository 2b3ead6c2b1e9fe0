"""Rows that phones pushed and the server could not apply, for the desk to resolve."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import DESK_ROLES, Caller, in_areas, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.feed import QuarantinedRow
from server.models.people import Staff, StaffRole

# A row carries what the phone pushed, so pages are shorter than elsewhere.
_LONGEST_PAGE = 100
_NEWEST_FIRST = Keyset(QuarantinedRow.id, descending=True)
QuarantineReason = Literal["quarantined", "lost_conflict"]


class QuarantinedRowLine(ResponseBody):
    """`content` is the row as the phone sent it, or null if it is not JSON."""

    id: UUID
    kept_as: QuarantineReason
    collection: str
    doc_id: str
    staff_id: UUID
    staff_name: str
    device_id: UUID
    code: str | None
    content: Any
    received_at: datetime
    resolved_at: datetime | None


async def list_quarantined_rows(
    session: AsyncSession, caller: Caller, *, kept_as: QuarantineReason | None, cursor: str | None, limit: int
) -> Page[QuarantinedRowLine]:
    """List unresolved rows from staff of the caller's area, newest first. One query."""
    require_role(caller, DESK_ROLES)
    of_area = select(StaffRole.staff_id).where(in_areas(StaffRole.area_code, caller, DESK_ROLES))
    rows = (
        select(QuarantinedRow, Staff.name)
        .join(Staff, Staff.id == QuarantinedRow.staff_id)
        .where(QuarantinedRow.staff_id.in_(of_area), QuarantinedRow.resolved_at.is_(None))
    )
    if kept_as is not None:
        rows = rows.where(QuarantinedRow.kept_as == kept_as)
    page, next_cursor = await fetch_page(session, rows, _NEWEST_FIRST, cursor, limit, maximum=_LONGEST_PAGE)
    return Page(items=[_row_line(row, name) for row, name in page], next_cursor=next_cursor)


def _row_line(row: QuarantinedRow, name: str) -> QuarantinedRowLine:
    return QuarantinedRowLine(
        id=row.id,
        kept_as=row.kept_as,  # type: ignore[arg-type]  # one of the two
        collection=row.collection,
        doc_id=row.doc_id,
        staff_id=row.staff_id,
        staff_name=name,
        device_id=row.device_id,
        code=row.code,
        content=_decode_content(row.body),
        received_at=row.received_at,
        resolved_at=row.resolved_at,
    )


def _decode_content(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
