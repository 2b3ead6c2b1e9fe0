"""One case as the desk shows it: its state, papers, deadlines, events, notices and what the household said."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.amount_timeline import AmountSpan, AmountTimeline, OvertakenDecision, load_timelines
from server.benefits.programmes import Programme, as_programme
from server.benefits.stop_grounds import StopGroundLine, list_stop_grounds
from server.cases.change_reports import ReportedChange, list_case_changes
from server.cases.come_back import may_come_back
from server.cases.deadline_lines import DeadlineLine, list_deadlines
from server.cases.loading import gave_opinion, load_case, roles_over_case
from server.cases.notices import NoticeLine, list_notices
from server.cases.papers import PaperLine, list_papers
from server.cases.payment_proposals import DECIDING_STEPS, PaymentProposalLine, load_open_proposal
from server.cases.programmes import Basis, propose_programme
from server.cases.workflow import ACTIONS, DECISIONS, STATE_INFO, TRANSITIONS, deciding_role, find_refusal
from server.core.access import Caller, Role
from server.core.http import ResponseBody
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.cases import CaseEvent, CaseFile
from server.models.door_applications import DoorApplication
from server.models.households import Household
from server.models.people import Staff
from server.models.records import Record
from server.models.workload import BlockedVisit
from server.policy.resolver import load_policy_values
from server.workload.unfulfilled_orders import NO_CHECKLIST, render_unfulfilled_reason


class EventLine(ResponseBody):
    at: datetime
    step: str
    state: str
    zh: str
    actor_name: str | None
    reason: str
    facts: dict[str, Any]


class VisitFeedback(ResponseBody):
    """A resident's feedback on the record of a visit."""

    visit_id: UUID
    stance: Literal["confirmed", "disputed"]
    text: str
    at: datetime


class UnfulfilledOrderLine(ResponseBody):
    """A visit order that can't be fulfilled yet; `code` and the texts say why."""

    code: str
    zh: str
    en: str
    kind: str
    due_on: date
    ordered_at: datetime


class CaseDetail(ResponseBody):
    """`version` goes back as `If-Match`; `acts` are the steps that the caller can take now.

    `amounts` is the line of what is paid by month, `overtaken` are decisions that a later one left without effect.
    `proposal` waits for another person. `stop_grounds` are those of the area, while the case can be stopped.
    `programme` is null until an officer has confirmed it; `programme_basis` says where the proposal is from.
    `visit_words` and `changes` hold what the household said, the newest first.
    """

    id: UUID
    application_number: str
    household_id: UUID
    head_name: str
    area_code: str
    area_name: str
    state: str
    state_zh: str
    applied_on: date
    rules_on: date
    version: int
    is_suspended: bool
    is_extended: bool
    needs_county_visit: bool
    county_visited_at: datetime | None
    consented_on: date | None
    programme: Programme | None
    proposed_programme: Programme
    programme_basis: Basis
    situations: list[str]
    amount_fen: int | None
    decided_on: date | None
    paid_from: date | None
    stopped_from: date | None
    amounts: list[AmountSpan]
    overtaken: list[OvertakenDecision]
    acts: list[str]
    proposal: PaymentProposalLine | None
    stop_grounds: list[StopGroundLine]
    papers: list[PaperLine]
    deadlines: list[DeadlineLine]
    timeline: list[EventLine]
    notices: list[NoticeLine]
    visit_words: list[VisitFeedback]
    changes: list[ReportedChange]
    blocked_visits: list[UnfulfilledOrderLine]
    # Talk, signatures and photos of an application at the door.
    door_record_id: UUID | None


async def load_case_detail(session: AsyncSession, caller: Caller, case_id: UUID, now: datetime) -> CaseDetail:
    case = await load_case(session, caller, case_id)
    household = await session.get_one(Household, case.household_id)
    area = await session.get_one(Area, case.area_code)
    settings = await load_policy_values(session, case.area_code, case.rules_on, ["case.decided_by"])
    timeline = await _list_events(session, case)
    proposal = await load_open_proposal(session, caller, case)
    acts = await _list_acts(session, caller, case, proposal, deciding_role(settings), day_of(now))
    amounts = (await load_timelines(session, [case.id])).get(case.id, AmountTimeline([], []))
    can_stop = case.state in TRANSITIONS["stop_proposed"].from_states
    return CaseDetail(
        **_describe_case(case),
        head_name=household.head_name,
        area_name=area.name,
        amounts=amounts.spans,
        overtaken=amounts.overtaken,
        acts=acts,
        proposal=proposal,
        stop_grounds=await list_stop_grounds(session, case.area_code, day_of(now)) if can_stop else [],
        papers=await list_papers(session, case),
        deadlines=await list_deadlines(session, case, day_of(now)),
        timeline=timeline,
        notices=await list_notices(session, caller, case),
        visit_words=[_visit_feedback(event) for event in reversed(timeline) if event.step in _STANCES],
        changes=await list_case_changes(session, case),
        blocked_visits=await _list_unfulfilled_orders(session, case),
        door_record_id=await _find_door_record(session, case),
    )


