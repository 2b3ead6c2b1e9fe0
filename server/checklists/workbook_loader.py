"""Load the rows of a checklist workbook from untrusted bytes.

Only values are read: formulas are never evaluated. Files with macros and oversized or hostile archives are refused
before the XML parser sees them.
"""

import io
import re
import zipfile
import zlib
from typing import Any, Final, NamedTuple

import msgspec
from openpyxl import Workbook, load_workbook
from openpyxl.utils import get_column_letter

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

MAX_WORKBOOK_BYTES = 2 * 1024 * 1024
MAX_UNPACKED_BYTES = 20 * 1024 * 1024
MAX_ARCHIVE_PARTS = 200
MAX_WIDTH = 40


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


def load_rows(content: bytes) -> LoadedRows:
    """Return the rows of all sheets; raise WorkbookFaults if the file can't be read."""
    refusal = _find_refusal(content)
    if refusal is not None:
        raise WorkbookFaults([make_cell_fault("", 0, "", "workbook.unreadable", zh=refusal[0], en=refusal[1])])
    try:
        book = load_workbook(io.BytesIO(content), read_only=True, keep_links=False)
        return _collect_rows(book)
    except WorkbookFaults:
        raise
    except Exception as error:  # openpyxl raises many types for broken XML
        reason = {"zh": "文件已损坏或不是 Excel 工作簿。", "en": "the file is damaged or not an Excel workbook."}
        raise WorkbookFaults([make_cell_fault("", 0, "", "workbook.unreadable", **reason)]) from error


def _find_refusal(content: bytes) -> tuple[str, str] | None:
    if len(content) > MAX_WORKBOOK_BYTES:
        return "文件超过 2 MB。", "the file is larger than 2 MB."
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        return (
            "是旧版 .xls 或加密的文件，请另存为不加密的 .xlsx。",
            "it is an old .xls or encrypted; save as .xlsx.",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _find_part_refusal(archive)
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, RuntimeError, zlib.error):
        return "不是 .xlsx 文件。", "it is not an .xlsx file."


def _find_part_refusal(archive: zipfile.ZipFile) -> tuple[str, str] | None:
    parts = archive.infolist()
    if len(parts) > MAX_ARCHIVE_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES:
        return "解压后过大。", "it is too large when unpacked."
    for part in parts:
        if part.filename.lower().endswith("vbaproject.bin"):
            return "含有宏，请另存为不带宏的 .xlsx。", "it contains macros; save it as .xlsx without them."
        if part.filename.lower().endswith((".xml", ".rels")) and not _is_plain_xml(archive.read(part)):
            return "内含不允许的 XML 声明。", "it declares XML entities or another encoding than UTF-8."
    return None


def _is_plain_xml(text: bytes) -> bool:
    """Whether the XML has no DTD (entity expansion) and an encoding in which a DTD can't be hidden from this check."""
    declared = re.match(rb"(?:\xef\xbb\xbf)?\s*<\?xml[^>]*encoding\s*=\s*[\"']([\w-]+)", text[:200])
    encoding = declared[1].lower() if declared else b"utf-8"
    return encoding in {b"utf-8", b"ascii", b"us-ascii"} and b"<!DOCTYPE" not in text and b"\x00" not in text[:400]


def _collect_rows(book: Workbook) -> LoadedRows:
    loaded = LoadedRows({}, [])
    for name, headings in SHEETS.items():
        title = name if name in book.sheetnames else FORMER_SHEET_NAMES.get(name, name)
        if title not in book.sheetnames:
            loaded.faults.append(make_cell_fault(name, 0, "", "workbook.missing_sheet", name=name))
            continue
        grid = list(book[title].iter_rows(max_row=MAX_ROWS + FIRST_ROW, max_col=MAX_WIDTH))
        letters = _read_headings(name, headings, grid[1] if len(grid) > 1 else (), loaded.faults)
        loaded.rows[name] = _read_grid(name, grid, letters, loaded.faults)
    return loaded


def _read_headings(sheet: str, headings: tuple[Heading, ...], row: Any, faults: list[CellFault]) -> dict[str, str]:
    letters: dict[str, str] = {}
    for number, cell in enumerate(row, start=1):
        name = "" if cell.value is None else str(cell.value).strip()
        if name in {heading.name for heading in headings}:
            letters.setdefault(name, get_column_letter(number))
        elif name:
            faults.append(
                make_cell_fault(sheet, 2, get_column_letter(number), "workbook.unknown_column", name=name[:60])
            )
    for heading in headings:
        missing = heading.name not in letters and not heading.optional
        if missing:
            faults.append(make_cell_fault(sheet, 2, "", "workbook.missing_column", zh=heading.zh, name=heading.name))
    return letters


def _read_grid(sheet: str, grid: list[Any], letters: dict[str, str], faults: list[CellFault]) -> list[SheetRow]:
    if len(grid) >= MAX_ROWS + FIRST_ROW:
        faults.append(make_cell_fault(sheet, MAX_ROWS + FIRST_ROW, "", "workbook.too_many_rows", limit=MAX_ROWS))
        return []
    rows = []
    numbers = {get_column_letter(number): number - 1 for number in range(1, MAX_WIDTH + 1)}
    for row_number, row in enumerate(grid[FIRST_ROW - 1 :], start=FIRST_ROW):
        cells = SheetRow(sheet, row_number, {}, letters)
        for name, letter in letters.items():
            cell = row[numbers[letter]] if numbers[letter] < len(row) else None
            cells.values[name] = _plain_value(cell, cells, name, faults)
        if any(value is not None for value in cells.values.values()):
            rows.append(cells)
    return rows


def _plain_value(cell: Any, cells: SheetRow, name: str, faults: list[CellFault]) -> Any:
    if cell is None or cell.value is None or (isinstance(cell.value, str) and not cell.value.strip()):
        return None
    if cell.data_type == "f":
        faults.append(make_row_fault(cells, name, "workbook.formula"))
        return FORMULA
    return cell.value


FORMULA: Final = object()
"""Value of a cell with a formula, which is reported once; later checks skip it."""


def make_row_fault(cells: SheetRow, name: str, code: str, **params: Any) -> CellFault:
    return make_cell_fault(cells.sheet, cells.row, cells.letters.get(name, ""), code, **params)
