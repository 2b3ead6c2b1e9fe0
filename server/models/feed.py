"""Which row each phone is to hear of, and in which order: the feed behind sync.

One row per person, collection and document. `xid` is the transaction that last changed what this person
should have; readers serve only rows below the oldest transaction still running, so no row that commits
late is skipped. `announce` is the one way in: it compares who should have a document with who has it.
"""

from uuid import UUID

from sqlalchemy import (
    ForeignKey,
    Index,
    LargeBinary,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.core.database import Base, Xid8
from server.models.columns import Id, OptionalJson, OptionalTime, WrittenAt


class Feed(Base):
    __tablename__ = "feed"
    __table_args__ = (Index("ix_feed_order", "staff_id", "collection", "xid", "doc_id"),)

    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    collection: Mapped[str] = mapped_column(primary_key=True)
    doc_id: Mapped[str] = mapped_column(primary_key=True)
    xid: Mapped[int] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))
    is_deleted: Mapped[bool] = mapped_column(server_default=text("false"))
    reason: Mapped[str | None]


class QuarantinedRow(Base):
    """What a phone recorded and the server could not apply: never dropped, listed until someone acts.

    `body` holds the bytes as sent, since a bad row may hold what no JSON column takes.
    """

    __tablename__ = "kept_row"
    __table_args__ = (
        Index("ix_kept_row_document", "collection", "doc_id", "staff_id"),
        Index(
            "uq_kept_row_quarantined",
            "collection",
            "doc_id",
            "staff_id",
            unique=True,
            postgresql_where=text("kept_as = 'quarantined' AND resolved_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    # quarantined: can't be applied as it is. lost_conflict: another version was there first.
    kept_as: Mapped[str]
    collection: Mapped[str]
    doc_id: Mapped[str] = mapped_column(String(200))
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    device_id: Mapped[UUID] = mapped_column(ForeignKey("device.id"))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    # The content hash of the state the phone took it from, as with any change: null when it was new.
    base_hash: Mapped[str | None] = mapped_column(String(64))
    code: Mapped[str | None]
    problem: Mapped[OptionalJson]
    received_at: Mapped[WrittenAt]
    resolved_at: Mapped[OptionalTime]
