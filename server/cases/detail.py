"""A case on an officer's page, and the lists they work from: cases by state, and what is due."""

from datetime import date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.cases.actions import roles_over
from server.cases.change_reports import ReportedChange, list_of_case
from server.cases.deadlines import WORDS
from server.cases.notices import NoticeLine, list_notices
from server.cases.papers import PaperLine, list_papers
from server.cases.workflow import ACTS, MOVES, STANDINGS, judge
from server.core.access import Caller, Role, found, readable
from server.core.http import ResponseBody
from server.core.paging import Page, cut_page, read_place
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.cases import CaseDeadline, CaseEvent, CaseFile
from server.models.households import Household
from server.models.people import Staff
from server.models.workload import BlockedVisit
from server.policy.resolver import policy_values
from server.workload.unfulfilled_orders import NO_CHECKLIST, unfulfilled_reason

LONGEST_PAGE = 200
SOON = timedelta(days=3)
Urgency = Literal["overdue", "due", "soon", "later", "paused"]


class DeadlineLine(ResponseBody):
    """`certain` false: computed over days that no published calendar covers."""

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


class EventLine(ResponseBody):
    at: datetime
    step: str
    state: str
    zh: str
    actor_name: str | None
    reason: str
    facts: dict[str, Any]


class VisitWord(ResponseBody):
    """What a resident of the household said of a visit's record."""

    visit_id: UUID
    stance: Literal["confirmed", "disputed"]
    text: str
    at: datetime


class BlockedLine(ResponseBody):
    """A visit that was asked for and that nobody can make yet: `code` and why."""

    code: str
    zh: str
    en: str
    kind: str
    due_on: date
    ordered_at: datetime


class CasePage(ResponseBody):
    """`version` goes back as `If-Match`; `acts` are the steps open to the caller now.

    What the household itself said stands in `visit_words` and `changes`, the newest first.
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
    visit_words: list[VisitWord]
    changes: list[ReportedChange]
    blocked_visits: list[BlockedLine]


class CaseLine(ResponseBody):
    id: UUID
    application_number: str
    head_name: str
    area_code: str
    area_name: str
    state: str
    applied_on: date
    deadline: DeadlineLine | None


async def open_case(session: AsyncSession, caller: Caller, case_id: UUID, now: datetime) -> CasePage:
    case: CaseFile = found(await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id)))
    household = await session.get_one(Household, case.household_id)
    area = await session.get_one(Area, case.area_code)
    rules = await policy_values(session, case.area_code, case.rules_on, ["case.decided_by"])
    timeline = await _timeline(session, case)
    decided_by = Role.TOWN_OFFICER if rules.get("case.decided_by") == "town" else Role.COUNTY_OFFICER
    roles, suspended = roles_over(caller, case), case.suspended_on is not None
    return CasePage(
        id=case.id,
        application_number=case.number,
        household_id=case.household_id,
        head_name=household.head_name,
        area_code=case.area_code,
        area_name=area.name,
        state=case.state,
        state_zh=STANDINGS[case.state].zh,
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
            one for one in ACTS
            if judge(one, case.state, roles, is_suspended=suspended, decided_by=decided_by) is None
        ],
        papers=await list_papers(session, case),
        deadlines=await list_deadlines(session, case, day_of(now)),
        timeline=timeline,
        notices=await list_notices(session, caller, case),
        visit_words=[_word(one) for one in reversed(timeline) if one.step in _WORDS],
        changes=await list_of_case(session, case),
        blocked_visits=await _list_blocked(session, case),
    )  # fmt: skip


async def _list_blocked(session: AsyncSession, case: CaseFile) -> list[BlockedLine]:
    rows = await session.scalars(
        select(BlockedVisit)
        .where(BlockedVisit.case_id == case.id, BlockedVisit.ended_at.is_(None))
        .order_by(BlockedVisit.ordered_at, BlockedVisit.id)
    )
    return [
        BlockedLine(
            code=NO_CHECKLIST,
            **unfulfilled_reason(one.kind),
            kind=one.kind,
            due_on=one.due_on,
            ordered_at=one.ordered_at,
        )
        for one in rows
    ]


_WORDS: dict[str, Literal["confirmed", "disputed"]] = {
    "resident_confirmed": "confirmed",
    "resident_disputed": "disputed",
}


def _word(one: EventLine) -> VisitWord:
    return VisitWord(visit_id=UUID(one.facts["visitId"]), stance=_WORDS[one.step], text=one.reason, at=one.at)


async def list_deadlines(session: AsyncSession, case: CaseFile, today: date) -> list[DeadlineLine]:
    rows = await session.scalars(
        select(CaseDeadline)
        .where(CaseDeadline.case_id == case.id, CaseDeadline.met_on.is_(None))
        .order_by(CaseDeadline.due_on, CaseDeadline.kind)
    )
    return [_deadline_line(one, today) for one in rows]


def _deadline_line(one: CaseDeadline, today: date) -> DeadlineLine:
    zh, en = WORDS[one.kind]
    return DeadlineLine(
        kind=one.kind,
        zh=zh,
        en=en,
        started_on=one.started_on,
        due_on=one.due_on,
        certain=one.certain,
        urgency=_urgency(one, today),
        count=one.count,
        unit=one.unit,
        paused=one.paused,
    )


def _urgency(one: CaseDeadline, today: date) -> Urgency:
    if one.paused_on is not None:
        return "paused"
    if one.due_on <= today:
        return "overdue" if one.due_on < today else "due"
    return "soon" if one.due_on <= today + SOON else "later"


async def _timeline(session: AsyncSession, case: CaseFile) -> list[EventLine]:
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
            zh=MOVES[event.step].zh,
            actor_name=name,
            reason=event.facts.get("reason", ""),
            facts=event.facts,
        )
        for event, name in rows
    ]


async def list_cases(
    session: AsyncSession,
    caller: Caller,
    *,
    state: str | None,
    area: str | None,
    cursor: str | None,
    limit: int,
    now: datetime,
) -> Page[CaseLine]:
    """The caller's cases, newest first. Two queries for any page."""
    limit = max(1, min(limit, LONGEST_PAGE))
    rows = _lines(caller).order_by(CaseFile.applied_on.desc(), CaseFile.id.desc()).limit(limit + 1)
    if state is not None:
        rows = rows.where(CaseFile.state == state)
    if area is not None:
        rows = rows.where(CaseFile.area_code.startswith(area, autoescape=True))
    if (after := read_place(cursor, date.fromisoformat)) is not None:
        on, last = after
        rows = rows.where(or_(CaseFile.applied_on < on, and_(CaseFile.applied_on == on, CaseFile.id < last)))
    cases = (await session.execute(rows)).all()
    page, next_cursor = cut_page(cases, limit, lambda row: [row[0].applied_on.isoformat(), str(row[0].id)])
    nearest = await _nearest_deadlines(session, [case.id for case, _, _ in page])
    today = day_of(now)
    lines = [_case_line(case, head, name, nearest.get(case.id), today) for case, head, name in page]
    return Page(items=lines, next_cursor=next_cursor)


