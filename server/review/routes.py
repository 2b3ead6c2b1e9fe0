"""`/desk/v1`: the review queue, leases, decisions and one visit in detail, for officers and supervisors."""

from typing import Annotated
from uuid import UUID

from litestar import Router, delete, get, post, put
from litestar.datastructures import State as LitestarState
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, PathParameter, QueryParameter
from litestar.response import Stream

from server.checklists.template import VisitKind
from server.checklists.wording import visit_kind_text
from server.core.access import REVIEW_ROLES, require_role
from server.core.clock import utc_now
from server.core.errors import Fault, Problem
from server.core.http import (
    BEARER,
    SIGNED_IN_ERRORS,
    AreaFilter,
    Officer,
    PageLimit,
    ServicesDep,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.http.exports import FormerAddress, build_export_route
from server.http.reads import NOTHING_PERSONAL, reads
from server.review import (
    bulk_acceptance,
    decisions,
    incomplete_visits,
    leases,
    photo_links,
    queue,
    reversals,
    visit_detail,
)
from server.review.bulk_acceptance import AcceptMany, BulkAcceptance
from server.review.decisions import DecideVisit, DecisionDetail
from server.review.incomplete_visits import IncompleteVisitLine
from server.review.leases import HandOverLease, ReviewLease
from server.review.live import QueueWatch
from server.review.photo_links import DrawWatermark, PhotoLink, Rendition
from server.review.queue import NamedView, QueueCounts, QueueFilters, QueueLine, Severity, State
from server.review.reversals import ReopenVisit
from server.review.visit_detail import PastFinding, VisitDetail

_CLAIMING = SIGNED_IN_ERRORS | error_responses(
    "thing.not_found",
    "auth.forbidden",
    "review.own_visit",
    "review.relative",
    "review.blind",
    "review.claimed_by_other",
    "review.decided",
    "review.not_claimed",
)
Key = Annotated[str | None, HeaderParameter(name="Idempotency-Key", max_length=200)]
QueueState = Annotated[State | None, QueryParameter(name="state")]
AuthorId = Annotated[UUID | None, QueryParameter(name="authorId")]
WaitedH = Annotated[
    int | None,
    QueryParameter(name="waitedH", ge=0, le=100_000, description="In the queue for at least this many hours."),
]
WaitedDays = Annotated[
    int, QueryParameter(name="waitedDays", ge=0, le=3650, description="Submitted at least this many days ago.")
]
ViewName = Annotated[str, PathParameter(min_length=1, max_length=80)]


@get(
    "/queue",
    opt=reads("visit"),
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="Visits that await the caller's review, the longest waiting first; findings count as days of waiting.",
)
async def list_queue(
    officer: Officer,
    session: Session,
    queue_state: QueueState = None,
    kind: FromQuery[VisitKind | None] = None,
    area: AreaFilter = None,
    author_id: AuthorId = None,
    finding: FromQuery[str | None] = None,
    severity: FromQuery[Severity | None] = None,
    waited_h: WaitedH = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[QueueLine]:
    filters = QueueFilters(
        state=queue_state,
        kind=kind,
        area=area,
        author_id=author_id,
        finding=finding,
        severity=severity,
        waited_h=waited_h,
    )
    return await queue.list_queue(session, officer, filters, cursor=cursor, limit=limit, now=utc_now())


export_queue = build_export_route(
    list_queue,
    "queue",
    {
        "走访编号": lambda line: line.visit_id,
        "走访类型": lambda line: visit_kind_text(line.kind).zh,
        "户主": lambda line: line.head_name,
        "所在地": lambda line: line.area_name,
        "行政区划代码": lambda line: line.area_code,
        "走访人": lambda line: line.author_name,
        "走访时间": lambda line: line.started_at,
        "进入队列": lambda line: line.entered_at,
        "优先级": lambda line: line.priority,
        "状态": lambda line: {"waiting": "待审核", "claimed": "审核中", "decided": "已决定"}[line.state],
        "审核人": lambda line: line.holder_name,
        "领取至": lambda line: line.lease_until,
        "疑点": lambda line: line.finding_codes,
    },
    aliases=[FormerAddress("/exports/queue", "queue")],
)


@get(
    "/queue/counts",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="How many visits wait, are claimed and are decided, by the same filters as the list.",
)
async def count_queue(
    officer: Officer,
    session: Session,
    kind: FromQuery[VisitKind | None] = None,
    area: AreaFilter = None,
    author_id: AuthorId = None,
    finding: FromQuery[str | None] = None,
    severity: FromQuery[Severity | None] = None,
    waited_h: WaitedH = None,
) -> QueueCounts:
    filters = QueueFilters(
        kind=kind, area=area, author_id=author_id, finding=finding, severity=severity, waited_h=waited_h
    )
    return await queue.count_queue(session, officer, filters, utc_now())


@get(
    "/queue/stream",
    opt=NOTHING_PERSONAL,
    media_type="text/event-stream",
    responses=SIGNED_IN_ERRORS,
    description="Server-sent events `changed`: a change of a queued visit in the caller's areas. "
    "A comment every 20 seconds keeps the connection open.",
)
async def stream_queue(officer: Officer, services: ServicesDep, state: LitestarState) -> Stream:
    require_role(officer, REVIEW_ROLES)
    watch: QueueWatch = state.setdefault("queue_watch", None) or QueueWatch(services)
    state.queue_watch = watch
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return Stream(watch.stream(officer), media_type="text/event-stream", headers=headers)


@get(
    "/arriving-visits",
    opt=reads("visit"),
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="Submitted visits that are incomplete: who has not attested, how many photos are missing.",
)
async def list_arriving_visits(
    officer: Officer,
    session: Session,
    area: AreaFilter = None,
    waited_days: WaitedDays = 0,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[IncompleteVisitLine]:
    return await incomplete_visits.list_incomplete_visits(
        session, officer, area=area, waited_days=waited_days, cursor=cursor, limit=limit, now=utc_now()
    )


export_arriving_visits = build_export_route(
    list_arriving_visits,
    "arriving-visits",
    {
        "走访编号": lambda line: line.visit_id,
        "走访类型": lambda line: visit_kind_text(line.kind).zh,
        "户主": lambda line: line.head_name,
        "所在地": lambda line: line.area_name,
        "行政区划代码": lambda line: line.area_code,
        "走访人": lambda line: line.author_name,
        "提交时间": lambda line: line.submitted_at,
        "已等天数": lambda line: line.waited_days,
        "未确认的调查人员": lambda line: line.unattested,
        "照片": lambda line: line.photos,
        "未收到的照片": lambda line: line.missing_photos,
    },
)


@get(
    "/queue/views",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="The filters that the caller has saved under a name.",
)
async def list_views(officer: Officer, session: Session) -> list[NamedView]:
    return await queue.list_views(session, officer)


@put(
    "/queue/views/{name:str}",
    responses=SIGNED_IN_ERRORS,
    description="Save filters of the queue under a name. The same name again replaces them.",
)
async def save_view(name: ViewName, data: JSONBody[QueueFilters], officer: Officer, session: Session) -> NamedView:
    return await queue.save_view(session, officer, name, data, utc_now())


@delete(
    "/queue/views/{name:str}",
    responses=SIGNED_IN_ERRORS,
    description="Delete saved filters.",
)
async def forget_view(name: ViewName, officer: Officer, session: Session) -> None:
    await queue.delete_view(session, officer, name)


@post(
    "/queue/claim",
    status_code=200,
    responses=SIGNED_IN_ERRORS | error_responses("review.queue_empty"),
    description="Lease the first free visit that fits the filters.",
)
async def claim_next(
    officer: Officer,
    services: ServicesDep,
    kind: FromQuery[VisitKind | None] = None,
    area: AreaFilter = None,
    author_id: AuthorId = None,
    finding: FromQuery[str | None] = None,
    severity: FromQuery[Severity | None] = None,
    waited_h: WaitedH = None,
) -> ReviewLease:
    filters = QueueFilters(
        kind=kind, area=area, author_id=author_id, finding=finding, severity=severity, waited_h=waited_h
    )
    return await leases.claim_next(services, officer, filters, utc_now())


@post(
    "/queue/accept",
    status_code=200,
    responses=SIGNED_IN_ERRORS,
    description="Accept visits without findings, except those that their area's `review.bulk_tolerates` lists; "
    "each visit has its own result.",
)
async def accept_many(data: JSONBody[AcceptMany], officer: Officer, session: Session) -> list[BulkAcceptance]:
    return await bulk_acceptance.accept_many(session, officer, data.visit_ids, utc_now())


@post(
    "/queue/{visit_id:uuid}/claim",
    status_code=200,
    responses=_CLAIMING,
    description="Lease a visit to the caller for review, or renew the caller's own lease. Refused for a visit of the "
    "caller's own, of a relative, or one that the caller is to check blindly.",
)
async def claim_visit(
    visit_id: FromPath[UUID], officer: Officer, session: Session, services: ServicesDep
) -> ReviewLease:
    return await leases.claim_visit(session, officer, visit_id, services.settings, utc_now())


@post(
    "/queue/{visit_id:uuid}/heartbeat",
    operation_id="keep_claim",
    status_code=200,
    responses=_CLAIMING,
    description="Renew the lease while the page is open. An error says that it was lost, and to whom.",
)
async def renew_lease(
    visit_id: FromPath[UUID], officer: Officer, session: Session, services: ServicesDep
) -> ReviewLease:
    return await leases.renew_lease(session, officer, visit_id, services.settings, utc_now())


@post(
    "/queue/{visit_id:uuid}/release",
    status_code=204,
    responses=_CLAIMING,
    description="Give a lease back. Giving back what one does not hold changes nothing.",
)
async def release_visit(visit_id: FromPath[UUID], officer: Officer, session: Session) -> None:
    await leases.release_lease(session, officer, visit_id, utc_now())


@post(
    "/queue/{visit_id:uuid}/hand-over",
    status_code=200,
    responses=_CLAIMING | error_responses("review.holder_unfit"),
    description="Pass the caller's lease to a colleague who may decide on the visit.",
)
async def hand_over_visit(
    visit_id: FromPath[UUID], data: JSONBody[HandOverLease], officer: Officer, session: Session, services: ServicesDep
) -> ReviewLease:
    return await leases.hand_over_lease(session, officer, visit_id, data.to_staff_id, services.settings, utc_now())


@post(
    "/visits/{visit_id:uuid}/decision",
    status_code=200,
    responses=SIGNED_IN_ERRORS
    | error_responses(
        "thing.not_found",
        "request.invalid",
        "auth.forbidden",
        "review.own_visit",
        "review.relative",
        "review.blind",
        "review.not_claimed",
        "review.claimed_by_other",
        "review.decided",
        "review.reason_required",
        "review.findings_not_judged",
        "review.finding_unknown",
        "request.idempotency_key_reused",
    ),
    description="Decide a visit that the caller holds, from the version that was seen (`If-Match`). The same "
    "`Idempotency-Key` and content get the same answer again; other content is refused.",
)
async def decide_visit(
    visit_id: FromPath[UUID],
    data: JSONBody[DecideVisit],
    officer: Officer,
    session: Session,
    idempotency_key: Key = None,
    if_match: Annotated[str | None, HeaderParameter(name="If-Match", max_length=50)] = None,
) -> DecisionDetail:
    return await decisions.decide(
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


@post(
    "/visits/{visit_id:uuid}/decision/undo",
    status_code=200,
    responses=_CLAIMING | error_responses("review.own_visit", "review.not_decided", "review.undo_too_late"),
    description="Take the caller's own decision back while it is not final; the visit is then claimed again.",
)
async def undo_decision(
    visit_id: FromPath[UUID], officer: Officer, session: Session, services: ServicesDep
) -> ReviewLease:
    return await reversals.undo_decision(session, officer, visit_id, services.settings, utc_now())


@post(
    "/visits/{visit_id:uuid}/reopen",
    status_code=204,
    responses=SIGNED_IN_ERRORS
    | error_responses(
        "thing.not_found",
        "auth.forbidden",
        "review.own_visit",
        "review.relative",
        "review.blind",
        "review.not_decided",
        "visit.withdrawal_waits",
    ),
    description="A supervisor puts a decided visit before a reviewer again; a second person does where a payment was "
    "decided by its figures. What the case did stays.",
)
async def reopen_visit(
    visit_id: FromPath[UUID], data: JSONBody[ReopenVisit], officer: Officer, session: Session
) -> None:
    await reversals.reopen_visit(session, officer, visit_id, data.reason, utc_now())


@get(
    "/visits/{visit_id:uuid}",
    opt=reads("visit"),
    responses=SIGNED_IN_ERRORS | error_responses("thing.not_found", "auth.forbidden", "review.blind"),
    description="A visit for review: answers, photos, findings, the household and what went before.",
)
async def open_visit(visit_id: FromPath[UUID], officer: Officer, session: Session) -> VisitDetail:
    return await visit_detail.open_visit(session, officer, visit_id)


@get(
    "/visits/{visit_id:uuid}/findings/history",
    opt=reads("finding"),
    responses=SIGNED_IN_ERRORS | error_responses("thing.not_found", "auth.forbidden", "review.blind"),
    description="Every finding that a visit ever had, the latest first: those that stand and those that no longer "
    "hold.",
)
async def list_finding_history(visit_id: FromPath[UUID], officer: Officer, session: Session) -> list[PastFinding]:
    return await visit_detail.list_finding_history(session, officer, visit_id)


@get(
    "/visits/{visit_id:uuid}/photos/{evidence_id:uuid}/link",
    opt=reads("photo"),
    responses=SIGNED_IN_ERRORS
    | error_responses(
        "thing.not_found", "auth.forbidden", "review.blind", "photo.not_ready", "photo.erased", "store.unavailable"
    ),
    description="A link of minutes to one rendition of a photo. Who opened it is written to the audit trail.",
)
async def link_photo(
    visit_id: FromPath[UUID],
    evidence_id: FromPath[UUID],
    officer: Officer,
    session: Session,
    services: ServicesDep,
    draw_watermark: NamedDependency[DrawWatermark],
    rendition: FromQuery[Rendition] = "1280",
) -> PhotoLink:
    return await photo_links.link_photo(
        session, services, officer, visit_id, evidence_id, rendition, draw_watermark, utc_now()
    )


router = Router(
    "/desk/v1",
    route_handlers=[
        list_queue,
        export_queue,
        count_queue,
        stream_queue,
        list_arriving_visits,
        export_arriving_visits,
        list_views,
        save_view,
        forget_view,
        claim_next,
        accept_many,
        claim_visit,
        renew_lease,
        release_visit,
        hand_over_visit,
        decide_visit,
        undo_decision,
        reopen_visit,
        open_visit,
        list_finding_history,
        link_photo,
    ],
    tags=["desk"],
    security=BEARER,
)
