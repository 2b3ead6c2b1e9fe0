"""Routes of the workload: `/field/v1/day-plans` for caseworkers, `/desk/v1/due` for officers."""

from datetime import date, timedelta
from typing import Annotated

from litestar import Router, get, put
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.checklists.template import VisitKind
from server.checklists.wording import visit_kind_text
from server.core.clock import today
from server.core.http import (
    BEARER,
    SIGNED_IN_ERRORS,
    AreaFilter,
    CallerDep,
    FieldStaff,
    Officer,
    PageLimit,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.http.exports import build_export_route
from server.http.reads import NOTHING_PERSONAL, reads
from server.workload import day_plans, due, unfulfilled_orders, unordered_kinds
from server.workload.day_plans import DayPlan, PlanDay
from server.workload.due import DueFilter, DueLine
from server.workload.unfulfilled_orders import UnfulfilledOrder
from server.workload.unordered_kinds import UnorderedKinds


@get(
    "/day-plans",
    opt=reads("day_plan"),
    responses=SIGNED_IN_ERRORS,
    description="The caller's own days that have visits in an order.",
)
async def list_day_plans(
    field_staff: FieldStaff,
    session: Session,
    first: Annotated[date | None, QueryParameter(name="from")] = None,
    last: Annotated[date | None, QueryParameter(name="to")] = None,
) -> list[DayPlan]:
    begin = first or today()
    return await day_plans.list_days(session, field_staff, begin, last or begin + timedelta(days=60))


@put(
    "/day-plans/{day:date}",
    responses=SIGNED_IN_ERRORS | error_responses("thing.not_found", "request.invalid"),
    description="Put the visits of a day in this order. The list replaces the one before; an empty one clears the day.",
)
async def plan_day(
    day: FromPath[date], data: JSONBody[PlanDay], field_staff: FieldStaff, session: Session
) -> list[DayPlan]:
    return await day_plans.plan_day(session, field_staff, day, data, today())


@get(
    "/unordered-kinds",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="The kinds of visit that the caller may begin without an order, for each village of their homes, each "
    "with the checklist that a new visit uses. A phone keeps them for when it is offline.",
)
async def list_unordered_kinds(field_staff: FieldStaff, session: Session) -> list[UnorderedKinds]:
    return await unordered_kinds.list_unordered_kinds(session, field_staff)


@get(
    "/due",
    opt=reads("assignment"),
    responses=SIGNED_IN_ERRORS,
    description="Open visits by the day on which they fall due.",
)
async def list_due(
    officer: Officer,
    session: Session,
    which: FromQuery[DueFilter | None] = None,
    area: AreaFilter = None,
    kind: FromQuery[VisitKind | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[DueLine]:
    return await due.list_due(
        session, officer, which=which, area=area, kind=kind, cursor=cursor, limit=limit, today=today()
    )


@get(
    "/blocked-visits",
    opt=reads("assignment"),
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="Visits that are due and that nobody can make yet, with the reason; the first due first.",
)
async def list_blocked_visits(
    caller: CallerDep,
    session: Session,
    area: AreaFilter = None,
    kind: FromQuery[VisitKind | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[UnfulfilledOrder]:
    """List orders of visits that wait for a checklist of their kind."""
    return await unfulfilled_orders.list_unfulfilled_orders(
        session, caller, area=area, kind=kind, cursor=cursor, limit=limit
    )


export_due = build_export_route(
    list_due,
    "due",
    {
        "户编号": lambda line: line.household_number,
        "户主": lambda line: line.head_name,
        "所在地": lambda line: line.area_name,
        "行政区划代码": lambda line: line.area_code,
        "走访类型": lambda line: visit_kind_text(line.kind).zh,
        "到期日": lambda line: line.due_on,
        "超期天数": lambda line: line.days_over,
        "超期工作日": lambda line: line.working_days_over,
        "工作日已公布": lambda line: line.certain,
        "包户人员": lambda line: line.held_by,
    },
)
export_blocked_visits = build_export_route(
    list_blocked_visits,
    "blocked-visits",
    {
        "户编号": lambda order: order.household_number,
        "所在地": lambda order: order.area_name,
        "行政区划代码": lambda order: order.area_code,
        "走访类型": lambda order: visit_kind_text(order.kind).zh,
        "到期日": lambda order: order.due_on,
        "原因": lambda order: order.zh,
        "安排时间": lambda order: order.ordered_at,
        "安排人": lambda order: order.ordered_by_name,
    },
)


field_router = Router(
    "/field/v1", route_handlers=[list_day_plans, plan_day, list_unordered_kinds], tags=["field"], security=BEARER
)
desk_router = Router(
    "/desk/v1",
    route_handlers=[list_due, export_due, list_blocked_visits, export_blocked_visits],
    tags=["workload"],
    security=BEARER,
)
