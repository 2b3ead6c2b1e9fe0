"""`/desk/v1/standard-raises`: raising the standard of an area, from its preview to its undoing."""

from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from server.cases import raise_listing, raise_poster, standard_raises
from server.cases.raise_listing import RAISE_COLUMNS, LinePart, RaiseLine, StandardRaiseInfo
from server.cases.standard_raises import DecideRaise, ProposeRaise, UndoRaiseBody
from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    Officer,
    PageLimit,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.core.pdf import PDF
from server.http.exports import build_export_route, fen_to_yuan
from server.http.reads import NOTHING_PERSONAL, reads

_STATE_TEXTS = {
    "previewing": "正在测算",
    "ready": "待另一人确认",
    "declined": "未采纳",
    "applying": "正在调整",
    "applied": "已调整",
    "undoing": "正在撤销",
    "undone": "已撤销",
}


@get(
    "/standard-raises",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="Raises of the standard that concern the caller's areas, the latest first, each with its totals.",
)
async def list_standard_raises(
    officer: Officer, session: Session, cursor: FromQuery[str | None] = None, limit: PageLimit = 20
) -> Page[StandardRaiseInfo]:
    return await raise_listing.list_raises(session, officer, cursor=cursor, limit=limit, now=utc_now())


export_standard_raises = build_export_route(
    list_standard_raises,
    "standard-raises",
    {
        "地区": lambda item: item.area_name,
        "行政区划代码": lambda item: item.area_code,
        "生效月份": lambda item: f"{item.month:%Y-%m}",
        "城市原标准（元）": lambda item: fen_to_yuan(item.urban_before_fen),
        "城市新标准（元）": lambda item: fen_to_yuan(item.urban_fen),
        "农村原标准（元）": lambda item: fen_to_yuan(item.rural_before_fen),
        "农村新标准（元）": lambda item: fen_to_yuan(item.rural_fen),
        "依据": lambda item: item.document,
        "状态": lambda item: _STATE_TEXTS[item.state],
        "户数": lambda item: item.counts.homes,
        "增加户数": lambda item: item.counts.more,
        "每月增加（元）": lambda item: fen_to_yuan(item.counts.cost_fen),
        "需人工处理户数": lambda item: item.counts.odd,
        "提出人": lambda item: item.proposed_by,
        "确认人": lambda item: item.decided_by,
    },
    form="xlsx",
)


@post(
    "/standard-raises",
    responses=SIGNED_IN_ERRORS
    | error_responses(
        "thing.not_found",
        "case.standard_missing",
        "raise.later_standard",
        "raise.open",
        "request.idempotency_key_reused",
    ),
    description="Propose a new standard of an area from a month on; its preview is then calculated. Nothing is paid by "
    "it until another person confirms. The same proposal again changes nothing.",
)
async def propose_standard_raise(data: JSONBody[ProposeRaise], officer: Officer, session: Session) -> StandardRaiseInfo:
    return await standard_raises.propose_raise(session, officer, data, utc_now())


@get(
    "/standard-raises/{raise_id:uuid}",
    opt=NOTHING_PERSONAL,
    responses=LOOKUP_ERRORS,
    description="A raise with its totals: homes, cost a month, what a person must look at.",
)
async def show_standard_raise(raise_id: FromPath[UUID], officer: Officer, session: Session) -> StandardRaiseInfo:
    return await raise_listing.load_raise(session, officer, raise_id, utc_now())


@get(
    "/standard-raises/{raise_id:uuid}/lines",
    opt=reads("case"),
    responses=SIGNED_IN_ERRORS,
    description="Each home of a raise in the caller's areas, before and after; odd ones first.",
)
async def list_standard_raise_lines(
    raise_id: FromPath[UUID],
    officer: Officer,
    session: Session,
    part: FromQuery[LinePart | None] = None,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[RaiseLine]:
    return await raise_listing.list_raise_lines(
        session, officer, raise_id, part=part, area=area, cursor=cursor, limit=limit
    )


export_standard_raise_lines = build_export_route(
    list_standard_raise_lines, "standard-raise-lines", RAISE_COLUMNS, form="xlsx"
)


@post(
    "/standard-raises/{raise_id:uuid}/decision",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses("rule.second_person", "rule.written", "raise.not_ready", "review.reason_required"),
    description="Confirm a raise as the second person, which writes the standard and changes the homes' amounts, or "
    "decline it with a reason. Repeating it changes nothing.",
)
async def decide_standard_raise(
    raise_id: FromPath[UUID], data: JSONBody[DecideRaise], officer: Officer, session: Session
) -> StandardRaiseInfo:
    return await standard_raises.decide_raise(session, officer, raise_id, data, utc_now())


@post(
    "/standard-raises/{raise_id:uuid}/undo",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses("raise.not_ready", "raise.month_begun", "raise.roster_frozen", "review.reason_required"),
    description="Undo an applied raise before its month begins and before a roster of it is frozen: the first person "
    "proposes it with a reason, another undoes it. Decisions made on a home since then stand.",
)
async def undo_standard_raise(
    raise_id: FromPath[UUID], data: JSONBody[UndoRaiseBody], officer: Officer, session: Session
) -> StandardRaiseInfo:
    return await standard_raises.undo_raise(session, officer, raise_id, data, utc_now())


@get(
    "/standard-raises/{raise_id:uuid}/poster",
    opt=NOTHING_PERSONAL,
    media_type=PDF,
    responses=LOOKUP_ERRORS | error_responses("raise.not_ready", "print.characters_missing"),
    description="The poster of a confirmed raise as a PDF: the standard before and after, and how many homes are paid "
    "more. It names nobody.",
)
async def print_raise_poster(raise_id: FromPath[UUID], officer: Officer, session: Session) -> bytes:
    return await raise_poster.print_raise_poster(session, officer, raise_id, utc_now())


router = Router(
    "/desk/v1",
    route_handlers=[
        list_standard_raises,
        export_standard_raises,
        propose_standard_raise,
        show_standard_raise,
        list_standard_raise_lines,
        export_standard_raise_lines,
        decide_standard_raise,
        undo_standard_raise,
        print_raise_poster,
    ],
    tags=["cases"],
    security=BEARER,
)
