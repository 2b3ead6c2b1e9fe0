"""Who holds which household: granting, taking away, handing over, as a log that phones hear of.

Every operation locks its households first (see `publish_change`), so that a document written at the same time is
either seen here or sees the new holder. What was recorded before a household was lost is still accepted.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core import jobs
from server.core.access import FIELD_ROLES, Caller, Role, in_areas, require
from server.core.errors import Problem
from server.core.http import LongText, RequestBody, ResponseBody
from server.models.households import Assignment, Caseload, Household
from server.models.people import Staff, StaffRole
from server.sync_feed.publish import publish_change

# Whoever may decide on caseloads, within their own area.
CASELOAD_ROLES = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
Reason = Annotated[LongText, Meta(min_length=1)]
Households = Annotated[list[UUID], Meta(min_length=1, max_length=500)]


class AssignHouseholds(RequestBody):
    """Exactly one of `household_ids` and `area_code`: some households, or all of a village."""

    to_staff_id: UUID
    household_ids: Households | None = None
    area_code: Annotated[str, Meta(pattern="^[0-9]{12}$")] | None = None


class ReassignHouseholds(AssignHouseholds, kw_only=True):
    """Neither `household_ids` nor `area_code`: everything the first one holds."""

    from_staff_id: UUID
    reason: Reason


class RevokeHouseholds(RequestBody):
    """Neither `household_ids` nor `area_code`: everything the person holds, as when they leave."""

    from_staff_id: UUID
    reason: Reason
    household_ids: Households | None = None
    area_code: Annotated[str, Meta(pattern="^[0-9]{12}$")] | None = None


class CaseloadChanged(ResponseBody):
    """How many households came to somebody, and how many were taken; those already so do not count."""

    granted: int
    revoked: int


async def assign(session: AsyncSession, caller: Caller, told: AssignHouseholds, now: datetime) -> CaseloadChanged:
    """Give households to a person, who may share them with others. Repeating it changes nothing.

    Raises `thing.not_found` when a household or the person is outside the caller's area,
    `caseload.nothing_named` when neither households nor a village are named.
    """
    require(caller, CASELOAD_ROLES)
    await _find_holder(session, caller, told.to_staff_id)
    homes = await _lock(session, caller, told.household_ids, told.area_code)
    granted = await _grant(session, caller, homes, told.to_staff_id, now)
    await _tell(session, granted, None)
    await _notify(session, granted, told.to_staff_id, now)
    return CaseloadChanged(granted=len(granted), revoked=0)


async def reassign(session: AsyncSession, caller: Caller, told: ReassignHouseholds, now: datetime) -> CaseloadChanged:
    """Hand over from one person to another, of the households named those that the first one holds."""
    require(caller, CASELOAD_ROLES)
    await _find_holder(session, caller, told.to_staff_id)
    homes = await _lock_named(session, caller, told)
    revoked = await _revoke(session, caller, homes, told.from_staff_id, told.reason, now)
    granted = await _grant(session, caller, revoked, told.to_staff_id, now)
    await _tell(session, revoked, told.reason)
    await _notify(session, granted, told.to_staff_id, now)
    return CaseloadChanged(granted=len(granted), revoked=len(revoked))


async def revoke(session: AsyncSession, caller: Caller, told: RevokeHouseholds, now: datetime) -> CaseloadChanged:
    """Take households from a person; only that person's phones lose them, and are told the reason."""
    require(caller, CASELOAD_ROLES)
    homes = await _lock_named(session, caller, told)
    revoked = await _revoke(session, caller, homes, told.from_staff_id, told.reason, now)
    await _tell(session, revoked, told.reason)
    return CaseloadChanged(granted=0, revoked=len(revoked))


async def _find_holder(session: AsyncSession, caller: Caller, staff_id: UUID) -> None:
    """The person must be active, work in the field, and within the caller's area."""
    found = await session.scalar(
        select(Staff.id)
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .where(
            Staff.id == staff_id,
            Staff.disabled_at.is_(None),
            StaffRole.revoked_at.is_(None),
            StaffRole.role.in_(FIELD_ROLES),
            in_areas(StaffRole.area_code, caller, CASELOAD_ROLES),
        )
        .limit(1)
    )
    if found is None:
        raise Problem("thing.not_found")


