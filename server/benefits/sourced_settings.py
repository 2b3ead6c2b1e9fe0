"""The numbers of the domain with their sources, as they hold in an area on a day."""

from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from server.models.areas import AreaRule


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
