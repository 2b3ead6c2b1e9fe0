"""A resident's own cases: state, timeline, what comes next and by when."""

from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.amount_timeline import AmountSpan, AmountTimeline, amount_to_show, load_timelines
from server.benefits.calculations import CalculationLine, list_calculations
from server.benefits.changes import decided_calculation
from server.cases.actions import TakeStep, take_step
from server.cases.change_reports import ReportedChange, list_case_changes
from server.cases.loading import load_case
from server.cases.notices import NoticeLine, list_notices
from server.cases.papers import PaperLine, list_papers
from server.cases.periodic_proofs import ProofLine, list_case_proofs
from server.cases.workflow import INTERNAL_STEPS, STATE_INFO, TRANSITIONS
from server.core.access import Caller, readable
from server.core.http import LongText, RequestBody, ResponseBody
from server.core.working_days import day_of
from server.models.cases import CLOSED_STATES, CaseDeadline, CaseEvent, CaseFile
from server.models.households import Assignment, Caseload, Household
from server.models.people import Staff
from server.models.postings import Posting, PostingEntry
from server.models.review import SpotCheck
from server.residents.offices import Office, load_office
from server.residents.remedies import Remedies, load_remedies


class TimelineStep(ResponseBody):
    at: datetime
    step: str
    zh: str
    en: str
    reason: str = ""


class NextStep(ResponseBody):
    """`by` is the office's own deadline, or null when none runs; `is_late` when it has passed.

    `certain` is false when `by` lies beyond the published calendar.
    """

    zh: str
    en: str
    by: date | None
    certain: bool
    is_late: bool


class CaseStatus(ResponseBody):
    id: UUID
    application_number: str
    applied_on: date
    state: str
    state_zh: str
    state_en: str
    is_suspended: bool
    # What is paid this month, first or last; null until the decision, and where a grant was stopped before it was paid.
    amount_fen: int | None
    paid_from: date | None
    # The first month that is no longer paid.
    stopped_from: date | None
    next: NextStep
    timeline: list[TimelineStep]
    # What is paid from which month to which, without gaps; the newest last.
    amounts: list[AmountSpan]


class Appointment(ResponseBody):
    """A visit that is due, with the visitors' names, so that the household lets nobody else in."""

    kind: str
    kind_zh: str
    kind_en: str
    by: date
    visitors: list[str]


class Stage(ResponseBody):
    """A stage of the procedure, from application to payment."""

    zh: str
    en: str
    state: Literal["done", "now", "to_come"]


class OwnPosting(ResponseBody):
    """A current posting of the case: its public page and dates."""

    round: int
    page: str
    starts_on: date
    ends_on: date


class OwnCase(ResponseBody):
    """One case on one screen. `may_withdraw` and `may_report` say what the resident can do now.

    Each notice opens at `/resident/v1/cases/{id}/notices/{kind}`.
    """

    status: CaseStatus
    applicant: str
    office: Office
    # Why it was decided so, in the officer's words; empty without a decision.
    decision_reason: str
    # Null without a decision.
    remedies: Remedies | None
    stages: list[Stage]
    papers: list[PaperLine]
    missing_papers: int
    # What a household that is paid hands in again and again.
    proofs: list[ProofLine]
    appointments: list[Appointment]
    calculation: CalculationLine | None
    postings: list[OwnPosting]
    notices: list[NoticeLine]
    changes: list[ReportedChange]
    may_withdraw: bool
    may_report: bool


class Withdraw(RequestBody):
    reason: LongText


async def list_own_cases(session: AsyncSession, caller: Caller, now: datetime) -> list[CaseStatus]:
    """List the caller's cases, the newest first, each with its timeline. Four queries."""
    cases = list(
        await session.scalars(readable(CaseFile, caller).order_by(CaseFile.applied_on.desc(), CaseFile.id).limit(50))
    )
    return await load_statuses(session, cases, day_of(now))


async def load_statuses(session: AsyncSession, cases: list[CaseFile], today: date) -> list[CaseStatus]:
    """Return the status and timeline of each case. Three queries."""
    ids = [case.id for case in cases]
    events = await session.scalars(
        select(CaseEvent)
        .where(CaseEvent.case_id.in_(ids), CaseEvent.step.not_in(INTERNAL_STEPS))
        .order_by(CaseEvent.at, CaseEvent.id)
    )
    steps: dict[UUID, list[TimelineStep]] = {}
    for event in events:
        transition = TRANSITIONS[event.step]
        steps.setdefault(event.case_id, []).append(
            TimelineStep(at=event.at, step=event.step, zh=transition.zh, en=transition.en, reason=_reason_of(event))
        )
    deadlines = {
        (deadline.case_id, deadline.kind): deadline
        for deadline in await session.scalars(
            select(CaseDeadline).where(
                CaseDeadline.case_id.in_(ids), CaseDeadline.met_on.is_(None), CaseDeadline.paused_on.is_(None)
            )
        )
    }
    amounts = await load_timelines(session, [case.id for case in cases if case.state in _DECIDED])
    return [_status(case, steps.get(case.id, []), deadlines, amounts.get(case.id), today) for case in cases]


