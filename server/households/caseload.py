"""Who holds which household: assign, reassign, revoke, as a log that the feed follows.

For the days of a leave a deputy holds the homes of the person they stand in for, as rows that end with it.

Every operation locks its households first (see `publish_change`), so that a document written at the same time either
is seen here or sees the new holder. Visits made before a household was revoked are still accepted.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from sqlalchemy import Select, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import FIELD_ROLES, Caller, Role, in_areas, require_role
from server.core.errors import Problem
from server.core.http import LongText, RequestBody, ResponseBody
from server.core.job_types import Notify
from server.models.households import Assignment, Caseload, Household
from server.models.people import Deputyship, Staff, StaffRole
from server.models.review import SpotCheck
from server.sync_feed.publish import publish_change, publish_tasks_of_homes, works_today

# Who decides on caseloads, within their own areas.
CASELOAD_ROLES = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
Reason = Annotated[LongText, Meta(min_length=1)]
Households = Annotated[list[UUID], Meta(min_length=1, max_length=500)]


# A notice names that many homes at most, by their ids; a phone shows whose they are.
MOST_NAMED = 20
_LEAVE_OVER = "代班结束"


class AssignHouseholds(RequestBody):
    """Exactly one of `household_ids` and `area_code`: some households, or all of a village."""

    to_staff_id: UUID
    household_ids: Households | None = None
    area_code: Annotated[str, Meta(pattern="^[0-9]{12}$")] | None = None


class ReassignHouseholds(AssignHouseholds, kw_only=True):
    """Without `household_ids` and `area_code`: everything that `from_staff_id` holds."""

    from_staff_id: UUID
    reason: Reason


class RevokeHouseholds(RequestBody):
    """Without `household_ids` and `area_code`: everything the person holds, as when they leave."""

    from_staff_id: UUID
    reason: Reason
    household_ids: Households | None = None
    area_code: Annotated[str, Meta(pattern="^[0-9]{12}$")] | None = None


class CaseloadChanged(ResponseBody):
    """How many households were granted and revoked; those that were so before do not count."""

    granted: int
    revoked: int


async def assign(session: AsyncSession, caller: Caller, request: AssignHouseholds, now: datetime) -> CaseloadChanged:
    """Give households to a person, who may share them with others. Idempotent.

    Raise `thing.not_found` when a household or the person is outside the caller's area,
    `caseload.nothing_named` when neither households nor a village are named.
    """
    require_role(caller, CASELOAD_ROLES)
    await _find_holder(session, caller, request.to_staff_id)
    households = await _lock(session, caller, request.household_ids, request.area_code)
    granted = await _grant(session, caller, households, request.to_staff_id, now)
    await _publish(session, granted, None)
    await _follow_to_deputies(session, caller, [request.to_staff_id], now)
    await _notify(session, granted, request.to_staff_id, now)
    return CaseloadChanged(granted=len(granted), revoked=0)


async def reassign(
    session: AsyncSession, caller: Caller, request: ReassignHouseholds, now: datetime
) -> CaseloadChanged:
    """Hand over from one person to another those of the named households that the first person holds."""
    require_role(caller, CASELOAD_ROLES)
    await _find_holder(session, caller, request.to_staff_id)
    households = await _lock_named(session, caller, request)
    revoked = await _revoke(session, caller, households, request.from_staff_id, request.reason, now)
    granted = await _grant(session, caller, revoked, request.to_staff_id, now)
    await _publish(session, revoked, request.reason)
    await _follow_to_deputies(session, caller, [request.from_staff_id, request.to_staff_id], now)
    await _notify(session, granted, request.to_staff_id, now)
    return CaseloadChanged(granted=len(granted), revoked=len(revoked))


async def revoke(session: AsyncSession, caller: Caller, request: RevokeHouseholds, now: datetime) -> CaseloadChanged:
    """Revoke households from a person; only that person's phones lose them, with the reason."""
    require_role(caller, CASELOAD_ROLES)
    households = await _lock_named(session, caller, request)
    revoked = await _revoke(session, caller, households, request.from_staff_id, request.reason, now)
    await _publish(session, revoked, request.reason)
    await _follow_to_deputies(session, caller, [request.from_staff_id], now)
    return CaseloadChanged(granted=0, revoked=len(revoked))


