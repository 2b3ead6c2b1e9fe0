"""Visits that are due or overdue, for the desk: the longest overdue first, in days and working days."""

from datetime import date
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import REVIEW_ROLES, Caller, in_areas, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.core.working_days import working_days_between
from server.models.areas import Area
from server.models.households import Assignment, Caseload, Household
from server.models.people import Staff
from server.models.review import SpotCheck
from server.models.visits import VisitInvestigator
from server.policy.resolver import load_overrides

DueFilter = Literal["due", "overdue"]
_BY_DUE_DATE = Keyset(Assignment.due_on, Assignment.id)


class DueLine(ResponseBody):
    """`days_over` and `working_days_over` are negative before the due date.

    `certain` is false if the published calendars do not cover all the days counted.
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
    which: DueFilter | None,
    area: str | None,
    kind: str | None,
    cursor: str | None,
    limit: int,
    today: date,
) -> Page[DueLine]:
    """List open visits by due date, without spot checks of the caller's own visits. Two queries for any page."""
    require_role(caller, REVIEW_ROLES)
    rows = _select_due(caller)
    if which is not None:
        rows = rows.where(Assignment.due_on < today if which == "overdue" else Assignment.due_on >= today)
    if area is not None:
        rows = rows.where(Household.area_code.startswith(area, autoescape=True))
    if kind is not None:
        rows = rows.where(Assignment.kind == kind)
    page, next_cursor = await fetch_page(session, rows, _BY_DUE_DATE, cursor, limit)
    overrides = await load_overrides(session)
    return Page(items=[_due_line(*row, today=today, overrides=overrides) for row in page], next_cursor=next_cursor)


def _select_due(caller: Caller) -> Any:
    """Select open visits with the names of the holders, except spot checks of the caller's own visits."""
    holders = (
        select(func.array_agg(Staff.name))
        .join(Caseload, Caseload.staff_id == Staff.id)
        .where(
            Caseload.household_id == Household.id,
            Caseload.revoked_at.is_(None),
            SpotCheck.is_no_team(Caseload.id),
            Assignment.is_for_holder(),
        )
        .scalar_subquery()
    )
    persons = [person.id for person in caller.persons]
    of_own = (
        select(SpotCheck.assignment_id)
        .join(VisitInvestigator, VisitInvestigator.visit_id == SpotCheck.visit_id)
        .where(VisitInvestigator.staff_id.in_(persons), SpotCheck.assignment_id.is_not(None))
    )
    return (
        select(Assignment, Household, Area.name, holders)
        .join(Household, Household.id == Assignment.household_id)
        .join(Area, Area.code == Household.area_code)
        .where(Assignment.state == "open", in_areas(Household.area_code, caller, REVIEW_ROLES))
        .where(or_(Assignment.kind != "spot_check", Assignment.id.not_in(of_own)))
    )


def _due_line(
    assignment: Assignment,
    household: Household,
    area_name: str,
    holders: list[str] | None,
    *,
    today: date,
    overrides: dict[date, bool],
) -> DueLine:
    working_days = working_days_between(assignment.due_on, today, overrides)
    return DueLine(
        assignment_id=assignment.id,
        household_id=household.id,
        household_number=household.number,
        head_name=household.head_name,
        area_code=household.area_code,
        area_name=area_name,
        kind=assignment.kind,
        due_on=assignment.due_on,
        days_over=(today - assignment.due_on).days,
        working_days_over=working_days.total,
        certain=working_days.certain,
        held_by=sorted(holders or []),
    )
