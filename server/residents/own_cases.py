"""What a resident sees of their own case: where it stands, how it came there, what is next and by when."""

from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.calculations import CalculationLine, list_calculations
from server.benefits.changes import told_calculation
from server.cases.actions import TakeStep, take_step
from server.cases.change_reports import ReportedChange, list_of_case
from server.cases.notices import NoticeLine, list_notices
from server.cases.papers import PaperLine, list_papers
from server.cases.workflow import MOVES, STANDINGS
from server.core.access import Caller, found, readable
from server.core.http import LongText, RequestBody, ResponseBody
from server.core.working_days import day_of
from server.models.cases import CLOSED_STATES, CaseDeadline, CaseEvent, CaseFile
from server.models.households import Assignment, Caseload
from server.models.people import Staff
from server.models.postings import Posting, PostingEntry


class TimelineStep(ResponseBody):
    at: datetime
    step: str
    zh: str
    en: str
    reason: str = ""


class WhatIsNext(ResponseBody):
    """`certain` false: the day was computed beyond the published calendar. No day: no clock runs."""

    zh: str
    en: str
    by: date | None
    certain: bool


class CaseStatus(ResponseBody):
    id: UUID
    application_number: str
    applied_on: date
    state: str
    state_zh: str
    state_en: str
    is_suspended: bool
    # Only once decided.
    amount_fen: int | None
    paid_from: date | None
    # The first month that is no longer paid.
    stopped_from: date | None
    next: WhatIsNext
    timeline: list[TimelineStep]


class Appointment(ResponseBody):
    """A visit that is due, and who will come: their names, so that nobody else is let in."""

    kind: str
    kind_zh: str
    kind_en: str
    by: date
    visitors: list[str]


class Stage(ResponseBody):
    """One stage of the way from the application to the money."""

    zh: str
    en: str
    state: Literal["done", "now", "to_come"]


class OwnPosting(ResponseBody):
    """Where the household's line hangs now: the public page, until its last day."""

    round: int
    page: str
    starts_on: date
    ends_on: date


class OwnCase(ResponseBody):
    """One case on one screen. `may_withdraw` and `may_report` say what the resident can do now.

    Each of `notices` opens at `/resident/v1/cases/{id}/notices/{kind}`.
    """

    status: CaseStatus
    stages: list[Stage]
    papers: list[PaperLine]
    missing_papers: int
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
    """The caller's cases, newest first, each with its timeline. Three queries."""
    cases = list(
        await session.scalars(readable(CaseFile, caller).order_by(CaseFile.applied_on.desc(), CaseFile.id).limit(50))
    )
    return await statuses(session, cases, day_of(now))


async def statuses(session: AsyncSession, cases: list[CaseFile], today: date) -> list[CaseStatus]:
    ids = [one.id for one in cases]
    events = await session.scalars(
        select(CaseEvent).where(CaseEvent.case_id.in_(ids)).order_by(CaseEvent.at, CaseEvent.id)
    )
    steps: dict[UUID, list[TimelineStep]] = {}
    for event in events:
        told = MOVES[event.step]
        steps.setdefault(event.case_id, []).append(
            TimelineStep(at=event.at, step=event.step, zh=told.zh, en=told.en, reason=event.facts.get("reason", ""))
        )
    due = {
        (one.case_id, one.kind): one
        for one in await session.scalars(
            select(CaseDeadline).where(
                CaseDeadline.case_id.in_(ids), CaseDeadline.met_on.is_(None), CaseDeadline.paused_on.is_(None)
            )
        )
    }
    return [_status(one, steps.get(one.id, []), due, today) for one in cases]


def _status(
    case: CaseFile, timeline: list[TimelineStep], due: dict[tuple[UUID, str], CaseDeadline], today: date
) -> CaseStatus:
    standing = STANDINGS[case.state]
    deadline = due.get((case.id, standing.deadline)) if standing.deadline else None
    state_zh, state_en = _paid_until(case, today) or (standing.zh, standing.en)
    is_decided = case.state in {"confirmed", "published", "in_force", "stopped"}
    return CaseStatus(
        id=case.id,
        application_number=case.number,
        applied_on=case.applied_on,
        state=case.state,
        state_zh=state_zh,
        state_en=state_en,
        is_suspended=case.suspended_on is not None,
        amount_fen=case.amount_fen if is_decided else None,
        paid_from=case.paid_from if is_decided else None,
        stopped_from=case.stopped_from,
        next=WhatIsNext(
            zh=standing.next_zh,
            en=standing.next_en,
            by=deadline.due_on if deadline else None,
            certain=deadline.certain if deadline else True,
        ),
        timeline=timeline,
    )


def _paid_until(case: CaseFile, today: date) -> tuple[str, str] | None:
    """A stop is decided before its month: until then the money comes, and the household counts on it."""
    if case.state != "stopped" or case.stopped_from is None or case.paid_from is None:
        return None
    if not max(today, case.paid_from) < case.stopped_from:
        return None
    last = case.stopped_from - timedelta(days=1)
    return f"发放至{last.year}年{last.month}月", f"paid until the end of {last:%Y-%m}"


