"""Which incomes and costs count in a month, and how much of each. Pure functions.

Three rules concern work, and none is another: necessary costs of work are deducted from what the work earns (57 §13); a
province may disregard the wage of a job begun while receiving, for months and up to a cap; and a household that rises
above the standard through work may stay paid for a time (`exit_grace.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any, NamedTuple

from server.benefits.sheet import (
    IncomeFacts,
    Origin,
    Receiving,
    Sheet,
    floor_fen,
    format_yuan,
    month_start,
    monthly_share,
    months_between,
)
from server.core.money import format_fen

WORK = "work"  # the category of costs that are deducted from work income alone
_WORK_KINDS = ("wage", "business")


class Counted(NamedTuple):
    """An income that counts, with its signed share of a month."""

    income: IncomeFacts
    share: Fraction


_INCOME_KIND_TEXTS = {
    "wage": ("工资性收入", "Wages"),
    "business": ("经营净收入", "Net income of a business"),
    "property": ("财产净收入", "Net income of property"),
    "transfer": ("转移净收入", "Net transfers"),
    "cost": ("刚性支出扣减", "Necessary cost, deducted"),
}
# A visit is named where it is the source; what was declared or verified otherwise reads as before.
_ORIGIN_TEXTS: Mapping[Origin, str] = {"declared": "", "verified": "", "visit": "（走访查实）"}


def not_counted_categories(setting: Iterable[Any], on: date) -> frozenset[str]:
    """Return the categories that are left out on a day. An entry may hold from a day, until a day, or always."""
    return frozenset(
        entry if isinstance(entry, str) else entry["code"]
        for entry in setting
        if isinstance(entry, str) or _holds(entry, on)
    )


def _holds(entry: Mapping[str, str], on: date) -> bool:
    since, until = entry.get("since"), entry.get("until")
    is_begun = since is None or date.fromisoformat(since) <= on
    return is_begun and (until is None or on <= date.fromisoformat(until))


def count_incomes(
    sheet: Sheet, incomes: Sequence[IncomeFacts], month: date, standard_fen: int, receiving: Receiving | None
) -> list[Counted]:
    """Return each income that counts in this month with its signed share. Every income adds a line."""
    left_out = not_counted_categories(sheet.value("amount.not_counted"), month)
    counted: list[Counted] = []
    current = [income for income in incomes if _covers_month(income, month)]
    for income in sorted(current, key=_is_cost_of_work):  # what the work earns is counted before its costs
        zh, en = _INCOME_KIND_TEXTS[income.kind]
        share = monthly_share(income)
        zh += format_yuan(share) + _ORIGIN_TEXTS[income.origin]
        if income.category in left_out:
            sheet.add("amount.not_counted", f"{zh}，按规定不计入", f"{en}: not counted", 0)
        elif _is_cost_of_work(income):
            counted.append(_deduct_work_cost(sheet, income, share, counted))
        elif is_of_new_job(income, receiving) and _is_disregarded(sheet, income, month):
            counted.append(_disregard(sheet, income, share, standard_fen))
        else:
            signed = -share if income.kind == "cost" else share
            sheet.add("amount.not_counted", zh, en, floor_fen(signed), income=income)
            counted.append(Counted(income, signed))
    return counted


def _covers_month(income: IncomeFacts, month: date) -> bool:
    if income.started_on is not None and month_start(income.started_on) > month:
        return False
    return income.ended_on is None or income.ended_on >= month


def _is_cost_of_work(income: IncomeFacts) -> bool:
    return income.kind == "cost" and income.category == WORK


def _deduct_work_cost(sheet: Sheet, cost: IncomeFacts, share: Fraction, counted: Sequence[Counted]) -> Counted:
    """Deduct a cost of work from the earnings of its member, or of all, up to the area's part of them (57 §13).

    Earlier costs have used up their part: the counted earnings less the counted costs are what is left.
    """
    key = "amount.work_cost_percent"
    same = [item for item in counted if cost.member_id in {None, item.income.member_id}]
    earned = sum((item.share for item in same if item.income.kind in _WORK_KINDS), Fraction(0))
    used = -sum((item.share for item in counted if _is_cost_of_work(item.income)), Fraction(0))
    left = max(Fraction(0), earned * int(sheet.value(key)) / 100 - used)
    deducted = min(share, left)
    zh = f"就业必要成本{format_yuan(share)}，在劳动收入中扣减{format_yuan(deducted)}"
    sheet.add(key, zh, "Cost of work, deducted from work income", floor_fen(-deducted), income=cost)
    return Counted(cost, -deducted)


def is_of_new_job(income: IncomeFacts, receiving: Receiving | None) -> bool:
    """Say whether an income is the wage of a job begun while receiving."""
    if income.kind != "wage" or income.started_on is None or receiving is None:
        return False
    return income.started_on >= receiving.since


def _is_disregarded(sheet: Sheet, income: IncomeFacts, month: date) -> bool:
    assert income.started_on is not None
    return months_between(income.started_on, month) < int(sheet.value("amount.disregard_months"))


def _disregard(sheet: Sheet, income: IncomeFacts, share: Fraction, standard_fen: int) -> Counted:
    """Leave the wage out up to the cap, a multiple of the monthly standard; what lies above it counts."""
    cap = Fraction(standard_fen * int(sheet.value("amount.disregard_percent")), 100)
    rest = max(Fraction(0), share - cap)
    zh = f"新就业工资{format_yuan(share)}，减免期内不计入"
    zh += f"（每月以{format_fen(floor_fen(cap))}为限，计入{format_yuan(rest)}）" if rest else ""
    sheet.add(
        "amount.disregard_months", zh, "A new job's wage, disregarded up to the cap", floor_fen(rest), income=income
    )
    return Counted(income, rest)


def total(counted: Iterable[Counted]) -> Fraction:
    """Return what counts of a household's incomes, never below nothing."""
    return max(Fraction(0), sum((item.share for item in counted), Fraction(0)))
