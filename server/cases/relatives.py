"""Relatives on staff (近亲属备案): whom a household has declared has no hand in its case, whatever their role."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.core.errors import Problem
from server.models.cases import RelativeOnStaff


async def keep_relatives_out(session: AsyncSession, caller: Caller, household_id: UUID) -> None:
    """Raises `case.own_relative`. Relatives are declared by name: a namesake is kept away too, others are there."""
    declared = select(RelativeOnStaff.id).where(
        RelativeOnStaff.household_id == household_id, RelativeOnStaff.name == caller.name
    )
    if await session.scalar(declared.limit(1)) is not None:
        raise Problem("case.own_relative")
