"""The case lists that officers work from: cases by state, and deadlines that are due."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.programmes import Programme, as_programme
from server.cases.deadline_lines import DUE_SOON, DeadlineLine, deadline_line
from server.core.access import Caller
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.cases import CaseDeadline, CaseFile
from server.models.households import Household

_NEWEST_FIRST = Keyset(CaseFile.applied_on, CaseFile.id, descending=True)
_BY_DUE_DATE = Keyset(CaseDeadline.due_on, CaseDeadline.id)


class CaseLine(ResponseBody):
    id: UUID
    application_number: str
    head_name: str
    area_code: str
    area_name: str
    state: str
    # Null until an officer has confirmed it.
    programme: Programme | None
    applied_on: date
    deadline: DeadlineLine | None


async def list_cases(
    session: AsyncSession,
    caller: Caller,
    *,
    state: str | None,
    area: str | None,
    cursor: str | None,
    limit: int,
    now: datetime,
) -> Page[CaseLine]:
    """List the caller's cases, the newest first. Two queries for any page."""
    rows = _select_lines(caller)
    if state is not None:
        rows = rows.where(CaseFile.state == state)
    if area is not None:
        rows = rows.where(CaseFile.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _NEWEST_FIRST, cursor, limit)
    nearest = await _load_nearest_deadlines(session, [case.id for case, _, _ in page])
    today = day_of(now)
    lines = [_case_line(case, head, name, nearest.get(case.id), today) for case, head, name in page]
    return Page(items=lines, next_cursor=next_cursor)


async def list_due(
    session: AsyncSession,
    caller: Caller,
    *,
    urgency: Literal["overdue", "due", "soon"] | None,
    area: str | None,
    cursor: str | None,
    limit: int,
    now: datetime,
) -> Page[CaseLine]:
    """List deadlines that are past, today or within three days, the oldest first. Paused ones are left out."""
    today = day_of(now)
    rows = (
        _select_lines(caller)
        .add_columns(CaseDeadline)
        .join(CaseDeadline, CaseDeadline.case_id == CaseFile.id)
        .where(CaseDeadline.met_on.is_(None), CaseDeadline.paused_on.is_(None), _is_due(urgency, today))
    )
    if area is not None:
        rows = rows.where(CaseFile.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _BY_DUE_DATE, cursor, limit)
    return Page(
        items=[_case_line(case, head, name, deadline, today) for case, head, name, deadline in page],
        next_cursor=next_cursor,
    )


def _select_lines(caller: Caller) -> Any:
    return (
        select(CaseFile, Household.head_name, Area.name)
        .join(Household, Household.id == CaseFile.household_id)
        .join(Area, Area.code == CaseFile.area_code)
        .where(CaseFile.in_scope(caller))
    )


def _is_due(urgency: str | None, today: date) -> Any:
    due = CaseDeadline.due_on
    return {
        "overdue": due < today,
        "due": due == today,
        "soon": and_(due > today, due <= today + DUE_SOON),
        None: due <= today + DUE_SOON,
    }[urgency]


async def _load_nearest_deadlines(session: AsyncSession, ids: list[UUID]) -> dict[UUID, CaseDeadline]:
    rows = await session.scalars(
        select(CaseDeadline)
        .where(CaseDeadline.case_id.in_(ids), CaseDeadline.met_on.is_(None))
        .order_by(CaseDeadline.due_on.desc())
    )
    return {deadline.case_id: deadline for deadline in rows}


def _case_line(case: CaseFile, head_name: str, area_name: str, deadline: CaseDeadline | None, today: date) -> CaseLine:
    return CaseLine(
        id=case.id,
        application_number=case.number,
        head_name=head_name,
        area_code=case.area_code,
        area_name=area_name,
        state=case.state,
        programme=as_programme(case.programme),
        applied_on=case.applied_on,
        deadline=deadline_line(deadline, today) if deadline else None,
    )
