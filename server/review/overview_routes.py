"""`/desk/v1/overview` and `/desk/v1/exports`: a supervisor's figures, and lists to save."""

from datetime import date, timedelta
from typing import Annotated

from litestar import Router, get
from litestar.params import FromQuery, QueryParameter

from server.core.http import BEARER, SIGNED, AreaFilter, Officer, Session
from server.core.tokens import utc_now
from server.http.exports import Columns, export_of
from server.review import overview
from server.review.overview import CHINA, By, FindingRate, MapPoint, Period, WorkLine

FirstDay = Annotated[date | None, QueryParameter(name="from", description="China's day; 30 days back unless told.")]
LastDay = Annotated[date | None, QueryParameter(name="to", description="China's day, counted; today unless told.")]


def _period(area: str | None, first: date | None, last: date | None) -> Period:
    until = last or utc_now().astimezone(CHINA).date()
    return Period(area=area or "", first=first or until - timedelta(days=30), last=until)


@get("/overview/work", responses=SIGNED)
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


@get("/overview/findings", responses=SIGNED)
async def rate_findings(
    officer: Officer,
    session: Session,
    area: AreaFilter = None,
    first: FirstDay = None,
    last: LastDay = None,
) -> list[FindingRate]:
    return await overview.rate_findings(session, officer, _period(area, first, last))


@get("/overview/points", responses=SIGNED)
async def list_points(
    officer: Officer,
    session: Session,
    area: AreaFilter = None,
    first: FirstDay = None,
    last: LastDay = None,
) -> list[MapPoint]:
    return await overview.map_points(session, officer, _period(area, first, last))


def _work_columns(of: str) -> Columns:
    return {
        "代码": lambda one: one.key,
        of: lambda one: one.name,
        "应访": lambda one: one.due,
        "超期": lambda one: one.overdue,
        "已访": lambda one: one.done,
        "迟访": lambda one: one.late,
        "退回": lambda one: one.returned,
        "审结时长中位数（小时）": lambda one: one.median_hours_to_decision,
    }


export_areas = export_of(list_work, "/exports/areas", "areas", _work_columns("地区"), by="area")
export_caseworkers = export_of(list_work, "/exports/caseworkers", "caseworkers", _work_columns("人员"), by="caseworker")
export_findings = export_of(
    rate_findings,
    "/exports/findings",
    "findings",
    {
        "疑点": lambda one: one.code,
        "次数": lambda one: one.found,
        "属实": lambda one: one.upheld,
        "排除": lambda one: one.dismissed,
        "属实率（%）": lambda one: one.upheld_percent,
    },
)
export_points = export_of(
    list_points,
    "/exports/points",
    "points",
    {
        "走访编号": lambda one: one.visit_id,
        "纬度（WGS-84）": lambda one: one.latitude,
        "经度（WGS-84）": lambda one: one.longitude,
        "时间": lambda one: one.at,
        "人员编号": lambda one: one.staff_id,
        "疑点等级": lambda one: one.severity_rank,
    },
)

router = Router(
    "/desk/v1",
    route_handlers=[
        list_work,
        export_areas,
        export_caseworkers,
        rate_findings,
        export_findings,
        list_points,
        export_points,
    ],
    tags=["overview"],
    security=BEARER,
)
