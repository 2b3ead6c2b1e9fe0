"""Applications at the door: `/field/v1` for phones, `/desk/v1` for the town, who settles those that were held."""

from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.cases import door_applications
from server.cases.door_applications import (
    ApplyAtDoor,
    DismissDoorApplication,
    DoorApplicationLine,
    DoorApplicationOutcome,
    DoorState,
)
from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    FieldStaff,
    Officer,
    PageLimit,
    ServicesDep,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.households.register import MEMBER_CONFLICTS
from server.http.exports import build_export_route
from server.http.reads import reads

_STATES_ZH = {"held": "待处理", "opened": "已登记", "dismissed": "不予登记"}
ListedState = Annotated[DoorState, QueryParameter(name="state")]


@post(
    "/door-applications",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("record.area_unknown", "request.invalid"),
    description="An application made at the door, also offline, with the number that the phone drew. It becomes a case "
    "once; where something stands against one it is held for the town, and the answer says what.",
)
async def apply_at_door(
    data: JSONBody[ApplyAtDoor], field_staff: FieldStaff, session: Session, services: ServicesDep
) -> DoorApplicationOutcome:
    return await door_applications.apply_at_door(session, services.encryption, field_staff, data, utc_now())


@get(
    "/door-applications",
    opt=reads("door_application"),
    responses=SIGNED_IN_ERRORS,
    description="The caller's applications at the door that were held in the last 90 days, and what became of them.",
)
async def list_own_applications(field_staff: FieldStaff, session: Session) -> list[DoorApplicationOutcome]:
    return await door_applications.list_own_applications(session, field_staff, utc_now())


@get(
    "/door-applications",
    opt=reads("door_application"),
    responses=SIGNED_IN_ERRORS,
    description="Applications at the door that did not become a case by themselves, the oldest first. Those held say "
    "who lives in a new home, numbers masked; of those settled no name is kept.",
)
async def list_door_applications(
    officer: Officer,
    session: Session,
    services: ServicesDep,
    application_state: ListedState = "held",
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[DoorApplicationLine]:
    return await door_applications.list_door_applications(
        session, services.encryption, officer, state=application_state, area=area, cursor=cursor, limit=limit
    )


export_door_applications = build_export_route(
    list_door_applications,
    "door-applications",
    {
        "申请编号": lambda line: line.number,
        "申请人": lambda line: line.applicant_name,
        "地区代码": lambda line: line.area_code,
        "村（社区）": lambda line: line.area_name,
        "专干": lambda line: line.author_name,
        "收到时间": lambda line: line.received_at,
        "状态": lambda line: _STATES_ZH[line.state],
        "原因": lambda line: line.zh,
        "处理意见": lambda line: line.reason,
    },
)


@post(
    "/door-applications/{application_id:uuid}/open",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses("case.open_already", "case.granted_already", "household.merged", *MEMBER_CONFLICTS),
    description="Open the case of a held application after all. Repeating it changes nothing.",
)
async def open_held_application(
    application_id: FromPath[UUID], officer: Officer, session: Session, services: ServicesDep
) -> DoorApplicationOutcome:
    return await door_applications.open_held_application(
        session, services.encryption, officer, application_id, utc_now()
    )


@post(
    "/door-applications/{application_id:uuid}/dismiss",
    status_code=200,
    responses=LOOKUP_ERRORS,
    description="Close a held application without a case, with a reason. Repeating it changes nothing.",
)
async def dismiss_application(
    application_id: FromPath[UUID], data: JSONBody[DismissDoorApplication], officer: Officer, session: Session
) -> DoorApplicationOutcome:
    return await door_applications.dismiss_application(session, officer, application_id, data, utc_now())


field_router = Router(
    "/field/v1", route_handlers=[apply_at_door, list_own_applications], tags=["field"], security=BEARER
)
router = Router(
    "/desk/v1",
    route_handlers=[list_door_applications, export_door_applications, open_held_application, dismiss_application],
    tags=["cases"],
    security=BEARER,
)
