"""The audit log: one row for each write, in the same transaction; and the read trail: one row for each look.

Rows are immutable (the database refuses changes). Batches of rows are sealed into a chain of signed hashes that
reveals rows removed or altered later; `python -m server verify-audit` recomputes it.
"""

from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.core.database import Base, Xid8
from server.models.columns import Id, Json, Sha256, WrittenAt

# Actions that show a sealed number or contact; they are counted by person and day.
REVEALS = ("household.revealed", "objection.contact_revealed")


class AuditEntry(Base):
    __tablename__ = "audit_entry"
    __table_args__ = (
        CheckConstraint("actor_kind IN ('staff', 'resident', 'system')", name="actor_is_known"),
        Index("ix_audit_entry_order", "generation", "xid", "id"),
        Index("ix_audit_entry_thing", "thing_kind", "thing_id"),
        Index("ix_audit_entry_reveals", "actor_id", "at", postgresql_where=text(f"action IN {REVEALS}")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    # Transaction numbers order entries within the history of one database. A restore from a dump starts them anew and
    # increments this default (see server/sync_feed/restore_detection.py).
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
    """The hash of a batch of entries and of the previous seal."""

    __tablename__ = "audit_seal"

    id: Mapped[Id]
    position: Mapped[int] = mapped_column(unique=True)
    previous_id: Mapped[UUID | None] = mapped_column(ForeignKey("audit_seal.id"))
    last_generation: Mapped[int] = mapped_column(server_default=text("1"))
    last_xid: Mapped[int] = mapped_column(Xid8)
    last_entry_id: Mapped[int] = mapped_column(BigInteger)
    entries: Mapped[int]
    # The version of what is hashed: since 2 it includes `request_id`.
    form: Mapped[int] = mapped_column(server_default=text("1"))
    hash: Mapped[Sha256]
    # Entries sealed so far, this seal's included, and the signature over all of it: none in seals from before.
    total: Mapped[int | None] = mapped_column(BigInteger)
    signature: Mapped[str | None]
    sealed_at: Mapped[WrittenAt]


class ReadEntry(Base):
    """One look at personal data: who saw how much of what. Written by itself, before the answer leaves.

    The database refuses changes, and refuses to delete rows of the last 180 days.
    """

    __tablename__ = "read_entry"
    __table_args__ = (
        CheckConstraint("actor_kind IN ('staff', 'resident', 'system')", name="actor_is_known"),
        CheckConstraint("action IN ('opened', 'listed', 'exported', 'pulled')", name="action_is_known"),
        Index("ix_read_entry_at", "at", "id"),
        Index("ix_read_entry_actor", "actor_id", "at"),
        Index("ix_read_entry_thing", "thing_id", "at", postgresql_where=text("thing_id IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[WrittenAt]
    actor_kind: Mapped[str]
    actor_id: Mapped[UUID]
    device_id: Mapped[UUID | None]
    request_id: Mapped[str | None]
    action: Mapped[str]
    thing_kind: Mapped[str]
    # The household, case or visit that was opened; null for a list.
    thing_id: Mapped[str | None]
    area_code: Mapped[str | None] = mapped_column(String(12))
    # How many rows the answer held.
    shown: Mapped[int]
    filters: Mapped[Json]
