"""Import what an office answered to a batch: read its file and compare each person's answer."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.spreadsheet_reader import SpreadsheetRefused
from server.core.spreadsheets import read_spreadsheet
from server.core.threads import run_in_thread
from server.crosschecks.batches import lock_batch
from server.crosschecks.comparison import compare_answers
from server.crosschecks.listing import BatchSummary, summarize_batch
from server.crosschecks.sources import SOURCES, answer_headings

MAX_ROWS = 20_000


async def import_answers(
    session: AsyncSession,
    encryption: Encryption,
    caller: Caller,
    batch_id: UUID,
    content: bytes,
    mapping: dict[str, str],
    now: datetime,
) -> BatchSummary:
    """Import an office's file; `mapping` maps our headings to theirs. Idempotent for the same file.

    Raises `case.check_answered` for a different file, `case.check_unreadable` with the reason.
    """
    batch = await lock_batch(session, caller, batch_id)
    sha256 = hashlib.sha256(content).hexdigest()
    if batch.answered_at is not None:
        if batch.answer_sha256 != sha256:
            raise Problem("case.check_answered")
        return await summarize_batch(session, batch)
    table = await run_in_thread(_read_table, content)
    rows = list(_rows_by_heading(table, {ours: mapping.get(ours, ours) for ours in answer_headings(batch.source)}))
    await compare_answers(session, encryption, batch, SOURCES[batch.source], rows)
    batch.answered_at, batch.answered_by, batch.answer_sha256 = now, caller.id, sha256
    await session.flush()  # the summary counts the answers
    summary = await summarize_batch(session, batch)
    audit.record(
        session, caller, Action.CROSS_CHECK_ANSWERED, "cross_check_batch", batch.id, area_code=batch.area_code,
        differing=summary.differing, strangers=summary.strangers,
    )  # fmt: skip
    return summary


def _read_table(content: bytes) -> list[list[str]]:
    try:
        sheets = read_spreadsheet(content, "")
    except SpreadsheetRefused as refused:
        raise Problem("case.check_unreadable", why=f"{refused.zh} {refused.en}") from None
    rows = sheets[0].rows[: MAX_ROWS + 2] if sheets else []
    return [[cell.text for cell in row.cells] for row in rows]


def _rows_by_heading(table: list[list[str]], headings: dict[str, str]) -> Iterator[dict[str, str]]:
    """Yield rows as our heading → cell. Raises `case.check_unreadable` with the headings that are missing."""
    if not table or len(table) > MAX_ROWS + 1:
        raise Problem("case.check_unreadable", why=f"1–{MAX_ROWS}")
    head = [cell.strip() for cell in table[0]]
    if missing := [theirs for theirs in headings.values() if theirs not in head]:
        raise Problem("case.check_unreadable", why="缺少列 " + ", ".join(missing))
    columns = {ours: head.index(theirs) for ours, theirs in headings.items()}
    for row in table[1:]:
        yield {ours: row[column].strip() if column < len(row) else "" for ours, column in columns.items()}
