"""Groups of villages as a list, with their homes; its file can be changed and imported again."""

from datetime import date

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import DIRECTORY_ROLES, Caller, in_areas, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.areas import Area, VillageGroup
from server.models.households import Household

_BY_VILLAGE = Keyset(VillageGroup.village_code, VillageGroup.name)


class GroupLine(ResponseBody):
    village_code: str
    village_name: str
    name: str
    households: int
    ended_on: date | None


async def list_groups(
    session: AsyncSession, caller: Caller, *, under: str | None, cursor: str | None, limit: int
) -> Page[GroupLine]:
    """List groups of villages that are in use, by village and name; those that ended are marked."""
    require_role(caller, DIRECTORY_ROLES)
    homes = (
        select(func.count())
        .where(
            Household.area_code == VillageGroup.village_code,
            Household.group_name == VillageGroup.name,
            Household.merged_into.is_(None),
        )
        .correlate(VillageGroup)
        .scalar_subquery()
    )
    rows = (
        select(VillageGroup, Area.name, homes)
        .join(Area, Area.code == VillageGroup.village_code)
        .where(in_areas(VillageGroup.village_code, caller, DIRECTORY_ROLES), Area.valid_until.is_(None))
    )
    if under is not None:
        rows = rows.where(VillageGroup.village_code.startswith(under, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _BY_VILLAGE, cursor, limit)
    return Page(
        items=[
            GroupLine(
                village_code=group.village_code,
                village_name=village_name,
                name=group.name,
                households=count,
                ended_on=group.ended_on,
            )
            for group, village_name, count in page
        ],
        next_cursor=next_cursor,
    )
