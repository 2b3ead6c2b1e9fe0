"""Load the rows of a checklist workbook from untrusted bytes.

Only values are read: formulas are never evaluated. `server.core.spreadsheets` reads the file in a child process.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from server.checklists.workbook_layout import (
    FIRST_ROW,
    FORMER_SHEET_NAMES,
    MAX_ROWS,
    SHEETS,
    CellFault,
    Heading,
    WorkbookFaults,
    make_cell_fault,
)
from server.core.spreadsheet_reader import Cell, Row, Sheet, SpreadsheetRefused

MAX_WORKBOOK_BYTES = 2 * 1024 * 1024
MAX_WIDTH = 40
ReadSheets = Callable[[bytes, str], list[Sheet]]


class SheetRow(msgspec.Struct):
    """A row of a sheet: values and Excel column letters by column name."""

    sheet: str
    row: int
    values: dict[str, Any]
    letters: dict[str, str]


class LoadedRows(NamedTuple):
    """Rows by sheet, and the faults found while loading."""

    rows: dict[str, list[SheetRow]]
    faults: list[CellFault]


def load_rows(content: bytes, read: ReadSheets) -> LoadedRows:
    """Return the rows of all sheets; raise WorkbookFaults if the file can't be read."""
    if len(content) > MAX_WORKBOOK_BYTES:
        raise _unreadable("文件超过 2 MB。", "the file is larger than 2 MB.")
    try:
        return _collect_rows(read(content, "checklist.xlsx"))
    except SpreadsheetRefused as refused:
        raise _unreadable(refused.zh, refused.en) from refused


def _unreadable(zh: str, en: str) -> WorkbookFaults:
    return WorkbookFaults([make_cell_fault("", 0, "", "workbook.unreadable", zh=zh, en=en)])


def _collect_rows(sheets: list[Sheet]) -> LoadedRows:
    loaded = LoadedRows({}, [])
    rows_by_title = {sheet.name: sheet.rows for sheet in sheets}
    for name, headings in SHEETS.items():
        rows = rows_by_title.get(name, rows_by_title.get(FORMER_SHEET_NAMES.get(name, name)))
        if rows is None:
            loaded.faults.append(make_cell_fault(name, 0, "", "workbook.missing_sheet", name=name))
            continue
        head = next((row.cells for row in rows if row.number == FIRST_ROW - 1), [])
        letters = _read_headings(name, headings, head[:MAX_WIDTH], loaded.faults)
        loaded.rows[name] = _read_grid(name, rows, letters, loaded.faults)
    return loaded


def _read_headings(
    sheet: str, headings: tuple[Heading, ...], row: list[Cell], faults: list[CellFault]
) -> dict[str, str]:
    letters: dict[str, str] = {}
    for cell in row:
        name = cell.text.strip()
        letter = cell.address.rstrip("0123456789")
        if name in {heading.name for heading in headings}:
            letters.setdefault(name, letter)
        elif name:
            faults.append(make_cell_fault(sheet, 2, letter, "workbook.unknown_column", name=name[:60]))
    for heading in headings:
        missing = heading.name not in letters and not heading.optional
        if missing:
            faults.append(make_cell_fault(sheet, 2, "", "workbook.missing_column", zh=heading.zh, name=heading.name))
    return letters


def _read_grid(sheet: str, grid: list[Row], letters: dict[str, str], faults: list[CellFault]) -> list[SheetRow]:
    if any(row.number >= MAX_ROWS + FIRST_ROW for row in grid):
        faults.append(make_cell_fault(sheet, MAX_ROWS + FIRST_ROW, "", "workbook.too_many_rows", limit=MAX_ROWS))
        return []
    rows = []
    for row in grid:
        if row.number < FIRST_ROW:
            continue
        cells_by_letter = {cell.address.rstrip("0123456789"): cell for cell in row.cells}
        cells = SheetRow(sheet, row.number, {}, letters)
        for name, letter in letters.items():
            cells.values[name] = _plain_value(cells_by_letter.get(letter), cells, name, faults)
        if any(value is not None for value in cells.values.values()):
            rows.append(cells)
    return rows


def _plain_value(cell: Cell | None, cells: SheetRow, name: str, faults: list[CellFault]) -> Any:
    """A merged range counts in its first cell alone: Excel shows the others as empty."""
    if cell is None or cell.merged_from is not None:
        return None
    if cell.has_formula:
        faults.append(make_row_fault(cells, name, "workbook.formula"))
        return FORMULA
    if cell.value is None or (isinstance(cell.value, str) and not cell.value.strip()):
        return None
    return cell.value


FORMULA: Final = object()
"""Value of a cell with a formula, which is reported once; later checks skip it."""


def make_row_fault(cells: SheetRow, name: str, code: str, **params: Any) -> CellFault:
    return make_cell_fault(cells.sheet, cells.row, cells.letters.get(name, ""), code, **params)
