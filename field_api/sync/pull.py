"""Pull: what this person should have and has not had, oldest change first, and never a row too early.

Rows are ordered by the transaction that wrote them and served only below the oldest one still running: a
counter or a clock would pass over a row that commits late.
"""

from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import Text, bindparam, exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from field_api.sync.collections import COLLECTIONS, Collection
from field_api.sync.digest import format_digest, select_digest
from field_api.sync.rows import read_what_can_be
from server.core.access import Caller
from server.core.database import Xid8, write_later
from server.core.errors import Problem
from server.core.http import ResponseBody
from server.core.ids import is_same_id
from server.models.feed import Feed
from server.sync_feed.restore_detection import database_epoch

PAGE = 200
LARGEST_PAGE = 1000


class Checkpoint(ResponseBody):
    """Where a phone stands. `lwt` is a transaction number; `id` is opaque."""

    id: str
    lwt: int

    @property
    def etag(self) -> str:
        """Of an empty page: it stays empty until something moves the phone on from here."""
        return f'"{self.lwt}:{self.id}"'


D = TypeVar("D")


class PulledPage(ResponseBody, Generic[D]):
    """What changed since the checkpoint that was sent, oldest change first; the next pull sends `checkpoint`."""

    documents: list[D]
    checkpoint: Checkpoint


class Asked(Struct, frozen=True):
    """What a pull asks for: the checkpoint of the page before, `("", 0)` at first, and how many rows."""

    lwt: int
    after_id: str
    limit: int
    # What the phone holds (see `digest.py`); None: it does not say.
    digest: str | None = None


def served_collection(name: str, version: int) -> Collection:
    """Raises `sync.collection_unknown`, or `sync.schema_version_gone` for a version no longer served."""
    collection = COLLECTIONS.get(name)
    if collection is None:
        raise Problem("sync.collection_unknown")
    if version != collection.version:
        raise Problem("sync.schema_version_gone", served=collection.version)
    return collection


async def pull(
    session: AsyncSession, caller: Caller, name: str, version: int, request: Asked
) -> PulledPage[dict[str, Any]]:
    """One page, in a number of queries that does not depend on its length.

    A checkpoint of another database, as after a restore, starts from the beginning. A page shorter than
    asked for is the last: RxDB stops there, so a limit beyond what is served is refused
    (`sync.page_too_long`), never cut. Raises `sync.digest_mismatch` when the phone is up to date and yet
    holds something else than it should.
    """
    collection = served_collection(name, version)
    if not 1 <= request.limit <= LARGEST_PAGE:
        raise Problem("sync.page_too_long", limit=LARGEST_PAGE)
    here = await database_epoch(session)
    after = _position(here, request)
    lines = (await session.execute(_lines_after(caller, name, after).limit(request.limit))).all()
    if not lines:
        if request.digest is not None:
            await _compare(session, caller, name, after, request.digest)
        return PulledPage(documents=[], checkpoint=_checkpoint(here, *after))
    loaded = await masters(session, caller, name, collection, [line.doc_id for line in lines if not line.is_deleted])
    _mend(session, caller, name, [line for line in lines if not line.is_deleted and line.doc_id not in loaded])
    documents = [
        marked(loaded[line.doc_id], line.xid) if line.doc_id in loaded else _tombstone(line.doc_id, line.reason)
        for line in lines
    ]
    return PulledPage(documents=documents, checkpoint=_checkpoint(here, lines[-1].xid, lines[-1].doc_id))


def _position(here: str, request: Asked) -> tuple[int, str]:
    existing, _, doc_id = request.after_id.partition(":")
    return (request.lwt, doc_id) if existing == here else (0, "")


def _checkpoint(here: str, xid: int, doc_id: str) -> Checkpoint:
    return Checkpoint(id=f"{here}:{doc_id}", lwt=xid)


def _lines_after(caller: Caller, name: str, after: tuple[int, str]) -> Any:
    return (
        select(Feed.doc_id, Feed.xid, Feed.is_deleted, Feed.reason)
        .where(_is_after(caller, name, after), Feed.xid < func.pg_snapshot_xmin(func.pg_current_snapshot(), type_=Xid8))
        .order_by(Feed.xid, Feed.doc_id)
    )


