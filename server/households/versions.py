"""Versions of a household: each change keeps the one before, and lists what changed."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.access import Caller, readable, require_found
from server.core.differences import Difference, find_differences
from server.core.http import ResponseBody
from server.core.job_types import RecheckHousehold
from server.households.detail import last_version, load_detail
from server.models.cases import (
    HouseholdVersion,
)
from server.models.households import Household
from server.models.people import Staff


class VersionLine(ResponseBody):
    version: int
    at: datetime
    reason: str
    actor_id: UUID | None
    actor_name: str | None
    differences: list[Difference]


async def keep_first_version(session: AsyncSession, household: Household, now: datetime) -> None:
    """Keep the household as it was before its first change."""
    if await last_version(session, household.id) == 0:
        await keep_version(session, None, household, "变更前", now)


async def keep_version(
    session: AsyncSession, caller: Caller | None, household: Household, reason: str, now: datetime
) -> None:
    body = msgspec.to_builtins(await load_detail(session, household))
    version = body.pop("version") + 1
    # They are not of the household; `proposal` and `household_merge` keep them.
    del body["awaitingSecond"], body["mergedInto"]
    session.add(
        HouseholdVersion(
            household_id=household.id,
            version=version,
            at=now,
            actor_id=caller.id if caller else None,
            reason=reason,
            body=body,
        )
    )
    await session.flush()  # the next version number is counted from the table
    await jobs.defer(session, RecheckHousehold(household_id=household.id))


async def list_versions(session: AsyncSession, caller: Caller, household_id: UUID) -> list[VersionLine]:
    """List the versions with their changes, newest first."""
    require_found(await session.scalar(readable(Household, caller).where(Household.id == household_id)))
    rows = await session.execute(
        select(HouseholdVersion, Staff.name)
        .outerjoin(Staff, Staff.id == HouseholdVersion.actor_id)
        .where(HouseholdVersion.household_id == household_id)
        .order_by(HouseholdVersion.version)
    )
    lines: list[VersionLine] = []
    before: Any = None
    for version, actor_name in rows:
        changed = [] if before is None else find_differences(before, version.body)
        lines.append(
            VersionLine(
                version=version.version,
                at=version.at,
                reason=version.reason,
                actor_id=version.actor_id,
                actor_name=actor_name,
                differences=changed,
            )
        )
        before = version.body
    return lines[::-1]
