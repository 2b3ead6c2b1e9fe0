"""Seal batches of audit entries into a hash chain, and verify it."""

from typing import Any

from sqlalchemy import (
    bindparam,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.canonical import content_hash
from server.core.database import Xid8
from server.models.audit import AuditEntry, AuditSeal

SEAL_BATCH = 5000


GENESIS = "0" * 64


# The form of new seals; `_chain` knows what form 1 leaves out.
FORM = 2


async def seal(session: AsyncSession) -> int:
    """Seal the entries committed since the last seal, at most one batch. Return how many."""
    await session.execute(select(func.pg_advisory_xact_lock(0x5EA1)))
    last = await session.scalar(select(AuditSeal).order_by(AuditSeal.position.desc()).limit(1))
    entries = list(await session.scalars(_entries_after(last).limit(SEAL_BATCH)))
    if entries:
        session.add(
            AuditSeal(
                position=last.position + 1 if last else 1,
                previous_id=last.id if last else None,
                last_generation=entries[-1].generation,
                last_xid=entries[-1].xid,
                last_entry_id=entries[-1].id,
                entries=len(entries),
                form=FORM,
                hash=_chain(last.hash if last else GENESIS, entries, FORM),
            )
        )
    return len(entries)


def _entries_after(last: AuditSeal | None) -> Any:
    # Entries of earlier generations are committed, whatever their numbers.
    current = select(func.max(AuditEntry.generation)).scalar_subquery()
    committed = or_(
        AuditEntry.generation < current,
        AuditEntry.xid < func.pg_snapshot_xmin(func.pg_current_snapshot(), type_=Xid8),
    )
    rows = select(AuditEntry).where(committed).order_by(AuditEntry.generation, AuditEntry.xid, AuditEntry.id)
    if last is None:
        return rows
    typed = bindparam(None, last.last_xid, Xid8)
    return rows.where(
        tuple_(AuditEntry.generation, AuditEntry.xid, AuditEntry.id)
        > tuple_(literal(last.last_generation), typed, literal(last.last_entry_id))
    )


def _chain(previous: str, entries: list[AuditEntry], form: int) -> str:
    content = [
        [
            e.id,
            e.at.isoformat(),
            e.actor_kind,
            e.actor_id,
            e.device_id,
            e.action,
            e.thing_kind,
            e.thing_id,
            e.area_code,
            e.facts,
            *([e.request_id] if form > 1 else []),
        ]
        for e in entries
    ]
    return content_hash([previous, content])


async def broken_seal(session: AsyncSession) -> AuditSeal | None:
    """Return the first seal that its entries no longer reproduce, or None when the whole chain holds."""
    previous: AuditSeal | None = None
    for seal_row in await session.scalars(select(AuditSeal).order_by(AuditSeal.position)):
        entries = list(await session.scalars(_entries_after(previous).limit(seal_row.entries)))
        if _chain(previous.hash if previous else GENESIS, entries, seal_row.form) != seal_row.hash:
            return seal_row
        previous = seal_row
    return None
