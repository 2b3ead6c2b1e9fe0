"""What a resident sees of their own case: where it stands, how it came there, what is next and by when."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.cases.acts import TakeStep, take_step
from server.cases.calculations import CalculationLine, list_calculations
from server.cases.changes import ReportedChange, list_of_case
from server.cases.papers import PaperLine, list_papers
from server.cases.procedure import MOVES, STANDINGS
from server.core.access import Caller, found, readable
from server.core.wire import Answer, LongText, Wire
from server.models.cases import CaseDeadline, CaseEvent, CaseFile
from server.models.households import Assignment, Caseload
from server.models.people import Staff


class TimelineStep(Answer):
    at: datetime
    step: str
    zh: str
    en: str
    reason: str = ""


class WhatIsNext(Answer):
    """`certain` false: the day was computed beyond the published calendar. No day: no clock runs."""

    zh: str
    en: str
    by: date | None
    certain: bool


class CaseStatus(Answer):
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


class Appointment(Answer):
    """A visit that is due, and who will come: their names, so that nobody else is let in."""

    kind: str
    by: date
    visitors: list[str]


class OwnCase(Answer):
    status: CaseStatus
    papers: list[PaperLine]
    appointments: list[Appointment]
    calculation: CalculationLine | None
    changes: list[ReportedChange]


class Withdraw(Wire):
    reason: LongText


async def list_own_cases(session: AsyncSession, caller: Caller) -> list[CaseStatus]:
    """The caller's cases, newest first, each with its timeline. Three queries."""
    cases = list(
        await session.scalars(readable(CaseFile, caller).order_by(CaseFile.applied_on.desc(), CaseFile.id).limit(50))
    )
    return await statuses(session, cases)


async def statuses(session: AsyncSession, cases: list[CaseFile]) -> list[CaseStatus]:
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
    return [_status(one, steps.get(one.id, []), due) for one in cases]


def _status(case: CaseFile, timeline: list[TimelineStep], due: dict[tuple[UUID, str], CaseDeadline]) -> CaseStatus:
    standing = STANDINGS[case.state]
    deadline = due.get((case.id, standing.deadline)) if standing.deadline else None
    is_decided = case.state in {"confirmed", "published", "in_force", "stopped"}
    return CaseStatus(
        id=case.id,
        application_number=case.number,
        applied_on=case.applied_on,
        state=case.state,
        state_zh=standing.zh,
        state_en=standing.en,
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


async def open_own_case(session: AsyncSession, caller: Caller, case_id: UUID) -> OwnCase:
    """One case whole: papers, who will come, and the written calculation once the town has opined."""
    case = await _own(session, caller, case_id)
    calculations = await list_calculations(session, case) if case.amount_fen is not None else []
    return OwnCase(
        status=(await statuses(session, [case]))[0],
        papers=await list_papers(session, case),
        appointments=await _appointments(session, case),
        calculation=calculations[0] if calculations else None,
        changes=await list_of_case(session, case),
    )


async def _own(session: AsyncSession, caller: Caller, case_id: UUID) -> CaseFile:
    case: CaseFile = found(await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id)))
    return case


async def _appointments(session: AsyncSession, case: CaseFile) -> list[Appointment]:
    due = list(
        await session.scalars(
            select(Assignment)
            .where(Assignment.household_id == case.household_id, Assignment.state == "open")
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
    return [Appointment(kind=one.kind, by=one.due_on, visitors=names) for one in due]


async def withdraw(
    session: AsyncSession, caller: Caller, case_id: UUID, asked: Withdraw, *, key: str | None, now: datetime
) -> OwnCase:
    """Take back one's own application before it is decided. Again is once."""
    case = await _own(session, caller, case_id)
    step = TakeStep(step="withdrawn", reason=asked.reason or "本人撤回")
    version = case.version
    session.expire(case)  # it is read again under its lock
    await take_step(session, caller, case_id, step, version=version, idempotency_key=key, now=now)
    return await open_own_case(session, caller, case_id)
