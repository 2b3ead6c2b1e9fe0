"""Read a spreadsheet that somebody else made: XLSX, CSV in UTF-8, UTF-16 or GB18030, and old XLS or ET of WPS.

Runs in a child process (`server.core.spreadsheets.read_spreadsheet`), so it imports nothing of the server. Formulas are
never evaluated: a cell has the value that the office's program stored. Files with macros, DTDs or a password are
refused, and so is what unpacks to more than the limits.

XLS and ET alone go through calamine, which shows no formulas: one that nobody has computed is an empty cell there.
"""

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any, Final

import msgspec

MAX_FILE_BYTES: Final = 20 * 1024 * 1024
MAX_UNPACKED_BYTES: Final = 64 * 1024 * 1024
MAX_SHARED_STRINGS_BYTES: Final = 32 * 1024 * 1024
MAX_PARTS: Final = 500
# Of all sheets together, empty cells before the last one of a row included.
MAX_CELLS: Final = 500_000
_MAX_MERGES: Final = 10_000

# Fifteen digits.
_LARGEST_EXACT: Final = 10**15

CellValue = str | int | float | bool | date | None


class Cell(msgspec.Struct, frozen=True):
    """`value` as stored: text, number, truth value, or date (with a time of day: datetime). `address` is like `B3`.

    A cell inside a merged range has the value of the range's first cell, whose address is `merged_from`.
    `has_formula` tells that the value was computed; `formula_without_value` that nobody has computed it.
    """

    value: CellValue
    address: str
    merged_from: str | None = None
    has_formula: bool = False
    formula_without_value: bool = False

    @property
    def is_rounded(self) -> bool:
        """A number longer than a spreadsheet keeps exactly: its last digits are others than somebody typed."""
        is_number = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        return is_number and abs(self.value) >= _LARGEST_EXACT  # type: ignore[arg-type]  # a number

    @property
    def text(self) -> str:
        """The value as text: whole numbers without a point, dates in ISO 8601; nothing for an empty cell."""
        if self.value is None:
            return ""
        if isinstance(self.value, bool):
            return "TRUE" if self.value else "FALSE"
        if isinstance(self.value, float) and self.value.is_integer():
            return str(int(self.value))
        return self.value.isoformat() if isinstance(self.value, date) else str(self.value)


class Row(msgspec.Struct, frozen=True):
    """`number` counts from 1 as Excel does; `cells` start at column A and have no gaps."""

    number: int
    cells: list[Cell]


class Sheet(msgspec.Struct, frozen=True):
    """Rows without any value are left out."""

    name: str
    rows: list[Row]


class SpreadsheetRefused(Exception):
    """The file can't be read; the reason in Chinese and English."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(zh, en)
        self.zh = zh
        self.en = en


TOO_LARGE: Final = ("文件过大（解压后、行数或单元格数超限）。", "the file is too large: unpacked, in rows or in cells.")
# The child ended without a word, as a damaged XLS or one of too much memory makes it.
DIED: Final = ("文件已损坏或过大。", "the file is damaged or too large.")
DAMAGED: Final = ("文件已损坏或不是表格文件。", "the file is damaged or not a spreadsheet.")


def read_sheets(data: bytes, filename: str) -> list[Sheet]:
    """Return all sheets of an XLSX, or the only one of a CSV. Raises SpreadsheetRefused."""
    if len(data) > MAX_FILE_BYTES:
        raise SpreadsheetRefused(*TOO_LARGE)
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        return _read_old_workbook(data)
    if data.startswith(b"PK"):
        return _read_workbook(data)
    if filename.lower().endswith((".xlsx", ".xlsm")):
        raise SpreadsheetRefused("不是 .xlsx 文件。", "it is not an .xlsx file.")
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise SpreadsheetRefused("是网页，请另存为 .xlsx。", "it is a web page; save it as .xlsx.")
    return [Sheet("CSV", _read_csv(data))]


# -- XLSX


def _read_workbook(data: bytes) -> list[Sheet]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_parts(archive)
        return list(_read_worksheets(data))
    except (SpreadsheetRefused, MemoryError):
        raise
    except Exception as error:  # openpyxl raises many types for broken XML
        raise SpreadsheetRefused(*DAMAGED) from error


def _check_parts(archive: zipfile.ZipFile) -> None:
    """Refuse by the declared sizes first: `zipfile` never unpacks more of a part than its entry declares."""
    parts = archive.infolist()
    shared = sum(part.file_size for part in parts if part.filename.lower().endswith("sharedstrings.xml"))
    if (
        len(parts) > MAX_PARTS
        or shared > MAX_SHARED_STRINGS_BYTES
        or sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES
    ):
        raise SpreadsheetRefused(*TOO_LARGE)
    for part in parts:
        if part.filename.lower().endswith("vbaproject.bin"):
            raise SpreadsheetRefused(
                "含有宏，请另存为不带宏的 .xlsx。", "it contains macros; save it as .xlsx without them."
            )
        if part.filename.lower().endswith((".xml", ".rels")):
            _check_xml(archive.read(part))


def _check_xml(text: bytes) -> None:
    if not _is_plain_xml(text):
        raise SpreadsheetRefused("内含不允许的 XML 声明。", "it declares XML entities or another encoding than UTF-8.")
    if sum(1 for _ in _SHARED_STRING.finditer(text)) > MAX_CELLS:
        raise SpreadsheetRefused(*TOO_LARGE)


# A shared string takes openpyxl 15 µs, however short it is.
_SHARED_STRING = re.compile(rb"<(?:[\w.-]+:)?si[\s/>]")


def _is_plain_xml(text: bytes) -> bool:
    """Whether the XML has no DTD (entity expansion) and an encoding in which a DTD can't be hidden from this check."""
    declared = re.match(rb"(?:\xef\xbb\xbf)?\s*<\?xml[^>]*encoding\s*=\s*[\"']([\w-]+)", text[:200])
    encoding = declared[1].lower() if declared else b"utf-8"
    return encoding in {b"utf-8", b"ascii", b"us-ascii"} and b"<!DOCTYPE" not in text and b"\x00" not in text[:400]


