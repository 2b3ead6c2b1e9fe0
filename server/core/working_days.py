"""Deadlines in calendar days (天) and working days (工作日), which the law distinguishes. Dates are China's.

China moves working days by decree, one year at a time. Published years come from `chinesecalendar`, other days from
a table that an administrator edits; without either a deadline is an estimate (`certain=False`).
"""

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple

import chinese_calendar
import msgspec

from server.core.clock import CHINA

Unit = Literal["days", "working_days"]
Overrides = Mapping[date, bool]
_SATURDAY = 5
_DAY = timedelta(days=1)
_FARTHEST = timedelta(days=800)


class Deadline(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """The last day of a period that starts the day after `start`.

    `certain` is false when any day of the period is in neither the published calendar nor the table.
    """

    on: date
    certain: bool
    start: date
    count: int
    unit: Unit


class Length(NamedTuple):
    """The length of a period, as a policy setting gives it."""

    units: int
    unit: Unit


class WorkingDay(NamedTuple):
    working: bool
    certain: bool


class WorkingDays(NamedTuple):
    total: int
    certain: bool


def day_of(at: datetime) -> date:
    """Return the date in China at a time; deadlines are counted in China's dates."""
    return at.astimezone(CHINA).date()


def length_of(rules: Mapping[str, Any], key: str) -> Length:
    """Read a period from a policy setting: a number in the unit of the key's suffix, or an object with a unit.

    Some offices count the posting period in working days, so the setting may name the unit itself.
    """
    value = rules[key]
    if isinstance(value, dict):
        return Length(value["count"], value["unit"])
    return Length(value, "working_days" if key.endswith("_working_days") else "days")


def end_of(start: date, length: Length, overrides: Overrides) -> Deadline:
    """Return the last day of a period that starts the day after `start`."""
    if length.unit == "days":
        return add_days(start, length.units)
    return add_working_days(start, length.units, overrides)


def add_working_days(
    start: date,
    count: int,
    overrides: Overrides | None = None,
    *,
    decided_years: Collection[int] = (),
) -> Deadline:
    """Return the working day on which a period of `count` 工作日 ends. The day of the event is not counted.

    Zero days end on `start`, even on a holiday. `overrides` maps a date to whether it is a working day;
    `decided_years` are years whose table is complete, so that days missing from it are certain too.
    """
    _refuse_negative(count)
    on, remaining, certain = start, count, True
    while remaining:
        on += _DAY
        day = working_day(on, overrides, decided_years=decided_years)
        certain = certain and day.certain
        remaining -= day.working
    return Deadline(on=on, certain=certain, start=start, count=count, unit="working_days")


def add_days(start: date, count: int) -> Deadline:
    """Return the calendar day on which a period of `count` 天 ends. A holiday does not extend the period."""
    _refuse_negative(count)
    return Deadline(on=start + timedelta(days=count), certain=True, start=start, count=count, unit="days")


def working_days_between(
    start: date,
    end: date,
    overrides: Overrides | None = None,
    *,
    decided_years: Collection[int] = (),
) -> WorkingDays:
    """Count the working days after `start` up to and including `end`, the inverse of `add_working_days`.

    Negative when `end` is before `start`: that many working days overdue.
    """
    if end < start:
        late = working_days_between(end, start, overrides, decided_years=decided_years)
        return WorkingDays(-late.total, late.certain)
    dates = (start + timedelta(days=n) for n in range(1, (end - start).days + 1))
    days = [working_day(on, overrides, decided_years=decided_years) for on in dates]
    return WorkingDays(sum(day.working for day in days), all(day.certain for day in days))


def working_day(
    on: date,
    overrides: Overrides | None = None,
    *,
    decided_years: Collection[int] = (),
) -> WorkingDay:
    """Tell whether a day is a working day, and whether that is certain.

    A row of the table takes precedence even in a published year: the national calendar has neither regional holidays
    (三月三 in Guangxi) nor late changes by decree.
    """
    if overrides is not None and on in overrides:
        return WorkingDay(overrides[on], certain=True)
    try:
        return WorkingDay(bool(chinese_calendar.is_workday(on)), certain=True)
    except NotImplementedError:  # chinesecalendar has no data for this year
        return WorkingDay(on.weekday() < _SATURDAY, certain=on.year in decided_years)


def is_published(year: int) -> bool:
    """Tell whether the installed `chinesecalendar` knows the year."""
    try:
        chinese_calendar.is_workday(date(year, 1, 1))
    except NotImplementedError:
        return False
    return True


def known_until(today: date, overrides: Overrides) -> date:
    """Return the last day up to which every day from `today` on is certain; the day before it if none is."""
    on = today
    while on < today + _FARTHEST and working_day(on, overrides).certain:
        on += _DAY
    return on - _DAY


def _refuse_negative(count: int) -> None:
    if count < 0:
        raise ValueError(f"a period has no negative length: {count}")