async def grant_new_home(
    session: AsyncSession, caller: Caller, household_id: UUID, staff_id: UUID, now: datetime
) -> None:
    """Give a home that a caseworker wrote down to them, if they work in the field of its village today."""
    household = await session.get_one(Household, household_id, with_for_update=True)
    works_there = select(StaffRole.id).where(
        StaffRole.staff_id == staff_id,
        StaffRole.role.in_(FIELD_ROLES),
        works_today(),
        literal(household.area_code).startswith(StaffRole.area_code),
    )
    if await session.scalar(works_there.limit(1)) is None:
        return
    granted = await _grant(session, caller, [household], staff_id, now)
    await _publish(session, granted, None)
    await _follow_to_deputies(session, caller, [staff_id], now)
    await _notify(session, granted, staff_id, now)


async def share_homes(session: AsyncSession, caller: Caller | None, deputyship: Deputyship, now: datetime) -> int:
    """Give a deputy the homes that the person on leave holds, and take those back that they lost. Idempotent.

    Homes that either has for a blind check alone stay out, and so do those that the deputy holds anyway.
    """
    absent = select(Caseload.household_id).where(
        Caseload.staff_id == deputyship.staff_id,
        Caseload.revoked_at.is_(None),
        Caseload.deputyship_id.is_(None),
        SpotCheck.is_no_team(Caseload.id),
    )
    await session.execute(select(Household.id).where(Household.id.in_(absent)).order_by(Household.id).with_for_update())
    held = set(await session.scalars(absent))
    rows = {row.household_id: row for row in await session.scalars(_deputy_rows(deputyship))}
    lost = [row for household_id, row in rows.items() if household_id not in held]
    await _end_rows(session, caller, deputyship, lost, now)
    current = Caseload.staff_id == deputyship.deputy_id, Caseload.revoked_at.is_(None)
    own = set(await session.scalars(select(Caseload.household_id).where(*current, Caseload.household_id.in_(held))))
    households = list(
        await session.scalars(select(Household).where(Household.id.in_(held - own)).order_by(Household.id))
    )
    granted = await _grant(session, caller, households, deputyship.deputy_id, now, deputyship)
    await _publish(session, granted, None)
    await _notify(session, granted, deputyship.deputy_id, now)
    return len(granted)


async def return_homes(session: AsyncSession, caller: Caller | None, deputyship: Deputyship, now: datetime) -> int:
    """End what a deputy holds for the person on leave; the phone drops it at its next sync."""
    rows = list(await session.scalars(_deputy_rows(deputyship)))
    await _end_rows(session, caller, deputyship, rows, now)
    return len(rows)


def _deputy_rows(deputyship: Deputyship) -> Select[Caseload]:
    return select(Caseload).where(Caseload.deputyship_id == deputyship.id, Caseload.revoked_at.is_(None))


async def _end_rows(
    session: AsyncSession, caller: Caller | None, deputyship: Deputyship, rows: Sequence[Caseload], now: datetime
) -> None:
    ids = [row.household_id for row in rows]
    households = list(
        await session.scalars(select(Household).where(Household.id.in_(ids)).order_by(Household.id).with_for_update())
    )
    for row in rows:
        row.revoked_at, row.revoked_by, row.revoke_reason = now, caller.id if caller else None, _LEAVE_OVER
    await _after_revoking(session, caller, households, deputyship.deputy_id)
    await _publish(session, households, _LEAVE_OVER)


async def _follow_to_deputies(session: AsyncSession, caller: Caller, staff_ids: list[UUID], now: datetime) -> None:
    """What somebody on leave is given or loses, the deputy is given and loses too."""
    running = select(Deputyship).where(
        Deputyship.staff_id.in_(staff_ids),
        Deputyship.started_at.is_not(None),
        Deputyship.ended_at.is_(None),
        Deputyship.with_homes,
    )
    for deputyship in await session.scalars(running):
        await share_homes(session, caller, deputyship, now)


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
    rows = select(Household).where(
        in_areas(Household.area_code, caller, CASELOAD_ROLES), Household.merged_into.is_(None)
    )
    rows = rows.where(Household.id.in_(ids)) if ids is not None else rows.where(Household.area_code == area_code)
    households = list(await session.scalars(rows.order_by(Household.id).with_for_update()))
    if not households or (ids is not None and len(households) != len(set(ids))):
        raise Problem("thing.not_found")
    return households


