"""Calculate the monthly amount, line by line, so that the resident can follow it. Pure functions, no database.

Money is whole fen. Yearly incomes are divided exactly, as fractions; the only rounding is a policy setting with a
line of its own. Every line names the setting behind it and its source.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any, Literal, NamedTuple
from uuid import UUID

from msgspec import Struct

from server.benefits.figures import figure_of_income, yearly_fen
from server.benefits.programmes import Programme
from server.core.http import ResponseBody
from server.core.money import format_fen

# Where an income comes from: the household, an officer's own verification, an accepted visit.
Origin = Literal["declared", "verified", "visit"]
_AGED_FROM = 70
_ADULT_FROM = 18
_MONTHS_PER_YEAR = 12


class MemberFacts(Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    born_on: date
    relation: str = ""
    health: str | None = None
    school: str | None = None


class IncomeFacts(Struct, frozen=True, kw_only=True):
    """An income item. `amount_fen` is the verified amount if there is one, else the declared one, as `origin` says."""

    kind: str
    category: str
    period: str
    amount_fen: int
    member_id: UUID | None = None
    started_on: date | None = None
    ended_on: date | None = None
    origin: Origin = "declared"
    visit_id: UUID | None = None


class BenefitFormula(Struct, frozen=True):
    """The value of a policy setting `amount.…` and the document behind it."""

    value: Any
    source: str


Formulas = Mapping[str, BenefitFormula]


class Line(ResponseBody):
    """One line of the calculation. `amount_fen` is signed and per month; null on a line that only states a fact.

    The line of an income says which figure it is (`figure`, `member_id`), its fen over twelve months whether they count
    or not, and where it comes from: `visit_id` is the accepted visit that found it.
    """

    zh: str
    en: str
    amount_fen: int | None
    rule: str
    source: str
    figure: str | None = None
    member_id: UUID | None = None
    yearly_fen: int | None = None
    origin: Origin | None = None
    visit_id: UUID | None = None


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


class _Sheet(NamedTuple):
    """The formulas of the month and the lines of the calculation so far."""

    formulas: Formulas
    lines: list[Line]

    def value(self, key: str) -> Any:
        return self.formulas[key].value

    def add(self, key: str, zh: str, en: str, amount_fen: int | None, *, income: IncomeFacts | None = None) -> None:
        line = Line(zh=zh, en=en, amount_fen=amount_fen, rule=key, source=self.formulas[key].source)
        if income is not None:
            line.figure, line.member_id = figure_of_income(income.kind, income.category), income.member_id
            line.yearly_fen = yearly_fen(income.amount_fen, income.period)
            line.origin, line.visit_id = income.origin, income.visit_id
        self.lines.append(line)


def calculate_amount(
    members: Sequence[MemberFacts],
    incomes: Sequence[IncomeFacts],
    formulas: Formulas,
    *,
    month: date,
    programme: Programme,
    receiving_since: date | None = None,
) -> Calculated:
    """Calculate a household's amount from a month on, with the formulas of that month. `members` must not be empty."""
    sheet = _Sheet(formulas, [])
    standard_fen = _standard_fen(sheet, programme)
    zh, en = _STANDARD_TEXTS[programme]
    sheet.add("amount.standard_fen", zh + format_fen(standard_fen), en, standard_fen)
    counted = list(_count_incomes(sheet, incomes, month, receiving_since))
    income = max(Fraction(0), sum((share for _, share in counted), Fraction(0)))
    per_head = income / len(members)
    text = f"家庭月收入{_format_yuan(income)}，{len(members)}人，人均{_format_yuan(per_head)}"
    sheet.add("amount.not_counted", text, "Income of the household a month", _floor_fen(income))
    if per_head < standard_fen:
        covered = list(members)
        amount = _basic_amount(sheet, standard_fen, per_head, len(members))
    else:
        covered = _find_insured_alone(sheet, members, standard_fen, per_head)
        amounts = [_insured_alone_amount(sheet, member, counted, standard_fen) for member in covered]
        amount = sum(amounts, Fraction(0))
    amount += sum(_list_uplifts(sheet, covered, members, standard_fen, month), Fraction(0))
    amount_fen = _round_amount(sheet, amount) if covered else 0
    return Calculated(
        month=month,
        eligible=bool(covered) and amount_fen > 0,
        amount_fen=amount_fen,
        income_fen=_floor_fen(income),
        standard_fen=standard_fen,
        covered=[member.id for member in covered],
        lines=sheet.lines,
        programme=programme,
    )


