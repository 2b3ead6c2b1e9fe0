"""`/desk/v1/cases/{id}/found-figures`, `…/difference-reasons` and `/desk/v1/recommendations`."""

from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from server.cases import difference_reasons, found_figures, recommendations
from server.cases.difference_reasons import DifferenceReasonLine, WriteDifferenceReason
from server.cases.found_figures import AdoptFigure, DeclineFigure, FoundAgainstRecord
from server.cases.recommendations import Recommendation, RecommendationCounts, RecommendationLine
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
from server.http.exports import build_export_route, fen_to_yuan
from server.http.reads import NOTHING_PERSONAL, reads

_LINE_ERRORS = LOOKUP_ERRORS | error_responses(
    "case.own_relative", "case.reason_required", "found_figure.not_current", "found_figure.decided"
)


@get(
    "/cases/{case_id:uuid}/found-figures",
    opt=reads("case"),
    responses=LOOKUP_ERRORS | error_responses("case.own_relative"),
    description="Found against record: what the newest accepted visits found for a case, and what the register says.",
)
async def list_found_figures(case_id: FromPath[UUID], officer: Officer, session: Session) -> FoundAgainstRecord:
    return await found_figures.list_found_figures(session, officer, case_id, utc_now())


@post(
    "/cases/{case_id:uuid}/found-figures/{figure_id:uuid}/adoption",
    status_code=200,
    responses=_LINE_ERRORS | error_responses("found_figure.total_adopted"),
    description="Adopt a line: it replaces what was declared of its kind, with the visit as its source. For a "
    "recommendation, note what was done; `ordersVisit` sends somebody there again. Repeating it changes nothing.",
)
async def adopt_found_figure(
    case_id: FromPath[UUID],
    figure_id: FromPath[UUID],
    data: JSONBody[AdoptFigure],
    officer: Officer,
    session: Session,
) -> FoundAgainstRecord:
    return await found_figures.adopt_found_figure(session, officer, case_id, figure_id, data, utc_now())


@post(
    "/cases/{case_id:uuid}/found-figures/{figure_id:uuid}/refusal",
    status_code=200,
    responses=_LINE_ERRORS,
    description="Write why a line is not adopted. Repeating it changes nothing.",
)
async def decline_found_figure(
    case_id: FromPath[UUID],
    figure_id: FromPath[UUID],
    data: JSONBody[DeclineFigure],
    officer: Officer,
    session: Session,
) -> FoundAgainstRecord:
    return await found_figures.decline_found_figure(session, officer, case_id, figure_id, data, utc_now())


@post(
    "/cases/{case_id:uuid}/difference-reasons",
    responses=LOOKUP_ERRORS
    | error_responses(
        "case.own_relative",
        "case.reason_required",
        "case.no_difference",
        "case.difference_explained",
        "request.idempotency_key_reused",
    ),
    description="Write why a decision stands although an accepted visit found other incomes. The resident reads it; "
    "another person approves it. The same id again is the same reason.",
)
async def write_difference_reason(
    case_id: FromPath[UUID], data: JSONBody[WriteDifferenceReason], officer: Officer, session: Session
) -> DifferenceReasonLine:
    return await difference_reasons.write_difference_reason(session, officer, case_id, data, utc_now())


@post(
    "/cases/{case_id:uuid}/difference-reasons/{reason_id:uuid}/approval",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("case.own_relative", "case.second_person"),
    description="Approve a reason as the second person. Repeating it changes nothing.",
)
async def approve_difference_reason(
    case_id: FromPath[UUID], reason_id: FromPath[UUID], officer: Officer, session: Session
) -> DifferenceReasonLine:
    return await difference_reasons.approve_difference_reason(session, officer, case_id, reason_id, utc_now())


@get(
    "/recommendations",
    opt=reads("case"),
    responses=SIGNED_IN_ERRORS,
    description="What review visits recommend and nobody has acted on: raise, cut, stop, check, urgent help.",
)
async def list_recommendations(
    officer: Officer,
    session: Session,
    recommendation: FromQuery[Recommendation | None] = None,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[RecommendationLine]:
    return await recommendations.list_recommendations(
        session, officer, recommendation=recommendation, area=area, cursor=cursor, limit=limit
    )


@get(
    "/recommendations/counts",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="How many recommendations of review visits nobody has acted on, and since when the oldest waits.",
)
async def count_recommendations(officer: Officer, session: Session, area: AreaFilter = None) -> RecommendationCounts:
    return await recommendations.count_recommendations(session, officer, area=area)


export_recommendations = build_export_route(
    list_recommendations,
    "recommendations",
    {
        "建议": lambda line: line.zh,
        "申请编号": lambda line: line.application_number,
        "户主": lambda line: line.head_name,
        "行政区划代码": lambda line: line.area_code,
        "走访时间": lambda line: line.visited_at,
        "待处理起": lambda line: line.waiting_since,
        "月保障金额（元）": lambda line: fen_to_yuan(line.amount_fen),
        "已由谁提出": lambda line: line.proposed_by_name,
    },
)


router = Router(
    "/desk/v1",
    route_handlers=[
        list_found_figures,
        adopt_found_figure,
        decline_found_figure,
        write_difference_reason,
        approve_difference_reason,
        list_recommendations,
        count_recommendations,
        export_recommendations,
    ],
    tags=["cases"],
    security=BEARER,
)