# Steps whose written decision a household can challenge.
_DECISIONS = frozenset({"not_accepted", "refused", "confirmed", "amount_changed", "stopped", "came_back"})


def _last_decision(timeline: list[TimelineStep]) -> TimelineStep | None:
    return next((step for step in reversed(timeline) if step.step in _DECISIONS), None)


def _delivered_on(timeline: list[TimelineStep]) -> date | None:
    """Return the day the last decision was delivered, or null while nothing says that it was."""
    for step in reversed(timeline):
        if step.step in _DECISIONS:
            return None
        if step.step == "notice_delivered":
            return day_of(step.at)
    return None


def _reason_of(event: CaseEvent) -> str:
    """Return what the officer wrote, and why the decision differs from what a visit found."""
    reasons = (event.facts.get("reason", ""), event.facts.get("differenceReason", ""))
    return "；".join(reason for reason in reasons if reason)


def _status(
    case: CaseFile,
    timeline: list[TimelineStep],
    deadlines: dict[tuple[UUID, str], CaseDeadline],
    amounts: AmountTimeline | None,
    today: date,
) -> CaseStatus:
    info = STATE_INFO[case.state]
    deadline = deadlines.get((case.id, info.deadline)) if info.deadline else None
    state_zh, state_en = _paid_until_texts(case, today) or (info.zh, info.en)
    is_decided = case.state in _DECIDED
    # An imported case may have an amount and no decision of this system.
    amount_fen = amount_to_show(amounts.spans, today) if amounts else case.amount_fen
    zh, en = (info.next_zh, info.next_en)
    if case.state == "refused" and _delivered_on(timeline):
        zh, en = (
            "理由已书面告知；不服的，可以在期限内提出",
            "You were told why; there is a time in which you may object",
        )
    return CaseStatus(
        id=case.id,
        application_number=case.number,
        applied_on=case.applied_on,
        state=case.state,
        state_zh=state_zh,
        state_en=state_en,
        is_suspended=case.suspended_on is not None,
        amount_fen=amount_fen if is_decided else None,
        paid_from=case.paid_from if is_decided and amount_fen is not None else None,
        stopped_from=case.stopped_from,
        next=NextStep(
            zh=zh,
            en=en,
            by=deadline.due_on if deadline else None,
            certain=deadline.certain if deadline else True,
            is_late=deadline is not None and deadline.due_on < today,
        ),
        timeline=timeline,
        amounts=amounts.spans if amounts else [],
    )


_DECIDED = frozenset({"confirmed", "published", "in_force", "stopped"})


def _paid_until_texts(case: CaseFile, today: date) -> tuple[str, str] | None:
    """Return the texts for a stop that is decided but not yet in effect: payment continues until its month."""
    if case.state != "stopped" or case.stopped_from is None or case.paid_from is None:
        return None
    if not max(today, case.paid_from) < case.stopped_from:
        return None
    last = case.stopped_from - timedelta(days=1)
    return f"发放至{last.year}年{last.month}月", f"paid until the end of {last:%Y-%m}"


async def load_own_case(session: AsyncSession, caller: Caller, case_id: UUID, now: datetime) -> OwnCase:
    """Load one case with papers, appointments and the calculation that was last opined or decided on."""
    case = await load_case(session, caller, case_id)
    decided = await decided_calculation(session, case)
    calculations = await list_calculations(session, case) if decided else []
    status = (await load_statuses(session, [case], day_of(now)))[0]
    papers = await list_papers(session, case)
    decision = _last_decision(status.timeline)
    return OwnCase(
        status=status,
        applicant=(await session.get_one(Household, case.household_id)).head_name,
        office=await load_office(session, case, day_of(now)),
        decision_reason=decision.reason if decision else "",
        remedies=await load_remedies(session, case, _delivered_on(status.timeline), day_of(decision.at))
        if decision
        else None,
        stages=_stages(status),
        papers=papers,
        missing_papers=sum(paper.state in {"missing", "returned"} for paper in papers) if _is_open(case) else 0,
        proofs=await list_case_proofs(session, case, day_of(now)),
        appointments=await _list_appointments(session, case),
        calculation=next((line for line in calculations if decided and line.id == decided.id), None),
        postings=await _list_open_postings(session, case),
        notices=await list_notices(session, caller, case),
        changes=await list_case_changes(session, case),
        may_withdraw=_can_take_step(case, "withdrawn"),
        may_report=_can_take_step(case, "change_reported"),
    )


