from datetime import date

import chinese_calendar.constants
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.core.working_days import add_days, add_working_days, working_day, working_days_between

LAST_YEAR = max(chinese_calendar.constants.holidays).year
"""The calendar of a year is decreed the year before: tests of the unknown use a year far beyond."""
UNKNOWN = LAST_YEAR + 3


def test_days_and_working_days_are_different_things():
    start = date(2026, 9, 29)
    assert add_days(start, 7).on == date(2026, 10, 6)
    assert add_working_days(start, 7).on == date(2026, 10, 14)


def test_the_national_day_week_is_skipped_and_its_make_up_saturday_is_worked():
    assert not working_day(date(2026, 10, 6)).working
    assert working_day(date(2026, 10, 10)) == (True, True)


def test_the_day_of_the_event_is_not_counted():
    assert add_working_days(date(2026, 11, 20), 3).on == date(2026, 11, 25)
    assert add_working_days(date(2026, 11, 21), 1).on == date(2026, 11, 23)
    assert add_working_days(date(2026, 11, 21), 0).on == date(2026, 11, 21)


def test_a_deadline_says_what_it_was_counted_from():
    deadline = add_working_days(date(2026, 11, 20), 3)
    assert (deadline.start, deadline.count, deadline.unit) == (date(2026, 11, 20), 3, "working_days")
    assert deadline.certain


def test_beyond_the_published_years_the_week_is_used_and_the_date_is_uncertain():
    start = date(UNKNOWN, 1, 3)
    deadline = add_working_days(start, 5)
    assert not deadline.certain
    assert (deadline.on - start).days in (7, 6, 5)
    assert all(day.working == (on.weekday() < 5) for on in _week(start) if (day := working_day(on)))


def test_a_period_that_only_ends_beyond_the_published_years_is_uncertain_too():
    eve = date(LAST_YEAR, 12, 31)
    assert add_working_days(date(LAST_YEAR, 12, 1), 5).certain
    assert not add_working_days(eve, 1).certain


def test_a_row_of_the_table_makes_its_own_day_certain_and_no_other():
    holiday = next(on for on in _week(date(UNKNOWN, 10, 1)) if on.weekday() == 2)
    table = {holiday: False}
    assert working_day(holiday, table) == (False, True)
    assert not working_day(date.fromordinal(holiday.toordinal() + 1), table).certain


def test_a_known_last_day_does_not_make_up_for_an_unknown_one_before_it():
    friday = next(on for on in _week(date(UNKNOWN, 10, 8)) if on.weekday() == 4)
    deadline = add_working_days(date.fromordinal(friday.toordinal() - 2), 2, {friday: True})
    assert (deadline.on, deadline.certain) == (friday, False)


def test_a_year_declared_complete_is_certain_throughout():
    table = {date(UNKNOWN, 5, 1): False}
    deadline = add_working_days(date(UNKNOWN, 4, 27), 10, table, decided_years={UNKNOWN})
    assert deadline.certain
    assert add_working_days(date(UNKNOWN, 4, 27), 10, table).on == deadline.on
    assert not add_working_days(date(UNKNOWN, 4, 27), 10, table).certain


def test_a_regional_holiday_in_the_table_wins_over_the_published_calendar():
    regional = date(2026, 4, 20)
    assert working_day(regional).working
    assert add_working_days(date(2026, 4, 17), 1, {regional: False}).on == date(2026, 4, 21)


def test_years_before_the_calendar_begins_are_uncertain():
    assert working_day(date(1999, 5, 3)) == (True, False)


@settings(deadline=None)  # a busy machine is no failure
@given(start=st.dates(date(2025, 1, 1), date(2029, 12, 31)), count=st.integers(1, 45))
def test_counting_back_gives_the_number_counted_forward(start, count):
    deadline = add_working_days(start, count)
    assert working_day(deadline.on).working
    assert working_days_between(start, deadline.on) == (count, deadline.certain)


def test_overdue_working_days_are_negative():
    assert working_days_between(date(2026, 11, 23), date(2026, 11, 19)).total == -2


@pytest.mark.parametrize("add", [add_days, add_working_days])
def test_a_negative_period_is_refused(add):
    with pytest.raises(ValueError, match="negative"):
        add(date(2026, 11, 23), -1)


def _week(start):
    return [date.fromordinal(start.toordinal() + n) for n in range(7)]
