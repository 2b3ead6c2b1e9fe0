"""Raises of the standard (提标): what is proposed for an area, and what it means for each home that is paid."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, SmallInteger, literal, or_, select, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import DESK_ROLES, Caller, in_areas
from server.core.database import Base
from server.models.cases import PROGRAMMES, CaseFile
from server.models.columns import AreaCode, Id, OptionalTime, Time

# previewing (being calculated) → ready → applying → applied → undoing → undone, or declined before it was confirmed.
RAISE_STATES = ("previewing", "ready", "declined", "applying", "applied", "undoing", "undone")
OPEN_RAISE_STATES = ("previewing", "ready", "applying", "undoing")
# What keeps a home out of the raise until a person has looked. The last three are found after the preview.
RAISE_DOUBTS = (
    "programme_missing",
    "members_missing",
    "not_paid_yet",
    "stop_to_come",
    "decided_later",
    "proposal_open",
    "found_differs",
    "differs_before",
    "not_eligible",
    "lower",
    "changed_since",
    "decided_since",
    "granted_since",
)
RAISE_OUTCOMES = ("applied", "left", "undone", "kept")


class StandardRaise(Base):
    """A new standard of an area from a month on: one officer proposes it, another confirms; to be undone takes two."""

    __tablename__ = "standard_raise"
    __table_args__ = (
        CheckConstraint(f"state IN {RAISE_STATES}", name="state_is_known"),
        CheckConstraint("date_part('day', month) = 1", name="month_is_a_first"),
        CheckConstraint("urban_fen IS NOT NULL OR rural_fen IS NOT NULL", name="something_is_raised"),
        CheckConstraint("urban_fen > urban_before_fen AND rural_fen > rural_before_fen", name="raised_is_more"),
        CheckConstraint("document <> ''", name="document_is_named"),
        CheckConstraint("decided_by <> proposed_by", name="raise_takes_two"),
        CheckConstraint("undone_by <> undo_proposed_by", name="undo_takes_two"),
    )

    id: Mapped[Id]
    area_code: Mapped[AreaCode]
    month: Mapped[date]
    # A head and month; null: this programme's standard stays as it is. Before: what held in the area until then.
    urban_fen: Mapped[int | None]
    rural_fen: Mapped[int | None]
    urban_before_fen: Mapped[int | None]
    rural_before_fen: Mapped[int | None]
    document: Mapped[str]
    state: Mapped[str]
    proposed_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    proposed_at: Mapped[Time]
    # How far the preview is; null before its first step.
    reached_case_id: Mapped[UUID | None]
    # Homes of places below that have a standard of their own.
    elsewhere: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[OptionalTime]
    answer: Mapped[str] = mapped_column(default="", server_default=text("''"))
    applied_at: Mapped[OptionalTime]
    undo_proposed_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    undo_proposed_at: Mapped[OptionalTime]
    undo_reason: Mapped[str] = mapped_column(default="", server_default=text("''"))
    undone_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    undone_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """It holds in its area and below, so it concerns whoever works in, below or above it."""
        around: list[ColumnElement[bool]] = [
            literal(prefix).startswith(cls.area_code) for prefix in caller.prefixes(DESK_ROLES)
        ]
        return or_(in_areas(cls.area_code, caller, DESK_ROLES), *around)


class StandardRaiseLine(Base):
    """What a raise means for a home: paid before, by the new standard, and what became of it."""

    __tablename__ = "standard_raise_line"
    __table_args__ = (
        CheckConstraint(f"programme IN {PROGRAMMES}", name="programme_is_known"),
        CheckConstraint(f"doubt IN {RAISE_DOUBTS}", name="doubt_is_known"),
        CheckConstraint(f"outcome IN {RAISE_OUTCOMES}", name="outcome_is_known"),
        CheckConstraint("before_fen >= 0 AND after_fen >= 0", name="amounts_are_not_negative"),
        CheckConstraint("(doubt IS NULL) = (rank > 0)", name="doubts_are_on_top"),
        Index("ix_standard_raise_line_rank", "raise_id", "rank", "area_code", "case_id"),
    )

    raise_id: Mapped[UUID] = mapped_column(ForeignKey("standard_raise.id"), primary_key=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"), primary_key=True)
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    area_code: Mapped[AreaCode]
    programme: Mapped[str | None]
    people: Mapped[int]
    before_fen: Mapped[int]
    # Null where no amount can be calculated.
    after_fen: Mapped[int | None]
    doubt: Mapped[str | None]
    # 0: a person looks; 1: is paid more; 2: stays as it is.
    rank: Mapped[int] = mapped_column(SmallInteger)
    # Null: not applied, or nothing to apply.
    outcome: Mapped[str | None]
    change_id: Mapped[UUID | None] = mapped_column(ForeignKey("benefit_change.id"))

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        cases: Any = select(CaseFile.id).where(CaseFile.in_scope(caller))
        return cls.case_id.in_(cases)
