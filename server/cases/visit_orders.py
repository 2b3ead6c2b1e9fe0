"""The visits that the procedure asks for: ordered when a case needs one, taken back when it no longer does.

Whoever holds the household finds the visit on their phone; where nobody does, the town assigns the household. Where
no checklist fits, the order is kept and told to whoever gave it, and goes out once one is published.
"""

from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.checklists.publishing import newest_checklist
from server.checklists.wording import say_visit
from server.core import jobs
from server.core.ids import new_id
from server.core.working_days import end_of, length_of
from server.models.cases import CLOSED_STATES, CaseDeadline, CaseFile
from server.models.households import Assignment, Household
from server.models.workload import BlockedVisit
from server.policy.resolver import load_overrides, policy_values
from server.sync_feed.publish import publish_change
from server.workload.unfulfilled_orders import end_unfulfilled_orders, record_unfulfilled_order, who_can_fulfil

_ORDERING = frozenset({"accepted", "survey_ordered", "returned_to_survey"})
_SURVEY = "case.survey_start_working_days"


async def update_visit_orders(
    session: AsyncSession, case: CaseFile, step: str, on: date, ordered_by: UUID | None
) -> None:
    """After a step: order the intake visit it asks for, or take back what an ended application had ordered."""
    if step in _ORDERING:
        due = await session.scalar(
            select(CaseDeadline.due_on).where(
                CaseDeadline.case_id == case.id, CaseDeadline.kind == "survey", CaseDeadline.met_on.is_(None)
            )
        )
        await order_visit(session, case, "intake", due or await soon(session, case, on), ordered_by)
    elif case.state in CLOSED_STATES and step in {"withdrawn", "refused", "not_accepted"}:
        await _take_back(session, case)


async def soon(session: AsyncSession, case: CaseFile, on: date) -> date:
    """A second survey has the time of the first."""
    rules = await policy_values(session, case.area_code, case.rules_on, [_SURVEY])
    return end_of(on, length_of(rules, _SURVEY), await load_overrides(session)).on


async def order_visit(session: AsyncSession, case: CaseFile, kind: str, due_on: date, ordered_by: UUID | None) -> None:
    """One open visit of a kind per case: a second order changes nothing."""
    waiting = select(Assignment.id).where(
        Assignment.case_id == case.id, Assignment.kind == kind, Assignment.state == "open"
    )
    order = _Order(case.household_id, case.area_code, kind, due_on, case.id, ordered_by)
    await _give(session, order, unless=waiting)


async def order_home_visit(session: AsyncSession, household: Household, kind: str, due_on: date) -> None:
    """The same for a household without an open case; one open visit of a kind."""
    waiting = select(Assignment.id).where(
        Assignment.household_id == household.id, Assignment.kind == kind, Assignment.state == "open"
    )
    await _give(session, _Order(household.id, household.area_code, kind, due_on), unless=waiting)


class _Order(NamedTuple):
    household_id: UUID
    area_code: str
    kind: str
    due_on: date
    case_id: UUID | None = None
    # Null: the procedure itself asks for it.
    ordered_by: UUID | None = None


async def _give(session: AsyncSession, order: _Order, *, unless: Any) -> None:
    if await session.scalar(unless.limit(1)) is not None:
        return
    checklist = await newest_checklist(session, order.area_code, order.kind)
    if checklist is None:
        await _keep(session, order)
        return
    assignment = Assignment(
        id=new_id(),
        household_id=order.household_id,
        kind=order.kind,
        due_on=order.due_on,
        checklist_code=checklist.code,
        checklist_version=checklist.version,
        case_id=order.case_id,
        state="open",
    )
    session.add(assignment)
    await session.flush()  # announce reads it
    await publish_change(session, "assignments", [assignment.id])
    await jobs.defer(
        session, "notifications.tell", kind="assigned", thing=f"assignment:{assignment.id}", area_code=order.area_code,
        assignment_id=str(assignment.id), facts={"count": 1, "on": order.due_on.isoformat()},
    )  # fmt: skip


async def _keep(session: AsyncSession, order: _Order) -> None:
    kept = await record_unfulfilled_order(session, **order._asdict())
    if kept is None:
        return
    what = say_visit(order.kind)
    told = await who_can_fulfil(session, order.area_code, [order.ordered_by] if order.ordered_by else [])
    await jobs.defer(
        session, "notifications.tell", kind="visit_blocked", thing=f"blocked:{kept}", area_code=order.area_code,
        staff_ids=told, facts={"count": 1, "what": what.zh, "whatEn": what.en, "caseId": _text(order.case_id)},
    )  # fmt: skip


def _text(one: UUID | None) -> str | None:
    return str(one) if one else None


async def _take_back(session: AsyncSession, case: CaseFile) -> None:
    ids: list[UUID] = list(
        await session.scalars(
            update(Assignment)
            .where(Assignment.case_id == case.id, Assignment.state == "open", Assignment.kind == "intake")
            .values(state="cancelled")
            .returning(Assignment.id)
        )
    )
    await publish_change(session, "assignments", ids, reason="case_closed")
    await end_unfulfilled_orders(session, BlockedVisit.case_id == case.id, BlockedVisit.kind == "intake")
