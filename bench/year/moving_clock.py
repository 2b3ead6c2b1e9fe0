"""The clock of a replay: this process lives through past months, while PostgreSQL keeps real time.

Every month of the replay is over by real time, so what falls due in it is due for PostgreSQL too, which says when a job
may run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta

import time_machine

from server.core.clock import CHINA
from server.rosters.parts import add_months


class MovingClock:
    """Moves on from day to day, never back, and ticks in between."""

    def __init__(self, coordinates: time_machine.Traveller) -> None:
        self._coordinates = coordinates

    def move_to(self, month: date, day: int, hour: int = 10) -> None:
        self._coordinates.move_to(_china(month.replace(day=day), hour))

    def move_on(self, minutes: int) -> None:
        self._coordinates.shift(timedelta(minutes=minutes))


@contextmanager
def moved_clock(first: date) -> Iterator[MovingClock]:
    """Start on the evening before the first month, and give the real time back at the end."""
    travel = time_machine.travel(_china(add_months(first, -1).replace(day=28), 9), tick=True)
    coordinates = travel.start()
    try:
        yield MovingClock(coordinates)
    finally:
        travel.stop()


def _china(on: date, hour: int) -> datetime:
    return datetime.combine(on, time(hour), tzinfo=CHINA)
