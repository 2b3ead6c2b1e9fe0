"""Changes at home that residents reported: the desk's inbox and the decision on each.

A decision has an effect: it orders a review visit or recalculates the amount. The resident reads the reply in
every case.
"""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.benefits.calculations import Calculate, calculate
from server.benefits.changes import month_after
from server.cases.transitions import apply_transition
from server.cases.visit_orders import order_visit, survey_due_date
from server.core.access import Caller, Role, readable, require_found, require_role
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody, ShortText
from server.core.paging import Keyset, Page, fetch_page
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest
from server.models.benefits import ChangeReport
from server.models.cases import CaseFile
from server.models.households import Household
from server.models.people import Staff

DECIDERS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
_LONGEST_WAITING_FIRST = Keyset(ChangeReport.reported_at, ChangeReport.id)
CHANGE_KINDS = {
    "new_job": ("新就业", "new job"),
    "job_lost": ("失业", "job lost"),
    "birth": ("添丁", "birth"),
    "death": ("家人去世", "death"),
    "moved": ("搬迁", "moved"),
    "other": ("其他变化", "other"),
}
OUTCOME_TEXTS = {
    "visit": ("将再次入户核实", "your home will be visited"),
    "recalculation": ("已按新情况重新测算", "the amount was calculated anew"),
    "nothing": ("已登记，保障不变", "noted; nothing changes"),
    None: ("工作人员正在处理", "staff are looking into it"),
}


class ReportedChange(ResponseBody):
    """A report as the resident reads it, with the answer."""

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
    """A report as an officer reads it, with its case."""

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
    """`recalculation` uses the household as it is now and starts in the month of `from_month` (default: next month)."""

    outcome: Literal["visit", "recalculation", "nothing"]
    reply: ShortText
    from_month: date | None = None


def describe_change(report: ChangeReport) -> ReportedChange:
    zh, en = CHANGE_KINDS[report.kind]
    outcome_zh, outcome_en = OUTCOME_TEXTS[report.outcome]
    return ReportedChange(
        id=report.id,
        kind=report.kind,
        kind_zh=zh,
        kind_en=en,
        text=report.text,
        happened_on=report.happened_on,
        reported_at=report.reported_at,
        due_on=report.due_on,
        outcome=report.outcome,
        outcome_zh=outcome_zh,
        outcome_en=outcome_en,
        reply=report.reply,
        decided_at=report.decided_at,
    )


async def list_case_changes(session: AsyncSession, case: CaseFile) -> list[ReportedChange]:
    rows = await session.scalars(
        select(ChangeReport).where(ChangeReport.case_id == case.id).order_by(ChangeReport.reported_at.desc())
    )
    return [describe_change(report) for report in rows]


async def list_changes(
    session: AsyncSession, caller: Caller, *, decided: bool, area: str | None, cursor: str | None, limit: int
) -> Page[ChangeLine]:
    """List reports in the caller's areas, the longest waiting first. One query."""
    require_role(caller, DECIDERS | {Role.SUPERVISOR, Role.CASEWORKER})
    rows = _select_lines(caller).where(ChangeReport.outcome.is_not(None) if decided else ChangeReport.outcome.is_(None))
    if area is not None:
        rows = rows.where(CaseFile.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _LONGEST_WAITING_FIRST, cursor, limit)
    return Page(items=[_line(*row) for row in page], next_cursor=next_cursor)


def _select_lines(caller: Caller) -> Any:
    return (
        select(ChangeReport, CaseFile, Household, Staff.name)
        .join(CaseFile, CaseFile.id == ChangeReport.case_id)
        .join(Household, Household.id == CaseFile.household_id)
        .outerjoin(Staff, Staff.id == ChangeReport.decided_by)
        .where(ChangeReport.in_scope(caller))
    )


def _line(report: ChangeReport, case: CaseFile, household: Household, decider: str | None) -> ChangeLine:
    return ChangeLine(
        change=describe_change(report),
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
    session: AsyncSession, caller: Caller, change_id: UUID, body: DecideChange, now: datetime
) -> ChangeLine:
    """Decide on a reported change and answer it. Idempotent.

    Raises `change.decided`, `case.own_relative`, and for a recalculation what `calculate` raises.
    """
    require_role(caller, DECIDERS)
    report: ChangeReport = require_found(
        await session.scalar(readable(ChangeReport, caller).where(ChangeReport.id == change_id).with_for_update())
    )
    case = await session.get_one(CaseFile, report.case_id, with_for_update=True)
    await require_no_conflict_of_interest(session, caller, case.household_id)
    if (report.outcome, report.reply) != (body.outcome, body.reply):
        if report.outcome is not None:
            raise Problem("change.decided")
        await _apply_outcome(session, caller, case, body, now)
        report.outcome, report.reply, report.decided_by, report.decided_at = body.outcome, body.reply, caller.id, now
        facts = {"reason": body.reply, "outcome": body.outcome, "changeId": str(report.id)}
        cause = f"change_answered:{report.id}"
        await apply_transition(
            session, case, "change_answered", cause=cause, actor_id=caller.id, at=now, caller=caller, facts=facts
        )
        audit.record(
            session,
            caller,
            Action.CHANGE_DECIDED,
            "change_report",
            report.id,
            area_code=case.area_code,
            outcome=body.outcome,
        )
        await session.flush()  # the line is queried below
    return _line(*(await session.execute(_select_lines(caller).where(ChangeReport.id == report.id))).one())


async def _apply_outcome(
    session: AsyncSession, caller: Caller, case: CaseFile, body: DecideChange, now: datetime
) -> None:
    today = day_of(now)
    if body.outcome == "visit":
        await order_visit(session, case, "review", await survey_due_date(session, case, today), caller.id)
    elif body.outcome == "recalculation":
        await calculate(session, caller, case.id, Calculate(month=body.from_month or month_after(today)), now)
