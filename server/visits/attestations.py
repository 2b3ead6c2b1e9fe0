"""Attestations: each investigator confirms the visit from their own sign-in, with their own fix."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.clock import utc_now
from server.core.device_times import believe_time, storable_times
from server.core.errors import Problem
from server.core.services import Services
from server.models.visits import Attestation, Visit, VisitInvestigator
from server.sync_feed.documents import AttestationDocument
from server.sync_feed.publish import publish_change
from server.sync_feed.verdicts import Applied, Conflict, Incoming, Quarantine, Verdict, judge
from server.visits.completeness import complete_visits


async def apply_attestations(
    session: AsyncSession, services: Services, caller: Caller, rows: Sequence[Incoming[AttestationDocument]]
) -> list[Verdict]:
    """Store attestations. One may arrive before its visit; a visit that does not name the caller quarantines it."""
    del services
    stored = {
        attestation.id: attestation
        for attestation in await session.scalars(
            select(Attestation).where(Attestation.id.in_([row.document.id for row in rows]))
        )
    }
    not_named = await _visits_without(session, caller, {row.document.visit_id for row in rows})
    verdicts: list[Verdict] = []
    attested: set[UUID] = set()
    for row in rows:
        verdict = _judge(stored.get(row.document.id), not_named, caller, row)
        if verdict is None:
            verdict = await _write(session, caller, row)
            attested.add(row.document.visit_id)
        verdicts.append(verdict)
    await publish_change(session, "visits", attested)  # its author sees who has attested
    await complete_visits(session, {row.document.visit_id for row in rows})
    return verdicts


async def _visits_without(session: AsyncSession, caller: Caller, ids: set[UUID]) -> set[UUID]:
    """Return those of the visits that are submitted and do not name the caller."""
    named = select(VisitInvestigator.visit_id).where(VisitInvestigator.staff_id == caller.id)
    return set(
        await session.scalars(
            select(Visit.id).where(Visit.id.in_(ids), Visit.submitted_at.is_not(None), Visit.id.not_in(named))
        )
    )


def _judge(
    stored: Attestation | None, not_named: set[UUID], caller: Caller, row: Incoming[AttestationDocument]
) -> Verdict | None:
    if stored is not None:
        if stored.staff_id != caller.id:
            return Conflict()
        return judge(row, stored.content_hash) or Conflict()  # an attestation is never changed
    if row.document.visit_id in not_named or row.document.deleted:
        return Quarantine(Problem("attestation.invalid"))
    return None


async def _write(session: AsyncSession, caller: Caller, row: Incoming[AttestationDocument]) -> Verdict:
    document, now = row.document, utc_now()
    inserted = await session.scalar(
        insert(Attestation)
        .values(
            id=document.id,
            visit_id=document.visit_id,
            staff_id=caller.id,
            device_id=caller.device_id,
            attested_at=believe_time(document.attested_at, storable_times(now), now),
            document=row.raw,
            content_hash=row.content_hash,
            received_at=now,
        )
        .on_conflict_do_nothing()
        .returning(Attestation.id)
    )
    if inserted is None:
        duplicate = await session.get_one(Attestation, document.id)
        return judge(row, duplicate.content_hash) or Conflict()
    audit.record(session, caller, Action.VISIT_ATTESTED, "visit", document.visit_id, attestation=str(document.id))
    await publish_change(session, "attestations", [document.id])
    return Applied()


async def load_attestations(session: AsyncSession, caller: Caller, ids: Sequence[UUID]) -> dict[str, Any]:
    rows = await session.scalars(select(Attestation).where(Attestation.id.in_(ids), Attestation.staff_id == caller.id))
    return {
        str(attestation.id): {
            "_deleted": False,
            **attestation.document,
            "server": {"state": "attested", "receivedAt": attestation.received_at.isoformat()},
        }
        for attestation in rows
    }
