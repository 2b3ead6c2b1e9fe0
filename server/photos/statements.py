"""The database side of photos, in a few statements: some are announced, one came, new or again, some were seen.

Photos come four to a visit and more, so what counts is the number of round trips. What these say of feed and
audit is what `feed.write_expected` and `audit.record` say for one row at a time.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.core.database import AutocommitPool
from server.core.jobs import DEFER_IN_TURN

# What these statements ask for by name, as everyone asks for the jobs of other rooms.
EXAMINE_VISIT, CLEAR_SPOOL = "evidence.examine_visit", "uploads.clear"


# A row that exists is written over only when the caller's rules saw it (`seen`), as with visits.
ANNOUNCE = """
WITH rows AS (
    SELECT * FROM jsonb_to_recordset(%(rows)s) AS r(id uuid, visit_id uuid, question_id text, sha256 text,
        size_bytes bigint, captured_at timestamptz, document jsonb, content_hash text)
), written AS (
    INSERT INTO evidence (id, visit_id, author_id, device_id, question_id, sha256, size_bytes, captured_at, document,
        content_hash, state, received_at)
    SELECT id, visit_id, %(caller)s, %(device)s, question_id, sha256, size_bytes, captured_at, document,
        content_hash, 'announced', %(now)s FROM rows
    ON CONFLICT (id) DO UPDATE SET visit_id = excluded.visit_id, author_id = excluded.author_id,
        device_id = excluded.device_id, question_id = excluded.question_id, sha256 = excluded.sha256,
        size_bytes = excluded.size_bytes, captured_at = excluded.captured_at, document = excluded.document,
        content_hash = excluded.content_hash, received_at = excluded.received_at
    WHERE evidence.id = ANY(%(seen)s)
    RETURNING id
), told AS (
    INSERT INTO feed (staff_id, collection, doc_id)
    SELECT %(caller)s, 'evidence', id::text FROM written ORDER BY id::text
    ON CONFLICT (staff_id, collection, doc_id)
    DO UPDATE SET xid = pg_current_xact_id(), is_deleted = false, reason = NULL
), noted AS (
    INSERT INTO audit_entry (actor_kind, actor_id, device_id, request_id, action, thing_kind, thing_id, facts)
    SELECT 'staff', %(caller)s, %(device)s, %(request)s, 'evidence.announced', 'evidence', id::text, '{}' FROM written
)
SELECT id FROM written
"""


async def write_expected(
    session: AsyncSession, caller: Caller, rows: Sequence[dict[str, Any]], *, seen: Collection[UUID], now: datetime
) -> set[UUID]:
    """Write manifests. One that is missing from what returns was written by someone else since it was looked up."""
    connection = await session.connection()
    told = {
        "rows": Jsonb(rows, dumps=msgspec.json.encode),
        "seen": list(seen),
        "caller": caller.id,
        "device": caller.device_id,
        "now": now,
        "request": _request_id(),
    }
    return set((await connection.exec_driver_sql(ANNOUNCE, told)).scalars())


# Of what nobody has sent before, as of nearly every photo, all that its coming means in one statement. The claim is
# locked before it is judged: of two who bring the same bytes the second finds nothing left to do.
RECEIVE_NEW = f"""
WITH awaited AS (
    SELECT id, visit_id, author_id FROM evidence
    WHERE id = %(id)s AND sha256 = %(sha256)s AND state = 'announced' FOR UPDATE
), fresh AS (
    INSERT INTO photo (sha256, size_bytes, state) SELECT %(sha256)s, %(size)s, 'stored' FROM awaited
    ON CONFLICT DO NOTHING RETURNING sha256
), moved AS (
    UPDATE evidence e SET state = 'received', uploaded_at = %(now)s FROM awaited a, fresh
    WHERE e.id = a.id RETURNING e.id, e.visit_id, e.author_id
), ended AS (
    UPDATE upload SET state = 'done', lease = NULL, lease_until = NULL, received_bytes = size_bytes
    WHERE id = %(upload)s AND EXISTS (SELECT FROM moved) RETURNING id, way
), told AS (
    INSERT INTO feed (staff_id, collection, doc_id) SELECT author_id, 'evidence', id::text FROM moved
    ON CONFLICT (staff_id, collection, doc_id)
    DO UPDATE SET xid = pg_current_xact_id(), is_deleted = false, reason = NULL
), noted AS (
    INSERT INTO audit_entry (actor_kind, actor_id, device_id, request_id, action, thing_kind, thing_id, facts)
    SELECT %(actor_kind)s, %(actor)s, %(device)s, %(request)s, 'evidence.received', 'evidence', id::text,
        jsonb_build_object('sha256', %(sha256)s::text) FROM moved
), wanted AS (
    SELECT '{EXAMINE_VISIT}' AS task, 'photos:' || visit_id AS turn, jsonb_build_object('visit_id', visit_id) AS args
    FROM moved
    UNION ALL
    SELECT '{CLEAR_SPOOL}', 'spool:' || id, jsonb_build_object('upload_id', id)
    FROM ended WHERE way = 'put' OR EXISTS (SELECT FROM upload_chunk c WHERE c.upload_id = ended.id)
), {DEFER_IN_TURN}
SELECT (SELECT ids FROM queued) AS jobs FROM moved
"""  # noqa: S608  the names are constants


async def receive_new(
    autocommit: AutocommitPool,
    caller: Caller | None,
    claim_id: UUID,
    upload_id: str | None,
    sha256: str,
    size: int,
    now: datetime,
) -> bool:
    """The announced bytes are in the store, and no photo has been the same: it is received, to be examined with the
    others of its visit, and its upload is done. False when it is not so simple, and then nothing was done.
    """
    told = {"id": claim_id, "sha256": sha256, "size": size, "upload": upload_id, "now": now, **_actor(caller)}
    return bool(await autocommit.run(RECEIVE_NEW, told))


def _actor(caller: Caller | None) -> dict[str, Any]:
    return {
        "actor_kind": "system" if caller is None else "resident" if caller.is_resident else "staff",
        "actor": caller.id if caller else None,
        "device": caller.device_id if caller else None,
        "request": _request_id(),
    }


# No phone is to hear of a paper.
RECEIVE = """
WITH of_visit AS (
    UPDATE evidence SET state = 'received', uploaded_at = %(now)s
    WHERE id = %(id)s AND sha256 = %(sha256)s AND state = 'announced' RETURNING id, author_id
), of_paper AS (
    UPDATE paper_photo SET state = 'received', uploaded_at = %(now)s
    WHERE id = %(id)s AND sha256 = %(sha256)s AND state = 'announced' RETURNING id
), claim AS (
    SELECT id, 'evidence' AS kind FROM of_visit UNION ALL SELECT id, 'paper_photo' FROM of_paper
), fresh AS (
    INSERT INTO photo (sha256, size_bytes, state) SELECT %(sha256)s, %(size)s, 'stored' FROM claim
    ON CONFLICT DO NOTHING
), told AS (
    INSERT INTO feed (staff_id, collection, doc_id) SELECT author_id, 'evidence', id::text FROM of_visit
    ON CONFLICT (staff_id, collection, doc_id)
    DO UPDATE SET xid = pg_current_xact_id(), is_deleted = false, reason = NULL
), noted AS (
    INSERT INTO audit_entry (actor_kind, actor_id, device_id, request_id, action, thing_kind, thing_id, facts)
    SELECT %(actor_kind)s, %(actor)s, %(device)s, %(request)s, 'evidence.received', kind, id::text,
        jsonb_build_object('sha256', %(sha256)s::text) FROM claim
)
SELECT id FROM claim
"""


async def receive(
    session: AsyncSession, caller: Caller | None, claim_id: UUID, sha256: str, size: int, now: datetime
) -> bool:
    """The announced bytes are in the store. False when this claim awaits no such bytes (any more)."""
    connection = await session.connection()
    told = {"id": claim_id, "sha256": sha256, "size": size, "now": now, **_actor(caller)}
    return (await connection.exec_driver_sql(RECEIVE, told)).first() is not None


LOOK_COLUMNS = {
    "sha256": "text",
    "state": "text",
    "refused_code": "text",
    "media_type": "text",
    "facts": "jsonb",
    "fingerprint": "bit(256)",
    "fingerprint_quality": "int",
    "look": "bytea",
    "inside_fingerprint": "bit(256)",
    "inside_quality": "int",
    "inside_look": "bytea",
    "copies": "jsonb",
    "examined_at": "timestamptz",
}
_TYPED = ", ".join(f"{name} {kind}" for name, kind in LOOK_COLUMNS.items())
_SEEN = ", ".join(f"{name} = l.{name}" for name in LOOK_COLUMNS if name != "sha256")

# Every claim that awaits what became of the contents in `looked`. In one order, so that two that settle the same
# claims wait for each other and do not cross.
_SETTLED = """
settled AS (
    UPDATE evidence e SET state = l.state, refused_code = l.refused_code, settled_at = %(now)s
    FROM looked l WHERE e.sha256 = l.sha256 AND e.state = 'received'
    RETURNING e.id, e.visit_id, e.author_id, e.state, e.refused_code
), papers AS (
    UPDATE paper_photo p SET state = l.state, refused_code = l.refused_code, settled_at = %(now)s
    FROM looked l WHERE p.sha256 = l.sha256 AND p.state = 'received'
    RETURNING p.id, p.state, p.refused_code
), told AS (
    INSERT INTO feed (staff_id, collection, doc_id)
    SELECT author_id, 'evidence', id::text FROM settled ORDER BY id::text, author_id
    ON CONFLICT (staff_id, collection, doc_id)
    DO UPDATE SET xid = pg_current_xact_id(), is_deleted = false, reason = NULL
), noted AS (
    INSERT INTO audit_entry (actor_kind, request_id, action, thing_kind, thing_id, facts)
    SELECT 'system', %(request)s, 'evidence.' || state, kind, id::text, jsonb_build_object('code', refused_code)
    FROM (SELECT 'evidence' AS kind, id, state, refused_code FROM settled
          UNION ALL SELECT 'paper_photo', id, state, refused_code FROM papers) AS claim
)
SELECT DISTINCT visit_id FROM settled
"""

SETTLE = f"""
WITH looked AS (
    SELECT sha256, state, refused_code FROM photo WHERE sha256 = ANY(%(hashes)s) AND state <> 'stored'
), {_SETTLED}
"""  # noqa: S608  the names are the constants above


async def settle_expected(session: AsyncSession, hashes: Collection[str], now: datetime) -> set[UUID]:
    """Every claim that awaits what became of these contents hears it. Returns the visits that did."""
    connection = await session.connection()
    told = {"hashes": list(hashes), "now": now, "request": _request_id()}
    return set((await connection.exec_driver_sql(SETTLE, told)).scalars())


# The photos are locked first and in one order. A claim of the same content that comes meanwhile waits for them, or
# was before this and has asked for a look of its own.
NOTE_LOOKS = f"""
WITH held AS (
    SELECT sha256 FROM photo WHERE sha256 = ANY(%(hashes)s) ORDER BY sha256 FOR UPDATE
), looked AS (
    UPDATE photo p SET {_SEEN}, parked_at = NULL, parked_error = NULL
    FROM held JOIN jsonb_to_recordset(%(looks)s) AS l({_TYPED}) USING (sha256) WHERE p.sha256 = l.sha256
    RETURNING p.sha256, p.state, p.refused_code
), {_SETTLED}
"""  # noqa: S608  the names are the constants above


async def write_features(session: AsyncSession, looks: Sequence[dict[str, Any]], now: datetime) -> set[UUID]:
    """Write down what was seen, and settle every claim of it. Returns the visits that heard.

    `looks` hold columns of LOOK_COLUMNS; one that a look leaves out is emptied.
    """
    connection = await session.connection()
    told = {
        "hashes": [one["sha256"] for one in looks],
        "looks": Jsonb([_spelt(one) for one in looks], dumps=msgspec.json.encode),
        "now": now,
        "request": _request_id(),
    }
    return set((await connection.exec_driver_sql(NOTE_LOOKS, told)).scalars())


def _spelt(look: dict[str, Any]) -> dict[str, Any]:
    """Bytes as PostgreSQL reads them out of a text."""
    return {name: f"\\x{value.hex()}" if isinstance(value, bytes) else value for name, value in look.items()}


def _request_id() -> str | None:
    request_id: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return request_id
