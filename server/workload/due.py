"""What is due and what is overdue, for the desk: by area, the longest overdue first, in days and working days."""

from datetime import date
from typing import Literal
from uuid import UUID

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import REVIEW_ROLES, Caller, in_areas, require
from server.core.http import ResponseBody
from server.core.paging import Page, cut_page, read_place
from server.core.working_days import working_days_between
from server.models.areas import Area
from server.models.households import Assignment, Caseload, Household
from server.models.people import Staff
from server.models.review import SpotCheck
from server.models.visits import VisitInvestigator
from server.policy.resolver import load_overrides

Which = Literal["due", "overdue"]
LONGEST_PAGE = 200


class DueLine(ResponseBody):
    """`days_over` and `working_days_over` are negative while there is time.

    `certain` is false where a working day on the way is in no published calendar.
    """

    assignment_id: UUID
    household_id: UUID
    household_number: str
    head_name: str
    area_code: str
    area_name: str
    kind: str
    due_on: date
    days_over: int
    working_days_over: int
    certain: bool
    held_by: list[str]


async def list_due(
    session: AsyncSession,
    caller: Caller,
    *,
    which: Which | None,
    area: str | None,
    kind: str | None,
    cursor: str | None,
    limit: int,
    today: date,
) -> Page[DueLine]:
    """Open visits in order of their due days, without checks of what the caller did. Two queries for any page."""
    require(caller, REVIEW_ROLES)
    limit = max(1, min(limit, LONGEST_PAGE))
    holders = (
        select(func.array_agg(Staff.name))
        .join(Caseload, Caseload.staff_id == Staff.id)
        .where(Caseload.household_id == Household.id, Caseload.revoked_at.is_(None))
        .scalar_subquery()
    )
    of_own = (
        select(SpotCheck.assignment_id)
        .join(VisitInvestigator, VisitInvestigator.visit_id == SpotCheck.visit_id)
        .where(VisitInvestigator.staff_id == caller.id, SpotCheck.assignment_id.is_not(None))
    )
    rows = (
        select(Assignment, Household, Area.name, holders)
        .join(Household, Household.id == Assignment.household_id)
        .join(Area, Area.code == Household.area_code)
        .where(Assignment.state == "open", in_areas(Household.area_code, caller, REVIEW_ROLES))
        .where(or_(Assignment.kind != "spot_check", Assignment.id.not_in(of_own)))
        .order_by(Assignment.due_on, Assignment.id)
        .limit(limit + 1)
    )
    if which is not None:
        rows = rows.where(Assignment.due_on < today if which == "overdue" else Assignment.due_on >= today)
    if area is not None:
        rows = rows.where(Household.area_code.startswith(area, autoescape=True))
    if kind is not None:
        rows = rows.where(Assignment.kind == kind)
    if (after := read_place(cursor, date.fromisoformat)) is not None:
        on, last_id = after
        rows = rows.where(or_(Assignment.due_on > on, and_(Assignment.due_on == on, Assignment.id > last_id)))
    found = (await session.execute(rows)).all()
    overrides = await load_overrides(session)
    page, next_cursor = cut_page(found, limit, lambda row: [row[0].due_on.isoformat(), str(row[0].id)])
    return Page(items=[_line(*row, today=today, overrides=overrides) for row in page], next_cursor=next_cursor)


def _line(
    due: Assignment,
    household: Household,
    area_name: str,
    holders: list[str] | None,
    *,
    today: date,
    overrides: dict[date, bool],
) -> DueLine:
    worked = working_days_between(due.due_on, today, overrides)
    return DueLine(
        assignment_id=due.id,
        household_id=household.id,
        household_number=household.number,
        head_name=household.head_name,
        area_code=household.area_code,
        area_name=area_name,
        kind=due.kind,
        due_on=due.due_on,
        days_over=(today - due.due_on).days,
        working_days_over=worked.total,
        certain=worked.certain,
        held_by=sorted(holders or []),
    )
