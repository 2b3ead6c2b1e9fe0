"""Changes to a household for an officer to decide: proposed during a visit, or such as two people have to make."""

from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller
from server.core.database import Base
from server.models.columns import Id, Json, OptionalTime, Sha256, Time
from server.models.households import Household

PROPOSAL_STATES = ("proposed", "withdrawn", "accepted", "rejected")


class Proposal(Base):
    __tablename__ = "proposal"
    __table_args__ = (
        CheckConstraint(f"state IN {PROPOSAL_STATES}", name="state_is_known"),
        CheckConstraint("(state IN ('accepted', 'rejected')) = (decided_at IS NOT NULL)", name="decided_has_a_time"),
        CheckConstraint("guards IN ('bank', 'relatives')", name="guards_is_known"),
        CheckConstraint("guards IS NULL OR decided_by <> author_id", name="guarded_takes_two"),
        Index("ix_proposal_household", "household_id", "state"),
    )

    id: Mapped[Id]
    household_id: Mapped[UUID] = mapped_column(ForeignKey("household.id"))
    author_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), index=True)
    device_id: Mapped[UUID] = mapped_column(ForeignKey("device.id"))
    state: Mapped[str]
    # What two people have to agree on, proposed at the desk; null for a proposal of a phone.
    guards: Mapped[str | None]
    document: Mapped[Json]
    content_hash: Mapped[Sha256]
    received_at: Mapped[Time]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    decided_at: Mapped[OptionalTime]
    reason: Mapped[str | None]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        households: Any = select(Household.id).where(Household.in_scope(caller))
        return or_(cls.author_id == caller.id, cls.household_id.in_(households))
