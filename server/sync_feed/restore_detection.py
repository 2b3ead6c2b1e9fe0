"""Detect that a database was restored elsewhere, so that phones start their sync over instead of missing rows."""

import hashlib

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.errors import Problem
from server.core.ids import new_id

# The table's own number changes whenever a dump is restored, be it into the same database; the system
# identifier changes with the cluster. Neither changes by itself.
_HERE = """
SELECT system_identifier::text AS system_identifier, 'feed'::regclass::oid::bigint AS feed_oid
FROM pg_control_system()
"""


# The timeline changes when a standby is promoted or a backup is recovered to a point in time.
_STANDING = f"""
SELECT i.id, here.system_identifier, here.feed_oid,
       i.system_identifier = here.system_identifier AND i.feed_oid = here.feed_oid AS is_known,
       substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS timeline
FROM installation i, ({_HERE}) here
"""  # noqa: S608 both parts stand here


async def database_epoch(session: AsyncSession) -> str:
    """What a checkpoint must match to mean anything here: 16 hex digits. One query.

    Raises `server.not_ready` when the data was restored from a dump and `migrate` has not run since: then
    the order of the feed means nothing yet, and serving it would lose rows.
    """
    row = (await session.execute(text(_STANDING))).one_or_none()
    if row is None or not row.is_known:
        raise Problem("server.not_ready")
    told = f"{row.id}/{row.system_identifier}/{row.feed_oid}/{row.timeline}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def adopt_database(connection: Connection) -> bool:
    """Make the data at home where it is; True when it had come from elsewhere. Runs after every migration.

    Restored feed rows are numbered anew, with this transaction's own number, so that every phone, starting
    over, meets each of them. Audit entries can't be changed and their order is sealed: those written from
    now on belong to the next generation instead, which sorts after the last.
    """
    here = connection.execute(text(_HERE)).one()
    known = connection.execute(text("SELECT * FROM installation FOR UPDATE")).one_or_none()
    if known is not None and (known.system_identifier, known.feed_oid) == tuple(here):
        return False
    generation = 1 if known is None else known.generation + 1
    values = {
        "id": new_id(),
        "generation": generation,
        "system_identifier": here.system_identifier,
        "feed_oid": here.feed_oid,
    }
    connection.execute(text("DELETE FROM installation"))
    connection.execute(
        text(
            "INSERT INTO installation (id, generation, system_identifier, feed_oid) "
            "VALUES (:id, :generation, :system_identifier, :feed_oid)"
        ),
        values,
    )
    if known is not None:
        connection.execute(text("UPDATE feed SET xid = pg_current_xact_id()"))
        # The number is ours, and DDL takes no parameters.
        connection.execute(text(f"ALTER TABLE audit_entry ALTER COLUMN generation SET DEFAULT {generation:d}"))
        # Not only for people: what came before it counts as settled from here on.
        connection.execute(
            text(
                "INSERT INTO audit_entry (generation, actor_kind, action, thing_kind, thing_id, facts) "
                "VALUES (:generation, 'system', 'database.restored', 'installation', :id, '{}')"
            ),
            {"generation": generation, "id": str(values["id"])},
        )
    return known is not None
