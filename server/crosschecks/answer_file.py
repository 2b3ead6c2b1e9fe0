"""Read the answer file of an office: find its columns, and name each cell that can't be read.

Nothing is guessed: a number that a spreadsheet rounded, or a formula without a result, is named by its address, and
nobody counts as answered by it.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from server.core.errors import Problem
from server.core.http import ResponseBody
from server.core.normalise import normalise_id
from server.core.spreadsheet_reader import Cell, Row, Sheet, SpreadsheetRefused
from server.core.spreadsheets import read_spreadsheet
from server.crosschecks.sources import ID_HEADING

MAX_ROWS = 20_000
# Offices write a title, a date and a note above the headings.
_MAX_ROWS_ABOVE_HEADINGS = 20
# A spreadsheet keeps 15 digits of a number; a longer one ends in zeros, or in whatever binary rounding gives.
_EXACT_DIGITS = 15
_ROUNDED_TEXT = re.compile(r"[0-9](?:\.[0-9]+)?E\+?[0-9]+", re.IGNORECASE)

_REASONS = {
    "formula": (
        "公式没有计算结果：请用 Excel 打开并保存后再导入",
        "A formula without a result: open and save the file in Excel first",
    ),
    "error": ("单元格是错误值", "The cell holds an error value"),
    "rounded": (
        "身份证号被存为数字，末几位已丢失：请将该列设为文本重新导出",
        "The ID number was stored as a number and has lost digits: export the column as text",
    ),
    "id_missing": ("这一行有结果但没有身份证号", "The row has an answer but no ID number"),
    "id_invalid": ("不是有效的身份证号", "Not a valid ID number"),
    "not_an_amount": ("应为数字，实为日期或是非", "A number is expected, not a date or a truth value"),
}


class UnreadCell(ResponseBody):
    """A cell that can't be read. `code` is stable; the reason holds nothing of what stands in the cell."""

    sheet: str
    address: str
    code: str
    zh: str
    en: str


class AnswerCell(NamedTuple):
    """`address` is the first cell of a merged range, so that a value in it counts once. `text` is None if unread."""

    address: str
    text: str | None


class AnswerRow(NamedTuple):
    """A row about a person. `values` are by our headings; `id_number` is None if it can't be read."""

    sheet: str
    id_address: str
    id_number: str | None
    values: dict[str, AnswerCell]


class AnswerFile(NamedTuple):
    rows: list[AnswerRow]
    unread: list[UnreadCell]


def describe_unread(sheet: str, address: str, code: str) -> UnreadCell:
    zh, en = _REASONS[code]
    return UnreadCell(sheet=sheet, address=address, code=code, zh=zh, en=en)


def read_answer_file(content: bytes, headings: dict[str, str]) -> AnswerFile:
    """Read an office's file; `headings` maps ours to theirs. Blocks: call it in a thread.

    Raises `case.check_unreadable` with the reason.
    """
    try:
        sheets = read_spreadsheet(content, "")  # its bytes tell the format, whatever it is called
    except SpreadsheetRefused as refused:
        raise Problem("case.check_unreadable", why=f"{refused.zh} {refused.en}") from None
    sheet, rows, columns = _find_table(sheets, headings)
    file = AnswerFile([], [])
    for row in rows:
        _read_row(sheet, row, columns, file)
    if len(file.rows) > MAX_ROWS or not (file.rows or file.unread):
        raise Problem("case.check_unreadable", why=f"1–{MAX_ROWS}")
    if not file.unread and not any(cell.text for row in file.rows for cell in row.values.values()):
        raise Problem("case.check_unreadable", why="结果列全部为空 · the answer columns are empty")
    return file