async def _lock_named(
    session: AsyncSession, caller: Caller, request: ReassignHouseholds | RevokeHouseholds
) -> list[Household]:
    if request.household_ids is None and request.area_code is None:
        return await _lock_held(session, caller, request.from_staff_id)
    return await _lock(session, caller, request.household_ids, request.area_code)


async def _lock_held(session: AsyncSession, caller: Caller, staff_id: UUID) -> list[Household]:
    held = select(Caseload.household_id).where(
        Caseload.staff_id == staff_id, Caseload.revoked_at.is_(None), Caseload.deputyship_id.is_(None)
    )
    return list(
        await session.scalars(
            select(Household)
            .where(Household.id.in_(held), in_areas(Household.area_code, caller, CASELOAD_ROLES))
            .order_by(Household.id)
            .with_for_update()
        )
    )


async def _grant(
    session: AsyncSession,
    caller: Caller | None,
    households: Sequence[Household],
    staff_id: UUID,
    now: datetime,
    deputyship: Deputyship | None = None,
) -> list[Household]:
    rows = {row.household_id: row for row in await session.scalars(_current_rows(households, staff_id))}
    granted = [home for home in households if home.id not in rows or rows[home.id].deputyship_id is not None]
    for household in granted:
        if household.id in rows:
            rows[household.id].deputyship_id = None  # held as a deputy before, and in one's own name from now on
        else:
            row = Caseload(
                household_id=household.id, staff_id=staff_id, granted_at=now,
                granted_by=caller.id if caller else None, deputyship_id=deputyship.id if deputyship else None,
            )  # fmt: skip
            session.add(row)
        audit.record(
            session,
            caller,
            Action.CASELOAD_GRANTED,
            "household",
            household.id,
            area_code=household.area_code,
            staff=str(staff_id),
            **({"stands_in_for": str(deputyship.staff_id)} if deputyship else {}),
        )
    await session.flush()  # publish_change reads these rows
    return granted


async def _revoke(
    session: AsyncSession, caller: Caller, households: Sequence[Household], staff_id: UUID, reason: str, now: datetime
) -> list[Household]:
    current = await session.scalars(_current_rows(households, staff_id).where(Caseload.deputyship_id.is_(None)))
    rows = {row.household_id: row for row in current}
    revoked = [household for household in households if household.id in rows]
    for household in revoked:
        row = rows[household.id]
        row.revoked_at, row.revoked_by, row.revoke_reason = now, caller.id, reason
    await _after_revoking(session, caller, revoked, staff_id)
    return revoked


async def _after_revoking(
    session: AsyncSession, caller: Caller | None, revoked: Sequence[Household], staff_id: UUID
) -> None:
    """Record it, and free the visits that this person was to make there."""
    for household in revoked:
        audit.record(
            session,
            caller,
            Action.CASELOAD_REVOKED,
            "household",
            household.id,
            area_code=household.area_code,
            staff=str(staff_id),
        )
    await session.execute(
        update(Assignment)
        .where(
            Assignment.household_id.in_([household.id for household in revoked]),
            Assignment.assignee_id == staff_id,
            Assignment.state == "open",
        )
        .values(assignee_id=None)
    )
    await session.flush()  # publish_change reads these rows


def _current_rows(households: Sequence[Household], staff_id: UUID) -> Select[Caseload]:
    return select(Caseload).where(
        Caseload.household_id.in_([household.id for household in households]),
        Caseload.staff_id == staff_id,
        Caseload.revoked_at.is_(None),
    )


async def _publish(session: AsyncSession, households: Sequence[Household], reason: str | None) -> None:
    """Publish the households and the visits due there."""
    ids = [household.id for household in households]
    if not ids:
        return
    due = await session.scalars(select(Assignment.id).where(Assignment.household_id.in_(ids)))
    await publish_change(session, "households", ids, reason=reason)
    await publish_change(session, "assignments", list(due), reason=reason)
    await publish_tasks_of_homes(session, ids)


async def _notify(session: AsyncSession, households: Sequence[Household], staff_id: UUID, now: datetime) -> None:
    """Notify a person once, however many households were granted."""
    if households:
        await jobs.defer(
            session,
            Notify(
                kind="assigned",
                thing=f"caseload:{now.isoformat()}",
                area_code=households[0].area_code,
                staff_ids=[staff_id],
                facts={
                    "count": len(households),
                    "householdIds": [str(household.id) for household in households[:MOST_NAMED]],
                },
            ),
        )
