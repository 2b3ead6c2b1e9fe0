"""Seal batches of audit entries into a chain of signed hashes, and verify it.

Each seal is the head of the trail as it was then: it is signed with a key that the database does not have, and counts
the entries before it. Whoever can write to the database can recompute hashes, but signs nothing; whoever keeps a head
elsewhere notices when seals after it, or before it, are gone.
"""

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
from server.core.clock import utc_now
from server.core.database import Xid8
from server.core.tokens import StatementError, StatementKind, StatementSigner, verify_statement
from server.models.audit import AuditEntry, AuditSeal

SEAL_BATCH = 5000


GENESIS = "0" * 64


# The form of new seals; `_chain` knows what form 1 leaves out.
FORM = 2


async def seal(session: AsyncSession, signer: StatementSigner) -> int:
    """Seal the entries committed since the last seal, at most one batch. Return how many.

    A last seal without a signature, from before seals were signed, gets an empty seal behind it that signs it.
    """
    await session.execute(select(func.pg_advisory_xact_lock(0x5EA1)))
    last = await session.scalar(select(AuditSeal).order_by(AuditSeal.position.desc()).limit(1))
    entries = list(await session.scalars(entries_after(last).limit(SEAL_BATCH)))
    if entries:
        end = (entries[-1].generation, entries[-1].xid, entries[-1].id)
    elif last is not None and last.signature is None:
        end = (last.last_generation, last.last_xid, last.last_entry_id)
    else:
        return 0
    seal_row = AuditSeal(
        position=last.position + 1 if last else 1,
        previous_id=last.id if last else None,
        last_generation=end[0],
        last_xid=end[1],
        last_entry_id=end[2],
        entries=len(entries),
        form=FORM,
        hash=_chain(last.hash if last else GENESIS, entries, FORM),
        total=await _count_sealed(session) + len(entries),
        sealed_at=utc_now(),
    )
    seal_row.signature = signer.sign(StatementKind.AUDIT_SEAL, _statement(seal_row))
    session.add(seal_row)
    return len(entries)


async def load_head(session: AsyncSession) -> AuditSeal | None:
    """Return the newest signed seal: the head of the trail."""
    rows = select(AuditSeal).where(AuditSeal.signature.is_not(None))
    return await session.scalar(rows.order_by(AuditSeal.position.desc()).limit(1))


async def _count_sealed(session: AsyncSession) -> int:
    return await session.scalar(select(func.coalesce(func.sum(AuditSeal.entries), 0))) or 0


def _statement(seal_row: AuditSeal) -> dict[str, Any]:
    return {
        "position": seal_row.position,
        "hash": seal_row.hash,
        "form": seal_row.form,
        "entries": seal_row.entries,
        "total": seal_row.total,
        "sealedAt": seal_row.sealed_at.isoformat(),
    }


def entries_after(last: AuditSeal | None) -> Any:
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


async def broken_seal(session: AsyncSession, key_set: dict[str, Any]) -> AuditSeal | None:
    """Return the first seal that its entries or its signature no longer reproduce; None when the whole chain holds."""
    previous: AuditSeal | None = None
    total = 0
    for seal_row in await session.scalars(select(AuditSeal).order_by(AuditSeal.position)):
        entries = list(await session.scalars(entries_after(previous).limit(seal_row.entries)))
        total += seal_row.entries
        is_next = seal_row.position == (previous.position + 1 if previous else 1)
        hashed = _chain(previous.hash if previous else GENESIS, entries, seal_row.form)
        if not is_next or hashed != seal_row.hash or not _is_signed(seal_row, total, key_set):
            return seal_row
        previous = seal_row
    return None


def _is_signed(seal_row: AuditSeal, total: int, key_set: dict[str, Any]) -> bool:
    """Compare the seal with what was signed. One without a signature passes here: only the head must have one."""
    if seal_row.signature is None:
        return seal_row.total is None
    try:
        statement = verify_statement(StatementKind.AUDIT_SEAL, seal_row.signature, key_set)
    except StatementError:
        return False
    return seal_row.total == total and statement == {
        "kind": StatementKind.AUDIT_SEAL.value,
        **_statement(seal_row),
    }
