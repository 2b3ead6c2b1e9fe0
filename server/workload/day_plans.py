"""A caseworker's day: the visits meant for it in order, which the caseworker may put in another.

Each assignment on the phone carries its own place in the plan, so that the plan is there without a network; an
order that is written here goes out to all of the person's phones with their next pull.
"""

from datetime import date
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core.access import Caller, readable
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.models.households import Assignment, Household
from server.models.workload import DayPlanStop
from server.sync_feed.publish import republish


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
    """The day's visits in their order; those planned for another day move here."""

    assignment_ids: Annotated[list[UUID], Meta(max_length=100)]


async def list_days(session: AsyncSession, caller: Caller, first: date, last: date) -> list[DayPlan]:
    """The caller's own days that have stops. One query."""
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
    for day, due, head_name, address in rows:
        days.setdefault(day, DayPlan(day=day, stops=[])).stops.append(
            Stop(
                assignment_id=due.id,
                household_id=due.household_id,
                head_name=head_name,
                address=address,
                kind=due.kind,
                due_on=due.due_on,
                is_done=due.state == "done",
            )
        )
    return list(days.values())


async def plan_day(session: AsyncSession, caller: Caller, day: date, asked: PlanDay) -> list[DayPlan]:
    """Put the day's visits in this order. Raises `thing.not_found` for one that isn't the caller's."""
    wanted = list(dict.fromkeys(asked.assignment_ids))
    own = set(
        await session.scalars(
            readable(Assignment, caller).with_only_columns(Assignment.id).where(Assignment.id.in_(wanted))
        )
    )
    if own != set(wanted):
        raise Problem("thing.not_found")
    for position, assignment_id in enumerate(wanted):
        row = insert(DayPlanStop).values(staff_id=caller.id, assignment_id=assignment_id, day=day, position=position)
        await session.execute(
            row.on_conflict_do_update(
                index_elements=["staff_id", "assignment_id"], set_={"day": day, "position": position}
            )
        )
    left = await _leave_others_behind(session, caller, day, wanted)
    await republish(session, caller.id, "assignments", [str(one) for one in (*wanted, *left)])
    audit.record(session, caller, "day_plan.ordered", "day_plan", day, stops=len(wanted))
    return await list_days(session, caller, day, day)


async def _leave_others_behind(session: AsyncSession, caller: Caller, day: date, wanted: list[UUID]) -> list[UUID]:
    """Stops of that day that were not named stay on it, after the others: nothing due is lost by an order."""
    others = await session.scalars(
        select(DayPlanStop)
        .where(DayPlanStop.staff_id == caller.id, DayPlanStop.day == day, DayPlanStop.assignment_id.not_in(wanted))
        .order_by(DayPlanStop.position, DayPlanStop.assignment_id)
    )
    left = []
    for position, stop in enumerate(others, start=len(wanted)):
        stop.position = position
        left.append(stop.assignment_id)
    await session.flush()  # the list that is answered reads the new order
    return left
