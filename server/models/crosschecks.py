"""Cross-checks (核对): requests to other offices about household members, and their answers."""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller, Role, in_areas
from server.core.database import Base
from server.models.columns import AreaCode, Id, JsonList, OptionalJson, OptionalTime, Time

SOURCES = (
    "public_security",
    "housing",
    "social_security",
    "tax",
    "market",
    "provident_fund",
    "finance",
    "public_service",
    "deaths",
)
# What a person did about a difference found of a household that is paid.
SETTLEMENTS = ("visit", "acted", "explained")
CHECKERS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})


class CrossCheckBatch(Base):
    """A request file to one office, and its answer file (by its hash), which may be replaced until it is acted on."""

    __tablename__ = "cross_check_batch"
    __table_args__ = (
        CheckConstraint(f"source IN {SOURCES}", name="source_is_known"),
        CheckConstraint("NOT of_those_paid OR due_on IS NOT NULL", name="of_those_paid_is_due"),
    )

    id: Mapped[Id]
    source: Mapped[str]
    area_code: Mapped[AreaCode]
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    made_at: Mapped[Time]
    # About households that are paid, not about applications; the day by which the office should answer.
    of_those_paid: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    due_on: Mapped[date | None]
    answered_at: Mapped[OptionalTime]
    answered_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    answer_sha256: Mapped[str | None]
    # The number of rows in the answer about people who were not in the request; their data is not stored.
    strangers: Mapped[int] = mapped_column(default=0)

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return in_areas(cls.area_code, caller, CHECKERS)


class CrossCheck(Base):
    """A person in a request. Staff must check the `differences`; nothing is corrected automatically."""

    __tablename__ = "cross_check"
    __table_args__ = (
        UniqueConstraint("batch_id", "position"),
        CheckConstraint(f"settlement IN {SETTLEMENTS}", name="settlement_is_known"),
        CheckConstraint(
            "(settlement IS NULL) = (settled_by IS NULL) AND (settlement IS NULL) = (settled_at IS NULL)",
            name="settlement_is_a_persons",
        ),
        CheckConstraint("settlement IS NULL OR settled_note <> ''", name="settled_has_a_note"),
        Index(
            "ix_cross_check_to_settle",
            "due_on",
            "id",
            postgresql_where=text("due_on IS NOT NULL AND settlement IS NULL"),
        ),
    )

    id: Mapped[Id]
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("cross_check_batch.id"))
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"), index=True)
    # No foreign key: the row of a member who has left remains.
    member_id: Mapped[UUID]
    position: Mapped[int]
    answer: Mapped[OptionalJson]
    differences: Mapped[JsonList] = mapped_column(default=list)
    # The household's objection to a difference.
    objection: Mapped[str | None]
    objected_on: Mapped[date | None]
    # Of a household that is paid: the day by which somebody looks into the differences; null without any.
    due_on: Mapped[date | None]
    settlement: Mapped[str | None]
    settled_note: Mapped[str] = mapped_column(default="", server_default=text("''"))
    settled_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    settled_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        batches: Any = select(CrossCheckBatch.id).where(CrossCheckBatch.in_scope(caller))
        return cls.batch_id.in_(batches)
