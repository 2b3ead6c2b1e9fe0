"""Push: every row gets its own verdict, and no row is refused into thin air.

A row is stored, or was stored before with the same content (success again), or meets another version
(the server's goes back, the phone's is kept), or can't be applied (kept in quarantine, and goes back
with its reason; what the phone makes of it next counts as taken from the state before). One bad row never
holds up the others.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct
from sqlalchemy import ColumnElement, and_, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from field_api.sync.collections import Collection
from field_api.sync.pull import Quarantined, marked, masters, open_quarantines, quarantined_document, served_collection
from field_api.sync.rows import (
    MOST_NESTED,
    UnreadRow,
    fingerprint,
    is_bounded,
    mask_body,
    mend_text,
    read_batch,
    read_what_can_be,
)
from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.canonical import NotCanonical, content_hash
from server.core.clock import utc_now
from server.core.errors import Fault, Problem, problem_body
from server.core.ids import canonical_id, new_id
from server.core.log import get_context, log
from server.core.pointers import error_pointer
from server.core.services import Services
from server.models.feed import Feed, QuarantinedRow
from server.sync_feed.documents import client_part
from server.sync_feed.publish import publish_to, republish
from server.sync_feed.verdicts import Applied, Conflict, Incoming, Quarantine, Verdict

LONGEST_BATCH = 200
LONGEST_ID = 200
BOOKKEEPING = frozenset({"_meta", "_rev", "_attachments"})


class _Row(Struct):
    """A row as it came, before anyone has understood it."""

    body: bytes
    doc_id: str
    assumed_hash: str | None
    incoming: Incoming[Any] | None
    verdict: Verdict | None
    # The id in the client's own letters, by which it finds its document again; else `doc_id`.
    sent_id: str = ""


async def push(
    session: AsyncSession, services: Services, caller: Caller, name: str, version: int, body: bytes
) -> list[dict[str, Any]]:
    """Apply a batch; returns the server's state of every row that did not go through, as RxDB expects.

    Rows of one document in one batch are taken in their order.
    """
    collection = served_collection(name, version)
    if collection.apply is None or collection.document is None:
        raise Problem("sync.collection_read_only")
    rows = [_read(collection, item) for item in _batch(body)]
    for number, some in enumerate(_rounds(rows)):
        await _take(session, services, caller, name, collection, some, is_first=number == 0)
    return await _answer(session, caller, name, collection, rows)


def _rounds(rows: list[_Row]) -> list[list[_Row]]:
    """No document twice in a round. Nearly always there is one round."""
    rounds: list[dict[str, _Row]] = []
    for row in rows:
        free = next((item for item in rounds if row.doc_id not in item), None)
        if free is None:
            rounds.append(free := {})
        free[row.doc_id] = row
    return [list(item.values()) for item in rounds]


async def _take(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    name: str,
    collection: Collection,
    rows: list[_Row],
    *,
    is_first: bool,
) -> None:
    quarantined = await open_quarantines(session, caller, name, [row.doc_id for row in rows])
    for row in rows:
        _see_through_quarantine(row, quarantined.get(row.doc_id))
    readable_rows = [row for row in rows if row.incoming is not None and row.verdict is None]
    incoming = [row.incoming for row in readable_rows if row.incoming is not None]
    verdicts = await _apply(session, services, caller, collection, incoming, is_first=is_first)
    for row, verdict in zip(readable_rows, verdicts, strict=True):
        row.verdict = verdict
    await _keep_what_failed(session, caller, name, rows)
    overtaken = [row.doc_id for row in rows if isinstance(row.verdict, Conflict) and row.doc_id in quarantined]
    mended = [row.doc_id for row in rows if isinstance(row.verdict, Applied) and row.doc_id in quarantined]
    await _resolve(session, caller, name, mended + overtaken)
    await publish_to(session, caller.id, name, overtaken)
    # A phone that lost our answer takes no news of a document until it has pushed it again: it may have missed some.
    repeated = [row.doc_id for row in rows if isinstance(row.verdict, Applied) and row.verdict.again]
    await republish(session, caller.id, name, repeated)


def _see_through_quarantine(row: _Row, kept: Quarantined | None) -> None:
    """A row mended from a quarantined one is judged by the state that one was taken from."""
    if kept is None or row.assumed_hash is None:
        return
    with contextlib.suppress(NotCanonical):
        shown = quarantined_document(row.doc_id, kept.body, kept.problem)
        if row.assumed_hash == content_hash(client_part(shown)):
            row.assumed_hash = kept.base_hash
            row.incoming = row.incoming and row.incoming._replace(assumed_hash=kept.base_hash)


def _batch(body: bytes) -> list[UnreadRow]:
    rows = read_batch(body)
    if len(rows) > LONGEST_BATCH:
        raise Problem("sync.batch_too_long", limit=LONGEST_BATCH)
    states = ((bytes(row.new_document_state), bytes(row.assumed_master_state)) for row in rows)
    return [UnreadRow(Raw(mask_body(new)), Raw(mask_body(assumed))) for new, assumed in states]


def _read(collection: Collection, row: UnreadRow) -> _Row:
    sent = bytes(row.new_document_state)
    body = mend_text(sent)
    assert collection.document is not None
    result: Any = None
    assumed = _assumed_hash(row)
    try:
        result = msgspec.json.decode(body)
        document = msgspec.json.decode(_without_bookkeeping(body, result), type=collection.document)
        part = client_part(result)
        incoming = Incoming(document, part, content_hash(part), assumed)
        _refuse_nesting(part)
    except NotCanonical:
        return _Row(sent, _doc_id(body), assumed, None, Quarantine(Problem("row.number_not_portable")))
    except msgspec.ValidationError as error:
        fault = Fault(error_pointer(str(error)), "row.invalid", str(error).split(" - at")[0])
        return _Row(sent, _doc_id(body), assumed, None, Quarantine(Problem("row.invalid", faults=[fault])))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        fault = Fault("", "row.invalid", str(error) or type(error).__name__)
        return _Row(sent, _doc_id(body), assumed, None, Quarantine(Problem("row.invalid", faults=[fault])))
    return _Row(sent, str(document.id), assumed, incoming, None, sent_id=part["id"])


def _refuse_nesting(part: dict[str, Any]) -> None:
    """What one process reads at the end of its stack, another could not send back."""
    if not is_bounded(part):
        raise msgspec.ValidationError(f"A document nests at most {MOST_NESTED} deep")


def _without_bookkeeping(body: bytes, result: Any) -> bytes:
    """RxDB's storages keep `_meta`, `_rev` and `_attachments`; its replication leaves them out, others may not."""
    if not isinstance(result, dict) or BOOKKEEPING.isdisjoint(result):
        return body
    return msgspec.json.encode({key: value for key, value in result.items() if key not in BOOKKEEPING})


