"""`/desk/v1`: the registers a desk looks things up in: areas, staff, homes, checklists, the audit trail."""

from typing import Annotated
from uuid import UUID

from litestar import Router, get
from litestar.params import FromPath, FromQuery, QueryParameter

from server.core.access import require
from server.core.paging import Page
from server.core.wire import BEARER, Answer, AreaFilter, CallerDep, Held, Officer, Session, Words, problems
from server.registers import forms, homes, people, trail
from server.registers.forms import ChecklistLine, ChecklistPage
from server.registers.homes import HomeLine, HomeRecord, HouseholdClass
from server.registers.people import REGISTER_ROLES, AreaLine, StaffLine
from server.registers.trail import TrailLine

_SIGNED = problems("auth.required", "auth.token_invalid", "auth.token_expired", "auth.device_ended", "auth.forbidden")
_FINDING = _SIGNED | problems("thing.not_found")
_LISTING = _SIGNED | problems("request.invalid")
ClassQuery = Annotated[HouseholdClass | None, QueryParameter(name="class")]


class MapSource(Answer):
    """Where a desk's map takes its tiles from; null: a map without a ground, which needs no server but this one."""

    tiles: str | None
    datum: str


@get("/map", responses=_SIGNED)
async def show_map_source(caller: CallerDep, services: Held) -> MapSource:
    require(caller, REGISTER_ROLES)
    return MapSource(tiles=services.settings.map_tiles or None, datum=services.settings.map_datum)


@get("/areas", responses=_SIGNED)
async def list_areas(caller: CallerDep, session: Session, under: AreaFilter = None) -> list[AreaLine]:
    return await people.list_areas(session, caller, under)


@get("/staff", responses=_LISTING)
async def list_staff(
    caller: CallerDep,
    session: Session,
    area: AreaFilter = None,
    q: Words = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[StaffLine]:
    return await people.list_staff(session, caller, area=area, q=q, cursor=cursor, limit=limit)


@get("/households", responses=_LISTING)
async def list_households(
    officer: Officer,
    session: Session,
    area: AreaFilter = None,
    household_class: ClassQuery = None,
    q: Words = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[HomeLine]:
    return await homes.list_homes(session, officer, area=area, class_=household_class, q=q, cursor=cursor, limit=limit)


@get("/households/{household_id:uuid}/record", responses=_FINDING)
async def open_household_record(household_id: FromPath[UUID], officer: Officer, session: Session) -> HomeRecord:
    return await homes.open_record(session, officer, household_id)


@get("/checklists", responses=_SIGNED)
async def list_checklists(caller: CallerDep, session: Session) -> list[ChecklistLine]:
    return await forms.list_checklists(session, caller)


@get("/checklists/{code:str}/{version:int}", responses=_FINDING)
async def open_checklist(
    code: FromPath[str], version: FromPath[int], caller: CallerDep, session: Session
) -> ChecklistPage:
    return await forms.open_checklist(session, caller, code, version)


@get("/audit", responses=_LISTING)
async def list_audit_trail(
    caller: CallerDep,
    session: Session,
    actor_id: Annotated[UUID | None, QueryParameter(name="actorId")] = None,
    action: Words = None,
    thing_id: Annotated[str | None, QueryParameter(name="thingId")] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[TrailLine]:
    return await trail.list_trail(
        session, caller, actor_id=actor_id, action=action, thing_id=thing_id, cursor=cursor, limit=limit
    )


router = Router(
    "/desk/v1",
    route_handlers=[
        show_map_source,
        list_areas,
        list_staff,
        list_households,
        open_household_record,
        list_checklists,
        open_checklist,
        list_audit_trail,
    ],
    tags=["registers"],
    security=BEARER,
)
