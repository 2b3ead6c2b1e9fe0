"""Days (天) and working days (工作日), which are different things in every rule of a case; days are China's.

China moves working days by decree, one year at a time: the published years come from `chinesecalendar`, the
rest from a table that an administrator edits, and beyond both a deadline is a guess and says so
(`certain=False`).
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


class Deadline(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """The last day of a period that starts the day after `start`.

    `certain` is false when any day on the way had neither a published calendar nor a row in the table.
    """

    on: date
    certain: bool
    start: date
    count: int
    unit: Unit


class Length(NamedTuple):
    """How long a period is, as a rule says."""

    units: int
    unit: Unit


class WorkingDay(NamedTuple):
    working: bool
    certain: bool


class WorkingDays(NamedTuple):
    total: int
    certain: bool


def day_of(at: datetime) -> date:
    """The day in China: deadlines are counted there, and people live by it."""
    return at.astimezone(CHINA).date()


def length_of(rules: Mapping[str, Any], key: str) -> Length:
    """A rule is a number, in the unit its key ends with, or says its own unit: some offices post for working days."""
    value = rules[key]
    if isinstance(value, dict):
        return Length(value["count"], value["unit"])
    return Length(value, "working_days" if key.endswith("_working_days") else "days")


def end_of(start: date, length: Length, overrides: Overrides) -> Deadline:
    """The last day of a period that starts the day after `start`."""
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
    """The working day on which a period of `count` 工作日 ends; the day of the event itself is not counted.

    Zero days end on `start`, whatever day that is. `overrides` maps a date to whether it is worked;
    `decided_years` are years whose table is complete, so that days absent from it are certain too.
    """
    _refuse_negative(count)
    on, left, certain = start, count, True
    while left:
        on += _DAY
        day = working_day(on, overrides, decided_years=decided_years)
        certain = certain and day.certain
        left -= day.working
    return Deadline(on=on, certain=certain, start=start, count=count, unit="working_days")


def add_days(start: date, count: int) -> Deadline:
    """The calendar day on which a period of `count` 天 ends; it may be a holiday, and is not moved off it."""
    _refuse_negative(count)
    return Deadline(on=start + timedelta(days=count), certain=True, start=start, count=count, unit="days")


def working_days_between(
    start: date,
    end: date,
    overrides: Overrides | None = None,
    *,
    decided_years: Collection[int] = (),
) -> WorkingDays:
    """Working days after `start` up to and including `end`: the inverse of `add_working_days`.

    Negative when `end` lies before `start`: that many working days overdue.
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
    """Whether people work on a day, and whether that is known.

    A row of the table wins even in a published year: it is a person's decision, and holidays of one region
    (三月三 in Guangxi) or a late change by decree stand in no national calendar.
    """
    if overrides is not None and on in overrides:
        return WorkingDay(overrides[on], certain=True)
    try:
        return WorkingDay(bool(chinese_calendar.is_workday(on)), certain=True)
    except NotImplementedError:  # chinesecalendar's way of saying that this year is not published
        return WorkingDay(on.weekday() < _SATURDAY, certain=on.year in decided_years)


def _refuse_negative(count: int) -> None:
    if count < 0:
        raise ValueError(f"a period has no negative length: {count}")
