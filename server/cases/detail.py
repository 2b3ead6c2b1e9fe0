"""One case as the desk shows it: its state, papers, deadlines, events, notices and what the household said."""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.cases.change_reports import ReportedChange, list_case_changes
from server.cases.deadline_lines import DeadlineLine, list_deadlines
from server.cases.loading import load_case, roles_over_case
from server.cases.notices import NoticeLine, list_notices
from server.cases.papers import PaperLine, list_papers
from server.cases.workflow import ACTIONS, STATE_INFO, TRANSITIONS, deciding_role, find_refusal
from server.core.access import Caller
from server.core.http import ResponseBody
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.cases import CaseEvent, CaseFile
from server.models.households import Household
from server.models.people import Staff
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
    situations: list[str]
    amount_fen: int | None
    decided_on: date | None
    paid_from: date | None
    stopped_from: date | None
    acts: list[str]
    papers: list[PaperLine]
    deadlines: list[DeadlineLine]
    timeline: list[EventLine]
    notices: list[NoticeLine]
    visit_words: list[VisitFeedback]
    changes: list[ReportedChange]
    blocked_visits: list[UnfulfilledOrderLine]


async def load_case_detail(session: AsyncSession, caller: Caller, case_id: UUID, now: datetime) -> CaseDetail:
    case = await load_case(session, caller, case_id)
    household = await session.get_one(Household, case.household_id)
    area = await session.get_one(Area, case.area_code)
    settings = await load_policy_values(session, case.area_code, case.rules_on, ["case.decided_by"])
    timeline = await _list_events(session, case)
    decided_by = deciding_role(settings)
    roles, suspended = roles_over_case(caller, case), case.suspended_on is not None
    return CaseDetail(
        id=case.id,
        application_number=case.number,
        household_id=case.household_id,
        head_name=household.head_name,
        area_code=case.area_code,
        area_name=area.name,
        state=case.state,
        state_zh=STATE_INFO[case.state].zh,
        applied_on=case.applied_on,
        rules_on=case.rules_on,
        version=case.version,
        is_suspended=suspended,
        is_extended=case.is_extended,
        needs_county_visit=case.needs_county_visit,
        county_visited_at=case.county_visited_at,
        consented_on=case.consented_on,
        situations=case.situations,
        amount_fen=case.amount_fen,
        decided_on=case.decided_on,
        paid_from=case.paid_from,
        stopped_from=case.stopped_from,
        acts=[
            step for step in ACTIONS
            if find_refusal(step, case.state, roles, is_suspended=suspended, decided_by=decided_by) is None
        ],
        papers=await list_papers(session, case),
        deadlines=await list_deadlines(session, case, day_of(now)),
        timeline=timeline,
        notices=await list_notices(session, caller, case),
        visit_words=[_visit_feedback(event) for event in reversed(timeline) if event.step in _STANCES],
        changes=await list_case_changes(session, case),
        blocked_visits=await _list_unfulfilled_orders(session, case),
    )  # fmt: skip


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
