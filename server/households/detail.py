"""A household as the desk reads it, numbers masked."""

from datetime import date
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller, readable, require_found
from server.core.http import ResponseBody
from server.models.cases import (
    BankAccount,
    HouseholdVersion,
    IncomeItem,
    PropertyItem,
    RelativeOnStaff,
)
from server.models.households import Household, HouseholdMember
from server.models.proposals import Proposal


class MemberDetail(ResponseBody):
    id: UUID
    name: str
    relation: str
    sex: str
    born_on: date
    id_number_mask: str | None
    health: str | None
    labour_ability: str | None
    school: str | None
    work: str | None
    disability_kind: str | None
    disability_grade: int | None
    illness: str | None


class IncomeDetail(ResponseBody):
    """`source_visit_id`: the accepted visit that found the verified amount."""

    id: UUID
    member_id: UUID | None
    kind: str
    category: str
    period: str
    declared_fen: int
    verified_fen: int | None
    started_on: date | None
    ended_on: date | None
    source_visit_id: UUID | None


class PropertyDetail(ResponseBody):
    id: UUID
    member_id: UUID | None
    kind: str
    note: str
    declared: int
    verified: int | None
    source_visit_id: UUID | None


class RelativeDetail(ResponseBody):
    name: str
    office: str
    relation: str
    declared_on: date


class HouseholdDetail(ResponseBody):
    """`version` is sent back as `If-Match`; 0 before the first change at the desk."""

    id: UUID
    number: str
    version: int
    area_code: str
    group: str | None
    address: str
    phone_mask: str | None
    latitude: float | None
    longitude: float | None
    datum: str
    relative_on_staff: bool
    class_: str | None = msgspec.field(name="class")
    monthly_amount_fen: int | None
    members: list[MemberDetail]
    incomes: list[IncomeDetail]
    properties: list[PropertyDetail]
    relatives: list[RelativeDetail]
    bank_holder: str | None
    bank_name: str | None
    card_mask: str | None
    # The household that it went into.
    merged_into: UUID | None
    # What another person has to accept: `bank`, `relatives` or both.
    awaiting_second: list[str] = []


async def open_household(session: AsyncSession, caller: Caller, household_id: UUID) -> HouseholdDetail:
    household: Household = require_found(
        await session.scalar(readable(Household, caller).where(Household.id == household_id))
    )
    return await load_page(session, household)


async def load_page(session: AsyncSession, household: Household) -> HouseholdDetail:
    """Return the household and what of it waits for a second person, which is no part of a version."""
    detail = await load_detail(session, household)
    detail.awaiting_second = await _list_waiting(session, household.id)
    return detail


async def load_detail(session: AsyncSession, household: Household) -> HouseholdDetail:
    owned = household.id
    members = await session.scalars(
        select(HouseholdMember).where(HouseholdMember.household_id == owned).order_by(HouseholdMember.position)
    )
    incomes = await session.scalars(select(IncomeItem).where(IncomeItem.household_id == owned).order_by(IncomeItem.id))
    properties = await session.scalars(
        select(PropertyItem).where(PropertyItem.household_id == owned).order_by(PropertyItem.id)
    )
    relatives = await session.scalars(
        select(RelativeOnStaff).where(RelativeOnStaff.household_id == owned).order_by(RelativeOnStaff.id)
    )
    bank = await session.get(BankAccount, owned)
    return HouseholdDetail(
        id=household.id,
        number=household.number,
        version=await last_version(session, owned),
        area_code=household.area_code,
        group=household.group_name,
        address=household.address,
        phone_mask=household.phone_mask,
        latitude=household.latitude,
        longitude=household.longitude,
        datum=household.datum,
        relative_on_staff=household.relative_on_staff,
        class_=household.class_,
        monthly_amount_fen=household.monthly_amount_fen,
        members=[msgspec.convert(member, MemberDetail, from_attributes=True) for member in members],
        incomes=[msgspec.convert(income, IncomeDetail, from_attributes=True) for income in incomes],
        properties=[msgspec.convert(item, PropertyDetail, from_attributes=True) for item in properties],
        relatives=[msgspec.convert(relative, RelativeDetail, from_attributes=True) for relative in relatives],
        bank_holder=bank.holder_name if bank else None,
        bank_name=bank.bank_name if bank else None,
        card_mask=bank.card_mask if bank else None,
        merged_into=household.merged_into,
    )


async def _list_waiting(session: AsyncSession, household_id: UUID) -> list[str]:
    kinds = await session.scalars(
        select(Proposal.guards)
        .where(Proposal.household_id == household_id, Proposal.guards.is_not(None), Proposal.state == "proposed")
        .distinct()
    )
    return sorted(kind for kind in kinds if kind is not None)


async def last_version(session: AsyncSession, household_id: UUID) -> int:
    query = select(func.max(HouseholdVersion.version)).where(HouseholdVersion.household_id == household_id)
    return await session.scalar(query) or 0
