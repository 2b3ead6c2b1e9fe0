"""Appraisal hearings (民主评议): the members of the panel and the counts of votes. No ballot is stored."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.database import Base
from server.models.columns import Id, OptionalTime, WrittenAt


class Hearing(Base):
    """A hearing. Its three counts are written once; ballots have no rows, so no vote can be linked to a person."""

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
    """A drawn member of a panel, with a conflict of interest if one was declared, and the attendance."""

    __tablename__ = "panel_seat"

    hearing_id: Mapped[UUID] = mapped_column(ForeignKey("hearing.id"), primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True, index=True)
    drawn_at: Mapped[WrittenAt]
    conflict: Mapped[str | None]
    attended: Mapped[bool] = mapped_column(default=False)
