"""Tables of photos: the manifest (visit, question, time, place) is separate from the content (the bytes)."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ColumnElement, ForeignKey, Index, String, and_, or_, select, text
from sqlalchemy.dialects.postgresql import BIT
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller
from server.core.database import Base
from server.models.columns import Id, Json, OptionalJson, OptionalTime, Sha256, Time, WrittenAt
from server.models.records import Record
from server.models.visits import Visit

# The `question_id` of a photo of the paper form that a visit was entered from.
PAPER_FORM = "paper_form"
# The `subject_kind` of photos.
VISIT, RECORD = "visit", "record"
EVIDENCE_STATES = ("announced", "received", "verified", "refused")


class Evidence(Base):
    """The manifest of an expected photo. It may arrive before what it belongs to, so that is no foreign key.

    A photo of a visit has a `visit_id`; one of anything else a `subject_kind` and a `subject_id`, and no visit.
    """

    __tablename__ = "evidence"
    __table_args__ = (
        CheckConstraint(f"state IN {EVIDENCE_STATES}", name="state_is_known"),
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256_is_hex"),
        CheckConstraint("(watermark_sha256 IS NULL) = (watermark_receipt IS NULL)", name="watermark_has_a_receipt"),
        CheckConstraint(
            "(subject_kind = 'visit') = (visit_id IS NOT NULL) AND (subject_kind = 'visit') = (subject_id IS NULL)",
            name="belongs_to_one_thing",
        ),
        Index("ix_evidence_content", "sha256"),
        Index("ix_evidence_subject", "subject_id", postgresql_where=text("subject_id IS NOT NULL")),
    )

    id: Mapped[Id]
    visit_id: Mapped[UUID | None] = mapped_column(index=True)
    subject_kind: Mapped[str] = mapped_column(default=VISIT, server_default=text("'visit'"))
    subject_id: Mapped[UUID | None]
    author_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    device_id: Mapped[UUID] = mapped_column(ForeignKey("device.id"))
    question_id: Mapped[str]
    sha256: Mapped[Sha256]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    captured_at: Mapped[OptionalTime]
    document: Mapped[Json]
    content_hash: Mapped[Sha256]
    state: Mapped[str]
    # Why the bytes were refused: a code of the error catalogue.
    refused_code: Mapped[str | None]
    received_at: Mapped[Time]
    uploaded_at: Mapped[OptionalTime]
    settled_at: Mapped[OptionalTime]
    # Hash of the watermarked copy, once drawn, and the short code of the receipt in its text.
    watermark_sha256: Mapped[str | None] = mapped_column(String(64))
    watermark_receipt: Mapped[str | None]
    # When the bytes were deleted after their retention period; the manifest stays. See PhotoTombstone.
    erased_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        visits: Any = select(Visit.id).where(Visit.in_scope(caller))
        records: Any = select(Record.id).where(Record.in_scope(caller))
        of_record = and_(cls.subject_kind == RECORD, cls.subject_id.in_(records))
        return or_(cls.author_id == caller.id, cls.visit_id.in_(visits), of_record)


class Photo(Base):
    """Content in the store, addressed by its hash and processed once, whatever the number of its manifests."""

    __tablename__ = "photo"
    __table_args__ = (
        CheckConstraint("state IN ('stored', 'verified', 'refused')", name="state_is_known"),
        CheckConstraint("state <> 'verified' OR facts IS NOT NULL", name="verified_has_facts"),
        CheckConstraint("(parked_at IS NULL) = (parked_error IS NULL)", name="parked_has_an_error"),
        Index("ix_photo_parked", "parked_at", postgresql_where=text("parked_at IS NOT NULL")),
    )

    sha256: Mapped[Sha256] = mapped_column(primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]
    refused_code: Mapped[str | None]
    media_type: Mapped[str | None]
    facts: Mapped[OptionalJson]
    fingerprint: Mapped[str | None] = mapped_column(BIT(256))
    fingerprint_quality: Mapped[int | None]
    # The 64 x 64 luma that the fingerprint was computed from; crops are found by it.
    look: Mapped[bytes | None]
    # The same for the content inside a frame, such as a screenshot's.
    inside_fingerprint: Mapped[str | None] = mapped_column(BIT(256))
    inside_quality: Mapped[int | None]
    inside_look: Mapped[bytes | None]
    # SHA-256 of each rendition by name, 320 and 1280, to detect an altered one.
    copies: Mapped[OptionalJson]
    stored_at: Mapped[WrittenAt]
    examined_at: Mapped[OptionalTime]
    # When the last attempt to process it failed, and the kind of error.
    parked_at: Mapped[OptionalTime]
    parked_error: Mapped[str | None]


class MismatchedUpload(Base):
    """Uploaded bytes that are not the announced photo: quarantined under their own hash, and reported."""

    __tablename__ = "mismatched_upload"

    id: Mapped[Id]
    # The photo of a visit or of a paper (server/models/cases.py), so no foreign key.
    evidence_id: Mapped[UUID] = mapped_column(index=True)
    sha256: Mapped[Sha256]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    device_id: Mapped[UUID] = mapped_column(ForeignKey("device.id"))
    received_at: Mapped[WrittenAt]
    erased_at: Mapped[OptionalTime]


class PhotoTombstone(Base):
    """Content that was deleted after its retention period: its hash, the setting, and the setting's source."""

    __tablename__ = "photo_tombstone"
    __table_args__ = (
        CheckConstraint("shelf IN ('photos', 'mismatched')", name="shelf_is_known"),
        Index("ix_photo_tombstone_content", "sha256"),
        Index("ix_photo_tombstone_half_done", "id", postgresql_where=text("removed_at IS NULL")),
    )

    id: Mapped[Id]
    shelf: Mapped[str]
    sha256: Mapped[Sha256]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    # The key of the setting that kept it longest, its days and its source, as they were at the deletion.
    rule: Mapped[str]
    kept_days: Mapped[int]
    source: Mapped[str]
    # The start of the days.
    kept_since: Mapped[Time]
    erased_at: Mapped[Time]
    # When the last object was removed from the store.
    removed_at: Mapped[OptionalTime]
