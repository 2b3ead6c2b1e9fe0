"""Days that tests count from the clock, so that they hold on any day. What is told of a year gone by says 2025."""

from datetime import date, timedelta

from server.core.clock import today


def in_days(days: int) -> date:
    """So many days from today in China; before it where negative."""
    return today() + timedelta(days=days)


def month(ahead: int = 0) -> date:
    """The first day of the month that is so many months from this one; before it where negative."""
    months = today().year * 12 + today().month - 1 + ahead
    return date(months // 12, months % 12 + 1, 1)


def last_day(of: date) -> date:
    """The last day of a month, given its first."""
    return (of + timedelta(days=31)).replace(day=1) - timedelta(days=1)
