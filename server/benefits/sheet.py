"""What a calculation reads and writes: facts of members, incomes and property, formulas, and the lines on the sheet."""

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from typing import Any, Literal, NamedTuple
from uuid import UUID

from msgspec import Struct

from server.benefits.figures import MONTHS_PER_YEAR, figure_of_income, yearly_fen
from server.core.http import ResponseBody
from server.core.money import format_fen

# Where an income comes from: the household, an officer's own verification, an accepted visit.
Origin = Literal["declared", "verified", "visit"]


class MemberFacts(Struct, frozen=True, kw_only=True):
    """`disability_grade` is 1 (gravest) to 4, as the card says; `illness` the name of the diagnosis."""

    id: UUID
    name: str
    born_on: date
    relation: str = ""
    health: str | None = None
    school: str | None = None
    work: str | None = None
    disability_kind: str | None = None
    disability_grade: int | None = None
    illness: str | None = None


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


class PropertyFacts(Struct, frozen=True, kw_only=True):
    """Property by kind: fen of a deposit, a count of anything else; verified if it was, else declared."""

    kind: str
    amount: int


class Receiving(Struct, frozen=True):
    """A household that is paid: since the first day of which month, and how much a month by the last decision."""

    since: date
    amount_fen: int


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


class Sheet(NamedTuple):
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


def floor_fen(amount: Fraction) -> int:
    """Return whole fen for a displayed line; sums are made of fractions, never of displayed lines."""
    return amount.numerator // amount.denominator


def half_up(number: Fraction) -> int:
    return (2 * number.numerator + number.denominator) // (2 * number.denominator)


def format_yuan(amount: Fraction) -> str:
    return format_fen(half_up(amount))


def age_on(born_on: date, on: date) -> int:
    return on.year - born_on.year - ((on.month, on.day) < (born_on.month, born_on.day))


def month_start(on: date) -> date:
    return on.replace(day=1)


def months_between(earlier: date, later: date) -> int:
    return (later.year - earlier.year) * MONTHS_PER_YEAR + later.month - earlier.month


def monthly_share(income: IncomeFacts) -> Fraction:
    return Fraction(income.amount_fen, MONTHS_PER_YEAR if income.period == "year" else 1)
