"""`/desk/v1/change-returns`: monthly returns of changes, from villages to towns to the county."""

from datetime import date
from typing import Annotated

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.cases import change_returns
from server.cases.change_returns import (
    ChangeReturnDetail,
    ChangeReturnLevel,
    ChangeReturnSummary,
    DecideChangeReturn,
    SendChangeReturn,
)
from server.core.clock import today, utc_now
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
from server.http.exports import build_export_route
from server.http.reads import NOTHING_PERSONAL, reads

_STATES_ZH = {"draft": "未上报", "sent": "已上报", "returned": "已退回", "closed": "已办结"}
Month = Annotated[date, QueryParameter(description="Any day of the month that is reported.")]
_STEP_ERRORS = LOOKUP_ERRORS | error_responses("change_return.not_now")


@get(
    "/change-returns",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="The returns that towns or villages owe for a month, sent or not, with their day and who is late.",
)
async def list_change_returns(
    caller: CallerDep,
    session: Session,
    month: Month,
    level: FromQuery[ChangeReturnLevel] = "village",
    late: FromQuery[bool] = False,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[ChangeReturnSummary]:
    return await change_returns.list_change_returns(
        session, caller, month=month, level=level, area=area, late=late, cursor=cursor, limit=limit, today=today()
    )


export_change_returns = build_export_route(
    list_change_returns,
    "change-returns",
    {
        "行政区划代码": lambda line: line.area_code,
        "单位": lambda line: line.area_name,
        "月份": lambda line: f"{line.month:%Y-%m}",
        "状态": lambda line: _STATES_ZH[line.state],
        "上报期限": lambda line: line.due_on,
        "逾期": lambda line: "是" if line.is_late else "",
        "变动数": lambda line: line.changes,
        "上报人": lambda line: line.sent_by_name,
        "上报时间": lambda line: line.sent_at,
        "退回原因": lambda line: line.answer,
    },
    form="xlsx",
)


@get(
    "/change-returns/{area_code:str}/{month:date}",
    opt=reads("case"),
    responses=LOOKUP_ERRORS,
    description="A return with its lines: as they were sent, or as they are now while it is a draft.",
)
async def show_change_return(
    area_code: FromPath[str], month: FromPath[date], caller: CallerDep, session: Session
) -> ChangeReturnDetail:
    return await change_returns.show_change_return(session, caller, area_code, month, today())


@post(
    "/change-returns/{area_code:str}/{month:date}/sending",
    status_code=200,
    opt=reads("case"),
    responses=_STEP_ERRORS,
    description="Send a return to the office above once its month has ended, or again after it came back. Repeating it "
    "changes nothing.",
)
async def send_change_return(
    area_code: FromPath[str],
    month: FromPath[date],
    data: JSONBody[SendChangeReturn],
    caller: CallerDep,
    session: Session,
) -> ChangeReturnDetail:
    return await change_returns.send_change_return(session, caller, area_code, month, data, utc_now())


@post(
    "/change-returns/{area_code:str}/{month:date}/decision",
    status_code=200,
    opt=reads("case"),
    responses=_STEP_ERRORS | error_responses("case.second_person", "review.reason_required"),
    description="Send a return back with a reason, or close it; by the office above.",
)
async def decide_change_return(
    area_code: FromPath[str],
    month: FromPath[date],
    data: JSONBody[DecideChangeReturn],
    caller: CallerDep,
    session: Session,
) -> ChangeReturnDetail:
    return await change_returns.decide_change_return(session, caller, area_code, month, data, utc_now())


router = Router(
    "/desk/v1",
    route_handlers=[
        list_change_returns,
        export_change_returns,
        show_change_return,
        send_change_return,
        decide_change_return,
    ],
    tags=["cases"],
    security=BEARER,
)
