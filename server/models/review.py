"""Review: what awaits a person, the doubts about it, and what was decided."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, and_, select, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import REVIEW_ROLES, Caller, in_areas
from server.core.database import Base
from server.models.columns import AreaCode, Id, Json, JsonList, OptionalTime, Time, WrittenAt
from server.models.visits import Visit, VisitInvestigator

SEVERITIES = ("info", "notice", "warning", "critical")
OUTCOMES = ("accepted", "returned", "spot_check", "escalated")


class ReviewItem(Base):
    """A complete visit in the queue. `waiting` and past its lease, or `claimed`, or `decided`."""

    __tablename__ = "review_item"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'claimed', 'decided')", name="state_is_known"),
        CheckConstraint(
            "(state = 'claimed') = (holder_id IS NOT NULL AND lease_until IS NOT NULL)",
            name="claimed_has_a_holder",
        ),
        Index(
            "ix_review_item_queue",
            text("priority DESC"),
            "entered_at",
            "visit_id",
            postgresql_where=text("state <> 'decided'"),
        ),
    )

    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"), primary_key=True)
    area_code: Mapped[AreaCode]
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(default="waiting")
    priority: Mapped[int]
    entered_at: Mapped[Time]
    holder_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    lease_until: Mapped[OptionalTime]
    version: Mapped[int] = mapped_column(default=1)

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """By area, and never a visit the caller took part in."""
        own: Any = select(VisitInvestigator.visit_id).where(VisitInvestigator.staff_id == caller.id)
        return and_(in_areas(cls.area_code, caller, REVIEW_ROLES), cls.visit_id.not_in(own))


class Finding(Base):
    """A doubt for a person to judge: a code, the facts behind it, and what became of it."""

    __tablename__ = "finding"
    __table_args__ = (
        CheckConstraint(f"severity IN {SEVERITIES}", name="severity_is_known"),
        CheckConstraint("settled_as IN ('upheld', 'dismissed')", name="settled_is_known"),
    )

    id: Mapped[Id]
    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"), index=True)
    evidence_id: Mapped[UUID | None] = mapped_column(ForeignKey("evidence.id"))
    code: Mapped[str]
    severity: Mapped[str]
    facts: Mapped[Json]
    found_at: Mapped[WrittenAt]
    # No longer so after a re-run; the row stays as history.
    superseded_at: Mapped[OptionalTime]
    settled_as: Mapped[str | None]
    settled_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))


class Decision(Base):
    __tablename__ = "decision"
    __table_args__ = (
        CheckConstraint(f"outcome IN {OUTCOMES}", name="outcome_is_known"),
        Index(
            "uq_decision_stands_once",
            "visit_id",
            unique=True,
            postgresql_where=text("undone_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    visit_id: Mapped[UUID] = mapped_column(ForeignKey("visit.id"))
    reviewer_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    outcome: Mapped[str]
    reason: Mapped[str]
    # The client's key of this act: the same key and content is answered as the first time.
    idempotency_key: Mapped[str | None] = mapped_column(unique=True)
    # For a return: which questions and photos, and why each.
    questioned: Mapped[JsonList]
    decided_at: Mapped[Time]
    undone_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        visits: Any = select(Visit.id).where(Visit.in_scope(caller))
        return cls.visit_id.in_(visits)
