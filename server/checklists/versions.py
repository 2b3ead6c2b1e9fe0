"""Find the version of a checklist that new visits use."""

from sqlalchemy import func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.models.checklists import ChecklistTemplate


async def find_newest_checklist(session: AsyncSession, area_code: str, kind: str) -> ChecklistTemplate | None:
    """Return the latest published checklist for a kind of visit, from the nearest area that has one."""
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
