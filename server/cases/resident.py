"""What a resident sees of their own case: where it stands, and how it came there."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.cases.progress import MOVES
from server.core.access import Caller, readable
from server.core.wire import Answer
from server.models.cases import CaseEvent, CaseFile


class TimelineStep(Answer):
    at: datetime
    step: str
    zh: str
    en: str


class CaseStatus(Answer):
    id: UUID
    application_number: str
    applied_on: date
    state: str
    timeline: list[TimelineStep]


async def list_own_cases(session: AsyncSession, caller: Caller) -> list[CaseStatus]:
    """The caller's cases, newest first, each with its timeline. Two queries."""
    cases = list(
        await session.scalars(readable(CaseFile, caller).order_by(CaseFile.applied_on.desc(), CaseFile.id).limit(50))
    )
    events = await session.scalars(
        select(CaseEvent).where(CaseEvent.case_id.in_([one.id for one in cases])).order_by(CaseEvent.at, CaseEvent.id)
    )
    steps: dict[UUID, list[TimelineStep]] = {}
    for event in events:
        told = MOVES[event.step]
        steps.setdefault(event.case_id, []).append(TimelineStep(at=event.at, step=event.step, zh=told.zh, en=told.en))
    return [
        CaseStatus(
            id=one.id,
            application_number=one.number,
            applied_on=one.applied_on,
            state=one.state,
            timeline=steps.get(one.id, []),
        )
        for one in cases
    ]