_STANDARD_TEXTS: Mapping[Programme, tuple[str, str]] = {
    "urban": ("城市低保标准每人每月", "Urban standard a head"),
    "rural": ("农村低保标准每人每月", "Rural standard a head"),
}


def _standard_fen(sheet: _Sheet, programme: Programme) -> int:
    value = sheet.value("amount.standard_fen")
    return int(value[programme] if isinstance(value, dict) else value)


_INCOME_KIND_TEXTS = {
    "wage": ("工资性收入", "Wages"),
    "business": ("经营净收入", "Net income of a business"),
    "property": ("财产净收入", "Net income of property"),
    "transfer": ("转移净收入", "Net transfers"),
    "cost": ("刚性支出扣减", "Necessary cost, deducted"),
}


# A visit is named where it is the source; what was declared or verified otherwise reads as before.
_ORIGIN_TEXTS: Mapping[Origin, str] = {"declared": "", "verified": "", "visit": "（走访查实）"}


def _count_incomes(
    sheet: _Sheet, incomes: Iterable[IncomeFacts], month: date, receiving_since: date | None
) -> Iterator[tuple[IncomeFacts, Fraction]]:
    """Yield each income that counts in this month with its signed monthly share. Every income adds a line."""
    for income in incomes:
        if not _covers_month(income, month):
            continue
        zh, en = _INCOME_KIND_TEXTS[income.kind]
        share = Fraction(income.amount_fen, _MONTHS_PER_YEAR if income.period == "year" else 1)
        zh += _format_yuan(share) + _ORIGIN_TEXTS[income.origin]
        if income.category in sheet.value("amount.not_counted"):
            sheet.add("amount.not_counted", f"{zh}，按规定不计入", f"{en}: not counted", 0)
        elif _is_in_gradual_exit(sheet, income, month, receiving_since):
            text_en = f"{en}: a new job, not counted yet"
            sheet.add("amount.gradual_exit_months", f"{zh}，新就业渐退期内不计入", text_en, 0, income=income)
        else:
            signed = -share if income.kind == "cost" else share
            sheet.add("amount.not_counted", zh, en, _floor_fen(signed), income=income)
            yield income, signed


def _covers_month(income: IncomeFacts, month: date) -> bool:
    if income.started_on is not None and _month_start(income.started_on) > month:
        return False
    return income.ended_on is None or income.ended_on >= month


def _is_in_gradual_exit(sheet: _Sheet, income: IncomeFacts, month: date, receiving_since: date | None) -> bool:
    """Say whether a wage from a job begun while receiving payments is still exempt: for N months from its first."""
    if income.kind != "wage" or income.started_on is None or receiving_since is None:
        return False
    if income.started_on < receiving_since:
        return False
    return _months_between(income.started_on, month) < int(sheet.value("amount.gradual_exit_months"))


def _basic_amount(sheet: _Sheet, standard_fen: int, per_head: Fraction, heads: int) -> Fraction:
    if sheet.value("amount.method") == "stepped":
        steps = _sorted_steps(sheet)
        step = next(step for step in steps if step["untilFen"] is None or per_head < step["untilFen"])
        amount = Fraction(step["perHeadFen"] * heads)
        zh = f"分档：每人{format_fen(step['perHeadFen'])} × {heads}人"
        sheet.add("amount.steps", zh, "By steps", _floor_fen(amount))
        return amount
    amount = (standard_fen - per_head) * heads
    zh = f"差额:({format_fen(standard_fen)} − {_format_yuan(per_head)}) × {heads}人"
    sheet.add("amount.method", zh, "The difference to the standard", _floor_fen(amount))
    return amount


def _sorted_steps(sheet: _Sheet) -> list[dict[str, Any]]:
    """Return the steps by income per head, the lowest first; the last has no upper limit."""
    steps: list[dict[str, Any]] = sheet.value("amount.steps")
    return sorted(steps, key=lambda step: (step["untilFen"] is None, step["untilFen"] or 0))


def _find_insured_alone(
    sheet: _Sheet, members: Sequence[MemberFacts], standard_fen: int, per_head: Fraction
) -> list[MemberFacts]:
    """单人保: return the severely disabled and seriously ill members while income per head is under the limit."""
    key = "amount.single_person_percent"
    limit = Fraction(standard_fen * int(sheet.value(key)), 100)
    if per_head >= limit:
        sheet.add(key, f"人均收入不低于{_format_yuan(limit)}，不符合条件", "Income is above every limit", 0)
        return []
    alone = [member for member in members if member.health in {"severely_disabled", "serious_illness"}]
    zh = f"人均收入低于{_format_yuan(limit)}，重残重病{len(alone)}人可单独纳入"
    sheet.add(key, zh, "Members who may be insured alone", None)
    return alone


