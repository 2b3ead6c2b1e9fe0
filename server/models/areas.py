"""Administrative areas, their dated policy settings, and exceptions to the working-day calendar."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from server.core.database import Base
from server.models.columns import Id, OptionalTime, Time, WrittenAt

# Number of digits of a statistical division code at each level (docs/domain.md#areas).
LEVELS = {2: "province", 4: "city", 6: "county", 9: "town", 12: "village"}


class Area(Base):
    """A statistical division. A revoked code stays, with its end date and successor."""

    __tablename__ = "area"
    __table_args__ = (
        CheckConstraint("code ~ '^([0-9]{2}|[0-9]{4}|[0-9]{6}|[0-9]{9}|[0-9]{12})$'", name="code_has_a_level"),
        # Scopes are code prefixes; this operator class finds them with any collation.
        Index("ix_area_prefix", "code", postgresql_ops={"code": "text_pattern_ops"}),
    )

    code: Mapped[str] = mapped_column(String(12), primary_key=True)
    name: Mapped[str]
    parent_code: Mapped[str | None] = mapped_column(ForeignKey("area.code"), index=True)
    valid_from: Mapped[date | None]
    valid_until: Mapped[date | None]
    successor_code: Mapped[str | None] = mapped_column(ForeignKey("area.code"))

    @property
    def level(self) -> str:
        return LEVELS[len(self.code)]


class VillageGroup(Base):
    """A group of a village (村民组): where in it a household lives. No scope, no rule and no figure goes by it."""

    __tablename__ = "village_group"
    __table_args__ = (CheckConstraint("name <> ''", name="name_is_written"),)

    village_code: Mapped[str] = mapped_column(String(12), ForeignKey("area.code"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    ended_on: Mapped[date | None]


AREA_CHANGE_KINDS = ("merged", "moved")
# `lapsed`: on its day it no longer fitted, because another change had come before it.
AREA_CHANGE_STATES = ("proposed", "accepted", "rejected", "applied", "lapsed")


class AreaChange(Base):
    """A village that goes into another, or to another town under a new code, from a day on. It takes two people.

    Rows of what happened before keep the old code, so that statistics and reports of earlier months stay.
    """

    __tablename__ = "area_change"
    __table_args__ = (
        CheckConstraint(f"kind IN {AREA_CHANGE_KINDS}", name="kind_is_known"),
        CheckConstraint(f"state IN {AREA_CHANGE_STATES}", name="state_is_known"),
        CheckConstraint("from_code <> to_code", name="goes_elsewhere"),
        CheckConstraint("reason <> ''", name="reason_is_written"),
        CheckConstraint("decided_by <> proposed_by", name="takes_two_people"),
        CheckConstraint(
            "(state = 'proposed') = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)",
            name="decided_has_a_decider",
        ),
        CheckConstraint("(state = 'applied') = (applied_at IS NOT NULL)", name="applied_has_a_time"),
        Index(
            "uq_area_change_waiting",
            "from_code",
            unique=True,
            postgresql_where=text("state IN ('proposed', 'accepted')"),
        ),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    from_code: Mapped[str] = mapped_column(String(12), ForeignKey("area.code"))
    # No foreign key: of a move the new code is made on the day.
    to_code: Mapped[str] = mapped_column(String(12))
    to_name: Mapped[str]
    effective_on: Mapped[date]
    reason: Mapped[str]
    state: Mapped[str]
    proposed_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    proposed_at: Mapped[Time]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[OptionalTime]
    answer: Mapped[str | None]
    applied_at: Mapped[OptionalTime]
    # How many households followed.
    households: Mapped[int | None]


class PolicySetting(Base):
    """A policy setting: its value in an area and below it from a date on, and its source."""

    __tablename__ = "area_rule"
    __table_args__ = (
        UniqueConstraint("key", "area_code", "effective_from"),
        CheckConstraint("agreed_by <> written_by", name="agreed_by_another_person"),
    )

    id: Mapped[Id]
    key: Mapped[str]
    # Empty: the whole country.
    area_code: Mapped[str] = mapped_column(String(12), default="")
    effective_from: Mapped[date]
    value: Mapped[Any] = mapped_column(JSONB)
    source: Mapped[str]
    written_at: Mapped[WrittenAt]
    written_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    # The second person, for a setting that takes two.
    agreed_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))


class SettingProposal(Base):
    """A row of a setting that takes two people, until another person takes it over or rejects it."""

    __tablename__ = "area_rule_proposal"
    __table_args__ = (
        CheckConstraint("state IN ('proposed', 'accepted', 'rejected')", name="state_is_known"),
        CheckConstraint("(state = 'proposed') = (decided_by IS NULL)", name="decided_has_a_decider"),
        CheckConstraint("(decided_by IS NULL) = (decided_at IS NULL)", name="decided_has_a_time"),
        CheckConstraint("decided_by <> proposed_by", name="decided_by_another_person"),
    )

    id: Mapped[Id]
    key: Mapped[str]
    area_code: Mapped[str] = mapped_column(String(12))
    effective_from: Mapped[date]
    value: Mapped[Any] = mapped_column(JSONB)
    source: Mapped[str]
    state: Mapped[str]
    proposed_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    proposed_at: Mapped[Time]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[OptionalTime]
    reason: Mapped[str | None]


class CalendarDay(Base):
    """A working day or holiday that overrides the published calendar."""

    __tablename__ = "calendar_day"

    day: Mapped[date] = mapped_column(primary_key=True)
    is_working: Mapped[bool]
    source: Mapped[str]