async def _find_door_record(session: AsyncSession, case: CaseFile) -> UUID | None:
    """The talk record of who made this application there. A phone chooses the id of a record, also that of a case."""
    held_author = select(DoorApplication.author_id).where(DoorApplication.id == case.id).scalar_subquery()
    opened_by = (
        select(CaseEvent.actor_id).where(CaseEvent.case_id == case.id, CaseEvent.cause == "applied").scalar_subquery()
    )
    return await session.scalar(
        select(Record.id).where(
            Record.id == case.id,
            Record.kind == "application",
            Record.area_code == case.area_code,
            Record.author_id == func.coalesce(held_author, opened_by),
            Record.submitted_at.is_not(None),
        )
    )


def _describe_case(case: CaseFile) -> dict[str, Any]:
    """Return the fields of the detail that the case itself says."""
    proposed = propose_programme(case)
    return {
        "id": case.id,
        "application_number": case.number,
        "household_id": case.household_id,
        "area_code": case.area_code,
        "state": case.state,
        "state_zh": STATE_INFO[case.state].zh,
        "applied_on": case.applied_on,
        "rules_on": case.rules_on,
        "version": case.version,
        "is_suspended": case.suspended_on is not None,
        "is_extended": case.is_extended,
        "needs_county_visit": case.needs_county_visit,
        "county_visited_at": case.county_visited_at,
        "consented_on": case.consented_on,
        "programme": as_programme(case.programme),
        "proposed_programme": proposed.programme,
        "programme_basis": proposed.basis,
        "situations": case.situations,
        "amount_fen": case.amount_fen,
        "decided_on": case.decided_on,
        "paid_from": case.paid_from,
        "stopped_from": case.stopped_from,
    }


async def _list_acts(
    session: AsyncSession,
    caller: Caller,
    case: CaseFile,
    proposal: PaymentProposalLine | None,
    decided_by: Role,
    today: date,
) -> list[str]:
    """List the steps that the caller can take. What moves money waits for the proposal of somebody else."""
    roles, is_suspended = roles_over_case(caller, case), case.suspended_on is not None
    hidden = set(DECIDING_STEPS) if proposal is not None else {"proposal_declined"}
    hidden |= set(DECIDING_STEPS.values()) - ({proposal.step} if proposal and not proposal.is_own else set())
    if case.state == "stopped" and not await may_come_back(session, case, today):
        hidden.add("return_proposed")
    if await gave_opinion(session, caller, case):
        hidden |= DECISIONS
    return [
        step
        for step in ACTIONS
        if step not in hidden
        and find_refusal(step, case.state, roles, is_suspended=is_suspended, decided_by=decided_by) is None
    ]


async def _list_events(session: AsyncSession, case: CaseFile) -> list[EventLine]:
    rows = await session.execute(
        select(CaseEvent, Staff.name)
        .outerjoin(Staff, Staff.id == CaseEvent.actor_id)
        .where(CaseEvent.case_id == case.id)
        .order_by(CaseEvent.at, CaseEvent.id)
    )
    return [
        EventLine(
            at=event.at,
            step=event.step,
            state=event.state,
            zh=TRANSITIONS[event.step].zh,
            actor_name=name,
            reason=event.facts.get("reason", ""),
            facts=event.facts,
        )
        for event, name in rows
    ]


_STANCES: dict[str, Literal["confirmed", "disputed"]] = {
    "resident_confirmed": "confirmed",
    "resident_disputed": "disputed",
}


def _visit_feedback(event: EventLine) -> VisitFeedback:
    return VisitFeedback(
        visit_id=UUID(event.facts["visitId"]), stance=_STANCES[event.step], text=event.reason, at=event.at
    )


async def _list_unfulfilled_orders(session: AsyncSession, case: CaseFile) -> list[UnfulfilledOrderLine]:
    rows = await session.scalars(
        select(BlockedVisit)
        .where(BlockedVisit.case_id == case.id, BlockedVisit.ended_at.is_(None))
        .order_by(BlockedVisit.ordered_at, BlockedVisit.id)
    )
    return [
        UnfulfilledOrderLine(
            code=NO_CHECKLIST,
            **render_unfulfilled_reason(order.kind),
            kind=order.kind,
            due_on=order.due_on,
            ordered_at=order.ordered_at,
        )
        for order in rows
    ]
