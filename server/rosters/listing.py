"""What the desk reads of rosters: the list, and a roster with its sums. Its lines and findings: `line_listing`."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import convert
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.core.access import Caller, readable, require_found, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.areas import Area
from server.models.people import Staff
from server.models.rosters import (
    DEAD_LINE_STATES,
    ROSTER_READERS,
    ROSTER_ROLES,
    BankAnswer,
    LateReturn,
    Roster,
    RosterFinding,
    RosterLine,
)
from server.policy.resolver import load_policy_values
from server.policy.values import BankForm
from server.rosters.actions import PEOPLE, POSSIBLE_IN, ActName
from server.rosters.bank_answers import RefusedRow
from server.rosters.sending import are_in_files, list_bank_forms

_NEWEST_FIRST = Keyset(Roster.month, Roster.id, descending=True)
RosterState = Literal["drafting", "drafted", "prepared", "frozen", "sent", "settled", "cancelled"]


class RosterSummary(ResponseBody):
    """`homes`, `people` and `total_fen` count the lines that pay; they are fixed once the roster is frozen."""

    id: UUID
    number: str
    kind: str
    program: str
    program_zh: str
    program_en: str
    fund: str
    area_code: str
    area_name: str
    month: date
    state: RosterState
    homes: int
    people: int
    total_fen: int
    open_findings: int
    made_at: datetime
    sent_at: datetime | None


class RosterTotal(ResponseBody):
    """The lines of a town, or of a class of homes. The parts add up to the whole, by construction."""

    code: str
    name: str
    homes: int
    people: int
    due_fen: int
    arrears_fen: int
    recovery_fen: int
    total_fen: int


class StateTotal(ResponseBody):
    state: str
    homes: int
    total_fen: int


class BankAnswerLine(ResponseBody):
    id: UUID
    filename: str
    read_by_name: str
    read_at: datetime
    paid: int
    returned: int
    repeated: int
    refused: list[RefusedRow]


class BankFormLine(ResponseBody):
    code: str
    zh: str
    en: str


class LateReturnLine(ResponseBody):
    """`reference` names the line. `may_decide`: the caller may confirm or decline it."""

    id: UUID
    reference: str
    total_fen: int
    returned_on: date
    reason: str
    proposed_by_name: str
    proposed_at: datetime
    outcome: str | None
    answer: str
    decided_by_name: str | None
    may_decide: bool


class RosterDetail(RosterSummary):
    """A roster with its sums. `acts`: the steps that the caller may take now; `files`: how many the bank gets."""

    source_id: UUID | None
    reason: str
    due_fen: int
    arrears_fen: int
    recovery_fen: int
    towns: list[RosterTotal]
    classes: list[RosterTotal]
    states: list[StateTotal]
    prepared_by_name: str | None
    prepared_at: datetime | None
    checked_by_name: str | None
    checked_at: datetime | None
    sent_by_name: str | None
    lines_hash: str | None
    people_needed: int
    acts: list[ActName]
    bank_forms: list[BankFormLine]
    files: int
    answers: list[BankAnswerLine]
    late_returns: list[LateReturnLine]
    corrections: list[UUID]


async def list_rosters(
    session: AsyncSession,
    caller: Caller,
    *,
    state: RosterState | None,
    program: str | None,
    month: date | None,
    area: str | None,
    cursor: str | None,
    limit: int,
) -> Page[RosterSummary]:
    """List rosters of the caller's areas, the latest month first. Two queries for any page."""
    require_role(caller, ROSTER_READERS)
    rows = readable(Roster, caller).add_columns(Area.name).join(Area, Area.code == Roster.area_code)
    for column, value in ((Roster.state, state), (Roster.program, program)):
        if value is not None:
            rows = rows.where(column == value)
    if month is not None:
        rows = rows.where(Roster.month == month.replace(day=1))
    if area:
        rows = rows.where(Roster.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _NEWEST_FIRST, cursor, limit)
    sums = await _sum_rosters(session, [roster.id for roster, _ in page])
    waiting = await _count_findings(session, [roster.id for roster, _ in page])
    return Page(
        items=[
            RosterSummary(**_summary(roster, name, sums.get(roster.id, (0, 0, 0)), waiting.get(roster.id, 0)))
            for roster, name in page
        ],
        next_cursor=next_cursor,
    )


