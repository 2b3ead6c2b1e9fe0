"""`/desk/v1/grace-ends`: households whose gradual exit ends."""

from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from server.cases import grace_ends
from server.cases.grace_ends import DeferGraceEnd, GraceEndLine, KeepAmount
from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    Officer,
    PageLimit,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.http.exports import build_export_route, fen_to_yuan
from server.http.reads import reads


@get(
    "/grace-ends",
    opt=reads("case"),
    responses=SIGNED_IN_ERRORS,
    description="Households whose gradual exit ends this month or next and whose payment nobody has decided on since, "
    "the earliest due first. They are paid on until somebody does.",
)
async def list_grace_ends(
    officer: Officer,
    session: Session,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[GraceEndLine]:
    return await grace_ends.list_grace_ends(session, officer, area=area, cursor=cursor, limit=limit, now=utc_now())


export_grace_ends = build_export_route(
    list_grace_ends,
    "grace-ends",
    {
        "申请编号": lambda line: line.application_number,
        "户主": lambda line: line.head_name,
        "所在地": lambda line: line.area_name,
        "行政区划代码": lambda line: line.area_code,
        "月保障金（元）": lambda line: fen_to_yuan(line.amount_fen),
        "渐退期满月份": lambda line: f"{line.ends_on:%Y-%m}",
        "办理期限": lambda line: line.due_on,
        "逾期": lambda line: "是" if line.is_overdue else "",
        "延期理由": lambda line: line.deferral_reason,
        "延期人": lambda line: line.deferred_by_name,
    },
    form="xlsx",
)


@post(
    "/grace-ends/{line_id:uuid}/deferral",
    status_code=200,
    opt=reads("case"),
    responses=LOOKUP_ERRORS | error_responses("case.not_now"),
    description="Look at it again in a later month, with a reason; by the county, within the months that the area "
    "allows. Repeating it changes nothing.",
)
async def defer_grace_end(
    line_id: FromPath[UUID], data: JSONBody[DeferGraceEnd], officer: Officer, session: Session
) -> GraceEndLine:
    return await grace_ends.defer_grace_end(session, officer, line_id, data, utc_now())


@post(
    "/grace-ends/{line_id:uuid}/kept-amount",
    status_code=200,
    opt=reads("case"),
    responses=LOOKUP_ERRORS | error_responses("case.not_now", "grace.not_calculated", "case.second_person"),
    description="Settle a line whose new calculation gives the amount that is paid, with a reason; by the county, and "
    "by another person than who calculated. Repeating it changes nothing.",
)
async def keep_amount_after_grace(
    line_id: FromPath[UUID], data: JSONBody[KeepAmount], officer: Officer, session: Session
) -> GraceEndLine:
    return await grace_ends.keep_amount(session, officer, line_id, data, utc_now())


router = Router(
    "/desk/v1",
    route_handlers=[list_grace_ends, export_grace_ends, defer_grace_end, keep_amount_after_grace],
    tags=["cases"],
    security=BEARER,
)
