"""`/desk/v1`: caseloads, the phones of the office, and what their sync left over."""

from typing import Annotated

from litestar import Router, get, post
from litestar.params import FromQuery, JSONBody, QueryParameter

from server.caseload import devices, kept, operations
from server.caseload.devices import DeviceHealth
from server.caseload.kept import KeptAs, KeptLine
from server.caseload.operations import AssignHouseholds, CaseloadChanged, ReassignHouseholds, RevokeHouseholds
from server.core.paging import Page
from server.core.tokens import utc_now
from server.core.wire import BEARER, Officer, Session, problems
from server.models.exports import export_of

_SIGNED = problems("auth.required", "auth.token_invalid", "auth.token_expired", "auth.device_ended", "auth.forbidden")
_CHANGING = _SIGNED | problems("thing.not_found", "caseload.nothing_named", "request.invalid", "server.conflict")


@post("/caseload/assign", status_code=200, responses=_CHANGING)
async def assign_households(data: JSONBody[AssignHouseholds], officer: Officer, session: Session) -> CaseloadChanged:
    return await operations.assign(session, officer, data, utc_now())


@post("/caseload/reassign", status_code=200, responses=_CHANGING)
async def reassign_households(
    data: JSONBody[ReassignHouseholds], officer: Officer, session: Session
) -> CaseloadChanged:
    return await operations.reassign(session, officer, data, utc_now())


@post("/caseload/revoke", status_code=200, responses=_CHANGING)
async def revoke_households(data: JSONBody[RevokeHouseholds], officer: Officer, session: Session) -> CaseloadChanged:
    return await operations.revoke(session, officer, data, utc_now())


@get("/devices", responses=_SIGNED | problems("request.invalid"))
async def list_office_devices(
    officer: Officer, session: Session, cursor: FromQuery[str | None] = None, limit: FromQuery[int] = 50
) -> Page[DeviceHealth]:
    return await devices.list_devices(session, officer, cursor=cursor, limit=limit)


export_devices = export_of(
    list_office_devices,
    "/devices/export",
    "devices",
    {
        "使用人": lambda one: one.staff_name,
        "设备": lambda one: one.label,
        "平台": lambda one: one.platform,
        "版本": lambda one: one.app_version,
        "登录时间": lambda one: one.signed_in_at,
        "上次同步": lambda one: one.last_sync_at,
        "待上传": lambda one: one.pending_rows,
        "时钟偏差（毫秒）": lambda one: one.clock_offset_ms,
    },
)


@get("/kept-rows", responses=_SIGNED | problems("request.invalid"))
async def list_kept_rows(
    officer: Officer,
    session: Session,
    kept_as: Annotated[KeptAs | None, QueryParameter(name="keptAs")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[KeptLine]:
    return await kept.list_kept_rows(session, officer, kept_as=kept_as, cursor=cursor, limit=limit)


# What a phone sent is read row by row at the desk; a file of it would be a second register.
export_kept_rows = export_of(
    list_kept_rows,
    "/kept-rows/export",
    "kept-rows",
    {
        "原因类别": lambda one: {"quarantined": "无法处理", "lost_conflict": "冲突中未采用"}[one.kept_as],
        "集合": lambda one: one.collection,
        "文档编号": lambda one: one.doc_id,
        "上传人": lambda one: one.staff_name,
        "原因": lambda one: one.code,
        "收到时间": lambda one: one.received_at,
    },
)


router = Router(
    "/desk/v1",
    route_handlers=[
        assign_households,
        reassign_households,
        revoke_households,
        list_office_devices,
        export_devices,
        list_kept_rows,
        export_kept_rows,
    ],
    tags=["desk"],
    security=BEARER,
)