def _read_worksheets(data: bytes) -> Iterator[Sheet]:
    from openpyxl import load_workbook  # noqa: PLC0415  only the child process needs it
    from openpyxl.worksheet._reader import WorkSheetParser  # noqa: PLC0415

    class Parser(WorkSheetParser):
        """openpyxl's parser of one sheet, which also tells where a formula stands beside its stored value."""

        def parse_cell(self, element: Any) -> dict[str, Any]:
            cell: dict[str, Any] = super().parse_cell(element)
            cell["has_formula"] = element.find(_FORMULA_TAG) is not None
            return cell

    # What its own read-only sheets use has no public name.
    book: Any = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    left = MAX_CELLS
    for worksheet in book.worksheets:
        with worksheet._get_source() as source:  # noqa: SLF001  what its read-only sheets do themselves
            parser = Parser(
                source,
                worksheet._shared_strings,  # noqa: SLF001
                data_only=True,
                epoch=book.epoch,
                date_formats=book._date_formats,  # noqa: SLF001
                timedelta_formats=book._timedelta_formats,  # noqa: SLF001
            )
            grid, left = _collect_cells(parser.parse(), left)
        yield Sheet(worksheet.title, _fill_rows(grid, _merged_ranges(parser.merged_cells)))


_FORMULA_TAG: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}f"
_Grid = dict[int, dict[int, Cell]]


def _collect_cells(rows: Iterable[tuple[int, list[dict[str, Any]]]], left: int) -> tuple[_Grid, int]:
    """Return the cells that have a value or a formula, by row and column, and how many more the file may have."""
    grid: _Grid = {}
    for number, parsed in rows:
        for cell in parsed:
            if cell["value"] is None and not cell["has_formula"]:
                continue
            grid.setdefault(number, {})[cell["column"]] = Cell(
                _plain_value(cell["value"]),
                f"{_column_letters(cell['column'])}{number}",
                has_formula=cell["has_formula"],
                formula_without_value=cell["has_formula"] and cell["value"] is None,
            )
        left -= max(grid.get(number, ()), default=0)
        if left < 0:
            raise SpreadsheetRefused(*TOO_LARGE)
    return grid, left


