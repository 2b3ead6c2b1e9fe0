"""Cases: an application on its way through the procedure of law, and each step it took."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, select, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller
from server.core.database import Base
from server.models.columns import AreaCode, Id, Json, Time, WrittenAt
from server.models.households import Household

CASE_STATES = ("applied", "accepted", "survey", "preliminary", "posting", "confirmed", "refused", "withdrawn")


class CaseFile(Base):
    """An application of a household. It keeps the rules of the day it began (`rules_on`)."""

    __tablename__ = "case_file"
    __table_args__ = (
        CheckConstraint(f"state IN {CASE_STATES}", name="state_is_known"),
        Index(
            "uq_case_file_open_once",
            "household_id",
            unique=True,
            postgresql_where=text("state NOT IN ('confirmed', 'refused', 'withdrawn')"),
        ),
    )

    id: Mapped[Id]
    # What the resident is told and types in to bind.
    number: Mapped[str] = mapped_column(unique=True)
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    area_code: Mapped[AreaCode]
    state: Mapped[str]
    applied_on: Mapped[date]
    rules_on: Mapped[date]
    updated_at: Mapped[WrittenAt]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        households: Any = select(Household.id).where(Household.in_scope(caller))
        return cls.household_id.in_(households)


class CaseEvent(Base):
    """One step of a case, in order. Never changed."""

    __tablename__ = "case_event"
    __table_args__ = (
        # The same cause moves a case once, however often its job runs.
        Index("uq_case_event_cause", "case_id", "cause", unique=True),
    )

    id: Mapped[Id]
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"))
    at: Mapped[Time]
    step: Mapped[str]
    state: Mapped[str]
    actor_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    cause: Mapped[str]
    facts: Mapped[Json]
