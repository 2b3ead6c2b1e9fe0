"""`/desk/v1/imports`: upload a file, look at what it would do, confirm it, undo it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath, FromQuery, JSONBody, MultipartBody, QueryParameter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import readable, require_found, require_role
from server.core.clock import utc_now
from server.core.errors import Fault, Problem
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    CallerDep,
    PageLimit,
    ResponseBody,
    ServicesDep,
    Session,
    error_responses,
)
from server.core.paging import Keyset, Page, fetch_page
from server.core.spreadsheets import MEDIA_TYPES, write_xlsx
from server.http.exports import build_export_route
from server.http.reads import NOTHING_PERSONAL, reads
from server.identity.step_up import StepUpHeader, require_step_up
from server.imports import batches
from server.imports.batches import ConfirmImport, UndoImport, Upload, count_lines
from server.imports.columns import CellFault
from server.imports.import_kind import ImportKind, Outcome
from server.imports.registry import KINDS, ImportName
from server.models.areas import Area
from server.models.imports import IMPORT_ROLES, ImportBatch, ImportLine

OUTCOME_LABELS: dict[Outcome, str] = {
    "new": "新增",
    "changed": "变更",
    "unchanged": "不变",
    "doubtful": "存疑",
    "refused": "无法导入",
}
_NEWEST_FIRST = Keyset(ImportBatch.id, descending=True)
_BY_POSITION = Keyset(ImportLine.position)
OutcomeFilter = Annotated[Outcome | None, QueryParameter(description="Only lines of this outcome.")]


@dataclass
class ImportForm:
    """`id` is drawn by the client: the same upload again is the same import. `mapping`: our column key → heading."""

    id: UUID
    kind: str
    area: str
    file: UploadFile
    mapping: str | None = None


class ImportColumn(ResponseBody):
    key: str
    heading: str
    is_required: bool


class ImportKindLine(ResponseBody):
    """A kind of file that the caller may bring."""

    kind: str
    columns: list[ImportColumn]


class ImportSummary(ResponseBody):
    """`counts`: lines by outcome, and `applied`. `missing`: required columns that no heading of the file fits."""

    id: UUID
    kind: str
    area_code: str
    area_name: str
    filename: str
    state: str
    needs_second_person: bool
    headings: list[str]
    missing: list[str]
    mapping: dict[str, str]
    columns: list[ImportColumn]
    counts: dict[str, int]
    uploaded_by: UUID
    uploaded_at: datetime
    confirmed_by: UUID | None
    confirmed_at: datetime | None
    applied_at: datetime | None
    undone_at: datetime | None


class ImportLineView(ResponseBody):
    """A line of the file; `thing_id` is what it made or changed, once it is applied."""

    position: int
    sheet: str
    row: int
    title: str
    outcome: Outcome
    faults: list[CellFault]
    is_chosen: bool
    applied_at: datetime | None
    thing_id: str | None


@post(
    "/imports",
    status_code=200,
    responses=SIGNED_IN_ERRORS | error_responses("import.unreadable", "import.confirmed", "import.counts_everywhere"),
    description="Read a file and show what it would do; nothing counts until it is confirmed. The same id again "
    "replaces the preview.",
)
async def preview_import(
    data: MultipartBody[ImportForm], caller: CallerDep, session: Session, services: ServicesDep
) -> ImportSummary:
    try:
        mapping = msgspec.json.decode(data.mapping, type=dict[str, str]) if data.mapping else None
    except msgspec.MsgspecError as error:
        raise Problem("request.invalid", faults=[Fault("/mapping", "field.invalid", str(error))]) from None
    upload = Upload(data.id, data.kind, data.area, data.file.filename, await data.file.read(), mapping)
    batch = await batches.preview_import(session, services, caller, upload, utc_now())
    return (await _summarize(session, [batch]))[0]


@get(
    "/imports",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="Imports of the caller's areas, the newest first.",
)
async def list_imports(
    caller: CallerDep,
    session: Session,
    kind: FromQuery[ImportName | None] = None,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[ImportSummary]:
    require_role(caller, IMPORT_ROLES)
    rows = readable(ImportBatch, caller)
    if kind:
        rows = rows.where(ImportBatch.kind == kind)
    if area:
        rows = rows.where(ImportBatch.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _NEWEST_FIRST, cursor, limit)
    return Page(items=await _summarize(session, [batch for (batch,) in page]), next_cursor=next_cursor)


@get(
    "/import-kinds",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="The kinds of file that the caller may bring, each with its columns.",
)
async def list_import_kinds(caller: CallerDep) -> list[ImportKindLine]:
    require_role(caller, IMPORT_ROLES)
    return [
        ImportKindLine(kind=kind.name, columns=_list_columns(kind))
        for kind in KINDS.values()
        if caller.roles & kind.roles
    ]


@get(
    "/imports/{import_id:uuid}",
    opt=NOTHING_PERSONAL,
    responses=LOOKUP_ERRORS,
    description="One import with its counts.",
)
async def show_import(import_id: FromPath[UUID], caller: CallerDep, session: Session) -> ImportSummary:
    return (await _summarize(session, [await _find(session, caller, import_id)]))[0]


@get(
    "/imports/{import_id:uuid}/lines",
    opt=reads("import"),
    responses=LOOKUP_ERRORS,
    description="The lines of an import in the order of the file, each with the cells that could not be read.",
)
async def list_import_lines(
    import_id: FromPath[UUID],
    caller: CallerDep,
    session: Session,
    outcome: OutcomeFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[ImportLineView]:
    batch = await _find(session, caller, import_id)
    rows = select(ImportLine).where(ImportLine.batch_id == batch.id)
    if outcome is not None:
        rows = rows.where(ImportLine.outcome == outcome)
    page, next_cursor = await fetch_page(session, rows, _BY_POSITION, cursor, limit)
    return Page(items=[_line_view(line) for (line,) in page], next_cursor=next_cursor)


export_imports = build_export_route(
    list_imports,
    "imports",
    {
        "种类": lambda batch: batch.kind,
        "行政区划代码": lambda batch: batch.area_code,
        "文件": lambda batch: batch.filename,
        "状态": lambda batch: batch.state,
        "上传时间": lambda batch: batch.uploaded_at,
        "确认时间": lambda batch: batch.confirmed_at,
        "撤销时间": lambda batch: batch.undone_at,
        "行数": lambda batch: sum(count for key, count in batch.counts.items() if key != "applied"),
        "已导入": lambda batch: batch.counts.get("applied", 0),
    },
    form="xlsx",
)
export_import_lines = build_export_route(
    list_import_lines,
    "import-lines",
    {
        "工作表": lambda line: line.sheet,
        "行": lambda line: line.row,
        "名称": lambda line: line.title,
        "结果": lambda line: OUTCOME_LABELS[line.outcome],
        "问题": lambda line: [f"{fault.address} {fault.column}：{fault.zh}" for fault in line.faults],
    },
    form="xlsx",
)


@post(
    "/imports/{import_id:uuid}/confirm",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses(
        "import.second_person",
        "import.counts_everywhere",
        "import.columns_missing",
        "import.replaced",
        "request.invalid",
        "auth.step_up_required",
    ),
    description="Confirm a preview; its new and changed lines are applied in the background, doubtful ones only if "
    "they are named. What makes accounts takes a proof of identity (`X-Step-Up`).",
)
async def confirm_import(
    import_id: FromPath[UUID],
    data: JSONBody[ConfirmImport],
    caller: CallerDep,
    session: Session,
    services: ServicesDep,
    proof: StepUpHeader = None,
) -> ImportSummary:
    batch = await _find(session, caller, import_id)
    if KINDS[batch.kind].makes_accounts and batch.state == "previewed":
        require_step_up(services, caller, proof)
    batch = await batches.confirm_import(session, caller, import_id, data, utc_now())
    return (await _summarize(session, [batch]))[0]


@post(
    "/imports/{import_id:uuid}/undo",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses("import.not_applied", "import.acted_upon", "import.second_person", "import.counts_everywhere"),
    description="Take an applied import back as a whole, as long as nobody has acted on what it brought.",
)
async def undo_import(
    import_id: FromPath[UUID], data: JSONBody[UndoImport], caller: CallerDep, session: Session, services: ServicesDep
) -> ImportSummary:
    batch = await batches.undo_import(session, services, caller, import_id, data, utc_now())
    return (await _summarize(session, [batch]))[0]


@get(
    "/imports/templates/{kind:str}",
    opt=NOTHING_PERSONAL,
    media_type=MEDIA_TYPES["xlsx"],
    responses=LOOKUP_ERRORS,
    description="An empty workbook with the headings of a kind of import; required columns have a star.",
)
async def download_import_template(kind: FromPath[str], caller: CallerDep) -> Response[bytes]:
    require_role(caller, IMPORT_ROLES)
    columns = require_found(KINDS.get(kind)).columns
    content = write_xlsx(kind, [column.heading + ("*" if column.is_required else "") for column in columns], [])
    headers = {"Content-Disposition": f'attachment; filename="{kind}.xlsx"', "Cache-Control": "no-store"}
    return Response(content, media_type=MEDIA_TYPES["xlsx"], headers=headers)


async def _find(session: AsyncSession, caller: CallerDep, import_id: UUID) -> ImportBatch:
    require_role(caller, IMPORT_ROLES)
    batch: ImportBatch = require_found(
        await session.scalar(readable(ImportBatch, caller).where(ImportBatch.id == import_id))
    )
    return batch


async def _summarize(session: AsyncSession, page: list[ImportBatch]) -> list[ImportSummary]:
    await session.flush()  # a preview that was just made is counted
    counts = await count_lines(session, [batch.id for batch in page])
    areas = await session.scalars(select(Area).where(Area.code.in_({batch.area_code for batch in page})))
    names = {area.code: area.name for area in areas}
    return [_summary(batch, names[batch.area_code], counts.get(batch.id, {})) for batch in page]


def _summary(batch: ImportBatch, area_name: str, counts: dict[str, int]) -> ImportSummary:
    return ImportSummary(
        id=batch.id,
        kind=batch.kind,
        area_code=batch.area_code,
        area_name=area_name,
        filename=batch.filename,
        state=batch.state,
        needs_second_person=batch.needs_second_person,
        headings=batch.headings,
        missing=batch.faults,
        mapping=batch.mapping,
        columns=_list_columns(KINDS[batch.kind]),
        counts=counts,
        uploaded_by=batch.uploaded_by,
        uploaded_at=batch.uploaded_at,
        confirmed_by=batch.confirmed_by,
        confirmed_at=batch.confirmed_at,
        applied_at=batch.applied_at,
        undone_at=batch.undone_at,
    )


def _list_columns(kind: ImportKind) -> list[ImportColumn]:
    return [
        ImportColumn(key=column.key, heading=column.heading, is_required=column.is_required) for column in kind.columns
    ]


def _line_view(line: ImportLine) -> ImportLineView:
    return ImportLineView(
        position=line.position,
        sheet=line.sheet,
        row=line.row,
        title=line.title,
        outcome=msgspec.convert(line.outcome, Outcome),
        faults=msgspec.convert(line.faults, list[CellFault]),
        is_chosen=line.is_chosen,
        applied_at=line.applied_at,
        thing_id=line.thing_id,
    )


router = Router(
    "/desk/v1",
    route_handlers=[
        preview_import,
        list_imports,
        export_imports,
        list_import_kinds,
        show_import,
        list_import_lines,
        export_import_lines,
        confirm_import,
        undo_import,
        download_import_template,
    ],
    tags=["imports"],
    security=BEARER,
)
