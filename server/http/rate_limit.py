"""Rate limits against guessing: attempts are counted per subject and time window, in the database for all replicas."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.database import write_despite_failure
from server.core.errors import Problem
from server.models.people import AttemptWindow

WINDOW = timedelta(minutes=15)


async def count_attempt(session: AsyncSession, subjects: list[str], limit: int, now: datetime) -> None:
    """Count and commit an attempt, before the request writes. Raise `request.rate_limited` above the limit."""
    await _count(session, subjects, now)
    highest = await _highest(session, subjects, now)
    await session.commit()
    if highest > limit:
        raise _limited(now)


async def check_failures(session: AsyncSession, subjects: list[str], limit: int, now: datetime) -> None:
    """Raise `request.rate_limited` when any subject has failed `limit` times in this window."""
    if await _highest(session, subjects, now) >= limit:
        raise _limited(now)


async def count_failure(session: AsyncSession, subjects: list[str], now: datetime) -> None:
    """Count a failure instead of what the request has done, which is rolled back. The caller then raises its error."""
    async with write_despite_failure(session):
        await _count(session, subjects, now)


async def _count(session: AsyncSession, subjects: list[str], now: datetime) -> None:
    for subject in sorted(subjects):
        row = insert(AttemptWindow).values(subject=subject, window_start=_window_start(now), attempts=1)
        await session.execute(
            row.on_conflict_do_update(
                index_elements=["subject", "window_start"], set_={"attempts": AttemptWindow.attempts + 1}
            )
        )


async def _highest(session: AsyncSession, subjects: list[str], now: datetime) -> int:
    attempts = await session.scalars(
        select(AttemptWindow.attempts).where(
            AttemptWindow.subject.in_(subjects), AttemptWindow.window_start == _window_start(now)
        )
    )
    return max(attempts, default=0)


def _limited(now: datetime) -> Problem:
    wait_s = int((_window_start(now) + WINDOW - now).total_seconds()) + 1
    return Problem("request.rate_limited", retry_after_s=wait_s, headers={"Retry-After": str(wait_s)})


def _window_start(now: datetime) -> datetime:
    return now - (now - datetime.min.replace(tzinfo=now.tzinfo)) % WINDOW
