"""Import what an office answered to a batch: read its file and compare each person's answer."""

import csv
import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID
from xml.etree.ElementTree import ParseError

from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.threads import run_in_thread
from server.crosschecks.batches import lock_batch
from server.crosschecks.comparison import compare_answers
from server.crosschecks.listing import BatchSummary, summarize_batch
from server.crosschecks.sources import SOURCES, answer_headings

MAX_ROWS = 20_000
# What openpyxl raises for files that are damaged, truncated or protected by a password.
_BROKEN_FILE_ERRORS = (
    zipfile.BadZipFile, zlib.error, ParseError, EOFError, OSError, RuntimeError,
    AttributeError, IndexError, KeyError, TypeError, ValueError,
)  # fmt: skip


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
    if content[:2] == b"PK":
        return _read_xlsx(content)
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return [row for row in csv.reader(io.StringIO(content.decode(encoding))) if any(row)][: MAX_ROWS + 2]
        except (UnicodeDecodeError, csv.Error):
            continue
    raise Problem("case.check_unreadable", why="xlsx / csv")


def _read_xlsx(content: bytes) -> list[list[str]]:
    from openpyxl import load_workbook  # noqa: PLC0415  20 MB with what it imports, for a file now and then

    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        rows = sheet.iter_rows(max_row=MAX_ROWS + 2, max_col=60, values_only=True)
        return [["" if cell is None else str(cell) for cell in row] for row in rows if any(row)]
    except _BROKEN_FILE_ERRORS:
        raise Problem("case.check_unreadable", why="xlsx") from None


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
