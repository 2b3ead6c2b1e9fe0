"""Day plans: which of the visits that are due a caseworker means to make on which day, in which order."""

from datetime import date
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from server.core.database import Base


class DayPlanStop(Base):
    """One stop. The day is a proposal: the assignment's own `due_on` is what binds."""

    __tablename__ = "day_plan_stop"
    __table_args__ = (Index("ix_day_plan_stop_day", "staff_id", "day", "position"),)

    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    assignment_id: Mapped[UUID] = mapped_column(ForeignKey("assignment.id"), primary_key=True, index=True)
    day: Mapped[date]
    position: Mapped[int]
