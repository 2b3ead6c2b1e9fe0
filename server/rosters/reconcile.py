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
from server.policy.schemas import BankForm
from server.rosters.bank_files import read_sums
from server.rosters.examine import load_live_lines, load_parts
from server.rosters.parts import Part
from server.rosters.plans import amount_in
from server.rosters.programs import find_program
from server.rosters.sending import make_files
from server.rosters.snapshots import find_altered

_HOMES_AT_ONCE = 500


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
        select(RosterLine.id, RosterLine.total_fen, RosterLine.state).where(
            RosterLine.id.in_([line.source_line_id for line in lines if line.source_line_id])
        )
    )
    by_id = {line_id: (fen, state) for line_id, fen, state in sources}
    for line in lines:
        if line.source_line_id and by_id.get(line.source_line_id) != (line.total_fen, "returned"):
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
            faults += await _replay(session, lines, changes.get(home, {}))


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
    """Return the sent lines of each home with their parts, in the order they were sent; no corrections."""
    rows = await session.execute(
        select(RosterLine, Roster, CaseFile.household_id)
        .join(Roster, Roster.id == RosterLine.roster_id)
        .join(CaseFile, CaseFile.id == RosterLine.case_id)
        .where(
            CaseFile.household_id.in_(ids),
            RosterLine.state.in_(SENT_LINE_STATES),
            RosterLine.source_line_id.is_(None),
        )
        .order_by(Roster.sent_at, RosterLine.month)
    )
    sent = [(line, roster, home) for line, roster, home in rows]
    parts: dict[UUID, list[Part]] = {}
    for roster in {roster.id: roster for _, roster, _ in sent}.values():
        parts |= await load_parts(session, roster)
    homes: dict[UUID, list[_SentLine]] = {}
    for line, roster, home in sent:
        homes.setdefault(home, []).append(_SentLine(line, roster, parts.get(line.id, [])))
    return homes


async def _replay(
    session: AsyncSession, lines: Sequence[_SentLine], cases: dict[UUID, list[BenefitChange]]
) -> list[Fault]:
    """Return each part that the decisions of the day don't explain."""
    allotted: dict[tuple[str, date], int] = {}
    faults: list[Fault] = []
    for sent in lines:
        for part in sent.parts:
            key = (sent.line.program, part.month)
            before_fen = allotted.get(key, 0)
            allotted[key] = before_fen + part.amount_fen
            unexplained_fen = min(
                [
                    _unexplained(part, before_fen, owed_fen)
                    for owed_fen in await _list_possible(session, sent, part, cases)
                ]
            )
            if unexplained_fen:
                faults.append(Fault(sent.roster.number, sent.line.reference, "unexplained", unexplained_fen))
    return faults


async def _list_possible(
    session: AsyncSession, sent: _SentLine, part: Part, cases: dict[UUID, list[BenefitChange]]
) -> list[int]:
    """Return what the month was owed by the decisions of before the day, and by those of that day as well."""
    program = await find_program(session, sent.roster.area_code, sent.roster.program, sent.roster.month)
    if program.pays != "amount":
        return [(program.fen or 0) * (sent.line.people if program.pays == "per_person" else 1)]
    assert sent.roster.sent_at is not None
    day = day_of(sent.roster.sent_at)
    return [
        max((_amount_by(changes, until, part.month) for changes in cases.values()), default=0)
        for until in (day, day - timedelta(days=1))
    ]


def _amount_by(changes: Sequence[BenefitChange], until: date, month: date) -> int:
    """Return what a month was owed by the decisions of a case up to a day."""
    return amount_in(build_timeline([change for change in changes if change.decided_on <= until]).spans, month)


def _unexplained(part: Part, before_fen: int, owed_fen: int) -> int:
    """Return the fen of a part that nothing explains. A recovery may take less than was overpaid, never more."""
    if part.kind == "recovery":
        return max(0, -part.amount_fen - max(0, before_fen - owed_fen))
    return abs(part.amount_fen - (owed_fen - before_fen))
