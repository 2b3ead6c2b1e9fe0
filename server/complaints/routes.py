"""Routes of complaints: `/desk/v1` for officers, `/resident/v1` for own complaints, `/public/v1` for everybody."""

from typing import Any, Literal
from uuid import UUID

from litestar import Request, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody

import server.complaints.reminders  # noqa: F401  registers its job
from server.complaints import detail, handling, listing, public_status, submission
from server.complaints.columns import COMPLAINT_COLUMNS
from server.complaints.detail import ComplaintDetail
from server.complaints.due_dates import Urgency
from server.complaints.handling import (
    DecideComplaint,
    DeclineComplaint,
    ExtendComplaint,
    HandOverComplaint,
    RegisterComplaint,
)
from server.complaints.listing import ComplaintLine
from server.complaints.public_status import ComplaintStatus, LookUpComplaint
from server.complaints.submission import ComplaintReceipt, OwnComplaint, PublicComplaint, WrittenComplaint
from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    Officer,
    PageLimit,
    ResidentCaller,
    ServicesDep,
    Session,
    client_address,
    error_responses,
)
from server.core.paging import Page
from server.http.exports import FormerAddress, build_export_route
from server.http.reads import NOTHING_PERSONAL, reads

_HANDLING = SIGNED_IN_ERRORS | error_responses(
    "auth.forbidden", "complaint.handled_by_other", "complaint.against_you", "thing.not_found", "complaint.not_now"
)
State = Literal["received", "registered", "decided", "declined"]
_PUBLIC = error_responses("thing.not_found", "request.rate_limited")


@post(
    "/complaints",
    responses=LOOKUP_ERRORS,
    description="Record a complaint that came by letter, phone or in person.",
)
async def write_complaint(
    data: JSONBody[WrittenComplaint], officer: Officer, session: Session, services: ServicesDep
) -> ComplaintReceipt:
    return await submission.record_written_complaint(session, services, officer, data, utc_now())


