"""The manifest of each photo: what the phone announces, and what became of the bytes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller, readable
from server.core.clock import utc_now
from server.core.errors import Problem
from server.core.services import Services
from server.models.evidence import Evidence
from server.photos.statements import write_expected
from server.sync_feed.documents import EvidenceDocument
from server.sync_feed.publish import withdraw_change
from server.sync_feed.verdicts import Applied, Conflict, Incoming, Verdict, judge
from server.visits.completeness import complete_visits


async def apply_expected_photos(
    session: AsyncSession, services: Services, caller: Caller, rows: Sequence[Incoming[EvidenceDocument]]
) -> list[Verdict]:
    """Until its bytes are in, a manifest may be changed or withdrawn; then it is frozen."""
    del services
    now = utc_now()
    stored = {
        one.id: one
        for one in await session.scalars(
            select(Evidence)
            .where(Evidence.id.in_([row.document.id for row in rows]))
            .order_by(Evidence.id)
            .with_for_update()
        )
    }
    verdicts: list[Verdict] = []
    written: list[Incoming[EvidenceDocument]] = []
    for row in rows:
        verdict = _judge(stored.get(row.document.id), caller, row)
        verdicts.append(verdict or Applied())
        if verdict is None:
            written.append(row)
    lost = await _write(session, caller, stored, written, now)
    await complete_visits(session, {row.document.visit_id for row in written})
    return [
        (judge(row, lost[row.document.id]) or Conflict()) if row.document.id in lost else verdict
        for row, verdict in zip(rows, verdicts, strict=True)
    ]


def _judge(stored: Evidence | None, caller: Caller, row: Incoming[EvidenceDocument]) -> Verdict | None:
    if stored is None:
        return None
    if stored.author_id != caller.id:
        return Conflict()
    verdict = judge(row, stored.content_hash)
    if verdict is None and stored.state != "announced":
        return Conflict(Problem("evidence.frozen"))
    return verdict


async def _write(
    session: AsyncSession,
    caller: Caller,
    stored: dict[UUID, Evidence],
    rows: Sequence[Incoming[EvidenceDocument]],
    now: datetime,
) -> dict[UUID, str]:
    """Write the rows; returns the content hash of those where a twin came first at the same moment."""
    if not rows:
        return {}
    written = await write_expected(session, caller, [_columns(row) for row in rows], seen=stored, now=now)
    await withdraw_change(session, "evidence", [row.document.id for row in rows if row.document.deleted])
    missing = {row.document.id for row in rows} - written
    if not missing:
        return {}
    twins = await session.execute(select(Evidence.id, Evidence.content_hash).where(Evidence.id.in_(missing)))
    return dict(twins.all())


def _columns(row: Incoming[EvidenceDocument]) -> dict[str, Any]:
    document = row.document
    return {
        "id": document.id,
        "visit_id": document.visit_id,
        "question_id": document.question_id,
        "sha256": document.sha256,
        "size_bytes": document.size_bytes,
        "captured_at": document.captured_at,
        "document": row.raw,
        "content_hash": row.content_hash,
    }


async def load_expected_photos(session: AsyncSession, caller: Caller, ids: Sequence[UUID]) -> dict[str, Any]:
    rows = await session.scalars(readable(Evidence, caller).where(Evidence.id.in_(ids)))
    return {
        str(one.id): {
            "_deleted": False,
            **one.document,
            "server": {
                "state": one.state,
                "refusedCode": one.refused_code,
                "uploadedAt": one.uploaded_at.isoformat() if one.uploaded_at else None,
            },
        }
        for one in rows
    }
