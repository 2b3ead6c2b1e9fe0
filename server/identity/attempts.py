"""A brake on guessing: failures are counted per subject and window, in the database, for all replicas."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.database import Sessions, open_session
from server.core.errors import Problem
from server.models.people import AttemptWindow

WINDOW = timedelta(minutes=15)


async def check_attempts(session: AsyncSession, subjects: list[str], limit: int, now: datetime) -> None:
    """Raises `request.rate_limited` when any subject has failed `limit` times in this window."""
    start = _window_start(now)
    rows = select(AttemptWindow.attempts).where(
        AttemptWindow.subject.in_(subjects), AttemptWindow.window_start == start
    )
    if any(attempts >= limit for attempts in await session.scalars(rows)):
        wait_s = int((start + WINDOW - now).total_seconds()) + 1
        raise Problem("request.rate_limited", retry_after_s=wait_s, headers={"Retry-After": str(wait_s)})


async def count_failure(sessions: Sessions, subjects: list[str], now: datetime) -> None:
    """Counts in a transaction of its own, since the request that failed is rolled back."""
    async with open_session(sessions) as session:
        for subject in sorted(subjects):
            row = insert(AttemptWindow).values(subject=subject, window_start=_window_start(now), attempts=1)
            await session.execute(
                row.on_conflict_do_update(
                    index_elements=["subject", "window_start"], set_={"attempts": AttemptWindow.attempts + 1}
                )
            )


def _window_start(now: datetime) -> datetime:
    return now - (now - datetime.min.replace(tzinfo=now.tzinfo)) % WINDOW
