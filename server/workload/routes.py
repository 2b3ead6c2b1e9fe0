"""`/field/v1/day-plans` for whoever visits, `/desk/v1/due` for whoever watches over it."""

from datetime import date, timedelta
from typing import Annotated

from litestar import Response, Router, get, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.core.paging import Page
from server.core.sheets import Form, answer_sheet
from server.core.threads import in_thread
from server.core.tokens import utc_now
from server.core.wire import BEARER, AreaFilter, CallerDep, Officer, Session, Worker, problems
from server.core.workdays import day_of
from server.models import audit
from server.workload import blocked, day_plans, due
from server.workload.blocked import BlockedLine
from server.workload.day_plans import DayPlan, PlanDay
from server.workload.due import DueLine, Which

MOST_ROWS = 20_000
_SIGNED = problems("auth.required", "auth.token_invalid", "auth.token_expired", "auth.device_ended", "auth.forbidden")
_FILE = {200: ResponseSpec(bytes, description="The file.", generate_examples=False, media_type="text/csv")}


def _today() -> date:
    return day_of(utc_now())


@get("/day-plans", responses=_SIGNED)
async def list_day_plans(
    worker: Worker,
    session: Session,
    first: Annotated[date | None, QueryParameter(name="from")] = None,
    last: Annotated[date | None, QueryParameter(name="to")] = None,
) -> list[DayPlan]:
    begin = first or _today()
    return await day_plans.list_days(session, worker, begin, last or begin + timedelta(days=60))


@put("/day-plans/{day:date}", responses=_SIGNED | problems("thing.not_found"))
async def plan_day(day: FromPath[date], data: JSONBody[PlanDay], worker: Worker, session: Session) -> list[DayPlan]:
    return await day_plans.plan_day(session, worker, day, data)


@get("/due", responses=_SIGNED)
async def list_due(
    officer: Officer,
    session: Session,
    which: FromQuery[Which | None] = None,
    area: AreaFilter = None,
    kind: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[DueLine]:
    return await due.list_due(
        session, officer, which=which, area=area, kind=kind, cursor=cursor, limit=limit, today=_today()
    )


@get("/blocked-visits", responses=_SIGNED | problems("request.invalid"))
async def list_blocked_visits(
    caller: CallerDep,
    session: Session,
    area: AreaFilter = None,
    kind: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[BlockedLine]:
    """Visits that were ordered and wait for a checklist of their kind."""
    return await blocked.list_blocked(session, caller, area=area, kind=kind, cursor=cursor, limit=limit)


@get("/due/export", responses=_SIGNED | _FILE)
async def export_due(
    officer: Officer,
    session: Session,
    form: Annotated[Form, QueryParameter(name="as")] = "csv",
    which: FromQuery[Which | None] = None,
    area: AreaFilter = None,
    kind: FromQuery[str | None] = None,
) -> Response[bytes]:
    lines: list[DueLine] = []
    cursor: str | None = None
    while len(lines) < MOST_ROWS:
        page = await due.list_due(
            session,
            officer,
            which=which,
            area=area,
            kind=kind,
            cursor=cursor,
            limit=due.LONGEST_PAGE,
            today=_today(),
        )
        lines += page.items
        if (cursor := page.next_cursor) is None:
            break
    audit.record(session, officer, "list.exported", "list", "due", area_code=area or None, form=form)
    return await in_thread(answer_sheet, "due", DueLine, lines, form)


field_router = Router("/field/v1", route_handlers=[list_day_plans, plan_day], tags=["field"], security=BEARER)
desk_router = Router(
    "/desk/v1", route_handlers=[list_due, export_due, list_blocked_visits], tags=["workload"], security=BEARER
)
