"""How many sealed numbers and contacts a person may reveal in a day."""

from datetime import datetime, time, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.audit.actions import Action
from server.core.access import Caller
from server.core.clock import CHINA
from server.core.database import advisory_lock
from server.core.errors import Problem
from server.core.working_days import day_of
from server.models.audit import REVEALS, AuditEntry
from server.policy.resolver import load_policy_values

LIMIT = "reveal.per_day"
assert set(REVEALS) == {Action.HOUSEHOLD_REVEALED, Action.OBJECTION_CONTACT_REVEALED}


async def require_reveals_left(session: AsyncSession, caller: Caller, area_code: str, now: datetime) -> None:
    """Raise `reveal.limit_reached` when the caller has revealed as much today as the area allows.

    What counts are the entries of the trail, so the caller records one in the same transaction.
    """
    today = day_of(now)
    limit = (await load_policy_values(session, area_code, today, [LIMIT]))[LIMIT]
    await advisory_lock(session, f"reveals:{caller.id}")
    begin = datetime.combine(today, time(), tzinfo=CHINA)
    revealed = await session.scalar(
        select(func.count()).where(
            AuditEntry.actor_id == caller.id, AuditEntry.at >= begin, AuditEntry.action.in_(REVEALS)
        )
    )
    if (revealed or 0) >= limit:
        wait_s = int((begin + timedelta(days=1) - now).total_seconds()) + 1
        raise Problem("reveal.limit_reached", most=limit, headers={"Retry-After": str(wait_s)})
