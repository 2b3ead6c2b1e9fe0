"""The desk's list of complaints, ordered by due date. It shows neither the reporter nor the text."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.complaints.due_dates import OPEN_STATES, Urgency, compute_urgency, filter_by_urgency
from server.core.access import DESK_ROLES, Caller, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.complaints import Complaint
from server.models.people import Staff

_BY_DUE_DATE = Keyset(Complaint.due_on, Complaint.id)


class ComplaintLine(ResponseBody):
    id: UUID
    number: str
    kind: str
    channel: str
    area_code: str
    area_name: str
    state: str
    is_named: bool
    handler_id: UUID | None
    handler_name: str | None
    received_at: datetime
    due_on: date | None
    urgency: Literal["overdue", "due", "soon", "later", "none"]
    is_extended: bool
    finding: str | None


async def list_complaints(
    session: AsyncSession,
    caller: Caller,
    *,
    state: str | None,
    area: str | None,
    urgency: Urgency | None,
    cursor: str | None,
    limit: int,
    now: datetime,
) -> Page[ComplaintLine]:
    """List the complaints of the caller's areas by due date: the open ones, unless `state` says otherwise."""
    require_role(caller, DESK_ROLES)
    today = day_of(now)
    rows = (
        select(Complaint, Area.name, Staff.name)
        .join(Area, Area.code == Complaint.area_code)
        .outerjoin(Staff, Staff.id == Complaint.handler_id)
        .where(Complaint.in_scope(caller), Complaint.state.in_([state] if state else OPEN_STATES))
    )
    if area is not None:
        rows = rows.where(Complaint.area_code.startswith(area, autoescape=True))
    if urgency is not None:
        rows = rows.where(Complaint.state.in_(OPEN_STATES), filter_by_urgency(urgency, today))
    page, next_cursor = await fetch_page(session, rows, _BY_DUE_DATE, cursor, limit)
    return Page(
        items=[complaint_line(complaint, today, area_name, handler) for complaint, area_name, handler in page],
        next_cursor=next_cursor,
    )


def complaint_line(complaint: Complaint, today: date, area_name: str, handler_name: str | None) -> ComplaintLine:
    is_open = complaint.state in OPEN_STATES
    return ComplaintLine(
        id=complaint.id,
        number=complaint.number,
        kind=complaint.kind,
        channel=complaint.channel,
        area_code=complaint.area_code,
        area_name=area_name,
        state=complaint.state,
        is_named=complaint.is_named,
        handler_id=complaint.handler_id,
        handler_name=handler_name,
        received_at=complaint.received_at,
        due_on=complaint.due_on if is_open else None,
        urgency=compute_urgency((complaint.due_on - today).days) if is_open else "none",
        is_extended=complaint.is_extended,
        finding=complaint.finding,
    )