async def _lock(
    session: AsyncSession, caller: Caller, ids: Sequence[UUID] | None, area_code: str | None
) -> list[Household]:
    if (ids is None) == (area_code is None):
        raise Problem("caseload.nothing_named")
    rows = select(Household).where(in_areas(Household.area_code, caller, CASELOAD_ROLES))
    rows = rows.where(Household.id.in_(ids)) if ids is not None else rows.where(Household.area_code == area_code)
    homes = list(await session.scalars(rows.order_by(Household.id).with_for_update()))
    if not homes or (ids is not None and len(homes) != len(set(ids))):
        raise Problem("thing.not_found")
    return homes


async def _lock_named(
    session: AsyncSession, caller: Caller, told: ReassignHouseholds | RevokeHouseholds
) -> list[Household]:
    if told.household_ids is None and told.area_code is None:
        return await _lock_held(session, caller, told.from_staff_id)
    return await _lock(session, caller, told.household_ids, told.area_code)


async def _lock_held(session: AsyncSession, caller: Caller, staff_id: UUID) -> list[Household]:
    held = select(Caseload.household_id).where(Caseload.staff_id == staff_id, Caseload.revoked_at.is_(None))
    return list(
        await session.scalars(
            select(Household)
            .where(Household.id.in_(held), in_areas(Household.area_code, caller, CASELOAD_ROLES))
            .order_by(Household.id)
            .with_for_update()
        )
    )


async def _grant(
    session: AsyncSession, caller: Caller, homes: Sequence[Household], staff_id: UUID, now: datetime
) -> list[Household]:
    holds = {one.household_id for one in await session.scalars(_open_lines(homes, staff_id))}
    fresh = [one for one in homes if one.id not in holds]
    for one in fresh:
        session.add(Caseload(household_id=one.id, staff_id=staff_id, granted_at=now, granted_by=caller.id))
        audit.record(
            session, caller, "caseload.granted", "household", one.id, area_code=one.area_code, staff=str(staff_id)
        )
    await session.flush()  # the feed's audience is read from these lines
    return fresh


async def _revoke(
    session: AsyncSession, caller: Caller, homes: Sequence[Household], staff_id: UUID, reason: str, now: datetime
) -> list[Household]:
    lines = {one.household_id: one for one in await session.scalars(_open_lines(homes, staff_id))}
    lost = [one for one in homes if one.id in lines]
    for one in lost:
        line = lines[one.id]
        line.revoked_at, line.revoked_by, line.revoke_reason = now, caller.id, reason
        audit.record(
            session, caller, "caseload.revoked", "household", one.id, area_code=one.area_code, staff=str(staff_id)
        )
    await session.flush()  # the feed's audience is read from these lines
    return lost


def _open_lines(homes: Sequence[Household], staff_id: UUID) -> Select[Caseload]:
    return select(Caseload).where(
        Caseload.household_id.in_([one.id for one in homes]),
        Caseload.staff_id == staff_id,
        Caseload.revoked_at.is_(None),
    )


async def _tell(session: AsyncSession, homes: Sequence[Household], reason: str | None) -> None:
    """The household goes with all that hangs on it: what it holds itself, and the visits due there."""
    ids = [one.id for one in homes]
    if not ids:
        return
    due = await session.scalars(select(Assignment.id).where(Assignment.household_id.in_(ids)))
    await publish_change(session, "households", ids, reason=reason)
    await publish_change(session, "assignments", list(due), reason=reason)


async def _notify(session: AsyncSession, homes: Sequence[Household], staff_id: UUID, now: datetime) -> None:
    """Whoever was given homes hears of it once, however many."""
    if homes:
        await jobs.defer(
            session,
            "notifications.tell",
            kind="assigned",
            thing=f"caseload:{now.isoformat()}",
            area_code=homes[0].area_code,
            staff_ids=[str(staff_id)],
            facts={"count": len(homes)},
        )
