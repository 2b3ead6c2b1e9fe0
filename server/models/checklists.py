"""Published checklist versions. Immutable, because a draft on a phone is completed with its own version."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from server.core.database import Base
from server.models.columns import Id, Json, OptionalTime, WrittenAt
from server.models.households import VISIT_KINDS
from server.models.records import RECORD_KINDS


class ChecklistTemplate(Base):
    __tablename__ = "checklist_template"
    __table_args__ = (
        UniqueConstraint("code", "version"),
        CheckConstraint(f"kind IN {VISIT_KINDS + RECORD_KINDS}", name="kind_is_known"),
        CheckConstraint("version > 0", name="version_is_positive"),
    )

    id: Mapped[Id]
    code: Mapped[str]
    version: Mapped[int]
    kind: Mapped[str]
    # Empty: for the whole country.
    area_code: Mapped[str] = mapped_column(String(12), default="")
    body: Mapped[Json]
    published_at: Mapped[WrittenAt]
    published_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    retired_at: Mapped[OptionalTime]
