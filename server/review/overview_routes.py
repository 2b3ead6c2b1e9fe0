"""`/desk/v1/overview`: a supervisor's figures, and the same as files."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any

from litestar import Router, get
from litestar.params import FromQuery, QueryParameter

from server.core.clock import CHINA, utc_now
from server.core.http import BEARER, SIGNED_IN_ERRORS, AreaFilter, Officer, Session
from server.http.exports import Columns, FormerAddress, build_export_route
from server.http.reads import NOTHING_PERSONAL, reads
from server.review import overview, readers
from server.review.overview import By, FindingRate, MapPoint, Period, WorkLine
from server.review.readers import ReaderLine

FirstDay = Annotated[
    date | None, QueryParameter(name="from", description="A day in China; default: 30 days before `to`.")
]
LastDay = Annotated[date | None, QueryParameter(name="to", description="A day in China, included; default: today.")]


def _period(area: str | None, first: date | None, last: date | None) -> Period:
    until = last or utc_now().astimezone(CHINA).date()
    return Period(area=area or "", first=first or until - timedelta(days=30), last=until)


@get(
    "/overview/work",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="Visits and decisions of a period, by the areas one level below the one asked for, or by caseworker.",
)
async def list_work(
    officer: Officer,
    session: Session,
    by: FromQuery[By] = "area",
    area: AreaFilter = None,
    first: FirstDay = None,
    last: LastDay = None,
) -> list[WorkLine]:
    return await overview.list_work(session, officer, _period(area, first, last), by, _today())


def _today() -> date:
    return utc_now().astimezone(CHINA).date()


@get(
    "/overview/findings",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="How often each finding was raised and upheld in a period, the most frequent first.",
)
async def rate_findings(
    officer: Officer,
    session: Session,
    area: AreaFilter = None,
    first: FirstDay = None,
    last: LastDay = None,
) -> list[FindingRate]:
    return await overview.rate_findings(session, officer, _period(area, first, last))


@get(
    "/overview/points",
    opt=reads("visit"),
    responses=SIGNED_IN_ERRORS,
    description="Where visits of a period began, the latest first.",
)
async def list_points(
    officer: Officer,
    session: Session,
    area: AreaFilter = None,
    first: FirstDay = None,
    last: LastDay = None,
) -> list[MapPoint]:
    return await overview.list_points(session, officer, _period(area, first, last))


@get(
    "/overview/readers",
    opt=reads("reader"),
    responses=SIGNED_IN_ERRORS,
    description="Staff of the caller's areas who opened or exported more in a day than `reads.unusual_opened` and "
    "`reads.unusual_exported` call usual, by the read trail.",
)
async def list_unusual_readers(
    officer: Officer,
    session: Session,
    area: AreaFilter = None,
    first: FirstDay = None,
    last: LastDay = None,
) -> list[ReaderLine]:
    return await readers.list_unusual_readers(session, officer, _period(area, first, last), _today())


def _select_work_columns(filters: Mapping[str, Any]) -> Columns:
    return {
        "代码": lambda line: line.key,
        {"area": "地区", "caseworker": "人员"}[filters["by"]]: lambda line: line.name,
        "应访": lambda line: line.due,
        "逾期未访": lambda line: line.overdue,
        "已访": lambda line: line.done,
        "逾期完成": lambda line: line.late,
        "退回": lambda line: line.returned,
        "审结时长中位数（小时）": lambda line: line.median_hours_to_decision,
    }


export_work = build_export_route(
    list_work,
    "work",
    _select_work_columns,
    aliases=[
        FormerAddress("/exports/areas", "areas", {"by": "area"}),
        FormerAddress("/exports/caseworkers", "caseworkers", {"by": "caseworker"}),
    ],
)
export_findings = build_export_route(
    rate_findings,
    "findings",
    {
        "疑点": lambda line: line.code,
        "次数": lambda line: line.found,
        "属实": lambda line: line.upheld,
        "排除": lambda line: line.dismissed,
        "属实率（%）": lambda line: line.upheld_percent,
    },
    aliases=[FormerAddress("/exports/findings", "findings")],
)
export_points = build_export_route(
    list_points,
    "points",
    {
        "走访编号": lambda line: line.visit_id,
        "纬度（WGS-84）": lambda line: line.latitude,
        "经度（WGS-84）": lambda line: line.longitude,
        "时间": lambda line: line.at,
        "人员编号": lambda line: line.staff_id,
        "疑点等级": lambda line: line.severity_rank,
    },
    aliases=[FormerAddress("/exports/points", "points")],
)
export_readers = build_export_route(
    list_unusual_readers,
    "unusual-readers",
    {
        "日期": lambda line: line.day,
        "人员": lambda line: line.name,
        "人员编号": lambda line: line.staff_id,
        "打开": lambda line: line.opened,
        "导出行数": lambda line: line.exported_rows,
    },
)

router = Router(
    "/desk/v1",
    route_handlers=[
        list_work,
        export_work,
        rate_findings,
        export_findings,
        list_points,
        export_points,
        list_unusual_readers,
        export_readers,
    ],
    tags=["overview"],
    security=BEARER,
)
