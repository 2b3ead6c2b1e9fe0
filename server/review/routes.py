"""`/desk/v1`: the review queue and one visit on its page, for officers and supervisors."""

from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from msgspec import Meta

from server.core.errors import Fault, Problem
from server.core.paging import Page
from server.core.tokens import utc_now
from server.core.wire import BEARER, Held, Officer, Session, problems
from server.review import queue, visit_page
from server.review.queue import Claim, Decide, Decided, QueueLine, State
from server.review.visit_page import PhotoLink, Rendition, VisitPage

_SIGNED = problems("auth.required", "auth.token_invalid", "auth.token_expired", "auth.device_ended", "auth.forbidden")
_CLAIMING = _SIGNED | problems("thing.not_found", "review.own_visit", "review.claimed_by_other", "review.decided")
Key = Annotated[str | None, HeaderParameter(name="Idempotency-Key", max_length=200)]


@get("/queue", responses=_SIGNED | problems("request.invalid"))
async def list_queue(
    officer: Officer,
    session: Session,
    queue_state: Annotated[State | None, QueryParameter(name="state")] = None,
    kind: FromQuery[str | None] = None,
    area: FromQuery[Annotated[str, Meta(pattern="^[0-9]{0,12}$")] | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[QueueLine]:
    return await queue.list_queue(
        session, officer, state=queue_state, kind=kind, area=area, cursor=cursor, limit=limit, now=utc_now()
    )


@post("/queue/claim", status_code=200, responses=_SIGNED | problems("review.queue_empty"))
async def claim_next(officer: Officer, session: Session, services: Held) -> Claim:
    return await queue.claim_next(session, officer, services.settings, utc_now())


@post("/queue/{visit_id:uuid}/claim", status_code=200, responses=_CLAIMING)
async def claim_visit(visit_id: FromPath[UUID], officer: Officer, session: Session, services: Held) -> Claim:
    return await queue.claim(session, officer, visit_id, services.settings, utc_now())


@post("/queue/{visit_id:uuid}/release", status_code=204, responses=_CLAIMING)
async def release_visit(visit_id: FromPath[UUID], officer: Officer, session: Session) -> None:
    await queue.release(session, officer, visit_id)


@post(
    "/visits/{visit_id:uuid}/decision",
    status_code=200,
    responses=_SIGNED
    | problems(
        "thing.not_found",
        "request.invalid",
        "review.own_visit",
        "review.not_claimed",
        "review.decided",
        "review.reason_required",
        "review.finding_unknown",
        "request.idempotency_key_reused",
    ),
)
async def decide_visit(
    visit_id: FromPath[UUID],
    data: JSONBody[Decide],
    officer: Officer,
    session: Session,
    idempotency_key: Key = None,
    if_match: Annotated[str | None, HeaderParameter(name="If-Match", max_length=50)] = None,
) -> Decided:
    return await queue.decide(
        session,
        officer,
        visit_id,
        data,
        version=_version(if_match),
        idempotency_key=idempotency_key,
        now=utc_now(),
    )


def _version(if_match: str | None) -> int | None:
    if if_match is None:
        return None
    try:
        return int(if_match.strip('"'))
    except ValueError:
        raise Problem("request.invalid", faults=[Fault("/If-Match", "header.invalid", if_match[:20])]) from None


@get("/visits/{visit_id:uuid}", responses=_SIGNED | problems("thing.not_found"))
async def open_visit(visit_id: FromPath[UUID], officer: Officer, session: Session) -> VisitPage:
    return await visit_page.open_visit(session, officer, visit_id)


@get(
    "/visits/{visit_id:uuid}/photos/{evidence_id:uuid}/link",
    responses=_SIGNED | problems("thing.not_found", "photo.not_ready"),
)
async def link_photo(
    visit_id: FromPath[UUID],
    evidence_id: FromPath[UUID],
    officer: Officer,
    session: Session,
    services: Held,
    rendition: FromQuery[Rendition] = "1280",
) -> PhotoLink:
    return await visit_page.link_photo(session, services, officer, visit_id, evidence_id, rendition, utc_now())


router = Router(
    "/desk/v1",
    route_handlers=[
        list_queue,
        claim_next,
        claim_visit,
        release_visit,
        decide_visit,
        open_visit,
        link_photo,
    ],
    tags=["desk"],
    security=BEARER,
)
