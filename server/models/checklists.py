"""Published checklist versions: immutable once written, since drafts on phones finish on theirs."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from server.core.database import Base
from server.models.columns import Id, Json, OptionalTime, WrittenAt
from server.models.households import VISIT_KINDS


class ChecklistTemplate(Base):
    __tablename__ = "checklist_template"
    __table_args__ = (
        UniqueConstraint("code", "version"),
        CheckConstraint(f"kind IN {VISIT_KINDS}", name="kind_is_known"),
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


async def newest_checklist(session: AsyncSession, area_code: str, kind: str) -> ChecklistTemplate | None:
    """What a visit of a kind is made on in an area: of the nearest area that has one the latest published."""
    newest: ChecklistTemplate | None = await session.scalar(
        select(ChecklistTemplate)
        .where(
            ChecklistTemplate.kind == kind,
            ChecklistTemplate.retired_at.is_(None),
            literal(area_code).startswith(ChecklistTemplate.area_code),
        )
        .order_by(
            func.length(ChecklistTemplate.area_code).desc(),
            ChecklistTemplate.published_at.desc(),
            ChecklistTemplate.version.desc(),
        )
        .limit(1)
    )
    return newest
