"""What a line of the self-check says."""

from datetime import timedelta
from typing import Literal, NamedTuple

Level = Literal["ok", "warn", "bad"]
CLOCK_WARN, CLOCK_BAD = timedelta(seconds=2), timedelta(minutes=1)


class Line(NamedTuple):
    """`advice` says what to do about what was seen; empty where nothing is to be done."""

    part: str
    level: Level
    seen: str
    advice: str = ""


def judge_clock(part: str, difference: timedelta) -> Line:
    """Signed links and tokens are refused when clocks are minutes apart; seconds shift what is late."""
    apart = abs(difference)
    seen = f"its clock is {apart.total_seconds():.1f} s from this one"
    if apart > CLOCK_WARN:
        return Line(part, "bad" if apart > CLOCK_BAD else "warn", seen, "synchronize both clocks (NTP)")
    return Line(part, "ok", seen)
