"""Job handlers that move cases: a visit was decided, a posting ended, an objection, a complaint. Idempotent."""

from datetime import date
from uuid import UUID

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.found_figures import draft_found_figures
from server.cases.transitions import apply_transition
from server.cases.visit_orders import order_home_visit, order_visit
from server.core import jobs
from server.core.access import Role
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.job_types import (
    MoveCaseAfterAnswer,
    MoveCaseAfterDecision,
    MoveCaseAfterObjection,
    MoveCaseAfterPosting,
    OrderComplaintVisit,
)
from server.core.services import Services
from server.core.working_days import day_of, end_of, length_of
from server.models.cases import CLOSED_STATES, GRANTED_STATES, CaseFile
from server.models.households import Assignment, Household
from server.models.people import StaffRole
from server.models.postings import Objection
from server.models.review import Decision
from server.models.visits import Visit, VisitInvestigator
from server.policy.resolver import load_overrides, load_policy_values

_STEP_BY_OUTCOME = {"accepted": "survey_done", "returned": "survey_again"}
_COMPLAINT_VISIT_KEY = "complaint.visit_days"


@jobs.task(MoveCaseAfterDecision)
async def on_visit_decided(services: Services, job: MoveCaseAfterDecision) -> None:
    """Move the open case of the visit and draft what an accepted visit found, for a case in force too."""
    async with open_session(services.sessions) as session:
        # The lock waits for an undo in progress, so that its result is visible here.
        decision = await session.get_one(Decision, job.decision_id, with_for_update=True)
        visit = await session.get_one(Visit, decision.visit_id)
        case = await _lock_household_case(session, visit.household_id) or await _lock_granted_case(session, visit)
        if case is None or decision.undone_at is not None or not await _belongs_to_case(session, visit, case):
            return
        if decision.outcome == "accepted":
            await draft_found_figures(session, case, visit, utc_now())
        if case.state in CLOSED_STATES:
            return
        step = _STEP_BY_OUTCOME.get(decision.outcome)
        if visit.kind == "intake" and step is not None:
            await apply_transition(
                session,
                case,
                step,
                cause=f"decision:{decision.id}",
                actor_id=decision.reviewer_id,
                at=decision.decided_at,
            )
        if decision.outcome == "accepted" and await _county_officer_took_part(session, visit):
            await apply_transition(
                session,
                case,
                "county_visited",
                cause=f"county_visit:{visit.id}",
                actor_id=decision.reviewer_id,
                at=decision.decided_at,
            )


async def _lock_granted_case(session: AsyncSession, visit: Visit) -> CaseFile | None:
    """Return the case by which the household receives, locked: most visits to it are reviews."""
    case: CaseFile | None = await session.scalar(
        select(CaseFile)
        .where(CaseFile.household_id == visit.household_id, CaseFile.state.in_(GRANTED_STATES))
        .order_by(CaseFile.applied_on.desc(), CaseFile.id.desc())
        .limit(1)
        .with_for_update()
    )
    return case


async def _belongs_to_case(session: AsyncSession, visit: Visit, case: CaseFile) -> bool:
    """Say whether the visit belongs to this case, not to an earlier application of the household."""
    assignment = await session.get(Assignment, visit.assignment_id) if visit.assignment_id else None
    if assignment is not None and assignment.case_id is not None:
        return assignment.case_id == case.id
    return visit.started_at is None or day_of(visit.started_at) >= case.applied_on


async def _county_officer_took_part(session: AsyncSession, visit: Visit) -> bool:
    role_id = await session.scalar(
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
    return role_id is not None


@jobs.task(MoveCaseAfterPosting)
async def on_posting_ended(services: Services, job: MoveCaseAfterPosting) -> None:
    """The posting ended without an open objection: start the next round, or pass the case to the county."""
    async with open_session(services.sessions) as session:
        await _end_posting_round(session, await _lock_case(session, job.case_id), job.posting_id)


async def _end_posting_round(session: AsyncSession, case: CaseFile, posting_id: UUID) -> None:
    settings = await load_policy_values(session, case.area_code, case.rules_on, ["case.posting_rounds"])
    is_last = case.posting_round + 1 >= int(settings.get("case.posting_rounds", 1))
    step = "posting_ended" if is_last else "posting_round_ended"
    await apply_transition(session, case, step, cause=f"posting:{posting_id}", actor_id=None, at=utc_now())


@jobs.task(MoveCaseAfterObjection)
async def on_objection_made(services: Services, job: MoveCaseAfterObjection) -> None:
    async with open_session(services.sessions) as session:
        case = await _lock_case(session, job.case_id)
        if await _is_objection_dismissed(session, job.objection_id):
            return
        await apply_transition(
            session, case, "objection_made", cause=f"objection:{job.objection_id}", actor_id=None, at=utc_now()
        )


async def _is_objection_dismissed(session: AsyncSession, objection_id: UUID) -> bool:
    """Say whether the objection was dismissed before this job ran: then the posting goes on."""
    return (await session.get_one(Objection, objection_id)).outcome == "dismissed"


@jobs.task(MoveCaseAfterAnswer)
async def on_objection_answered(services: Services, job: MoveCaseAfterAnswer) -> None:
    """Return the case to its posting, and end the round if the posting has ended meanwhile."""
    async with open_session(services.sessions) as session:
        case = await _lock_case(session, job.case_id)
        cause = f"objection_answered:{job.objection_id}"
        await apply_transition(session, case, "objection_answered", cause=cause, actor_id=job.actor_id, at=utc_now())
        if job.ended_posting_id is not None:
            await _end_posting_round(session, case, job.ended_posting_id)


@jobs.task(OrderComplaintVisit)
async def on_complained(services: Services, job: OrderComplaintVisit) -> None:
    """Order a visit to the household. For an open case the county must also visit before it decides (law)."""
    async with open_session(services.sessions) as session:
        household = await session.get_one(Household, job.household_id)
        case = await _lock_household_case(session, household.id)
        due = await _complaint_visit_due(session, household.area_code, day_of(utc_now()))
        if case is None:
            await order_home_visit(session, household, "complaint", due)
            return
        if not case.needs_county_visit:
            case.needs_county_visit = True
            case.version += 1
        await order_visit(session, case, "complaint", due, None)


async def _complaint_visit_due(session: AsyncSession, area_code: str, today: date) -> date:
    settings = await load_policy_values(session, area_code, today, [_COMPLAINT_VISIT_KEY])
    return end_of(today, length_of(settings, _COMPLAINT_VISIT_KEY), await load_overrides(session)).on


async def _lock_household_case(session: AsyncSession, household_id: UUID) -> CaseFile | None:
    """Return the household's open case, locked."""
    case: CaseFile | None = await session.scalar(
        select(CaseFile)
        .where(CaseFile.household_id == household_id, CaseFile.state.not_in(CLOSED_STATES))
        .with_for_update()
    )
    return case


async def _lock_case(session: AsyncSession, case_id: UUID) -> CaseFile:
    return (await session.scalars(select(CaseFile).where(CaseFile.id == case_id).with_for_update())).one()
