"""A brake on what strangers may try: counted per subject and window, in the database, for all replicas."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from server.core.database import Sessions, open_session
from server.core.errors import Problem
from server.models.people import AttemptWindow

WINDOW = timedelta(minutes=15)


async def count_attempt(sessions: Sessions, subjects: list[str], limit: int, now: datetime) -> None:
    """Count one more try, in a transaction of its own; raises `request.rate_limited` beyond the limit."""
    start = now - (now - datetime.min.replace(tzinfo=now.tzinfo)) % WINDOW
    async with open_session(sessions) as session:
        for subject in sorted(subjects):
            row = insert(AttemptWindow).values(subject=subject, window_start=start, attempts=1)
            await session.execute(
                row.on_conflict_do_update(
                    index_elements=["subject", "window_start"], set_={"attempts": AttemptWindow.attempts + 1}
                )
            )
        tried = await session.scalars(
            select(AttemptWindow.attempts).where(
                AttemptWindow.subject.in_(subjects), AttemptWindow.window_start == start
            )
        )
        highest = max(tried)
    if highest > limit:
        wait_s = int((start + WINDOW - now).total_seconds()) + 1
        raise Problem("request.rate_limited", retry_after_s=wait_s, headers={"Retry-After": str(wait_s)})
