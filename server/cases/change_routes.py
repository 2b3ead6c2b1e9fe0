"""`/desk/v1`: what residents report, what is paid from when, and officers' lists as files."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.cases import changes, exports, register
from server.cases.changes import ChangeLine, DecideChange, HouseholdSaid
from server.cases.exports import Filters, Name
from server.cases.register import BenefitLine, CompareAnnounced, Kind, Mismatch, Totals
from server.core.paging import Page
from server.core.sheets import FILE_ANSWER, FILE_HEADERS, Form, answer_table
from server.core.threads import in_thread
from server.core.tokens import utc_now
from server.core.wire import BEARER, AreaFilter, Officer, Session, Worker, problems

_SIGNED = problems("auth.required", "auth.token_invalid", "auth.token_expired", "auth.device_ended", "auth.forbidden")


@get("/changes", responses=_SIGNED, description="What residents reported and nobody has answered; or what was.")
async def list_changes(
    worker: Worker,
    session: Session,
    decided: FromQuery[bool] = False,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[ChangeLine]:
    return await changes.list_changes(session, worker, decided=decided, area=area, cursor=cursor, limit=limit)


@post(
    "/changes/{change_id:uuid}/decision",
    status_code=200,
    responses=_SIGNED
    | problems("thing.not_found", "change.decided", "case.own_relative", "case.closed", "case.standard_missing"),
)
async def decide_change(
    change_id: FromPath[UUID], data: JSONBody[DecideChange], worker: Worker, session: Session
) -> ChangeLine:
    return await changes.decide_change(session, worker, change_id, data, utc_now())


@get("/household-words", responses=_SIGNED, description="What residents said of the records of their visits.")
async def list_household_words(
    worker: Worker,
    session: Session,
    stance: FromQuery[Literal["confirmed", "disputed"] | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[HouseholdSaid]:
    return await changes.list_said(session, worker, stance=stance, cursor=cursor, limit=limit)


@get(
    "/benefit-changes",
    responses=_SIGNED,
    description="What was granted, raised, cut and stopped. With `kind=stopped`: the register of stops.",
)
async def list_benefit_changes(
    officer: Officer,
    session: Session,
    kind: FromQuery[Kind | None] = None,
    area: AreaFilter = None,
    since: FromQuery[date | None] = None,
    until: FromQuery[date | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[BenefitLine]:
    return await register.list_benefit_changes(
        session, officer, kind=kind, area=area, since=since, until=until, cursor=cursor, limit=limit
    )


@get("/benefit-changes/totals", responses=_SIGNED, description="The sums of a period, by kind and net.")
async def sum_up_benefit_changes(
    officer: Officer, session: Session, since: FromQuery[date], until: FromQuery[date], area: AreaFilter = None
) -> Totals:
    return await register.sum_up(session, officer, area=area, since=since, until=until)


@post(
    "/benefit-changes/comparison",
    status_code=200,
    responses=_SIGNED,
    description="Where what an office announced is not what the register counts; nothing is corrected.",
)
async def compare_announced(data: JSONBody[CompareAnnounced], officer: Officer, session: Session) -> list[Mismatch]:
    return await register.compare_announced(session, officer, data)


@get(
    "/case-exports/{name:str}",
    responses=_SIGNED | FILE_ANSWER,
    response_headers=FILE_HEADERS,
    description="The same lists as a file, with Chinese headings. Saving one is written to the audit trail.",
)
async def export_case_list(
    name: FromPath[Name],
    officer: Officer,
    session: Session,
    form: Annotated[Form, QueryParameter(name="as")] = "xlsx",
    area: AreaFilter = None,
    case_state: Annotated[str | None, QueryParameter(name="state")] = None,
    urgency: FromQuery[Literal["overdue", "due", "soon"] | None] = None,
    kind: FromQuery[Kind | None] = None,
    since: FromQuery[date | None] = None,
    until: FromQuery[date | None] = None,
) -> Response[bytes]:
    asked = Filters(area, case_state, urgency, kind, since, until)
    table = await exports.export(session, officer, name, asked, form=form, now=utc_now())
    return await in_thread(answer_table, table, form)


router = Router(
    "/desk/v1",
    route_handlers=[
        list_changes,
        decide_change,
        list_household_words,
        list_benefit_changes,
        sum_up_benefit_changes,
        compare_announced,
        export_case_list,
    ],
    tags=["cases"],
    security=BEARER,
)
