"""The audit trail as supervisors read it: who did what to what, in their area. Reading it leaves a row too."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core.access import Caller, Role, in_areas, require
from server.core.http import ResponseBody
from server.core.paging import Page, read_cursor, write_cursor
from server.models.areas import Area
from server.models.audit import AuditEntry
from server.models.people import Staff, StaffRole

LONGEST_PAGE = 200
TRAIL_ROLES = frozenset({Role.COUNTY_OFFICER, Role.SUPERVISOR, Role.ADMIN})


class TrailLine(ResponseBody):
    """`actor_name` is null for a resident, whose name the trail does not tell, and for the system."""

    id: int
    at: datetime
    actor_kind: str
    actor_id: UUID | None
    actor_name: str | None
    action: str
    thing_kind: str
    thing_id: str
    area_code: str | None
    area_name: str | None
    facts: dict[str, Any]


async def list_trail(
    session: AsyncSession,
    caller: Caller,
    *,
    actor_id: UUID | None,
    action: str | None,
    thing_id: str | None,
    cursor: str | None,
    limit: int,
) -> Page[TrailLine]:
    """Newest first: what concerns the caller's area, and what its staff did. Raises `auth.forbidden`."""
    require(caller, TRAIL_ROLES)
    limit = max(1, min(limit, LONGEST_PAGE))
    rows = (
        select(AuditEntry, Staff.name, Area.name)
        .outerjoin(Staff, Staff.id == AuditEntry.actor_id)
        .outerjoin(Area, Area.code == AuditEntry.area_code)
        .where(_in_scope(caller))
        .order_by(AuditEntry.id.desc())
        .limit(limit + 1)
    )
    if actor_id is not None:
        rows = rows.where(AuditEntry.actor_id == actor_id)
    if action is not None:
        rows = rows.where(AuditEntry.action.startswith(action, autoescape=True))
    if thing_id is not None:
        rows = rows.where(AuditEntry.thing_id == thing_id)
    if (after := read_cursor(cursor, int)) is not None:
        rows = rows.where(AuditEntry.id < after[0])
    else:
        audit.record(session, caller, "audit.read", "audit", caller.id, asked=action, thing=thing_id)
    found = (await session.execute(rows)).all()
    items = [_line(entry, name, area) for entry, name, area in found[:limit]]
    return Page(items=items, next_cursor=write_cursor([str(items[-1].id)]) if len(found) > limit else None)


def _in_scope(caller: Caller) -> ColumnElement[bool]:
    """Staff of the area: a sign-in or a device concerns no area and belongs to whose it is."""
    of_area: Any = select(StaffRole.staff_id).where(in_areas(StaffRole.area_code, caller, TRAIL_ROLES))
    own = AuditEntry.area_code.is_(None) & AuditEntry.actor_id.in_(of_area)
    return or_(own, *(AuditEntry.area_code.startswith(one, autoescape=True) for one in caller.prefixes(TRAIL_ROLES)))


def _line(entry: AuditEntry, name: str | None, area: str | None) -> TrailLine:
    return TrailLine(
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
        facts=entry.facts,
    )
