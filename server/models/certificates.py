"""Certificates of dibao (低保证): their numbers, how long they are valid, and why they ended."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, select, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller
from server.core.database import Base
from server.models.cases import PROGRAMMES, CaseFile
from server.models.columns import AreaCode, Id, Time

CERTIFICATE_ENDS = ("stopped", "replaced")


class Certificate(Base):
    """Issued on a grant, ended on a stop, valid for longer with each renewal. A case has one that is valid."""

    __tablename__ = "certificate"
    __table_args__ = (
        CheckConstraint(f"programme IN {PROGRAMMES}", name="programme_is_known"),
        CheckConstraint("valid_until > valid_from", name="valid_for_some_time"),
        CheckConstraint("(ended_on IS NULL) = (ended_by IS NULL)", name="ended_by_something"),
        CheckConstraint(f"ended_by IN {CERTIFICATE_ENDS}", name="end_is_known"),
        Index("uq_certificate_valid", "case_id", unique=True, postgresql_where=text("ended_on IS NULL")),
        Index("ix_certificate_valid_until", "valid_until", "id", postgresql_where=text("ended_on IS NULL")),
    )

    id: Mapped[Id]
    number: Mapped[str] = mapped_column(unique=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"), index=True)
    area_code: Mapped[AreaCode]
    programme: Mapped[str]
    # The head of the household when it was issued.
    holder_name: Mapped[str]
    issued_at: Mapped[Time]
    # Null: by the nightly job.
    issued_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    valid_from: Mapped[date]
    # The first day on which it is not valid any more.
    valid_until: Mapped[date]
    renewed_on: Mapped[date | None]
    ended_on: Mapped[date | None]
    ended_by: Mapped[str | None]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        cases: Any = select(CaseFile.id).where(CaseFile.in_scope(caller))
        return cls.case_id.in_(cases)
