"""The privacy notice of an area, by version, and who has agreed to which: residents in the app, others on paper.

A new version asks anew. Its text is a policy setting with a date and a source, so what somebody agreed to can be read
later.
"""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, Role, readable, require_found, require_role
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.working_days import day_of
from server.models.areas import PolicySetting
from server.models.households import Household, HouseholdMember
from server.models.people import ResidentBinding
from server.models.privacy import PrivacyConsent
from server.policy.resolver import select_effective

RECORDERS = frozenset({Role.CASEWORKER, Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
_KEY = "privacy.notice"


class PrivacyNotice(ResponseBody):
    version: str
    zh: str
    en: str
    since: date


class OwnPrivacy(ResponseBody):
    """The notice in force for one of the caller's households, and when they agreed to it; null: not yet."""

    household_id: UUID
    member_id: UUID
    member_name: str
    notice: PrivacyNotice
    agreed_at: datetime | None


class AgreeToNotice(RequestBody):
    """The version that was shown: agreeing to one that was replaced meanwhile asks anew.

    `member_id`: for whom, where the account is bound as several members.
    """

    household_id: UUID
    version: Annotated[str, Meta(min_length=1, max_length=20)]
    member_id: UUID | None = None


class RecordConsent(RequestBody):
    """A consent signed on paper at the counter."""

    member_id: UUID
    version: Annotated[str, Meta(min_length=1, max_length=20)]


async def load_notice(session: AsyncSession, area_code: str, on: date) -> PrivacyNotice:
    """Return the notice in force in an area on a day."""
    setting = require_found(await session.scalar(select_effective(area_code, on).where(PolicySetting.key == _KEY)))
    return PrivacyNotice(since=setting.effective_from, **setting.value)


async def list_own_privacy(session: AsyncSession, caller: Caller, now: datetime) -> list[OwnPrivacy]:
    """List the households to which the resident is bound, each with its notice. Few rows: one or two households."""
    rows = await session.execute(
        select(ResidentBinding.household_id, HouseholdMember, Household.area_code)
        .join(Household, Household.id == ResidentBinding.household_id)
        .join(HouseholdMember, HouseholdMember.id == ResidentBinding.member_id)
        .where(ResidentBinding.resident_id == caller.id, ResidentBinding.ended_at.is_(None))
        .order_by(ResidentBinding.bound_at)
    )
    return [
        await _own_privacy(session, household_id, member, area_code, now)
        for household_id, member, area_code in rows.all()
    ]


async def _own_privacy(
    session: AsyncSession, household_id: UUID, member: HouseholdMember, area_code: str, now: datetime
) -> OwnPrivacy:
    notice = await load_notice(session, area_code, day_of(now))
    agreed_at = await session.scalar(
        select(PrivacyConsent.given_at).where(
            PrivacyConsent.member_id == member.id,
            PrivacyConsent.version == notice.version,
            PrivacyConsent.withdrawn_at.is_(None),
        )
    )
    return OwnPrivacy(
        household_id=household_id, member_id=member.id, member_name=member.name, notice=notice, agreed_at=agreed_at
    )


async def agree_to_notice(
    session: AsyncSession, caller: Caller, body: AgreeToNotice, now: datetime
) -> list[OwnPrivacy]:
    """Record that a resident agrees. Idempotent. Raises `privacy.notice_replaced`, `thing.not_found`."""
    own = [
        entry
        for entry in await list_own_privacy(session, caller, now)
        if entry.household_id == body.household_id and body.member_id in (None, entry.member_id)
    ]
    entry: OwnPrivacy = require_found(own[0] if own else None)
    if entry.notice.version != body.version:
        raise Problem("privacy.notice_replaced")
    household = await session.get_one(Household, entry.household_id)
    await _write_consent(session, caller, household, entry.member_id, body.version, now)
    return await list_own_privacy(session, caller, now)


async def record_consent(
    session: AsyncSession, caller: Caller, household_id: UUID, body: RecordConsent, now: datetime
) -> None:
    """Record a consent that a member signed on paper. Idempotent. Raises as `agree_to_notice`."""
    require_role(caller, RECORDERS)
    household: Household = require_found(
        await session.scalar(readable(Household, caller).where(Household.id == household_id))
    )
    is_member = HouseholdMember.household_id == household.id, HouseholdMember.id == body.member_id
    require_found(await session.scalar(select(HouseholdMember.id).where(*is_member)))
    if (await load_notice(session, household.area_code, day_of(now))).version != body.version:
        raise Problem("privacy.notice_replaced")
    await _write_consent(session, caller, household, body.member_id, body.version, now)


async def _write_consent(
    session: AsyncSession, caller: Caller, household: Household, member_id: UUID, version: str, now: datetime
) -> None:
    by = {"resident_id": caller.id} if caller.is_resident else {"recorded_by": caller.id}
    row = insert(PrivacyConsent).values(
        id=new_id(), household_id=household.id, member_id=member_id, version=version, given_at=now, **by
    )
    written = await session.scalar(row.on_conflict_do_nothing().returning(PrivacyConsent.id))
    if written is not None:
        audit.record(
            session,
            caller,
            Action.PRIVACY_AGREED,
            "household",
            household.id,
            area_code=household.area_code,
            member_id=str(member_id),
            version=version,
        )
