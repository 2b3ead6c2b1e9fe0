"""Export routes: a list of `GET /desk/v1/…` as a CSV or XLSX file.

The file of a list is at the list's address and `/export`, in the format that `format` says. An export calls the list's
own handler, so permissions, scope, masking and filters are always those of the list. Each export is written to the
audit log. A CSV is streamed page by page, each page in its own transaction, so that a long
list holds neither memory nor a connection.
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import IO, Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.audit.reads import Look, log_look
from server.core.access import Caller
from server.core.database import Sessions, open_reading_session
from server.core.errors import Problem
from server.core.http import MAX_PAGE_SIZE, CallerDep, ErrorResponses, ServicesDep, Session, error_responses
from server.core.paging import Page
from server.core.services import Services
from server.core.spreadsheets import (
    BYTE_ORDER_MARK,
    FILE_HEADERS,
    FILE_RESPONSE,
    MAX_XLSX_ROWS,
    MEDIA_TYPES,
    FileFormat,
    FileOperation,
    encode_csv,
    open_workbook,
    to_cell,
)
from server.core.threads import run_in_thread
from server.http.reads import NOTHING_PERSONAL, READS, Reads, reads

# Headings, each with the function that gets the column's value from a row.
Columns = Mapping[str, Callable[[Any], Any]]
# Chooses the columns by the filters of the request.
SelectColumns = Callable[[Mapping[str, Any]], Columns]
# Reads a page of a list, or all of a list that has no pages.
ReadPage = Callable[[AsyncSession, str | None], Awaitable[Page[Any] | Sequence[Any]]]
Row = list[Any]
Format = Annotated[FileFormat, QueryParameter(description="The file format.")]
# Kept for one release, like the `FormerAddress` of an export.
As = Annotated[
    FileFormat | None,
    QueryParameter(
        name="as", description="Former name of `format`; it wins over `format`.", schema_extra={"deprecated": True}
    ),
]
ROLE_LABELS = {
    "caseworker": "村（社区）专干",
    "panelist": "评议小组成员",
    "town_officer": "乡镇民政助理",
    "county_officer": "县民政局",
    "supervisor": "督查",
    "admin": "系统管理员",
    "resident": "居民",
}
_CHUNK_BYTES = 256 * 1024
_PAGING = {"cursor", "limit"}
# Search text may name a person, and the audit log holds no personal data.
_PERSONAL_FILTERS = {"q"}


@dataclass(frozen=True)
class FormerAddress:
    """An address of an export from before all had `…/export`. `fixed` are filters that it always applies."""

    path: str
    name: str
    fixed: Mapping[str, Any] = field(default_factory=dict)


def build_export_route(
    listing: HTTPRouteHandler,
    name: str,
    columns: Columns | SelectColumns,
    *,
    form: FileFormat = "csv",
    aliases: Sequence[FormerAddress] = (),
) -> Router:
    """Build the route that returns the list of another route as a file, with the same filters.

    `name` is the file's; `form` is the default file format; `aliases` answer as before and are marked as deprecated.
    """
    (listed_at,) = listing.paths
    path = f"{listed_at}/export"
    route = _build_handler(listing, path, name, columns, form)
    former = [
        _build_handler(listing, alias.path, alias.name, columns, form, alias.fixed, successor=_describe(path, alias))
        for alias in aliases
    ]
    return Router("/", route_handlers=[route, *former])


def _describe(path: str, alias: FormerAddress) -> str:
    return f"{path}?{urlencode(alias.fixed)}" if alias.fixed else path


def _build_handler(
    listing: HTTPRouteHandler,
    path: str,
    name: str,
    columns: Columns | SelectColumns,
    form: FileFormat,
    fixed: Mapping[str, Any] = MappingProxyType({}),
    successor: str | None = None,
) -> HTTPRouteHandler:
    parameters = inspect.signature(listing.fn).parameters
    filters = {key: item for key, item in parameters.items() if key not in _PAGING | set(fixed)}
    declared: Reads | None = (listing.opt or {}).get(READS)

    async def export(**arguments: Any) -> Stream:
        request = {key: arguments[key] for key in filters} | dict(fixed)
        return await stream_list(
            arguments["services"],
            arguments["session"],
            arguments["caller"],
            name,
            columns(request) if callable(columns) else columns,
            arguments["former_format"] or arguments["format"],
            _build_reader(listing, request),
            _select_audit_filters(request),
            declared,
        )

    export.__name__ = export.__qualname__ = f"export_{name.replace('-', '_')}{'_formerly' if successor else ''}"
    export.__module__ = listing.fn.__module__
    _set_signature(export, filters, form)
    what = "The same list as a file, with the same filters. Each export is written to the audit log."
    return get(
        path,
        deprecated=successor is not None,
        operation_class=FileOperation,
        responses=ErrorResponses(listing.responses or {}) | FILE_RESPONSE | error_responses("export.too_long"),
        response_headers=FILE_HEADERS,
        description=f"Former address of `…{successor}`. It works for one release." if successor else what,
        opt=reads(declared.thing_kind, "exported") if declared else NOTHING_PERSONAL,
    )(export)


def _build_reader(listing: HTTPRouteHandler, request: Mapping[str, Any]) -> ReadPage:
    """Build the function that reads a page of the list with these filters."""
    parameters = inspect.signature(listing.fn).parameters
    paged = {key: MAX_PAGE_SIZE for key in parameters if key == "limit"}

    async def read(session: AsyncSession, cursor: str | None) -> Page[Any] | Sequence[Any]:
        position = {"session": session, "cursor": cursor}
        taken = {key: value for key, value in position.items() if key in parameters}
        page: Page[Any] | Sequence[Any] = await listing.fn(**{**request, **taken, **paged})
        return page

    return read


def _select_audit_filters(request: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: str(value)
        for key, value in request.items()
        if isinstance(value, str | int | date | UUID) and key not in _PERSONAL_FILTERS
    }


def _set_signature(export: Callable[..., Any], filters: Mapping[str, inspect.Parameter], form: FileFormat) -> None:
    """Give the handler the signature by which Litestar injects its parameters."""
    own = {
        "caller": CallerDep,
        "session": Session,
        "services": ServicesDep,
        "format": Format,
        "former_format": As,
    }
    defaults = {"format": form, "former_format": None}
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [item.replace(kind=keyword) for key, item in filters.items() if key not in own]
    parameters += [
        inspect.Parameter(key, keyword, annotation=kind, default=defaults.get(key, inspect.Parameter.empty))
        for key, kind in own.items()
    ]
    export.__signature__ = inspect.Signature(parameters, return_annotation=Stream)  # type: ignore[attr-defined]
    export.__annotations__ = {item.name: item.annotation for item in parameters} | {"return": Stream}


def fen_to_yuan(fen: int | None) -> Decimal | None:
    """Convert fen to exact yuan, which a spreadsheet can add up."""
    return None if fen is None else Decimal(fen).scaleb(-2)


def to_text(value: Any) -> str:
    """Convert any value to text on one line, an object as JSON."""
    return "" if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()


async def stream_list(
    services: Services,
    session: AsyncSession,
    caller: Caller,
    name: str,
    columns: Columns,
    form: FileFormat,
    read: ReadPage,
    request: Mapping[str, str],
    declared: Reads | None,
) -> Stream:
    """Stream all pages of a list as a file. Raises what reading the list raises, and `export.too_long`.

    Each page of a CSV has its line in the read trail before it is sent.
    """
    first, cursor = _split_page(await read(session, None))
    if form == "xlsx":
        file, shown = await _build_workbook(session, name, columns, read, first, cursor)
        body = _stream_file(file)
    else:
        log_page = _log_pages(services, caller, declared, request)
        body, shown = _stream_csv(services.reading_sessions, columns, read, first, cursor, log_page), len(first)
    area = request.get("area") or request.get("under")
    audit.record(
        session, caller, Action.LIST_EXPORTED, "list", name, area_code=area or None, form=form, asked=dict(request)
    )
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"', "Cache-Control": "no-store"}
    return CountedFile(body, shown, media_type=MEDIA_TYPES[form], headers=headers)


class CountedFile(Stream):
    """A file that says how many rows its first part holds, for the read trail."""

    def __init__(self, body: AsyncIterator[bytes], rows_shown: int, **options: Any) -> None:
        super().__init__(body, **options)
        self.rows_shown = rows_shown


def _log_pages(
    services: Services, caller: Caller, declared: Reads | None, request: Mapping[str, str]
) -> Callable[[int], Awaitable[None]]:
    async def log_page(shown: int) -> None:
        if declared is not None:
            look = Look("exported", declared.thing_kind, shown, filters=dict(request))
            await log_look(services.autocommit, caller, look)

    return log_page


def _split_page(result: Page[Any] | Sequence[Any]) -> tuple[Sequence[Any], str | None]:
    return (result.items, result.next_cursor) if isinstance(result, Page) else (result, None)


async def _build_workbook(
    session: AsyncSession, name: str, columns: Columns, read: ReadPage, lines: Sequence[Any], cursor: str | None
) -> tuple[IO[bytes], int]:
    rows = _rows(columns, lines)
    while cursor is not None:
        lines, cursor = _split_page(await read(session, cursor))
        rows += _rows(columns, lines)
        if len(rows) > MAX_XLSX_ROWS:
            raise Problem("export.too_long", most=MAX_XLSX_ROWS)
    return await run_in_thread(open_workbook, name, list(columns), rows), len(rows)


async def _stream_csv(
    sessions: Sessions,
    columns: Columns,
    read: ReadPage,
    lines: Sequence[Any],
    cursor: str | None,
    log_page: Callable[[int], Awaitable[None]],
) -> AsyncIterator[bytes]:
    yield BYTE_ORDER_MARK + encode_csv([list(columns), *_rows(columns, lines)])
    while cursor is not None:
        async with open_reading_session(sessions) as session:
            lines, cursor = _split_page(await read(session, cursor))
        await log_page(len(lines))
        yield encode_csv(_rows(columns, lines))


async def _stream_file(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := await run_in_thread(file.read, _CHUNK_BYTES):
            yield chunk


def _rows(columns: Columns, lines: Sequence[Any]) -> list[Row]:
    return [[to_cell(get_value(line)) for get_value in columns.values()] for line in lines]
