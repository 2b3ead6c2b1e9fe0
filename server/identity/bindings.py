"""How a binding ends: by the resident, or by an officer of the area for one bound wrongly, who lost a phone, or died.

What ended is kept and shown as ended. Whoever proves both numbers again is bound anew.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core.access import Caller, Role, found, readable, require
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.households.conflicts import require_no_conflict_of_interest
from server.models.cases import CaseFile
from server.models.households import Household, HouseholdMember
from server.models.people import ResidentBinding, Staff

ENDERS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})


class EndBinding(RequestBody):
    reason: Annotated[str, Meta(min_length=4, max_length=500)]


class BindingLine(ResponseBody):
    """As which member somebody follows the household by WeChat. Ended without a name: by the resident."""

    id: UUID
    member_name: str
    relation: str
    bound_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    end_reason: str | None


async def unbind(session: AsyncSession, caller: Caller, case_id: UUID, now: datetime) -> None:
    """The resident lets go of a case's household, as whichever of its members. Again is once."""
    own = select(ResidentBinding.household_id).where(ResidentBinding.resident_id == caller.id)
    case: CaseFile = found(
        await session.scalar(select(CaseFile).where(CaseFile.id == case_id, CaseFile.household_id.in_(own)))
    )
    ended = await session.scalars(
        update(ResidentBinding)
        .where(
            ResidentBinding.resident_id == caller.id,
            ResidentBinding.household_id == case.household_id,
            ResidentBinding.ended_at.is_(None),
        )
        .values(ended_at=now)
        .returning(ResidentBinding.id)
    )
    if ended.all():
        audit.record(session, caller, "resident.unbound", "case", case.id, area_code=case.area_code)


async def list_bindings(session: AsyncSession, caller: Caller, household_id: UUID) -> list[BindingLine]:
    """Who follows the household, and who did; the latest first."""
    household = await _household(session, caller, household_id)
    return await _lines(session, household)


async def end_binding(
    session: AsyncSession, caller: Caller, household_id: UUID, binding_id: UUID, asked: EndBinding, now: datetime
) -> list[BindingLine]:
    """The resident sees nothing of the household from now on. What has ended already stays as it ended.

    Raises `case.own_relative`: nobody shuts out, or looks over, a household that has declared them.
    """
    household = await _household(session, caller, household_id)
    binding: ResidentBinding = found(
        await session.scalar(
            select(ResidentBinding)
            .where(ResidentBinding.id == binding_id, ResidentBinding.household_id == household.id)
            .with_for_update()
        )
    )
    if binding.ended_at is None:
        binding.ended_at, binding.ended_by, binding.end_reason = now, caller.id, asked.reason
        audit.record(
            session, caller, "resident.binding_ended", "household", household.id, area_code=household.area_code,
            member_id=str(binding.member_id), reason=asked.reason,
        )  # fmt: skip
        await session.flush()  # the lines are read from the table
    return await _lines(session, household)


async def _household(session: AsyncSession, caller: Caller, household_id: UUID) -> Household:
    require(caller, ENDERS)
    household: Household = found(await session.scalar(readable(Household, caller).where(Household.id == household_id)))
    if not caller.covers(household.area_code, ENDERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(ENDERS)))
    await require_no_conflict_of_interest(session, caller, household.id)
    return household


async def _lines(session: AsyncSession, household: Household) -> list[BindingLine]:
    rows = await session.execute(
        select(ResidentBinding, HouseholdMember, Staff.name)
        .join(HouseholdMember, HouseholdMember.id == ResidentBinding.member_id)
        .outerjoin(Staff, Staff.id == ResidentBinding.ended_by)
        .where(ResidentBinding.household_id == household.id)
        .order_by(ResidentBinding.bound_at.desc(), ResidentBinding.id)
    )
    return [
        BindingLine(
            id=one.id,
            member_name=member.name,
            relation=member.relation,
            bound_at=one.bound_at,
            ended_at=one.ended_at,
            ended_by=officer,
            end_reason=one.end_reason,
        )
        for one, member, officer in rows
    ]
