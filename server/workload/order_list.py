"""Who has which visit to make: an area's assignments at the desk, by due date. Spot checks are listed elsewhere."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.core.access import REVIEW_ROLES, Caller, in_areas, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.areas import Area
from server.models.households import Assignment, Caseload, Household
from server.models.people import Staff
from server.models.review import SpotCheck
from server.models.visits import Visit

OrderState = Literal["open", "done", "cancelled"]
_BY_DUE_DATE = Keyset(Assignment.due_on, Assignment.id)
_ASSIGNEE, _ORDERER = aliased(Staff), aliased(Staff)


class OrderLine(ResponseBody):
    """`assignee_name`: the one holder who is to go; null: all of `held_by`. `ordered_by_name` null: the procedure.

    `visit_id` is the visit that was made for it.
    """

    assignment_id: UUID
    order_id: UUID | None
    household_id: UUID
    household_number: str
    head_name: str
    area_code: str
    area_name: str
    kind: str
    state: str
    due_on: date
    held_by: list[str]
    assignee_name: str | None
    ordered_by_name: str | None
    ordered_at: datetime
    note: str
    visit_id: UUID | None


async def list_orders(
    session: AsyncSession,
    caller: Caller,
    *,
    state: OrderState | None,
    area: str | None,
    kind: str | None,
    staff_id: UUID | None,
    order_id: UUID | None,
    by_desk: bool | None,
    cursor: str | None,
    limit: int,
) -> Page[OrderLine]:
    """List assignments by due date. One query for any page."""
    require_role(caller, REVIEW_ROLES)
    rows = _select_orders(caller)
    if state is not None:
        rows = rows.where(Assignment.state == state)
    if area is not None:
        rows = rows.where(Household.area_code.startswith(area, autoescape=True))
    if kind is not None:
        rows = rows.where(Assignment.kind == kind)
    if staff_id is not None:
        rows = rows.where(_is_for(staff_id))
    if order_id is not None:
        rows = rows.where(Assignment.order_id == order_id)
    if by_desk is not None:
        rows = rows.where(Assignment.ordered_by.is_not(None) if by_desk else Assignment.ordered_by.is_(None))
    page, next_cursor = await fetch_page(session, rows, _BY_DUE_DATE, cursor, limit)
    return Page(items=[_order_line(*row) for row in page], next_cursor=next_cursor)


def _is_for(staff_id: UUID) -> Any:
    holds = exists().where(
        Caseload.household_id == Assignment.household_id,
        Caseload.staff_id == staff_id,
        Caseload.revoked_at.is_(None),
        SpotCheck.is_no_team(Caseload.id),
    )
    return or_(Assignment.assignee_id == staff_id, Assignment.assignee_id.is_(None) & holds)


def _select_orders(caller: Caller) -> Any:
    holders = (
        select(func.array_agg(Staff.name))
        .join(Caseload, Caseload.staff_id == Staff.id)
        .where(
            Caseload.household_id == Household.id,
            Caseload.revoked_at.is_(None),
            SpotCheck.is_no_team(Caseload.id),
        )
        .scalar_subquery()
    )
    made = (
        select(Visit.id)
        .where(Visit.assignment_id == Assignment.id, Visit.submitted_at.is_not(None), Visit.state != "voided")
        .order_by(Visit.submitted_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(Assignment, Household, Area.name, holders, _ASSIGNEE.name, _ORDERER.name, made)
        .join(Household, Household.id == Assignment.household_id)
        .join(Area, Area.code == Household.area_code)
        .outerjoin(_ASSIGNEE, _ASSIGNEE.id == Assignment.assignee_id)
        .outerjoin(_ORDERER, _ORDERER.id == Assignment.ordered_by)
        .where(in_areas(Household.area_code, caller, REVIEW_ROLES), Assignment.kind != "spot_check")
    )


def _order_line(
    assignment: Assignment,
    household: Household,
    area_name: str,
    holders: list[str] | None,
    assignee_name: str | None,
    ordered_by_name: str | None,
    visit_id: UUID | None,
) -> OrderLine:
    return OrderLine(
        assignment_id=assignment.id,
        order_id=assignment.order_id,
        household_id=household.id,
        household_number=household.number,
        head_name=household.head_name,
        area_code=household.area_code,
        area_name=area_name,
        kind=assignment.kind,
        state=assignment.state,
        due_on=assignment.due_on,
        held_by=sorted(holders or []),
        assignee_name=assignee_name,
        ordered_by_name=ordered_by_name,
        ordered_at=assignment.created_at,
        note=assignment.note,
        visit_id=visit_id,
    )
