"""Personal information law: who has agreed to which privacy notice, and requests of people about their data."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, select, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller
from server.core.database import Base
from server.models.columns import AreaCode, Id, OptionalTime, Time
from server.models.households import Household

REQUEST_KINDS = ("see", "copy", "correct", "delete", "restrict", "explain")
REQUEST_STATES = ("open", "granted", "partly", "refused")
REFUSAL_GROUNDS = ("retention", "duty", "identity", "others", "unfounded")


class PrivacyConsent(Base):
    """A version of the privacy notice that a person has read and agreed to: in the app, or on paper at the counter."""

    __tablename__ = "privacy_consent"
    __table_args__ = (
        CheckConstraint("num_nonnulls(resident_id, recorded_by) = 1", name="one_way_in"),
        Index(
            "uq_privacy_consent_once",
            "member_id",
            "version",
            unique=True,
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    # No foreign key: what a member agreed to remains when they have left.
    member_id: Mapped[UUID]
    # Of the policy setting `privacy.notice`, as it stood then.
    version: Mapped[str]
    given_at: Mapped[Time]
    resident_id: Mapped[UUID | None] = mapped_column(ForeignKey("resident.id"))
    recorded_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    withdrawn_at: Mapped[OptionalTime]


class DataRequest(Base):
    """A person's request about their data (个人信息保护法 44–47条), and the answer of an officer."""

    __tablename__ = "data_request"
    __table_args__ = (
        CheckConstraint(f"kind IN {REQUEST_KINDS}", name="kind_is_known"),
        CheckConstraint(f"state IN {REQUEST_STATES}", name="state_is_known"),
        CheckConstraint(f"ground IN {REFUSAL_GROUNDS}", name="ground_is_known"),
        CheckConstraint("num_nonnulls(resident_id, entered_by) = 1", name="one_way_in"),
        CheckConstraint(
            "(state = 'open') = (answer IS NULL) AND (state = 'open') = (answered_by IS NULL)"
            " AND (state = 'open') = (answered_at IS NULL)",
            name="answered_by_somebody",
        ),
        CheckConstraint("(ground IS NOT NULL) = (state IN ('partly', 'refused'))", name="refused_has_a_ground"),
        Index("ix_data_request_due", "due_on", "id", postgresql_where=text("state = 'open'")),
    )

    id: Mapped[Id]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    # No foreign key: the request of a member who has left remains.
    member_id: Mapped[UUID]
    area_code: Mapped[AreaCode]
    kind: Mapped[str]
    text: Mapped[str]
    resident_id: Mapped[UUID | None] = mapped_column(ForeignKey("resident.id"))
    # Of a request made at the counter: who wrote it down.
    entered_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    received_at: Mapped[Time]
    due_on: Mapped[date]
    state: Mapped[str]
    answer: Mapped[str | None]
    # Why not, or why not all.
    ground: Mapped[str | None]
    answered_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    answered_at: Mapped[OptionalTime]
    # When contact data were deleted by it.
    erased_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """Officers by area; a resident's own."""
        if caller.is_resident:
            return cls.resident_id == caller.id
        households: Any = select(Household.id).where(Household.in_scope(caller))
        return cls.household_id.in_(households)
