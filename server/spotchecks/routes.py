"""`/desk/v1`: plans of spot checks, their draws, the teams, and what came of it."""

from typing import Annotated, Literal
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.core.access import REVIEW_ROLES, require
from server.core.paging import Page
from server.core.sheets import Form, answer_sheet
from server.core.threads import in_thread
from server.core.tokens import utc_now
from server.core.wire import BEARER, Answer, Officer, Session, problems
from server.models import audit
from server.spotchecks import outcomes, plans, teams
from server.spotchecks.draw import PlanFile
from server.spotchecks.outcomes import Agreement, By, ComparedLine, SpotCheckLine
from server.spotchecks.plans import PlanLine, Seed, WritePlan
from server.spotchecks.sample_size import sample_size, seen_error
from server.spotchecks.teams import Team

_SIGNED = problems("auth.required", "auth.token_invalid", "auth.token_expired", "auth.device_ended", "auth.forbidden")
_ONE = _SIGNED | problems("thing.not_found")
_FILE = {200: ResponseSpec(bytes, description="The file.", generate_examples=False, media_type="text/csv")}
MOST_ROWS = 20_000


class SampleSize(Answer):
    """`sees_error_percent`: what a sample of `sample` visits can tell, ± in percent points."""

    population: int
    sample: int
    sees_error_percent: float
    confidence_percent: float


class Sent(Answer):
    assignment_id: UUID


@get("/spot-check-plans", responses=_SIGNED)
async def list_plans(officer: Officer, session: Session) -> list[PlanLine]:
    return await plans.list_plans(session, officer)


@post("/spot-check-plans", responses=_ONE)
async def write_plan(data: JSONBody[WritePlan], officer: Officer, session: Session) -> PlanLine:
    return await plans.write_plan(session, officer, data, utc_now())


@get(
    "/spot-check-plans/{plan_id:uuid}/file",
    responses=_ONE,
    description="Design and population: with the seed, all that `python -m server draw` needs to draw again.",
)
async def publish_plan(plan_id: FromPath[UUID], officer: Officer, session: Session) -> PlanFile:
    return await plans.publish(session, officer, plan_id)


@post("/spot-check-plans/{plan_id:uuid}/draw", status_code=200, responses=_ONE | problems("spot_check.drawn"))
async def draw_plan(plan_id: FromPath[UUID], data: JSONBody[Seed], officer: Officer, session: Session) -> PlanLine:
    return await plans.draw_plan(session, officer, plan_id, data.seed, utc_now())


@get("/spot-checks", responses=_SIGNED)
async def list_spot_checks(
    officer: Officer,
    session: Session,
    check_state: Annotated[str | None, QueryParameter(name="state")] = None,
    plan_id: Annotated[UUID | None, QueryParameter(name="planId")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[SpotCheckLine]:
    return await outcomes.list_checks(session, officer, state=check_state, plan_id=plan_id, cursor=cursor, limit=limit)


@post(
    "/spot-checks/{spot_check_id:uuid}/team",
    status_code=200,
    responses=_ONE | problems("spot_check.not_open", "spot_check.team_unfit"),
)
async def send_team(spot_check_id: FromPath[UUID], data: JSONBody[Team], officer: Officer, session: Session) -> Sent:
    return Sent(assignment_id=await teams.send_team(session, officer, spot_check_id, data, utc_now()))


@get("/spot-checks/export", responses=_SIGNED | _FILE, description="The list, or the rates of agreement, as a file.")
async def export_spot_checks(
    officer: Officer,
    session: Session,
    what: FromQuery[Literal["checks", "question", "caseworker", "village"]] = "checks",
    form: Annotated[Form, QueryParameter(name="as")] = "csv",
    check_state: Annotated[str | None, QueryParameter(name="state")] = None,
    plan_id: Annotated[UUID | None, QueryParameter(name="planId")] = None,
) -> Response[bytes]:
    audit.record(session, officer, "list.exported", "list", f"spot-checks-{what}", form=form)
    if what != "checks":
        rates = await outcomes.agreement(session, officer, what, plan_id)
        return await in_thread(answer_sheet, f"agreement-{what}", Agreement, rates, form)
    lines: list[SpotCheckLine] = []
    cursor: str | None = None
    while len(lines) < MOST_ROWS:
        page = await outcomes.list_checks(
            session, officer, state=check_state, plan_id=plan_id, cursor=cursor, limit=200
        )
        lines += page.items
        if (cursor := page.next_cursor) is None:
            break
    return await in_thread(answer_sheet, "spot-checks", SpotCheckLine, lines, form)


@get("/spot-checks/{spot_check_id:uuid}/comparison", responses=_ONE)
async def open_comparison(spot_check_id: FromPath[UUID], officer: Officer, session: Session) -> list[ComparedLine]:
    return await outcomes.open_comparison(session, officer, spot_check_id)


@get("/spot-checks/agreement", responses=_SIGNED)
async def list_agreement(
    officer: Officer,
    session: Session,
    by: FromQuery[By] = "question",
    plan_id: Annotated[UUID | None, QueryParameter(name="planId")] = None,
) -> list[Agreement]:
    return await outcomes.agreement(session, officer, by, plan_id)


@get(
    "/spot-checks/sample-size",
    responses=_SIGNED,
    description="How many visits to draw (Cochran, finite population); with `sample`, what error that many see.",
)
async def size_sample(
    officer: Officer,
    population: Annotated[int, QueryParameter(ge=0, le=100_000_000)],
    error_percent: Annotated[float, QueryParameter(name="errorPercent", gt=0, lt=100)] = 5,
    confidence_percent: Annotated[float, QueryParameter(name="confidencePercent", gt=0, lt=100)] = 95,
    expected_percent: Annotated[float, QueryParameter(name="expectedPercent", gt=0, lt=100)] = 50,
    sample: Annotated[int | None, QueryParameter(ge=0, le=100_000_000)] = None,
) -> SampleSize:
    require(officer, REVIEW_ROLES)
    confidence, expected = confidence_percent / 100, expected_percent / 100
    size = sample
    if size is None:
        size = sample_size(population, error=error_percent / 100, confidence=confidence, expected=expected)
    error = seen_error(population, size, confidence=confidence, expected=expected)
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
        write_plan,
        publish_plan,
        draw_plan,
        list_spot_checks,
        send_team,
        open_comparison,
        list_agreement,
        export_spot_checks,
        size_sample,
    ],
    tags=["spot checks"],
    security=BEARER,
)
