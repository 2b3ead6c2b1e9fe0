"""`/desk/v1/changes`: changes that residents reported, and the officers' decisions."""

from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from server.cases import change_reports
from server.cases.change_reports import ChangeLine, DecideChange
from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    SIGNED_IN_ERRORS,
    AreaFilter,
    FieldStaff,
    PageLimit,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.http.exports import build_export_route, fen_to_yuan
from server.http.reads import reads


@get(
    "/changes",
    opt=reads("change"),
    responses=SIGNED_IN_ERRORS,
    description="Reported changes that wait for an answer; with `decided=true`, those that were answered.",
)
async def list_changes(
    field_staff: FieldStaff,
    session: Session,
    decided: FromQuery[bool] = False,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[ChangeLine]:
    return await change_reports.list_changes(
        session, field_staff, decided=decided, area=area, cursor=cursor, limit=limit
    )


export_changes = build_export_route(
    list_changes,
    "changes",
    {
        "申请编号": lambda line: line.application_number,
        "户主": lambda line: line.head_name,
        "行政区划代码": lambda line: line.area_code,
        "变化": lambda line: line.change.kind_zh,
        "发生日期": lambda line: line.change.happened_on,
        "居民所述": lambda line: line.change.text,
        "报告时间": lambda line: line.change.reported_at,
        "应答复日期": lambda line: line.change.due_on,
        "处理": lambda line: line.change.outcome_zh,
        "答复": lambda line: line.change.reply,
        "答复时间": lambda line: line.change.decided_at,
        "经办": lambda line: line.decided_by_name,
        "月保障金额（元）": lambda line: fen_to_yuan(line.monthly_amount_fen),
    },
)


@post(
    "/changes/{change_id:uuid}/decision",
    status_code=200,
    responses=SIGNED_IN_ERRORS
    | error_responses("thing.not_found", "change.decided", "case.own_relative", "case.closed", "case.standard_missing"),
    description="Decide what a reported change leads to, and answer it. Repeating the decision changes nothing.",
)
async def decide_change(
    change_id: FromPath[UUID], data: JSONBody[DecideChange], field_staff: FieldStaff, session: Session
) -> ChangeLine:
    return await change_reports.decide_change(session, field_staff, change_id, data, utc_now())


router = Router(
    "/desk/v1", route_handlers=[list_changes, export_changes, decide_change], tags=["cases"], security=BEARER
)
