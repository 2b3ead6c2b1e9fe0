"""Households that may be the same, what a person judged of them, and merges of two households."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.database import Base
from server.models.columns import Id, Json, JsonList, OptionalTime, Time

MERGE_STATES = ("proposed", "merged", "rejected", "undone")


class DuplicatePair(Base):
    """Two households with a person, a phone or an account in common. A search rewrites score and reasons, a person
    the verdict.
    """

    __tablename__ = "duplicate_pair"
    __table_args__ = (
        UniqueConstraint("first_id", "second_id"),
        CheckConstraint("first_id < second_id", name="each_pair_once"),
        CheckConstraint("verdict IN ('same', 'different')", name="verdict_is_known"),
        CheckConstraint(
            "(verdict IS NULL) = (judged_by IS NULL) AND (verdict IS NULL) = (judged_at IS NULL)",
            name="verdict_is_a_persons",
        ),
        Index("ix_duplicate_pair_score", "score", "id"),
        Index("ix_duplicate_pair_second", "second_id"),
    )

    id: Mapped[Id]
    first_id: Mapped[UUID] = mapped_column(ForeignKey("household.id", ondelete="CASCADE"))
    second_id: Mapped[UUID] = mapped_column(ForeignKey("household.id", ondelete="CASCADE"))
    score: Mapped[int] = mapped_column(SmallInteger)
    # Code, the ids of the two members or null, and how many homes share it.
    reasons: Mapped[JsonList]
    found_at: Mapped[Time]
    # False: the last search no longer found it; a verdict keeps the row.
    is_current: Mapped[bool]
    verdict: Mapped[str | None]
    judged_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    judged_at: Mapped[OptionalTime]
    note: Mapped[str | None]


class HouseholdMerge(Base):
    """One household goes into another: proposed by one person, confirmed by a second, undone until somebody acts."""

    __tablename__ = "household_merge"
    __table_args__ = (
        CheckConstraint(f"state IN {MERGE_STATES}", name="state_is_known"),
        CheckConstraint("kept_id <> merged_id", name="takes_two_homes"),
        CheckConstraint("reason <> ''", name="reason_is_written"),
        CheckConstraint("decided_by <> proposed_by", name="takes_two_people"),
        CheckConstraint(
            "(state = 'proposed') = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)",
            name="decided_has_a_decider",
        ),
        CheckConstraint("(state = 'undone') = (undone_by IS NOT NULL)", name="undone_by_a_person"),
        Index("ix_household_merge_kept", "kept_id"),
        Index("uq_household_merge_waiting", "merged_id", unique=True, postgresql_where=text("state = 'proposed'")),
    )

    id: Mapped[Id]
    kept_id: Mapped[UUID] = mapped_column(ForeignKey("household.id", ondelete="CASCADE"))
    merged_id: Mapped[UUID] = mapped_column(ForeignKey("household.id", ondelete="CASCADE"))
    state: Mapped[str]
    reason: Mapped[str]
    proposed_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    proposed_at: Mapped[Time]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[OptionalTime]
    answer: Mapped[str | None]
    undone_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    undone_at: Mapped[OptionalTime]
    undo_reason: Mapped[str | None]
    # Which rows moved, by table, and how both households were.
    moved: Mapped[Json]
    # The hash of what hung on the kept household right after: another one means that somebody acted on it.
    digest: Mapped[bytes | None] = mapped_column(LargeBinary)
