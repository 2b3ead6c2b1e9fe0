"""Relatives on staff (近亲属备案): whom a household has declared has no hand in its case, whatever their role."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.core.errors import Problem
from server.models.cases import CaseFile, RelativeOnStaff


async def require_no_conflict_of_interest(session: AsyncSession, caller: Caller, household_id: UUID) -> None:
    """Raises `case.own_relative`. Relatives are declared by name: a namesake is kept away too, others are there."""
    await _refuse(session, caller, RelativeOnStaff.household_id == household_id)


async def require_no_conflict_of_interest_in_cases(
    session: AsyncSession, caller: Caller, case_ids: Collection[UUID]
) -> None:
    """As of one household: whoever is named by any of these cases' households has no hand in what moves them all."""
    households = select(CaseFile.household_id).where(CaseFile.id.in_(case_ids))
    await _refuse(session, caller, RelativeOnStaff.household_id.in_(households))


async def _refuse(session: AsyncSession, caller: Caller, of_household: ColumnElement[bool]) -> None:
    declared = select(RelativeOnStaff.id).where(of_household, RelativeOnStaff.name == caller.name)
    if await session.scalar(declared.limit(1)) is not None:
        raise Problem("case.own_relative")
