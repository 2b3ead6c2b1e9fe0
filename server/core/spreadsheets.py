"""Spreadsheet files: XLSX, and CSV that Excel opens with Chinese text.

Cells hold text that people typed. A text that starts like a formula is written with an apostrophe in front, so that
opening a file never runs a formula.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from tempfile import TemporaryFile
from typing import IO, Any, Literal

from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema

from server.core.child_process import ChildFailed, ChildLimits, ChildProcess
from server.core.clock import CHINA
from server.core.spreadsheet_reader import DIED, TOO_LARGE, Sheet, SpreadsheetRefused, read_sheets

FileFormat = Literal["csv", "xlsx"]
MEDIA_TYPES: dict[FileFormat, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# Characters that XML 1.0 does not allow.
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
# Excel shows twelve digits as 1.2E+11, and writes that when the file is saved as CSV again.
_LONG_NUMBER = re.compile(r"[0-9]{12,}[xX]?")
# A workbook is built completely, in memory and on disk, at one second for ten thousand rows. CSV is streamed, without a
# limit.
MAX_XLSX_ROWS = 50_000
# Chinese keyboards type the full-width ones, which a spreadsheet treats like the ASCII ones.
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

# OpenAPI response and headers of a route that returns a file.
FILE_RESPONSE = {200: ResponseSpec(bytes, description="The file.", generate_examples=False, media_type="text/csv")}
FILE_HEADERS = [ResponseHeader(name="Content-Disposition", description="The file's name.", documentation_only=True)]


@dataclass
class FileOperation(Operation):
    """Answers CSV or XLSX, as it was asked."""

    def __post_init__(self) -> None:
        answer = (self.responses or {}).get("200")
        if isinstance(answer, OpenAPIResponse):
            answer.content = {
                kind.partition(";")[0]: OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
                for kind in MEDIA_TYPES.values()
            }


def to_cell(value: Any) -> Any:
    """Convert a value to a number or to text that is no formula. Lists are joined by semicolons, times are China's."""
    if isinstance(value, bool):
        return "是" if value else "否"
    if value is None or isinstance(value, int | float | Decimal):
        return value
    if isinstance(value, datetime):
        return f"{value.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
    if isinstance(value, date):
        return value.isoformat()
    text = "; ".join(str(item) for item in value) if isinstance(value, list) else str(value)
    text = _CONTROL_CHARACTERS.sub("", text)
    return "'" + text if text.startswith(_FORMULA_PREFIXES) else text


def write_csv(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    return BYTE_ORDER_MARK + encode_csv([headers, *rows])


# Without a byte order mark Excel reads UTF-8 in the local code page.
BYTE_ORDER_MARK = "\ufeff".encode()


def encode_csv(rows: Iterable[Sequence[Any]]) -> bytes:
    """Encode rows. A long number gets a tab in front, because Excel rounds it to 15 digits even between quotes.

    In a workbook such a number is a text cell and needs nothing.
    """
    out = io.StringIO(newline="")
    csv.writer(out).writerows([_protect_long_number(cell) for cell in row] for row in rows)
    return out.getvalue().encode()


def _protect_long_number(cell: Any) -> Any:
    return f"\t{cell}" if _LONG_NUMBER.fullmatch(str(cell)) else cell


def write_xlsx(title: str, headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    with open_workbook(title, headers, rows) as file:
        return file.read()


def open_workbook(title: str, headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> IO[bytes]:
    """Write a workbook to a temporary file, positioned at its start. The caller closes it."""
    from openpyxl import Workbook  # noqa: PLC0415  20 MB with its own imports

    book = Workbook(write_only=True)
    sheet = book.create_sheet(title[:31])
    sheet.append(list(headers))
    for row in rows:
        sheet.append([_to_text_cell(sheet, cell) if isinstance(cell, str) else cell for cell in row])
    file = TemporaryFile()  # noqa: SIM115
    book.save(file)
    file.seek(0)
    return file


def _to_text_cell(sheet: Any, text: str) -> Any:
    """Return a cell that is text whatever it says: `#REF!` is no error, and a long number stays one when edited."""
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415

    if not text.startswith("#") and not _LONG_NUMBER.fullmatch(text):
        return text
    cell = WriteOnlyCell(sheet, text)
    cell.data_type = "s"
    cell.number_format = "@"
    return cell


# 200,000 cells take 5 to 15 s; offices send a tenth of that.
_reader = ChildProcess(ChildLimits(memory_mb=1024, seconds=60, uses=50))


def read_spreadsheet(data: bytes, filename: str) -> list[Sheet]:
    """Read an XLSX, a CSV, an XLS or an ET in a child process, one file at a time. Blocks: call it in a thread.

    Raises SpreadsheetRefused with the reason, also when the file exceeds the child's memory or time.
    """
    try:
        return _reader.run(read_sheets, data, filename)
    except ChildFailed as failed:
        raise SpreadsheetRefused(*(DIED if failed.reason == "died" else TOO_LARGE)) from None
