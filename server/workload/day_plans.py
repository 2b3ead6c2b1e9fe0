"""A caseworker's day plan: the visits of the day in an order that the caseworker may change.

Each assignment on the phone carries its position in the plan, so the plan works offline. A new order reaches all of
the person's phones with their next pull.
"""

from datetime import date, timedelta
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, readable
from server.core.errors import Fault, Problem
from server.core.http import RequestBody, ResponseBody
from server.models.households import Assignment, Household
from server.models.workload import DayPlanStop
from server.sync_feed.publish import republish

# An order that a phone made without a network may arrive weeks later; visits are scheduled up to 400 days ahead.
PLANNED_BACK, PLANNED_AHEAD = timedelta(days=60), timedelta(days=400)


class Stop(ResponseBody):
    assignment_id: UUID
    household_id: UUID
    head_name: str
    address: str
    kind: str
    due_on: date
    is_done: bool


class DayPlan(ResponseBody):
    day: date
    stops: list[Stop]


class PlanDay(RequestBody):
    """The visits of the day in their order. Visits planned for another day move to this one."""

    assignment_ids: Annotated[list[UUID], Meta(max_length=100)]


async def list_days(session: AsyncSession, caller: Caller, first: date, last: date) -> list[DayPlan]:
    """List the caller's days that have stops. One query."""
    rows = await session.execute(
        select(DayPlanStop.day, Assignment, Household.head_name, Household.address)
        .join(Assignment, Assignment.id == DayPlanStop.assignment_id)
        .join(Household, Household.id == Assignment.household_id)
        .where(
            DayPlanStop.staff_id == caller.id,
            DayPlanStop.day.between(first, last),
            Assignment.state != "cancelled",
            Household.in_scope(caller),
        )
        .order_by(DayPlanStop.day, DayPlanStop.position, Assignment.id)
        .limit(2000)
    )
    days: dict[date, DayPlan] = {}
    for day, assignment, head_name, address in rows:
        days.setdefault(day, DayPlan(day=day, stops=[])).stops.append(
            Stop(
                assignment_id=assignment.id,
                household_id=assignment.household_id,
                head_name=head_name,
                address=address,
                kind=assignment.kind,
                due_on=assignment.due_on,
                is_done=assignment.state == "done",
            )
        )
    return list(days.values())


async def plan_day(session: AsyncSession, caller: Caller, day: date, data: PlanDay, today: date) -> list[DayPlan]:
    """Set the order of the day's visits.

    Raises `thing.not_found` for a visit that is not the caller's, and `request.invalid` for a day that nobody plans.
    """
    if not today - PLANNED_BACK <= day <= today + PLANNED_AHEAD:
        raise Problem("request.invalid", faults=[Fault("/day", "value.unfit", day.isoformat())])
    assignment_ids = list(dict.fromkeys(data.assignment_ids))
    own = set(
        await session.scalars(
            readable(Assignment, caller).with_only_columns(Assignment.id).where(Assignment.id.in_(assignment_ids))
        )
    )
    if own != set(assignment_ids):
        raise Problem("thing.not_found")
    for position, assignment_id in enumerate(assignment_ids):
        row = insert(DayPlanStop).values(staff_id=caller.id, assignment_id=assignment_id, day=day, position=position)
        await session.execute(
            row.on_conflict_do_update(
                index_elements=["staff_id", "assignment_id"], set_={"day": day, "position": position}
            )
        )
    others = await _append_other_stops(session, caller, day, assignment_ids)
    await republish(
        session, caller.id, "assignments", [str(assignment_id) for assignment_id in (*assignment_ids, *others)]
    )
    audit.record(session, caller, Action.DAY_PLAN_ORDERED, "day_plan", day, stops=len(assignment_ids))
    return await list_days(session, caller, day, day)


async def _append_other_stops(
    session: AsyncSession, caller: Caller, day: date, assignment_ids: list[UUID]
) -> list[UUID]:
    """Move the day's other stops behind the ordered ones, so that no due visit is lost. Return their assignments."""
    others = await session.scalars(
        select(DayPlanStop)
        .where(
            DayPlanStop.staff_id == caller.id, DayPlanStop.day == day, DayPlanStop.assignment_id.not_in(assignment_ids)
        )
        .order_by(DayPlanStop.position, DayPlanStop.assignment_id)
    )
    appended = []
    for position, stop in enumerate(others, start=len(assignment_ids)):
        stop.position = position
        appended.append(stop.assignment_id)
    await session.flush()  # the response reads the new order
    return appended
