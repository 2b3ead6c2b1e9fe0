"""Who is bound to a household, and how a binding ends: by the resident, or by an officer of the area.

Officers end bindings made in error, of a lost phone or of a person who died. An ended binding stays visible as ended.
Whoever proves both numbers again gets a new one.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, Role, readable, require_found, require_role
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.households.conflicts import require_no_conflict_of_interest
from server.models.cases import CaseFile
from server.models.households import Household, HouseholdMember
from server.models.people import BindingWay, ResidentBinding, Staff

END_ROLES = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})


class EndBinding(RequestBody):
    reason: Annotated[str, Meta(min_length=4, max_length=500)]


class BindingLine(ResponseBody):
    """The member as whom a resident is bound. `ended_by` is null if the resident ended the binding.

    `way` is null for bindings of earlier versions; `bound_by` and `bind_reason` are those of the counter.
    """

    id: UUID
    member_name: str
    relation: str
    bound_at: datetime
    way: BindingWay | None
    bound_by: str | None
    bind_reason: str | None
    ended_at: datetime | None
    ended_by: str | None
    end_reason: str | None


class OwnBinding(ResponseBody):
    """A household that the caller follows. End it by its `case_id`, the household's latest application."""

    case_id: UUID
    application_number: str
    member_name: str
    bound_at: datetime
    way: BindingWay | None


async def list_own_bindings(session: AsyncSession, caller: Caller) -> list[OwnBinding]:
    """List the current bindings of the resident, the latest first."""
    latest = (
        select(CaseFile.id, CaseFile.number)
        .where(CaseFile.household_id == ResidentBinding.household_id)
        .order_by(CaseFile.applied_on.desc(), CaseFile.id.desc())
        .limit(1)
        .lateral("latest")
    )
    rows = await session.execute(
        select(ResidentBinding, HouseholdMember.name, latest.c.id, latest.c.number)
        .join(HouseholdMember, HouseholdMember.id == ResidentBinding.member_id)
        .join(latest, true())
        .where(ResidentBinding.resident_id == caller.id, ResidentBinding.ended_at.is_(None))
        .order_by(ResidentBinding.bound_at.desc(), ResidentBinding.id)
    )
    return [
        OwnBinding(
            case_id=case_id,
            application_number=number,
            member_name=name,
            bound_at=binding.bound_at,
            way=binding.way,
        )
        for binding, name, case_id, number in rows
    ]


async def end_own_bindings(session: AsyncSession, caller: Caller, case_id: UUID, now: datetime) -> None:
    """End all bindings of the resident to the household of a case. Idempotent."""
    own = select(ResidentBinding.household_id).where(ResidentBinding.resident_id == caller.id)
    case: CaseFile = require_found(
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
        audit.record(session, caller, Action.RESIDENT_UNBOUND, "case", case.id, area_code=case.area_code)


async def list_bindings(session: AsyncSession, caller: Caller, household_id: UUID) -> list[BindingLine]:
    """List the current and ended bindings of a household, the latest first."""
    household = await load_bound_household(session, caller, household_id)
    return await _load_binding_lines(session, household)


async def end_binding(
    session: AsyncSession, caller: Caller, household_id: UUID, binding_id: UUID, data: EndBinding, now: datetime
) -> list[BindingLine]:
    """End a binding: the resident no longer sees the household. A binding that has ended stays unchanged.

    Raises `case.own_relative` if the household has declared the caller a relative.
    """
    household = await load_bound_household(session, caller, household_id)
    binding: ResidentBinding = require_found(
        await session.scalar(
            select(ResidentBinding)
            .where(ResidentBinding.id == binding_id, ResidentBinding.household_id == household.id)
            .with_for_update()
        )
    )
    if binding.ended_at is None:
        binding.ended_at, binding.ended_by, binding.end_reason = now, caller.id, data.reason
        # Whoever was bound by the slip knows its PIN: the household gets another slip.
        await session.execute(update(CaseFile).where(CaseFile.household_id == household.id).values(look_up_pin=None))
        audit.record(
            session, caller, Action.RESIDENT_BINDING_ENDED, "household", household.id, area_code=household.area_code,
            member_id=str(binding.member_id), reason=data.reason,
        )  # fmt: skip
        await session.flush()  # the lines below are read from the database
    return await _load_binding_lines(session, household)


async def load_bound_household(session: AsyncSession, caller: Caller, household_id: UUID) -> Household:
    """Return a household whose bindings the caller may manage. Raises `auth.forbidden` or `case.own_relative`."""
    require_role(caller, END_ROLES)
    household: Household = require_found(
        await session.scalar(readable(Household, caller).where(Household.id == household_id))
    )
    if not caller.covers(household.area_code, END_ROLES):
        raise Problem("auth.forbidden", roles=", ".join(sorted(END_ROLES)))
    await require_no_conflict_of_interest(session, caller, household.id)
    return household


async def _load_binding_lines(session: AsyncSession, household: Household) -> list[BindingLine]:
    binder = aliased(Staff)
    rows = await session.execute(
        select(ResidentBinding, HouseholdMember, Staff.name, binder.name)
        .join(HouseholdMember, HouseholdMember.id == ResidentBinding.member_id)
        .outerjoin(Staff, Staff.id == ResidentBinding.ended_by)
        .outerjoin(binder, binder.id == ResidentBinding.bound_by)
        .where(ResidentBinding.household_id == household.id)
        .order_by(ResidentBinding.bound_at.desc(), ResidentBinding.id)
    )
    return [
        BindingLine(
            id=binding.id,
            member_name=member.name,
            relation=member.relation,
            bound_at=binding.bound_at,
            way=binding.way,
            bound_by=clerk,
            bind_reason=binding.bind_reason,
            ended_at=binding.ended_at,
            ended_by=officer,
            end_reason=binding.end_reason,
        )
        for binding, member, officer, clerk in rows
    ]
