"""Times that a phone reports: kept as they were sent, believed within bounds, and never calculated with outside them.

A phone's clock may stand at 1970, count Buddhist years or be set right during a visit. Its documents keep what it
said. Columns, from which deadlines, lists, next reviews and retention are calculated, hold it only within bounds;
outside them they hold the time at which the server received it, and a finding says so.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, NamedTuple

from msgspec import Meta

from server.core.clock import CHINA

# The one type of a time in a phone's documents: any time with an offset, however far off.
ReportedTime = Annotated[datetime, Meta(tz=True)]

# Whatever an area believes, no phone is older; times before it overflow where an offset is applied.
FIRST_DAY = date(1970, 1, 2)
_ANY_CLOCK = timedelta(days=1)


class TimeBounds(NamedTuple):
    earliest: datetime
    latest: datetime

    def contain(self, at: datetime) -> bool:
        return self.earliest <= at <= self.latest


def bound_times(received_at: datetime, earliest_day: date, ahead: timedelta) -> TimeBounds:
    """Return what is believed of a phone from which something was received: `ahead` is its clock's tolerance."""
    return TimeBounds(datetime.combine(max(earliest_day, FIRST_DAY), time(), CHINA), received_at + ahead)


def storable_times(received_at: datetime) -> TimeBounds:
    """Return the bounds of a time that is only shown, where the area that would decide is not known yet."""
    return bound_times(received_at, FIRST_DAY, _ANY_CLOCK)


def believe_time(at: datetime | None, bounds: TimeBounds, instead: datetime) -> datetime | None:
    """Return the time in UTC, or `instead` outside the bounds. PostgreSQL refuses some offsets that RFC 3339 allows."""
    if at is None:
        return None
    return at.astimezone(UTC) if bounds.contain(at) else instead


def parse_device_clock(text: str | None) -> datetime | None:
    """Return the clock that a phone reports in a header; None for what is no time: a wrong clock stops no request."""
    try:
        at = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)
