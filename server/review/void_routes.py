"""Routes that void a visit: `/field/v1` for its author, `/desk/v1` for officers."""

from uuid import UUID

from litestar import Router, post
from litestar.params import FromPath, JSONBody

from server.core.clock import utc_now
from server.core.http import BEARER, SIGNED_IN_ERRORS, FieldStaff, Officer, Session, error_responses
from server.review import voiding
from server.review.voiding import VoidVisit, VoidVisitAtDesk

_ERRORS = ("thing.not_found", "auth.forbidden", "request.invalid", "visit.not_submitted", "visit.compared")


@post(
    "/visits/{visit_id:uuid}/void",
    status_code=204,
    responses=SIGNED_IN_ERRORS | error_responses(*_ERRORS, "visit.in_review"),
    description="Its author voids a visit made at the wrong home or by mistake, while nobody reviews it. It stays "
    "readable, counts for nothing, and its order is open again. Repeating it changes nothing.",
)
async def void_own_visit(
    visit_id: FromPath[UUID], data: JSONBody[VoidVisit], field_staff: FieldStaff, session: Session
) -> None:
    await voiding.void_own_visit(session, field_staff, visit_id, data.reason, utc_now())


@post(
    "/visits/{visit_id:uuid}/void",
    status_code=204,
    responses=SIGNED_IN_ERRORS
    | error_responses(
        *_ERRORS,
        "review.own_visit",
        "review.relative",
        "review.blind",
        "visit.void_takes_back",
        "visit.withdrawal_waits",
    ),
    description="An officer voids a visit, with a reason; a decided one is voided by who may reopen it. Figures that "
    "the register has adopted from it go back only with `takesBackFigures`, by a second person where a payment was "
    "decided on since. What the case did stays.",
)
async def void_visit(
    visit_id: FromPath[UUID], data: JSONBody[VoidVisitAtDesk], officer: Officer, session: Session
) -> None:
    await voiding.void_visit(session, officer, visit_id, data, utc_now())


field_router = Router("/field/v1", route_handlers=[void_own_visit], tags=["field"], security=BEARER)
desk_router = Router("/desk/v1", route_handlers=[void_visit], tags=["desk"], security=BEARER)
