"""What a household is paid, from which month on, and what its members say has changed at home (动态管理)."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, select, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller
from server.core.database import Base
from server.models.cases import CaseFile
from server.models.columns import AreaCode, Id, OptionalTime, Time

BENEFIT_KINDS = ("granted", "raised", "cut", "stopped")
STOP_GROUNDS = ("income", "property", "death", "moved", "own_wish", "not_reported", "other")
REPORT_KINDS = ("new_job", "job_lost", "birth", "death", "moved", "other")
REPORT_OUTCOMES = ("visit", "recalculation", "nothing")


class BenefitChange(Base):
    """One decision on what is paid from a month on. Never changed: a later one counts from its own month.

    Those of kind `stopped` are the register of stops (撤销登记).
    """

    __tablename__ = "benefit_change"
    __table_args__ = (
        CheckConstraint(f"kind IN {BENEFIT_KINDS}", name="kind_is_known"),
        CheckConstraint(f"ground IN {STOP_GROUNDS}", name="ground_is_known"),
        CheckConstraint("before_fen >= 0 AND amount_fen >= 0", name="amounts_are_not_negative"),
        CheckConstraint("date_part('day', month) = 1", name="month_is_a_first"),
        CheckConstraint("kind <> 'stopped' OR amount_fen = 0", name="stopped_is_nothing"),
        Index("ix_benefit_change_case", "case_id", "month"),
        Index("ix_benefit_change_decided", "kind", "decided_on", "id"),
        Index("ix_benefit_change_to_come", "month", postgresql_where=text("in_effect_at IS NULL")),
    )

    id: Mapped[Id]
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"))
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    area_code: Mapped[AreaCode]
    kind: Mapped[str]
    month: Mapped[date]
    # A month, before and from `month` on.
    before_fen: Mapped[int]
    amount_fen: Mapped[int]
    # Whom the money is for; of a stop, whom it was for.
    people: Mapped[int]
    ground: Mapped[str | None]
    reason: Mapped[str]
    # The household's class (A, B, C) as it stood.
    class_: Mapped[str | None] = mapped_column("class")
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    decided_on: Mapped[date]
    in_effect_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        cases: Any = select(CaseFile.id).where(CaseFile.in_scope(caller))
        return cls.case_id.in_(cases)


class ChangeReport(Base):
    """What a resident says has changed at home, and what an officer made of it."""

    __tablename__ = "change_report"
    __table_args__ = (
        CheckConstraint(f"kind IN {REPORT_KINDS}", name="kind_is_known"),
        CheckConstraint(f"outcome IN {REPORT_OUTCOMES}", name="outcome_is_known"),
        CheckConstraint(
            "(outcome IS NULL) = (decided_at IS NULL) AND (outcome IS NULL) = (reply IS NULL)",
            name="decided_has_a_reply",
        ),
        Index("ix_change_report_open", "reported_at", "id", postgresql_where=text("outcome IS NULL")),
    )

    id: Mapped[Id]
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"), index=True)
    resident_id: Mapped[UUID] = mapped_column(ForeignKey("resident.id"))
    kind: Mapped[str]
    text: Mapped[str]
    happened_on: Mapped[date | None]
    reported_at: Mapped[Time]
    # By when the law wants it handled; null where it names no day.
    due_on: Mapped[date | None]
    outcome: Mapped[str | None]
    reply: Mapped[str | None]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        cases: Any = select(CaseFile.id).where(CaseFile.in_scope(caller))
        return cls.case_id.in_(cases)
