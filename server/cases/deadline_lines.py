"""Deadlines as officers read them: when a running deadline is due, and how urgent it is."""

from datetime import date, timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.cases.deadlines import DEADLINE_TEXTS
from server.core.http import ResponseBody
from server.models.cases import CaseDeadline, CaseFile

DUE_SOON = timedelta(days=3)
Urgency = Literal["overdue", "due", "soon", "later", "paused"]


class DeadlineLine(ResponseBody):
    """`certain` is false when no published calendar covers all of the days."""

    kind: str
    zh: str
    en: str
    started_on: date
    due_on: date
    certain: bool
    urgency: Urgency
    count: int
    unit: str
    paused: int


async def list_deadlines(session: AsyncSession, case: CaseFile, today: date) -> list[DeadlineLine]:
    rows = await session.scalars(
        select(CaseDeadline)
        .where(CaseDeadline.case_id == case.id, CaseDeadline.met_on.is_(None))
        .order_by(CaseDeadline.due_on, CaseDeadline.kind)
    )
    return [deadline_line(deadline, today) for deadline in rows]


def deadline_line(deadline: CaseDeadline, today: date) -> DeadlineLine:
    zh, en = DEADLINE_TEXTS[deadline.kind]
    return DeadlineLine(
        kind=deadline.kind,
        zh=zh,
        en=en,
        started_on=deadline.started_on,
        due_on=deadline.due_on,
        certain=deadline.certain,
        urgency=_urgency(deadline, today),
        count=deadline.count,
        unit=deadline.unit,
        paused=deadline.paused,
    )


def _urgency(deadline: CaseDeadline, today: date) -> Urgency:
    if deadline.paused_on is not None:
        return "paused"
    if deadline.due_on <= today:
        return "overdue" if deadline.due_on < today else "due"
    return "soon" if deadline.due_on <= today + DUE_SOON else "later"
