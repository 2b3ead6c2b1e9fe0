"""Photo manifests: a phone announces each photo before its upload, and reads the result back."""

import hashlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller, readable
from server.core.clock import utc_now
from server.core.device_times import storable_times
from server.core.errors import Problem
from server.core.services import Services
from server.models.evidence import RECORD, VISIT, Evidence
from server.models.records import Record
from server.models.visits import Visit, VisitInvestigator
from server.photos.adopt import defer_adoption
from server.photos.statements import write_expected
from server.sync_feed.documents import EvidenceDocument
from server.sync_feed.publish import withdraw_change
from server.sync_feed.verdicts import Applied, Conflict, Incoming, Quarantine, Verdict, judge
from server.visits.completeness import complete_visits


async def apply_expected_photos(
    session: AsyncSession, services: Services, caller: Caller, rows: Sequence[Incoming[EvidenceDocument]]
) -> list[Verdict]:
    """Write pushed manifests. A manifest may be changed or withdrawn until its bytes arrive; then it is frozen."""
    del services
    now = utc_now()
    statement = (
        select(Evidence).where(Evidence.id.in_([row.document.id for row in rows])).order_by(Evidence.id)
    ).with_for_update()
    stored = {photo.id: photo for photo in await session.scalars(statement)}
    own_visits = await _find_own_visits(
        session, caller, [photo.visit_id for photo in stored.values() if photo.visit_id]
    )
    others = await _visits_of_others(session, caller, {row.document.visit_id for row in rows if row.document.visit_id})
    others |= await _records_of_others(session, caller, {row.document.subject_id for row in rows})
    verdicts: list[Verdict] = []
    accepted: list[Incoming[EvidenceDocument]] = []
    for row in rows:
        verdict = _judge(stored.get(row.document.id), caller, own_visits, row)
        if verdict is None and (row.document.visit_id or row.document.subject_id) in others:
            verdict = Quarantine(Problem("evidence.visit_of_another"))
        verdicts.append(verdict or Applied())
        if verdict is None:
            accepted.append(row)
    lost = await _write(session, caller, stored, accepted, now)
    await complete_visits(session, {row.document.visit_id for row in accepted if row.document.visit_id})
    await defer_adoption(session, {row.document.id for row in accepted if not row.document.deleted})
    return [
        (judge(row, lost[row.document.id]) or Conflict()) if row.document.id in lost else verdict
        for row, verdict in zip(rows, verdicts, strict=True)
    ]


# The hash of no bytes at all.
_EMPTY_SHA256 = hashlib.sha256().hexdigest()


def is_empty(sha256: str, size_bytes: int) -> bool:
    """Return whether a photo is announced that has no bytes: it could never be uploaded."""
    return size_bytes == 0 or sha256 == _EMPTY_SHA256


async def _visits_of_others(session: AsyncSession, caller: Caller, visit_ids: Collection[UUID]) -> set[UUID]:
    """Return the visits in which the caller has no part. A visit that is not here yet is nobody's."""
    took_part = select(VisitInvestigator.visit_id).where(VisitInvestigator.staff_id == caller.id)
    rows = select(Visit.id).where(Visit.id.in_(visit_ids), Visit.author_id != caller.id, Visit.id.not_in(took_part))
    return set(await session.scalars(rows))


async def _records_of_others(session: AsyncSession, caller: Caller, ids: Collection[UUID | None]) -> set[UUID]:
    rows = await session.scalars(
        select(Record.id).where(
            Record.id.in_([record_id for record_id in ids if record_id]), Record.author_id != caller.id
        )
    )
    return set(rows)


async def _find_own_visits(session: AsyncSession, caller: Caller, ids: list[UUID]) -> set[UUID]:
    rows = await session.scalars(select(Visit.id).where(Visit.id.in_(ids), Visit.author_id == caller.id))
    return set(rows)


def _judge(
    stored: Evidence | None, caller: Caller, own_visits: set[UUID], row: Incoming[EvidenceDocument]
) -> Verdict | None:
    """Return the verdict on a row, or None when it has to be written.

    A photo of the caller's own visit that another person's sign-in on the same phone announced is taken over, as long
    as its bytes have not arrived.
    """
    if is_empty(row.document.sha256, row.document.size_bytes) and not row.document.deleted:
        return Quarantine(Problem("photo.empty"))
    if not _belongs_to_one_thing(row.document):
        return Quarantine(Problem("evidence.subject_unknown"))
    if stored is None:
        return None
    if stored.author_id != caller.id:
        is_own = stored.state == "announced" and stored.visit_id == row.document.visit_id in own_visits
        return None if is_own else Conflict()
    verdict = judge(row, stored.content_hash)
    if verdict is None and stored.state != "announced":
        return Conflict(Problem("evidence.frozen"))
    return verdict


def _belongs_to_one_thing(document: EvidenceDocument) -> bool:
    """A visit, or a record: exactly one of them."""
    if document.visit_id is not None:
        return document.subject_id is None and document.subject_kind in (None, VISIT)
    return document.subject_kind == RECORD and document.subject_id is not None


async def _write(
    session: AsyncSession,
    caller: Caller,
    stored: dict[UUID, Evidence],
    rows: Sequence[Incoming[EvidenceDocument]],
    now: datetime,
) -> dict[UUID, str]:
    """Write the rows. Return the content hash of those that a concurrent duplicate wrote first."""
    if not rows:
        return {}
    written = await write_expected(session, caller, [_columns(row, now) for row in rows], seen=stored, now=now)
    await withdraw_change(session, "evidence", [row.document.id for row in rows if row.document.deleted])
    missing = {row.document.id for row in rows} - written
    if not missing:
        return {}
    duplicates = await session.execute(select(Evidence.id, Evidence.content_hash).where(Evidence.id.in_(missing)))
    return dict(duplicates.all())


def _columns(row: Incoming[EvidenceDocument], now: datetime) -> dict[str, Any]:
    document = row.document
    captured_at = document.captured_at
    is_believed = captured_at is not None and storable_times(now).contain(captured_at)
    return {
        "id": document.id,
        "visit_id": document.visit_id,
        "subject_kind": VISIT if document.visit_id else document.subject_kind,
        "subject_id": document.subject_id,
        "question_id": document.question_id,
        "sha256": document.sha256,
        "size_bytes": document.size_bytes,
        "captured_at": captured_at.astimezone(UTC) if captured_at and is_believed else None,
        "document": row.raw,
        "content_hash": row.content_hash,
    }


async def load_expected_photos(session: AsyncSession, caller: Caller, ids: Sequence[UUID]) -> dict[str, Any]:
    photos = await session.scalars(readable(Evidence, caller).where(Evidence.id.in_(ids)))
    return {
        str(photo.id): {
            "_deleted": False,
            **photo.document,
            "server": {
                "state": photo.state,
                "refusedCode": photo.refused_code,
                "uploadedAt": photo.uploaded_at.isoformat() if photo.uploaded_at else None,
            },
        }
        for photo in photos
    }
