"""Day plans of field staff, and ordered visits that can't be assigned yet."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import DESK_ROLES, Caller, Role, in_areas
from server.core.database import Base
from server.models.columns import AreaCode, Id, OptionalTime, WrittenAt
from server.models.households import VISIT_KINDS


class DayPlanStop(Base):
    """A stop of a day plan. The day is only a proposal; the assignment's `due_on` is binding."""

    __tablename__ = "day_plan_stop"
    __table_args__ = (Index("ix_day_plan_stop_day", "staff_id", "day", "position"),)

    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    assignment_id: Mapped[UUID] = mapped_column(ForeignKey("assignment.id"), primary_key=True, index=True)
    day: Mapped[date]
    position: Mapped[int]


class BlockedVisit(Base):
    """A visit that was ordered where no checklist of its kind is published. It is listed until one is published.

    It ends when it becomes an assignment (`assignment_id`), or when its case ends.
    """

    __tablename__ = "blocked_visit"
    __table_args__ = (
        CheckConstraint(f"kind IN {VISIT_KINDS}", name="kind_is_known"),
        CheckConstraint("assignment_id IS NULL OR ended_at IS NOT NULL", name="an_assigned_one_has_ended"),
        Index(
            "uq_blocked_visit_open",
            "household_id",
            "kind",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    case_id: Mapped[UUID | None] = mapped_column(ForeignKey("case_file.id"), index=True)
    area_code: Mapped[AreaCode]
    kind: Mapped[str]
    due_on: Mapped[date]
    # Null: ordered by the case workflow or the visit schedule.
    ordered_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    ordered_at: Mapped[WrittenAt]
    ended_at: Mapped[OptionalTime]
    assignment_id: Mapped[UUID | None] = mapped_column(ForeignKey("assignment.id"))

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """By area, for desks and for administrators, who publish checklists."""
        return in_areas(cls.area_code, caller, DESK_ROLES | {Role.ADMIN})
