"""The numbers of the domain with their sources, as they hold in an area on a day."""

from datetime import date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from server.models.areas import AreaRule, CalendarDay

CHINA = ZoneInfo("Asia/Shanghai")


class Ruled(NamedTuple):
    value: Any
    source: str
    since: date


async def rules_with_sources(session: AsyncSession, area_code: str, on: date, prefix: str) -> dict[str, Ruled]:
    """Every rule whose key starts with `prefix`: the nearest area wins, then the latest date. One query."""
    rows = await session.execute(
        select(AreaRule.key, AreaRule.value, AreaRule.source, AreaRule.effective_from)
        .ext(distinct_on(AreaRule.key))
        .where(
            AreaRule.key.startswith(prefix, autoescape=True),
            literal(area_code).startswith(AreaRule.area_code),
            AreaRule.effective_from <= on,
        )
        .order_by(AreaRule.key, func.length(AreaRule.area_code).desc(), AreaRule.effective_from.desc())
    )
    return {key: Ruled(value, source, since) for key, value, source, since in rows}


async def load_overrides(session: AsyncSession) -> dict[date, bool]:
    """The office's own calendar: days that work or rest against the week."""
    return dict((await session.execute(select(CalendarDay.day, CalendarDay.is_working))).all())


def day_of(at: datetime) -> date:
    """The day in China: deadlines are counted there."""
    return at.astimezone(CHINA).date()
