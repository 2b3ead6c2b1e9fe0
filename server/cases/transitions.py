"""How a case moves: every step, whoever takes it, goes through `move`, once for each cause."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.benefits.changes import grant_takes_effect, month_after, take_effect
from server.cases.deadlines import restore_deadlines, update_deadlines
from server.cases.visit_orders import update_visit_orders
from server.cases.workflow import MOVES
from server.core import jobs
from server.core.access import Caller, Role
from server.core.database import open_session
from server.core.ids import new_id
from server.core.services import Services
from server.core.tokens import utc_now
from server.core.working_days import day_of
from server.models.cases import CLOSED_STATES, CaseEvent, CaseFile
from server.models.households import Assignment, Household
from server.models.people import StaffRole
from server.models.review import Decision
from server.models.visits import Visit, VisitInvestigator
from server.sync_feed.publish import publish_change

_BY_OUTCOME = {"accepted": "survey_done", "returned": "survey_again"}
# Steps of which the household's residents are told, and as what.
_TOLD_AS = {
    "papers_missing": "papers",
    "accepted": "accepted",
    "confirmed": "decided",
    "refused": "decided",
    "not_accepted": "decided",
    "change_answered": "answered",
    "amount_changed": "changed",
    "stopped": "changed",
}


@jobs.task("cases.visit_decided")
async def on_visit_decided(services: Services, *, decision_id: str) -> None:
    """A reviewer decided on a visit: the case that asked for it moves, or learns that the county was there."""
    async with open_session(services.sessions) as session:
        # Locked: an undoing that is under way is waited for, and then seen.
        decision = await session.get_one(Decision, UUID(decision_id), with_for_update=True)
        visit = await session.get_one(Visit, decision.visit_id)
        case = await _open_case(session, visit.household_id)
        if case is None or decision.undone_at is not None or not await _is_of(session, visit, case):
            return
        step = _BY_OUTCOME.get(decision.outcome)
        if visit.kind == "intake" and step is not None:
            await move(
                session,
                case,
                step,
                cause=f"decision:{decision.id}",
                actor_id=decision.reviewer_id,
                at=decision.decided_at,
            )
        if decision.outcome == "accepted" and await _county_was_there(session, visit):
            await move(
                session,
                case,
                "county_visited",
                cause=f"county_visit:{visit.id}",
                actor_id=decision.reviewer_id,
                at=decision.decided_at,
            )


async def _open_case(session: AsyncSession, household_id: UUID) -> CaseFile | None:
    case: CaseFile | None = await session.scalar(
        select(CaseFile)
        .where(CaseFile.household_id == household_id, CaseFile.state.not_in(CLOSED_STATES))
        .with_for_update()
    )
    return case


async def _is_of(session: AsyncSession, visit: Visit, case: CaseFile) -> bool:
    """Not one that an earlier application asked for, and that is decided now that another is under way."""
    ordered = await session.get(Assignment, visit.assignment_id) if visit.assignment_id else None
    if ordered is not None and ordered.case_id is not None:
        return ordered.case_id == case.id
    return visit.started_at is None or day_of(visit.started_at) >= case.applied_on


async def _county_was_there(session: AsyncSession, visit: Visit) -> bool:
    found = await session.scalar(
        select(StaffRole.id)
        .join(VisitInvestigator, VisitInvestigator.staff_id == StaffRole.staff_id)
        .where(
            VisitInvestigator.visit_id == visit.id,
            StaffRole.role == Role.COUNTY_OFFICER,
            literal(visit.area_code).startswith(StaffRole.area_code),
            StaffRole.revoked_at.is_(None),
        )
        .limit(1)
    )
    return found is not None


async def move(
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
    """Move a locked case; False when this cause already did, or does not apply where the case stands."""
    known = MOVES[step]
    if known.from_states and case.state not in known.from_states:
        return False
    to_state = known.to_state or case.state
    entered = await session.scalar(
        insert(CaseEvent)
        .values(
            id=new_id(),
            case_id=case.id,
            at=at,
            step=step,
            state=to_state,
            actor_id=actor_id,
            cause=cause,
            facts=facts or {},
        )
        .on_conflict_do_nothing()
        .returning(CaseEvent.id)
    )
    if entered is None:
        return False
    case.state = to_state
    case.version += 1
    _mark(case, step, at)
    case.updated_at = func.now()
    await update_deadlines(session, case, step, day_of(at))
    await update_visit_orders(session, case, step, day_of(at), actor_id)
    audit.record(session, caller, "case.moved", "case", case.id, area_code=case.area_code, step=step)
    if step in _TOLD_AS:
        await jobs.defer(
            session, "notifications.tell", kind=_TOLD_AS[step], thing=f"event:{entered}", area_code=case.area_code,
            household_id=str(case.household_id), facts={"caseId": str(case.id)},
        )  # fmt: skip
    return True


def _mark(case: CaseFile, step: str, at: datetime) -> None:
    """What a step leaves on the case beside its state."""
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
    elif step == "confirmed":
        case.decided_on, case.paid_from = on, month_after(on)
    elif step in {"refused", "not_accepted"}:
        case.decided_on, case.amount_fen = on, None


@jobs.task("cases.keep", cron="5 16 * * *")
async def run_daily(services: Services) -> None:
    """Each night, just after midnight in China: what a new day brings about by itself."""
    async with open_session(services.sessions) as session:
        await restore_deadlines(session)
        await begin_payments(session, utc_now())
        await take_effect(session, utc_now())


async def begin_payments(session: AsyncSession, now: datetime) -> int:
    """Published cases whose first month has come are in force: the household's amount becomes theirs."""
    cases = list(
        await session.scalars(
            select(CaseFile)
            .where(CaseFile.state == "published", CaseFile.paid_from <= day_of(now))
            .with_for_update(skip_locked=True)
        )
    )
    for case in cases:
        household = await session.get_one(Household, case.household_id)
        household.monthly_amount_fen, household.updated_at = case.amount_fen, func.now()
        await grant_takes_effect(session, case, now)
        await move(session, case, "in_force", cause=f"month:{case.paid_from}", actor_id=None, at=now)
    await session.flush()  # announce reads the households
    await publish_change(session, "households", [one.household_id for one in cases])
    return len(cases)
