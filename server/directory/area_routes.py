"""`/desk/v1/area-register` and `/desk/v1/area-changes`: villages as a list, renamed, merged, moved to another town."""

from typing import Annotated
from uuid import UUID

from litestar import Router, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    CallerDep,
    PageLimit,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.directory import area_changes, area_register, groups
from server.directory.area_changes import AreaChangeLine, AreaChangeState, DecideAreaChange, ProposeAreaChange
from server.directory.area_register import AreaRegisterLine, RenameArea
from server.directory.groups import GroupLine
from server.http.exports import build_export_route
from server.http.reads import NOTHING_PERSONAL, reads

_KINDS = {"merged": "并入", "moved": "划转"}
_STATES = {
    "proposed": "待确认",
    "accepted": "已确认，待生效",
    "rejected": "未同意",
    "applied": "已生效",
    "lapsed": "已失效",
}
WithoutQuery = Annotated[bool, QueryParameter(name="withoutCaseworker", description="Only villages without anyone.")]
StateQuery = Annotated[AreaChangeState | None, QueryParameter(name="state", description="Changes in this state.")]


@get(
    "/area-register",
    opt=reads("staff"),
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="Towns and villages of the caller's areas by code, with the homes and caseworkers of each village. The "
    "file can be changed and imported again. With `ended`, codes that are no longer valid and their successors.",
)
async def list_area_register(
    caller: CallerDep,
    session: Session,
    area: AreaFilter = None,
    without_caseworker: WithoutQuery = False,
    ended: FromQuery[bool] = False,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[AreaRegisterLine]:
    return await area_register.list_area_register(
        session, caller, under=area, without_caseworker=without_caseworker, ended=ended, cursor=cursor, limit=limit
    )


# The first three headings are those of the import.
export_area_register = build_export_route(
    list_area_register,
    "area-register",
    {
        "区划代码": lambda area: area.code,
        "名称": lambda area: area.name,
        "停用日期": lambda area: area.valid_until,
        "上级": lambda area: area.parent_name,
        "户数": lambda area: area.households,
        "专干": lambda area: area.caseworkers,
        "后继代码": lambda area: area.successor_code,
    },
)


@get(
    "/village-groups",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="Groups of villages with their homes, by village. The file can be changed and imported again.",
)
async def list_village_groups(
    caller: CallerDep,
    session: Session,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[GroupLine]:
    return await groups.list_groups(session, caller, under=area, cursor=cursor, limit=limit)


# The first, the third and the fifth heading are those of the import.
export_village_groups = build_export_route(
    list_village_groups,
    "village-groups",
    {
        "所在村（社区）": lambda group: group.village_code,
        "村名称": lambda group: group.village_name,
        "村民组": lambda group: group.name,
        "户数": lambda group: group.households,
        "停用日期": lambda group: group.ended_on,
    },
)


@put(
    "/area-register/{code:str}/name",
    status_code=204,
    responses=LOOKUP_ERRORS | error_responses("request.invalid"),
    description="Give a town or village its new name; the audit trail keeps the one before.",
)
async def rename_area(code: FromPath[str], data: JSONBody[RenameArea], caller: CallerDep, session: Session) -> None:
    await area_register.rename_area(session, caller, code, data)


@get(
    "/area-changes",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="Villages that merge or move to another town, the newest first.",
)
async def list_area_changes(
    caller: CallerDep,
    session: Session,
    change_state: StateQuery = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[AreaChangeLine]:
    return await area_changes.list_area_changes(session, caller, state=change_state, cursor=cursor, limit=limit)


export_area_changes = build_export_route(
    list_area_changes,
    "area-changes",
    {
        "调整": lambda change: _KINDS[change.kind],
        "原代码": lambda change: change.from_code,
        "原名称": lambda change: change.from_name,
        "现代码": lambda change: change.to_code,
        "现名称": lambda change: change.to_name,
        "生效日期": lambda change: change.effective_on,
        "依据": lambda change: change.reason,
        "状态": lambda change: _STATES[change.state],
        "提出人": lambda change: change.proposed_by,
        "确认人": lambda change: change.decided_by,
        "户数": lambda change: change.households,
    },
)


@post(
    "/area-changes",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses("area.change_waiting", "request.idempotency_key_reused", "request.invalid"),
    description="Propose that a village goes into another, or to another town under a new code, from a day on.",
)
async def propose_area_change(data: JSONBody[ProposeAreaChange], caller: CallerDep, session: Session) -> AreaChangeLine:
    return await area_changes.propose_area_change(session, caller, data, utc_now())


@post(
    "/area-changes/{change_id:uuid}/decision",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses("area.second_person", "proposal.decided", "review.reason_required", "request.invalid"),
    description="Confirm a change as the second person; it is applied on its day. Or reject it with a reason.",
)
async def decide_area_change(
    change_id: FromPath[UUID], data: JSONBody[DecideAreaChange], caller: CallerDep, session: Session
) -> AreaChangeLine:
    return await area_changes.decide_area_change(session, caller, change_id, data, utc_now())


router = Router(
    "/desk/v1",
    route_handlers=[
        list_area_register,
        export_area_register,
        list_village_groups,
        export_village_groups,
        rename_area,
        list_area_changes,
        export_area_changes,
        propose_area_change,
        decide_area_change,
    ],
    tags=["directory"],
    security=BEARER,
)
