"""A month with an error planted in it, taken towards the bank: what stopped it, or that nothing did."""

from typing import NamedTuple

from tests import days
from tests.makers.roster_errors import BEFORE, DRAFT, FROZEN, PREPARED, PlantedError
from tests.makers.rosters import RosterOffice

_STEPS = ("prepare", "check", "send")
# Before which step an error is planted.
_STEP_AFTER = {DRAFT: "prepare", PREPARED: "check", FROZEN: "send"}


class Trial(NamedTuple):
    """`refused`: the code that refused a step; `found`: codes of the findings that nobody has judged."""

    refused: str | None
    found: set[str]
    has_file: bool

    @property
    def stopped_by(self) -> set[str | None]:
        return {*self.found} if self.refused == "roster.findings_open" else {self.refused}


async def take_steps(pay: RosterOffice, roster: str, error: PlantedError | None = None) -> str | None:
    """Take the roster towards the bank without judging anything. Return what stopped it."""
    for act, desk in zip(_STEPS, (pay.town, pay.county, pay.town), strict=True):
        if error is not None and _STEP_AFTER.get(error.at) == act:
            await error.plant(pay, roster)
        answer = await pay.act(desk, roster, act)
        if answer.status_code != 200:
            code: str = answer.json()["code"]
            return code
    return None


async def try_error(pay: RosterOffice, error: PlantedError) -> Trial:
    """Pay a month honestly, plant the error, and try to pay the next."""
    await pay.settled(days.month(-1))
    if error.at == BEFORE:
        await error.plant(pay, "")
    roster = await pay.make(days.month())
    refused = await take_steps(pay, roster, error)
    found = {finding["code"] for finding in await pay.findings(roster)}
    shown = await pay.show(roster)
    file = await pay.county.http.get(f"/desk/v1/rosters/{roster}/file")
    has_file = (shown["sentAt"], shown["files"], file.status_code) != (None, 0, 409)
    return Trial(refused, found, has_file)
