"""Which policy setting holds in an area on a day, and the office's own calendar."""

from datetime import date
from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from server.models.areas import AreaRule, CalendarDay


async def load_overrides(session: AsyncSession) -> dict[date, bool]:
    """The office's own calendar: days that work or rest against the week."""
    return dict((await session.execute(select(CalendarDay.day, CalendarDay.is_working))).all())


async def policy_values(
    session: AsyncSession, area_code: str, on: date, keys: list[str] | None = None
) -> dict[str, Any]:
    """What each rule says in an area on a day: the nearest area wins, then the latest date. One query."""
    rows = (
        select(AreaRule.key, AreaRule.value)
        .ext(distinct_on(AreaRule.key))
        .where(literal(area_code).startswith(AreaRule.area_code), AreaRule.effective_from <= on)
        .order_by(AreaRule.key, func.length(AreaRule.area_code).desc(), AreaRule.effective_from.desc())
    )
    if keys is not None:
        rows = rows.where(AreaRule.key.in_(keys))
    return dict((await session.execute(rows)).all())
