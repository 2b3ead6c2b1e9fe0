"""Columns of an import: found by heading or by what a person chose, and read cell by cell.

Nothing is guessed silently: a cell that can't be read gives a fault with its address.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

import msgspec

from server.core.free_text import mask_numbers
from server.core.spreadsheet_reader import Cell, Row, Sheet

# Office files have titles and notes above the headings.
_SEARCHED_ROWS = 15
_FIRST_SERIAL, _LAST_SERIAL = 10_000, 60_000  # of Excel's days: 1927 to 2064
_DAY = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})(?:\s*[-/.月]\s*(\d{1,2})\s*日?|\s*月)?")
_COMPACT_DAY = re.compile(r"(\d{4})(\d{2})(\d{2})?")


class Column(NamedTuple):
    """A column: our `key`, the heading of our own template, and how offices call it."""

    key: str
    heading: str
    synonyms: tuple[str, ...] = ()
    is_required: bool = False


# Columns, also of further members, whose numbers are sealed, and household numbers, which tell homes apart.
_KEPT_WHOLE = ("id_number", "card", "number")


class CellFault(msgspec.Struct, rename="camel", frozen=True):
    """A cell that can't be read or is doubtful; `column` is the heading of our template."""

    address: str
    column: str
    code: str
    zh: str
    en: str


class Line:
    """A line of the file: its cells by column key. Collects the faults that are found while it is read."""

    def __init__(self, sheet: str, number: int, cells: Mapping[str, Cell], headings: Mapping[str, str]) -> None:
        self.sheet = sheet
        self.number = number
        self.faults: list[CellFault] = []
        self._cells = cells
        self._headings = headings

    def text(self, key: str) -> str:
        """Return what the cell says, without outer space; empty where there is no such column.

        Identity and card numbers are masked but in their own columns: all others are stored in clear.
        """
        cell = self._cells.get(key)
        if cell is None:
            return ""
        if cell.formula_without_value:
            self.add_fault(key, "cell.formula", "公式没有计算结果", "the formula has no stored value")
        if cell.is_rounded:
            self.add_fault(
                key,
                "number.rounded",
                "长数字已被表格取整，请以文本重填",
                "rounded by the spreadsheet: enter it as text",
            )
        text = unicodedata.normalize("NFKC", cell.text).strip()
        return text if key.startswith(_KEPT_WHOLE) else mask_numbers(text)

    def is_rounded(self, key: str) -> bool:
        """Whether the spreadsheet kept a long number as a number, which has fifteen exact digits; `text` names it."""
        cell = self._cells.get(key)
        return cell is not None and cell.is_rounded

    def required(self, key: str) -> str:
        text = self.text(key)
        if not text:
            self.add_fault(key, "cell.empty", "必填", "must not be empty")
        return text

    def day(self, key: str) -> date | None:
        """Return the date of a cell in any common writing; a month alone is its first day."""
        cell = self._cells.get(key)
        text = self.text(key)
        if cell is None or not text:
            return None
        day = cell.value.date() if isinstance(cell.value, datetime) else cell.value
        day = day if isinstance(day, date) else parse_day(text)
        if day is None:
            self.add_fault(key, "cell.not_a_date", f"不是日期：{text[:20]}", f"not a date: {text[:20]}")
        return day

    def add_fault(self, key: str, code: str, zh: str, en: str) -> None:
        cell = self._cells.get(key)
        heading = self._headings.get(key, key)
        fault = CellFault(cell.address if cell else f"{self.number}", heading, code, mask_numbers(zh), mask_numbers(en))
        if fault not in self.faults:
            self.faults.append(fault)


class FileContent(NamedTuple):
    """The lines of a file, and its headings as written. `missing`: required columns that no heading fits."""

    lines: list[Line]
    headings: list[str]
    missing: list[str]


def parse_day(text: str) -> date | None:
    """Read 2026-11-30, 2026/11/30, 2026.11.30, 2026年11月30日, 20261130, 2026年11月, 202611, or Excel's serial day."""
    match = _DAY.fullmatch(text) or _COMPACT_DAY.fullmatch(text)
    if match:
        try:
            return date(int(match[1]), int(match[2]), int(match[3] or 1))
        except ValueError:
            return None
    if text.isdigit() and _FIRST_SERIAL <= int(text) <= _LAST_SERIAL:
        return date(1899, 12, 30) + timedelta(days=int(text))
    return None


def read_lines(sheets: Sequence[Sheet], columns: Sequence[Column], mapping: Mapping[str, str]) -> FileContent:
    """Find the headings in each sheet and return the lines below them. Sheets without the headings are left out."""
    headings = {column.key: column.heading for column in columns}
    lines: list[Line] = []
    seen: list[str] = []
    missing: set[str] | None = None
    for sheet in sheets:
        header, places = _find_header(sheet, columns, mapping)
        if header is None:
            continue
        seen += [cell.text.strip() for cell in header.cells if cell.text.strip()]
        absent = {column.heading for column in columns if column.is_required and column.key not in places}
        missing = absent if missing is None else missing & absent
        if not absent:
            lines += _lines_below(sheet, header, places, headings)
    required = [column.heading for column in columns if column.is_required]
    absent = set(required) if missing is None else missing
    return FileContent(lines, list(dict.fromkeys(seen)), [heading for heading in required if heading in absent])


def _find_header(
    sheet: Sheet, columns: Sequence[Column], mapping: Mapping[str, str]
) -> tuple[Row | None, dict[str, int]]:
    """Return the row that fits most columns, and the place of each. Without any fit: the first row that has text."""
    best: tuple[Row | None, dict[str, int]] = (None, {})
    for row in sheet.rows[:_SEARCHED_ROWS]:
        places = dict(_fit(row, columns, mapping))
        if best[0] is None or len(places) > len(best[1]):
            best = (row, places)
    return best


def _fit(row: Row, columns: Sequence[Column], mapping: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    texts = [_normalise(cell.text) for cell in row.cells]
    for column in columns:
        chosen = mapping.get(column.key)
        for name in (chosen,) if chosen else (column.heading, *column.synonyms):
            if _normalise(name) in texts:
                yield column.key, texts.index(_normalise(name))
                break


def _normalise(heading: str) -> str:
    """Compare headings without spaces, stars and what stands in brackets."""
    text = unicodedata.normalize("NFKC", heading).casefold()
    return re.sub(r"\([^)]*\)|[\s*:：]", "", text)


def _lines_below(sheet: Sheet, header: Row, places: Mapping[str, int], headings: Mapping[str, str]) -> Iterator[Line]:
    letters = {key: header.cells[place].address.rstrip("0123456789") for key, place in places.items()}
    for row in sheet.rows:
        cells = {
            key: row.cells[place] if place < len(row.cells) else Cell(None, f"{letters[key]}{row.number}")
            for key, place in places.items()
        }
        if row.number > header.number and any(cell.text.strip() for cell in cells.values()):
            yield Line(sheet.name, row.number, cells, headings)
