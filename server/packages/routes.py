"""`/desk/v1/area-exports`: everything an area holds in one file, sealed to a key of the county."""

from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    CallerDep,
    PageLimit,
    ServicesDep,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.http.exports import build_export_route
from server.http.reads import NOTHING_PERSONAL
from server.identity.step_up import StepUpHeader, require_step_up
from server.packages import exports
from server.packages.exports import AreaExportLine, DecideExport, PackageLink, ProposeExport

_STATES = {
    "proposed": "待确认",
    "rejected": "未同意",
    "accepted": "正在写",
    "ready": "可下载",
    "failed": "未写成",
    "removed": "已到期删除",
}


@get(
    "/area-exports",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="Exports of everything that areas of the caller hold, the newest first.",
)
async def list_area_exports(
    caller: CallerDep, session: Session, cursor: FromQuery[str | None] = None, limit: PageLimit = 50
) -> Page[AreaExportLine]:
    return await exports.list_exports(session, caller, cursor=cursor, limit=limit)


export_area_exports = build_export_route(
    list_area_exports,
    "area-exports",
    {
        "地区代码": lambda line: line.area_code,
        "地区": lambda line: line.area_name,
        "状态": lambda line: _STATES[line.state],
        "理由": lambda line: line.reason,
        "公钥最后16位": lambda line: line.fingerprint,
        "提出人": lambda line: line.proposed_by,
        "提出时间": lambda line: line.proposed_at,
        "确认人": lambda line: line.decided_by,
        "确认时间": lambda line: line.decided_at,
        "答复": lambda line: line.answer,
        "写成时间": lambda line: line.written_at,
        "记录条数": lambda line: line.rows,
        "照片和副本": lambda line: line.objects,
        "摘要": lambda line: line.digest,
    },
)


@post(
    "/area-exports",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses("request.invalid", "request.idempotency_key_reused", "auth.step_up_required"),
    description="Ask for what an area holds in one file, sealed to a public key of the county, without the words and "
    "names of complaints and objections. Another person releases it.",
)
async def propose_area_export(
    data: JSONBody[ProposeExport],
    caller: CallerDep,
    session: Session,
    services: ServicesDep,
    proof: StepUpHeader = None,
) -> AreaExportLine:
    require_step_up(services, caller, proof)
    return await exports.propose_export(session, caller, data, utc_now())


@post(
    "/area-exports/{export_id:uuid}/decision",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses(
        "request.invalid",
        "auth.step_up_required",
        "package.second_person",
        "package.county_officer",
        "package.made_by_other",
        "package.key_differs",
        "package.decided",
        "review.reason_required",
    ),
    description="Release an export that another person asked for, or turn it down. One of the two is a county officer "
    "of the area; neither has made the other's account. A job then writes the file.",
)
async def decide_area_export(
    export_id: FromPath[UUID],
    data: JSONBody[DecideExport],
    caller: CallerDep,
    session: Session,
    services: ServicesDep,
    proof: StepUpHeader = None,
) -> AreaExportLine:
    require_step_up(services, caller, proof)
    return await exports.decide_export(session, caller, export_id, data, utc_now())


@post(
    "/area-exports/{export_id:uuid}/link",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("auth.step_up_required", "package.not_there"),
    description="A link to the file, valid for minutes. Each link is written to the audit trail.",
)
async def link_area_export(
    export_id: FromPath[UUID],
    caller: CallerDep,
    session: Session,
    services: ServicesDep,
    proof: StepUpHeader = None,
) -> PackageLink:
    require_step_up(services, caller, proof)
    return await exports.link_package(session, services, caller, export_id, utc_now())


router = Router(
    "/desk/v1",
    route_handlers=[
        list_area_exports,
        export_area_exports,
        propose_area_export,
        decide_area_export,
        link_area_export,
    ],
    tags=["desk"],
    security=BEARER,
)
