"""Prove what was sent: every fen is explained by a decision that was known on the day, and paid once.

Independent of drafting: it replays the lines of each home in the order they were sent, part by part. What it finds, a
person has to look into; it corrects nothing.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from uuid import UUID

from msgspec import Struct, convert
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.amount_timeline import build_timeline
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.working_days import day_of
from server.models.benefits import BenefitChange
from server.models.cases import CaseFile
from server.models.rosters import SENT_LINE_STATES, Roster, RosterLine
from server.policy.values import BankForm, PaymentProgram
from server.rosters.bank_files import read_sums
from server.rosters.examine import load_live_lines, load_parts, load_parts_of
from server.rosters.homes import amount_in, find_span
from server.rosters.parts import Part
from server.rosters.programs import list_programs
from server.rosters.sending import make_files
from server.rosters.snapshots import find_altered

_HOMES_AT_ONCE = 500
Programs = dict[tuple[str, date], PaymentProgram | None]


class Fault(Struct, frozen=True):
    """`fen`: how much money the fault is about; 0 where it is not known."""

    roster: str
    what: str
    code: str
    fen: int


class Reconciliation(Struct, frozen=True):
    rosters: int
    lines: int
    sent_fen: int
    paid_fen: int
    returned_fen: int
    waiting_fen: int
    faults: list[Fault]

    @property
    def unexplained_fen(self) -> int:
        return sum(fault.fen for fault in self.faults)


async def reconcile(session: AsyncSession, encryption: Encryption) -> Reconciliation:
    """Check every roster that was checked or sent. Reads only."""
    rosters = (
        await session.scalars(
            select(Roster).where(Roster.state.in_(["frozen", "sent", "settled"])).order_by(Roster.month, Roster.number)
        )
    ).all()
    faults: list[Fault] = []
    lines = 0
    for roster in rosters:
        live = await load_live_lines(session, roster)
        lines += len(live)
        faults += await _check_roster(session, encryption, roster, live)
    faults += await _replay_homes(session)
    sums = await session.execute(
        select(RosterLine.state, func.sum(RosterLine.total_fen))
        .where(RosterLine.state.in_(SENT_LINE_STATES))
        .group_by(RosterLine.state)
    )
    by_state = {state: int(fen) for state, fen in sums}
    return Reconciliation(
        rosters=len(rosters),
        lines=lines,
        sent_fen=sum(by_state.values()),
        paid_fen=by_state.get("paid", 0),
        returned_fen=by_state.get("returned", 0),
        waiting_fen=by_state.get("sent", 0),
        faults=faults,
    )


async def _check_roster(
    session: AsyncSession, encryption: Encryption, roster: Roster, lines: Sequence[RosterLine]
) -> list[Fault]:
    """Check that the roster is as it was checked, that its file pays its sum, and what it pays again."""
    number = roster.number
    altered = find_altered(roster, lines, await load_parts(session, roster))
    faults = [Fault(number, what, "altered", 0) for what in altered]
    total_fen = sum(line.total_fen for line in lines)
    if roster.total_fen != total_fen:
        faults.append(Fault(number, "total", "sum_differs", abs((roster.total_fen or 0) - total_fen)))
    if roster.file_form is not None:
        faults += await _check_file(encryption, roster, lines, total_fen)
    sources = await session.execute(
        select(RosterLine.id, RosterLine.state).where(
            RosterLine.id.in_([line.source_line_id for line in lines if line.source_line_id])
        )
    )
    states: dict[UUID, str] = dict(sources.all())
    for line in lines:
        if line.source_line_id and states.get(line.source_line_id) != "returned":
            faults.append(Fault(number, line.reference, "correction_differs", line.total_fen))
    return faults


async def _check_file(
    encryption: Encryption, roster: Roster, lines: Sequence[RosterLine], total_fen: int
) -> list[Fault]:
    form = convert(roster.file_form, BankForm)
    try:
        files, file_hash = await make_files(encryption, roster, form, [line for line in lines if line.total_fen])
    except Problem as problem:
        return [Fault(roster.number, "file", problem.code, 0)]
    file_fen = sum(read_sums(form, content).total_fen for content in files)
    if file_fen != total_fen:
        return [Fault(roster.number, "file", "file_differs", abs(file_fen - total_fen))]
    if form.format != "xlsx" and file_hash != roster.file_hash:
        return [Fault(roster.number, "file", "altered", 0)]
    return []


class _SentLine(Struct, frozen=True):
    line: RosterLine
    roster: Roster
    parts: list[Part]


async def _replay_homes(session: AsyncSession) -> list[Fault]:
    faults: list[Fault] = []
    # Of an area and a month, read once for all homes.
    programs: Programs = {}
    last = UUID(int=0)
    while True:
        ids = list(
            await session.scalars(
                select(CaseFile.household_id)
                .join(RosterLine, RosterLine.case_id == CaseFile.id)
                .where(CaseFile.household_id > last, RosterLine.state.in_(SENT_LINE_STATES))
                .group_by(CaseFile.household_id)
                .order_by(CaseFile.household_id)
                .limit(_HOMES_AT_ONCE)
            )
        )
        if not ids:
            return faults
        last = ids[-1]
        changes = await _load_changes(session, ids)
        for home, lines in (await _load_sent(session, ids)).items():
            faults += await _replay(session, lines, changes.get(home, {}), programs)


async def _load_changes(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, dict[UUID, list[BenefitChange]]]:
    """Return the decisions of each home, by case."""
    rows = await session.execute(
        select(CaseFile.household_id, BenefitChange)
        .join(BenefitChange, BenefitChange.case_id == CaseFile.id)
        .where(CaseFile.household_id.in_(ids))
        .order_by(BenefitChange.id)
    )
    changes: dict[UUID, dict[UUID, list[BenefitChange]]] = {}
    for household_id, change in rows:
        changes.setdefault(household_id, {}).setdefault(change.case_id, []).append(change)
    return changes


async def _load_sent(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, list[_SentLine]]:
    """Return the sent lines of each home with their parts, in the order they were sent."""
    of_homes = CaseFile.household_id.in_(ids), RosterLine.state.in_(SENT_LINE_STATES)
    rows = await session.execute(
        select(RosterLine, Roster, CaseFile.household_id)
        .join(Roster, Roster.id == RosterLine.roster_id)
        .join(CaseFile, CaseFile.id == RosterLine.case_id)
        .where(*of_homes)
        .order_by(Roster.sent_at, RosterLine.month)
    )
    parts = await load_parts_of(
        session, select(RosterLine.id).join(CaseFile, CaseFile.id == RosterLine.case_id).where(*of_homes)
    )
    homes: dict[UUID, list[_SentLine]] = {}
    for line, roster, home in rows:
        homes.setdefault(home, []).append(_SentLine(line, roster, parts.get(line.id, [])))
    return homes


async def _replay(
    session: AsyncSession,
    lines: Sequence[_SentLine],
    cases: dict[UUID, list[BenefitChange]],
    programs: Programs,
) -> list[Fault]:
    """Return each part that the decisions of the day don't explain.

    A correction takes the place of the line that it pays again: that one is given up, and its parts are what at most
    is paid again.
    """
    allotted: dict[tuple[str, date], int] = {}
    parts_of = {sent.line.id: sent.parts for sent in lines}
    faults: list[Fault] = []
    for sent in lines:
        given_up = parts_of.get(sent.line.source_line_id, []) if sent.line.source_line_id else None
        for part in given_up or ():
            key = await _money_of(session, sent, part.month, programs)
            allotted[key] = allotted.get(key, 0) - part.amount_fen
        for part in sent.parts if given_up is None else _beside(sent.parts, given_up):
            key = await _money_of(session, sent, part.month, programs)
            before_fen = allotted.get(key, 0)
            allotted[key] = before_fen + part.amount_fen
            limit_fen = None if given_up is None else _amount_of(given_up, part)
            possible = await _list_possible(session, sent, part, cases, programs)
            unexplained_fen = min([_unexplained(part, before_fen, owed_fen, limit_fen) for owed_fen in possible])
            if unexplained_fen:
                faults.append(Fault(sent.roster.number, sent.line.reference, "unexplained", unexplained_fen))
    return faults


def _beside(parts: Sequence[Part], given_up: Sequence[Part]) -> list[Part]:
    """Return the parts of a correction, and one of nothing for each that it no longer pays."""
    paid = {(part.month, part.kind) for part in parts}
    missing = [part._replace(amount_fen=0) for part in given_up if (part.month, part.kind) not in paid]
    return [*parts, *missing]


def _amount_of(parts: Sequence[Part], like: Part) -> int:
    return sum(part.amount_fen for part in parts if (part.month, part.kind) == (like.month, like.kind))


async def _money_of(session: AsyncSession, sent: _SentLine, month: date, programs: Programs) -> tuple[str, date]:
    """Return what the part is paid of: the decided amounts of a case are one money, whichever program pays them."""
    program = await _load_program(session, sent, sent.roster.month, programs)
    return ("amount" if program is None or program.pays == "amount" else program.code, month)


async def _load_program(
    session: AsyncSession, sent: _SentLine, month: date, programs: Programs
) -> PaymentProgram | None:
    key = (f"{sent.roster.area_code}/{sent.roster.program}", month)
    if key not in programs:
        listed = await list_programs(session, sent.roster.area_code, month)
        programs[key] = next((program for program in listed if program.code == sent.roster.program), None)
    return programs[key]


async def _list_possible(
    session: AsyncSession,
    sent: _SentLine,
    part: Part,
    cases: dict[UUID, list[BenefitChange]],
    programs: Programs,
) -> list[int]:
    """Return what the month was owed by the decisions of before the day, and by those of that day as well."""
    assert sent.roster.sent_at is not None
    day = day_of(sent.roster.sent_at)
    days = (day, day - timedelta(days=1))
    program = await _load_program(session, sent, part.month, programs)
    if program is None or program.pays == "amount":
        return [
            max((_amount_by(changes, until, part.month) for changes in cases.values()), default=0) for until in days
        ]
    paid = [_people_by(cases, until, part.month) for until in days]
    fen = program.fen or 0
    if program.pays == "per_household":
        return [fen if people is not None else 0 for people in paid]
    counted = [people for people in paid if people is not None]
    return [fen * people for people in (*counted, sent.line.people)] if counted else [0]


def _people_by(cases: dict[UUID, list[BenefitChange]], until: date, month: date) -> int | None:
    """Return the people for whom the home was paid in a month by the decisions up to a day, None if it was not."""
    paid = []
    for changes in cases.values():
        decided = [change for change in changes if change.decided_on <= until]
        span = find_span(build_timeline(decided).spans, month)
        if span is not None and span.amount_fen:
            paid.append((span.amount_fen, next(change.people for change in decided if change.id == span.change_id)))
    return max(paid)[1] if paid else None


def _amount_by(changes: Sequence[BenefitChange], until: date, month: date) -> int:
    """Return what a month was owed by the decisions of a case up to a day."""
    return amount_in(build_timeline([change for change in changes if change.decided_on <= until]).spans, month)


def _unexplained(part: Part, before_fen: int, owed_fen: int, limit_fen: int | None) -> int:
    """Return the fen of a part that nothing explains. A recovery may take less than was overpaid, never more.

    `limit_fen`: what the returned line paid of it, beyond which a correction pays nothing.
    """
    if part.kind == "recovery":
        return max(0, -part.amount_fen - max(0, before_fen - owed_fen))
    expected_fen = owed_fen - before_fen
    if limit_fen is not None:
        expected_fen = max(0, min(expected_fen, limit_fen))
    return abs(part.amount_fen - expected_fen)
