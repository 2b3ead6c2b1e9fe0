"""`/desk/v1/cross-checks`: batches for other offices, and their answers."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath, FromQuery, JSONBody, MultipartBody, QueryParameter

from server.core.clock import utc_now
from server.core.errors import Fault, Problem
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    FieldStaff,
    PageLimit,
    ServicesDep,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.core.spreadsheets import MEDIA_TYPES, FileFormat, FileOperation
from server.crosschecks import answers, batches, listing, settlements
from server.crosschecks.answers import AnswerPreview, OfficeFile
from server.crosschecks.batches import MakeBatch
from server.crosschecks.listing import BatchCheck, BatchSummary, CheckLine, ObjectToCheck
from server.crosschecks.settlements import SETTLEMENT_TEXTS, RecheckDifference, SettleDifference
from server.http.exports import build_export_route
from server.http.reads import NOTHING_PERSONAL, reads


@dataclass
class AnswerForm:
    """`mapping` is JSON: our heading → theirs, where they differ."""

    file: UploadFile
    mapping: str = "{}"


AcceptUnread = Annotated[
    bool,
    QueryParameter(
        name="acceptUnread",
        description="Import the rest of a file with cells that can't be read, as the preview named.",
    ),
]


@post(
    "/cross-checks",
    responses=LOOKUP_ERRORS | error_responses("case.nothing_to_check"),
    description="Ask one office about the households that consented. The same id again is the same batch.",
)
async def make_cross_check(data: JSONBody[MakeBatch], field_staff: FieldStaff, session: Session) -> BatchSummary:
    return await batches.make_batch(session, field_staff, data, utc_now())


@get(
    "/cross-checks",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="What was asked of which office, the newest first.",
)
async def list_cross_check_batches(
    field_staff: FieldStaff,
    session: Session,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[BatchSummary]:
    return await listing.list_batches(session, field_staff, area=area, cursor=cursor, limit=limit)


export_cross_check_batches = build_export_route(
    list_cross_check_batches,
    "cross-checks",
    {
        "单位": lambda batch: batch.source_zh,
        "所在地": lambda batch: batch.area_name,
        "行政区划代码": lambda batch: batch.area_code,
        "对象": lambda batch: "在保家庭" if batch.of_those_paid else "申请家庭",
        "送出时间": lambda batch: batch.made_at,
        "应答复日期": lambda batch: batch.due_on,
        "人数": lambda batch: batch.people,
        "答复时间": lambda batch: batch.answered_at,
        "未答复人数": lambda batch: batch.unanswered,
        "名单外人数": lambda batch: batch.strangers,
        "有出入人数": lambda batch: batch.differing,
    },
)


@get(
    "/cross-checks/{batch_id:uuid}/lines",
    opt=reads("cross_check"),
    responses=LOOKUP_ERRORS,
    description="Everybody asked about in a batch, those with differences first.",
)
async def list_cross_check_batch(
    batch_id: FromPath[UUID], field_staff: FieldStaff, session: Session
) -> list[BatchCheck]:
    """List the people in a batch, those with most differences first."""
    return await listing.list_batch(session, field_staff, batch_id)


@get(
    "/cross-checks/{batch_id:uuid}/file",
    opt=reads("cross_check"),
    operation_class=FileOperation,
    media_type=MEDIA_TYPES["xlsx"],
    responses=LOOKUP_ERRORS | error_responses("server.value_altered"),
    description="The request as the office reads it, with whole ID numbers, as XLSX or CSV. Every export is written "
    "to the audit trail.",
)
async def export_cross_check(
    batch_id: FromPath[UUID],
    field_staff: FieldStaff,
    session: Session,
    services: ServicesDep,
    form: FromQuery[FileFormat] = "xlsx",
) -> Response[bytes]:
    content = await batches.export_batch(session, services.encryption, field_staff, batch_id, form)
    headers = {"Content-Disposition": f'attachment; filename="{batch_id}.{form}"', "Cache-Control": "no-store"}
    return Response(content, media_type=MEDIA_TYPES[form], headers=headers)


@post(
    "/cross-checks/{batch_id:uuid}/answers",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses("case.check_answered", "case.check_unreadable", "case.check_cells_unread"),
    description="Import the file that an office sent back; `mapping` gives its own headings for ours. A corrected file "
    "replaces an earlier one until somebody has acted on it. The same file again changes nothing.",
)
async def import_cross_check(
    batch_id: FromPath[UUID],
    data: MultipartBody[AnswerForm],
    field_staff: FieldStaff,
    session: Session,
    services: ServicesDep,
    accept_unread: AcceptUnread = False,
) -> BatchSummary:
    file = await _read_form(data)
    return await answers.import_answers(
        session, services.encryption, field_staff, batch_id, file, utc_now(), accept_unread=accept_unread
    )


async def _read_form(data: AnswerForm) -> OfficeFile:
    try:
        mapping = msgspec.json.decode(data.mapping, type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise Problem("request.invalid", faults=[Fault("/mapping", "field.invalid", str(error))]) from None
    return OfficeFile(await data.file.read(), mapping)


@post(
    "/cross-checks/{batch_id:uuid}/answers/preview",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("case.check_answered", "case.check_unreadable"),
    description="What the import of this file would do: counts, and each cell that can't be read. Writes nothing.",
)
async def preview_cross_check(
    batch_id: FromPath[UUID],
    data: MultipartBody[AnswerForm],
    field_staff: FieldStaff,
    session: Session,
    services: ServicesDep,
) -> AnswerPreview:
    file = await _read_form(data)
    return await answers.preview_answers(session, services.encryption, field_staff, batch_id, file)


@get(
    "/cases/{case_id:uuid}/cross-checks",
    opt=reads("cross_check"),
    responses=LOOKUP_ERRORS,
    description="The cross-checks of one case, with what the offices answered.",
)
async def list_cross_checks(case_id: FromPath[UUID], field_staff: FieldStaff, session: Session) -> list[CheckLine]:
    return await listing.list_checks(session, field_staff, case_id)


@post(
    "/cross-checks/lines/{check_id:uuid}/objection",
    status_code=200,
    responses=LOOKUP_ERRORS,
    description="Record what the household says to a difference.",
)
async def object_to_cross_check(
    check_id: FromPath[UUID], data: JSONBody[ObjectToCheck], field_staff: FieldStaff, session: Session
) -> CheckLine:
    return await listing.object_to_check(session, field_staff, check_id, data, utc_now())


@get(
    "/recheck-differences",
    opt=reads("cross_check"),
    responses=SIGNED_IN_ERRORS,
    description="What other offices found of households that are paid and nobody has looked into, the earliest due "
    "first. With `settled`, what was done about the others.",
)
async def list_recheck_differences(
    field_staff: FieldStaff,
    session: Session,
    settled: FromQuery[bool] = False,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[RecheckDifference]:
    return await settlements.list_differences(
        session, field_staff, settled=settled, area=area, cursor=cursor, limit=limit, now=utc_now()
    )


export_recheck_differences = build_export_route(
    list_recheck_differences,
    "recheck-differences",
    {
        "申请编号": lambda line: line.application_number,
        "户主": lambda line: line.head_name,
        "所在地": lambda line: line.area_name,
        "行政区划代码": lambda line: line.area_code,
        "成员": lambda line: line.line.member_name,
        "部门": lambda line: line.line.source_zh,
        "查得": lambda line: "；".join(f"{item.heading}：{item.entered}" for item in line.line.differences),
        "办理期限": lambda line: line.due_on,
        "逾期": lambda line: "是" if line.is_overdue else "",
        "办理结果": lambda line: SETTLEMENT_TEXTS[line.settlement],
        "说明": lambda line: line.settled_note,
        "办理人": lambda line: line.settled_by_name,
    },
    form="xlsx",
)


@post(
    "/cross-checks/lines/{check_id:uuid}/settlement",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses("case.own_relative", "case.reason_required", "case.check_settled", "case.check_nothing_due"),
    description="Write what was done about a difference: the home is visited (which orders the visit), an act of the "
    "case was taken, or it is explained. Nothing follows by itself. Repeating it changes nothing.",
)
async def settle_recheck_difference(
    check_id: FromPath[UUID], data: JSONBody[SettleDifference], field_staff: FieldStaff, session: Session
) -> RecheckDifference:
    return await settlements.settle_difference(session, field_staff, check_id, data, utc_now())


router = Router(
    "/desk/v1",
    route_handlers=[
        make_cross_check,
        list_cross_check_batches,
        export_cross_check_batches,
        list_cross_check_batch,
        export_cross_check,
        import_cross_check,
        preview_cross_check,
        list_cross_checks,
        object_to_cross_check,
        list_recheck_differences,
        export_recheck_differences,
        settle_recheck_difference,
    ],
    tags=["cases"],
    security=BEARER,
)
