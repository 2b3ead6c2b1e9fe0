"""A list as a file: all that `GET /desk/v1/…` shows page after page, for a spreadsheet, with headings for people.

An export is made from the list's own handler: who may ask, what they see of it, what is masked and which filters
there are can't be other than the list's. Saving one is written to the audit trail. Pages are read one after the other,
each in a transaction of its own, so that a long list holds neither memory nor a connection while it goes out.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import IO, Annotated, Any
from uuid import UUID

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core.access import Caller
from server.core.database import Sessions
from server.core.errors import Problem
from server.core.http import CallerDep, ServicesDep, Session, error_responses
from server.core.paging import Page
from server.core.spreadsheets import (
    BYTE_ORDER_MARK,
    FILE_HEADERS,
    FILE_RESPONSE,
    MAX_XLSX_ROWS,
    MEDIA_TYPES,
    FileFormat,
    encode_csv,
    open_workbook,
    to_cell,
)
from server.core.threads import run_in_thread

# A column's heading, and what of a line stands under it.
Columns = Mapping[str, Callable[[Any], Any]]
# One page of a list, or the whole of a list that has no pages.
Read = Callable[[AsyncSession, str | None], Awaitable[Page[Any] | Sequence[Any]]]
Row = list[Any]
As = Annotated[FileFormat, QueryParameter(name="as", description="The form of the file.")]
MAX_PAGE_SIZE = 200
ROLE_LABELS = {
    "caseworker": "村（社区）专干",
    "panelist": "评议小组成员",
    "town_officer": "乡镇民政助理",
    "county_officer": "县民政局",
    "supervisor": "督查",
    "admin": "系统管理员",
    "resident": "居民",
}
_PIECE_BYTES = 256 * 1024
_PAGING = {"cursor", "limit"}
# What somebody typed to find a person by is personal, and the trail holds nothing that is.
_UNTOLD = {"q"}


def build_export_route(
    listing: HTTPRouteHandler, path: str, name: str, columns: Columns, *, form: Form = "csv", **fixed: Any
) -> HTTPRouteHandler:
    """A route that answers the list of another route as a file named so, asked with the same filters.

    `form` is that of a file nobody named a form for; `fixed` are filters that this file always has.
    """
    result = inspect.signature(listing.fn).parameters
    filters = {key: item for key, item in result.items() if key not in _PAGING | set(fixed)}
    paged = {key: MAX_PAGE_SIZE for key in result if key == "limit"}

    async def export(**given: Any) -> Stream:
        request = {key: given[key] for key in filters} | fixed

        async def read(session: AsyncSession, cursor: str | None) -> Page[Any] | Sequence[Any]:
            at = ({"session": session} if "session" in filters else {}) | (
                {"cursor": cursor} if "cursor" in result else {}
            )
            page: Page[Any] | Sequence[Any] = await listing.fn(**request | at | paged)
            return page

        said = {key: value for key, value in request.items() if isinstance(value, str | int | date | UUID)}
        return await stream_list(
            given["services"].sessions,
            given["session"],
            given["caller"],
            name,
            columns,
            given["form"],
            read,
            {key: str(value) for key, value in said.items() if key not in _UNTOLD},
        )

    own = {"caller": CallerDep, "session": Session, "services": ServicesDep, "form": As}
    keyword = inspect.Parameter.KEYWORD_ONLY
    taken = [item.replace(kind=keyword) for key, item in filters.items() if key not in own]
    taken += [
        inspect.Parameter(key, keyword, annotation=kind, default=form if key == "form" else inspect.Parameter.empty)
        for key, kind in own.items()
    ]
    export.__name__ = export.__qualname__ = f"export_{name.replace('-', '_')}"
    export.__module__ = listing.fn.__module__
    export.__signature__ = inspect.Signature(taken, return_annotation=Stream)  # type: ignore[attr-defined]
    export.__annotations__ = {item.name: item.annotation for item in taken} | {"return": Stream}
    return get(
        path,
        responses={**(listing.responses or {}), **FILE_RESPONSE, **error_responses("export.too_long")},
        response_headers=FILE_HEADERS,
        description="The same list as a file, by the same filters. Saving one is written to the audit trail.",
    )(export)


def fen_to_yuan(fen: int | None) -> Decimal | None:
    """Money as a spreadsheet adds it up, exact."""
    return None if fen is None else Decimal(fen).scaleb(-2)


def to_text(value: Any) -> str:
    """What has no columns of its own, on one line."""
    return "" if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()


async def stream_list(
    sessions: Sessions,
    session: AsyncSession,
    caller: Caller,
    name: str,
    columns: Columns,
    form: FileFormat,
    read: Read,
    request: Mapping[str, str],
) -> Stream:
    """All pages of a list. Raises what reading it raises, and `export.too_long`.

    What is written to the trail is written last: a transaction that has written holds back the feed of every phone.
    """
    first, cursor = _page(await read(session, None))
    if form == "xlsx":
        file = await _fill_book(session, name, columns, read, first, cursor)
        body = _pour(file)
    else:
        body = _stream(sessions, columns, read, first, cursor)
    area = request.get("area") or request.get("under")
    audit.record(session, caller, "list.exported", "list", name, area_code=area or None, form=form, asked=dict(request))
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"', "Cache-Control": "no-store"}
    return Stream(body, media_type=MEDIA_TYPES[form], headers=headers)


def _page(result: Page[Any] | Sequence[Any]) -> tuple[Sequence[Any], str | None]:
    return (result.items, result.next_cursor) if isinstance(result, Page) else (result, None)


async def _fill_book(
    session: AsyncSession, name: str, columns: Columns, read: Read, lines: Sequence[Any], cursor: str | None
) -> IO[bytes]:
    rows = _rows(columns, lines)
    while cursor is not None:
        lines, cursor = _page(await read(session, cursor))
        rows += _rows(columns, lines)
        if len(rows) > MAX_XLSX_ROWS:
            raise Problem("export.too_long", most=MAX_XLSX_ROWS)
    return await run_in_thread(open_workbook, name, list(columns), rows)


async def _stream(
    sessions: Sessions, columns: Columns, read: Read, lines: Sequence[Any], cursor: str | None
) -> AsyncIterator[bytes]:
    yield BYTE_ORDER_MARK + encode_csv([list(columns), *_rows(columns, lines)])
    while cursor is not None:
        async with sessions() as session:
            lines, cursor = _page(await read(session, cursor))
        yield encode_csv(_rows(columns, lines))


async def _pour(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while piece := await run_in_thread(file.read, _PIECE_BYTES):
            yield piece


def _rows(columns: Columns, lines: Sequence[Any]) -> list[Row]:
    return [[to_cell(result(line)) for result in columns.values()] for line in lines]
