"""What waits or has failed behind the API: how long news is held back, and jobs that failed for good."""

import math
from collections.abc import Awaitable, Callable

import psycopg
import psycopg_pool
from prometheus_client import Gauge

from server.audit.horizon import load_horizon
from server.core.log import log
from server.core.services import Services
from server.http.clock_skew import check_clock

_HORIZON_AGE = Gauge(
    "zoufang_feed_horizon_age_seconds", "For how long the oldest running transaction has held back news of phones"
)
_FAILED_JOBS = Gauge("zoufang_failed_jobs", "Background jobs that failed for good, by task", ["task"])
_FAILED = """
SELECT task_name, count(*)::int AS number FROM procrastinate_jobs WHERE status = 'failed' GROUP BY 1 ORDER BY 1
"""


async def check_news(services: Services) -> str:
    """Return `ok`, or for how long news has been held back, which is also logged and a metric."""
    horizon = await load_horizon(services.autocommit)
    _HORIZON_AGE.set(horizon.age_s)
    if not horizon.is_late:
        return "ok"
    log.warning("feed.held_back", seconds=round(horizon.age_s), process=horizon.pid)
    return f"held back for {horizon.age_s:.0f} s"


async def check_failed_jobs(services: Services) -> str:
    """Return `ok`, or how many jobs have failed for good; the metric counts them by task."""
    failed = await count_failed_jobs(services)
    _FAILED_JOBS.clear()
    for task, number in failed.items():
        _FAILED_JOBS.labels(task).set(number)
    return f"{sum(failed.values())} have failed for good" if failed else "ok"


async def count_failed_jobs(services: Services) -> dict[str, int]:
    """Count the failed jobs of all areas by task."""
    return {row.task_name: row.number for row in await services.autocommit.run(_FAILED, {})}


async def measure(services: Services) -> None:
    """Bring the metrics up to date. Without a database they are no numbers."""
    _HORIZON_AGE.set(math.nan)
    _FAILED_JOBS.clear()
    for check in (check_clock, check_news, check_failed_jobs):
        await try_check(check, services)


async def try_check(check: Callable[[Services], Awaitable[str]], services: Services) -> str:
    """Return the result of a check, or `unknown` where the database or its tables are not there."""
    try:
        return await check(services)
    except (psycopg.Error, psycopg_pool.PoolTimeout):
        return "unknown"
