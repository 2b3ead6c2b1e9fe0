"""Routes of the directory: `/desk/v1` for officers, and the names of areas under `/public/v1` for everybody."""

from datetime import date
from typing import Annotated
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.audit.reads import ReadAction
from server.checklists.wording import visit_kind_text
from server.core.access import DIRECTORY_ROLES, require_role
from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    SIGNED_IN_ERRORS,
    AreaFilter,
    CallerDep,
    Officer,
    PageLimit,
    ResponseBody,
    SearchText,
    ServicesDep,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.core.pdf import PDF
from server.directory import (
    areas,
    audit_log,
    checklists,
    devices,
    failed_jobs,
    households,
    missing,
    quarantine,
    read_trail,
)
from server.directory.areas import AreaLine
from server.directory.audit_log import AuditLine
from server.directory.checklists import ChecklistDetail, ChecklistLine
from server.directory.devices import DeviceHealth
from server.directory.failed_jobs import DismissJob, FailedJobLine, Retried
from server.directory.households import HouseholdClass, HouseholdLine, HouseholdRecord
from server.directory.missing import Missing
from server.directory.quarantine import QuarantinedRowLine, QuarantineReason
from server.directory.read_trail import ReadLine
from server.http.exports import build_export_route, fen_to_yuan, to_text
from server.http.reads import NOTHING_PERSONAL, reads

_DETAIL_PROBLEMS = SIGNED_IN_ERRORS | error_responses("thing.not_found")
_LIST_PROBLEMS = SIGNED_IN_ERRORS | error_responses("request.invalid")
GroupQuery = Annotated[
    str | None, QueryParameter(name="group", max_length=40, description="Only homes of groups of this name.")
]
ClassQuery = Annotated[HouseholdClass | None, QueryParameter(name="class")]


class MapSource(ResponseBody):
    """The tile server of the desk's map. If `tiles` is null, the map has no background and needs no other server."""

    tiles: str | None
    datum: str


@get(
    "/map",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="Where the desk gets its map tiles from, and their datum; null where the office has none.",
)
async def show_map_source(caller: CallerDep, services: ServicesDep) -> MapSource:
    require_role(caller, DIRECTORY_ROLES)
    return MapSource(tiles=services.settings.map_tiles or None, datum=services.settings.map_datum)


@get(
    "/missing",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="What the caller's areas still lack before homes can be visited: villages, caseworkers, checklists, "
    "households, WeChat keys, a second administrator.",
)
async def list_missing(caller: CallerDep, session: Session, services: ServicesDep) -> Missing:
    return await missing.list_missing(session, caller, services.settings)


@get(
    "/areas",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="The areas right below `under`; without it, the caller's own.",
)
async def list_areas(caller: CallerDep, session: Session, under: AreaFilter = None) -> list[AreaLine]:
    return await areas.list_areas(session, caller, under)


@get(
    "/areas",
    opt=NOTHING_PERSONAL,
    responses=error_responses("request.invalid"),
    description="The areas right below `under`, for anyone who knows their village by name.",
)
async def list_public_areas(session: Session, under: AreaFilter = None) -> list[AreaLine]:
    return await areas.list_public_areas(session, under)


