"""Pull: what this person should have and has not had, oldest change first, and never a row too early.

Rows are ordered by the transaction that wrote them and served only below the oldest one still running: a
counter or a clock would pass over a row that commits late.
"""

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from field_api.sync.collections import COLLECTIONS, Collection
from server.core.access import Caller
from server.core.database import Xid8
from server.core.errors import Problem
from server.core.wire import Answer
from server.models.feed import Feed, KeptRow

PAGE = 200
LARGEST_PAGE = 1000


class Checkpoint(Answer):
    """Where a phone stands. `lwt` is a transaction number; `id` is opaque."""

    id: str
    lwt: int


class PulledPage(Answer):
    documents: list[dict[str, Any]]
    checkpoint: Checkpoint


def served_collection(name: str, version: int) -> Collection:
    collection = COLLECTIONS.get(name)
    if collection is None:
        raise Problem("sync.collection_unknown")
    if version != collection.version:
        raise Problem("sync.schema_version_gone", served=collection.version)
    return collection


async def pull(
    session: AsyncSession, caller: Caller, name: str, version: int, *, lwt: int, after_id: str, limit: int
) -> PulledPage:
    """One page, in a number of queries that does not depend on its length."""
    collection = served_collection(name, version)
    cluster = await cluster_id(session)
    after_xid, after_doc = _position(cluster, lwt, after_id)
    lines = (
        await session.execute(
            select(Feed.doc_id, Feed.xid, Feed.is_deleted, Feed.reason)
            .where(
                Feed.staff_id == caller.id,
                Feed.collection == name,
                tuple_(Feed.xid, Feed.doc_id) > tuple_(*_typed(after_xid, after_doc)),
                Feed.xid < func.pg_snapshot_xmin(func.pg_current_snapshot(), type_=Xid8),
            )
            .order_by(Feed.xid, Feed.doc_id)
            .limit(max(1, min(limit, LARGEST_PAGE)))
        )
    ).all()
    here = await masters(session, caller, name, collection, [one.doc_id for one in lines if not one.is_deleted])
    documents = [here.get(one.doc_id) or _tombstone(one.doc_id, one.reason) for one in lines]
    if lines:
        return PulledPage(documents=documents, checkpoint=_checkpoint(cluster, lines[-1].xid, lines[-1].doc_id))
    return PulledPage(documents=[], checkpoint=_checkpoint(cluster, after_xid, after_doc))


def _typed(after_xid: int, after_doc: str) -> tuple[Any, Any]:
    from sqlalchemy import Text, bindparam  # noqa: PLC0415

    return bindparam(None, after_xid, Xid8), bindparam(None, after_doc, Text)


def _position(cluster: str, lwt: int, after_id: str) -> tuple[int, str]:
    """Where to go on; from the start when the checkpoint is of another database, as after a restore."""
    known, _, doc_id = after_id.partition(":")
    return (lwt, doc_id) if known == cluster else (0, "")


def _checkpoint(cluster: str, xid: int, doc_id: str) -> Checkpoint:
    return Checkpoint(id=f"{cluster}:{doc_id}", lwt=xid)


async def cluster_id(session: AsyncSession) -> str:
    identifier = await session.scalar(text("SELECT system_identifier FROM pg_control_system()"))
    return f"{identifier:x}"


async def masters(
    session: AsyncSession, caller: Caller, name: str, collection: Collection, doc_ids: list[str]
) -> dict[str, dict[str, Any]]:
    """The documents as the server holds them for this caller; a row in quarantine goes before the stored one."""
    ids = [UUID(one) for one in doc_ids if _is_uuid(one)]
    loaded = await collection.load(session, caller, ids) if ids else {}
    documents: dict[str, dict[str, Any]] = {key: msgspec.to_builtins(value) for key, value in loaded.items()}
    if collection.apply is not None and doc_ids:
        documents |= await _quarantined(session, caller, name, doc_ids)
    return documents


async def _quarantined(
    session: AsyncSession, caller: Caller, name: str, doc_ids: list[str]
) -> dict[str, dict[str, Any]]:
    rows = await session.scalars(
        select(KeptRow).where(
            KeptRow.collection == name,
            KeptRow.doc_id.in_(doc_ids),
            KeptRow.staff_id == caller.id,
            KeptRow.kept_as == "quarantined",
            KeptRow.resolved_at.is_(None),
        )
    )
    return {row.doc_id: quarantined_document(row.body, row.problem) for row in rows}


def quarantined_document(body: bytes, problem: dict[str, Any] | None) -> dict[str, Any]:
    told = msgspec.json.decode(body)
    return {"_deleted": False, **told, "server": {"state": "quarantined", "problem": problem}}


def _tombstone(doc_id: str, reason: str | None) -> dict[str, Any]:
    gone = {"id": doc_id, "_deleted": True}
    return gone if reason is None else {**gone, "reason": reason}


def _is_uuid(candidate: str) -> bool:
    try:
        UUID(candidate)
    except ValueError:
        return False
    return True