async def open_own_case(session: AsyncSession, caller: Caller, case_id: UUID, now: datetime) -> OwnCase:
    """One case whole: papers, who will come, and the written calculation that was opined or decided on."""
    case = await _own(session, caller, case_id)
    told = await told_calculation(session, case)
    calculations = await list_calculations(session, case) if told else []
    status = (await statuses(session, [case], day_of(now)))[0]
    papers = await list_papers(session, case)
    return OwnCase(
        status=status,
        stages=_stages(status),
        papers=papers,
        missing_papers=sum(one.state in {"missing", "returned"} for one in papers) if _is_open(case) else 0,
        appointments=await _appointments(session, case),
        calculation=next((one for one in calculations if told and one.id == told.id), None),
        postings=await _postings(session, case),
        notices=await list_notices(session, caller, case),
        changes=await list_of_case(session, case),
        may_withdraw=_may(case, "withdrawn"),
        may_report=_may(case, "change_reported"),
    )


_WAY: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("申请", "application", frozenset({"applied", "materials"})),
    ("受理和入户调查", "taken on, home visit", frozenset({"accepted", "survey"})),
    ("初审", "the town's opinion", frozenset({"preliminary", "hearing"})),
    ("公示", "posting", frozenset({"posting", "objection"})),
    ("县级审核确认", "the county decides", frozenset({"county"})),
    ("发放", "payment", frozenset({"confirmed", "published", "in_force"})),
)


def _stages(status: CaseStatus) -> list[Stage]:
    """An application that ended has no stage to come: those it went through, and last where it ended."""
    place = next((n for n, (_, _, states) in enumerate(_WAY) if status.state in states), None)
    if place is not None:
        return [Stage(zh=zh, en=en, state=_standing(n, place)) for n, (zh, en, _) in enumerate(_WAY)]
    reached = {MOVES[one.step].to_state for one in status.timeline}
    past = [Stage(zh=zh, en=en, state="done") for zh, en, states in _WAY if states & reached]
    return [*past, Stage(zh=status.state_zh, en=status.state_en, state="now")]


def _standing(place: int, now: int) -> Literal["done", "now", "to_come"]:
    if place == now:
        return "now"
    return "done" if place < now else "to_come"


def _is_open(case: CaseFile) -> bool:
    return case.state not in CLOSED_STATES


def _may(case: CaseFile, step: str) -> bool:
    return case.state in MOVES[step].from_states


async def _postings(session: AsyncSession, case: CaseFile) -> list[OwnPosting]:
    rows = await session.scalars(
        select(Posting)
        .join(PostingEntry, PostingEntry.posting_id == Posting.id)
        .where(PostingEntry.case_id == case.id, PostingEntry.removed_at.is_(None), Posting.state == "open")
        .order_by(Posting.round)
    )
    return [
        OwnPosting(round=one.round, page=f"/p/{one.key}", starts_on=one.starts_on, ends_on=one.ends_on)
        for one in rows
        if one.starts_on is not None and one.ends_on is not None
    ]


async def _own(session: AsyncSession, caller: Caller, case_id: UUID) -> CaseFile:
    case: CaseFile = found(await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id)))
    return case


async def _appointments(session: AsyncSession, case: CaseFile) -> list[Appointment]:
    due = list(
        await session.scalars(
            select(Assignment)
            .where(
                Assignment.household_id == case.household_id,
                Assignment.state == "open",
                # Neighbours are asked, complaints looked into and spot checks made without saying so beforehand.
                Assignment.kind.in_(_VISITS),
            )
            .order_by(Assignment.due_on)
        )
    )
    holders = await session.execute(
        select(Staff.id, Staff.name)
        .join(Caseload, Caseload.staff_id == Staff.id)
        .where(Caseload.household_id == case.household_id, Caseload.revoked_at.is_(None))
        .order_by(Caseload.granted_at, Staff.name)
    )
    names = [name for _, name in holders]
    return [
        Appointment(
            kind=one.kind, kind_zh=_VISITS[one.kind][0], kind_en=_VISITS[one.kind][1], by=one.due_on, visitors=names
        )
        for one in due
    ]


_VISITS = {
    "intake": ("入户调查", "the visit for your application"),
    "review": ("定期复核", "a review visit"),
    "care": ("慰问走访", "a visit to see how you are"),
}


async def withdraw(
    session: AsyncSession, caller: Caller, case_id: UUID, asked: Withdraw, *, key: str | None, now: datetime
) -> OwnCase:
    """Take back one's own application before it is decided. Again is once."""
    case = await _own(session, caller, case_id)
    step = TakeStep(step="withdrawn", reason=asked.reason or "本人撤回")
    version = case.version
    session.expire(case)  # it is read again under its lock
    await take_step(session, caller, case_id, step, version=version, idempotency_key=key, now=now)
    return await open_own_case(session, caller, case_id, now)