async def _sum_rosters(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, tuple[int, int, int]]:
    rows = await session.execute(
        select(RosterLine.roster_id, func.count(), func.sum(RosterLine.people), func.sum(RosterLine.total_fen))
        .where(RosterLine.roster_id.in_(ids), RosterLine.state.not_in(DEAD_LINE_STATES))
        .group_by(RosterLine.roster_id)
    )
    return {roster_id: (homes, int(people), int(fen)) for roster_id, homes, people, fen in rows}


async def _count_findings(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, int]:
    rows = await session.execute(
        select(RosterFinding.roster_id, func.count())
        .where(RosterFinding.roster_id.in_(ids), RosterFinding.verdict.is_(None), RosterFinding.gone_at.is_(None))
        .group_by(RosterFinding.roster_id)
    )
    return dict(rows.all())


def _summary(roster: Roster, area_name: str, sums: tuple[int, int, int], waiting: int) -> dict[str, Any]:
    copied = (
        "id",
        "number",
        "kind",
        "program",
        "program_zh",
        "program_en",
        "fund",
        "area_code",
        "month",
        "state",
        "made_at",
        "sent_at",
    )
    homes, people, total_fen = sums
    return {name: getattr(roster, name) for name in copied} | {
        "area_name": area_name,
        "homes": homes,
        "people": people,
        "total_fen": total_fen,
        "open_findings": waiting,
    }


async def show_roster(session: AsyncSession, caller: Caller, roster_id: UUID) -> RosterDetail:
    require_role(caller, ROSTER_READERS)
    row = (await session.execute(_select_with_names(caller).where(Roster.id == roster_id))).one_or_none()
    roster, area_name, prepared_by, checked_by, sent_by = require_found(row)
    sums = (await _sum_rosters(session, [roster.id])).get(roster.id, (0, 0, 0))
    waiting = (await _count_findings(session, [roster.id])).get(roster.id, 0)
    towns = await _sum_by(session, roster, func.left(RosterLine.area_code, 9))
    settings = await load_policy_values(session, roster.area_code, roster.month, [PEOPLE])
    return RosterDetail(
        **_summary(roster, area_name, sums, waiting),
        source_id=roster.source_id,
        reason=roster.reason,
        due_fen=sum(town.due_fen for town in towns),
        arrears_fen=sum(town.arrears_fen for town in towns),
        recovery_fen=sum(town.recovery_fen for town in towns),
        towns=await _name_areas(session, towns),
        classes=await _sum_by(session, roster, func.coalesce(RosterLine.class_, "")),
        states=await _sum_states(session, roster),
        prepared_by_name=prepared_by,
        prepared_at=roster.prepared_at,
        checked_by_name=checked_by,
        checked_at=roster.checked_at,
        sent_by_name=sent_by,
        lines_hash=roster.lines_hash,
        people_needed=int(settings[PEOPLE]),
        acts=_list_acts(roster, caller),
        bank_forms=[
            BankFormLine(code=form.code, zh=form.zh, en=form.en) for form in await list_bank_forms(session, roster)
        ],
        files=await _count_files(session, roster),
        answers=await _list_answers(session, roster),
        late_returns=await _list_late_returns(session, caller, roster),
        corrections=list(await session.scalars(select(Roster.id).where(Roster.source_id == roster.id))),
    )


def _select_with_names(caller: Caller) -> Any:
    """Select rosters with the names of their area and of who prepared, checked and sent them."""
    preparer, checker, sender = aliased(Staff), aliased(Staff), aliased(Staff)
    return (
        readable(Roster, caller)
        .add_columns(Area.name, preparer.name, checker.name, sender.name)
        .join(Area, Area.code == Roster.area_code)
        .outerjoin(preparer, preparer.id == Roster.prepared_by)
        .outerjoin(checker, checker.id == Roster.checked_by)
        .outerjoin(sender, sender.id == Roster.sent_by)
    )


