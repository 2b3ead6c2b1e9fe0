"""Routes of reports that something does not work: for all staff; answers are for administrators."""

from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    CallerDep,
    PageLimit,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.directory import problem_reports
from server.directory.problem_reports import AnswerReport, ProblemReportLine, ReportProblem, ReportState
from server.http.exports import build_export_route
from server.http.reads import NOTHING_PERSONAL

_SENDING = SIGNED_IN_ERRORS | error_responses(
    "request.invalid", "request.rate_limited", "request.idempotency_key_reused"
)
_SEND = (
    "Report that something does not work: versions, storage, error codes and the state of sync, nothing of people. "
    "Repeating it changes nothing."
)
_OWN = "The caller's own reports with their answers, the newest first."
_ABOUT = {
    "sync": "同步",
    "photos": "照片",
    "slow": "太慢",
    "crash": "打不开或闪退",
    "wrong": "显示不对",
    "other": "其他",
}
_STATES = {"open": "待答复", "answered": "已答复", "closed": "已关闭"}


@post("/problem-reports", operation_id="report_field_problem", status_code=200, responses=_SENDING, description=_SEND)
async def report_field_problem(data: JSONBody[ReportProblem], caller: CallerDep, session: Session) -> ProblemReportLine:
    return await problem_reports.report_problem(session, caller, data, utc_now())


@post("/problem-reports", operation_id="report_desk_problem", status_code=200, responses=_SENDING, description=_SEND)
async def report_desk_problem(data: JSONBody[ReportProblem], caller: CallerDep, session: Session) -> ProblemReportLine:
    return await problem_reports.report_problem(session, caller, data, utc_now())


@get(
    "/problem-reports",
    operation_id="list_own_field_problems",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description=_OWN,
)
async def list_own_field_problems(caller: CallerDep, session: Session) -> list[ProblemReportLine]:
    return await problem_reports.list_own_reports(session, caller)


@get(
    "/problem-reports/own",
    operation_id="list_own_desk_problems",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description=_OWN,
)
async def list_own_desk_problems(caller: CallerDep, session: Session) -> list[ProblemReportLine]:
    return await problem_reports.list_own_reports(session, caller)


@get(
    "/problem-reports",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="Reports of the caller's areas that something does not work, the newest first; for administrators.",
)
async def list_problem_reports(
    caller: CallerDep,
    session: Session,
    report_state: Annotated[ReportState | None, QueryParameter(name="state")] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[ProblemReportLine]:
    return await problem_reports.list_reports(session, caller, state=report_state, cursor=cursor, limit=limit)


export_problem_reports = build_export_route(
    list_problem_reports,
    "problem-reports",
    {
        "编号": lambda report: report.id,
        "行政区划代码": lambda report: report.area_code,
        "端": lambda report: {"phone": "手机端", "desk": "工作台"}[report.app],
        "问题": lambda report: _ABOUT[report.about],
        "版本": lambda report: report.device.app_version,
        "系统": lambda report: report.device.system,
        "错误": lambda report: [f"{error.code} {error.place}" for error in report.errors],
        "报告时间": lambda report: report.reported_at,
        "状态": lambda report: _STATES[report.state],
        "答复": lambda report: report.answer,
    },
)


@post(
    "/problem-reports/{report_id:uuid}/answer",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("request.invalid"),
    description="An administrator answers a report; who sent it reads the answer.",
)
async def answer_problem_report(
    report_id: FromPath[UUID], data: JSONBody[AnswerReport], caller: CallerDep, session: Session
) -> ProblemReportLine:
    return await problem_reports.answer_report(session, caller, report_id, data, utc_now())


field_router = Router(
    "/field/v1", route_handlers=[report_field_problem, list_own_field_problems], tags=["field"], security=BEARER
)
desk_router = Router(
    "/desk/v1",
    route_handlers=[
        report_desk_problem,
        list_own_desk_problems,
        list_problem_reports,
        export_problem_reports,
        answer_problem_report,
    ],
    tags=["desk"],
    security=BEARER,
)
