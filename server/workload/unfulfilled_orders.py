"""Orders of visits for which no checklist is published yet.

They are listed at the desk and become assignments when a checklist of their kind is published.
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.checklists.versions import find_newest_checklist
from server.checklists.wording import visit_kind_text
from server.core import jobs
from server.core.access import DESK_ROLES, Caller, Role, readable, require_role
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.http import ResponseBody
from server.core.ids import new_id
from server.core.job_types import FulfilOrders
from server.core.paging import Keyset, Page, fetch_page
from server.core.services import Services
from server.models.areas import Area
from server.models.checklists import ChecklistTemplate
from server.models.households import Assignment, Household
from server.models.people import Staff, StaffRole
from server.models.workload import BlockedVisit
from server.sync_feed.publish import publish_change
from server.workload.assignments import create_assignment, notify_holders

_BY_DUE_DATE = Keyset(BlockedVisit.due_on, BlockedVisit.id)
NO_CHECKLIST = "visit.no_checklist"


class UnfulfilledOrder(ResponseBody):
    """`code`, `zh` and `en` say what is missing. `orderedByName` is null if the workflow ordered the visit."""

    id: UUID
    code: str
    zh: str
    en: str
    household_id: UUID
    household_number: str
    case_id: UUID | None
    area_code: str
    area_name: str
    kind: str
    due_on: date
    ordered_at: datetime
    ordered_by_name: str | None


async def list_unfulfilled_orders(
    session: AsyncSession, caller: Caller, *, area: str | None, kind: str | None, cursor: str | None, limit: int
) -> Page[UnfulfilledOrder]:
    """List the open orders of the caller's areas by due date. One query."""
    require_role(caller, DESK_ROLES | {Role.ADMIN})
    rows = (
        readable(BlockedVisit, caller)
        .add_columns(Household.number, Area.name, Staff.name)
        .join(Household, Household.id == BlockedVisit.household_id)
        .join(Area, Area.code == BlockedVisit.area_code)
        .outerjoin(Staff, Staff.id == BlockedVisit.ordered_by)
        .where(BlockedVisit.ended_at.is_(None))
    )
    if area is not None:
        rows = rows.where(BlockedVisit.area_code.startswith(area, autoescape=True))
    if kind is not None:
        rows = rows.where(BlockedVisit.kind == kind)
    page, next_cursor = await fetch_page(session, rows, _BY_DUE_DATE, cursor, limit)
    return Page(items=[_order_line(*row) for row in page], next_cursor=next_cursor)


def _order_line(
    order: BlockedVisit, household_number: str, area_name: str, ordered_by_name: str | None
) -> UnfulfilledOrder:
    return UnfulfilledOrder(
        id=order.id,
        code=NO_CHECKLIST,
        **render_unfulfilled_reason(order.kind),
        household_id=order.household_id,
        household_number=household_number,
        case_id=order.case_id,
        area_code=order.area_code,
        area_name=area_name,
        kind=order.kind,
        due_on=order.due_on,
        ordered_at=order.ordered_at,
        ordered_by_name=ordered_by_name,
    )


def render_unfulfilled_reason(kind: str) -> dict[str, str]:
    what = visit_kind_text(kind)
    return {
        "zh": f"“{what.zh}”任务暂不能下达：本地区没有已发布的此类走访表；发布后自动下达。",
        "en": f"This visit ({what.en}) waits until a checklist of its kind is published here.",
    }


async def record_unfulfilled_order(
    session: AsyncSession,
    *,
    household_id: UUID,
    area_code: str,
    kind: str,
    due_on: date,
    case_id: UUID | None = None,
    ordered_by: UUID | None = None,
) -> UUID | None:
    """Record an order without a checklist. Return None if the household has an open one of this kind."""
    row = insert(BlockedVisit).values(
        id=new_id(),
        household_id=household_id,
        case_id=case_id,
        area_code=area_code,
        kind=kind,
        due_on=due_on,
        ordered_by=ordered_by,
    )
    order_id: UUID | None = await session.scalar(row.on_conflict_do_nothing().returning(BlockedVisit.id))
    if order_id is not None:
        audit.record(session, None, Action.VISIT_BLOCKED, "blocked_visit", order_id, area_code=area_code, kind=kind)
    return order_id


async def end_unfulfilled_orders(session: AsyncSession, *conditions: Any) -> None:
    """Close orders whose reason has ended or was met otherwise."""
    await session.execute(
        update(BlockedVisit).where(BlockedVisit.ended_at.is_(None), *conditions).values(ended_at=utc_now())
    )


@jobs.task(FulfilOrders)
async def fulfil_orders_of_kind(services: Services, job: FulfilOrders) -> None:
    """Fulfil the orders of a kind after a checklist of that kind was published."""
    async with open_session(services.sessions) as session:
        await fulfil_orders(session, BlockedVisit.kind == job.kind, BlockedVisit.area_code.startswith(job.area_code))


async def fulfil_orders(session: AsyncSession, *conditions: Any) -> list[UUID]:
    """Turn orders that have a checklist now into assignments and return those. Close orders assigned otherwise."""
    orders = await session.scalars(
        select(BlockedVisit)
        .where(BlockedVisit.ended_at.is_(None), *conditions)
        .order_by(BlockedVisit.id)
        .with_for_update(skip_locked=True)
    )
    assignment_ids: list[UUID] = []
    for order in orders:
        if (assignment_id := await _find_open_assignment(session, order)) is not None:
            order.ended_at, order.assignment_id = utc_now(), assignment_id
        elif (checklist := await find_newest_checklist(session, order.area_code, order.kind)) is not None:
            assignment_ids.append(await _fulfil_order(session, order, checklist))
    await publish_change(session, "assignments", assignment_ids)
    return assignment_ids


async def _find_open_assignment(session: AsyncSession, order: BlockedVisit) -> UUID | None:
    assignment_id: UUID | None = await session.scalar(
        select(Assignment.id)
        .where(Assignment.household_id == order.household_id, Assignment.kind == order.kind, Assignment.state == "open")
        .limit(1)
    )
    return assignment_id


async def _fulfil_order(session: AsyncSession, order: BlockedVisit, checklist: ChecklistTemplate) -> UUID:
    assignment = create_assignment(
        session, order.household_id, order.kind, order.due_on, checklist, case_id=order.case_id
    )
    await session.flush()  # the order references it, and publish_change reads it
    order.ended_at, order.assignment_id = utc_now(), assignment.id
    audit.record(
        session,
        None,
        Action.VISIT_UNBLOCKED,
        "blocked_visit",
        order.id,
        area_code=order.area_code,
        assignment=str(assignment.id),
    )
    await notify_holders(session, assignment, order.area_code)
    return assignment.id


async def list_responsible_staff(session: AsyncSession, area_code: str, also: Collection[UUID] = ()) -> list[UUID]:
    """Return the area's administrators, who publish checklists, its county officers, and the people in `also`."""
    rows = await session.scalars(
        select(StaffRole.staff_id)
        .distinct()
        .join(Staff, Staff.id == StaffRole.staff_id)
        .where(
            StaffRole.role.in_([Role.ADMIN, Role.COUNTY_OFFICER]),
            StaffRole.revoked_at.is_(None),
            Staff.disabled_at.is_(None),
            literal(area_code).startswith(StaffRole.area_code),
        )
    )
    return sorted({*rows, *also})
