"""Work beside the home visits: tasks that go down to a phone, and records that come up from it.

One pair of tables for every kind of work. A kind is a checklist and a declaration (`server/records/declarations.py`).
"""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    and_,
    or_,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from server.core.access import DESK_ROLES, FIELD_ROLES, Caller, in_areas
from server.core.database import Base
from server.models.columns import AreaCode, Id, Json, OptionalTime, Sha256, Time, WrittenAt

RECORD_KINDS = ("publicity", "meeting", "posting", "handout", "application")
RECORD_STATES = ("draft", "discarded", "submitted", "amended")
TASK_STATES = ("open", "done", "cancelled")


class Task(Base):
    """Work that the desk gives to the field staff of an area, or to one of them."""

    __tablename__ = "task"
    __table_args__ = (
        CheckConstraint(f"kind IN {RECORD_KINDS}", name="kind_is_known"),
        CheckConstraint(f"state IN {TASK_STATES}", name="state_is_known"),
        CheckConstraint("(subject_kind IS NULL) = (subject_id IS NULL)", name="subject_is_whole"),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed_has_a_time"),
        Index("ix_task_subject", "subject_kind", "subject_id", postgresql_where=text("subject_id IS NOT NULL")),
        Index("ix_task_open", "due_on", "id", postgresql_where=text("state = 'open'")),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    area_code: Mapped[AreaCode]
    # What it is about besides the village: a posting, a household. Open, so that other rooms join without a migration.
    subject_kind: Mapped[str | None]
    subject_id: Mapped[UUID | None]
    # Null: whoever works in the area.
    assignee_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"), index=True)
    due_on: Mapped[date]
    note: Mapped[str] = mapped_column(default="", server_default=text("''"))
    state: Mapped[str] = mapped_column(default="open", server_default=text("'open'"))
    made_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    made_at: Mapped[WrittenAt]
    closed_at: Mapped[OptionalTime]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        everybodys = and_(cls.assignee_id.is_(None), in_areas(cls.area_code, caller, FIELD_ROLES))
        return or_(cls.assignee_id == caller.id, everybodys, in_areas(cls.area_code, caller, DESK_ROLES))


class Record(Base):
    """What was done, as the phone submitted it. `document` is the complete document; columns are what queries need."""

    __tablename__ = "record"
    __table_args__ = (
        CheckConstraint(f"kind IN {RECORD_KINDS}", name="kind_is_known"),
        CheckConstraint(f"state IN {RECORD_STATES}", name="state_is_known"),
        CheckConstraint("(subject_kind IS NULL) = (subject_id IS NULL)", name="subject_is_whole"),
        CheckConstraint("state IN ('draft', 'discarded') OR receipt IS NOT NULL", name="submitted_has_a_receipt"),
        ForeignKeyConstraint(
            ["checklist_code", "checklist_version"],
            ["checklist_template.code", "checklist_template.version"],
        ),
        Index("ix_record_area_prefix", "area_code", postgresql_ops={"area_code": "text_pattern_ops"}),
        Index("ix_record_kind_start", "kind", "area_code", "started_at"),
        Index("ix_record_subject", "subject_kind", "subject_id", postgresql_where=text("subject_id IS NOT NULL")),
    )

    id: Mapped[Id]
    kind: Mapped[str]
    # No foreign key: a phone may have drawn the record from a task that was withdrawn meanwhile.
    task_id: Mapped[UUID | None] = mapped_column(index=True)
    area_code: Mapped[AreaCode]
    subject_kind: Mapped[str | None]
    subject_id: Mapped[UUID | None]
    checklist_code: Mapped[str]
    checklist_version: Mapped[int]
    author_id: Mapped[UUID] = mapped_column(ForeignKey("staff.id"), index=True)
    device_id: Mapped[UUID] = mapped_column(ForeignKey("device.id"))
    state: Mapped[str]
    # Within the bounds of what is believed of a phone's clock; the document keeps what the phone said.
    started_at: Mapped[Time]
    document: Mapped[Json]
    content_hash: Mapped[Sha256]
    received_at: Mapped[Time]
    submitted_at: Mapped[OptionalTime]
    receipt: Mapped[str | None]
    # Starts at 1, and each amendment increments it; earlier versions are in RecordVersion.
    version: Mapped[int] = mapped_column(default=1, server_default=text("1"))
    updated_at: Mapped[WrittenAt]

    @classmethod
    def in_scope(cls, caller: Caller) -> ColumnElement[bool]:
        """Desk: submitted records by area. Field staff: their own, also drafts."""
        is_submitted: Any = cls.state.not_in(["draft", "discarded"])
        return or_(cls.author_id == caller.id, in_areas(cls.area_code, caller, DESK_ROLES) & is_submitted)


class RecordVersion(Base):
    """A record before an amendment. Immutable, and never sent to a phone."""

    __tablename__ = "record_version"

    record_id: Mapped[UUID] = mapped_column(ForeignKey("record.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[Json]
    content_hash: Mapped[Sha256]
    receipt: Mapped[str]
    device_id: Mapped[UUID] = mapped_column(ForeignKey("device.id"))
    submitted_at: Mapped[Time]
    superseded_at: Mapped[Time]
