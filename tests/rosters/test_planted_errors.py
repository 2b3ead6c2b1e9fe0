"""No planted error reaches the bank's file, and an honest month does. `-s` prints the table of what stopped each."""

import sys

import pytest

from tests import days
from tests.makers.roster_errors import BEFORE, DRAFT, ERRORS, FROZEN, PREPARED, PlantedError
from tests.makers.rosters import RosterOffice

STEPS = ("prepare", "check", "send")
# Before which step an error is planted.
STEP_AFTER = {DRAFT: "prepare", PREPARED: "check", FROZEN: "send"}


async def take_steps(pay: RosterOffice, roster: str, error: PlantedError | None = None) -> str | None:
    """Take the roster towards the bank without judging anything. Return what stopped it."""
    for act, desk in zip(STEPS, (pay.town, pay.county, pay.town), strict=True):
        if error is not None and STEP_AFTER.get(error.at) == act:
            await error.plant(pay, roster)
        answer = await pay.act(desk, roster, act)
        if answer.status_code != 200:
            code: str = answer.json()["code"]
            return code
    return None


async def test_an_honest_month_goes_to_the_bank_with_nothing_to_judge(pay):
    await pay.settled(days.month(-1))
    roster = await pay.make(days.month())
    assert await pay.findings(roster) == []
    assert await take_steps(pay, roster) is None


@pytest.mark.parametrize("error", ERRORS, ids=[f"{error.plant.__name__}" for error in ERRORS])
async def test_a_planted_error_is_stopped_before_the_file(pay, error):
    await pay.settled(days.month(-1))
    if error.at == BEFORE:
        await error.plant(pay, "")
    roster = await pay.make(days.month())
    refused = await take_steps(pay, roster, error)
    found = {finding["code"] for finding in await pay.findings(roster)}
    stopped_by = found if refused == "roster.findings_open" else {refused}
    sys.stdout.write(f"{error.zh}\t{error.at}\t{refused}\t{', '.join(sorted(found))}\n")
    assert error.stopped_by in stopped_by
    shown = await pay.show(roster)
    assert (shown["sentAt"], shown["files"]) == (None, 0)
    assert (await pay.county.http.get(f"/desk/v1/rosters/{roster}/file")).json()["code"] == "roster.not_now"


def test_there_are_at_least_thirty_planted_errors():
    assert len({error.plant for error in ERRORS}) >= 30
