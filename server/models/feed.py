"""The sync feed: which documents each person's phones must have, in the order of their changes.

One row per person, collection and document. `xid` is the transaction that last changed the document for this person;
readers serve only rows below the oldest running transaction, so that no row that commits late is skipped. Only
`publish_change` writes rows: it compares who should have a document with who has it. Rows that a phone pushed and the
server could not apply are stored here too, in quarantine.
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
    """A row that a phone pushed and the server could not apply. It is never dropped, and listed until it is resolved.

    `body` holds the bytes as sent, because an invalid row may hold text that a JSON column does not accept.
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
    # quarantined: the row is invalid. lost_conflict: another version was applied first.
    kept_as: Mapped[str]
    collection: Mapped[str]
    doc_id: Mapped[str] = mapped_column(String(200))
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    device_id: Mapped[UUID] = mapped_column(ForeignKey("device.id"))
    body: Mapped[bytes] = mapped_column(LargeBinary)
    # The content hash of the version that the phone changed; null for a new document.
    base_hash: Mapped[str | None] = mapped_column(String(64))
    code: Mapped[str | None]
    problem: Mapped[OptionalJson]
    received_at: Mapped[WrittenAt]
    resolved_at: Mapped[OptionalTime]
