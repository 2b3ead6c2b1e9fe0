"""The current time: the only module that reads the machine's clock.

Domain functions take the time as an argument; only route handlers, jobs and commands call this module. A time that is
compared with one from here never comes from PostgreSQL's `now()`: two clocks differ, and tests move only this one.
"""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

CHINA = ZoneInfo("Asia/Shanghai")


def utc_now() -> datetime:
    return datetime.now(UTC)


def today() -> date:
    """Return the current date in China, in which deadlines are counted."""
    return utc_now().astimezone(CHINA).date()
