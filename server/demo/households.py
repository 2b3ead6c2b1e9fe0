"""Households of the demo county: homes, families, incomes and amounts, all drawn from one seed."""

import math
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from random import Random
from typing import NamedTuple

from server.core.location import Point, distance_m
from server.demo.areas import NAME, TOWNS, offset_point
from server.demo.inventor import Inventor
from server.demo.records import (
    Area,
    Cause,
    Health,
    Household,
    HouseholdClass,
    Incomes,
    LabourAbility,
    Member,
    Relation,
    School,
    Sex,
    Staff,
    Work,
)

EPOCH = date(2026, 11, 23)
"""Ages are counted back from here and not from `today`, so that identity numbers never change."""

STANDARD_FEN = 360_00
"""The county's standard, per head and month."""

APPLICANTS = 8
_LEAST_AMOUNT_FEN = 30_00
_HOMES_PER_VILLAGE = 25
_CLASS_A, _CLASS_B = 13, 50  # of 292: 206 and 823 of 4,760, docs/domain.md#office-figures
_VILLAGE_RADIUS_M, _HOMES_APART_M = 450.0, 60.0


def build_households(inventor: Inventor, villages: Sequence[Area], staff: Sequence[Staff]) -> Iterator[Household]:
    """Yield households village by village: the first of eight villages has applied, all others receive benefits."""
    receiving = len(villages) * _HOMES_PER_VILLAGE - APPLICANTS
    shares: tuple[tuple[HouseholdClass, int], ...] = (("A", _CLASS_A), ("B", _CLASS_B), ("C", receiving))
    letters = [letter for letter, count in shares for _ in range(count)][:receiving]
    inventor.rng.shuffle(letters)
    officers = {person.area_code: person for person in staff if person.role == "town_officer"}
    number = 0
    for village_index, village in enumerate(villages):
        for house, home in enumerate(_homes(inventor.rng, village), start=1):
            number += 1
            has_applied = house == 1 and village_index < APPLICANTS
            relative = officers[village.code[:9]] if house == 7 and village_index % 3 == 0 else None  # noqa: PLR2004  a few
            class_ = None if has_applied else letters.pop()
            yield _household(inventor, number, village, house, home, class_, relative)


def _homes(rng: Random, village: Area) -> list[Point]:
    """Scatter the houses around the middle of a village, at least 60 m apart."""
    middle = Point(village.latitude or 0.0, village.longitude or 0.0)
    homes: list[Point] = []
    while len(homes) < _HOMES_PER_VILLAGE:
        distance_km = _VILLAGE_RADIUS_M / 1000 * math.sqrt(rng.random())
        angle = rng.random() * math.tau
        home = offset_point(middle, distance_km * math.cos(angle), distance_km * math.sin(angle))
        if all(distance_m(home, other) >= _HOMES_APART_M for other in homes):
            homes.append(home)
    return homes


def _household(
    inventor: Inventor,
    number: int,
    village: Area,
    house: int,
    home: Point,
    class_: HouseholdClass | None,
    relative: Staff | None,
) -> Household:
    cause, members = _family(inventor, class_ or "C")
    incomes = _incomes(inventor.rng, class_, members)
    head = members[0]
    town = next(name for code, name in TOWNS if village.code[6:9] == code)
    note = f"户主的表亲{relative.name}任{town}民政助理" if relative else None
    amount_fen = max(_LEAST_AMOUNT_FEN, STANDARD_FEN * len(members) - incomes.total_fen)
    since = date(EPOCH.year - inventor.rng.randint(0, 6), inventor.rng.randint(1, 10), 1)
    return Household(
        number=f"YQ-{number:04d}",
        area_code=village.code,
        head_name=head.name,
        address=f"{NAME}{town}{village.name}{house}号",
        phone=inventor.phone(),
        latitude=home.latitude,
        longitude=home.longitude,
        class_=class_,
        monthly_amount_fen=None if class_ is None else amount_fen,
        receiving_since=None if class_ is None else since,
        cause=cause,
        incomes=incomes,
        bank_card=inventor.bank_card(),
        relative_on_staff=note,
        members=members,
    )


class _Role(NamedTuple):
    """A person in a kind of family: relation, age range and possible health."""

    relation: Relation
    youngest: int
    oldest: int
    health: tuple[Health, ...] = ("healthy",)


_WELL: tuple[Health, ...] = ("healthy", "healthy", "chronic")
_ILL: tuple[Health, ...] = ("serious_illness", "disabled", "chronic")
_SEVERE: tuple[Health, ...] = ("severely_disabled",)
_CHILDREN = (_Role("son", 11, 19), _Role("daughter", 4, 9))

