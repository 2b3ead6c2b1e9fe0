"""The monthly amount, reckoned line by line so that the resident can follow it. Pure: facts and rules in, lines out.

Money is whole fen; a yearly income is divided only where the sum is made, exactly, and the one rounding is
a rule with a line of its own. Every line names the rule behind it, and the rule its source.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

from server.core.http import ResponseBody
from server.core.money import format_fen

Residence = Literal["urban", "rural"]
_FIRST_RURAL_VILLAGE = 200  # 000–199 居委会, 200+ 村委会 (docs/domain.md#areas)
_VILLAGE_DIGITS = 12
_AGED = 70
_MINOR = 18
_MONTHS = 12


class MemberFacts(Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    born_on: date
    relation: str = ""
    health: str | None = None
    school: str | None = None


class IncomeFacts(Struct, frozen=True, kw_only=True):
    """What counts of an income: verified where somebody has looked, else declared."""

    kind: str
    category: str
    period: str
    amount_fen: int
    member_id: UUID | None = None
    started_on: date | None = None
    ended_on: date | None = None


class BenefitFormula(Struct, frozen=True):
    value: Any
    source: str


Rules = Mapping[str, BenefitFormula]


class Line(ResponseBody):
    """One line of the calculation. `amount_fen` is signed, a month; null where the line only says a fact."""

    zh: str
    en: str
    amount_fen: int | None
    rule: str
    source: str


class Calculated(ResponseBody):
    """`covered` are the members paid for: all, or those insured alone, or none."""

    month: date
    eligible: bool
    amount_fen: int
    income_fen: int
    standard_fen: int
    covered: list[UUID]
    lines: list[Line]


def residence_of(area_code: str) -> Residence:
    """Urban or rural by the village's code."""
    if len(area_code) != _VILLAGE_DIGITS:
        return "urban"
    return "rural" if int(area_code[-3:]) >= _FIRST_RURAL_VILLAGE else "urban"


def calculate_amount(
    members: Sequence[MemberFacts],
    incomes: Sequence[IncomeFacts],
    rules: Rules,
    *,
    month: date,
    residence: Residence,
    receiving_since: date | None = None,
) -> Calculated:
    """The amount of a household from a month on, by the rules of that month. Members must not be empty."""
    standard_fen = _standard_fen(rules, residence)
    lines = [
        _line(
            rules, "amount.standard_fen", f"保障标准每人每月{format_fen(standard_fen)}", "Standard a head", standard_fen
        )
    ]
    counted = list(_counted(incomes, rules, month, receiving_since, lines))
    income = max(Fraction(0), sum((share for _, share in counted), Fraction(0)))
    per_head = income / len(members)
    said = f"家庭月收入{_yuan(income)}，{len(members)}人，人均{_yuan(per_head)}"
    lines.append(_line(rules, "amount.not_counted", said, "Income of the household a month", _down(income)))
    if per_head < standard_fen:
        covered = list(members)
        basic = _basic(rules, standard_fen, per_head, len(members), lines)
    else:
        covered = _insured_alone(members, rules, standard_fen, per_head, lines)
        basic = sum((_alone_amount(one, counted, rules, standard_fen, lines) for one in covered), Fraction(0))
    uplift = sum(_uplifts(covered, members, rules, standard_fen, month, lines), Fraction(0)) if covered else Fraction(0)
    amount_fen = _rounded(basic + uplift, rules, lines) if covered else 0
    return Calculated(
        month=month,
        eligible=bool(covered) and amount_fen > 0,
        amount_fen=amount_fen,
        income_fen=_down(income),
        standard_fen=standard_fen,
        covered=[one.id for one in covered],
        lines=lines,
    )


def _standard_fen(rules: Rules, residence: Residence) -> int:
    value = rules["amount.standard_fen"].value
    return int(value[residence] if isinstance(value, dict) else value)


_KINDS = {
    "wage": ("工资性收入", "Wages"),
    "business": ("经营净收入", "Net income of a business"),
    "property": ("财产净收入", "Net income of property"),
    "transfer": ("转移净收入", "Net transfers"),
    "cost": ("刚性支出扣减", "Necessary cost, deducted"),
}


