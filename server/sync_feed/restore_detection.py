"""Detect that a database was restored elsewhere, so that phones start their sync over instead of missing rows."""

import hashlib
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncSession

from server.audit.actions import Action
from server.core.clock import utc_now
from server.core.errors import Problem
from server.core.ids import new_id

# The table's oid changes whenever a dump is restored, even into the same database; the system identifier changes with
# the cluster. Neither changes otherwise.
_CURRENT = """
SELECT system_identifier::text AS system_identifier, 'feed'::regclass::oid::bigint AS feed_oid
FROM pg_control_system()
"""


# The timeline changes when a standby is promoted or a backup is recovered to a point in time.
_EPOCH = f"""
SELECT i.id, here.system_identifier, here.feed_oid,
       i.system_identifier = here.system_identifier AND i.feed_oid = here.feed_oid AS is_known,
       substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS timeline
FROM installation i, ({_CURRENT}) here
"""  # noqa: S608 both parts are constants


async def database_epoch(session: AsyncSession) -> str:
    """Return the epoch that a checkpoint must match to be valid: 16 hex digits. One query.

    Raise `server.not_ready` when the data was restored from a dump and `migrate` has not run since: the order of the
    feed is then meaningless, and serving it would lose rows.
    """
    row = (await session.execute(text(_EPOCH))).one_or_none()
    if row is None or not row.is_known:
        raise Problem("server.not_ready")
    epoch = f"{row.id}/{row.system_identifier}/{row.feed_oid}/{row.timeline}"
    return hashlib.sha256(epoch.encode()).hexdigest()[:16]


def find_installation(connection: psycopg.Connection[Any]) -> tuple[str, bool]:
    """Return the id of the installation whose data this is, and whether `migrate` has adopted it here."""
    query = f"SELECT id::text, is_known FROM ({_EPOCH})"  # noqa: S608  a constant
    row = connection.execute(query).fetchone()
    return (row[0], row[1]) if row else ("", False)


def adopt_database(connection: Connection) -> bool:
    """Register this database as the home of the data; return True when the data came from another.

    Runs after every migration.

    Restored feed rows get this transaction's number, so that every phone, starting over, receives each of them. Audit
    entries can't be changed and their order is sealed: entries from now on belong to the next generation instead.
    """
    here = connection.execute(text(_CURRENT)).one()
    previous = connection.execute(text("SELECT * FROM installation FOR UPDATE")).one_or_none()
    if previous is not None and (previous.system_identifier, previous.feed_oid) == tuple(here):
        return False
    generation = 1 if previous is None else previous.generation + 1
    values = {
        "id": new_id(),
        "generation": generation,
        "system_identifier": here.system_identifier,
        "feed_oid": here.feed_oid,
        "since": utc_now(),
    }
    connection.execute(text("DELETE FROM installation"))
    connection.execute(
        text(
            "INSERT INTO installation (id, generation, system_identifier, feed_oid, since) "
            "VALUES (:id, :generation, :system_identifier, :feed_oid, :since)"
        ),
        values,
    )
    if previous is not None:
        _begin_generation(connection, generation, values["id"])
    return previous is not None


def _begin_generation(connection: Connection, generation: int, installation_id: UUID) -> None:
    """Give the restored feed this transaction's number, and the trail its next generation with a line that says so."""
    connection.execute(text("UPDATE feed SET xid = pg_current_xact_id()"))
    # DDL takes no parameters; the number is computed above.
    connection.execute(text(f"ALTER TABLE audit_entry ALTER COLUMN generation SET DEFAULT {generation:d}"))
    # Needed for sealing too: entries of the generations before it count as committed.
    connection.execute(
        text(
            "INSERT INTO audit_entry (at, generation, actor_kind, action, thing_kind, thing_id, facts) "
            "VALUES (:at, :generation, 'system', :action, 'installation', :id, '{}')"
        ),
        {
            "at": utc_now(),
            "generation": generation,
            "action": Action.DATABASE_RESTORED.value,
            "id": str(installation_id),
        },
    )
