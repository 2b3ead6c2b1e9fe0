"""`/desk/v1/caseload`: assign, reassign and revoke households."""

from litestar import Router, post
from litestar.params import JSONBody

from server.core.clock import utc_now
from server.core.http import BEARER, SIGNED_IN_ERRORS, Officer, Session, error_responses
from server.households import caseload
from server.households.caseload import AssignHouseholds, CaseloadChanged, ReassignHouseholds, RevokeHouseholds

_CHANGING = SIGNED_IN_ERRORS | error_responses(
    "thing.not_found", "caseload.nothing_named", "request.invalid", "server.conflict"
)


@post(
    "/caseload/assign",
    status_code=200,
    responses=_CHANGING,
    description="Give households to a caseworker, who may share them with others. Repeating it changes nothing.",
)
async def assign_households(data: JSONBody[AssignHouseholds], officer: Officer, session: Session) -> CaseloadChanged:
    return await caseload.assign(session, officer, data, utc_now())


@post(
    "/caseload/reassign",
    status_code=200,
    responses=_CHANGING,
    description="Hand households over from one person to another: of those named, the ones that the first one holds.",
)
async def reassign_households(
    data: JSONBody[ReassignHouseholds], officer: Officer, session: Session
) -> CaseloadChanged:
    return await caseload.reassign(session, officer, data, utc_now())


@post(
    "/caseload/revoke",
    status_code=200,
    responses=_CHANGING,
    description="Take households from a person. Only that person's phones lose them, and show the reason.",
)
async def revoke_households(data: JSONBody[RevokeHouseholds], officer: Officer, session: Session) -> CaseloadChanged:
    return await caseload.revoke(session, officer, data, utc_now())


router = Router(
    "/desk/v1",
    route_handlers=[
        assign_households,
        reassign_households,
        revoke_households,
    ],
    tags=["desk"],
    security=BEARER,
)