def _list_acts(roster: Roster, caller: Caller) -> list[ActName]:
    """Return the steps of the state; who has prepared does not check."""
    if not caller.covers(roster.area_code, ROSTER_ROLES):
        return []
    return [
        act
        for act, states in POSSIBLE_IN.items()
        if roster.state in states and not (act == "check" and caller.acts_as(roster.prepared_by))
    ]


async def _count_files(session: AsyncSession, roster: Roster) -> int:
    """Count the bank's files of a sent roster: each holds as many lines as the bank takes."""
    if roster.file_form is None:
        return 0
    most = convert(roster.file_form, BankForm).most_lines
    lines = await session.scalar(select(func.count()).where(*are_in_files(roster)))
    return -(-(lines or 0) // most)


async def _sum_by(session: AsyncSession, roster: Roster, part: Any) -> list[RosterTotal]:
    rows = await session.execute(
        select(
            part.label("code"),
            func.count(),
            func.sum(RosterLine.people),
            func.sum(RosterLine.due_fen),
            func.sum(RosterLine.arrears_fen),
            func.sum(RosterLine.recovery_fen),
            func.sum(RosterLine.total_fen),
        )
        .where(RosterLine.roster_id == roster.id, RosterLine.state.not_in(DEAD_LINE_STATES))
        .group_by("code")
        .order_by("code")
    )
    return [
        RosterTotal(
            code=code,
            name=code,
            homes=homes,
            people=int(people),
            due_fen=int(due),
            arrears_fen=int(arrears),
            recovery_fen=int(recovery),
            total_fen=int(total),
        )
        for code, homes, people, due, arrears, recovery, total in rows
    ]


async def _name_areas(session: AsyncSession, totals: list[RosterTotal]) -> list[RosterTotal]:
    rows = await session.execute(select(Area.code, Area.name).where(Area.code.in_([total.code for total in totals])))
    names: dict[str, str] = dict(rows.all())
    for total in totals:
        total.name = names.get(total.code, total.code)
    return totals


async def _sum_states(session: AsyncSession, roster: Roster) -> list[StateTotal]:
    rows = await session.execute(
        select(RosterLine.state, func.count(), func.sum(RosterLine.total_fen))
        .where(RosterLine.roster_id == roster.id)
        .group_by(RosterLine.state)
        .order_by(RosterLine.state)
    )
    return [StateTotal(state=state, homes=homes, total_fen=int(fen)) for state, homes, fen in rows]


async def _list_answers(session: AsyncSession, roster: Roster) -> list[BankAnswerLine]:
    rows = await session.execute(
        select(BankAnswer, Staff.name)
        .join(Staff, Staff.id == BankAnswer.read_by)
        .where(BankAnswer.roster_id == roster.id)
        .order_by(BankAnswer.read_at)
    )
    return [
        BankAnswerLine(
            id=answer.id,
            filename=answer.filename,
            read_by_name=name,
            read_at=answer.read_at,
            paid=answer.paid,
            returned=answer.returned,
            repeated=answer.repeated,
            refused=[RefusedRow(**row) for row in answer.refused],
        )
        for answer, name in rows
    ]


async def _list_late_returns(session: AsyncSession, caller: Caller, roster: Roster) -> list[LateReturnLine]:
    proposer, decider = aliased(Staff), aliased(Staff)
    rows = await session.execute(
        select(LateReturn, RosterLine.reference, RosterLine.total_fen, proposer.name, decider.name)
        .join(RosterLine, RosterLine.id == LateReturn.line_id)
        .join(proposer, proposer.id == LateReturn.proposed_by)
        .outerjoin(decider, decider.id == LateReturn.decided_by)
        .where(LateReturn.roster_id == roster.id)
        .order_by(LateReturn.proposed_at, LateReturn.id)
    )
    may_act = caller.covers(roster.area_code, ROSTER_ROLES)
    return [
        LateReturnLine(
            id=report.id,
            reference=reference,
            total_fen=total_fen,
            returned_on=report.returned_on,
            reason=report.reason,
            proposed_by_name=proposed_by,
            proposed_at=report.proposed_at,
            outcome=report.outcome,
            answer=report.answer,
            decided_by_name=decided_by,
            may_decide=may_act and report.outcome is None and not caller.acts_as(report.proposed_by),
        )
        for report, reference, total_fen, proposed_by, decided_by in rows
    ]
