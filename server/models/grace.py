"""Ends of a gradual exit (渐退期): a line of the inbox for each household whose months of grace end."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller
from server.core.database import Base
from server.models.cases import CaseFile
from server.models.columns import AreaCode, Id, OptionalTime, Time


class GraceEnd(Base):
    """Above the standard through work, and paid on until `ends_on`: then somebody calculates and decides.

    Nothing is stopped by itself. A deferral moves the day by which somebody looks, with its reason.
    """

    __tablename__ = "grace_end"
    __table_args__ = (
        UniqueConstraint("case_id", "ends_on"),
        CheckConstraint("date_part('day', ends_on) = 1", name="ends_on_a_first"),
        CheckConstraint("due_on >= ends_on", name="due_once_it_ends"),
        CheckConstraint(
            "(deferred_at IS NULL) = (deferred_by IS NULL) AND (deferred_at IS NULL) = (deferral_reason = '')",
            name="deferral_has_a_reason",
        ),
        CheckConstraint("settled_by IS NULL OR settled_reason <> ''", name="settled_by_has_a_reason"),
        Index("ix_grace_end_open", "due_on", "id", postgresql_where=text("settled_at IS NULL")),
    )

    id: Mapped[Id]
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"))
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    area_code: Mapped[AreaCode]
    # The first day of the first month without grace, and the day by which somebody looks: the same until deferred.
    ends_on: Mapped[date]
    due_on: Mapped[date]
    found_at: Mapped[Time]
    deferred_at: Mapped[OptionalTime]
    deferred_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    deferral_reason: Mapped[str] = mapped_column(default="", server_default=text("''"))
    settled_at: Mapped[OptionalTime]
    # Where the amount stays as it is: who says so, and why.
    settled_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    settled_reason: Mapped[str] = mapped_column(default="", server_default=text("''"))

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        cases: Any = select(CaseFile.id).where(CaseFile.in_scope(caller))
        return cls.case_id.in_(cases)
