"""Which policy settings hold in an area on a day, and the office's own calendar."""

from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from server.models.areas import CalendarDay, PolicySetting

# The country's settings begin here: a visit of an earlier day, as an import may bring, is judged by these. No amount is
# calculated so: `load_policy_values_with_sources` knows no standard of a month before.
FIRST_EFFECTIVE = date(2020, 1, 1)


async def load_overrides(session: AsyncSession) -> dict[date, bool]:
    """Return the days on which the office works or rests against the weekly calendar."""
    return dict((await session.execute(select(CalendarDay.day, CalendarDay.is_working))).all())


async def load_policy_values(
    session: AsyncSession, area_code: str, on: date, keys: list[str] | None = None
) -> dict[str, Any]:
    """Return the value of each setting that holds in an area on a day, or on the first of all. One query."""
    day = max(on, FIRST_EFFECTIVE)
    rows = select_effective(area_code, day).with_only_columns(PolicySetting.key, PolicySetting.value)
    if keys is not None:
        rows = rows.where(PolicySetting.key.in_(keys))
    return dict((await session.execute(rows)).all())


class SourcedValue(NamedTuple):
    """The value of a setting and the document behind it."""

    value: Any
    source: str


async def load_policy_values_with_sources(
    session: AsyncSession, area_code: str, on: date, prefix: str
) -> dict[str, SourcedValue]:
    """Return the settings whose key starts with `prefix` as they hold in an area on a day. One query."""
    rows = (
        select_effective(area_code, on)
        .with_only_columns(PolicySetting.key, PolicySetting.value, PolicySetting.source)
        .where(PolicySetting.key.startswith(prefix, autoescape=True))
    )
    return {key: SourcedValue(value, source) for key, value, source in await session.execute(rows)}


def select_effective(area_code: str, on: date) -> Select[PolicySetting]:
    """Select the row of each setting that holds in an area on a day: the nearest area wins, then the latest date."""
    return (
        select(PolicySetting)
        .ext(distinct_on(PolicySetting.key))
        .where(applies_in(area_code), PolicySetting.effective_from <= on)
        .order_by(PolicySetting.key, func.length(PolicySetting.area_code).desc(), PolicySetting.effective_from.desc())
    )


def applies_in(area_code: str) -> ColumnElement[bool]:
    """Match the rows of an area and of all areas around it; the whole country has the empty code."""
    return literal(area_code).startswith(PolicySetting.area_code)
