"""The audit trail: one row for each write and each look at what is sensitive, in the same transaction.

Rows are never changed (the database refuses it). Batches of them are sealed into a hash chain, so that a
row taken out or altered later shows; `python -m server verify-audit` recomputes the chain.
"""

from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    String,
    bindparam,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller
from server.core.canonical import content_hash
from server.core.database import Base, Xid8
from server.models.columns import Id, Json, Sha256, WrittenAt

SEAL_BATCH = 5000
GENESIS = "0" * 64
# Of the seals that are made now; what an earlier one left out is told in `_chain`.
FORM = 2


class AuditEntry(Base):
    __tablename__ = "audit_entry"
    __table_args__ = (
        CheckConstraint("actor_kind IN ('staff', 'resident', 'system')", name="actor_is_known"),
        Index("ix_audit_entry_order", "generation", "xid", "id"),
        Index("ix_audit_entry_thing", "thing_kind", "thing_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    # Transaction numbers order entries within one database's history. After a restore from a dump they
    # start anew, and the default here is one more (see server/models/installation.py).
    generation: Mapped[int] = mapped_column(server_default=text("1"))
    xid: Mapped[int] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))
    at: Mapped[WrittenAt]
    actor_kind: Mapped[str]
    actor_id: Mapped[UUID | None]
    device_id: Mapped[UUID | None]
    request_id: Mapped[str | None]
    action: Mapped[str]
    thing_kind: Mapped[str]
    thing_id: Mapped[str]
    area_code: Mapped[str | None] = mapped_column(String(12))
    facts: Mapped[Json]


class AuditSeal(Base):
    """The hash of a batch of entries and of the seal before it."""

    __tablename__ = "audit_seal"

    id: Mapped[Id]
    position: Mapped[int] = mapped_column(unique=True)
    previous_id: Mapped[UUID | None] = mapped_column(ForeignKey("audit_seal.id"))
    last_generation: Mapped[int] = mapped_column(server_default=text("1"))
    last_xid: Mapped[int] = mapped_column(Xid8)
    last_entry_id: Mapped[int] = mapped_column(BigInteger)
    entries: Mapped[int]
    # What of a row is sealed: from 2 on also to which request it belongs.
    form: Mapped[int] = mapped_column(server_default=text("1"))
    hash: Mapped[Sha256]
    sealed_at: Mapped[WrittenAt]


def record(
    session: AsyncSession,
    caller: Caller | None,
    action: str,
    thing_kind: str,
    thing_id: object,
    *,
    area_code: str | None = None,
    **facts: Any,
) -> None:
    """Write down who did what to what. `facts` hold no personal data: ids, codes, counts, reasons."""
    kind = "system" if caller is None else ("resident" if caller.is_resident else "staff")
    session.add(
        AuditEntry(
            actor_kind=kind,
            actor_id=caller.id if caller else None,
            device_id=caller.device_id if caller else None,
            request_id=structlog.contextvars.get_contextvars().get("request_id"),
            action=action,
            thing_kind=thing_kind,
            thing_id=str(thing_id),
            area_code=area_code,
            facts=facts,
        )
    )


async def seal(session: AsyncSession) -> int:
    """Seal what has settled since the last seal, at most one batch. Returns how many entries."""
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
    # What an earlier generation wrote has settled, whatever its numbers.
    current = select(func.max(AuditEntry.generation)).scalar_subquery()
    settled = or_(
        AuditEntry.generation < current,
        AuditEntry.xid < func.pg_snapshot_xmin(func.pg_current_snapshot(), type_=Xid8),
    )
    rows = select(AuditEntry).where(settled).order_by(AuditEntry.generation, AuditEntry.xid, AuditEntry.id)
    if last is None:
        return rows
    typed = bindparam(None, last.last_xid, Xid8)
    return rows.where(
        tuple_(AuditEntry.generation, AuditEntry.xid, AuditEntry.id)
        > tuple_(literal(last.last_generation), typed, literal(last.last_entry_id))
    )


def _chain(previous: str, entries: list[AuditEntry], form: int) -> str:
    told = [
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
    return content_hash([previous, told])


async def broken_seal(session: AsyncSession) -> AuditSeal | None:
    """The first seal that its entries no longer give, or None when the whole chain holds."""
    previous: AuditSeal | None = None
    for one in await session.scalars(select(AuditSeal).order_by(AuditSeal.position)):
        entries = list(await session.scalars(_entries_after(previous).limit(one.entries)))
        if _chain(previous.hash if previous else GENESIS, entries, one.form) != one.hash:
            return one
        previous = one
    return None
