"""The read trail: one line for each look at personal data, in a table of its own.

The line is written in a statement of its own, never in the transaction of the request: a transaction that has written
holds back the sync feed of every phone, and a read must not need a writable session.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal, NamedTuple

import psycopg
from psycopg.types.json import Jsonb

from server.audit.trail import actor_params
from server.core import jobs
from server.core.access import Caller
from server.core.clock import utc_now
from server.core.database import AutocommitPool, LaterStatement
from server.core.errors import Problem
from server.core.job_types import PurgeReadTrail
from server.core.log import log
from server.core.services import Services

ReadAction = Literal["opened", "listed", "exported", "pulled"]

_PURGE_BATCH = 10_000
_INSERT = """
INSERT INTO read_entry
    (at, actor_kind, actor_id, device_id, request_id, action, thing_kind, thing_id, area_code, shown, filters)
VALUES (%(now)s, %(actor_kind)s, %(actor_id)s, %(device_id)s, %(request_id)s, %(action)s, %(thing_kind)s, %(thing_id)s,
    %(area_code)s, %(shown)s, %(filters)s)
RETURNING id
"""
# The oldest rows have the lowest ids, so a batch never scans the table.
_PURGE = """
WITH oldest AS (SELECT id, at FROM read_entry ORDER BY id LIMIT %(batch)s)
DELETE FROM read_entry USING oldest WHERE read_entry.id = oldest.id AND oldest.at < %(before)s
RETURNING read_entry.id
"""


class Look(NamedTuple):
    """What somebody looked at. `shown` counts rows; `filters` hold no personal data."""

    action: ReadAction
    thing_kind: str
    shown: int
    thing_id: str | None = None
    area_code: str | None = None
    filters: dict[str, Any] = {}


async def log_look(pool: AutocommitPool, caller: Caller, look: Look) -> None:
    """Write the line of a look and commit it. Raise `reads.not_logged` when that is impossible."""
    params = actor_params(caller)
    filters = look.filters | params["acting"].obj
    values = {"now": utc_now(), **params, **look._asdict(), "filters": Jsonb(filters)}
    await write_after_reading(pool, [LaterStatement(_INSERT, values)])


async def write_after_reading(pool: AutocommitPool, statements: Sequence[LaterStatement]) -> None:
    """Write what waits for the end of a reading session. Raise `reads.not_logged` when that is impossible."""
    try:
        for statement in statements:
            await pool.run(statement.sql, statement.values)
    except psycopg.Error as error:
        log.error("reads.not_logged", sqlstate=getattr(error, "sqlstate", None), error=type(error).__name__)
        raise Problem("reads.not_logged", headers={"Retry-After": "5"}) from error


@jobs.task(PurgeReadTrail, cron="20 18 * * *")
async def purge_read_trail(services: Services, _: PurgeReadTrail) -> None:
    """Delete the lines that are older than `read_trail_days`, batch by batch."""
    before = utc_now() - timedelta(days=services.settings.read_trail_days)
    deleted = _PURGE_BATCH
    while deleted == _PURGE_BATCH:
        deleted = len(await services.autocommit.run(_PURGE, {"batch": _PURGE_BATCH, "before": before}))
