"""Groups of a village (村民组, 组, 社, 屯): where in it a household lives. Scopes and figures stay the village's.

A group is known by its village and its name. Renaming, merging and moving take its households along.
"""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.errors import Fault, Problem
from server.models.areas import VillageGroup
from server.models.households import Household


async def require_group(session: AsyncSession, village_code: str, name: str) -> str:
    """Return the name of a group of the village that has not ended, or raise `request.invalid`."""
    group = await session.get(VillageGroup, (village_code, name))
    if group is None or group.ended_on is not None:
        raise Problem("request.invalid", faults=[Fault("/household/group", "group.unknown", name)])
    return group.name


async def ensure_group(session: AsyncSession, village_code: str, name: str) -> VillageGroup:
    """Return the group, made if there is none of this name. One that had ended is in use again."""
    group = await session.get(VillageGroup, (village_code, name))
    if group is None:
        group = VillageGroup(village_code=village_code, name=name)
        session.add(group)
    group.ended_on = None
    await session.flush()  # households refer to it
    return group


async def rename_group(session: AsyncSession, group: VillageGroup, name: str) -> list[UUID]:
    """Give a group another name, or that of another group, which it joins. Return the households that follow."""
    village_code, was = group.village_code, group.name
    await ensure_group(session, village_code, name)
    ids = await move_households_of_group(session, village_code, was, name)
    await session.delete(group)
    await session.flush()  # the name is free
    return ids


async def move_households_of_group(session: AsyncSession, village_code: str, was: str, name: str) -> list[UUID]:
    in_group = Household.area_code == village_code, Household.group_name == was
    households = list(
        await session.scalars(select(Household).where(*in_group).order_by(Household.id).with_for_update())
    )
    for household in households:
        household.group_name = name  # row by row: its search terms are written with it
    await session.flush()  # the group is deleted after them
    return [household.id for household in households]


async def take_groups_along(
    session: AsyncSession, from_code: str, from_name: str, to_code: str, households: Sequence[Household]
) -> None:
    """Bring a village's groups to its new code. One whose name is taken there gets that of its old village in front.

    Called before the households move; they get their new village and group in one write.
    """
    groups = list(await session.scalars(select(VillageGroup).where(VillageGroup.village_code == from_code)))
    taken = set(await session.scalars(select(VillageGroup.name).where(VillageGroup.village_code == to_code)))
    names = {group.name: f"{from_name}{group.name}" if group.name in taken else group.name for group in groups}
    for group in groups:
        session.add(VillageGroup(village_code=to_code, name=names[group.name], ended_on=group.ended_on))
    await session.flush()  # households refer to them
    for household in households:
        if household.group_name is not None:
            household.area_code, household.group_name = to_code, names[household.group_name]


async def end_groups(session: AsyncSession, village_code: str, on: date) -> None:
    """A village that ended has no groups in use."""
    for group in await session.scalars(select(VillageGroup).where(VillageGroup.village_code == village_code)):
        group.ended_on = group.ended_on or on
