"""Staff of an area, with their roles and the number of households they hold."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import DIRECTORY_ROLES, Caller, Role, in_areas, require_role
from server.core.http import ResponseBody
from server.core.normalise import name_key, sql_name_key
from server.core.paging import Keyset, Page, fetch_page
from server.models.areas import Area
from server.models.households import Caseload
from server.models.people import Staff, StaffRole

_BY_LOGIN = Keyset(Staff.login)


class RoleLine(ResponseBody):
    """A role over an area and everything below it. `area_name` is null for the whole country."""

    role: Role
    area_code: str
    area_name: str | None


class StaffLine(ResponseBody):
    """`holds` counts the households of the person's caseload."""

    id: UUID
    login: str
    name: str
    phone_mask: str | None
    roles: list[RoleLine]
    holds: int
    disabled_at: datetime | None


async def list_staff(
    session: AsyncSession, caller: Caller, *, area: str | None, q: str | None, cursor: str | None, limit: int
) -> Page[StaffLine]:
    """List staff with a role in the caller's areas by login. `q` is part of a name or login. Three queries."""
    require_role(caller, DIRECTORY_ROLES)
    in_reach = select(StaffRole.staff_id).where(
        StaffRole.revoked_at.is_(None), in_areas(StaffRole.area_code, caller, DIRECTORY_ROLES)
    )
    if area is not None:
        in_reach = in_reach.where(StaffRole.area_code.startswith(area, autoescape=True))
    rows = select(Staff).where(Staff.id.in_(in_reach))
    if q:
        by_name = sql_name_key(Staff.name).contains(name_key(q), autoescape=True)
        rows = rows.where(or_(by_name, Staff.login.contains(q.strip().lower(), autoescape=True)))
    page, next_cursor = await fetch_page(session, rows, _BY_LOGIN, cursor, limit)
    staff: list[Staff] = [member for (member,) in page]
    roles, holds = await _load_roles(session, staff), await _count_caseloads(session, staff)
    items = [_staff_line(member, roles[member.id], holds.get(member.id, 0)) for member in staff]
    return Page(items=items, next_cursor=next_cursor)


async def _load_roles(session: AsyncSession, staff: Sequence[Staff]) -> dict[UUID, list[RoleLine]]:
    rows = await session.execute(
        select(StaffRole, Area.name)
        .outerjoin(Area, Area.code == StaffRole.area_code)
        .where(StaffRole.staff_id.in_([member.id for member in staff]), StaffRole.revoked_at.is_(None))
        .order_by(StaffRole.area_code)
    )
    roles: dict[UUID, list[RoleLine]] = defaultdict(list)
    for row, name in rows:
        roles[row.staff_id].append(RoleLine(role=Role(row.role), area_code=row.area_code, area_name=name))
    return roles


async def _count_caseloads(session: AsyncSession, staff: Sequence[Staff]) -> dict[UUID, int]:
    rows: Any = await session.execute(
        select(Caseload.staff_id, func.count())
        .where(Caseload.staff_id.in_([member.id for member in staff]), Caseload.revoked_at.is_(None))
        .group_by(Caseload.staff_id)
    )
    return dict(rows.all())


def _staff_line(member: Staff, roles: list[RoleLine], holds: int) -> StaffLine:
    return StaffLine(
        id=member.id,
        login=member.login,
        name=member.name,
        phone_mask=member.phone_mask,
        roles=roles,
        holds=holds,
        disabled_at=member.disabled_at,
    )
