"""分类施保: uplifts by category. By law for old people, minors, the gravely disabled and the gravely ill (57 §27)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction

from server.benefits.insured_alone import has_grave_disability
from server.benefits.sheet import MemberFacts, Sheet, age_on, floor_fen

_ADULT_FROM = 18  # 民法典 §17
_SEVENTY = 70
_UPLIFT_TEXTS = {
    "aged": ("老年人", "old age"),
    "age_70": ("70周岁以上", "70 or older"),
    "minor": ("未成年人", "a minor"),
    "severe_disability": ("重度残疾", "severe disability"),
    "serious_illness": ("重病", "serious illness"),
    "single_parent": ("单亲家庭未成年人", "child of a single parent"),
    "student": ("在校学生", "student"),
}


def list_uplifts(
    sheet: Sheet, covered: Sequence[MemberFacts], members: Sequence[MemberFacts], standard_fen: int, month: date
) -> Iterator[Fraction]:
    """Yield each covered member's highest uplift, or all of them, as the area's setting says."""
    table: dict[str, dict[str, int]] = sheet.value("amount.uplifts")
    adds_up = sheet.value("amount.uplifts_combine") == "sum"
    for member in covered:
        categories = [name for name in _uplift_categories(sheet, member, members, month) if name in table]
        due = [(name, _uplift_amount(table[name], standard_fen)) for name in categories]
        due.sort(key=lambda pair: pair[1], reverse=True)
        for name, amount in due if adds_up else due[:1]:
            zh, en = _UPLIFT_TEXTS[name]
            sheet.add("amount.uplifts", f"{member.name}:{zh}增发", f"Uplift: {en}", floor_fen(amount))
            yield amount


def _uplift_amount(uplift: Mapping[str, int], standard_fen: int) -> Fraction:
    """Return the uplift: whole fen or a percentage of the standard."""
    return Fraction(uplift["fen"]) if "fen" in uplift else Fraction(standard_fen * uplift["percent"], 100)


def _uplift_categories(sheet: Sheet, member: MemberFacts, members: Sequence[MemberFacts], month: date) -> Iterator[str]:
    age = age_on(member.born_on, month)
    if age >= int(sheet.value("amount.aged_from")):
        yield "aged"
    if age >= _SEVENTY:
        yield "age_70"
    if age < _ADULT_FROM:
        yield "minor"
    if member.health == "severely_disabled" or has_grave_disability(member):
        yield "severe_disability"
    if member.health == "serious_illness":
        yield "serious_illness"
    if member.school not in {None, "preschool"}:
        yield "student"
    adults = [other for other in members if age_on(other.born_on, month) >= _ADULT_FROM]
    if age < _ADULT_FROM and member.relation in {"son", "daughter"} and len(adults) == 1:
        yield "single_parent"
