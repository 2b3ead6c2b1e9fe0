"""`/resident/v1`: a resident's own cases."""

from litestar import Router, get

from server.cases import resident
from server.cases.resident import CaseStatus
from server.core.wire import BEARER, ResidentCaller, Session, problems


@get(
    "/cases",
    responses=problems(
        "auth.required", "auth.token_invalid", "auth.token_expired", "auth.device_ended", "auth.forbidden"
    ),
)
async def list_own_cases(resident_caller: ResidentCaller, session: Session) -> list[CaseStatus]:
    return await resident.list_own_cases(session, resident_caller)


router = Router("/resident/v1", route_handlers=[list_own_cases], tags=["resident"], security=BEARER)
