"""Changes at home, reported by residents: the desk's inbox, a decision with a reply, and what was said of a visit.

A decision opens what it says: a review visit is ordered, an amount is calculated anew from the next month. The
resident reads the reply either way.
"""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.benefits.calculations import Calculate, calculate
from server.benefits.changes import month_after
from server.cases.transitions import move
from server.cases.visit_orders import order_visit, soon
from server.core.access import Caller, Role, found, readable, require
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody, ShortText
from server.core.paging import Page, cut_page, read_place
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest
from server.models.benefits import ChangeReport
from server.models.cases import CaseFile
from server.models.households import Household
from server.models.people import Staff

DECIDERS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
LONGEST_PAGE = 200
KINDS = {
    "new_job": ("新就业", "new job"),
    "job_lost": ("失业", "job lost"),
    "birth": ("添丁", "birth"),
    "death": ("家人去世", "death"),
    "moved": ("搬迁", "moved"),
    "other": ("其他变化", "other"),
}
OUTCOMES = {
    "visit": ("将再次入户核实", "your home will be visited"),
    "recalculation": ("已按新情况重新测算", "the amount was calculated anew"),
    "nothing": ("已登记，保障不变", "noted; nothing changes"),
    None: ("工作人员正在处理", "staff are looking into it"),
}


class ReportedChange(ResponseBody):
    """As the resident reads it: what they said, and what was answered."""

    id: UUID
    kind: str
    kind_zh: str
    kind_en: str
    text: str
    happened_on: date | None
    reported_at: datetime
    due_on: date | None
    outcome: str | None
    outcome_zh: str
    outcome_en: str
    reply: str | None
    decided_at: datetime | None


class ChangeLine(ResponseBody):
    """As an officer reads it, with the case it is about."""

    change: ReportedChange
    case_id: UUID
    application_number: str
    state: str
    household_id: UUID
    head_name: str
    area_code: str
    monthly_amount_fen: int | None
    decided_by_name: str | None


class DecideChange(RequestBody):
    """`recalculation` reckons from the month of `from_month`, else from the next, by the household as it stands."""

    outcome: Literal["visit", "recalculation", "nothing"]
    reply: ShortText
    from_month: date | None = None


def told_of(one: ChangeReport) -> ReportedChange:
    zh, en = KINDS[one.kind]
    outcome_zh, outcome_en = OUTCOMES[one.outcome]
    return ReportedChange(
        id=one.id,
        kind=one.kind,
        kind_zh=zh,
        kind_en=en,
        text=one.text,
        happened_on=one.happened_on,
        reported_at=one.reported_at,
        due_on=one.due_on,
        outcome=one.outcome,
        outcome_zh=outcome_zh,
        outcome_en=outcome_en,
        reply=one.reply,
        decided_at=one.decided_at,
    )


async def list_of_case(session: AsyncSession, case: CaseFile) -> list[ReportedChange]:
    rows = await session.scalars(
        select(ChangeReport).where(ChangeReport.case_id == case.id).order_by(ChangeReport.reported_at.desc())
    )
    return [told_of(one) for one in rows]


async def list_changes(
    session: AsyncSession, caller: Caller, *, decided: bool, area: str | None, cursor: str | None, limit: int
) -> Page[ChangeLine]:
    """The caller's areas, longest waiting first. One query."""
    require(caller, DECIDERS | {Role.SUPERVISOR, Role.CASEWORKER})
    limit = max(1, min(limit, LONGEST_PAGE))
    rows = (
        _lines(caller)
        .where(ChangeReport.outcome.is_not(None) if decided else ChangeReport.outcome.is_(None))
        .order_by(ChangeReport.reported_at, ChangeReport.id)
        .limit(limit + 1)
    )
    if area is not None:
        rows = rows.where(CaseFile.area_code.startswith(area, autoescape=True))
    if (after := read_place(cursor, datetime.fromisoformat)) is not None:
        at, last = after
        rows = rows.where(
            or_(ChangeReport.reported_at > at, and_(ChangeReport.reported_at == at, ChangeReport.id > last))
        )
    found_rows = (await session.execute(rows)).all()
    page, next_cursor = cut_page(found_rows, limit, lambda row: [row[0].reported_at.isoformat(), str(row[0].id)])
    return Page(items=[_line(*row) for row in page], next_cursor=next_cursor)


def _lines(caller: Caller) -> Any:
    return (
        select(ChangeReport, CaseFile, Household, Staff.name)
        .join(CaseFile, CaseFile.id == ChangeReport.case_id)
        .join(Household, Household.id == CaseFile.household_id)
        .outerjoin(Staff, Staff.id == ChangeReport.decided_by)
        .where(ChangeReport.in_scope(caller))
    )


def _line(one: ChangeReport, case: CaseFile, household: Household, decider: str | None) -> ChangeLine:
    return ChangeLine(
        change=told_of(one),
        case_id=case.id,
        application_number=case.number,
        state=case.state,
        household_id=household.id,
        head_name=household.head_name,
        area_code=case.area_code,
        monthly_amount_fen=household.monthly_amount_fen,
        decided_by_name=decider,
    )


async def decide_change(
    session: AsyncSession, caller: Caller, change_id: UUID, asked: DecideChange, now: datetime
) -> ChangeLine:
    """Decide what a reported change leads to, and answer it. The same again is once.

    Raises `change.decided`, `case.own_relative`, and for a recalculation what `calculate` raises.
    """
    require(caller, DECIDERS)
    one: ChangeReport = found(
        await session.scalar(readable(ChangeReport, caller).where(ChangeReport.id == change_id).with_for_update())
    )
    case = await session.get_one(CaseFile, one.case_id, with_for_update=True)
    await require_no_conflict_of_interest(session, caller, case.household_id)
    if (one.outcome, one.reply) != (asked.outcome, asked.reply):
        if one.outcome is not None:
            raise Problem("change.decided")
        await _open(session, caller, case, asked, now)
        one.outcome, one.reply, one.decided_by, one.decided_at = asked.outcome, asked.reply, caller.id, now
        facts = {"reason": asked.reply, "outcome": asked.outcome, "changeId": str(one.id)}
        cause = f"change_answered:{one.id}"
        await move(
            session, case, "change_answered", cause=cause, actor_id=caller.id, at=now, caller=caller, facts=facts
        )
        audit.record(
            session, caller, "change.decided", "change_report", one.id, area_code=case.area_code, outcome=asked.outcome
        )
        await session.flush()  # the line is read anew
    return _line(*(await session.execute(_lines(caller).where(ChangeReport.id == one.id))).one())


async def _open(session: AsyncSession, caller: Caller, case: CaseFile, asked: DecideChange, now: datetime) -> None:
    today = day_of(now)
    if asked.outcome == "visit":
        await order_visit(session, case, "review", await soon(session, case, today), caller.id)
    elif asked.outcome == "recalculation":
        await calculate(session, caller, case.id, Calculate(month=asked.from_month or month_after(today)), now)
