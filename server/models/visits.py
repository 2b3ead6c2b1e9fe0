"""Visits as the phone submitted them, their earlier versions, their investigators and attestations."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import DESK_ROLES, Caller, in_areas
from server.core.database import Base
from server.models.columns import AreaCode, Id, Json, OptionalJson, OptionalTime, Sha256, Time, WrittenAt
from server.models.households import VISIT_KINDS

VISIT_STATES = (
    "draft",
    "discarded",
    "submitted",
    "amended",
    "under_review",
    "accepted",
    "returned",
    "escalated",
    "voided",
)
# Submitted and not in the review queue yet: attestations or photos may be missing.
INCOMPLETE_STATES = ("submitted", "amended")


class Visit(Base):
    """A home visit. `document` is the complete document that the phone sent; columns are what queries need."""

    __tablename__ = "visit"
    __table_args__ = (
        CheckConstraint(f"kind IN {VISIT_KINDS}", name="kind_is_known"),
        CheckConstraint(f"state IN {VISIT_STATES}", name="state_is_known"),
        CheckConstraint(
            "(state = 'voided') = (voided_at IS NOT NULL AND voided_by IS NOT NULL AND void_reason IS NOT NULL)",
            name="voided_has_a_reason",
        ),
        CheckConstraint("state IN ('draft', 'discarded') OR receipt IS NOT NULL", name="submitted_has_a_receipt"),
        ForeignKeyConstraint(
            ["checklist_code", "checklist_version"],
            ["checklist_template.code", "checklist_template.version"],
        ),
        Index(
            "ix_visit_waiting",
            text("submitted_at DESC"),
            postgresql_where=text("state IN ('submitted', 'amended') AND complete_at IS NULL"),
        ),
        Index("ix_visit_voided", "id", postgresql_where=text("state = 'voided'")),
        Index("ix_visit_typed_by", "typed_by", postgresql_where=text("typed_by IS NOT NULL")),
        Index("ix_visit_author_start", "author_id", "started_at"),
        Index("ix_visit_household_start", "household_id", "started_at"),
        Index("ix_visit_area_prefix", "area_code", postgresql_ops={"area_code": "text_pattern_ops"}),
    )

    id: Mapped[Id]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    assignment_id: Mapped[UUID | None] = mapped_column(ForeignKey("assignment.id"), index=True)
    area_code: Mapped[AreaCode]
    kind: Mapped[str]
    checklist_code: Mapped[str]
    checklist_version: Mapped[int]
    author_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    device_id: Mapped[UUID] = mapped_column(ForeignKey("device.id"))
    state: Mapped[str]
    mode: Mapped[str]
    started_at: Mapped[OptionalTime]
    ended_at: Mapped[OptionalTime]
    document: Mapped[Json]
    content_hash: Mapped[Sha256]
    received_at: Mapped[Time]
    submitted_at: Mapped[OptionalTime]
    # When it was attested by all investigators and every photo was processed; then it enters the review queue.
    complete_at: Mapped[OptionalTime]
    receipt: Mapped[str | None]
    # The version of the household that the answers were judged by, where the desk changed it meanwhile.
    household_version: Mapped[int | None]
    # Who entered it at the desk from a paper form; `author_id` is then who led the visit. Null: a phone sent it.
    typed_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    late_after_reassignment: Mapped[bool] = mapped_column(default=False)
    # Starts at 1, and each amendment increments it; earlier versions are in VisitVersion.
    version: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    # The draft of an amendment, visible only to its author.
    mending: Mapped[OptionalJson]
    mending_hash: Mapped[str | None] = mapped_column(String(64))
    # Made at the wrong home or by mistake: it stays readable, and counts for nothing.
    voided_at: Mapped[OptionalTime]
    voided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    void_reason: Mapped[str | None]
    updated_at: Mapped[WrittenAt]

    @property
    def attested_by_sending(self) -> UUID:
        """Whose attestation the submission itself is: its author's, or that of whoever entered it from paper."""
        return self.typed_by or self.author_id

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """Desk: submitted visits by area. Field staff: visits that they made (also drafts) or took part in."""
        took_part: Any = select(VisitInvestigator.visit_id).where(VisitInvestigator.staff_id == caller.id)
        return or_(
            cls.author_id == caller.id,
            cls.id.in_(took_part),
            in_areas(cls.area_code, caller, DESK_ROLES) & cls.state.not_in(["draft", "discarded"]),
        )


class VisitVersion(Base):
    """A visit before an amendment. Immutable, and never sent to a phone."""

    __tablename__ = "visit_version"

    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[Json]
    content_hash: Mapped[Sha256]
    receipt: Mapped[str]
    device_id: Mapped[UUID] = mapped_column(ForeignKey("device.id"))
    submitted_at: Mapped[Time]
    superseded_at: Mapped[Time]


class VisitInvestigator(Base):
    """An investigator named by the visit. The author attests by submitting, the others by an Attestation."""

    __tablename__ = "visit_investigator"

    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"), primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True, index=True)


class Attestation(Base):
    """An investigator's statement, from their own phone and account, that they took part in the visit.

    It may be received before the visit, so `visit_id` is no foreign key.
    """

    __tablename__ = "attestation"
    __table_args__ = (Index("ix_attestation_visit", "visit_id", "staff_id"),)

    id: Mapped[Id]
    visit_id: Mapped[UUID]
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), index=True)
    device_id: Mapped[UUID] = mapped_column(ForeignKey("device.id"))
    attested_at: Mapped[Time]
    document: Mapped[Json]
    content_hash: Mapped[Sha256]
    received_at: Mapped[Time]


class WithdrawalProposal(Base):
    """Somebody's word that figures be taken back by which a payment was decided; another person does it."""

    __tablename__ = "withdrawal_proposal"
    __table_args__ = (
        CheckConstraint("act IN ('void', 'reopen')", name="act_is_known"),
        CheckConstraint("reason <> ''", name="reason_is_written"),
    )

    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"), primary_key=True)
    act: Mapped[str] = mapped_column(primary_key=True)
    proposed_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    proposed_at: Mapped[Time]
    reason: Mapped[str]
