"""`/desk/v1`: caseloads, the phones of the office, and what their sync left over."""

from typing import Annotated

from litestar import Router, get, post
from litestar.params import FromQuery, JSONBody, QueryParameter

from server.caseload import devices, kept, operations
from server.caseload.devices import DeviceHealth
from server.caseload.kept import KeptAs, KeptLine
from server.caseload.operations import AssignHouseholds, CaseloadChanged, ReassignHouseholds, RevokeHouseholds
from server.core.paging import Page
from server.core.tokens import utc_now
from server.core.wire import BEARER, Officer, Session, problems

_SIGNED = problems("auth.required", "auth.token_invalid", "auth.token_expired", "auth.device_ended", "auth.forbidden")
_CHANGING = _SIGNED | problems("thing.not_found", "caseload.nothing_named", "request.invalid", "server.conflict")


@post("/caseload/assign", status_code=200, responses=_CHANGING)
async def assign_households(data: JSONBody[AssignHouseholds], officer: Officer, session: Session) -> CaseloadChanged:
    return await operations.assign(session, officer, data, utc_now())


@post("/caseload/reassign", status_code=200, responses=_CHANGING)
async def reassign_households(
    data: JSONBody[ReassignHouseholds], officer: Officer, session: Session
) -> CaseloadChanged:
    return await operations.reassign(session, officer, data, utc_now())


@post("/caseload/revoke", status_code=200, responses=_CHANGING)
async def revoke_households(data: JSONBody[RevokeHouseholds], officer: Officer, session: Session) -> CaseloadChanged:
    return await operations.revoke(session, officer, data, utc_now())


@get("/devices", responses=_SIGNED | problems("request.invalid"))
async def list_office_devices(
    officer: Officer, session: Session, cursor: FromQuery[str | None] = None, limit: FromQuery[int] = 50
) -> Page[DeviceHealth]:
    return await devices.list_devices(session, officer, cursor=cursor, limit=limit)


@get("/kept-rows", responses=_SIGNED | problems("request.invalid"))
async def list_kept_rows(
    officer: Officer,
    session: Session,
    kept_as: Annotated[KeptAs | None, QueryParameter(name="keptAs")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[KeptLine]:
    return await kept.list_kept_rows(session, officer, kept_as=kept_as, cursor=cursor, limit=limit)


router = Router(
    "/desk/v1",
    route_handlers=[
        assign_households,
        reassign_households,
        revoke_households,
        list_office_devices,
        list_kept_rows,
    ],
    tags=["desk"],
    security=BEARER,
)
