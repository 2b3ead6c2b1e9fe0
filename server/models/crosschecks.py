"""Cross-checks (核对): what other offices were asked about whom, and what they answered."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller, Role, in_areas
from server.core.database import Base
from server.models.columns import AreaCode, Id, JsonList, OptionalJson, OptionalTime, Time

SOURCES = ("public_security", "housing", "social_security", "tax", "market", "provident_fund", "finance")
CHECKERS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})


class CrossCheckBatch(Base):
    """One file out to one office, and the file that came back (known by its hash: it is read once)."""

    __tablename__ = "cross_check_batch"
    __table_args__ = (CheckConstraint(f"source IN {SOURCES}", name="source_is_known"),)

    id: Mapped[Id]
    source: Mapped[str]
    area_code: Mapped[AreaCode]
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    made_at: Mapped[Time]
    answered_at: Mapped[OptionalTime]
    answered_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    answer_sha256: Mapped[str | None]
    # Rows of the answer that fit nobody asked about: how many, never who.
    strangers: Mapped[int] = mapped_column(default=0)

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return in_areas(cls.area_code, caller, CHECKERS)


class CrossCheck(Base):
    """One person asked about. `differences` are what a person must look at; nothing is corrected by itself."""

    __tablename__ = "cross_check"
    __table_args__ = (UniqueConstraint("batch_id", "position"),)

    id: Mapped[Id]
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("cross_check_batch.id"))
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"), index=True)
    # No foreign key: who has left the household was still asked about.
    member_id: Mapped[UUID]
    position: Mapped[int]
    answer: Mapped[OptionalJson]
    differences: Mapped[JsonList] = mapped_column(default=list)
    # What the household says to a difference.
    objection: Mapped[str | None]
    objected_on: Mapped[date | None]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        batches: Any = select(CrossCheckBatch.id).where(CrossCheckBatch.in_scope(caller))
        return cls.batch_id.in_(batches)