def _find_table(sheets: list[Sheet], headings: dict[str, str]) -> tuple[str, list[Row], dict[str, int]]:
    """Return the sheet, the rows below the headings, and our heading → column. The first table with all of them counts.

    Raises `case.check_unreadable` with the headings that are missing in the row that has most of them.
    """
    missing = list(headings.values())
    for sheet in sheets:
        for index, row in enumerate(sheet.rows[:_MAX_ROWS_ABOVE_HEADINGS]):
            titles = [_spell(cell.text) for cell in row.cells]
            lacking = [theirs for theirs in headings.values() if _spell(theirs) not in titles]
            if not lacking:
                columns = {ours: titles.index(_spell(theirs)) for ours, theirs in headings.items()}
                return sheet.name, sheet.rows[index + 1 :], columns
            missing = min(missing, lacking, key=len)
    raise Problem("case.check_unreadable", why="缺少列 " + ", ".join(missing))


def _spell(heading: str) -> str:
    """Return a heading without spaces, with ASCII brackets: offices type 月工资薪金（元）."""
    return "".join(unicodedata.normalize("NFKC", heading).split())


def _read_row(sheet: str, row: Row, columns: dict[str, int], file: AnswerFile) -> None:
    cells = {ours: row.cells[column] if column < len(row.cells) else None for ours, column in columns.items()}
    answers = {ours: cell for ours, cell in cells.items() if ours != ID_HEADING}
    if not any(cell is not None and _is_filled(cell) for cell in cells.values()):
        return
    id_cell = cells[ID_HEADING]
    id_address = id_cell.address if id_cell else f"A{row.number}"
    id_number, fault = _read_id(id_cell)
    if fault == "id_missing" and not any(cell is not None and _is_filled(cell) for cell in answers.values()):
        return
    if fault is not None:
        file.unread.append(describe_unread(sheet, id_address, fault))
    values = {ours: _read_value(sheet, cell, file.unread) for ours, cell in answers.items()}
    file.rows.append(AnswerRow(sheet, id_address, id_number, values))


def _is_filled(cell: Cell) -> bool:
    return cell.formula_without_value or bool(cell.text.strip())


def _read_id(cell: Cell | None) -> tuple[str | None, str | None]:
    """Return the number, or why there is none."""
    if cell is None or not _is_filled(cell):
        return None, "id_missing"
    if fault := _find_fault(cell):
        return None, fault
    number = normalise_id(cell.text).lstrip("'=\"").rstrip('"')
    is_number = isinstance(cell.value, int | float) and not isinstance(cell.value, bool)
    if isinstance(cell.value, float) and len(number) > _EXACT_DIGITS:
        return None, "rounded"
    if is_number and len(number) > _EXACT_DIGITS and number.endswith("000"):
        return None, "rounded"
    if _ROUNDED_TEXT.fullmatch(number):
        return None, "rounded"
    return number, None


def _read_value(sheet: str, cell: Cell | None, unread: list[UnreadCell]) -> AnswerCell:
    if cell is None:
        return AnswerCell("", "")
    address = cell.merged_from or cell.address
    fault = _find_fault(cell)
    if fault is None and cell.value is not None and not isinstance(cell.value, str | int | float):
        fault = "not_an_amount"
    if isinstance(cell.value, bool):
        fault = "not_an_amount"
    if fault is not None:
        if cell.merged_from is None:
            unread.append(describe_unread(sheet, address, fault))
        return AnswerCell(address, None)
    # 15 significant digits, as Excel shows: 0.1 + 0.2 is 0.3.
    return AnswerCell(address, f"{cell.value:.15g}" if isinstance(cell.value, float) else cell.text.strip())


def _find_fault(cell: Cell) -> str | None:
    text = cell.text.strip()
    if cell.formula_without_value or (text.startswith("=") and not text.startswith('="')):
        return "formula"
    return "error" if text.startswith("#") else None


def iterate_people(rows: list[AnswerRow]) -> Iterator[tuple[str, list[AnswerRow]]]:
    """Yield each readable ID number with all its rows: some offices write a row for each home or account."""
    by_number: dict[str, list[AnswerRow]] = {}
    for row in rows:
        if row.id_number is not None:
            by_number.setdefault(row.id_number, []).append(row)
    yield from by_number.items()
