"""Rate limits against guessing: attempts are counted per subject and time window, in the database for all replicas.

A subject is an address, a name or a number. Only its keyed hash is stored, since who complains may be anonymous and
the time of a complaint stands in its row.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.clock import utc_now
from server.core.database import AutocommitPool, open_session, write_despite_failure
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.job_types import PurgeAttempts
from server.core.services import Services
from server.models.people import AttemptWindow

WINDOW = timedelta(minutes=15)
KEPT = timedelta(days=2)
SLOW_INTERVAL = timedelta(seconds=2)


def hash_subject(encryption: Encryption, subject: str) -> str:
    return encryption.index("attempt", subject).hex()


async def count_attempt(
    session: AsyncSession, encryption: Encryption, subjects: list[str], limit: int, now: datetime
) -> None:
    """Count and commit an attempt, before the request writes. Raise `request.rate_limited` above the limit.

    Name the address first: once a subject is over the limit, those behind it are not counted, so that an address that
    tries many numbers adds no row for each.
    """
    is_over = False
    for subject in subjects:
        is_over = await _count(session, encryption, subject, now) > limit
        if is_over:
            break
    await session.commit()
    if is_over:
        raise _limited(now)


async def check_failures(
    session: AsyncSession, encryption: Encryption, subjects: list[str], limit: int, now: datetime
) -> None:
    """Raise `request.rate_limited` when any subject has failed `limit` times in this window."""
    attempts = await session.scalars(
        select(AttemptWindow.attempts).where(
            AttemptWindow.subject.in_([hash_subject(encryption, subject) for subject in subjects]),
            AttemptWindow.window_start == _window_start(now),
        )
    )
    if max(attempts, default=0) >= limit:
        raise _limited(now)


async def count_failure(session: AsyncSession, encryption: Encryption, subjects: list[str], now: datetime) -> None:
    """Count a failure instead of what the request has done, which is rolled back. The caller then raises its error."""
    async with write_despite_failure(session):
        for subject in sorted(subjects):
            await _count(session, encryption, subject, now)


async def count_unlocks(session: AsyncSession, encryption: Encryption, name: str, now: datetime) -> int:
    """Return how often an officer unlocked a name in this window; put it into the subject, whose count begins anew."""
    unlocked = hash_subject(encryption, f"unlocked:{name}")
    rows = select(AttemptWindow.attempts).filter_by(subject=unlocked, window_start=_window_start(now))
    return await session.scalar(rows) or 0


async def unlock(session: AsyncSession, encryption: Encryption, name: str, subjects: list[str], now: datetime) -> None:
    """Forget the failures of a name at every address, which only their hash knows, and those of these subjects."""
    await _count(session, encryption, f"unlocked:{name}", now)
    hashes = [hash_subject(encryption, subject) for subject in subjects]
    await session.execute(delete(AttemptWindow).where(AttemptWindow.subject.in_(hashes)))


async def slow_down(
    autocommit: AutocommitPool, encryption: Encryption, subjects: list[str], limit: int, now: datetime
) -> None:
    """Let one attempt pass in each interval once a subject has failed `limit` times in this window.

    For subjects that many people share, as an office's address, or that a stranger can spoil, as a name: it slows
    guessing and locks nobody out. Call it before the session is used, which would hold a second connection.
    """
    hashes = {hash_subject(encryption, subject): subject for subject in sorted(subjects)}
    window = {"subjects": list(hashes), "limit": limit, "window": _window_start(now)}
    for busy in await autocommit.run(_BUSY_SUBJECTS, window):
        slot = hash_subject(encryption, f"slow:{hashes[busy.subject]}")
        if not await autocommit.run(_TAKE_SLOT, {"subject": slot, "window": _window_start(now, SLOW_INTERVAL)}):
            raise _limited(now, SLOW_INTERVAL)


_BUSY_SUBJECTS = """
SELECT subject FROM attempt_window
WHERE subject = ANY(%(subjects)s) AND window_start = %(window)s AND attempts >= %(limit)s ORDER BY subject
"""
_TAKE_SLOT = """
INSERT INTO attempt_window (subject, window_start, attempts) VALUES (%(subject)s, %(window)s, 1)
ON CONFLICT DO NOTHING RETURNING subject
"""


async def _count(session: AsyncSession, encryption: Encryption, subject: str, now: datetime) -> int:
    row = insert(AttemptWindow).values(
        subject=hash_subject(encryption, subject), window_start=_window_start(now), attempts=1
    )
    counted = row.on_conflict_do_update(
        index_elements=["subject", "window_start"], set_={"attempts": AttemptWindow.attempts + 1}
    )
    return int(await session.scalar(counted.returning(AttemptWindow.attempts)) or 0)


@jobs.task(PurgeAttempts, cron="40 * * * *")
async def purge_attempts(services: Services, _: PurgeAttempts) -> None:
    """Delete the counts of windows that are long over."""
    async with open_session(services.sessions) as session:
        await session.execute(delete(AttemptWindow).where(AttemptWindow.window_start < utc_now() - KEPT))


def _limited(now: datetime, window: timedelta = WINDOW) -> Problem:
    wait_s = int((_window_start(now, window) + window - now).total_seconds()) + 1
    return Problem("request.rate_limited", retry_after_s=wait_s, headers={"Retry-After": str(wait_s)})


def _window_start(now: datetime, window: timedelta = WINDOW) -> datetime:
    return now - (now - datetime.min.replace(tzinfo=now.tzinfo)) % window
