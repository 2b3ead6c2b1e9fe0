"""Visit orders of a case: created when the procedure needs a visit, cancelled when it no longer does.

An order becomes an assignment for the caseworker of the household; without a caseworker, the town assigns one.
Without a published checklist the order is stored as unfulfilled, its sender is notified, and it is placed once a
checklist is published.
"""

from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.checklists.versions import find_newest_checklist
from server.checklists.wording import visit_kind_text
from server.core import jobs
from server.core.job_types import Notify
from server.core.working_days import end_of, length_of
from server.models.cases import CLOSED_STATES, CaseDeadline, CaseFile
from server.models.households import Assignment, Household
from server.models.workload import BlockedVisit
from server.policy.resolver import load_overrides, load_policy_values
from server.sync_feed.publish import publish_change
from server.workload.assignments import create_assignment, notify_holders
from server.workload.unfulfilled_orders import end_unfulfilled_orders, list_responsible_staff, record_unfulfilled_order

_STEPS_ORDERING_INTAKE = frozenset({"accepted", "survey_ordered", "returned_to_survey"})
_SURVEY_START_KEY = "case.survey_start_working_days"


async def update_visit_orders(
    session: AsyncSession, case: CaseFile, step: str, on: date, ordered_by: UUID | None
) -> None:
    """Order the intake visit that a step requires, or cancel the orders of an application that ended."""
    if step in _STEPS_ORDERING_INTAKE:
        due = await session.scalar(
            select(CaseDeadline.due_on).where(
                CaseDeadline.case_id == case.id, CaseDeadline.kind == "survey", CaseDeadline.met_on.is_(None)
            )
        )
        await order_visit(session, case, "intake", due or await survey_due_date(session, case, on), ordered_by)
    elif case.state in CLOSED_STATES and step in {"withdrawn", "refused", "not_accepted"}:
        await _cancel_intake_visits(session, case)


async def survey_due_date(session: AsyncSession, case: CaseFile, on: date) -> date:
    """Return the due date of a repeated survey: it has as much time as the first."""
    settings = await load_policy_values(session, case.area_code, case.rules_on, [_SURVEY_START_KEY])
    return end_of(on, length_of(settings, _SURVEY_START_KEY), await load_overrides(session)).on


async def order_visit(session: AsyncSession, case: CaseFile, kind: str, due_on: date, ordered_by: UUID | None) -> None:
    """Order a visit for a case. Does nothing while the case has an open one of this kind."""
    open_visit = select(Assignment.id).where(
        Assignment.case_id == case.id, Assignment.kind == kind, Assignment.state == "open"
    )
    order = _Order(case.household_id, case.area_code, kind, due_on, case.id, ordered_by)
    await _place_order(session, order, unless=open_visit)


async def order_home_visit(session: AsyncSession, household: Household, kind: str, due_on: date) -> None:
    """Order a visit for a household without an open case. Does nothing while it has an open one of this kind."""
    open_visit = select(Assignment.id).where(
        Assignment.household_id == household.id, Assignment.kind == kind, Assignment.state == "open"
    )
    await _place_order(session, _Order(household.id, household.area_code, kind, due_on), unless=open_visit)


class _Order(NamedTuple):
    household_id: UUID
    area_code: str
    kind: str
    due_on: date
    case_id: UUID | None = None
    # None: ordered by the procedure itself.
    ordered_by: UUID | None = None


async def _place_order(session: AsyncSession, order: _Order, *, unless: Any) -> None:
    if await session.scalar(unless.limit(1)) is not None:
        return
    checklist = await find_newest_checklist(session, order.area_code, order.kind)
    if checklist is None:
        await _record_unfulfilled(session, order)
        return
    assignment = create_assignment(
        session, order.household_id, order.kind, order.due_on, checklist, case_id=order.case_id
    )
    await session.flush()  # publish_change reads it
    await publish_change(session, "assignments", [assignment.id])
    await notify_holders(session, assignment, order.area_code)


async def _record_unfulfilled(session: AsyncSession, order: _Order) -> None:
    blocked_id = await record_unfulfilled_order(session, **order._asdict())
    if blocked_id is None:
        return
    what = visit_kind_text(order.kind)
    case_id = str(order.case_id) if order.case_id else None
    staff_ids = await list_responsible_staff(session, order.area_code, [order.ordered_by] if order.ordered_by else [])
    await jobs.defer(
        session,
        Notify(
            kind="visit_blocked",
            thing=f"blocked:{blocked_id}",
            area_code=order.area_code,
            staff_ids=staff_ids,
            facts={"count": 1, "what": what.zh, "whatEn": what.en, "caseId": case_id},
        ),
    )


async def _cancel_intake_visits(session: AsyncSession, case: CaseFile) -> None:
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