def _is_after(caller: Caller, name: str, after: tuple[int, str]) -> Any:
    xid, doc_id = bindparam(None, after[0], Xid8), bindparam(None, after[1], Text)
    return (
        (Feed.staff_id == caller.id) & (Feed.collection == name) & (tuple_(Feed.xid, Feed.doc_id) > tuple_(xid, doc_id))
    )


async def _compare(session: AsyncSession, caller: Caller, name: str, after: tuple[int, str], digest: str) -> None:
    """A row already committed but not yet served is no mismatch: the phone will hear of it.

    Both are read in one statement, hence from one snapshot: in two, a commit between them looks like a mismatch, and
    the phone loads the whole collection again.
    """
    has_news = exists().where(_is_after(caller, name, after))
    row = (await session.execute(select(has_news, select_digest(caller, name)))).one()
    if not row[0] and digest != format_digest(row[1]):
        raise Problem("sync.digest_mismatch", collection=name)


def _mend(session: AsyncSession, caller: Caller, name: str, lines: list[Any]) -> None:
    """What the feed names but the caller may not have goes out as deleted, and counts as such from now on."""
    for line in lines:
        values = {"staff": caller.id, "collection": name, "document": line.doc_id, "xid": str(line.xid)}
        write_later(session, _MARK_DELETED, values)


# The same number: a grant that came in between must not be undone.
_MARK_DELETED = """
UPDATE feed SET is_deleted = true
WHERE staff_id = %(staff)s AND collection = %(collection)s AND doc_id = %(document)s AND xid = %(xid)s::xid8
RETURNING doc_id
"""


async def masters(
    session: AsyncSession, caller: Caller, name: str, collection: Collection, doc_ids: list[str]
) -> dict[str, dict[str, Any]]:
    """The documents as the server holds them for this caller; a row in quarantine goes before the stored one."""
    ids = [UUID(doc_id_) for doc_id_ in doc_ids if _is_uuid(doc_id_)]
    loaded = await collection.load(session, caller, ids) if ids else {}
    documents: dict[str, dict[str, Any]] = {key: msgspec.to_builtins(value) for key, value in loaded.items()}
    if collection.apply is not None and doc_ids:
        kept = await open_quarantines(session, caller, name, doc_ids)
        documents |= {key: quarantined_document(key, item.body, item.problem) for key, item in kept.items()}
    return documents


class Quarantined(NamedTuple):
    doc_id: str
    body: bytes
    base_hash: str | None
    problem: dict[str, Any] | None


async def open_quarantines(
    session: AsyncSession, caller: Caller, name: str, doc_ids: list[str]
) -> dict[str, Quarantined]:
    """The caller's rows in quarantine, by document. Every push asks, and nearly none has any: so it goes as it is."""
    connection = await session.connection()
    rows = await connection.exec_driver_sql(QUARANTINES, {"collection": name, "documents": doc_ids, "staff": caller.id})
    return {row.doc_id: Quarantined._make(row) for row in rows}


QUARANTINES = """
SELECT doc_id, body, base_hash, problem FROM kept_row
WHERE collection = %(collection)s AND doc_id = ANY(%(documents)s) AND staff_id = %(staff)s
AND kept_as = 'quarantined' AND resolved_at IS NULL
"""


def quarantined_document(doc_id: str, body: bytes, problem: dict[str, Any] | None) -> dict[str, Any]:
    """The row as the phone sent it, with the reason; a deletion that can't be is alive again."""
    said = read_what_can_be(body)
    shown_id = said["id"] if is_same_id(said.get("id"), doc_id) else doc_id
    return {**said, "id": shown_id, "_deleted": False, "server": {"state": "quarantined", "problem": problem}}


def marked(document: dict[str, Any], xid: int) -> dict[str, Any]:
    """With `server.rev`, by which the phone's digest counts it."""
    return {**document, "server": {**(document.get("server") or {}), "rev": str(xid)}}


def _tombstone(doc_id: str, reason: str | None) -> dict[str, Any]:
    gone = {"id": doc_id, "_deleted": True}
    return gone if reason is None else {**gone, "reason": reason}


def _is_uuid(candidate: str) -> bool:
    try:
        UUID(candidate)
    except ValueError:
        return False
    return True