@get(
    "/complaints",
    opt=reads("complaint"),
    responses=SIGNED_IN_ERRORS,
    description="Complaints of the caller's areas, what is due first; those still open unless a state is named. "
    "Neither who nor what.",
)
async def list_complaints(
    officer: Officer,
    session: Session,
    complaint_state: FromQuery[State | None] = None,
    area: AreaFilter = None,
    urgency: FromQuery[Urgency | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[ComplaintLine]:
    return await listing.list_complaints(
        session, officer, state=complaint_state, area=area, urgency=urgency, cursor=cursor, limit=limit, now=utc_now()
    )


export_complaints = build_export_route(
    list_complaints,
    "complaints",
    COMPLAINT_COLUMNS,
    form="xlsx",
    aliases=[FormerAddress("/complaint-export", "complaints")],
)


@get(
    "/complaints/{complaint_id:uuid}",
    opt=reads("complaint"),
    responses=LOOKUP_ERRORS | error_responses("server.value_altered"),
    description="What the caller may see of a complaint. The handler's look at its reporter is written to the audit "
    "trail.",
)
async def open_complaint(
    complaint_id: FromPath[UUID], officer: Officer, session: Session, services: ServicesDep
) -> ComplaintDetail:
    return await detail.open_complaint(session, services, officer, complaint_id, utc_now())


@post(
    "/complaints/{complaint_id:uuid}/register",
    status_code=200,
    responses=_HANDLING,
    description="Take a complaint on as its handler: the time limit of the decision starts. Repeating it changes "
    "nothing.",
)
async def register_complaint(
    complaint_id: FromPath[UUID],
    data: JSONBody[RegisterComplaint],
    officer: Officer,
    session: Session,
    services: ServicesDep,
) -> ComplaintDetail:
    return await handling.register_complaint(session, services, officer, complaint_id, data, utc_now())


@post(
    "/complaints/{complaint_id:uuid}/extend",
    status_code=200,
    responses=_HANDLING,
    description="Extend the time limit by thirty days, once, with a reason.",
)
async def extend_complaint(
    complaint_id: FromPath[UUID],
    data: JSONBody[ExtendComplaint],
    officer: Officer,
    session: Session,
    services: ServicesDep,
) -> ComplaintDetail:
    return await handling.extend_complaint(session, services, officer, complaint_id, data, utc_now())


@post(
    "/complaints/{complaint_id:uuid}/decide",
    status_code=200,
    responses=_HANDLING,
    description="Write the finding and the reply. Repeating the same changes nothing.",
)
async def decide_complaint(
    complaint_id: FromPath[UUID],
    data: JSONBody[DecideComplaint],
    officer: Officer,
    session: Session,
    services: ServicesDep,
) -> ComplaintDetail:
    return await handling.decide_complaint(session, services, officer, complaint_id, data, utc_now())


@post(
    "/complaints/{complaint_id:uuid}/decline",
    status_code=200,
    responses=_HANDLING,
    description="Close a complaint that is not for this office; the reply says who decides it.",
)
async def decline_complaint(
    complaint_id: FromPath[UUID],
    data: JSONBody[DeclineComplaint],
    officer: Officer,
    session: Session,
    services: ServicesDep,
) -> ComplaintDetail:
    return await handling.decline_complaint(session, services, officer, complaint_id, data, utc_now())


@post(
    "/complaints/{complaint_id:uuid}/hand-over",
    status_code=200,
    responses=_HANDLING,
    description="Hand a complaint to another officer of the area; from then on only they read it.",
)
async def hand_over_complaint(
    complaint_id: FromPath[UUID],
    data: JSONBody[HandOverComplaint],
    officer: Officer,
    session: Session,
    services: ServicesDep,
) -> ComplaintDetail:
    return await handling.hand_over_complaint(session, services, officer, complaint_id, data, utc_now())


@post(
    "/complaints",
    responses=LOOKUP_ERRORS | error_responses("request.rate_limited"),
    description="Make a complaint about one's own case.",
)
async def make_own_complaint(
    data: JSONBody[OwnComplaint], resident_caller: ResidentCaller, session: Session, services: ServicesDep
) -> ComplaintReceipt:
    return await submission.submit_own_complaint(session, services, resident_caller, data, utc_now())


@get(
    "/complaints",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="The caller's own complaints, with the replies.",
)
async def list_own_complaints(resident_caller: ResidentCaller, session: Session) -> list[ComplaintStatus]:
    return await public_status.list_own_complaints(session, resident_caller)


@post(
    "/complaints",
    responses=_PUBLIC,
    description="Make a complaint without signing in, anonymously or with a name. Answers a number and a code to "
    "follow it with.",
)
async def make_public_complaint(
    data: JSONBody[PublicComplaint], request: Request[Any, Any, Any], session: Session, services: ServicesDep
) -> ComplaintReceipt:
    return await submission.submit_public_complaint(
        session, services, data, address=client_address(request), now=utc_now()
    )


@post(
    "/complaints/look-up",
    status_code=200,
    responses=_PUBLIC,
    description="Where a complaint stands, by its number and code. A wrong number and a wrong code get the same "
    "answer.",
)
async def follow_complaint(
    data: JSONBody[LookUpComplaint], request: Request[Any, Any, Any], session: Session, services: ServicesDep
) -> ComplaintStatus:
    return await public_status.look_up_complaint(
        session, services, data, address=client_address(request), now=utc_now()
    )


desk_router = Router(
    "/desk/v1",
    route_handlers=[
        write_complaint,
        list_complaints,
        export_complaints,
        open_complaint,
        register_complaint,
        extend_complaint,
        decide_complaint,
        decline_complaint,
        hand_over_complaint,
    ],
    tags=["complaints"],
    security=BEARER,
)
resident_router = Router(
    "/resident/v1",
    route_handlers=[make_own_complaint, list_own_complaints],
    tags=["resident"],
    security=BEARER,
)
public_router = Router("/public/v1", route_handlers=[make_public_complaint, follow_complaint], tags=["public"])
