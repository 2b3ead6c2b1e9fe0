"""`/desk/v1`: the registers a desk looks things up in: areas, staff, homes, checklists, the audit trail. `/public/v1`:
the names of areas, for anybody.
"""

from typing import Annotated
from uuid import UUID

from litestar import Router, get
from litestar.params import FromPath, FromQuery, QueryParameter

from server.checklists.wording import say_visit
from server.core.access import require
from server.core.http import (
    BEARER,
    SIGNED,
    AreaFilter,
    CallerDep,
    Officer,
    ResponseBody,
    ServicesDep,
    Session,
    Words,
    problems,
)
from server.core.paging import Page
from server.directory import audit_log, checklists, devices, households, quarantine, staff
from server.directory.audit_log import TrailLine
from server.directory.checklists import ChecklistLine, ChecklistPage
from server.directory.devices import DeviceHealth
from server.directory.households import HomeLine, HomeRecord, HouseholdClass
from server.directory.quarantine import KeptAs, KeptLine
from server.directory.staff import REGISTER_ROLES, AreaLine, StaffLine
from server.http.exports import ROLE_WORDS, export_of, in_words, yuan

_FINDING = SIGNED | problems("thing.not_found")
_LISTING = SIGNED | problems("request.invalid")
ClassQuery = Annotated[HouseholdClass | None, QueryParameter(name="class")]


class MapSource(ResponseBody):
    """Where a desk's map takes its tiles from; null: a map without a ground, which needs no server but this one."""

    tiles: str | None
    datum: str


@get("/map", responses=SIGNED)
async def show_map_source(caller: CallerDep, services: ServicesDep) -> MapSource:
    require(caller, REGISTER_ROLES)
    return MapSource(tiles=services.settings.map_tiles or None, datum=services.settings.map_datum)


@get("/areas", responses=SIGNED)
async def list_areas(caller: CallerDep, session: Session, under: AreaFilter = None) -> list[AreaLine]:
    return await staff.list_areas(session, caller, under)


@get("/areas", responses=problems("request.invalid"))
async def list_public_areas(session: Session, under: AreaFilter = None) -> list[AreaLine]:
    return await staff.list_public_areas(session, under)


@get("/staff", responses=_LISTING)
async def list_staff(
    caller: CallerDep,
    session: Session,
    area: AreaFilter = None,
    q: Words = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[StaffLine]:
    return await staff.list_staff(session, caller, area=area, q=q, cursor=cursor, limit=limit)


@get("/households", responses=_LISTING)
async def list_households(
    officer: Officer,
    session: Session,
    area: AreaFilter = None,
    household_class: ClassQuery = None,
    q: Words = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[HomeLine]:
    return await households.list_homes(
        session, officer, area=area, class_=household_class, q=q, cursor=cursor, limit=limit
    )


export_staff = export_of(
    list_staff,
    "/staff/export",
    "staff",
    {
        "登录名": lambda one: one.login,
        "姓名": lambda one: one.name,
        "电话": lambda one: one.phone_mask,
        "角色": lambda one: [f"{ROLE_WORDS[role.role]}（{role.area_name or '全国'}）" for role in one.roles],
        "负责户数": lambda one: one.holds,
        "停用时间": lambda one: one.disabled_at,
    },
)
export_households = export_of(
    list_households,
    "/households/export",
    "households",
    {
        "户编号": lambda one: one.number,
        "户主": lambda one: one.head_name,
        "所在地": lambda one: one.area_name,
        "行政区划代码": lambda one: one.area_code,
        "类别": lambda one: one.class_,
        "人数": lambda one: one.members,
        "月保障金额（元）": lambda one: yuan(one.monthly_amount_fen),
        "包户人员": lambda one: one.held_by,
    },
)


@get("/households/{household_id:uuid}/record", responses=_FINDING)
async def open_household_record(household_id: FromPath[UUID], officer: Officer, session: Session) -> HomeRecord:
    return await households.open_record(session, officer, household_id)


@get("/checklists", responses=SIGNED)
async def list_checklists(caller: CallerDep, session: Session) -> list[ChecklistLine]:
    return await checklists.list_checklists(session, caller)


export_checklists = export_of(
    list_checklists,
    "/checklists/export",
    "checklists",
    {
        "代码": lambda one: one.code,
        "版本": lambda one: one.version,
        "走访类型": lambda one: say_visit(one.kind).zh,
        "名称": lambda one: one.title["zh"],
        "适用地区": lambda one: one.area_code or "全国",
        "问题数": lambda one: one.questions,
        "发布时间": lambda one: one.published_at,
        "停用时间": lambda one: one.retired_at,
    },
)


@get("/checklists/{code:str}/{version:int}", responses=_FINDING)
async def open_checklist(
    code: FromPath[str], version: FromPath[int], caller: CallerDep, session: Session
) -> ChecklistPage:
    return await checklists.open_checklist(session, caller, code, version)


@get("/audit", responses=_LISTING)
async def list_audit_trail(
    caller: CallerDep,
    session: Session,
    actor_id: Annotated[UUID | None, QueryParameter(name="actorId")] = None,
    action: Words = None,
    thing_id: Annotated[str | None, QueryParameter(name="thingId")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[TrailLine]:
    return await audit_log.list_trail(
        session, caller, actor_id=actor_id, action=action, thing_id=thing_id, cursor=cursor, limit=limit
    )


export_audit_trail = export_of(
    list_audit_trail,
    "/audit/export",
    "audit",
    {
        "编号": lambda one: one.id,
        "时间": lambda one: one.at,
        "操作者类别": lambda one: {"staff": "工作人员", "resident": "居民", "system": "系统"}[one.actor_kind],
        "操作者": lambda one: one.actor_name,
        "操作者编号": lambda one: one.actor_id,
        "动作": lambda one: one.action,
        "对象类别": lambda one: one.thing_kind,
        "对象编号": lambda one: one.thing_id,
        "所在地": lambda one: one.area_name,
        "行政区划代码": lambda one: one.area_code,
        "说明": lambda one: in_words(one.facts),
    },
)


@get("/devices", responses=SIGNED | problems("request.invalid"))
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


@get("/kept-rows", responses=SIGNED | problems("request.invalid"))
async def list_kept_rows(
    officer: Officer,
    session: Session,
    kept_as: Annotated[KeptAs | None, QueryParameter(name="keptAs")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[KeptLine]:
    return await quarantine.list_kept_rows(session, officer, kept_as=kept_as, cursor=cursor, limit=limit)


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
        show_map_source,
        list_areas,
        list_staff,
        export_staff,
        list_households,
        export_households,
        open_household_record,
        list_checklists,
        export_checklists,
        open_checklist,
        list_audit_trail,
        export_audit_trail,
    ],
    tags=["registers"],
    security=BEARER,
)
desk_router = Router(
    "/desk/v1",
    route_handlers=[list_office_devices, export_devices, list_kept_rows, export_kept_rows],
    tags=["desk"],
    security=BEARER,
)
public_router = Router("/public/v1", route_handlers=[list_public_areas], tags=["registers"])
