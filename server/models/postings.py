"""Postings (公示): who is proposed, shown for some days in the village and under a link nobody can guess."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import DESK_ROLES, Caller, Role, in_areas
from server.core.database import Base
from server.models.columns import AreaCode, Id, OptionalTime, Sha256, Time, WrittenAt


class Posting(Base):
    """One list of one village and round. `draft` until enough places are proven, then `open`, then `ended`."""

    __tablename__ = "posting"
    __table_args__ = (
        CheckConstraint("state IN ('draft', 'open', 'ended')", name="state_is_known"),
        CheckConstraint("(state = 'draft') = (starts_on IS NULL)", name="open_has_dates"),
        Index("ix_posting_ending", "ends_on", postgresql_where=text("state = 'open'")),
    )

    id: Mapped[Id]
    area_code: Mapped[AreaCode]
    round: Mapped[int]
    # 256 random bits: the public address, and the only way to it.
    key: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str] = mapped_column(default="draft")
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    made_at: Mapped[WrittenAt]
    starts_on: Mapped[date | None]
    # The last day it hangs.
    ends_on: Mapped[date | None]
    ends_certain: Mapped[bool] = mapped_column(default=True)
    ended_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return in_areas(cls.area_code, caller, DESK_ROLES | {Role.CASEWORKER})


class PostingEntry(Base):
    """One line of a posting, as it was shown: the law allows name, number of members and amount, and no more."""

    __tablename__ = "posting_entry"
    __table_args__ = (UniqueConstraint("posting_id", "position"),)

    id: Mapped[Id]
    posting_id: Mapped[UUID] = mapped_column(ForeignKey("posting.id"))
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"), index=True)
    position: Mapped[int]
    name: Mapped[str]
    members: Mapped[int]
    amount_fen: Mapped[int]
    # An objection was upheld, or the town has opined anew: the line is taken down at once.
    removed_at: Mapped[OptionalTime]


class PostingPlace(Base):
    """Where it hangs, proven by a photo and a fix."""

    __tablename__ = "posting_place"
    __table_args__ = (
        UniqueConstraint("posting_id", "sha256"),
        CheckConstraint("datum IN ('wgs84', 'gcj02', 'bd09')", name="datum_is_known"),
    )

    id: Mapped[Id]
    posting_id: Mapped[UUID] = mapped_column(ForeignKey("posting.id"))
    name: Mapped[str]
    latitude: Mapped[float]
    longitude: Mapped[float]
    datum: Mapped[str]
    accuracy_m: Mapped[float | None]
    captured_at: Mapped[Time]
    sha256: Mapped[Sha256]
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    added_at: Mapped[WrittenAt]
    erased_at: Mapped[OptionalTime]


class Disclosure(Base):
    """The standing list (长期公示) of who receives in a village: only its address is kept, the list is what holds now.

    A new address ends the one before, whoever had it.
    """

    __tablename__ = "disclosure"
    __table_args__ = (
        Index("uq_disclosure_one_address", "area_code", unique=True, postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[Id]
    area_code: Mapped[AreaCode]
    # 256 random bits, as for a posting.
    key: Mapped[str] = mapped_column(unique=True)
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    made_at: Mapped[WrittenAt]
    ended_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return in_areas(cls.area_code, caller, DESK_ROLES | {Role.CASEWORKER})


class Objection(Base):
    """What somebody says against a line, and the answer they are owed. The contact is theirs to give."""

    __tablename__ = "objection"
    __table_args__ = (
        CheckConstraint("outcome IN ('dismissed', 'upheld')", name="outcome_is_known"),
        CheckConstraint("(outcome IS NULL) = (answered_at IS NULL)", name="answered_has_an_outcome"),
    )

    id: Mapped[Id]
    number: Mapped[str] = mapped_column(unique=True)
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("posting_entry.id"), index=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"), index=True)
    made_at: Mapped[Time]
    text: Mapped[str]
    contact_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    # The code by which its author reads the answer is kept hashed.
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    answered_at: Mapped[OptionalTime]
    answered_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    outcome: Mapped[str | None]
    answer: Mapped[str | None]
