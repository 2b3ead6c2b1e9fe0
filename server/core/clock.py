"""What time it is: the one place that reads the clock of the machine.

Rules take the time as an argument; only edges ask here. Nothing asks PostgreSQL for the time where it is compared
with a time from here: two clocks differ, and tests move this one alone.
"""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

CHINA = ZoneInfo("Asia/Shanghai")


def utc_now() -> datetime:
    return datetime.now(UTC)


def today() -> date:
    """The day in China, where deadlines are counted."""
    return utc_now().astimezone(CHINA).date()