_STAGES: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("申请", "application", frozenset({"applied", "materials"})),
    ("受理和入户调查", "taken on, home visit", frozenset({"accepted", "survey"})),
    ("初审", "the town's opinion", frozenset({"preliminary", "hearing"})),
    ("公示", "posting", frozenset({"posting", "objection"})),
    ("县级审核确认", "the county decides", frozenset({"county"})),
    ("发放", "payment", frozenset({"confirmed", "published", "in_force"})),
)


def _stages(status: CaseStatus) -> list[Stage]:
    """Return all stages; for an application that ended, those it went through and then its final state."""
    current = next((n for n, (_, _, states) in enumerate(_STAGES) if status.state in states), None)
    if current is not None:
        return [Stage(zh=zh, en=en, state=_stage_state(n, current)) for n, (zh, en, _) in enumerate(_STAGES)]
    reached = {TRANSITIONS[step.step].to_state for step in status.timeline}
    past = [Stage(zh=zh, en=en, state="done") for zh, en, states in _STAGES if states & reached]
    return [*past, Stage(zh=status.state_zh, en=status.state_en, state="now")]


def _stage_state(number: int, current: int) -> Literal["done", "now", "to_come"]:
    if number == current:
        return "now"
    return "done" if number < current else "to_come"


def _is_open(case: CaseFile) -> bool:
    return case.state not in CLOSED_STATES


def _can_take_step(case: CaseFile, step: str) -> bool:
    return case.state in TRANSITIONS[step].from_states


async def _list_open_postings(session: AsyncSession, case: CaseFile) -> list[OwnPosting]:
    rows = await session.scalars(
        select(Posting)
        .join(PostingEntry, PostingEntry.posting_id == Posting.id)
        .where(PostingEntry.case_id == case.id, PostingEntry.removed_at.is_(None), Posting.state == "open")
        .order_by(Posting.round)
    )
    return [
        OwnPosting(round=posting.round, page=f"/p/{posting.key}", starts_on=posting.starts_on, ends_on=posting.ends_on)
        for posting in rows
        if posting.starts_on is not None and posting.ends_on is not None
    ]


async def _list_appointments(session: AsyncSession, case: CaseFile) -> list[Appointment]:
    due = list(
        await session.scalars(
            select(Assignment)
            .where(
                Assignment.household_id == case.household_id,
                Assignment.state == "open",
                # Neighbour, complaint and spot-check visits are unannounced.
                Assignment.kind.in_(_VISIT_TEXTS),
            )
            .order_by(Assignment.due_on)
        )
    )
    holders = await session.execute(
        select(Staff.id, Staff.name)
        .join(Caseload, Caseload.staff_id == Staff.id)
        .where(
            Caseload.household_id == case.household_id,
            Caseload.revoked_at.is_(None),
            SpotCheck.is_no_team(Caseload.id),
        )
        .order_by(Caseload.granted_at, Staff.name)
    )
    names = [name for _, name in holders]
    return [
        Appointment(
            kind=assignment.kind,
            kind_zh=_VISIT_TEXTS[assignment.kind][0],
            kind_en=_VISIT_TEXTS[assignment.kind][1],
            by=assignment.due_on,
            visitors=names,
        )
        for assignment in due
    ]


_VISIT_TEXTS = {
    "intake": ("入户调查", "the visit for your application"),
    "review": ("定期复核", "a review visit"),
    "care": ("慰问走访", "a visit to see how you are"),
}


async def withdraw(
    session: AsyncSession, caller: Caller, case_id: UUID, body: Withdraw, *, key: str | None, now: datetime
) -> OwnCase:
    """Withdraw the caller's own application before the decision. Idempotent."""
    case = await load_case(session, caller, case_id)
    step = TakeStep(step="withdrawn", reason=body.reason or "本人撤回")
    version = case.version
    session.expire(case)  # take_step reads it again under a lock
    await take_step(session, caller, case_id, step, version=version, idempotency_key=key, now=now)
    return await load_own_case(session, caller, case_id, now)