# Families by class: A has neither income nor ability to work, B has some, C is able-bodied but poor.
_FAMILIES: dict[HouseholdClass, tuple[tuple[Cause, tuple[_Role, ...]], ...]] = {
    "A": (
        ("old_age", (_Role("head", 71, 90, ("chronic",)),)),
        ("disability", (_Role("head", 28, 60, _SEVERE),)),
        ("disability", (_Role("head", 35, 50, _SEVERE), _Role("mother", 71, 82, ("chronic",)))),
    ),
    "B": (
        ("illness", (_Role("head", 40, 54, _ILL), _Role("spouse", 40, 54, _WELL), _CHILDREN[0])),
        ("old_age", (_Role("head", 64, 80, ("chronic",)), _Role("spouse", 62, 78, ("chronic",)))),
        ("no_labour", (_Role("head", 62, 74, _WELL), _Role("granddaughter", 5, 15))),
        (
            "no_labour",
            (_Role("head", 62, 72, _WELL), _Role("spouse", 60, 72), _Role("grandson", 4, 15)),
        ),
        ("disability", (_Role("head", 38, 48, ("disabled",)), _CHILDREN[1])),
    ),
    "C": (
        ("low_income", (_Role("head", 50, 59, _WELL),)),
        ("low_income", (_Role("head", 45, 59, _WELL), _Role("spouse", 44, 59, _WELL))),
        ("school", (_Role("head", 38, 48, _WELL), _Role("spouse", 38, 48, _WELL), *_CHILDREN)),
        ("school", (_Role("head", 38, 48), *_CHILDREN)),
        ("illness", (_Role("head", 38, 48), _Role("spouse", 38, 48, _ILL), _CHILDREN[1])),
        (
            "no_labour",
            (
                _Role("head", 40, 47, _WELL),
                _Role("spouse", 40, 47, _WELL),
                *_CHILDREN,
                _Role("mother", 68, 78, ("chronic",)),
            ),
        ),
        ("low_income", (_Role("head", 38, 45, _WELL), _Role("father", 66, 76, ("chronic",)))),
    ),
}
_FIXED_SEX: dict[str, Sex] = {
    "son": "male",
    "grandson": "male",
    "father": "male",
    "daughter": "female",
    "granddaughter": "female",
    "mother": "female",
}
_SCHOOLS: tuple[tuple[int, School], ...] = (
    (6, "preschool"),
    (12, "primary"),
    (15, "middle"),
    (18, "high"),
    (23, "college"),
)
_YOUNG: frozenset[Relation] = frozenset({"son", "daughter", "grandson", "granddaughter"})
_WORKING_AGE, _PENSION_AGE, _FRAIL_AGE = 16, 60, 70


def _family(inventor: Inventor, class_: HouseholdClass) -> tuple[Cause, tuple[Member, ...]]:
    cause, roles = inventor.rng.choice(_FAMILIES[class_])
    head_sex: Sex = inventor.rng.choice(("male", "male", "female"))
    spouse_sex: Sex = "female" if head_sex == "male" else "male"
    members: list[Member] = []
    for role in roles:
        sex = {"head": head_sex, "spouse": spouse_sex}.get(role.relation) or _FIXED_SEX[role.relation]
        shares_surname = members and role.relation not in ("spouse", "mother")
        members.append(_member(inventor, role, sex, members[0].name[0] if shares_surname else None))
    return cause, tuple(members)


def _member(inventor: Inventor, role: _Role, sex: Sex, surname: str | None) -> Member:
    rng = inventor.rng
    age = rng.randint(role.youngest, role.oldest)
    born_on = EPOCH - timedelta(days=age * 365 + age // 4 + rng.randint(1, 364))
    health = rng.choice(role.health)
    stages = (stage for below, stage in _SCHOOLS if age < below and role.relation in _YOUNG)
    school = next(stages, None)
    labour_ability = _labour_ability(age, health)
    return Member(
        relation=role.relation,
        name=inventor.name(surname),
        sex=sex,
        born_on=born_on,
        id_number=inventor.id_number(born_on, sex),
        health=health,
        labour_ability=labour_ability,
        school=school,
        work=None if school else _work(rng, age, labour_ability),
    )


def _labour_ability(age: int, health: Health) -> LabourAbility:
    if age < _WORKING_AGE or age >= _FRAIL_AGE or health == "severely_disabled":
        return "none"
    if age >= _PENSION_AGE or health in ("serious_illness", "disabled"):
        return "partial"
    return "full"


def _work(rng: Random, age: int, labour_ability: LabourAbility) -> Work:
    if age >= _PENSION_AGE:
        return "farming" if labour_ability == "partial" and rng.random() < 0.5 else "retired"  # noqa: PLR2004
    if labour_ability == "none":
        return "unemployed"
    return rng.choice(("farming", "casual", "casual", "unemployed" if labour_ability == "partial" else "employed"))


def _incomes(rng: Random, class_: HouseholdClass | None, members: Sequence[Member]) -> Incomes:
    """Draw incomes below the standard per head, in steps of ten yuan; class A has none by definition."""
    if class_ == "A":
        return Incomes()
    per_head_yuan = rng.randrange(60, 160, 10) if class_ == "B" else rng.randrange(150, 300, 10)
    total_fen = per_head_yuan * 100 * len(members)
    works = {member.work for member in members}
    pension_fen = sum(60_00 for member in members if member.work == "retired")
    transfer_fen = min(total_fen, pension_fen)
    rent_fen = 10_00 if total_fen > transfer_fen and rng.random() < 0.15 else 0  # noqa: PLR2004  a rented-out field
    rest_fen = total_fen - transfer_fen - rent_fen
    farmed_fen = rest_fen if works.isdisjoint({"casual", "employed"}) else 0
    if not farmed_fen and "farming" in works:
        farmed_fen = rest_fen // 3_000 * 1_000
    return Incomes(rest_fen - farmed_fen, farmed_fen, rent_fen, transfer_fen)
