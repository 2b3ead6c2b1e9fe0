"""Seven offices in one: reads the request file as each would, and answers from what the test says they hold."""

import csv
import io

from openpyxl import Workbook, load_workbook

from server.crosschecks.sources import SOURCES


def answer(
    source: str, request: bytes, holdings: dict[str, str], *, form: str = "xlsx", headings=None, extra=()
) -> bytes:
    """`holdings` by ID number; whoever is not in it has nothing. `headings` renames columns, as offices do."""
    query = [list(row) for row in load_workbook(io.BytesIO(request)).active.iter_rows(values_only=True)]
    column = SOURCES[source].columns[0].heading
    ids = [row[2] for row in query[1:]]
    head = [(headings or {}).get(item, item) for item in ("身份证号", column)]
    rows = [head, *([id_, holdings.get(id_, "无")] for id_ in ids), *extra]
    return _xlsx(rows) if form == "xlsx" else _csv(rows, form)


def _xlsx(rows) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _csv(rows, encoding) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode(encoding)
