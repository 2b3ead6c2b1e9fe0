"""Applications from the door that could not become a case when they came: each waits for the town, and none is lost."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, LargeBinary, or_, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import DESK_ROLES, Caller, in_areas
from server.core.database import Base
from server.models.columns import AreaCode, Id, OptionalTime, Time

DOOR_APPLICATION_STATES = ("held", "opened", "dismissed")


class DoorApplication(Base):
    """`id` is that of the case it becomes, and of the record with its talk, signatures and photos."""

    __tablename__ = "door_application"
    __table_args__ = (
        CheckConstraint(f"state IN {DOOR_APPLICATION_STATES}", name="state_is_known"),
        CheckConstraint("(state = 'held') = (body_sealed IS NOT NULL)", name="held_has_its_body"),
        CheckConstraint("(state = 'held') = (applicant_name IS NOT NULL)", name="held_has_a_name"),
        CheckConstraint("(state = 'held') = (settled_at IS NULL)", name="settled_has_a_time"),
        CheckConstraint("state <> 'dismissed' OR reason IS NOT NULL", name="dismissed_has_a_reason"),
        Index("ix_door_application_held", "received_at", "id", postgresql_where=text("state = 'held'")),
    )

    id: Mapped[Id]
    # A home of the register, or the id of the new one that the application brings.
    household_id: Mapped[UUID]
    area_code: Mapped[AreaCode]
    # Only while it waits.
    applicant_name: Mapped[str | None]
    # The number on the applicant's slip, drawn by the phone.
    number: Mapped[str]
    author_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), index=True)
    state: Mapped[str]
    # The error code that kept it from becoming a case.
    code: Mapped[str]
    # The request with its ID numbers; only while it waits.
    body_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    received_at: Mapped[Time]
    settled_at: Mapped[OptionalTime]
    settled_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    reason: Mapped[str | None]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return or_(cls.author_id == caller.id, in_areas(cls.area_code, caller, DESK_ROLES))
