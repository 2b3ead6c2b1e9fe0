"""`/desk/v1/deputies`: who stands in for whom, from a day to a day."""

from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    CallerDep,
    FieldStaff,
    PageLimit,
    ServicesDep,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.http.exports import ROLE_LABELS, build_export_route
from server.http.reads import reads
from server.identity import deputy_naming
from server.identity.deputy_naming import DeputyshipLine, NameDeputy, OwnLeave
from server.identity.step_up import StepUpHeader, require_step_up

_NAMING = LOOKUP_ERRORS | error_responses(
    "request.invalid",
    "staff.own_roles",
    "staff.deputy_named",
    "staff.deputy_away",
    "request.idempotency_key_reused",
    "auth.step_up_required",
)
_STATES = {"planned": "未开始", "running": "代班中", "ended": "已结束"}


@get(
    "/deputies",
    opt=reads("staff"),
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="Who stands in for whom: of people of the caller's areas, and the caller's own, the newest first.",
)
async def list_deputies(
    caller: CallerDep, session: Session, cursor: FromQuery[str | None] = None, limit: PageLimit = 50
) -> Page[DeputyshipLine]:
    return await deputy_naming.list_deputyships(session, caller, cursor=cursor, limit=limit)


export_deputies = build_export_route(
    list_deputies,
    "deputies",
    {
        "状态": lambda line: _STATES[line.state],
        "休假人": lambda line: line.staff_name,
        "代班人": lambda line: line.deputy_name,
        "起": lambda line: line.starts_on,
        "止": lambda line: line.ends_on,
        "职责": lambda line: [f"{ROLE_LABELS[duty.role]}（{duty.area_code or '全国'}）" for duty in line.duties],
        "家庭": lambda line: "代管" if line.with_homes else "",
        "指定人": lambda line: line.named_by,
        "指定时间": lambda line: line.named_at,
        "结束时间": lambda line: line.ended_at,
        "结束人": lambda line: line.ended_by,
    },
)


@post(
    "/deputies",
    status_code=200,
    responses=_NAMING,
    description="Name a deputy for a person on leave, from a day to a day: the person themselves for their homes, or "
    "who manages them, who may lend their duties too. It ends by itself after the last day.",
)
async def name_deputy(
    data: JSONBody[NameDeputy], caller: CallerDep, session: Session, services: ServicesDep, proof: StepUpHeader = None
) -> DeputyshipLine:
    require_step_up(services, caller, proof)
    return await deputy_naming.name_deputy(session, caller, data, utc_now())


@post(
    "/deputies/{deputyship_id:uuid}/end",
    status_code=200,
    responses=LOOKUP_ERRORS,
    description="End a deputyship before its last day. The deputy's phone drops the homes at its next sync.",
)
async def end_deputy(deputyship_id: FromPath[UUID], caller: CallerDep, session: Session) -> DeputyshipLine:
    return await deputy_naming.end_early(session, caller, deputyship_id, utc_now())


@get(
    "/leave",
    opt=reads("staff"),
    responses=SIGNED_IN_ERRORS,
    description="For a caseworker who goes on leave: whom they may name as their deputy, and who stands in now or "
    "soon. `POST /desk/v1/deputies` names one.",
)
async def show_own_leave(field_staff: FieldStaff, session: Session) -> OwnLeave:
    return await deputy_naming.load_own_leave(session, field_staff)


field_router = Router("/field/v1", route_handlers=[show_own_leave], tags=["staff"], security=BEARER)
router = Router(
    "/desk/v1",
    route_handlers=[list_deputies, export_deputies, name_deputy, end_deputy],
    tags=["staff"],
    security=BEARER,
)
