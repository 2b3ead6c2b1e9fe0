"""The read trail as auditors read it: who looked at whom, by reader, household and day. Reading it leaves a line."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, String, cast, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from server.audit.reads import ReadAction
from server.core.access import Caller, in_areas, readable, require_found, require_role
from server.core.clock import CHINA
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.directory.audit_log import AUDIT_ROLES
from server.models.areas import Area
from server.models.audit import ReadEntry
from server.models.cases import CaseFile, PaperPhoto
from server.models.evidence import Evidence
from server.models.hearings import Hearing
from server.models.households import Household
from server.models.people import Staff, StaffRole
from server.models.visits import Visit

_NEWEST_FIRST = Keyset(ReadEntry.at, ReadEntry.id, descending=True)


class ReadLine(ResponseBody):
    """One look. The household is that of what was opened, if the caller may see it; a list or a pull names none.

    `actor_name` is null for a resident. `shown` counts rows.
    """

    id: int
    at: datetime
    actor_kind: str
    actor_id: UUID
    actor_name: str | None
    action: str
    thing_kind: str
    thing_id: str | None
    area_code: str | None
    area_name: str | None
    shown: int
    filters: dict[str, Any]
    household_id: UUID | None = None
    household_number: str | None = None
    head_name: str | None = None


async def list_looks(
    session: AsyncSession,
    caller: Caller,
    *,
    actor_id: UUID | None,
    household_id: UUID | None,
    action: ReadAction | None,
    since: date | None,
    until: date | None,
    cursor: str | None,
    limit: int,
) -> Page[ReadLine]:
    """List looks at the caller's area or by its staff, newest first; at a household, all looks at it.

    Raises `auth.forbidden`, and `thing.not_found` for a household elsewhere.
    """
    require_role(caller, AUDIT_ROLES)
    rows = (
        select(ReadEntry, Staff.name, Area.name)
        .outerjoin(Staff, Staff.id == ReadEntry.actor_id)
        .outerjoin(Area, Area.code == ReadEntry.area_code)
    )
    if household_id is None:
        rows = rows.where(_in_scope(caller))
    else:
        await _require_household(session, caller, household_id)
        rows = rows.where(ReadEntry.thing_id.in_(_select_things_of(household_id)))
    if actor_id is not None:
        rows = rows.where(ReadEntry.actor_id == actor_id)
    if action is not None:
        rows = rows.where(ReadEntry.action == action)
    if since is not None:
        rows = rows.where(ReadEntry.at >= _begin_of(since))
    if until is not None:
        rows = rows.where(ReadEntry.at < _begin_of(until) + timedelta(days=1))
    page, next_cursor = await fetch_page(session, rows, _NEWEST_FIRST, cursor, limit)
    homes = await _load_households(session, caller, [entry for entry, _, _ in page])
    items = [_read_line(entry, name, area, homes.get(entry.thing_id)) for entry, name, area in page]
    return Page(items=items, next_cursor=next_cursor)


def _begin_of(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=CHINA)


def _in_scope(caller: Caller) -> ColumnElement[bool]:
    """Filter by area. Most looks have none, and belong to the area of who looked."""
    of_area = select(StaffRole.staff_id).where(
        StaffRole.revoked_at.is_(None), in_areas(StaffRole.area_code, caller, AUDIT_ROLES)
    )
    area: Any = ReadEntry.area_code
    return or_(ReadEntry.actor_id.in_(of_area), in_areas(area, caller, AUDIT_ROLES))


async def _require_household(session: AsyncSession, caller: Caller, household_id: UUID) -> None:
    rows = select(Household.id).where(Household.id == household_id, in_areas(Household.area_code, caller, AUDIT_ROLES))
    require_found(await session.scalar(rows))


def _select_things_of(household_id: UUID) -> Select[str]:
    """Select the ids under which somebody looks at a household: its own and those of its cases, visits and photos."""
    cases = select(CaseFile.id).where(CaseFile.household_id == household_id)
    visits = select(Visit.id).where(Visit.household_id == household_id)
    things = union_all(
        select(literal(str(household_id)).label("thing_id")),
        select(cast(CaseFile.id, String)).where(CaseFile.household_id == household_id),
        select(cast(Hearing.id, String)).where(Hearing.case_id.in_(cases)),
        select(cast(PaperPhoto.id, String)).where(PaperPhoto.case_id.in_(cases)),
        select(cast(Visit.id, String)).where(Visit.household_id == household_id),
        select(cast(Evidence.id, String)).where(Evidence.visit_id.in_(visits)),
    ).subquery()
    return select(things.c.thing_id)


async def _load_households(
    session: AsyncSession, caller: Caller, entries: Sequence[ReadEntry]
) -> dict[str | None, Household]:
    """Return by the id of what was opened its household, where the caller may see it. One query for a page."""
    ids = {UUID(entry.thing_id) for entry in entries if entry.thing_id is not None}
    if not ids:
        return {}
    things = union_all(
        select(Household.id.label("thing_id"), Household.id.label("household_id")).where(Household.id.in_(ids)),
        select(CaseFile.id, CaseFile.household_id).where(CaseFile.id.in_(ids)),
        select(Hearing.id, CaseFile.household_id).join(CaseFile).where(Hearing.id.in_(ids)),
        select(PaperPhoto.id, CaseFile.household_id).join(CaseFile).where(PaperPhoto.id.in_(ids)),
        select(Visit.id, Visit.household_id).where(Visit.id.in_(ids)),
        select(Evidence.id, Visit.household_id).join(Visit, Visit.id == Evidence.visit_id).where(Evidence.id.in_(ids)),
    ).subquery()
    rows = readable(Household, caller).join(things, things.c.household_id == Household.id)
    return {str(thing_id): home for home, thing_id in await session.execute(rows.add_columns(things.c.thing_id))}


def _read_line(entry: ReadEntry, name: str | None, area: str | None, home: Household | None) -> ReadLine:
    return ReadLine(
        id=entry.id,
        at=entry.at,
        actor_kind=entry.actor_kind,
        actor_id=entry.actor_id,
        actor_name=name,
        action=entry.action,
        thing_kind=entry.thing_kind,
        thing_id=entry.thing_id,
        area_code=entry.area_code,
        area_name=area,
        shown=entry.shown,
        filters=entry.filters,
        household_id=home.id if home else None,
        household_number=home.number if home else None,
        head_name=home.head_name if home else None,
    )