def _assumed_hash(row: UnreadRow) -> str | None:
    """None for what can't be read: then the phone is not believed to know what stands here."""
    with contextlib.suppress(NotCanonical, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        assumed = msgspec.json.decode(mend_text(bytes(row.assumed_master_state)))
        return content_hash(client_part(assumed)) if isinstance(assumed, dict) else None
    return None


def _doc_id(body: bytes) -> str:
    """The row's own id where it has one that can be kept; else one made of its bytes, so that the row still is."""
    candidate = read_what_can_be(body).get("id")
    if isinstance(candidate, str) and 0 < len(candidate) <= LONGEST_ID:
        return canonical_id(candidate)
    return fingerprint(body)


async def _apply(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    collection: Collection,
    rows: Sequence[Incoming[Any]],
    *,
    is_first: bool,
) -> list[Verdict]:
    """Apply all together; if the database refuses the lot, one by one, so that only the bad ones stay out.

    Nothing is written before the first round, so that one needs no savepoint: it is simply undone.
    """
    if not rows:
        return []
    assert collection.apply is not None
    try:
        async with contextlib.nullcontext() if is_first else session.begin_nested():
            return await collection.apply(session, services, caller, rows)
    except (IntegrityError, DataError) as error:
        log.warning("push.batch_refused", rows=len(rows), reason=_reason(error))
        if is_first:
            await session.rollback()
        elif len(rows) == 1:
            return [Quarantine(Problem("row.refused_by_rule"))]
    return [
        verdict
        for row in rows
        for verdict in await _apply(session, services, caller, collection, [row], is_first=False)
    ]


def _reason(error: Exception) -> str:
    """The constraint that refused, never the values: those are personal."""
    diagnostics = getattr(getattr(error, "orig", None), "diag", None)
    return str(getattr(diagnostics, "constraint_name", None) or type(error).__name__)


async def _keep_what_failed(session: AsyncSession, caller: Caller, name: str, rows: list[_Row]) -> None:
    for row in rows:
        if isinstance(row.verdict, Quarantine):
            await _quarantine(session, caller, name, row, row.verdict.problem)
        elif isinstance(row.verdict, Conflict) and not row.verdict.is_known:
            await _keep_loser(session, caller, name, row, row.verdict.problem)


async def _keep_loser(session: AsyncSession, caller: Caller, name: str, row: _Row, problem: Problem | None) -> None:
    """Keep the row unless the very same was kept before: a phone repeats a push whose answer it lost."""
    again = and_(_is_kept(caller, name, [row.doc_id], "lost_conflict"), QuarantinedRow.body == row.body)
    if await session.scalar(select(exists().where(again))):
        return
    await session.execute(insert(QuarantinedRow).values(_kept(caller, name, row, "lost_conflict", problem)))
    audit.record(session, caller, Action.SYNC_CONFLICT_KEPT, name, row.doc_id, code=problem and problem.code)


async def _quarantine(session: AsyncSession, caller: Caller, name: str, row: _Row, problem: Problem) -> None:
    """Keep the row; one before it of the same document is closed, unless it is the very same come again."""
    await session.execute(
        update(QuarantinedRow)
        .where(_is_open(caller, name, [row.doc_id]), QuarantinedRow.body != row.body)
        .values(resolved_at=utc_now())
    )
    fresh = insert(QuarantinedRow).values(_kept(caller, name, row, "quarantined", problem))
    await session.execute(fresh.on_conflict_do_nothing())
    audit.record(session, caller, Action.SYNC_QUARANTINED, name, row.doc_id, code=problem.code)
    await publish_to(session, caller.id, name, [row.doc_id])


def _is_open(caller: Caller, name: str, doc_ids: list[str]) -> ColumnElement[bool]:
    return and_(_is_kept(caller, name, doc_ids, "quarantined"), QuarantinedRow.resolved_at.is_(None))


def _is_kept(caller: Caller, name: str, doc_ids: list[str], kept_as: str) -> ColumnElement[bool]:
    return and_(
        QuarantinedRow.collection == name,
        QuarantinedRow.doc_id.in_(doc_ids),
        QuarantinedRow.staff_id == caller.id,
        QuarantinedRow.kept_as == kept_as,
    )


def _both_languages(problem: Problem) -> dict[str, Any]:
    request_id = get_context().get("request_id", "")
    return {language: msgspec.to_builtins(problem_body(problem, language, request_id)) for language in ("zh", "en")}


def _kept(caller: Caller, name: str, row: _Row, kept_as: str, problem: Problem | None) -> dict[str, Any]:
    return {
        "id": new_id(),
        "kept_as": kept_as,
        "collection": name,
        "doc_id": row.doc_id,
        "staff_id": caller.id,
        "device_id": caller.device_id,
        "body": row.body,
        "base_hash": row.assumed_hash,
        "code": problem and problem.code,
        "problem": problem and _both_languages(problem),
    }


async def _resolve(session: AsyncSession, caller: Caller, name: str, doc_ids: list[str]) -> None:
    if doc_ids:
        await session.execute(
            update(QuarantinedRow).where(_is_open(caller, name, doc_ids)).values(resolved_at=utc_now())
        )


async def _answer(
    session: AsyncSession, caller: Caller, name: str, collection: Collection, rows: list[_Row]
) -> list[dict[str, Any]]:
    turned_back = {row.doc_id: row for row in rows if not isinstance(row.verdict, Applied)}
    if not turned_back:
        return []
    await session.flush()  # what was just written is read back below
    here = await masters(session, caller, name, collection, list(turned_back))
    revisions = await _revisions(session, caller, name, list(here))
    here = {key: marked(item, revisions[key]) if key in revisions else item for key, item in here.items()}
    answers = [(row, here.get(row.doc_id) or _out_of_sight(row)) for row in turned_back.values()]
    return [document | ({"id": row.sent_id} if row.sent_id else {}) for row, document in answers]


async def _revisions(session: AsyncSession, caller: Caller, name: str, doc_ids: list[str]) -> dict[str, int]:
    rows = await session.execute(
        select(Feed.doc_id, Feed.xid).where(
            Feed.staff_id == caller.id, Feed.collection == name, Feed.doc_id.in_(doc_ids)
        )
    )
    return dict(rows.all())


def _out_of_sight(row: _Row) -> dict[str, Any]:
    """A conflict with what the caller may not see shows nothing of it but that it is not theirs."""
    problem = row.verdict.problem if isinstance(row.verdict, Quarantine) else Problem("visit.not_yours")
    return quarantined_document(row.doc_id, row.body, _both_languages(problem))
