"""Appraisal hearings (民主评议): who sat on the panel, and how the votes fell. No ballot is kept anywhere."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.database import Base
from server.models.columns import Id, OptionalTime, WrittenAt


class Hearing(Base):
    """The count is three numbers, written once. A ballot has no row, so nothing can link it to a voter."""

    __tablename__ = "hearing"
    __table_args__ = (
        CheckConstraint("ayes >= 0 AND noes >= 0 AND blanks >= 0", name="counts_are_not_negative"),
        CheckConstraint("(counted_at IS NULL) = (ayes IS NULL)", name="counted_has_numbers"),
        Index("uq_hearing_open_once", "case_id", unique=True, postgresql_where=text("counted_at IS NULL")),
    )

    id: Mapped[Id]
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"), index=True)
    held_on: Mapped[date]
    place: Mapped[str]
    quorum: Mapped[int]
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    made_at: Mapped[WrittenAt]
    presenter: Mapped[str]
    observers: Mapped[str]
    counted_at: Mapped[OptionalTime]
    ayes: Mapped[int | None]
    noes: Mapped[int | None]
    blanks: Mapped[int | None]
    passed: Mapped[bool | None]


class PanelSeat(Base):
    """A seat on a panel: drawn, then kept, or given up for a conflict; and whether the person came."""

    __tablename__ = "panel_seat"

    hearing_id: Mapped[UUID] = mapped_column(ForeignKey("hearing.id"), primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True, index=True)
    drawn_at: Mapped[WrittenAt]
    conflict: Mapped[str | None]
    attended: Mapped[bool] = mapped_column(default=False)