def _insured_alone_amount(
    sheet: _Sheet, member: MemberFacts, counted: list[tuple[IncomeFacts, Fraction]], standard_fen: int
) -> Fraction:
    shares = [share for income, share in counted if income.member_id == member.id]
    own = max(Fraction(0), sum(shares, Fraction(0)))
    amount = max(Fraction(0), standard_fen - own)
    zh = f"{member.name}单人保：{format_fen(standard_fen)} − 本人收入{_format_yuan(own)}"
    sheet.add("amount.single_person_percent", zh, "Insured alone", _floor_fen(amount))
    return amount


_UPLIFT_TEXTS = {
    "age_70": ("70周岁以上", "70 or older"),
    "severe_disability": ("重度残疾", "severe disability"),
    "serious_illness": ("重病", "serious illness"),
    "single_parent": ("单亲家庭未成年人", "child of a single parent"),
    "student": ("在校学生", "student"),
}


def _list_uplifts(
    sheet: _Sheet, covered: Sequence[MemberFacts], members: Sequence[MemberFacts], standard_fen: int, month: date
) -> Iterator[Fraction]:
    """分类施保: yield each covered member's highest uplift, or all of them, as the area's setting says."""
    table: dict[str, dict[str, int]] = sheet.value("amount.uplifts")
    adds_up = sheet.value("amount.uplifts_combine") == "sum"
    for member in covered:
        categories = [name for name in _uplift_categories(member, members, month) if name in table]
        due = [(name, _uplift_amount(table[name], standard_fen)) for name in categories]
        due.sort(key=lambda pair: pair[1], reverse=True)
        for name, amount in due if adds_up else due[:1]:
            zh, en = _UPLIFT_TEXTS[name]
            sheet.add("amount.uplifts", f"{member.name}:{zh}增发", f"Uplift: {en}", _floor_fen(amount))
            yield amount


def _uplift_amount(uplift: Mapping[str, int], standard_fen: int) -> Fraction:
    """Return the uplift: whole fen or a percentage of the standard."""
    return Fraction(uplift["fen"]) if "fen" in uplift else Fraction(standard_fen * uplift["percent"], 100)


def _uplift_categories(member: MemberFacts, members: Sequence[MemberFacts], month: date) -> Iterator[str]:
    age = age_on(member.born_on, month)
    if age >= _AGED_FROM:
        yield "age_70"
    if member.health == "severely_disabled":
        yield "severe_disability"
    if member.health == "serious_illness":
        yield "serious_illness"
    if member.school not in {None, "preschool"}:
        yield "student"
    adults = [other for other in members if age_on(other.born_on, month) >= _ADULT_FROM]
    if age < _ADULT_FROM and member.relation in {"son", "daughter"} and len(adults) == 1:
        yield "single_parent"


def age_on(born_on: date, on: date) -> int:
    return on.year - born_on.year - ((on.month, on.day) < (born_on.month, born_on.day))


def _round_amount(sheet: _Sheet, amount: Fraction) -> int:
    """Round to the setting's unit of fen, `up` or `half_up`, but not below the least amount that is paid."""
    rounding = sheet.value("amount.rounding")
    unit: int = rounding["toFen"]
    units = amount / unit
    rounded_units = -(-units.numerator // units.denominator) if rounding["mode"] == "up" else _half_up(units)
    rounded_fen = rounded_units * unit
    least_fen = int(sheet.value("amount.least_fen"))
    if rounded_fen < least_fen:
        zh = f"低于最低发放额，按{format_fen(least_fen)}"
        sheet.add("amount.least_fen", zh, "Least amount paid", least_fen)
        return least_fen
    sheet.add("amount.rounding", f"每月发放{format_fen(rounded_fen)}", "Paid each month", rounded_fen)
    return rounded_fen


def _half_up(number: Fraction) -> int:
    return (2 * number.numerator + number.denominator) // (2 * number.denominator)


def _floor_fen(amount: Fraction) -> int:
    """Return whole fen for a displayed line; sums are made of fractions, never of displayed lines."""
    return amount.numerator // amount.denominator


def _format_yuan(amount: Fraction) -> str:
    return format_fen(_half_up(amount))


def _month_start(on: date) -> date:
    return on.replace(day=1)


def _months_between(earlier: date, later: date) -> int:
    return (later.year - earlier.year) * _MONTHS_PER_YEAR + later.month - earlier.month


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
        month = date(month.year + month.month // _MONTHS_PER_YEAR, month.month % _MONTHS_PER_YEAR + 1, 1)
    return total
