"""Lists as files for a spreadsheet: CSV that Excel opens in Chinese, and XLSX.

Cells hold what people typed. A text that begins as a formula would is written with an apostrophe before it,
so that opening a list never runs anything.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from litestar import Response
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Struct, to_builtins
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

Form = Literal["csv", "xlsx"]
MEDIA_TYPES: dict[Form, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Table(NamedTuple):
    """A list with headings of its own, for people rather than programs."""

    name: str
    headings: list[str]
    rows: list[list[Any]]


# What a route that answers a file says of it.
FILE_ANSWER = {200: ResponseSpec(bytes, description="The file.", generate_examples=False, media_type="text/csv")}
FILE_HEADERS = [ResponseHeader(name="Content-Disposition", description="The file's name.", documentation_only=True)]


def answer_table(table: Table, form: Form) -> Response[bytes]:
    return _answer(table.name, table.headings, [[cell(one) for one in row] for row in table.rows], form)


def answer_sheet(name: str, kind: type[Struct], lines: Sequence[Struct], form: Form) -> Response[bytes]:
    """A list of Structs as a file to save: one column a field, in the Struct's order, named as on the wire."""
    headers = list(kind.__struct_encode_fields__)
    rows = [[cell(told.get(header)) for header in headers] for told in map(to_builtins, lines)]
    return _answer(name, headers, rows, form)


def _answer(name: str, headings: list[str], rows: list[list[Any]], form: Form) -> Response[bytes]:
    content = write_csv(headings, rows) if form == "csv" else write_xlsx(name, headings, rows)
    return Response(
        content,
        media_type=MEDIA_TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="{name}.{form}"', "Cache-Control": "no-store"},
    )


def cell(value: Any) -> Any:
    """A number, or a text that is no formula; lists by semicolon."""
    if value is None or isinstance(value, int | float | Decimal):
        return value
    text = "; ".join(str(one) for one in value) if isinstance(value, list) else str(value)
    text = ILLEGAL_CHARACTERS_RE.sub("", text)
    return "'" + text if text.startswith(_STARTS_A_FORMULA) else text


def write_csv(headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """With a byte order mark, without which Excel takes UTF-8 for the local code page."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(headers)
    writer.writerows(rows)
    return out.getvalue().encode("utf-8-sig")


def write_xlsx(title: str, headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title[:31])
    sheet.append(list(headers))
    for row in rows:
        sheet.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
