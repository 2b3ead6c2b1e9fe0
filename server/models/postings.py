"""Postings (公示): lists of proposed households, displayed for some days in the village and under a secret link."""

from datetime import date
from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import DESK_ROLES, Caller, Role, in_areas
from server.core.database import Base
from server.models.columns import AreaCode, Id, OptionalTime, Sha256, Time, WrittenAt


class Posting(Base):
    """The list of one village and round: `draft` until enough places are proven, then `open`, then `ended`."""

    __tablename__ = "posting"
    __table_args__ = (
        CheckConstraint("state IN ('draft', 'open', 'ended')", name="state_is_known"),
        CheckConstraint("(state = 'draft') = (starts_on IS NULL)", name="open_has_dates"),
        Index("ix_posting_ending", "ends_on", postgresql_where=text("state = 'open'")),
    )

    id: Mapped[Id]
    area_code: Mapped[AreaCode]
    round: Mapped[int]
    # 256 random bits: the public URL, and the only access to the list.
    key: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str] = mapped_column(default="draft")
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    made_at: Mapped[WrittenAt]
    starts_on: Mapped[date | None]
    # The last day of the posting.
    ends_on: Mapped[date | None]
    ends_certain: Mapped[bool] = mapped_column(default=True)
    ended_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return in_areas(cls.area_code, caller, DESK_ROLES | {Role.CASEWORKER})


class PostingEntry(Base):
    """A line of a posting as displayed: the law allows only name, number of members and amount."""

    __tablename__ = "posting_entry"
    __table_args__ = (UniqueConstraint("posting_id", "position"),)

    id: Mapped[Id]
    posting_id: Mapped[UUID] = mapped_column(ForeignKey("posting.id"))
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"), index=True)
    position: Mapped[int]
    name: Mapped[str]
    members: Mapped[int]
    amount_fen: Mapped[int]
    # An objection was upheld or the town changed its opinion, and the line was removed at once.
    removed_at: Mapped[OptionalTime]


class PostingPlace(Base):
    """A place where the list is posted, proven by a photo and a position."""

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
    # The record of the field that brought it; null: added with a photo by itself.
    record_id: Mapped[UUID | None] = mapped_column(ForeignKey("record.id"))
    taken_down_at: Mapped[OptionalTime]


class Disclosure(Base):
    """The permanent list (长期公示) of a village's recipients. Only its URL is stored; each view computes the list.

    A new URL ends the previous one.
    """

    __tablename__ = "disclosure"
    __table_args__ = (
        Index("uq_disclosure_one_address", "area_code", unique=True, postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[Id]
    area_code: Mapped[AreaCode]
    # 256 random bits, as in a posting.
    key: Mapped[str] = mapped_column(unique=True)
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    made_at: Mapped[WrittenAt]
    ended_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return in_areas(cls.area_code, caller, DESK_ROLES | {Role.CASEWORKER})


class Objection(Base):
    """An objection to a line of a posting, and the answer. The contact is optional.

    The text is sealed like the contact, because a text often identifies its writer. `text` holds those from before,
    until the job has sealed them.
    """

    __tablename__ = "objection"
    __table_args__ = (
        CheckConstraint("outcome IN ('dismissed', 'upheld')", name="outcome_is_known"),
        CheckConstraint("(outcome IS NULL) = (answered_at IS NULL)", name="answered_has_an_outcome"),
        Index("ix_objection_bare_number", text("replace(number, '-', '')")),
        CheckConstraint("num_nonnulls(text, text_sealed) = 1", name="one_text"),
    )

    id: Mapped[Id]
    number: Mapped[str] = mapped_column(unique=True)
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("posting_entry.id"), index=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("case_file.id"), index=True)
    made_at: Mapped[Time]
    text: Mapped[str | None]
    text_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    contact_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    # The hash of the code with which the author reads the answer.
    code_hash: Mapped[bytes] = mapped_column(LargeBinary)
    answered_at: Mapped[OptionalTime]
    answered_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    outcome: Mapped[str | None]
    answer: Mapped[str | None]
