"""No planted error reaches the bank's file, and an honest month does. `-s` prints the table of what stopped each."""

import sys

import pytest

from tests import days
from tests.makers.roster_errors import ERRORS
from tests.makers.roster_trial import take_steps, try_error


async def test_an_honest_month_goes_to_the_bank_with_nothing_to_judge(pay):
    await pay.settled(days.month(-1))
    roster = await pay.make(days.month())
    assert await pay.findings(roster) == []
    assert await take_steps(pay, roster) is None


@pytest.mark.parametrize("error", ERRORS, ids=[f"{error.plant.__name__}" for error in ERRORS])
async def test_a_planted_error_is_stopped_before_the_file(pay, error):
    trial = await try_error(pay, error)
    sys.stdout.write(f"{error.zh}\t{error.at}\t{trial.refused}\t{', '.join(sorted(trial.found))}\n")
    assert error.stopped_by in trial.stopped_by
    assert not trial.has_file


def test_there_are_at_least_thirty_planted_errors():
    assert len({error.plant for error in ERRORS}) >= 30