def _counted(
    incomes: Iterable[IncomeFacts], rules: Rules, month: date, receiving_since: date | None, lines: list[Line]
) -> Iterator[tuple[IncomeFacts, Fraction]]:
    """Each income that counts in this month, as a signed share a month; every one leaves a line."""
    for one in incomes:
        if (one.started_on and _first(one.started_on) > month) or (one.ended_on and one.ended_on < month):
            continue
        zh, en = _KINDS[one.kind]
        share = Fraction(one.amount_fen, _MONTHS if one.period == "year" else 1)
        if one.category in rules["amount.not_counted"].value:
            lines.append(
                _line(rules, "amount.not_counted", f"{zh}{_yuan(share)}，按规定不计入", f"{en}: not counted", 0)
            )
        elif _exits_gradually(one, rules, month, receiving_since):
            lines.append(_line(rules, "amount.gradual_exit_months", f"{zh}{_yuan(share)}，新就业渐退期内不计入",
                               f"{en}: a new job, not counted yet", 0))  # fmt: skip
        else:
            signed = -share if one.kind == "cost" else share
            lines.append(_line(rules, "amount.not_counted", f"{zh}{_yuan(share)}", en, _down(signed)))
            yield one, signed


def _exits_gradually(one: IncomeFacts, rules: Rules, month: date, receiving_since: date | None) -> bool:
    """A job taken while receiving: not counted in the month it began and the months after, N in all."""
    if one.kind != "wage" or one.started_on is None or receiving_since is None or one.started_on < receiving_since:
        return False
    return _months_between(one.started_on, month) < int(rules["amount.gradual_exit_months"].value)


def _basic(rules: Rules, standard_fen: int, per_head: Fraction, heads: int, lines: list[Line]) -> Fraction:
    if rules["amount.method"].value == "stepped":
        step = next(one for one in _steps(rules) if one["untilFen"] is None or per_head < one["untilFen"])
        amount = Fraction(step["perHeadFen"] * heads)
        zh = f"分档：每人{format_fen(step['perHeadFen'])} × {heads}人"
        lines.append(_line(rules, "amount.steps", zh, "By steps", _down(amount)))
        return amount
    amount = (standard_fen - per_head) * heads
    zh = f"差额:({format_fen(standard_fen)} − {_yuan(per_head)}) × {heads}人"
    lines.append(_line(rules, "amount.method", zh, "The difference to the standard", _down(amount)))
    return amount


def _steps(rules: Rules) -> list[dict[str, Any]]:
    """By income per head, the poorest first; the last has no upper end."""
    steps: list[dict[str, Any]] = rules["amount.steps"].value
    return sorted(steps, key=lambda one: (one["untilFen"] is None, one["untilFen"] or 0))


def _insured_alone(
    members: Sequence[MemberFacts], rules: Rules, standard_fen: int, per_head: Fraction, lines: list[Line]
) -> list[MemberFacts]:
    """单人保: the severely disabled and gravely ill of a household under a multiple of the standard."""
    limit = Fraction(standard_fen * int(rules["amount.single_person_percent"].value), 100)
    if per_head >= limit:
        lines.append(_line(rules, "amount.single_person_percent", f"人均收入不低于{_yuan(limit)}，不符合条件",
                           "Income is above every limit", 0))  # fmt: skip
        return []
    alone = [one for one in members if one.health in {"severely_disabled", "serious_illness"}]
    zh = f"人均收入低于{_yuan(limit)}，重残重病{len(alone)}人可单独纳入"
    lines.append(_line(rules, "amount.single_person_percent", zh, "Members who may be insured alone", None))
    return alone


def _alone_amount(
    one: MemberFacts, counted: list[tuple[IncomeFacts, Fraction]], rules: Rules, standard_fen: int, lines: list[Line]
) -> Fraction:
    own = max(Fraction(0), sum((share for item, share in counted if item.member_id == one.id), Fraction(0)))
    amount = max(Fraction(0), standard_fen - own)
    zh = f"{one.name}单人保：{format_fen(standard_fen)} − 本人收入{_yuan(own)}"
    lines.append(_line(rules, "amount.single_person_percent", zh, "Insured alone", _down(amount)))
    return amount


_CATEGORIES = {
    "age_70": ("70周岁以上", "70 or older"),
    "severe_disability": ("重度残疾", "severe disability"),
    "serious_illness": ("重病", "serious illness"),
    "single_parent": ("单亲家庭未成年人", "child of a single parent"),
    "student": ("在校学生", "student"),
}


