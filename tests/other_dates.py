"""The suite at other dates: `make test-dates`, or `python -m tests.other_dates [--dates … --] [tests/cases …]`.

Each date is a run of pytest of its own with its clock moved there (tests/moved_clock.py), on which it goes on ticking.
Without arguments that is the whole suite at twenty dates, which takes as many times as long as the suite does.
"""

import argparse
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import chinese_calendar.constants

from tests.moved_clock import VARIABLE

# China's midnight is 16:00 in Greenwich; the suite passes it while it collects and builds the first database.
_OVER_MIDNIGHT = "T15:59:57+00:00"
# The last day whose working day is decreed, and with it the day after.
_PUBLISHED = max(chinese_calendar.constants.holidays).year
DATES = [
    f"{_PUBLISHED}-12-31T04:00:00+00:00",
    f"{_PUBLISHED}-12-31{_OVER_MIDNIGHT}",
    f"{_PUBLISHED + 1}-01-01T02:00:00+00:00",
    "2026-11-30T04:00:00+00:00",
    "2026-12-01T00:30:00+00:00",
    "2027-01-31" + _OVER_MIDNIGHT,
    "2027-02-05T04:00:00+00:00",  # the eve of the spring festival
    "2027-02-06T04:00:00+00:00",  # and its day
    "2027-02-28" + _OVER_MIDNIGHT,
    "2027-05-31T17:00:00+00:00",  # the first of June in China, the last of May in Greenwich
    "2027-08-31T04:00:00+00:00",
    "2027-10-03T04:00:00+00:00",  # within the national holiday
    "2027-12-31" + _OVER_MIDNIGHT,
    "2028-01-26T04:00:00+00:00",  # the spring festival
    "2028-02-28T23:00:00+00:00",  # 29 February in China alone
    "2028-02-29" + _OVER_MIDNIGHT,
    "2028-08-31T15:00:00+00:00",
    "2029-02-28T04:00:00+00:00",
    "2029-03-31T22:00:00+00:00",
    "2029-10-31" + _OVER_MIDNIGHT,
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dates", nargs="+", default=DATES, type=_moment, help="moments in ISO 8601; UTC if not said")
    parser.add_argument("--workers", default="2", help="processes of pytest-xdist; 0 for none")
    parser.add_argument("tests", nargs="*", help="what of the suite, as pytest takes it")
    request = parser.parse_args()
    results = [(date, *_run(date, request.tests, request.workers)) for date in request.dates]
    for date, code, took in results:
        print(f"{date}  {'passed' if code == 0 else f'FAILED ({code})'}  {timedelta(seconds=round(took))}")  # noqa: T201
    sys.exit(any(code for _, code, _ in results))


def _moment(text: str) -> str:
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()


def _run(date: str, tests: list[str], workers: str) -> tuple[int, float]:
    print(f"\n== {date}", flush=True)  # noqa: T201
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-n", workers, *tests]
    return subprocess.run(command, env=os.environ | {VARIABLE: date}, check=False).returncode, time.monotonic() - began


if __name__ == "__main__":
    main()
