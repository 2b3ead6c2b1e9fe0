"""`/desk/v1/households`: one household, its versions, and the logged reveal of a sealed number."""

from uuid import UUID

from litestar import Router, get, post, put
from litestar.params import FromPath, JSONBody

from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    FieldStaff,
    IfMatch,
    ServicesDep,
    Session,
    error_responses,
    parse_if_match,
)
from server.households import detail, id_checks, register, reveal, versions
from server.households.detail import HouseholdDetail
from server.households.id_checks import CheckedIdNumber, CheckIdNumber
from server.households.register import MEMBER_CONFLICTS, ChangeHousehold
from server.households.reveal import Reveal, Revealed, RevealPhone
from server.households.versions import VersionLine
from server.http.reads import reads


@get(
    "/households/{household_id:uuid}",
    opt=reads("household"),
    responses=LOOKUP_ERRORS,
    description="One household: members, incomes, property and relatives on staff; numbers are masked.",
)
async def open_household(household_id: FromPath[UUID], field_staff: FieldStaff, session: Session) -> HouseholdDetail:
    return await detail.open_household(session, field_staff, household_id)


@put(
    "/households/{household_id:uuid}",
    responses=LOOKUP_ERRORS | error_responses("household.changed", *MEMBER_CONFLICTS),
    description="Write the household from the version that was seen (`If-Match`); the version before is kept.",
)
async def change_household(
    household_id: FromPath[UUID],
    data: JSONBody[ChangeHousehold],
    field_staff: FieldStaff,
    session: Session,
    services: ServicesDep,
    if_match: IfMatch,
) -> HouseholdDetail:
    return await register.change_household(
        session, services.encryption, field_staff, household_id, data, version=parse_if_match(if_match), now=utc_now()
    )


@get(
    "/households/{household_id:uuid}/versions",
    opt=reads("household_version"),
    responses=LOOKUP_ERRORS,
    description="Every version of a household with what it changed, the newest first.",
)
async def list_household_versions(
    household_id: FromPath[UUID], field_staff: FieldStaff, session: Session
) -> list[VersionLine]:
    return await versions.list_versions(session, field_staff, household_id)


@post(
    "/households/{household_id:uuid}/reveal",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("reveal.limit_reached", "server.value_altered"),
    description="Show a sealed number. Who, which and why is written to the audit trail.",
)
async def reveal_number(
    household_id: FromPath[UUID],
    data: JSONBody[Reveal],
    field_staff: FieldStaff,
    session: Session,
    services: ServicesDep,
) -> Revealed:
    return await reveal.reveal(session, services.encryption, field_staff, household_id, data, utc_now())


@post(
    "/households/{household_id:uuid}/phone",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("reveal.limit_reached", "server.value_altered"),
    description="Show the phone number of a home that the caller holds, to call there. Counted, limited per person and "
    "day, and written to the audit trail with its reason.",
)
async def reveal_phone(
    household_id: FromPath[UUID],
    data: JSONBody[RevealPhone],
    field_staff: FieldStaff,
    session: Session,
    services: ServicesDep,
) -> Revealed:
    return await reveal.reveal_phone(session, services.encryption, field_staff, household_id, data, utc_now())


@post(
    "/households/{household_id:uuid}/id-number-checks",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("household.id_checks_spent"),
    description="Does an ID number, as typed or scanned, match the register's of this member? Yes or no; counted, "
    "limited per person and day, and written to the audit trail.",
)
async def check_id_number(
    household_id: FromPath[UUID],
    data: JSONBody[CheckIdNumber],
    field_staff: FieldStaff,
    session: Session,
    services: ServicesDep,
) -> CheckedIdNumber:
    return await id_checks.check_id_number(session, services.encryption, field_staff, household_id, data, utc_now())


field_router = Router("/field/v1", route_handlers=[check_id_number, reveal_phone], tags=["field"], security=BEARER)
router = Router(
    "/desk/v1",
    route_handlers=[open_household, change_household, list_household_versions, reveal_number],
    tags=["cases"],
    security=BEARER,
)
