"""Times that a phone reports are believed within bounds, and calculated with nowhere outside them."""

from datetime import UTC, date, datetime, timedelta, timezone

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from server.core.clock import utc_now
from server.core.device_times import (
    ReportedTime,
    believe_time,
    bound_times,
    parse_device_clock,
    storable_times,
)

RECEIVED = utc_now()
_offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_times = st.datetimes(timezones=_offsets)
_texts = st.text(max_size=40) | st.sampled_from(
    ["NaN", "2569-01-01", "+012345-01-01T00:00:00.000Z", "0001-01-01T00:00+14:00"]
)


@given(_times)
def test_any_time_with_an_offset_is_believed_within_bounds_or_replaced(at):
    reported = msgspec.convert(msgspec.to_builtins(at), ReportedTime)
    for bounds in (storable_times(RECEIVED), bound_times(RECEIVED, date(2020, 1, 1), timedelta(hours=1))):
        believed = believe_time(reported, bounds, RECEIVED)
        assert believed == (reported if bounds.contain(reported) else RECEIVED)
        assert believed.tzinfo is UTC
        assert bounds.earliest <= believed <= bounds.latest


def test_the_bounds_stand_where_the_area_sets_them():
    bounds = bound_times(RECEIVED, date(2020, 1, 1), timedelta(hours=1))
    first = datetime.fromisoformat("2020-01-01T00:00:00+08:00")
    moment = timedelta(seconds=1)
    assert [bounds.contain(at) for at in (first - moment, first)] == [False, True]
    last = RECEIVED + timedelta(hours=1)
    assert [bounds.contain(at) for at in (last, last + moment)] == [True, False]


@given(_texts | _times.map(datetime.isoformat))
def test_whatever_a_phone_says_of_its_clock_stops_no_request(text):
    parsed = parse_device_clock(text)
    assert parsed is None or parsed.tzinfo is not None