@get(
    "/households",
    opt=reads("household"),
    responses=_LIST_PROBLEMS | error_responses("household.id_checks_spent"),
    description="Households in the caller's areas by archive number. Each word of `q` is the beginning of any part of "
    "a member's name, of its pinyin or initials, of the archive number, address or group, part of the name of a town "
    "or village, or a whole identity or phone number, which counts as a check of a number.",
)
async def list_households(
    officer: Officer,
    session: Session,
    services: ServicesDep,
    area: AreaFilter = None,
    group: GroupQuery = None,
    household_class: ClassQuery = None,
    q: SearchText = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[HouseholdLine]:
    return await households.list_households(
        session,
        services.encryption,
        officer,
        area=area,
        group=group,
        class_=household_class,
        q=q,
        cursor=cursor,
        limit=limit,
        now=utc_now(),
    )


export_households = build_export_route(
    list_households,
    "households",
    {
        "户编号": lambda household: household.number,
        "户主": lambda household: household.head_name,
        "所在地": lambda household: household.area_name,
        "村民组": lambda household: household.group,
        "行政区划代码": lambda household: household.area_code,
        "类别": lambda household: household.class_,
        "人数": lambda household: household.members,
        "月保障金额（元）": lambda household: fen_to_yuan(household.monthly_amount_fen),
        "包户人员": lambda household: household.held_by,
    },
)


@get(
    "/households/{household_id:uuid}/record",
    opt=reads("household"),
    responses=_DETAIL_PROBLEMS,
    description="One household with its cases and visits. The look is written to the audit trail.",
)
async def open_household_record(household_id: FromPath[UUID], officer: Officer, session: Session) -> HouseholdRecord:
    return await households.open_household_record(session, officer, household_id)


@get(
    "/checklists",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="Published checklists of the caller's areas, the newest version of each first.",
)
async def list_checklists(caller: CallerDep, session: Session) -> list[ChecklistLine]:
    return await checklists.list_checklists(session, caller)


export_checklists = build_export_route(
    list_checklists,
    "checklists",
    {
        "代码": lambda checklist: checklist.code,
        "版本": lambda checklist: checklist.version,
        "走访类型": lambda checklist: visit_kind_text(checklist.kind).zh,
        "名称": lambda checklist: checklist.title["zh"],
        "适用地区": lambda checklist: checklist.area_code or "全国",
        "问题数": lambda checklist: checklist.questions,
        "发布时间": lambda checklist: checklist.published_at,
        "停用时间": lambda checklist: checklist.retired_at,
    },
)


@get(
    "/checklists/{code:str}/{version:int}",
    opt=NOTHING_PERSONAL,
    responses=_DETAIL_PROBLEMS,
    description="One version of a checklist, with every question.",
)
async def open_checklist(
    code: FromPath[str], version: FromPath[int], caller: CallerDep, session: Session
) -> ChecklistDetail:
    return await checklists.open_checklist(session, caller, code, version)


@get(
    "/checklists/{code:str}/{version:int}/blank-form",
    opt=NOTHING_PERSONAL,
    media_type=PDF,
    responses=_DETAIL_PROBLEMS | error_responses("print.characters_missing"),
    description="One version of a checklist as an empty form to print and fill in by hand, a PDF.",
)
async def print_checklist(
    code: FromPath[str], version: FromPath[int], caller: CallerDep, session: Session
) -> Response[bytes]:
    content = await checklists.print_checklist(session, caller, code, version)
    return Response(content, media_type=PDF, headers={"Cache-Control": "no-store"})


@get(
    "/audit",
    opt=reads("audit"),
    responses=_LIST_PROBLEMS,
    description="The audit trail of the caller's area, newest first.",
)
async def list_audit_trail(
    caller: CallerDep,
    session: Session,
    actor_id: Annotated[UUID | None, QueryParameter(name="actorId")] = None,
    action: SearchText = None,
    thing_id: Annotated[str | None, QueryParameter(name="thingId")] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[AuditLine]:
    return await audit_log.list_audit_entries(
        session, caller, actor_id=actor_id, action=action, thing_id=thing_id, cursor=cursor, limit=limit
    )


export_audit_trail = build_export_route(
    list_audit_trail,
    "audit",
    {
        "编号": lambda entry: entry.id,
        "时间": lambda entry: entry.at,
        "操作者类别": lambda entry: {"staff": "工作人员", "resident": "居民", "system": "系统"}[entry.actor_kind],
        "操作者": lambda entry: entry.actor_name,
        "操作者编号": lambda entry: entry.actor_id,
        "动作": lambda entry: entry.action,
        "对象类别": lambda entry: entry.thing_kind,
        "对象编号": lambda entry: entry.thing_id,
        "所在地": lambda entry: entry.area_name,
        "行政区划代码": lambda entry: entry.area_code,
        "说明": lambda entry: to_text(entry.facts),
    },
)


@get(
    "/reads",
    opt=reads("read_trail"),
    responses=_LIST_PROBLEMS | error_responses("thing.not_found"),
    description="The read trail: looks at personal data of the caller's area or by its staff, newest first. With a "
    "household, every look at it, its cases, visits and photos. `since` and `until` are days in China, both included.",
)
async def list_looks(
    caller: CallerDep,
    session: Session,
    actor_id: Annotated[UUID | None, QueryParameter(name="actorId")] = None,
    household_id: Annotated[UUID | None, QueryParameter(name="householdId")] = None,
    action: FromQuery[ReadAction | None] = None,
    since: FromQuery[date | None] = None,
    until: FromQuery[date | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[ReadLine]:
    return await read_trail.list_looks(
        session,
        caller,
        actor_id=actor_id,
        household_id=household_id,
        action=action,
        since=since,
        until=until,
        cursor=cursor,
        limit=limit,
    )


_READ_WORDS = {"opened": "打开", "listed": "列表", "exported": "导出", "pulled": "下载到手机"}
export_looks = build_export_route(
    list_looks,
    "reads",
    {
        "时间": lambda look: look.at,
        "谁": lambda look: look.actor_name or {"staff": "工作人员", "resident": "居民"}.get(look.actor_kind),
        "人员编号": lambda look: look.actor_id,
        "方式": lambda look: _READ_WORDS[look.action],
        "内容": lambda look: look.thing_kind,
        "对象编号": lambda look: look.thing_id,
        "户号": lambda look: look.household_number,
        "户主": lambda look: look.head_name,
        "条数": lambda look: look.shown,
        "筛选": lambda look: to_text(look.filters),
        "所在地": lambda look: look.area_name,
        "行政区划代码": lambda look: look.area_code,
    },
)


@get(
    "/devices",
    opt=reads("device"),
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="Devices of staff of the caller's area: their version, last sync, clock and rows waiting.",
)
async def list_office_devices(
    officer: Officer, session: Session, cursor: FromQuery[str | None] = None, limit: PageLimit = 50
) -> Page[DeviceHealth]:
    return await devices.list_devices(session, officer, cursor=cursor, limit=limit)


export_devices = build_export_route(
    list_office_devices,
    "devices",
    {
        "使用人": lambda device: device.staff_name,
        "设备": lambda device: device.label,
        "平台": lambda device: device.platform,
        "版本": lambda device: device.app_version,
        "登录时间": lambda device: device.signed_in_at,
        "上次同步": lambda device: device.last_sync_at,
        "待上传": lambda device: device.pending_rows,
        "时钟偏差（毫秒）": lambda device: device.clock_offset_ms,
    },
)


@get(
    "/kept-rows",
    opt=reads("kept_row"),
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="Rows of phones in quarantine or lost to a conflict, newest first, with the reason.",
)
async def list_kept_rows(
    officer: Officer,
    session: Session,
    kept_as: Annotated[QuarantineReason | None, QueryParameter(name="keptAs")] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[QuarantinedRowLine]:
    return await quarantine.list_quarantined_rows(session, officer, kept_as=kept_as, cursor=cursor, limit=limit)


# The file leaves out the content of the rows: the desk reads it row by row.
export_kept_rows = build_export_route(
    list_kept_rows,
    "kept-rows",
    {
        "原因类别": lambda row: {"quarantined": "无法处理", "lost_conflict": "冲突中未采用"}[row.kept_as],
        "集合": lambda row: row.collection,
        "文档编号": lambda row: row.doc_id,
        "上传人": lambda row: row.staff_name,
        "原因": lambda row: row.code,
        "收到时间": lambda row: row.received_at,
    },
)


@get(
    "/failed-jobs",
    opt=NOTHING_PERSONAL,
    responses=_LIST_PROBLEMS,
    description="Background jobs of the caller's areas that failed for good, latest first: what each is about, its "
    "error and since when. Administrators also see those about the whole installation.",
)
async def list_failed_jobs(
    caller: CallerDep, session: Session, cursor: FromQuery[str | None] = None, limit: PageLimit = 50
) -> Page[FailedJobLine]:
    return await failed_jobs.list_failed_jobs(session, caller, cursor=cursor, limit=limit)


export_failed_jobs = build_export_route(
    list_failed_jobs,
    "failed-jobs",
    {
        "编号": lambda job: job.id,
        "任务": lambda job: job.task,
        "事项": lambda job: job.thing_kind,
        "事项编号": lambda job: job.thing_id,
        "行政区划代码": lambda job: job.area_code,
        "错误": lambda job: job.error,
        "失败时间": lambda job: job.failed_at,
    },
)


@post(
    "/failed-jobs/{failed_id:uuid}/again",
    operation_id="try_job_again",
    status_code=204,
    responses=_DETAIL_PROBLEMS,
    description="Run a failed job again, with a new set of attempts.",
)
async def retry_failed_job(failed_id: FromPath[UUID], caller: CallerDep, session: Session) -> None:
    await failed_jobs.retry_job(session, caller, failed_id)


@post(
    "/failed-jobs/{failed_id:uuid}/dismiss",
    status_code=204,
    responses=_DETAIL_PROBLEMS,
    description="Take a failed job off the list without running it again; why goes into the audit trail.",
)
async def dismiss_failed_job(
    failed_id: FromPath[UUID], data: JSONBody[DismissJob], caller: CallerDep, session: Session
) -> None:
    await failed_jobs.dismiss_job(session, caller, failed_id, data)


@post(
    "/failed-jobs/again",
    operation_id="try_all_jobs_again",
    status_code=200,
    responses=SIGNED_IN_ERRORS,
    description="Run all failed jobs of the caller's areas again, and say how many.",
)
async def retry_failed_jobs(caller: CallerDep, session: Session) -> Retried:
    return await failed_jobs.retry_all_jobs(session, caller)


router = Router(
    "/desk/v1",
    route_handlers=[
        show_map_source,
        list_missing,
        list_areas,
        list_households,
        export_households,
        open_household_record,
        list_checklists,
        export_checklists,
        open_checklist,
        print_checklist,
        list_audit_trail,
        export_audit_trail,
        list_looks,
        export_looks,
    ],
    tags=["directory"],
    security=BEARER,
)
desk_router = Router(
    "/desk/v1",
    route_handlers=[
        list_office_devices,
        export_devices,
        list_kept_rows,
        export_kept_rows,
        list_failed_jobs,
        export_failed_jobs,
        retry_failed_job,
        retry_failed_jobs,
        dismiss_failed_job,
    ],
    tags=["desk"],
    security=BEARER,
)
public_router = Router("/public/v1", route_handlers=[list_public_areas], tags=["directory"])
