"""Reports of staff that the program does not work: what it is and what it sees of its device, nothing of people."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, String, or_
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller, Role, in_areas
from server.core.database import Base
from server.models.columns import Id, Json, OptionalTime, Time

REPORT_APPS = ("phone", "desk")
REPORT_SUBJECTS = ("sync", "photos", "slow", "crash", "wrong", "other")
REPORT_STATES = ("open", "answered", "closed")


class ProblemReport(Base):
    """A report, answered by an administrator. `facts` holds numbers, codes and versions alone."""

    __tablename__ = "problem_report"
    __table_args__ = (
        CheckConstraint(f"app IN {REPORT_APPS}", name="app_is_known"),
        CheckConstraint(f"about IN {REPORT_SUBJECTS}", name="about_is_known"),
        CheckConstraint(f"state IN {REPORT_STATES}", name="state_is_known"),
        CheckConstraint(
            "(state = 'open') = (answered_at IS NULL AND answered_by IS NULL)", name="answered_by_somebody"
        ),
        Index("ix_problem_report_staff", "staff_id", "reported_at"),
    )

    id: Mapped[Id]
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    # The widest area of who reported it. No foreign key, because it may be the whole country ("").
    area_code: Mapped[str] = mapped_column(String(12), index=True)
    app: Mapped[str]
    about: Mapped[str]
    facts: Mapped[Json]
    reported_at: Mapped[Time]
    state: Mapped[str]
    answer: Mapped[str | None]
    answered_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    answered_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """Administrators, by area; what concerns the whole installation is for each of them."""
        in_area = in_areas(cls.area_code, caller, {Role.ADMIN})
        return or_(in_area, cls.area_code == "") if Role.ADMIN in caller.roles else in_area
