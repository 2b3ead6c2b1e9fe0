"""The audit log as supervisors read it: who did what in their area. Reading it is logged too."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, Role, in_areas, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.areas import Area
from server.models.audit import AuditEntry
from server.models.people import Staff, StaffRole

_NEWEST_FIRST = Keyset(AuditEntry.id, descending=True)
AUDIT_ROLES = frozenset({Role.COUNTY_OFFICER, Role.SUPERVISOR, Role.ADMIN})


class AuditLine(ResponseBody):
    """`actor_name` is null for the system and for a resident, whose name the log does not contain."""

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


async def list_audit_entries(
    session: AsyncSession,
    caller: Caller,
    *,
    actor_id: UUID | None,
    action: str | None,
    thing_id: str | None,
    cursor: str | None,
    limit: int,
) -> Page[AuditLine]:
    """List entries about the caller's area and by its staff, newest first. Raises `auth.forbidden`."""
    require_role(caller, AUDIT_ROLES)
    rows = (
        select(AuditEntry, Staff.name, Area.name)
        .outerjoin(Staff, Staff.id == AuditEntry.actor_id)
        .outerjoin(Area, Area.code == AuditEntry.area_code)
        .where(_in_scope(caller))
    )
    if actor_id is not None:
        rows = rows.where(AuditEntry.actor_id == actor_id)
    if action is not None:
        rows = rows.where(AuditEntry.action.startswith(action, autoescape=True))
    if thing_id is not None:
        rows = rows.where(AuditEntry.thing_id == thing_id)
    if cursor is None:
        audit.record(session, caller, Action.AUDIT_READ, "audit", caller.id, asked=action, thing=thing_id)
    page, next_cursor = await fetch_page(session, rows, _NEWEST_FIRST, cursor, limit)
    return Page(items=[_audit_line(entry, name, area) for entry, name, area in page], next_cursor=next_cursor)


def _in_scope(caller: Caller) -> ColumnElement[bool]:
    """Filter by area. An entry without one, such as a sign-in, belongs to the area of its actor."""
    of_area: Any = select(StaffRole.staff_id).where(
        StaffRole.revoked_at.is_(None), in_areas(StaffRole.area_code, caller, AUDIT_ROLES)
    )
    without_area = AuditEntry.area_code.is_(None) & AuditEntry.actor_id.in_(of_area)
    return or_(
        without_area,
        *(AuditEntry.area_code.startswith(prefix, autoescape=True) for prefix in caller.prefixes(AUDIT_ROLES)),
    )


def _audit_line(entry: AuditEntry, name: str | None, area: str | None) -> AuditLine:
    return AuditLine(
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
