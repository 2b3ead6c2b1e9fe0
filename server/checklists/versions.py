from sqlalchemy import func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.models.checklists import ChecklistTemplate


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
