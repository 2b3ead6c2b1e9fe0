"""Read what the bank sends back: each sent line is paid or returned once, whatever is sent again or never comes.

The file is read by the same guarded reader as every file from outside. A row moves its line only if its reference, its
amount and its result leave no doubt; what does not is listed and moves nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.errors import Problem
from server.core.free_text import mask_numbers
from server.core.money import parse_amount
from server.core.spreadsheet_reader import Cell, Row, Sheet, SpreadsheetRefused
from server.core.spreadsheets import read_spreadsheet
from server.core.threads import run_in_thread
from server.models.rosters import BankAnswer, Roster, RosterLine
from server.policy.values import AnswerColumns, BankForm
from server.rosters.actions import lock_roster

Moved = Literal["paid", "returned", "repeated"]
RefusedWhy = Literal["unknown_reference", "amount_differs", "unknown_result", "contradicts", "not_sent"]
_HEADING_ROWS = 20


class AnswerRow(NamedTuple):
    """A row of the bank's file; `fen` is None where the amount can't be read."""

    place: str
    reference: str
    fen: int | None
    result: str
    reason: str


class RefusedRow(Struct, rename="camel"):
    """A row that moved nothing: the cell of its reference, and why."""

    place: str
    reference: str
    why: RefusedWhy


class AnswerFile(Struct, frozen=True):
    id: UUID
    filename: str
    content: bytes


def judge_row(state: str, total_fen: int, row: AnswerRow, words: AnswerColumns) -> Moved | RefusedWhy:
    """Return what a row does to the line that it names. Pure: the same row again is `repeated`.

    A bank may send back days later what it had answered as paid; what came back is never paid by an answer, since a
    correction may have paid it again.
    """
    if row.fen != total_fen or not total_fen:
        return "amount_differs"
    if row.result in words.paid:
        moved: Literal["paid", "returned"] = "paid"
    elif row.result in words.returned:
        moved = "returned"
    else:
        return "unknown_result"
    if state == moved:
        return "repeated"
    if state == "returned":
        return "contradicts"
    return moved if state in {"sent", "paid"} else "not_sent"


async def read_answer(
    session: AsyncSession, caller: Caller, roster_id: UUID, file: AnswerFile, now: datetime
) -> BankAnswer:
    """Read a file about a sent roster. The same file again gives the same answer.

    Raise `import.unreadable`, `bank_answer.columns_missing`, `roster.not_now` before the roster was sent.
    """
    # Before the session takes a connection.
    try:
        sheets = await run_in_thread(read_spreadsheet, file.content, file.filename)
    except SpreadsheetRefused as refused:
        raise Problem("import.unreadable", why=refused.zh, why_en=refused.en) from None
    roster = await lock_roster(session, caller, roster_id)
    if roster.file_form is None:
        raise Problem("roster.not_now", state=roster.state)
    sha256 = hashlib.sha256(file.content).hexdigest()
    earlier: BankAnswer | None = await session.scalar(
        select(BankAnswer).where(BankAnswer.roster_id == roster.id, BankAnswer.sha256 == sha256)
    )
    if earlier is not None:
        return earlier
    words = msgspec.convert(roster.file_form, BankForm).answer
    rows = read_rows(sheets, words)
    answer = BankAnswer(
        id=file.id, roster_id=roster.id, filename=file.filename[:200], sha256=sha256, read_by=caller.id, read_at=now,
        **await _apply(session, roster, rows, words, now),
    )  # fmt: skip
    session.add(answer)
    await _settle(session, roster)
    audit.record(
        session, caller, Action.ROSTER_ANSWERED, "roster", roster.id, area_code=roster.area_code, paid=answer.paid,
        returned=answer.returned, repeated=answer.repeated, refused=len(answer.refused), file=sha256,
    )  # fmt: skip
    return answer


def read_rows(sheets: Sequence[Sheet], words: AnswerColumns) -> list[AnswerRow]:
    """Return the rows of the first sheet that has the headings. Raise `bank_answer.columns_missing`."""
    for sheet in sheets:
        for place, row in enumerate(sheet.rows[:_HEADING_ROWS]):
            headings = {cell.text.strip(): column for column, cell in enumerate(row.cells)}
            if {words.reference, words.yuan, words.result} <= set(headings):
                read = (_read_row(row, headings, words) for row in sheet.rows[place + 1 :])
                return [row for row in read if row is not None]
    raise Problem("bank_answer.columns_missing", columns=f"{words.reference}、{words.yuan}、{words.result}")


def _read_row(row: Row, headings: Mapping[str, int], words: AnswerColumns) -> AnswerRow | None:
    def cell_of(heading: str) -> Cell | None:
        column = headings.get(heading)
        return row.cells[column] if column is not None and column < len(row.cells) else None

    def text_of(heading: str) -> str:
        cell = cell_of(heading)
        return cell.text.strip() if cell else ""

    reference = cell_of(words.reference)
    if reference is None or not reference.text.strip():
        return None  # a row of sums, or of nothing
    parsed = parse_amount(text_of(words.yuan))
    return AnswerRow(
        reference.address,
        reference.text.strip(),
        parsed.fen if not parsed.warnings else None,
        text_of(words.result),
        mask_numbers(text_of(words.reason)) if words.reason else "",
    )


async def _apply(
    session: AsyncSession, roster: Roster, rows: Sequence[AnswerRow], words: AnswerColumns, now: datetime
) -> dict[str, object]:
    lines = {
        line.reference: line
        for line in await session.scalars(select(RosterLine).where(RosterLine.roster_id == roster.id).with_for_update())
    }
    counts = {"paid": 0, "returned": 0, "repeated": 0}
    refused: list[RefusedRow] = []
    answered: set[str] = set()
    for row in rows:
        line = lines.get(row.reference)
        moved = judge_row(line.state, line.total_fen, row, words) if line else "unknown_reference"
        if moved not in {"unknown_reference", "repeated"} and row.reference in answered:
            moved = "contradicts"  # two rows of one file say different things
        if line is None or moved not in counts:
            refused.append(RefusedRow(row.place, mask_numbers(row.reference)[:40], moved))  # type: ignore[arg-type]
            continue
        counts[moved] += 1
        answered.add(row.reference)
        if moved == "returned":
            mark_returned(line, row.reason, now)
        elif moved == "paid":
            line.state, line.answered_at = "paid", now
    return {**counts, "refused": msgspec.to_builtins(refused)}


def mark_returned(line: RosterLine, reason: str, now: datetime) -> None:
    """Mark a line as returned; one that had been answered as paid keeps the time of that answer."""
    if line.state == "paid":
        line.paid_at = line.answered_at
    line.state, line.answered_at, line.return_reason = "returned", now, reason[:200] or None


async def _settle(session: AsyncSession, roster: Roster) -> None:
    """Settle the roster once every sent line is paid or returned."""
    await session.flush()  # the lines are counted in the table
    waiting = await session.scalar(
        select(func.count()).where(RosterLine.roster_id == roster.id, RosterLine.state == "sent")
    )
    if not waiting and roster.state == "sent":
        roster.state = "settled"
