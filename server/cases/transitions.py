"""State transitions of a case. Every step goes through `apply_transition`, once per cause."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.cases.deadlines import update_deadlines
from server.cases.visit_orders import update_visit_orders
from server.cases.workflow import TRANSITIONS
from server.core import jobs
from server.core.access import Caller
from server.core.ids import new_id
from server.core.job_types import Notify
from server.core.working_days import day_of
from server.models.cases import CaseEvent, CaseFile

# Steps that notify the residents of the household, with the kind of notification.
_NOTIFICATION_KINDS = {
    "papers_missing": "papers",
    "accepted": "accepted",
    "confirmed": "decided",
    "refused": "decided",
    "not_accepted": "decided",
    "change_answered": "answered",
    "amount_changed": "changed",
    "stopped": "changed",
    "came_back": "decided",
}


async def apply_transition(
    session: AsyncSession,
    case: CaseFile,
    step: str,
    *,
    cause: str,
    actor_id: UUID | None,
    at: datetime,
    caller: Caller | None = None,
    facts: dict[str, Any] | None = None,
) -> bool:
    """Move a locked case. Return False when the cause was applied before or the step does not apply in this state."""
    transition = TRANSITIONS[step]
    if transition.from_states and case.state not in transition.from_states:
        return False
    to_state = transition.to_state or case.state
    values = {"step": step, "state": to_state, "actor_id": actor_id, "cause": cause, "facts": facts or {}}
    event_id = await session.scalar(
        insert(CaseEvent)
        .values(id=new_id(), case_id=case.id, at=at, **values)
        .on_conflict_do_nothing()
        .returning(CaseEvent.id)
    )
    if event_id is None:
        return False
    case.state = to_state
    case.version += 1
    _set_case_fields(case, step, at)
    case.updated_at = at
    await update_deadlines(session, case, step, day_of(at))
    await update_visit_orders(session, case, step, day_of(at), actor_id)
    audit.record(session, caller, Action.CASE_MOVED, "case", case.id, area_code=case.area_code, step=step)
    if step in _NOTIFICATION_KINDS:
        await jobs.defer(session, _build_notification(case, step, event_id))
    return True


def _build_notification(case: CaseFile, step: str, event_id: UUID) -> Notify:
    return Notify(
        kind=_NOTIFICATION_KINDS[step],
        thing=f"event:{event_id}",
        area_code=case.area_code,
        household_id=case.household_id,
        facts={"caseId": str(case.id)},
    )


def _set_case_fields(case: CaseFile, step: str, at: datetime) -> None:
    """Set the fields that a step changes besides the state."""
    on = day_of(at)
    if step == "suspended":
        case.suspended_on = on
    elif step in {"resumed", "withdrawn"}:
        case.suspended_on = None
    elif step == "extended":
        case.is_extended = True
    elif step == "county_visited":
        case.county_visited_at = at
    elif step == "posting_round_ended":
        case.posting_round += 1
    elif step in {"survey_ordered", "returned_to_survey", "returned_to_town"}:
        case.posting_round, case.amount_fen = 0, None
    elif step in {"confirmed", "came_back"}:
        case.decided_on = on
    elif step in {"refused", "not_accepted"}:
        case.decided_on, case.amount_fen = on, None
