"""SQL statements of the photo pipeline: announce, receive (new bytes or known ones), process.

A visit has four photos and more, so the number of round trips matters. The feed and audit CTEs write the same rows as
`publish_change` and `audit.record` do for a single row.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncSession

from server.audit.actions import Action
from server.audit.trail import actor_params, audit_cte
from server.core.access import Caller
from server.core.database import AutocommitPool
from server.core.job_types import ClearSpool, ProcessVisitPhotos
from server.core.jobs import DEFER_IN_TURN
from server.sync_feed.publish import feed_cte

_EXPECT_FEED = feed_cte("SELECT %(actor_id)s::uuid, 'evidence', id::text FROM written ORDER BY id::text")
_EXPECT_AUDIT = audit_cte(Action.EVIDENCE_ANNOUNCED, "SELECT 'evidence', id::text, NULL, '{}'::jsonb FROM written")
# An existing row is overwritten only when the caller has read it (`seen`), as with visits.
EXPECT = f"""
WITH rows AS (
    SELECT * FROM jsonb_to_recordset(%(rows)s) AS r(id uuid, visit_id uuid, subject_kind text,
        subject_id uuid, question_id text, sha256 text,
        size_bytes bigint, captured_at timestamptz, document jsonb, content_hash text)
), written AS (
    INSERT INTO evidence (id, visit_id, subject_kind, subject_id, author_id, device_id, question_id, sha256,
        size_bytes, captured_at, document, content_hash, state, received_at)
    SELECT id, visit_id, subject_kind, subject_id, %(actor_id)s::uuid, %(device_id)s::uuid, question_id, sha256,
        size_bytes, captured_at, document, content_hash, 'announced', %(now)s FROM rows
    ON CONFLICT (id) DO UPDATE SET visit_id = excluded.visit_id, subject_kind = excluded.subject_kind,
        subject_id = excluded.subject_id, author_id = excluded.author_id,
        device_id = excluded.device_id, question_id = excluded.question_id, sha256 = excluded.sha256,
        size_bytes = excluded.size_bytes, captured_at = excluded.captured_at, document = excluded.document,
        content_hash = excluded.content_hash, received_at = excluded.received_at
    WHERE evidence.id = ANY(%(seen)s)
    RETURNING id
), {_EXPECT_FEED}, {_EXPECT_AUDIT}
SELECT id FROM written
"""  # noqa: S608  the names are constants


async def write_expected(
    session: AsyncSession, caller: Caller, rows: Sequence[dict[str, Any]], *, seen: Collection[UUID], now: datetime
) -> set[UUID]:
    """Write manifest rows; return the ids written. A missing id was written by a concurrent request."""
    connection = await session.connection()
    params = {
        "rows": Jsonb(rows, dumps=msgspec.json.encode),
        "seen": list(seen),
        "now": now,
        **actor_params(caller),
    }
    return set((await connection.exec_driver_sql(EXPECT, params)).scalars())


_RECEIVE_NEW_FEED = feed_cte("SELECT author_id, 'evidence', id::text FROM moved")
_RECEIVE_NEW_AUDIT = audit_cte(
    Action.EVIDENCE_RECEIVED,
    "SELECT 'evidence', id::text, NULL, jsonb_build_object('sha256', %(sha256)s::text) FROM moved",
)
# Fast path for new bytes: state, feed, audit, upload and job in one statement. The expected photo is locked before its
# state is compared: of two requests with the same bytes the second finds nothing left to do.
RECEIVE_NEW = f"""
WITH expected AS (
    SELECT id, coalesce(visit_id, subject_id) AS subject_id, author_id FROM evidence
    WHERE id = %(id)s AND sha256 = %(sha256)s AND state = 'announced' FOR UPDATE
), fresh AS (
    INSERT INTO photo (sha256, size_bytes, state, stored_at)
    SELECT %(sha256)s, %(size)s, 'stored', %(now)s FROM expected
    ON CONFLICT DO NOTHING RETURNING sha256
), moved AS (
    UPDATE evidence e SET state = 'received', uploaded_at = %(now)s FROM expected x, fresh
    WHERE e.id = x.id RETURNING e.id, x.subject_id, e.author_id
), ended AS (
    UPDATE upload SET state = 'done', lease = NULL, lease_until = NULL, received_bytes = size_bytes
    WHERE id = %(upload)s AND EXISTS (SELECT FROM moved) RETURNING id, way
), {_RECEIVE_NEW_FEED}, {_RECEIVE_NEW_AUDIT}, to_defer AS (
    SELECT '{ProcessVisitPhotos.task_name}' AS task, 'photos:' || subject_id AS turn,
        jsonb_build_object('visit_id', subject_id) AS args
    FROM moved
    UNION ALL
    SELECT '{ClearSpool.task_name}', 'spool:' || id, jsonb_build_object('upload_id', id)
    FROM ended WHERE way = 'put' OR EXISTS (SELECT FROM upload_chunk c WHERE c.upload_id = ended.id)
), {DEFER_IN_TURN}
SELECT (SELECT ids FROM queued) AS jobs FROM moved
"""  # noqa: S608  the names are constants


async def receive_new(
    autocommit: AutocommitPool,
    caller: Caller | None,
    photo_id: UUID,
    upload_id: str | None,
    sha256: str,
    size: int,
    now: datetime,
) -> bool:
    """Mark an expected photo received whose bytes are in the store and have never been stored before.

    Return False, with nothing changed, when the bytes were stored before or the photo does not expect them.
    """
    params = {"id": photo_id, "sha256": sha256, "size": size, "upload": upload_id, "now": now, **actor_params(caller)}
    return bool(await autocommit.run(RECEIVE_NEW, params))


_RECEIVE_FEED = feed_cte("SELECT author_id, 'evidence', id::text FROM of_visit")
_RECEIVE_AUDIT = audit_cte(
    Action.EVIDENCE_RECEIVED,
    "SELECT kind, id::text, NULL, jsonb_build_object('sha256', %(sha256)s::text) FROM expected",
)
# Photos of papers have no feed rows: no phone reads them.
RECEIVE = f"""
WITH of_visit AS (
    UPDATE evidence SET state = 'received', uploaded_at = %(now)s
    WHERE id = %(id)s AND sha256 = %(sha256)s AND state = 'announced' RETURNING id, author_id
), of_paper AS (
    UPDATE paper_photo SET state = 'received', uploaded_at = %(now)s
    WHERE id = %(id)s AND sha256 = %(sha256)s AND state = 'announced' RETURNING id
), expected AS (
    SELECT id, 'evidence' AS kind FROM of_visit UNION ALL SELECT id, 'paper_photo' FROM of_paper
), fresh AS (
    INSERT INTO photo (sha256, size_bytes, state, stored_at)
    SELECT %(sha256)s, %(size)s, 'stored', %(now)s FROM expected
    ON CONFLICT DO NOTHING
), {_RECEIVE_FEED}, {_RECEIVE_AUDIT}
SELECT id FROM expected
"""  # noqa: S608  the names are constants


async def receive(
    session: AsyncSession, caller: Caller | None, photo_id: UUID, sha256: str, size: int, now: datetime
) -> bool:
    """Mark an expected photo received whose bytes are in the store. Return False if it does not expect them."""
    connection = await session.connection()
    params = {"id": photo_id, "sha256": sha256, "size": size, "now": now, **actor_params(caller)}
    return (await connection.exec_driver_sql(RECEIVE, params)).first() is not None


FEATURE_COLUMNS = {
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
_TYPED = ", ".join(f"{name} {kind}" for name, kind in FEATURE_COLUMNS.items())
_UPDATES = ", ".join(f"{name} = l.{name}" for name in FEATURE_COLUMNS if name != "sha256")

_OUTCOMES_FEED = feed_cte("SELECT author_id, 'evidence', id::text FROM outcomes ORDER BY id::text, author_id")
_OUTCOMES_AUDIT = audit_cte(
    {"verified": Action.EVIDENCE_VERIFIED, "refused": Action.EVIDENCE_REFUSED},
    """
    SELECT state, kind, id::text, NULL, jsonb_build_object('code', refused_code)
    FROM (SELECT 'evidence' AS kind, id, state, refused_code FROM outcomes
          UNION ALL SELECT 'paper_photo', id, state, refused_code FROM papers) AS photos""",
)
# Every expected photo whose bytes are among `processed` gets their outcome. In one order, so that two statements that
# touch the same photos wait for each other instead of deadlocking.
_OUTCOMES = f"""
outcomes AS (
    UPDATE evidence e SET state = l.state, refused_code = l.refused_code, settled_at = %(now)s
    FROM processed l WHERE e.sha256 = l.sha256 AND e.state = 'received'
    RETURNING e.id, e.visit_id, e.author_id, e.state, e.refused_code
), papers AS (
    UPDATE paper_photo p SET state = l.state, refused_code = l.refused_code, settled_at = %(now)s
    FROM processed l WHERE p.sha256 = l.sha256 AND p.state = 'received'
    RETURNING p.id, p.state, p.refused_code
), {_OUTCOMES_FEED}, {_OUTCOMES_AUDIT}
SELECT DISTINCT visit_id FROM outcomes WHERE visit_id IS NOT NULL
"""  # noqa: S608  constants alone

APPLY_OUTCOMES = f"""
WITH processed AS (
    SELECT sha256, state, refused_code FROM photo WHERE sha256 = ANY(%(hashes)s) AND state <> 'stored'
), {_OUTCOMES}
"""  # noqa: S608  the names are the constants above


async def apply_outcomes(session: AsyncSession, hashes: Collection[str], now: datetime) -> set[UUID]:
    """Give every photo that waits for these bytes their outcome; return the visits it belongs to."""
    connection = await session.connection()
    params = {"hashes": list(hashes), "now": now, **actor_params(None)}
    return set((await connection.exec_driver_sql(APPLY_OUTCOMES, params)).scalars())


# The photos are locked first and in one order. A photo with the same bytes that arrives meanwhile waits for the lock,
# or came before it and has deferred processing of its own.
WRITE_FEATURES = f"""
WITH locked AS (
    SELECT sha256 FROM photo WHERE sha256 = ANY(%(hashes)s) ORDER BY sha256 FOR UPDATE
), processed AS (
    UPDATE photo p SET {_UPDATES}, parked_at = NULL, parked_error = NULL
    FROM locked JOIN jsonb_to_recordset(%(features)s) AS l({_TYPED}) USING (sha256) WHERE p.sha256 = l.sha256
    RETURNING p.sha256, p.state, p.refused_code
), {_OUTCOMES}
"""  # noqa: S608  the names are the constants above


async def write_features(session: AsyncSession, features: Sequence[dict[str, Any]], now: datetime) -> set[UUID]:
    """Write the features of processed photos and give every photo that waits for them its outcome.

    `features` hold columns of FEATURE_COLUMNS; a column that is left out becomes null. Return the visits concerned.
    """
    connection = await session.connection()
    params = {
        "hashes": [photo["sha256"] for photo in features],
        "features": Jsonb([_encode(photo) for photo in features], dumps=msgspec.json.encode),
        "now": now,
        **actor_params(None),
    }
    return set((await connection.exec_driver_sql(WRITE_FEATURES, params)).scalars())


def _encode(columns: dict[str, Any]) -> dict[str, Any]:
    """Write bytes in PostgreSQL's text form."""
    return {name: f"\\x{value.hex()}" if isinstance(value, bytes) else value for name, value in columns.items()}
