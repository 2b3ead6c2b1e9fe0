"""Towns and villages as a list: who works there, how many homes there are, what became of a code.

The same list shows where nobody works (一人一社区): the villages without a caseworker.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import date
from typing import Annotated, Any

from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server import audit
from server.audit.actions import Action
from server.core.access import DIRECTORY_ROLES, Caller, Role, in_areas, require_found, require_role
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.areas import Area
from server.models.households import Household
from server.models.people import Staff, StaffRole

# Who renames, merges and moves villages, within their areas.
AREA_KEEPERS = frozenset({Role.ADMIN, Role.COUNTY_OFFICER})
VILLAGE_DIGITS = 12
_BY_CODE = Keyset(Area.code)
AreaName = Annotated[str, Meta(min_length=1, max_length=80, pattern="[^\\s]")]


class AreaRegisterLine(ResponseBody):
    """`households` and `caseworkers` of a village itself, null and empty above it. `successor_code`: what became of a
    code that ended.
    """

    code: str
    name: str
    level: str
    parent_name: str | None
    households: int | None
    caseworkers: list[str]
    valid_until: date | None
    successor_code: str | None


class RenameArea(RequestBody):
    name: AreaName


async def list_area_register(
    session: AsyncSession,
    caller: Caller,
    *,
    under: str | None,
    without_caseworker: bool,
    ended: bool,
    cursor: str | None,
    limit: int,
) -> Page[AreaRegisterLine]:
    """List towns and villages of the caller's areas by code. With `ended`, those that are no longer valid instead."""
    require_role(caller, DIRECTORY_ROLES)
    parent = aliased(Area)
    rows = (
        select(Area, parent.name)
        .outerjoin(parent, parent.code == Area.parent_code)
        .where(
            in_areas(Area.code, caller, DIRECTORY_ROLES),
            Area.valid_until.is_not(None) if ended else Area.valid_until.is_(None),
        )
    )
    if under is not None:
        rows = rows.where(Area.code.startswith(under, autoescape=True))
    if without_caseworker:
        rows = rows.where(func.length(Area.code) == VILLAGE_DIGITS, Area.code.not_in(_select_worked_in()))
    page, next_cursor = await fetch_page(session, rows, _BY_CODE, cursor, limit)
    codes = [area.code for area, _ in page]
    homes, people = await _count_homes(session, codes), await _load_caseworkers(session, codes)
    return Page(
        items=[_view_area(area, parent_name, homes.get(area.code, 0), people[area.code]) for area, parent_name in page],
        next_cursor=next_cursor,
    )


def _view_area(area: Area, parent_name: str | None, households: int, caseworkers: list[str]) -> AreaRegisterLine:
    return AreaRegisterLine(
        code=area.code,
        name=area.name,
        level=area.level,
        parent_name=parent_name,
        households=households if len(area.code) == VILLAGE_DIGITS else None,
        caseworkers=caseworkers,
        valid_until=area.valid_until,
        successor_code=area.successor_code,
    )


def _select_caseworkers(*columns: Any) -> Any:
    return (
        select(*columns)
        .join(Staff, Staff.id == StaffRole.staff_id)
        .where(StaffRole.role == Role.CASEWORKER, StaffRole.revoked_at.is_(None), Staff.disabled_at.is_(None))
    )


def _select_worked_in() -> Any:
    return _select_caseworkers(StaffRole.area_code)


async def _count_homes(session: AsyncSession, codes: Collection[str]) -> dict[str, int]:
    rows = await session.execute(
        select(Household.area_code, func.count())
        .where(Household.area_code.in_(codes), Household.merged_into.is_(None))
        .group_by(Household.area_code)
    )
    return dict(rows.all())


async def _load_caseworkers(session: AsyncSession, codes: Collection[str]) -> dict[str, list[str]]:
    people: dict[str, list[str]] = defaultdict(list)
    query = _select_caseworkers(StaffRole.area_code, Staff.name).where(StaffRole.area_code.in_(codes))
    for code, name in await session.execute(query.order_by(Staff.name)):
        people[code].append(name)
    return people


async def rename_area(session: AsyncSession, caller: Caller, code: str, body: RenameArea) -> None:
    """Give a town or village its new name; the trail keeps the one before. Repeating it changes nothing."""
    area = await lock_area(session, caller, code)
    name = " ".join(body.name.split())
    if area.name != name:
        audit.record(session, caller, Action.AREA_RENAMED, "area", code, area_code=code, was=area.name, value=name)
        area.name = name


async def lock_area(session: AsyncSession, caller: Caller, code: str) -> Area:
    """Return a valid area of the caller's, locked. Raise `thing.not_found`, `auth.forbidden`."""
    require_role(caller, AREA_KEEPERS)
    area: Area = require_found(
        await session.scalar(select(Area).where(Area.code == code, Area.valid_until.is_(None)).with_for_update())
    )
    if not caller.covers(code, AREA_KEEPERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(AREA_KEEPERS)))
    return area
