"""Routes of the desk's orders: `/desk/v1/visit-orders`."""

from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromQuery, JSONBody, QueryParameter

from server.checklists.template import VisitKind
from server.checklists.wording import visit_kind_text
from server.core.clock import today
from server.core.http import (
    BEARER,
    SIGNED_IN_ERRORS,
    AreaFilter,
    Officer,
    PageLimit,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.http.exports import build_export_route
from server.http.reads import reads
from server.workload import desk_orders, order_list
from server.workload.desk_orders import OrdersRecalled, OrderVisits, RecallOrders, VisitsOrdered
from server.workload.order_list import OrderLine, OrderState

_STATES = {"open": "待走访", "done": "已走访", "cancelled": "已收回"}


@get(
    "/visit-orders",
    opt=reads("assignment"),
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="Who has which visit to make, by due date. `byDesk`: ordered by a person, or by the procedure. Spot "
    "checks are not among them.",
)
async def list_visit_orders(
    officer: Officer,
    session: Session,
    order_state: Annotated[OrderState | None, QueryParameter(name="state")] = None,
    area: AreaFilter = None,
    kind: FromQuery[VisitKind | None] = None,
    staff_id: Annotated[UUID | None, QueryParameter(name="staffId")] = None,
    order_id: Annotated[UUID | None, QueryParameter(name="orderId")] = None,
    by_desk: Annotated[bool | None, QueryParameter(name="byDesk")] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[OrderLine]:
    return await order_list.list_orders(
        session,
        officer,
        state=order_state,
        area=area,
        kind=kind,
        staff_id=staff_id,
        order_id=order_id,
        by_desk=by_desk,
        cursor=cursor,
        limit=limit,
    )


@post(
    "/visit-orders",
    status_code=200,
    responses=SIGNED_IN_ERRORS
    | error_responses(
        "order.nothing_named", "order.too_many", "order.spent", "thing.not_found", "request.invalid", "server.conflict"
    ),
    description="Order visits of a kind to homes, an area, a class or a list of archive numbers. What can't be ordered "
    "is listed with its reason; the rest goes out. With `dryRun` nothing does. Repeating an order changes nothing.",
)
async def order_visits(data: JSONBody[OrderVisits], officer: Officer, session: Session) -> VisitsOrdered:
    return await desk_orders.order_visits(session, officer, data, today())


@post(
    "/visit-orders/recall",
    status_code=200,
    responses=SIGNED_IN_ERRORS | error_responses("order.nothing_named", "request.invalid", "server.conflict"),
    description="Recall open visits that the desk ordered. They leave the phones with the reason; what was made "
    "meanwhile stays.",
)
async def recall_orders(data: JSONBody[RecallOrders], officer: Officer, session: Session) -> OrdersRecalled:
    return await desk_orders.recall_orders(session, officer, data)


export_visit_orders = build_export_route(
    list_visit_orders,
    "visit-orders",
    {
        "户编号": lambda line: line.household_number,
        "户主": lambda line: line.head_name,
        "所在地": lambda line: line.area_name,
        "行政区划代码": lambda line: line.area_code,
        "走访类型": lambda line: visit_kind_text(line.kind).zh,
        "状态": lambda line: _STATES[line.state],
        "到期日": lambda line: line.due_on,
        "走访人": lambda line: line.assignee_name or line.held_by,
        "安排人": lambda line: line.ordered_by_name or "按程序",
        "安排时间": lambda line: line.ordered_at,
        "说明": lambda line: line.note,
    },
)

router = Router(
    "/desk/v1",
    route_handlers=[list_visit_orders, export_visit_orders, order_visits, recall_orders],
    tags=["workload"],
    security=BEARER,
)
