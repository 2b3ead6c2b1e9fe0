"""单人保: members who are insured alone although the household is not (57 §8, 83 一（一）).

Only for a household whose income a head reaches the standard: a family that qualifies is insured whole. Two ways:

- The household is an edge household, under the area's limits of income **and** property. Then members with a disability
  of grade 1 or 2, with a mental or intellectual one of grade 3, or with a grave illness of the area's list.
- Whatever the household has, an adult with a grave disability and without work (83 一（一）).
"""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from server.benefits.counted_incomes import Counted
from server.benefits.sheet import MemberFacts, PropertyFacts, Sheet, age_on, floor_fen, format_yuan
from server.core.money import format_fen

_INCOME, _PROPERTY = "amount.single_person_percent", "amount.edge_property_limits"
_ILLNESSES, _ADULT = "amount.grave_illnesses", "amount.single_disabled_adult"
_GRAVEST_GRADES = frozenset({1, 2})
_GRADE_3 = 3
_INSURED_AT_GRADE_3 = frozenset({"mental", "intellectual"})
_ADULT_FROM = 18  # 民法典 §17
_PROPERTY_TEXTS = {"home": "住房", "vehicle": "机动车", "business": "经营主体", "deposit": "存款"}


def find_insured_alone(
    sheet: Sheet,
    members: Sequence[MemberFacts],
    counted: Sequence[Counted],
    properties: Sequence[PropertyFacts],
    standard_fen: int,
    per_head: Fraction,
    month: date,
) -> list[MemberFacts]:
    """Return the members who may be insured alone. Adds a line for each test and for each member it concerns."""
    is_edge = _is_below_income(sheet, standard_fen, per_head) and _is_below_property(sheet, properties, len(members))
    return [
        member
        for member in members
        if (is_edge and _qualifies_in_edge(sheet, member)) or _is_adult_without_work(sheet, member, counted, month)
    ]


def _is_below_income(sheet: Sheet, standard_fen: int, per_head: Fraction) -> bool:
    limit = Fraction(standard_fen * int(sheet.value(_INCOME)), 100)
    if per_head < limit:
        sheet.add(_INCOME, f"人均收入低于{format_yuan(limit)}", "Income below the limit of an edge household", None)
        return True
    sheet.add(_INCOME, f"人均收入不低于{format_yuan(limit)}，不属低保边缘家庭", "Income is above every limit", 0)
    return False


def _is_below_property(sheet: Sheet, properties: Sequence[PropertyFacts], heads: int) -> bool:
    """Compare with the area's limits. A kind without a limit is not tested, and the line says so."""
    limits: dict[str, Any] = sheet.value(_PROPERTY)
    held = {kind: sum(item.amount for item in properties if item.kind == kind) for kind in _PROPERTY_TEXTS}
    most: dict[str, int] = {
        kind: limits[kind] for kind in ("home", "vehicle", "business") if limits.get(kind) is not None
    }
    if limits.get("depositPerHeadFen") is not None:
        most["deposit"] = limits["depositPerHeadFen"] * heads
    above = [_PROPERTY_TEXTS[kind] for kind, limit in most.items() if held[kind] > limit]
    if above:
        zh = f"财产超过低保边缘家庭限额：{'、'.join(above)}"
        sheet.add(_PROPERTY, zh, "Property above the limits of an edge household", 0)
        return False
    zh = "财产未超过低保边缘家庭限额" if most else "本地未设低保边缘家庭财产限额，未作财产比较"
    sheet.add(_PROPERTY, zh, "Property within the limits" if most else "No property limits: not compared", None)
    return True


def _qualifies_in_edge(sheet: Sheet, member: MemberFacts) -> bool:
    is_of_grade_3 = member.disability_grade == _GRADE_3 and member.disability_kind in _INSURED_AT_GRADE_3
    if has_grave_disability(member) or is_of_grade_3:
        zh = f"{member.name}：残疾{member.disability_grade}级，可单独纳入"
        sheet.add(_INCOME, zh, "Disabled: insured alone", None)
        return True
    if member.health == "severely_disabled" and member.disability_grade is None:
        sheet.add(_INCOME, f"{member.name}：未登记残疾等级，不能单独纳入", "No grade of disability recorded", None)
    return member.health == "serious_illness" and _is_listed(sheet, member)


def _is_listed(sheet: Sheet, member: MemberFacts) -> bool:
    """Say whether the area lists the illness. An area without a list leaves it to the officer who recorded it."""
    listed: list[str] = sheet.value(_ILLNESSES)
    if listed and member.illness not in listed:
        sheet.add(_ILLNESSES, f"{member.name}：病种不在本地名录，不能单独纳入", "An illness that is not listed", None)
        return False
    zh = f"{member.name}：{member.illness or '重病'}，可单独纳入" + ("" if listed else "（本地未列病种名录）")
    sheet.add(_ILLNESSES, zh, "Gravely ill: insured alone", None)
    return True


def has_grave_disability(member: MemberFacts) -> bool:
    return member.disability_grade in _GRAVEST_GRADES


def _is_adult_without_work(sheet: Sheet, member: MemberFacts, counted: Sequence[Counted], month: date) -> bool:
    if not sheet.value(_ADULT) or not has_grave_disability(member) or age_on(member.born_on, month) < _ADULT_FROM:
        return False
    has_earnings = any(
        item.income.member_id == member.id and item.income.kind in {"wage", "business"} and item.share > 0
        for item in counted
    )
    if has_earnings or member.work not in {None, "unemployed"}:
        return False
    sheet.add(
        _ADULT, f"{member.name}：成年无业重度残疾人，可单独纳入", "An adult, gravely disabled, without work", None
    )
    return True


def insured_alone_amount(sheet: Sheet, member: MemberFacts, counted: Sequence[Counted], standard_fen: int) -> Fraction:
    shares = [item.share for item in counted if item.income.member_id == member.id]
    own = max(Fraction(0), sum(shares, Fraction(0)))
    amount = max(Fraction(0), standard_fen - own)
    zh = f"{member.name}单人保：{format_fen(standard_fen)} − 本人收入{format_yuan(own)}"
    sheet.add(_INCOME, zh, "Insured alone", floor_fen(amount))
    return amount
