"""`/desk/v1`: spot-check plans, draws, teams and results."""

from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.core.access import REVIEW_ROLES, require_role
from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    SIGNED_IN_ERRORS,
    Officer,
    PageLimit,
    ResponseBody,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.http.exports import build_export_route, to_text
from server.http.reads import NOTHING_PERSONAL, reads
from server.spotchecks import plans, reports, teams
from server.spotchecks.draw import PlanFile
from server.spotchecks.plans import DrawPlan, PlanLine, WritePlan
from server.spotchecks.reports import Agreement, By, ComparedLine, SpotCheckLine, SpotCheckState
from server.spotchecks.sample_size import margin_of_error, sample_size
from server.spotchecks.teams import Team

_ONE = SIGNED_IN_ERRORS | error_responses("thing.not_found")


class SampleSize(ResponseBody):
    """`sees_error_percent`: the margin of error of a sample of `sample` visits, ± in percentage points."""

    population: int
    sample: int
    sees_error_percent: float
    confidence_percent: float


class AssignedTeam(ResponseBody):
    assignment_id: UUID


@get(
    "/spot-check-plans",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="The plans of the caller's areas, with what was drawn.",
)
async def list_plans(officer: Officer, session: Session) -> list[PlanLine]:
    return await plans.list_plans(session, officer)


export_plans = build_export_route(
    list_plans,
    "spot-check-plans",
    {
        "名称": lambda line: line.name,
        "行政区划代码": lambda line: line.area_code,
        "起": lambda line: line.period_from,
        "止": lambda line: line.period_to,
        "方案": lambda line: to_text(line.design),
        "制定时间": lambda line: line.written_at,
        "抽取时间": lambda line: line.drawn_at,
        "种子": lambda line: line.seed,
        "方法": lambda line: line.method,
        "总体": lambda line: line.population,
        "总体 SHA-256": lambda line: line.population_sha256,
        "抽取数": lambda line: line.drawn,
    },
)


@post(
    "/spot-check-plans",
    responses=_ONE,
    description="Write a plan of spot checks: from which visits, and how many, are drawn.",
)
async def write_plan(data: JSONBody[WritePlan], officer: Officer, session: Session) -> PlanLine:
    return await plans.create_plan(session, officer, data, utc_now())


@get(
    "/spot-check-plans/{plan_id:uuid}/file",
    opt=reads("spot_check"),
    responses=_ONE,
    description="Design and population: with the seed, all that `python -m server draw` needs to repeat the draw.",
)
async def publish_plan(plan_id: FromPath[UUID], officer: Officer, session: Session) -> PlanFile:
    return await plans.read_plan_file(session, officer, plan_id)


@post(
    "/spot-check-plans/{plan_id:uuid}/draw",
    status_code=200,
    responses=_ONE | error_responses("spot_check.drawn"),
    description="Draw the sample of a plan, once, from a seed that anyone can repeat it with.",
)
async def draw_plan(plan_id: FromPath[UUID], data: JSONBody[DrawPlan], officer: Officer, session: Session) -> PlanLine:
    return await plans.draw_plan(session, officer, plan_id, data.seed, utc_now())


@get(
    "/spot-checks",
    opt=reads("spot_check"),
    responses=SIGNED_IN_ERRORS,
    description="Spot checks of the caller's areas: open, assigned, done.",
)
async def list_spot_checks(
    officer: Officer,
    session: Session,
    check_state: Annotated[SpotCheckState | None, QueryParameter(name="state")] = None,
    plan_id: Annotated[UUID | None, QueryParameter(name="planId")] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[SpotCheckLine]:
    return await reports.list_spot_checks(
        session, officer, state=check_state, plan_id=plan_id, cursor=cursor, limit=limit
    )


@post(
    "/spot-checks/{spot_check_id:uuid}/team",
    status_code=200,
    responses=_ONE | error_responses("spot_check.not_open", "spot_check.team_unfit"),
    description="Assign two officers to the second visit. They may neither have made nor seen the first, nor be "
    "relatives.",
)
async def send_team(
    spot_check_id: FromPath[UUID], data: JSONBody[Team], officer: Officer, session: Session
) -> AssignedTeam:
    return AssignedTeam(assignment_id=await teams.assign_team(session, officer, spot_check_id, data, utc_now()))


export_spot_checks = build_export_route(
    list_spot_checks,
    "spot-checks",
    {
        "编号": lambda line: line.id,
        "走访编号": lambda line: line.visit_id,
        "户主": lambda line: line.head_name,
        "行政区划代码": lambda line: line.area_code,
        "抽取原因": lambda line: line.why,
        "层": lambda line: line.stratum,
        "状态": lambda line: line.state,
        "比对时间": lambda line: line.compared_at,
        "比对项": lambda line: line.compared,
        "一致项": lambda line: line.agreed,
    },
)


@get(
    "/spot-checks/{spot_check_id:uuid}/comparison",
    opt=reads("spot_check"),
    responses=_ONE | error_responses("review.blind"),
    description="Both teams' answers side by side, what differs first; empty until both visits are in.",
)
async def open_comparison(spot_check_id: FromPath[UUID], officer: Officer, session: Session) -> list[ComparedLine]:
    return await reports.open_comparison(session, officer, spot_check_id)


@get(
    "/spot-checks/agreement",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="Rates of agreement between first and second visits, the lowest first.",
)
async def list_agreement(
    officer: Officer,
    session: Session,
    by: FromQuery[By] = "question",
    plan_id: Annotated[UUID | None, QueryParameter(name="planId")] = None,
) -> list[Agreement]:
    return await reports.rate_agreement(session, officer, by, plan_id)


export_agreement = build_export_route(
    list_agreement,
    "agreement",
    {
        "代码": lambda line: line.key,
        "名称": lambda line: line.name,
        "比对项": lambda line: line.compared,
        "一致项": lambda line: line.agreed,
        "一致率（%）": lambda line: line.percent,
    },
)


@get(
    "/spot-checks/sample-size",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="How many visits to draw (Cochran, finite population); with `sample`, that sample's margin of error.",
)
async def size_sample(
    officer: Officer,
    population: Annotated[int, QueryParameter(ge=0, le=100_000_000)],
    error_percent: Annotated[float, QueryParameter(name="errorPercent", ge=0.1, le=50)] = 5,
    confidence_percent: Annotated[float, QueryParameter(name="confidencePercent", ge=50, le=99.99)] = 95,
    expected_percent: Annotated[float, QueryParameter(name="expectedPercent", ge=0.1, le=99.9)] = 50,
    sample: Annotated[int | None, QueryParameter(ge=0, le=100_000_000)] = None,
) -> SampleSize:
    require_role(officer, REVIEW_ROLES)
    confidence, expected = confidence_percent / 100, expected_percent / 100
    size = sample
    if size is None:
        size = sample_size(population, error=error_percent / 100, confidence=confidence, expected=expected)
    error = margin_of_error(population, size, confidence=confidence, expected=expected)
    return SampleSize(
        population=population,
        sample=size,
        sees_error_percent=round(100 * error, 2),
        confidence_percent=confidence_percent,
    )


router = Router(
    "/desk/v1",
    route_handlers=[
        list_plans,
        export_plans,
        write_plan,
        publish_plan,
        draw_plan,
        list_spot_checks,
        send_team,
        open_comparison,
        list_agreement,
        export_spot_checks,
        export_agreement,
        size_sample,
    ],
    tags=["spot checks"],
    security=BEARER,
)
