"""Lists as files for a spreadsheet: CSV that Excel opens in Chinese, and XLSX.

Cells hold what people typed. A text that begins as a formula would is written with an apostrophe before it,
so that opening a list never runs anything.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from tempfile import TemporaryFile
from typing import IO, Any, Literal

from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec

from server.core.clock import CHINA

FileFormat = Literal["csv", "xlsx"]
MEDIA_TYPES: dict[FileFormat, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# Characters that XML 1.0 can not hold.
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
# A workbook lies in memory and on disk until it is whole, at a second for ten thousand rows. CSV has no end.
MAX_XLSX_ROWS = 50_000
# The wide ones are typed by a Chinese keyboard, and a spreadsheet takes them for the narrow.
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


# What a route that answers a file says of it.
FILE_RESPONSE = {200: ResponseSpec(bytes, description="The file.", generate_examples=False, media_type="text/csv")}
FILE_HEADERS = [ResponseHeader(name="Content-Disposition", description="The file's name.", documentation_only=True)]


def to_cell(value: Any) -> Any:
    """A number, or a text that is no formula; lists by semicolon, moments by China's clock."""
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
    return "'" + text if text.startswith(_STARTS_A_FORMULA) else text


def write_csv(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    return BYTE_ORDER_MARK + encode_csv([headers, *rows])


# Without this byte order mark Excel takes UTF-8 for the local code page.
BYTE_ORDER_MARK = "\ufeff".encode()


def encode_csv(rows: Iterable[Sequence[Any]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def write_xlsx(title: str, headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    with open_workbook(title, headers, rows) as file:
        return file.read()


def open_workbook(title: str, headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> IO[bytes]:
    """A workbook on disk, to be read from its beginning and closed by whoever does."""
    from openpyxl import Workbook  # noqa: PLC0415  20 MB with what it imports

    book = Workbook(write_only=True)
    sheet = book.create_sheet(title[:31])
    sheet.append(list(headers))
    for row in rows:
        sheet.append(list(row))
    file = TemporaryFile()  # noqa: SIM115
    book.save(file)
    file.seek(0)
    return file
