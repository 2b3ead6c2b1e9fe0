"""Complaints and appeals (信访举报), each with a number, two deadlines, a finding and a written reply."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import DESK_ROLES, Caller, in_areas
from server.core.database import Base
from server.models.columns import AreaCode, Id, JsonList, OptionalTime, Time

CHANNELS = ("letter", "visit", "phone", "web", "box", "proposal")
COMPLAINT_STATES = ("received", "registered", "decided", "declined")


class Complaint(Base):
    """A complaint. The text is encrypted like the reporter, because a text often identifies its writer."""

    __tablename__ = "complaint"
    __table_args__ = (
        CheckConstraint(f"channel IN {CHANNELS}", name="channel_is_known"),
        CheckConstraint(f"state IN {COMPLAINT_STATES}", name="state_is_known"),
        CheckConstraint("kind IN ('complaint', 'appeal')", name="kind_is_known"),
        CheckConstraint("finding IN ('upheld', 'partly', 'unfounded')", name="finding_is_known"),
        CheckConstraint("(state = 'decided') = (finding IS NOT NULL)", name="decided_has_a_finding"),
        Index("ix_complaint_bare_number", text("replace(number, '-', '')")),
        Index("ix_complaint_due", "due_on", "id", postgresql_where=text("state IN ('received', 'registered')")),
    )

    id: Mapped[Id]
    number: Mapped[str] = mapped_column(unique=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    kind: Mapped[str]
    channel: Mapped[str]
    area_code: Mapped[AreaCode]
    household_id: Mapped[UUID | None] = mapped_column(ForeignKey("household.id"), index=True)
    case_id: Mapped[UUID | None] = mapped_column(ForeignKey("case_file.id"))
    # The resident who appealed while signed in and reads the reply in the app.
    resident_id: Mapped[UUID | None] = mapped_column(ForeignKey("resident.id"), index=True)
    is_named: Mapped[bool]
    reporter_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    text_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    # Blind indexes of the names of the staff it concerns, so that none of them handles it.
    against: Mapped[JsonList] = mapped_column(default=list, server_default=text("'[]'"))
    state: Mapped[str] = mapped_column(default="received")
    handler_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    received_at: Mapped[Time]
    # The deadline for registration; after registration, the deadline for the decision.
    due_on: Mapped[date]
    is_extended: Mapped[bool] = mapped_column(default=False)
    registered_at: Mapped[OptionalTime]
    decided_at: Mapped[OptionalTime]
    finding: Mapped[str | None]
    reply: Mapped[str | None]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        if caller.is_resident:
            return cls.resident_id == caller.id
        return in_areas(cls.area_code, caller, DESK_ROLES)
