"""Areas and staff as a desk looks them up: to choose whom a home goes to, to see who holds which role."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import DESK_ROLES, Caller, Role, in_areas, require
from server.core.http import ResponseBody
from server.core.paging import Page, read_cursor, write_cursor
from server.models.areas import Area
from server.models.households import Caseload
from server.models.people import Staff, StaffRole

LONGEST_PAGE = 200
# Who sees the county's registers: the desks, and those who keep its staff and its settings.
REGISTER_ROLES = DESK_ROLES | {Role.ADMIN}


class AreaLine(ResponseBody):
    code: str
    name: str
    level: str
    parent_code: str | None


class RoleLine(ResponseBody):
    """A role over an area and all below it. `area_name` is null for the whole country."""

    role: Role
    area_code: str
    area_name: str | None


class StaffLine(ResponseBody):
    """`holds`: how many homes are theirs now."""

    id: UUID
    login: str
    name: str
    phone_mask: str | None
    roles: list[RoleLine]
    holds: int
    disabled_at: datetime | None


async def list_areas(session: AsyncSession, caller: Caller, under: str | None) -> list[AreaLine]:
    """The areas right below `under`; without it the caller's own. One level at a time: a province has thousands."""
    require(caller, REGISTER_ROLES)
    rows = select(Area).where(in_areas(Area.code, caller, REGISTER_ROLES), Area.valid_until.is_(None))
    if under is None:
        own = caller.prefixes(REGISTER_ROLES)
        # Whoever holds the whole country begins with its provinces.
        rows = rows.where(Area.parent_code.is_(None) if "" in own else Area.code.in_(own))
    else:
        rows = rows.where(Area.parent_code == under)
    return await _lines(session, rows)


async def list_public_areas(session: AsyncSession, under: str | None) -> list[AreaLine]:
    """For anybody, who knows the name of their village and not its code: those right below `under`, or the first."""
    below = Area.parent_code.is_(None) if under is None else Area.parent_code == under
    return await _lines(session, select(Area).where(below, Area.valid_until.is_(None)))


async def _lines(session: AsyncSession, rows: Select[Area]) -> list[AreaLine]:
    return [
        AreaLine(code=one.code, name=one.name, level=one.level, parent_code=one.parent_code)
        for one in await session.scalars(rows.order_by(Area.code))
    ]


async def list_staff(
    session: AsyncSession, caller: Caller, *, area: str | None, q: str | None, cursor: str | None, limit: int
) -> Page[StaffLine]:
    """Staff with a role in the caller's areas, by login; found by a part of name or login. Three queries."""
    require(caller, REGISTER_ROLES)
    limit = max(1, min(limit, LONGEST_PAGE))
    in_reach = select(StaffRole.staff_id).where(
        StaffRole.revoked_at.is_(None), in_areas(StaffRole.area_code, caller, REGISTER_ROLES)
    )
    if area is not None:
        in_reach = in_reach.where(StaffRole.area_code.startswith(area, autoescape=True))
    rows = select(Staff).where(Staff.id.in_(in_reach)).order_by(Staff.login).limit(limit + 1)
    if q:
        rows = rows.where(or_(Staff.name.contains(q, autoescape=True), Staff.login.contains(q, autoescape=True)))
    if (after := read_cursor(cursor, str)) is not None:
        rows = rows.where(Staff.login > after[0])
    found = list(await session.scalars(rows))
    page = found[:limit]
    roles, holds = await _roles(session, page), await _holds(session, page)
    items = [_line(one, roles[one.id], holds.get(one.id, 0)) for one in page]
    return Page(items=items, next_cursor=write_cursor([page[-1].login]) if len(found) > limit else None)


async def _roles(session: AsyncSession, staff: Sequence[Staff]) -> dict[UUID, list[RoleLine]]:
    rows = await session.execute(
        select(StaffRole, Area.name)
        .outerjoin(Area, Area.code == StaffRole.area_code)
        .where(StaffRole.staff_id.in_([one.id for one in staff]), StaffRole.revoked_at.is_(None))
        .order_by(StaffRole.area_code)
    )
    held: dict[UUID, list[RoleLine]] = defaultdict(list)
    for row, name in rows:
        held[row.staff_id].append(RoleLine(role=Role(row.role), area_code=row.area_code, area_name=name))
    return held


async def _holds(session: AsyncSession, staff: Sequence[Staff]) -> dict[UUID, int]:
    rows: Any = await session.execute(
        select(Caseload.staff_id, func.count())
        .where(Caseload.staff_id.in_([one.id for one in staff]), Caseload.revoked_at.is_(None))
        .group_by(Caseload.staff_id)
    )
    return dict(rows.all())


def _line(one: Staff, roles: list[RoleLine], holds: int) -> StaffLine:
    return StaffLine(
        id=one.id,
        login=one.login,
        name=one.name,
        phone_mask=one.phone_mask,
        roles=roles,
        holds=holds,
        disabled_at=one.disabled_at,
    )
