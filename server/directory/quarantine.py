"""Rows that phones pushed and the server could not apply, for the desk to resolve."""

import itertools
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import DESK_ROLES, Caller, in_areas, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, encode_cursor, fetch_page
from server.models.feed import QuarantinedRow
from server.models.people import Staff, StaffRole

# A row carries what the phone pushed, so a page ends at so many rows or bytes, whichever comes first.
_LONGEST_PAGE = 100
_MOST_BYTES = 2 * 1024 * 1024
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
    """List unresolved rows from staff who work in the caller's area, newest first. Two queries.

    A page ends before the row that would take it beyond `_MOST_BYTES`; a longer row is a page of its own.
    """
    require_role(caller, DESK_ROLES)
    of_area = select(StaffRole.staff_id).where(
        StaffRole.revoked_at.is_(None), in_areas(StaffRole.area_code, caller, DESK_ROLES)
    )
    sizes = select(QuarantinedRow.id, func.octet_length(QuarantinedRow.body)).where(
        QuarantinedRow.staff_id.in_(of_area), QuarantinedRow.resolved_at.is_(None)
    )
    if kept_as is not None:
        sizes = sizes.where(QuarantinedRow.kept_as == kept_as)
    page, next_cursor = await fetch_page(session, sizes, _NEWEST_FIRST, cursor, min(limit, _LONGEST_PAGE))
    shown = _cut(page)
    if len(shown) < len(page):
        next_cursor = encode_cursor([shown[-1]])
    rows = (
        select(QuarantinedRow, Staff.name)
        .join(Staff, Staff.id == QuarantinedRow.staff_id)
        .where(QuarantinedRow.id.in_(shown))
        .order_by(*_NEWEST_FIRST.sort())
    )
    lines = [_row_line(row, name) for row, name in await session.execute(rows)]
    return Page(items=lines, next_cursor=next_cursor)


def _cut(page: list[tuple[Any, ...]]) -> list[UUID]:
    """Return the ids of the first rows that fit into `_MOST_BYTES` together, at least one of them."""
    totals = itertools.accumulate(size for _, size in page)
    return [
        row_id
        for number, ((row_id, _), total) in enumerate(zip(page, totals, strict=True))
        if number == 0 or total <= _MOST_BYTES
    ]


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
