"""Calculate the monthly amount, line by line, so that the resident can follow it. Pure functions, no database.

Money is whole fen. Yearly incomes are divided exactly, as fractions; the only rounding is a policy setting with a
line of its own. Every line names the setting behind it and its source.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any
from uuid import UUID

from msgspec import Struct

from server.benefits.counted_incomes import count_incomes, total
from server.benefits.exit_grace import find_exit_grace
from server.benefits.figures import MONTHS_PER_YEAR
from server.benefits.insured_alone import find_insured_alone, insured_alone_amount
from server.benefits.programmes import Programme
from server.benefits.sheet import (
    Formulas,
    IncomeFacts,
    Line,
    MemberFacts,
    PropertyFacts,
    Receiving,
    Sheet,
    floor_fen,
    format_yuan,
    half_up,
)
from server.benefits.uplifts import list_uplifts
from server.core.http import ResponseBody
from server.core.money import format_fen


class Calculated(ResponseBody):
    """`covered` are the members paid for: all, only those insured alone, or none.

    `programme` is null in calculations of before it was a field of the case.
    """

    month: date
    eligible: bool
    amount_fen: int
    income_fen: int
    standard_fen: int
    covered: list[UUID]
    lines: list[Line]
    programme: Programme | None = None


def calculate_amount(
    members: Sequence[MemberFacts],
    incomes: Sequence[IncomeFacts],
    formulas: Formulas,
    *,
    month: date,
    programme: Programme,
    receiving: Receiving | None = None,
    properties: Sequence[PropertyFacts] = (),
) -> Calculated:
    """Calculate a household's amount from a month on, with the formulas of that month. `members` must not be empty."""
    sheet = Sheet(formulas, [])
    standard_fen = _write_standard(sheet, programme)
    counted = count_incomes(sheet, incomes, month, standard_fen, receiving)
    income = total(counted)
    per_head = income / len(members)
    text = f"家庭月收入{format_yuan(income)}，人均{format_yuan(per_head)}"
    sheet.add("amount.not_counted", text, "Income of the household a month", floor_fen(income))
    amount_fen, covered = None, list(members)
    if per_head >= standard_fen:
        amount_fen = find_exit_grace(sheet, counted, len(members), standard_fen, month, receiving)
    if amount_fen is None:
        if per_head < standard_fen:
            amount = _basic_amount(sheet, standard_fen, per_head, len(members))
        else:
            covered = find_insured_alone(sheet, members, counted, properties, standard_fen, per_head, month)
            alone = [insured_alone_amount(sheet, member, counted, standard_fen) for member in covered]
            amount = sum(alone, Fraction(0))
        amount += sum(list_uplifts(sheet, covered, members, standard_fen, month), Fraction(0))
        amount_fen = _round_amount(sheet, amount) if covered else 0
    return Calculated(
        month=month,
        eligible=bool(covered) and amount_fen > 0,
        amount_fen=amount_fen,
        income_fen=floor_fen(income),
        standard_fen=standard_fen,
        covered=[member.id for member in covered],
        lines=sheet.lines,
        programme=programme,
    )


_STANDARD_TEXTS: Mapping[Programme, tuple[str, str]] = {
    "urban": ("城市低保标准每人每月", "Urban standard a head"),
    "rural": ("农村低保标准每人每月", "Rural standard a head"),
}


def _write_standard(sheet: Sheet, programme: Programme) -> int:
    value = sheet.value("amount.standard_fen")
    standard_fen = int(value[programme] if isinstance(value, dict) else value)
    zh, en = _STANDARD_TEXTS[programme]
    sheet.add("amount.standard_fen", zh + format_fen(standard_fen), en, standard_fen)
    return standard_fen


def _basic_amount(sheet: Sheet, standard_fen: int, per_head: Fraction, heads: int) -> Fraction:
    if sheet.value("amount.method") == "stepped":
        steps = _sorted_steps(sheet)
        step = next(step for step in steps if step["untilFen"] is None or per_head < step["untilFen"])
        amount = Fraction(step["perHeadFen"] * heads)
        zh = f"分档：每人{format_fen(step['perHeadFen'])} × {heads}人"
        sheet.add("amount.steps", zh, "By steps", floor_fen(amount))
        return amount
    amount = (standard_fen - per_head) * heads
    zh = f"差额:({format_fen(standard_fen)} − {format_yuan(per_head)}) × {heads}人"
    sheet.add("amount.method", zh, "The difference to the standard", floor_fen(amount))
    return amount


def _sorted_steps(sheet: Sheet) -> list[dict[str, Any]]:
    """Return the steps by income per head, the lowest first; the last has no upper limit."""
    steps: list[dict[str, Any]] = sheet.value("amount.steps")
    return sorted(steps, key=lambda step: (step["untilFen"] is None, step["untilFen"] or 0))


def _round_amount(sheet: Sheet, amount: Fraction) -> int:
    """Round to the setting's unit of fen, `up` or `half_up`, but not below the least amount that is paid."""
    rounding = sheet.value("amount.rounding")
    unit: int = rounding["toFen"]
    units = amount / unit
    rounded_units = -(-units.numerator // units.denominator) if rounding["mode"] == "up" else half_up(units)
    rounded_fen = rounded_units * unit
    least_fen = int(sheet.value("amount.least_fen"))
    if rounded_fen < least_fen:
        zh = f"低于最低发放额，按{format_fen(least_fen)}"
        sheet.add("amount.least_fen", zh, "Least amount paid", least_fen)
        return least_fen
    sheet.add("amount.rounding", f"每月发放{format_fen(rounded_fen)}", "Paid each month", rounded_fen)
    return rounded_fen


class EffectiveAmount(Struct, frozen=True):
    """The amount that a calculation, made at `made`, sets from `month` on."""

    month: date
    made: Any
    amount_fen: int


def amount_in_month(month: date, history: Iterable[EffectiveAmount]) -> int | None:
    """Return the amount due in a month: by the calculation that starts last, then the one made last."""
    started = [amount for amount in history if amount.month <= month]
    return max(started, key=lambda amount: (amount.month, amount.made)).amount_fen if started else None


def arrears_fen(history: Sequence[EffectiveAmount], new: EffectiveAmount, until: date) -> int:
    """Return what a new calculation changes for months already paid, from its month up to and including `until`."""
    total, month = 0, new.month
    while month <= until:
        before = amount_in_month(month, history) or 0
        total += (amount_in_month(month, [*history, new]) or 0) - before
        month = date(month.year + month.month // MONTHS_PER_YEAR, month.month % MONTHS_PER_YEAR + 1, 1)
    return total
