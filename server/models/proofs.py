"""Proofs that a household which is paid hands in again and again: of income, a disability card, school."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller
from server.core.database import Base
from server.models.cases import CaseFile
from server.models.columns import AreaCode, Id, OptionalTime


class PeriodicProof(Base):
    """A proof that was asked for, until it is received or a person says why it is not needed.

    Nothing follows from one that is overdue: a person looks.
    """

    __tablename__ = "periodic_proof"
    __table_args__ = (
        UniqueConstraint("case_id", "code"),
        CheckConstraint("due_on >= asked_on", name="due_after_it_was_asked"),
        CheckConstraint("(received_on IS NULL) = (received_by IS NULL)", name="received_by_somebody"),
        CheckConstraint(
            "(closed_at IS NULL) = (closed_by IS NULL) AND (closed_at IS NULL) = (closed_reason = '')",
            name="closed_has_a_reason",
        ),
        CheckConstraint("received_on IS NULL OR closed_at IS NULL", name="received_or_closed"),
        Index(
            "uq_periodic_proof_open",
            "case_id",
            "kind",
            unique=True,
            postgresql_where=text("received_on IS NULL AND closed_at IS NULL"),
        ),
        Index("ix_periodic_proof_due", "due_on", "id"),
    )

    id: Mapped[Id]
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"))
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    area_code: Mapped[AreaCode]
    # A code of the setting `proof.required`, with its names as they were on the day.
    kind: Mapped[str]
    zh: Mapped[str]
    en: Mapped[str]
    # Its photos have this code.
    code: Mapped[str]
    asked_on: Mapped[date]
    due_on: Mapped[date]
    received_on: Mapped[date | None]
    received_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    closed_at: Mapped[OptionalTime]
    closed_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    closed_reason: Mapped[str] = mapped_column(default="", server_default=text("''"))

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        cases: Any = select(CaseFile.id).where(CaseFile.in_scope(caller))
        return cls.case_id.in_(cases)
