"""What a home is still to be paid, month by month: pure functions, no database.

A month is owed what the timeline of decisions says. What live lines have allotted to it is taken off, whoever drafted
them, so a month can't be paid twice: what is missing of an earlier month is arrears, what is above it a recovery. A
recovery never takes more than the same line pays; the rest stays until a later month.
"""

from collections.abc import Collection, Mapping
from datetime import date
from typing import NamedTuple

_MONTHS_PER_YEAR = 12


class Owed(NamedTuple):
    """What the decisions owe for a month, and the reason of the decision that says so."""

    amount_fen: int
    reason: str


class Part(NamedTuple):
    """`kind` is due, arrears or recovery. `cause` is empty for what is due, as in `RosterPart`."""

    month: date
    kind: str
    amount_fen: int
    cause: str
    reason: str


def list_months(first: date, last: date) -> list[date]:
    """Return the first day of each month from `first` to `last`, both included."""
    count = (last.year - first.year) * _MONTHS_PER_YEAR + last.month - first.month
    return [add_months(first, place) for place in range(count + 1)]


def add_months(month: date, count: int) -> date:
    years, place = divmod(month.month - 1 + count, _MONTHS_PER_YEAR)
    return date(month.year + years, place + 1, 1)


def plan_parts(
    owed: Mapping[date, Owed],
    allotted: Mapping[date, int],
    left_out: Collection[date],
    *,
    month: date,
    unreceived: Mapping[date, int] | None = None,
    owed_by_any: Mapping[date, int] | None = None,
) -> list[Part]:
    """Return the parts of a home's line in a month. `owed` holds each month that the line may pay for.

    `unreceived` is what of the allotted the bank sent back and nobody has paid again: it is not missing, since a
    correction pays it, and nobody has to give it back. `owed_by_any` is what the home's cases of any programme or area
    owe for the month: only what is above it was overpaid.
    """
    came_back, by_any_fen = unreceived or {}, owed_by_any or {}
    parts: list[Part] = []
    overpaid: list[tuple[date, int, str]] = []
    for of_month, (amount_fen, reason) in sorted(owed.items()):
        missing_fen = amount_fen - allotted.get(of_month, 0)
        if missing_fen > 0:
            parts.append(_missing_part(of_month, missing_fen, reason, allotted, left_out, month))
            continue
        rightly_fen = max(amount_fen, by_any_fen.get(of_month, 0))
        overpaid_fen = allotted.get(of_month, 0) - came_back.get(of_month, 0) - rightly_fen
        if overpaid_fen > 0:
            overpaid.append((of_month, overpaid_fen, reason))
    left_fen = sum(part.amount_fen for part in parts)
    for of_month, overpaid_fen, reason in overpaid:
        taken_fen = min(overpaid_fen, left_fen)
        if taken_fen:
            parts.append(Part(of_month, "recovery", -taken_fen, "overpaid", reason))
            left_fen -= taken_fen
    return parts


def _missing_part(
    of_month: date,
    missing_fen: int,
    reason: str,
    allotted: Mapping[date, int],
    left_out: Collection[date],
    month: date,
) -> Part:
    if of_month == month and of_month not in allotted:
        return Part(of_month, "due", missing_fen, "", reason)
    if of_month in left_out:
        return Part(of_month, "arrears", missing_fen, "left_out", reason)
    cause = "decided_later" if of_month in allotted else "not_on_roster"
    return Part(of_month, "arrears", missing_fen, cause, reason)


def sum_kind(parts: Collection[Part], kind: str) -> int:
    """Return the fen of a kind of parts; of recoveries, as a positive number."""
    return abs(sum(part.amount_fen for part in parts if part.kind == kind))