def _uplifts(
    covered: Sequence[MemberFacts],
    members: Sequence[MemberFacts],
    rules: Rules,
    standard_fen: int,
    month: date,
    lines: list[Line],
) -> Iterator[Fraction]:
    """分类施保: for each member their highest uplift, or all of them, as the area's rule says."""
    table: dict[str, dict[str, int]] = rules["amount.uplifts"].value
    adds_up = rules["amount.uplifts_combine"].value == "sum"
    for one in covered:
        due = [(name, _uplift(table[name], standard_fen)) for name in _categories(one, members, month) if name in table]
        due.sort(key=lambda pair: pair[1], reverse=True)
        for name, amount in due if adds_up else due[:1]:
            zh, en = _CATEGORIES[name]
            lines.append(_line(rules, "amount.uplifts", f"{one.name}:{zh}增发", f"Uplift: {en}", _down(amount)))
            yield amount


def _uplift(rule: Mapping[str, int], standard_fen: int) -> Fraction:
    """Either whole fen or a percentage of the standard."""
    return Fraction(rule["fen"]) if "fen" in rule else Fraction(standard_fen * rule["percent"], 100)


def _categories(one: MemberFacts, members: Sequence[MemberFacts], month: date) -> Iterator[str]:
    age = age_on(one.born_on, month)
    if age >= _AGED:
        yield "age_70"
    if one.health == "severely_disabled":
        yield "severe_disability"
    if one.health == "serious_illness":
        yield "serious_illness"
    if one.school not in {None, "preschool"}:
        yield "student"
    grown = [other for other in members if age_on(other.born_on, month) >= _MINOR]
    if age < _MINOR and one.relation in {"son", "daughter"} and len(grown) == 1:
        yield "single_parent"


def age_on(born_on: date, on: date) -> int:
    return on.year - born_on.year - ((on.month, on.day) < (born_on.month, born_on.day))


def _rounded(amount: Fraction, rules: Rules, lines: list[Line]) -> int:
    """To the rule's unit of fen; `up` or `half_up`. Then not below the least amount that is paid."""
    unit: int = rules["amount.rounding"].value["toFen"]
    mode = rules["amount.rounding"].value["mode"]
    units = amount / unit
    whole = -(-units.numerator // units.denominator) if mode == "up" else _half_up(units)
    least_fen = int(rules["amount.least_fen"].value)
    rounded = whole * unit
    if rounded < least_fen:
        lines.append(
            _line(
                rules, "amount.least_fen", f"低于最低发放额，按{format_fen(least_fen)}", "Least amount paid", least_fen
            )
        )
        return least_fen
    lines.append(_line(rules, "amount.rounding", f"每月发放{format_fen(rounded)}", "Paid each month", rounded))
    return rounded


def _half_up(number: Fraction) -> int:
    return (2 * number.numerator + number.denominator) // (2 * number.denominator)


def _down(amount: Fraction) -> int:
    """Whole fen for a line that is shown; the sum itself is never made of shown lines."""
    return amount.numerator // amount.denominator


def _yuan(amount: Fraction) -> str:
    return format_fen(_half_up(amount))


def _first(on: date) -> date:
    return on.replace(day=1)


def _months_between(earlier: date, later: date) -> int:
    return (later.year - earlier.year) * _MONTHS + later.month - earlier.month


def _line(rules: Rules, rule: str, zh: str, en: str, amount_fen: int | None) -> Line:
    return Line(zh=zh, en=en, amount_fen=amount_fen, rule=rule, source=rules[rule].source)


class Counted(Struct, frozen=True):
    """What a calculation made at `made` says from `month` on."""

    month: date
    made: Any
    amount_fen: int


def amount_in(month: date, history: Iterable[Counted]) -> int | None:
    """What is due in a month by all that is known: the calculation from the latest month, then the latest made."""
    known = [one for one in history if one.month <= month]
    return max(known, key=lambda one: (one.month, one.made)).amount_fen if known else None


def arrears_fen(history: Sequence[Counted], new: Counted, until: date) -> int:
    """What a calculation for months already paid changes, from its month up to and with `until`."""
    total, month = 0, new.month
    while month <= until:
        before = amount_in(month, history) or 0
        total += (amount_in(month, [*history, new]) or 0) - before
        month = date(month.year + month.month // _MONTHS, month.month % _MONTHS + 1, 1)
    return total
