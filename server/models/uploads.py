"""Uploads in progress: the offset and lease of each, and the chunks in the object store.

An object under `spool/` belongs to an upload only if a row here names it; a chunk without a row was never acknowledged.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ColumnElement, ForeignKey, Index, and_, or_
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller
from server.core.database import Base
from server.core.ids import new_secret_id
from server.models.columns import OptionalTime, Time, WrittenAt

WAYS = ("tus", "put")
UPLOAD_STATES = ("open", "done", "mismatched")


class Upload(Base):
    """The upload of one announced photo: in chunks by tus, or by one PUT to the object store."""

    __tablename__ = "upload"
    __table_args__ = (
        CheckConstraint(f"way IN {WAYS}", name="way_is_known"),
        CheckConstraint(f"state IN {UPLOAD_STATES}", name="state_is_known"),
        CheckConstraint("received_bytes BETWEEN 0 AND size_bytes", name="received_fits_size"),
        CheckConstraint("state <> 'done' OR received_bytes = size_bytes", name="done_is_whole"),
        CheckConstraint("(lease IS NULL) = (lease_until IS NULL)", name="lease_has_an_end"),
        Index("ix_upload_end", "expires_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_secret_id)
    # The photo of a visit or of a paper, and accordingly staff or a resident: neither can be a foreign key.
    evidence_id: Mapped[UUID] = mapped_column(index=True)
    author_id: Mapped[UUID]
    device_id: Mapped[UUID] = mapped_column(ForeignKey("device.id"))
    way: Mapped[str]
    state: Mapped[str] = mapped_column(default="open")
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    received_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    # The Upload-Metadata header as sent; tus returns it unchanged.
    upload_metadata: Mapped[str] = mapped_column("metadata_told", default="")
    # The lease of the one request that may write now; each of its writes checks it.
    lease: Mapped[UUID | None]
    lease_until: Mapped[OptionalTime]
    created_at: Mapped[WrittenAt]
    expires_at: Mapped[Time]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return and_(cls.author_id == caller.id)

    @classmethod
    def lease_is_free(cls, now: datetime) -> ColumnElement[bool]:
        return or_(cls.lease_until.is_(None), cls.lease_until <= now)


class UploadChunk(Base):
    """A chunk of an upload that is completely in the object store."""

    __tablename__ = "upload_chunk"
    __table_args__ = (CheckConstraint("size_bytes > 0", name="holds_something"),)

    upload_id: Mapped[str] = mapped_column(ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True)
    start_at: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    object_key: Mapped[str]