async def list_due(
    session: AsyncSession,
    caller: Caller,
    *,
    urgency: Literal["overdue", "due", "soon"] | None,
    area: str | None,
    cursor: str | None,
    limit: int,
    now: datetime,
) -> Page[CaseLine]:
    """Deadlines that are past, today or within three days, the oldest first; a clock that stands is in none."""
    limit, today = max(1, min(limit, LONGEST_PAGE)), day_of(now)
    rows = (
        _lines(caller)
        .add_columns(CaseDeadline)
        .join(CaseDeadline, CaseDeadline.case_id == CaseFile.id)
        .where(CaseDeadline.met_on.is_(None), CaseDeadline.paused_on.is_(None), _falls(urgency, today))
        .order_by(CaseDeadline.due_on, CaseDeadline.id)
        .limit(limit + 1)
    )
    if area is not None:
        rows = rows.where(CaseFile.area_code.startswith(area, autoescape=True))
    if (after := read_place(cursor, date.fromisoformat)) is not None:
        on, last = after
        rows = rows.where(or_(CaseDeadline.due_on > on, and_(CaseDeadline.due_on == on, CaseDeadline.id > last)))
    found_rows = (await session.execute(rows)).all()
    page, next_cursor = cut_page(found_rows, limit, lambda row: [row[3].due_on.isoformat(), str(row[3].id)])
    return Page(
        items=[_case_line(case, head, name, one, today) for case, head, name, one in page], next_cursor=next_cursor
    )


def _lines(caller: Caller) -> Any:
    return (
        select(CaseFile, Household.head_name, Area.name)
        .join(Household, Household.id == CaseFile.household_id)
        .join(Area, Area.code == CaseFile.area_code)
        .where(CaseFile.in_scope(caller))
    )


def _falls(urgency: str | None, today: date) -> Any:
    due = CaseDeadline.due_on
    return {
        "overdue": due < today,
        "due": due == today,
        "soon": and_(due > today, due <= today + SOON),
        None: due <= today + SOON,
    }[urgency]


async def _nearest_deadlines(session: AsyncSession, ids: list[UUID]) -> dict[UUID, CaseDeadline]:
    rows = await session.scalars(
        select(CaseDeadline)
        .where(CaseDeadline.case_id.in_(ids), CaseDeadline.met_on.is_(None))
        .order_by(CaseDeadline.due_on.desc())
    )
    return {one.case_id: one for one in rows}


def _case_line(case: CaseFile, head_name: str, area_name: str, one: CaseDeadline | None, today: date) -> CaseLine:
    return CaseLine(
        id=case.id,
        application_number=case.number,
        head_name=head_name,
        area_code=case.area_code,
        area_name=area_name,
        state=case.state,
        applied_on=case.applied_on,
        deadline=_deadline_line(one, today) if one else None,
    )
