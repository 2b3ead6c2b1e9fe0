"""The horizon: phones and seals get only what is below the oldest running transaction, so that nothing is skipped.

A transaction that somebody left open therefore holds back all news, silently: a pull answers with nothing. Its age is
a metric, a line of `/health/ready` and of the self-check.
"""

from typing import NamedTuple

from server.core.clock import utc_now
from server.core.database import AutocommitPool

# Longest of our own is a step of `adopt` after a restore, under a minute.
WARN_S, BAD_S = 60, 600


class Horizon(NamedTuple):
    """For how long news has been held back, in seconds, and by which transaction: nulls if nothing is.

    `holder_age_s` is null where the database's role may not see the other's session. A prepared transaction has no pid.
    """

    held_back_s: float
    pid: int | None
    role: str | None
    holder_age_s: float | None

    @property
    def age_s(self) -> float:
        return max(self.held_back_s, self.holder_age_s or 0.0)

    @property
    def is_late(self) -> bool:
        return self.age_s > WARN_S

    def describe(self) -> str:
        where = f"process {self.pid} ({self.role or 'another role'})" if self.pid else "a prepared transaction"
        return f"for {self.age_s:.0f} s by {where}"


# Every role sees whose lock it is; since when its transaction runs, only whoever may see that session. So the age is
# also taken from what is held back: the first entry of the trail that the horizon hides. PostgreSQL's time is compared
# with itself, and ours (`oldest_at`) with ours.
_HORIZON = """
WITH horizon AS (
    SELECT pg_snapshot_xmin(pg_current_snapshot()) AS oldest
), holder AS (
    SELECT held.pid, session.usename AS role, clock_timestamp() - coalesce(session.xact_start, ready.prepared) AS age
    FROM pg_locks held
    LEFT JOIN pg_stat_activity session ON session.pid = held.pid
    LEFT JOIN pg_prepared_xacts ready ON held.pid IS NULL AND ready.transaction = held.transactionid
    WHERE held.locktype = 'transactionid' AND held.mode = 'ExclusiveLock' AND held.granted
    ORDER BY age(held.transactionid) DESC LIMIT 1
)
SELECT (
    SELECT at FROM audit_entry, horizon
    WHERE generation = (SELECT max(generation) FROM audit_entry) AND xid >= horizon.oldest
    ORDER BY generation, xid, id LIMIT 1
) AS oldest_at, holder.pid, holder.role::text, extract(epoch FROM holder.age)::float8 AS age_s
FROM horizon LEFT JOIN holder ON true
"""


async def load_horizon(autocommit: AutocommitPool) -> Horizon:
    """Load the horizon's age, and who holds it. Errors are psycopg's."""
    (row,) = await autocommit.run(_HORIZON, {})
    held_back = (utc_now() - row.oldest_at).total_seconds() if row.oldest_at else 0.0
    return Horizon(max(0.0, held_back), row.pid, row.role, row.age_s)
