"""Nobody receives twice: members of a household who are also members of another that applies or receives."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.database import advisory_lock
from server.core.errors import Problem
from server.models.cases import GRANTED_STATES, CaseFile
from server.models.households import Household, HouseholdMember

_OVER = ("refused", "withdrawn", "stopped")


def select_elsewhere(household_id: UUID, id_number_indexes: Sequence[bytes]) -> Select[UUID]:
    """Query members of other households that apply or receive; imported recipients have no case."""
    return _select_members(household_id, id_number_indexes).where(
        or_(CaseFile.state.not_in(_OVER), Household.monthly_amount_fen > 0)
    )


def _select_members(household_id: UUID, id_number_indexes: Sequence[bytes]) -> Select[UUID]:
    return (
        select(HouseholdMember.id)
        .join(Household, Household.id == HouseholdMember.household_id)
        .outerjoin(CaseFile, CaseFile.household_id == Household.id)
        .where(HouseholdMember.id_number_index.in_(id_number_indexes), HouseholdMember.household_id != household_id)
    )


async def require_no_double_benefit(session: AsyncSession, household_id: UUID) -> None:
    """Raise `household.member_receives` when a member receives in another household, wherever that is.

    Asked at the grant alone, by whoever decides: an application says nothing about households of other areas.
    """
    indexes = [
        index
        for index in await session.scalars(
            select(HouseholdMember.id_number_index)
            .where(HouseholdMember.household_id == household_id, HouseholdMember.id_number_index.is_not(None))
            .order_by(HouseholdMember.id_number_index)
        )
        if index is not None
    ]
    for index in indexes:
        await advisory_lock(session, f"member:{index.hex()}")
    receives = or_(CaseFile.state.in_(GRANTED_STATES), Household.monthly_amount_fen > 0)
    if await session.scalar(_select_members(household_id, indexes).where(receives).limit(1)) is not None:
        raise Problem("household.member_receives")