def _plain_value(value: Any) -> CellValue:
    if isinstance(value, datetime):
        is_day = (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
        return value.date() if is_day else value
    return value if value is None or isinstance(value, str | int | float | date) else str(value)


def _merged_ranges(merged: Any) -> list[tuple[int, int, int, int]]:
    """Return the merged ranges as (first column, first row, last column, last row)."""
    ranges = [cell_range.bounds for cell_range in merged.mergeCell] if merged is not None else []
    if len(ranges) > _MAX_MERGES:
        raise SpreadsheetRefused(*TOO_LARGE)
    return ranges


def _fill_rows(grid: _Grid, merges: list[tuple[int, int, int, int]]) -> list[Row]:
    width = max((column for cells in grid.values() for column in cells), default=0)
    for first_column, first_row, last_column, last_row in merges:
        origin = grid.get(first_row, {}).get(first_column)
        if origin is None:
            continue
        for number in [number for number in grid if first_row <= number <= last_row]:
            for column in range(first_column, min(last_column, width) + 1):
                if (number, column) != (first_row, first_column):
                    address = f"{_column_letters(column)}{number}"
                    grid[number][column] = msgspec.structs.replace(origin, address=address, merged_from=origin.address)
    return [Row(number, _without_gaps(number, grid[number])) for number in sorted(grid)]


def _without_gaps(number: int, cells: dict[int, Cell]) -> list[Cell]:
    return [
        cells.get(column) or Cell(None, f"{_column_letters(column)}{number}") for column in range(1, max(cells) + 1)
    ]


def _column_letters(column: int) -> str:
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


# -- XLS and ET: BIFF in a compound file


def _read_old_workbook(data: bytes) -> list[Sheet]:
    if _names_entry(data, "_VBA_PROJECT"):
        raise SpreadsheetRefused(
            "含有宏，请另存为不带宏的 .xlsx。", "it contains macros; save it as .xlsx without them."
        )
    if _names_entry(data, "EncryptedPackage"):
        raise SpreadsheetRefused(*_ENCRYPTED)
    from python_calamine import CalamineWorkbook, PasswordError  # noqa: PLC0415  only the child process needs it

    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        return _list_old_sheets([book.get_sheet_by_name(name) for name in book.sheet_names])
    except PasswordError as error:
        raise SpreadsheetRefused(*_ENCRYPTED) from error
    except (SpreadsheetRefused, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the library is no Exception
        raise SpreadsheetRefused(*DAMAGED) from error


_ENCRYPTED: Final = ("文件有密码，请去掉密码后另存。", "it is encrypted; save it without a password.")


def _names_entry(data: bytes, name: str) -> bool:
    """Whether the compound file has a stream or folder of this name. Its directory spells names in UTF-16."""
    return name.encode("utf-16-le") in data


def _list_old_sheets(worksheets: list[Any]) -> list[Sheet]:
    left = MAX_CELLS
    sheets = []
    for worksheet in worksheets:
        grid: _Grid = {}
        first_column = worksheet.start[1] + 1 if worksheet.start else 1
        for number, values in enumerate(worksheet.iter_rows(), start=1):
            for column, value in enumerate(values, start=first_column):
                if value != "":
                    cell = Cell(_plain_value(value), f"{_column_letters(column)}{number}")
                    grid.setdefault(number, {})[column] = cell
            left -= max(grid.get(number, ()), default=0)
            if left < 0:
                raise SpreadsheetRefused(*TOO_LARGE)
        merges = [
            (first[1] + 1, first[0] + 1, last[1] + 1, last[0] + 1) for first, last in worksheet.merged_cell_ranges or ()
        ]
        if len(merges) > _MAX_MERGES:
            raise SpreadsheetRefused(*TOO_LARGE)
        sheets.append(Sheet(worksheet.name, _fill_rows(grid, merges)))
    return sheets


# -- CSV


_DELIMITERS: Final = (",", ";", "\t", "|")
# Excel's way to keep a long number as text in a CSV: ="340123…".
_TEXT_FORMULA = re.compile(r'="([^"]*)"')


def _read_csv(data: bytes) -> list[Row]:
    text = _decode_text(data)
    first_line = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(_DELIMITERS, key=first_line.count)
    rows: list[Row] = []
    left = MAX_CELLS
    try:
        for number, values in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), start=1):
            left -= len(values)
            if left < 0:
                raise SpreadsheetRefused(*TOO_LARGE)
            if any(value.strip() for value in values):
                cells = [
                    Cell(_csv_value(value), f"{_column_letters(column)}{number}")
                    for column, value in enumerate(values, start=1)
                ]
                rows.append(Row(number, cells))
    except csv.Error as error:
        raise SpreadsheetRefused(*DAMAGED) from error
    return rows


def _decode_text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings: tuple[str, ...] = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise SpreadsheetRefused(
        "不是 .xlsx，也不是 UTF-8、UTF-16 或 GB18030 编码的 CSV。", "neither .xlsx nor CSV in UTF-8, UTF-16 or GB18030."
    )


def _csv_value(value: str) -> str | None:
    protected = _TEXT_FORMULA.fullmatch(value)
    return (protected[1] if protected else value) or None
