"""Benefit payments by month, and changes of circumstances that residents report (动态管理)."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, select, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller
from server.core.database import Base
from server.models.cases import CaseFile
from server.models.columns import AreaCode, Id, OptionalTime, Time

# `taken_over`: granted before this system was there; never counted as new.
BENEFIT_KINDS = ("granted", "raised", "cut", "stopped", "taken_over")
# Steps of a case that move money: one officer proposes them, another decides.
PROPOSED_STEPS = ("amount_changed", "stopped", "came_back")
REPORT_KINDS = ("new_job", "job_lost", "birth", "death", "moved", "other")
REPORT_OUTCOMES = ("visit", "recalculation", "nothing")


class BenefitChange(Base):
    """A decision on the monthly payment from a month on. Immutable: a later decision applies from its own month.

    The rows of kind `stopped` are the record of terminations (撤销登记).
    """

    __tablename__ = "benefit_change"
    __table_args__ = (
        CheckConstraint(f"kind IN {BENEFIT_KINDS}", name="kind_is_known"),
        CheckConstraint("ground ~ '^[a-z][a-z0-9_.]*$'", name="ground_is_a_code"),
        CheckConstraint(
            "(ground IS NULL) = (ground_zh IS NULL) AND (ground IS NULL) = (ground_en IS NULL)", name="ground_has_names"
        ),
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
    # Per month: until `month`, and from `month` on.
    before_fen: Mapped[int]
    amount_fen: Mapped[int]
    # The number of people that the payment is for; for a termination, that it was for.
    people: Mapped[int]
    # A code of the area (setting `case.stop_grounds`), with its names as they were on the day.
    ground: Mapped[str | None]
    ground_zh: Mapped[str | None]
    ground_en: Mapped[str | None]
    reason: Mapped[str]
    # The household's class (A, B, C) at the time of the decision.
    class_: Mapped[str | None] = mapped_column("class")
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    decided_on: Mapped[date]
    in_effect_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        cases: Any = select(CaseFile.id).where(CaseFile.in_scope(caller))
        return cls.case_id.in_(cases)


class PaymentProposal(Base):
    """What one officer proposes about a payment, for another to decide. A case has one open proposal at most."""

    __tablename__ = "payment_proposal"
    __table_args__ = (
        CheckConstraint(f"step IN {PROPOSED_STEPS}", name="step_moves_money"),
        CheckConstraint("outcome IN ('decided', 'declined')", name="outcome_is_known"),
        CheckConstraint("reason <> ''", name="reason_is_written"),
        CheckConstraint("amount_fen >= 0", name="amount_is_not_negative"),
        CheckConstraint("outcome <> 'decided' OR decided_by <> proposed_by", name="payment_takes_two"),
        CheckConstraint(
            "(outcome IS NULL) = (decided_by IS NULL) AND (outcome IS NULL) = (decided_at IS NULL)",
            name="outcome_is_a_persons",
        ),
        Index("uq_payment_proposal_open", "case_id", unique=True, postgresql_where=text("outcome IS NULL")),
    )

    id: Mapped[Id]
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"))
    step: Mapped[str]
    reason: Mapped[str]
    ground: Mapped[str | None]
    # Any day of the first month without payment; null: the month after the decision.
    from_month: Mapped[date | None]
    # The calculation that a change or a return rests on; null for a stop.
    calculation_id: Mapped[UUID | None] = mapped_column(ForeignKey("calculation.id"))
    amount_fen: Mapped[int]
    proposed_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    proposed_at: Mapped[Time]
    outcome: Mapped[str | None]
    answer: Mapped[str] = mapped_column(default="", server_default=text("''"))
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        cases: Any = select(CaseFile.id).where(CaseFile.in_scope(caller))
        return cls.case_id.in_(cases)


class ChangeReport(Base):
    """A change of circumstances that a resident reported, and an officer's decision on it."""

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
    # The legal deadline for handling it; null where the law sets none.
    due_on: Mapped[date | None]
    outcome: Mapped[str | None]
    reply: Mapped[str | None]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        cases: Any = select(CaseFile.id).where(CaseFile.in_scope(caller))
        return cls.case_id.in_(cases)
