"""What accepted visits found against what the register says, and why a decision differs from it."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ColumnElement, ForeignKey, Index, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller
from server.core.database import Base
from server.models.columns import AreaCode, Id, JsonList, OptionalTime, Time
from server.models.households import Household

# `superseded`: a later visit found another figure; `withdrawn`: its visit is no longer accepted.
FIGURE_STATES = ("current", "superseded", "withdrawn")
INCOME_FIGURES = ("wage", "business", "property", "transfer", "cost", "work_cost")
PROPERTY_FIGURES = {"home": "home", "vehicle": "vehicle", "deposit": "deposit", "business_count": "business"}
MEMBER_FIGURES = ("health", "labour_ability")
FIGURES = (*INCOME_FIGURES, *PROPERTY_FIGURES, *MEMBER_FIGURES, "recommendation")
DIFFERING_STEPS = ("opinion_grant", "confirmed", "amount_changed", "came_back")


class FoundFigure(Base):
    """A figure that an accepted visit found, for a person to adopt or decline. The register changes only by that.

    Of a case, a figure and a member only the line of the newest accepted visit is current.
    """

    __tablename__ = "found_figure"
    __table_args__ = (
        CheckConstraint(f"figure IN {FIGURES}", name="figure_is_known"),
        CheckConstraint(f"state IN {FIGURE_STATES}", name="state_is_known"),
        CheckConstraint("(amount IS NULL) <> (value IS NULL)", name="an_amount_or_a_value"),
        CheckConstraint("months > 0", name="months_are_positive"),
        CheckConstraint("verdict IN ('adopted', 'declined')", name="verdict_is_known"),
        CheckConstraint("verdict <> 'declined' OR reason <> ''", name="declined_has_a_reason"),
        CheckConstraint(
            "(verdict IS NULL) = (decided_by IS NULL) AND (verdict IS NULL) = (decided_at IS NULL)",
            name="verdict_is_a_persons",
        ),
        Index(
            "uq_found_figure_current",
            "case_id",
            "figure",
            "member_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("state = 'current'"),
        ),
        Index(
            "ix_found_figure_recommended",
            "drafted_at",
            "id",
            postgresql_where=text("state = 'current' AND verdict IS NULL AND figure = 'recommendation'"),
        ),
    )

    id: Mapped[Id]
    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"), index=True)
    visit_version: Mapped[int]
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"))
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"), index=True)
    area_code: Mapped[AreaCode]
    figure: Mapped[str]
    # No foreign key: the line stays when a member leaves. Null: of the household.
    member_id: Mapped[UUID | None]
    # Where the answer stands: a question, or `table.column`; several joined by a comma where they add up.
    question_id: Mapped[str]
    # Fen over `months` months; fen of a deposit, a count of anything else without months.
    amount: Mapped[int | None] = mapped_column(BigInteger)
    months: Mapped[int | None]
    # A code: health, ability to work, recommendation.
    value: Mapped[str | None]
    # What the household declared at the visit, over the same months.
    declared: Mapped[int | None] = mapped_column(BigInteger)
    drafted_at: Mapped[Time]
    state: Mapped[str] = mapped_column(default="current")
    # Null: nobody has adopted or declined it yet.
    verdict: Mapped[str | None]
    reason: Mapped[str] = mapped_column(default="", server_default=text("''"))
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[OptionalTime]
    # The register's rows that adopting it replaced, to put back when the visit is no longer accepted.
    replaced: Mapped[JsonList] = mapped_column(default=list, server_default=text("'[]'"))

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        households: Any = select(Household.id).where(Household.in_scope(caller))
        return cls.household_id.in_(households)


class DifferenceReason(Base):
    """Why a step stands although an accepted visit found otherwise: written by one person, approved by another.

    It holds for the calculation and the lines that it was written about, and for no others.
    """

    __tablename__ = "difference_reason"
    __table_args__ = (
        CheckConstraint(f"step IN {DIFFERING_STEPS}", name="step_may_differ"),
        CheckConstraint("reason <> ''", name="reason_is_written"),
        CheckConstraint("approved_by <> written_by", name="approved_by_another_person"),
        CheckConstraint("(approved_by IS NULL) = (approved_at IS NULL)", name="approved_has_a_time"),
        UniqueConstraint("case_id", "step", "calculation_id", "figures_hash"),
    )

    id: Mapped[Id]
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"))
    step: Mapped[str]
    calculation_id: Mapped[UUID] = mapped_column(ForeignKey("calculation.id"))
    figures_hash: Mapped[str]
    # A head and month.
    difference_fen: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str]
    written_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    written_at: Mapped[Time]
    approved_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    approved_at: Mapped[OptionalTime]
