"""Monthly returns of changes (动态管理月报): what a village or a town reports to the office above it."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import DESK_ROLES, Caller, Role, in_areas
from server.core.database import Base
from server.models.columns import AreaCode, Id, JsonList, OptionalTime, Time

CHANGE_RETURN_STATES = ("sent", "returned", "closed")
# Who reads them, within their areas.
CHANGE_RETURN_READERS = DESK_ROLES | {Role.CASEWORKER}


class ChangeReturn(Base):
    """The changes of a month as an area sent them. Without a row the return is still a draft: what happened so far."""

    __tablename__ = "change_return"
    __table_args__ = (
        CheckConstraint(f"state IN {CHANGE_RETURN_STATES}", name="state_is_known"),
        CheckConstraint("date_part('day', month) = 1", name="month_is_a_first"),
        CheckConstraint("char_length(area_code) IN (9, 12)", name="of_a_town_or_a_village"),
        CheckConstraint("state = 'sent' OR decided_by IS NOT NULL", name="decided_by_somebody"),
        CheckConstraint("decided_by <> sent_by", name="decided_by_another"),
        CheckConstraint("state <> 'returned' OR answer <> ''", name="returned_has_a_reason"),
        UniqueConstraint("area_code", "month"),
    )

    id: Mapped[Id]
    area_code: Mapped[AreaCode]
    month: Mapped[date]
    state: Mapped[str]
    # What happened, as it stood when it was sent.
    lines: Mapped[JsonList]
    # What the sender adds that no line says.
    note: Mapped[str] = mapped_column(default="", server_default=text("''"))
    sent_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    sent_at: Mapped[Time]
    # When it was sent for the first time: that is what is late.
    first_sent_at: Mapped[Time]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[OptionalTime]
    answer: Mapped[str] = mapped_column(default="", server_default=text("''"))

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return in_areas(cls.area_code, caller, CHANGE_RETURN_READERS)
