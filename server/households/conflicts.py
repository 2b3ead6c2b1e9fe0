"""Conflicts of interest (近亲属备案): a declared relative of a household takes no part in its case.

A deputy is barred by the relatives of the person they stand in for, too.
"""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.core.errors import Problem
from server.core.normalise import same_name
from server.models.cases import CaseFile, RelativeOnStaff


async def require_no_conflict_of_interest(session: AsyncSession, caller: Caller, *household_ids: UUID) -> None:
    """Raise `case.own_relative`. Relatives are declared by name, so a namesake is excluded too; colleagues can act."""
    await _refuse(session, caller, RelativeOnStaff.household_id.in_(household_ids))


async def require_no_conflict_of_interest_in_cases(
    session: AsyncSession, caller: Caller, case_ids: Collection[UUID]
) -> None:
    """Raise `case.own_relative` when any household of these cases declared the caller."""
    households = select(CaseFile.household_id).where(CaseFile.id.in_(case_ids))
    await _refuse(session, caller, RelativeOnStaff.household_id.in_(households))


async def _refuse(session: AsyncSession, caller: Caller, of_household: ColumnElement[bool]) -> None:
    is_named = or_(*(same_name(RelativeOnStaff.name, person.name) for person in caller.persons))
    declared = select(RelativeOnStaff.id).where(of_household, is_named)
    if await session.scalar(declared.limit(1)) is not None:
        raise Problem("case.own_relative")
