"""The route of the desk that enters a visit from a paper form."""

from litestar import Router, post
from litestar.params import JSONBody

from server.core.clock import utc_now
from server.core.http import BEARER, SIGNED_IN_ERRORS, Officer, ServicesDep, Session, error_responses
from server.review import paper_visits
from server.review.paper_visits import EnterPaperVisit, PaperVisitEntered


@post(
    "/paper-visits",
    status_code=200,
    responses=SIGNED_IN_ERRORS
    | error_responses(
        "thing.not_found",
        "request.invalid",
        "request.idempotency_key_reused",
        "household.merged",
        "case.own_relative",
        "visit.household_unknown",
        "visit.checklist_unknown",
        "visit.investigator_unknown",
        "visit.one_investigator",
        "visit.remote_without_reason",
        "visit.photo_listed_twice",
        "visit.answers_invalid",
        "visit.paper_spot_check",
        "photo.empty",
        "server.conflict",
    ),
    description="Enter a visit from a paper form, with the photos of the form; their bytes follow by "
    "`POST /field/v1/photos`. It counts like any other, stays marked, and is complete once its photos are in and every "
    "investigator but the typist has attested it on their own phone. Repeating it changes nothing.",
)
async def enter_paper_visit(
    data: JSONBody[EnterPaperVisit], officer: Officer, session: Session, services: ServicesDep
) -> PaperVisitEntered:
    return await paper_visits.enter_paper_visit(session, services, officer, data, utc_now())


router = Router("/desk/v1", route_handlers=[enter_paper_visit], tags=["desk"], security=BEARER)
