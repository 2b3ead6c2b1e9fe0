"""Counters of the queue and of the overview: triggers and transactions append rows, a job folds them into sums."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.database import open_session
from server.core.job_types import FoldTallies
from server.core.services import Services


@jobs.task(FoldTallies, cron="* * * * *")
async def fold_tallies(services: Services, _: FoldTallies) -> None:
    """Fold appended rows into their sums. Reads add up both, so they are right without it."""
    async with open_session(services.sessions) as session:
        await fold_counts(session)
        await fold_months(session)


async def fold_counts(session: AsyncSession) -> None:
    """Fold each row into its sum once, also when several processes fold at the same time."""
    await session.execute(_FOLD)


_FOLD = text("""
WITH deleted AS (DELETE FROM queue_count RETURNING county_code, kind, gravest, finding_codes, items)
INSERT INTO queue_count (county_code, kind, gravest, finding_codes, items)
SELECT county_code, kind, gravest, finding_codes, sum(items) FROM deleted
GROUP BY county_code, kind, gravest, finding_codes HAVING sum(items) <> 0
""")


async def update_tallies(session: AsyncSession, visit_ids: Collection[UUID]) -> None:
    """Bring these visits' tallies up to date in one query. Visit, assignment and decisions must be flushed."""
    if visit_ids:
        await session.execute(_TALLY, {"ids": list(visit_ids)})


_TALLY = text("""
INSERT INTO visit_tally
    (visit_id, county_code, area_code, author_id, visited_on, is_late, is_returned, decided_after_s)
SELECT v.id, left(v.area_code, 6), v.area_code, v.author_id, d.visited_on, coalesce(d.visited_on > a.due_on, false),
    coalesce(first.returned, false), extract(epoch FROM first.at - v.received_at)
FROM visit v
CROSS JOIN LATERAL (SELECT (v.started_at AT TIME ZONE 'Asia/Shanghai')::date AS visited_on) d
LEFT JOIN assignment a ON a.id = v.assignment_id
LEFT JOIN LATERAL (
    SELECT min(decided_at) AS at, bool_or(outcome = 'returned') AS returned
    FROM decision WHERE visit_id = v.id AND undone_why IS DISTINCT FROM 'undone'
) first ON true
WHERE v.id = ANY(:ids) AND v.started_at IS NOT NULL AND v.submitted_at IS NOT NULL AND v.state <> 'voided'
ON CONFLICT (visit_id) DO UPDATE SET
    county_code = excluded.county_code, area_code = excluded.area_code, author_id = excluded.author_id,
    visited_on = excluded.visited_on, is_late = excluded.is_late, is_returned = excluded.is_returned,
    decided_after_s = excluded.decided_after_s
""")


async def fold_months(session: AsyncSession) -> None:
    """Fold each change into its sums once, also when several processes fold at the same time."""
    await session.execute(_FOLD_MONTHS)


_FOLD_MONTHS = text("""
WITH deleted AS (DELETE FROM visit_month_change RETURNING county_code, month, bucket, visits, late, returned)
INSERT INTO visit_month (level, month, area_code, bucket, visits, late, returned)
SELECT level, month, left(county_code, level), bucket, sum(visits), sum(late), sum(returned)
FROM deleted CROSS JOIN (VALUES (4), (6)) levels (level)
GROUP BY 1, 2, 3, 4 HAVING (sum(visits), sum(late), sum(returned)) <> (0, 0, 0)
ORDER BY 1, 2, 3, 4
ON CONFLICT (level, month, area_code, bucket) DO UPDATE SET visits = visit_month.visits + excluded.visits,
    late = visit_month.late + excluded.late, returned = visit_month.returned + excluded.returned
""")
