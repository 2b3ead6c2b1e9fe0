"""Imports of files that an office brings: what was read line by line, who confirmed it, what became of it."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import Caller, Role, in_areas
from server.core.database import Base
from server.models.columns import AreaCode, Id, Json, JsonList, OptionalTime, Sha256, Time

IMPORT_KINDS = ("areas", "staff", "register", "assignments", "calendar", "aid", "groups")
# previewed → confirmed (being applied) → applied → undone. A newer file for the same batch replaces it.
IMPORT_STATES = ("previewed", "confirmed", "applied", "undone", "replaced")
LINE_OUTCOMES = ("new", "changed", "unchanged", "doubtful", "refused")
# Who may see imports of an area. Each kind names its own roles for making them.
IMPORT_ROLES = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER, Role.ADMIN})


class ImportBatch(Base):
    """A file and what was read from it. Nothing of it counts until it is confirmed."""

    __tablename__ = "import_batch"
    __table_args__ = (
        CheckConstraint(f"kind IN {IMPORT_KINDS}", name="kind_is_known"),
        CheckConstraint(f"state IN {IMPORT_STATES}", name="state_is_known"),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    area_code: Mapped[AreaCode]
    filename: Mapped[str]
    sha256: Mapped[Sha256]
    # Our column key → the heading in the file, where a person chose it; remembered for the next file.
    mapping: Mapped[Json]
    headings: Mapped[JsonList]
    # Faults of the file as a whole: a column that is missing.
    faults: Mapped[JsonList]
    state: Mapped[str]
    # It brings amounts or accounts: somebody else than the uploader confirms it.
    needs_second_person: Mapped[bool]
    uploaded_by: Mapped[UUID] = mapped_column(ForeignKey("staff.id"))
    uploaded_at: Mapped[Time]
    confirmed_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    confirmed_at: Mapped[OptionalTime]
    applied_at: Mapped[OptionalTime]
    undone_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    undone_at: Mapped[OptionalTime]
    undo_reason: Mapped[str | None]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        return in_areas(cls.area_code, caller, IMPORT_ROLES)


class ImportLine(Base):
    """A line of a file: what it would do, or why it can't be read."""

    __tablename__ = "import_line"
    __table_args__ = (
        CheckConstraint(f"outcome IN {LINE_OUTCOMES}", name="outcome_is_known"),
        Index("ix_import_line_outcome", "batch_id", "outcome", "position"),
    )

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("import_batch.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    sheet: Mapped[str]
    # Counts from 1, as Excel does.
    row: Mapped[int]
    title: Mapped[str]
    outcome: Mapped[str]
    # Cells that could not be read, or are doubtful: address, code, Chinese and English sentence.
    faults: Mapped[JsonList]
    plan_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    # The row that the line made or changed.
    thing_id: Mapped[str | None]
    # How it was before, for undo.
    before_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    is_chosen: Mapped[bool]
    applied_at: Mapped[OptionalTime]
