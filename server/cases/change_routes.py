"""`/desk/v1`: what residents report, what is paid from when, and officers' lists as files."""

from datetime import date
from typing import Literal
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from server.cases import changes, register
from server.cases.changes import ChangeLine, DecideChange, HouseholdSaid
from server.cases.exports import BENEFIT_COLUMNS
from server.cases.register import BenefitLine, CompareAnnounced, Kind, Mismatch, Totals
from server.core.paging import Page
from server.core.tokens import utc_now
from server.core.wire import BEARER, AreaFilter, Officer, Session, Worker, problems
from server.models.exports import export_of, yuan

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


export_changes = export_of(
    list_changes,
    "/changes/export",
    "changes",
    {
        "申请编号": lambda one: one.application_number,
        "户主": lambda one: one.head_name,
        "行政区划代码": lambda one: one.area_code,
        "变化": lambda one: one.change.kind_zh,
        "发生日期": lambda one: one.change.happened_on,
        "居民所述": lambda one: one.change.text,
        "报告时间": lambda one: one.change.reported_at,
        "应答复日期": lambda one: one.change.due_on,
        "处理": lambda one: one.change.outcome_zh,
        "答复": lambda one: one.change.reply,
        "答复时间": lambda one: one.change.decided_at,
        "经办": lambda one: one.decided_by_name,
        "月保障金额（元）": lambda one: yuan(one.monthly_amount_fen),
    },
)


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


export_household_words = export_of(
    list_household_words,
    "/household-words/export",
    "household-words",
    {
        "申请编号": lambda one: one.application_number,
        "户主": lambda one: one.head_name,
        "行政区划代码": lambda one: one.area_code,
        "走访编号": lambda one: one.visit_id,
        "意见": lambda one: {"confirmed": "属实", "disputed": "有异议"}[one.stance],
        "居民所述": lambda one: one.text,
        "时间": lambda one: one.at,
    },
)


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


export_benefit_changes = export_of(
    list_benefit_changes, "/case-exports/benefit-changes", "benefit-changes", BENEFIT_COLUMNS, form="xlsx"
)
export_stops = export_of(
    list_benefit_changes, "/case-exports/stops", "stops", BENEFIT_COLUMNS, form="xlsx", kind="stopped"
)

router = Router(
    "/desk/v1",
    route_handlers=[
        list_changes,
        export_changes,
        decide_change,
        list_household_words,
        export_household_words,
        list_benefit_changes,
        sum_up_benefit_changes,
        compare_announced,
        export_benefit_changes,
        export_stops,
    ],
    tags=["cases"],
    security=BEARER,
)
