"""Does this ID number match? What a caseworker at the door needs to know, without being shown a number.

The typed or scanned number is compared by its blind index. Each check counts against a limit per person and day, so
that nobody tries out the numbers that a birth date leaves open, and is in the audit trail without the number.
"""

from datetime import datetime, time
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import DESK_ROLES, Caller, readable, require_found
from server.core.clock import CHINA
from server.core.database import write_later
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.normalise import normalise_id
from server.core.working_days import day_of
from server.models.households import Household, HouseholdMember
from server.models.people import AttemptWindow
from server.policy.resolver import load_policy_values

_LIMIT = "household.id_checks_per_day"


class CheckIdNumber(RequestBody):
    """`id_number` as it was typed or scanned."""

    sealed_fields = frozenset({"id_number"})

    member_id: UUID
    id_number: Annotated[str, Meta(min_length=1, max_length=60)]


class CheckedIdNumber(ResponseBody):
    """`matches` is null when the register has no number of this member. `left` is how many checks remain today."""

    matches: bool | None
    left: int


async def check_id_number(
    session: AsyncSession,
    encryption: Encryption,
    caller: Caller,
    household_id: UUID,
    body: CheckIdNumber,
    now: datetime,
) -> CheckedIdNumber:
    """Compare a number with the register's. Raises `household.id_checks_spent` above the limit of the day."""
    household: Household = require_found(
        await session.scalar(readable(Household, caller).where(Household.id == household_id))
    )
    member: HouseholdMember = require_found(
        await session.scalar(
            select(HouseholdMember).where(
                HouseholdMember.id == body.member_id, HouseholdMember.household_id == household.id
            )
        )
    )
    left = await _count(session, caller, household, now)
    stored = member.id_number_index
    matches = None if stored is None else stored == encryption.index("id_number", normalise_id(body.id_number))
    audit.record(
        session, caller, Action.HOUSEHOLD_ID_NUMBER_CHECKED, "household", household.id,
        area_code=household.area_code, member_id=str(member.id), matches=matches,
    )  # fmt: skip
    return CheckedIdNumber(matches=matches, left=left)


async def count_number_search(session: AsyncSession, caller: Caller, now: datetime) -> None:
    """Count a search by a whole identity or phone number as a check, in a session that only reads.

    What a mask and a birth date leave open could else be tried out at the desk. Raises `household.id_checks_spent`.
    """
    area_code = min(caller.prefixes(DESK_ROLES), default="")
    limit = int((await load_policy_values(session, area_code, day_of(now), [_LIMIT]))[_LIMIT])
    window = {"subject": _subject(caller), "window_start": _window_start(now)}
    rows = select(AttemptWindow.attempts).filter_by(**window)
    if (await session.scalar(rows) or 0) >= limit:
        raise Problem("household.id_checks_spent", limit=limit)
    write_later(session, _COUNT_LATER, window)
    audit.record(session, caller, Action.HOUSEHOLD_ID_NUMBER_CHECKED, "list", "households", area_code=area_code or None)


_COUNT_LATER = """
INSERT INTO attempt_window (subject, window_start, attempts) VALUES (%(subject)s, %(window_start)s, 1)
ON CONFLICT (subject, window_start) DO UPDATE SET attempts = attempt_window.attempts + 1 RETURNING subject
"""


def _subject(caller: Caller) -> str:
    return f"id-check:{caller.id}"


def _window_start(now: datetime) -> datetime:
    return datetime.combine(day_of(now), time(), CHINA)


async def _count(session: AsyncSession, caller: Caller, household: Household, now: datetime) -> int:
    """Count a check of the caller in the window of one day, and return how many are left."""
    settings = await load_policy_values(session, household.area_code, day_of(now), [_LIMIT])
    limit = int(settings[_LIMIT])
    row = insert(AttemptWindow).values(subject=_subject(caller), window_start=_window_start(now), attempts=1)
    done = await session.scalar(
        row.on_conflict_do_update(
            index_elements=["subject", "window_start"],
            set_={"attempts": AttemptWindow.attempts + 1},
            where=AttemptWindow.attempts < limit,
        ).returning(AttemptWindow.attempts)
    )
    if done is None:
        raise Problem("household.id_checks_spent", limit=limit)
    return limit - int(done)
