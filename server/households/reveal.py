"""Reveal one encrypted number of a household, with a reason that the audit trail keeps."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, Role, readable, require_found, require_role
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.households.reveal_limit import require_reveals_left
from server.models.cases import (
    BankAccount,
)
from server.models.households import Caseload, Household, HouseholdMember

REVEALERS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})


class Reveal(RequestBody):
    """Which number to reveal: a member's, or the household's phone or card. The reason goes into the audit trail."""

    what: Literal["id_number", "phone", "card"]
    reason: Annotated[str, Meta(min_length=4, max_length=500)]
    member_id: UUID | None = None


class RevealPhone(RequestBody):
    """Why somebody is called. The reason goes into the audit trail."""

    reason: Annotated[str, Meta(min_length=2, max_length=500)]


class Revealed(ResponseBody):
    value: str


async def reveal(
    session: AsyncSession, encryption: Encryption, caller: Caller, household_id: UUID, request: Reveal, now: datetime
) -> Revealed:
    """Decrypt one number. The audit trail records who, which and why, never the number.

    Raises `reveal.limit_reached`.
    """
    require_role(caller, REVEALERS)
    household: Household = require_found(
        await session.scalar(readable(Household, caller).where(Household.id == household_id))
    )
    if not caller.covers(household.area_code, REVEALERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(REVEALERS)))
    column, row_id, sealed = await _find_sealed(session, household, request)
    await require_reveals_left(session, caller, household.area_code, now)
    audit.record(
        session,
        caller,
        Action.HOUSEHOLD_REVEALED,
        "household",
        household.id,
        area_code=household.area_code,
        what=request.what,
        member_id=str(request.member_id) if request.member_id else None,
        reason=request.reason,
    )
    return Revealed(value=encryption.open(column, row_id, require_found(sealed)))


async def reveal_phone(
    session: AsyncSession,
    encryption: Encryption,
    caller: Caller,
    household_id: UUID,
    request: RevealPhone,
    now: datetime,
) -> Revealed:
    """Decrypt the phone number of a home for whoever holds it, to call there. Counted and logged like any other number.

    Raises `reveal.limit_reached`, and `thing.not_found` for a home without a number or of somebody else's.
    """
    holds = exists().where(
        Caseload.household_id == household_id, Caseload.staff_id == caller.id, Caseload.revoked_at.is_(None)
    )
    household: Household = require_found(
        await session.scalar(readable(Household, caller).where(Household.id == household_id, holds))
    )
    sealed = require_found(household.phone_sealed)
    await require_reveals_left(session, caller, household.area_code, now)
    audit.record(
        session,
        caller,
        Action.HOUSEHOLD_REVEALED,
        "household",
        household.id,
        area_code=household.area_code,
        what="phone",
        member_id=None,
        reason=request.reason,
    )
    return Revealed(value=encryption.open("household.phone", household.id, sealed))


async def _find_sealed(session: AsyncSession, household: Household, request: Reveal) -> tuple[str, UUID, bytes | None]:
    if request.what == "phone":
        return "household.phone", household.id, household.phone_sealed
    if request.what == "card":
        bank = await session.get(BankAccount, household.id)
        return "bank_account.card", household.id, bank.card_sealed if bank else None
    member: HouseholdMember = require_found(
        await session.scalar(
            select(HouseholdMember).where(
                HouseholdMember.id == request.member_id, HouseholdMember.household_id == household.id
            )
        )
    )
    return "household_member.id_number", member.id, member.id_number_sealed
