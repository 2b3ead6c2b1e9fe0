"""Uploads under way: how far each has come, who is writing to it now, and where its pieces lie.

What the store holds under `spool/` belongs to an upload only if a row here says so; a piece without a row
was never acknowledged.
"""

import secrets
from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ColumnElement, ForeignKey, Index, and_, or_
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller
from server.core.database import Base
from server.models.columns import OptionalTime, Time, WrittenAt

WAYS = ("tus", "put")
UPLOAD_STATES = ("open", "done", "mismatched")


def new_upload_id() -> str:
    """192 bits of chance: whoever does not know it can't guess it."""
    return secrets.token_urlsafe(24)


class Upload(Base):
    """The bytes of one announced photo on their way: by tus in pieces, or by one PUT to the store."""

    __tablename__ = "upload"
    __table_args__ = (
        CheckConstraint(f"way IN {WAYS}", name="way_is_known"),
        CheckConstraint(f"state IN {UPLOAD_STATES}", name="state_is_known"),
        CheckConstraint("received_bytes BETWEEN 0 AND size_bytes", name="received_fits_size"),
        CheckConstraint("state <> 'done' OR received_bytes = size_bytes", name="done_is_whole"),
        CheckConstraint("(lease IS NULL) = (lease_until IS NULL)", name="lease_has_an_end"),
        Index("ix_upload_end", "expires_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_upload_id)
    # Of a visit's photo or of a paper's; the author is staff or a resident accordingly. So neither is a
    # foreign key.
    evidence_id: Mapped[UUID] = mapped_column(index=True)
    author_id: Mapped[UUID]
    device_id: Mapped[UUID] = mapped_column(ForeignKey("device.id"))
    way: Mapped[str]
    state: Mapped[str] = mapped_column(default="open")
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    received_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    # As the client wrote it: tus gives it back word for word.
    metadata_told: Mapped[str] = mapped_column(default="")
    # The one request that may write now; it proves itself by the lease when it does.
    lease: Mapped[UUID | None]
    lease_until: Mapped[OptionalTime]
    created_at: Mapped[WrittenAt]
    expires_at: Mapped[Time]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return and_(cls.author_id == caller.id)

    @classmethod
    def nobody_writes(cls, now: datetime) -> ColumnElement[bool]:
        return or_(cls.lease_until.is_(None), cls.lease_until <= now)


class UploadChunk(Base):
    """One piece of an upload that the store has whole."""

    __tablename__ = "upload_chunk"
    __table_args__ = (CheckConstraint("size_bytes > 0", name="holds_something"),)

    upload_id: Mapped[str] = mapped_column(ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True)
    start_at: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    object_key: Mapped[str]
