"""`/desk/v1/overview` and `/desk/v1/exports`: a supervisor's figures, and lists to save."""

from datetime import date, timedelta
from typing import Annotated, Literal

from litestar import Response, Router, get
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, QueryParameter

from server.core.sheets import Form, answer_sheet
from server.core.threads import in_thread
from server.core.tokens import utc_now
from server.core.wire import BEARER, AreaFilter, Officer, Session, problems
from server.models import audit
from server.review import overview, queue
from server.review.overview import CHINA, By, FindingRate, MapPoint, Period, WorkLine
from server.review.queue import Filters, QueueLine, Severity
from server.review.routes import AuthorId, QueueState, WaitedH

_SIGNED = problems("auth.required", "auth.token_invalid", "auth.token_expired", "auth.device_ended", "auth.forbidden")
_FILE = {200: ResponseSpec(bytes, description="The file.", generate_examples=False, media_type="text/csv")}
FirstDay = Annotated[date | None, QueryParameter(name="from", description="China's day; 30 days back unless told.")]
LastDay = Annotated[date | None, QueryParameter(name="to", description="China's day, counted; today unless told.")]
MOST_ROWS = 20_000


def _period(area: str | None, first: date | None, last: date | None) -> Period:
    until = last or utc_now().astimezone(CHINA).date()
    return Period(area=area or "", first=first or until - timedelta(days=30), last=until)


@get("/overview/work", responses=_SIGNED)
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


@get("/overview/findings", responses=_SIGNED)
async def rate_findings(
    officer: Officer,
    session: Session,
    area: AreaFilter = None,
    first: FirstDay = None,
    last: LastDay = None,
) -> list[FindingRate]:
    return await overview.rate_findings(session, officer, _period(area, first, last))


@get("/overview/points", responses=_SIGNED)
async def list_points(
    officer: Officer,
    session: Session,
    area: AreaFilter = None,
    first: FirstDay = None,
    last: LastDay = None,
) -> list[MapPoint]:
    return await overview.map_points(session, officer, _period(area, first, last))


@get(
    "/exports/{name:str}",
    responses=_SIGNED | _FILE,
    response_headers=[
        ResponseHeader(name="Content-Disposition", description="The file's name.", documentation_only=True)
    ],
    description="The same lists as a file, the queue by its own filters. Saving one is written to the audit trail.",
)
async def export_list(
    name: FromPath[Literal["queue", "areas", "caseworkers", "findings", "points"]],
    officer: Officer,
    session: Session,
    form: Annotated[Form, QueryParameter(name="as")] = "csv",
    area: AreaFilter = None,
    first: FirstDay = None,
    last: LastDay = None,
    queue_state: QueueState = None,
    kind: FromQuery[str | None] = None,
    author_id: AuthorId = None,
    finding: FromQuery[str | None] = None,
    severity: FromQuery[Severity | None] = None,
    waited_h: WaitedH = None,
) -> Response[bytes]:
    period = _period(area, first, last)
    audit.record(session, officer, "list.exported", "list", name, area_code=area or None, form=form)
    if name == "queue":
        filters = Filters(
            state=queue_state,
            kind=kind,
            area=area,
            author_id=author_id,
            finding=finding,
            severity=severity,
            waited_h=waited_h,
        )
        return await in_thread(answer_sheet, name, QueueLine, await _whole_queue(session, officer, filters), form)
    if name == "findings":
        rates = await overview.rate_findings(session, officer, period)
        return await in_thread(answer_sheet, name, FindingRate, rates, form)
    if name == "points":
        points = await overview.map_points(session, officer, period)
        return await in_thread(answer_sheet, name, MapPoint, points, form)
    by: By = "area" if name == "areas" else "caseworker"
    work = await overview.list_work(session, officer, period, by, _today())
    return await in_thread(answer_sheet, name, WorkLine, work, form)


async def _whole_queue(session: Session, officer: Officer, filters: Filters) -> list[QueueLine]:
    lines: list[QueueLine] = []
    cursor: str | None = None
    while len(lines) < MOST_ROWS:
        page = await queue.list_queue(session, officer, filters, cursor=cursor, limit=queue.LONGEST_PAGE, now=utc_now())
        lines += page.items
        if (cursor := page.next_cursor) is None:
            break
    return lines


router = Router(
    "/desk/v1",
    route_handlers=[list_work, rate_findings, list_points, export_list],
    tags=["overview"],
    security=BEARER,
)
