"""Areas level by level: for the desk, to choose where; for everybody, to find the code of a village by its name."""

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import DIRECTORY_ROLES, Caller, in_areas, require_role
from server.core.http import ResponseBody
from server.models.areas import Area


class AreaLine(ResponseBody):
    code: str
    name: str
    level: str
    parent_code: str | None


async def list_areas(session: AsyncSession, caller: Caller, under: str | None) -> list[AreaLine]:
    """List the areas directly below `under`, or the caller's own. One level only: a province has thousands."""
    require_role(caller, DIRECTORY_ROLES)
    rows = select(Area).where(in_areas(Area.code, caller, DIRECTORY_ROLES), Area.valid_until.is_(None))
    if under is None:
        own = caller.prefixes(DIRECTORY_ROLES)
        # A role over the whole country starts with the provinces.
        rows = rows.where(Area.parent_code.is_(None) if "" in own else Area.code.in_(own))
    else:
        rows = rows.where(Area.parent_code == under)
    return await _load_area_lines(session, rows)


async def list_public_areas(session: AsyncSession, under: str | None) -> list[AreaLine]:
    """List the areas directly below `under`, or the provinces."""
    below = Area.parent_code.is_(None) if under is None else Area.parent_code == under
    return await _load_area_lines(session, select(Area).where(below, Area.valid_until.is_(None)))


async def _load_area_lines(session: AsyncSession, rows: Select[Area]) -> list[AreaLine]:
    return [
        AreaLine(code=area.code, name=area.name, level=area.level, parent_code=area.parent_code)
        for area in await session.scalars(rows.order_by(Area.code))
    ]
