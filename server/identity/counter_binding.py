"""Binding at the counter: whoever has neither slip nor registered telephone shows a code on their own phone there.

The code stands for the account that is signed in on that phone, for ten minutes and once. The officer looks at the ID
card, types its number and the code, and says why. The household is told, as of every binding.
"""

import secrets
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody, ShortText
from server.core.ids import new_id
from server.core.normalise import bare_number, normalise_id
from server.core.services import Services
from server.core.working_days import day_of
from server.http.attempt_locks import begin_attempt, forgive_attempt, lock_subject
from server.identity.bindings import BindingLine, list_bindings, load_bound_household
from server.identity.sign_in import bind_member
from server.models.cases import CaseFile
from server.models.households import HouseholdMember
from server.models.people import ResidentBinding
from server.models.sign_in import BindingCode

LIFETIME = timedelta(minutes=10)
_DIGITS = 8


class ShownCode(ResponseBody):
    """For the person to show at the counter."""

    code: str
    expires_at: datetime


class BindAtCounter(RequestBody):
    """`code` on the phone of the person, `id_number` of their card."""

    sealed_fields = frozenset({"code", "id_number"})

    code: ShortText
    id_number: ShortText
    reason: Annotated[str, Meta(min_length=4, max_length=500)]


async def show_binding_code(session: AsyncSession, services: Services, caller: Caller, now: datetime) -> ShownCode:
    """Make a code for the account that is signed in; an earlier one of it ends."""
    await session.execute(
        delete(BindingCode).where((BindingCode.resident_id == caller.id) | (BindingCode.expires_at < now - LIFETIME))
    )
    code = f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}d}"
    session.add(
        BindingCode(
            id=new_id(),
            resident_id=caller.id,
            code_hash=_hash(services.encryption, code),
            made_at=now,
            expires_at=now + LIFETIME,
        )
    )
    return ShownCode(code=code, expires_at=now + LIFETIME)


async def bind_at_counter(
    session: AsyncSession, services: Services, caller: Caller, household_id: UUID, data: BindAtCounter, now: datetime
) -> list[BindingLine]:
    """Bind the account behind a code to the member with this ID number. Idempotent.

    Raises `binding.code_invalid`, `binding.not_a_member`, `binding.no_application`, `binding.another_household`,
    `case.own_relative`, and `request.rate_limited` after many guesses at a code.
    """
    # By the day: codes that have just ended are part of a counter's day, and never bar an officer for long.
    lock = lock_subject(services.encryption, "counter-bind", f"{caller.id}:{day_of(now)}")
    await begin_attempt(services.sessions, [lock], now)
    household = await load_bound_household(session, caller, household_id)
    code = await session.scalar(
        select(BindingCode)
        .where(
            BindingCode.code_hash == _hash(services.encryption, bare_number(data.code)), BindingCode.expires_at > now
        )
        .with_for_update()
    )
    is_repeat = code is not None and (code.used_by, code.household_id) == (caller.id, household.id)
    if code is None or (code.used_at is not None and not is_repeat):
        raise Problem("binding.code_invalid")
    await forgive_attempt(session, lock)
    if is_repeat:
        return await list_bindings(session, caller, household_id)
    index = services.encryption.index("id_number", normalise_id(data.id_number))
    case, member_id = await _find_member(session, household.id, index)
    await _require_no_other_household(session, code.resident_id, household.id)
    code.used_at, code.used_by, code.household_id = now, caller.id, household.id
    await bind_member(session, code.resident_id, case, member_id, "counter", by=caller, reason=data.reason)
    audit.record(
        session, caller, Action.RESIDENT_BOUND, "case", case.id, area_code=case.area_code, by="counter",
        member_id=str(member_id), reason=data.reason,
    )  # fmt: skip
    await session.flush()  # the lines below are read from the database
    return await list_bindings(session, caller, household_id)


async def _find_member(session: AsyncSession, household_id: UUID, id_number_index: bytes) -> tuple[CaseFile, UUID]:
    """Return the household's newest case and the member. Raises what `bind_at_counter` does."""
    member_id = await session.scalar(
        select(HouseholdMember.id).where(
            HouseholdMember.household_id == household_id, HouseholdMember.id_number_index == id_number_index
        )
    )
    if member_id is None:
        raise Problem("binding.not_a_member")
    case = await session.scalar(
        select(CaseFile)
        .where(CaseFile.household_id == household_id)
        .order_by(CaseFile.applied_on.desc(), CaseFile.id.desc())
        .limit(1)
    )
    if case is None:
        raise Problem("binding.no_application")
    return case, member_id


async def _require_no_other_household(session: AsyncSession, resident_id: UUID, household_id: UUID) -> None:
    """One account for many households is what an officer's own telephone would be; relatives have the other ways."""
    other = select(ResidentBinding.id).where(
        ResidentBinding.resident_id == resident_id,
        ResidentBinding.household_id != household_id,
        ResidentBinding.ended_at.is_(None),
    )
    if await session.scalar(other.limit(1)):
        raise Problem("binding.another_household")


def _hash(encryption: Encryption, code: str) -> bytes:
    return encryption.index("binding_code", code)
