"""Locks against guessing a secret of one household: each failure after the first few locks for twice as long.

`rate_limit` slows an address down and forgets after a quarter of an hour, so a patient guesser gets through. Here the
count stays: a failure counts before the guess is judged, so that guesses at the same moment count too, and only the
right secret, a month without a try, or an officer at the counter takes the lock away.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from server.core.database import Sessions, open_session
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.models.people import AttemptLock

FREE_FAILURES = 5
FIRST_LOCK = timedelta(minutes=15)
# A household whose number somebody else guesses at must not wait for longer.
LONGEST_LOCK = timedelta(days=1)
FORGOTTEN_AFTER = timedelta(days=30)


def lock_subject(encryption: Encryption, kind: str, of: str) -> str:
    """Return the key of a lock; the table holds neither numbers nor accounts."""
    return encryption.index(f"lock:{kind}", of).hex()


async def begin_attempt(sessions: Sessions, subjects: Collection[str], now: datetime) -> None:
    """Count an attempt as failed, in a transaction of its own. Raise `request.rate_limited` while a subject is locked.

    Call it before the request has a connection of its own, and `end_locks` when the secret was right.
    """
    async with open_session(sessions) as session:
        await session.execute(delete(AttemptLock).where(AttemptLock.failed_at < now - FORGOTTEN_AFTER))
        for subject in sorted(subjects):
            failures = await session.scalar(_count_statement(subject, now))
            if failures is None:
                until = await session.scalar(select(AttemptLock.locked_until).where(AttemptLock.subject == subject))
                raise _locked(until or now, now)
            if failures >= FREE_FAILURES:
                lock = min(FIRST_LOCK * 2 ** min(failures - FREE_FAILURES, 20), LONGEST_LOCK)
                row = await session.get_one(AttemptLock, subject)
                row.locked_until = now + lock


async def check_locks(sessions: Sessions, subjects: Collection[str], now: datetime) -> None:
    """Raise `request.rate_limited` while a subject is locked, and count nothing.

    Call it before `slow_down`: who is locked must not take the turns of those who share a number or an address.
    """
    is_locked = AttemptLock.subject.in_(subjects), AttemptLock.locked_until > now
    async with open_session(sessions) as session:
        until = await session.scalar(select(func.max(AttemptLock.locked_until)).where(*is_locked))
    if until is not None:
        raise _locked(until, now)


async def forgive_attempt(session: AsyncSession, subject: str) -> None:
    """Take back the attempt that was right, and nothing else: a success elsewhere is no excuse for the failures."""
    await session.execute(
        update(AttemptLock)
        .where(AttemptLock.subject == subject)
        .values(failures=AttemptLock.failures - 1, locked_until=None)
    )


async def end_locks(session: AsyncSession, subjects: Collection[str]) -> None:
    await session.execute(delete(AttemptLock).where(AttemptLock.subject.in_(subjects)))


def _count_statement(subject: str, now: datetime) -> ReturningInsert[int]:
    row = insert(AttemptLock).values(subject=subject, failures=1, failed_at=now)
    return row.on_conflict_do_update(
        index_elements=["subject"],
        set_={"failures": AttemptLock.failures + 1, "failed_at": now},
        where=or_(AttemptLock.locked_until.is_(None), AttemptLock.locked_until <= now),
    ).returning(AttemptLock.failures)


def _locked(until: datetime, now: datetime) -> Problem:
    wait_s = int((until - now).total_seconds()) + 1
    return Problem("request.rate_limited", retry_after_s=wait_s, headers={"Retry-After": str(wait_s)})
