"""云栖县, a county that does not exist, to look at and to test with: towns, villages, staff, 300 households.

Everything follows from the seed, so that a sign-in printed once holds for ever; only what is *due* moves with
`today`. The division codes have the real format under the real province 33, but 3399 and 339901 are assigned
to no city and no county: no real office is portrayed, and no identity number made here can belong to anyone.
Phones, cards and names are invented too. No tables here: the loader writes these plain records into them.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Literal, NamedTuple

from server.core.id_numbers import luhn_ok, make_id_number
from server.core.location import Point, distance_m
from server.core.working_days import add_working_days, working_day

SEED = 20261123
CODE = "339901"
NAME = "云栖县"

AreaLevel = Literal["province", "city", "county", "town", "village"]
StaffRole = Literal["caseworker", "town_officer", "county_officer", "supervisor", "admin"]
Relation = Literal["head", "spouse", "son", "daughter", "father", "mother", "grandson", "granddaughter"]
Sex = Literal["male", "female"]
Health = Literal["healthy", "chronic", "serious_illness", "disabled", "severely_disabled"]
LabourAbility = Literal["full", "partial", "none"]
School = Literal["preschool", "primary", "middle", "high", "college"]
Work = Literal["farming", "casual", "employed", "unemployed", "retired"]
HouseholdClass = Literal["A", "B", "C"]
Cause = Literal["illness", "disability", "old_age", "no_labour", "school", "low_income"]

WORDS_ZH: dict[str, str] = {
    "head": "户主",
    "spouse": "配偶",
    "son": "儿子",
    "daughter": "女儿",
    "father": "父亲",
    "mother": "母亲",
    "grandson": "孙子",
    "granddaughter": "孙女",
    "healthy": "健康",
    "chronic": "慢性病",
    "serious_illness": "大病",
    "disabled": "残疾",
    "severely_disabled": "重度残疾",
    "full": "有劳动能力",
    "partial": "部分丧失劳动能力",
    "none": "无劳动能力",
    "preschool": "学前",
    "primary": "小学",
    "middle": "初中",
    "high": "高中",
    "college": "大专及以上",
    "farming": "务农",
    "casual": "零工",
    "employed": "受雇",
    "unemployed": "无业",
    "retired": "养老",
    "illness": "因病",
    "disability": "因残",
    "old_age": "年老",
    "no_labour": "缺劳动力",
    "school": "因学",
    "low_income": "收入低",
}
"""The field's words for the codes in these records."""

DEMO_PASSWORDS: dict[StaffRole, str] = {
    "caseworker": "zoufang-caseworker",
    "town_officer": "zoufang-town",
    "county_officer": "zoufang-county",
    "supervisor": "zoufang-supervisor",
    "admin": "zoufang-admin",
}
"""One per role, printed by `make run`. They open a demo on one's own machine and nothing else."""


@dataclass(frozen=True)
class Area:
    """`latitude` and `longitude` (WGS-84) of the middle of a village, else `None`."""

    code: str
    name: str
    level: AreaLevel
    parent_code: str | None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True)
class Staff:
    """`area_code` is the role's scope; `partner_login` with whom a caseworker visits."""

    login: str
    name: str
    role: StaffRole
    area_code: str
    phone: str
    wechat_suffix: str
    partner_login: str | None = None


@dataclass(frozen=True)
class Member:
    relation: Relation
    name: str
    sex: Sex
    born_on: date
    id_number: str
    health: Health
    labour_ability: LabourAbility
    school: School | None
    work: Work | None


@dataclass(frozen=True)
class Incomes:
    """What the household declared, in fen a month for all members together, in the four kinds of the rule."""

    wage_fen: int = 0
    business_fen: int = 0
    property_fen: int = 0
    transfer_fen: int = 0

    @property
    def total_fen(self) -> int:
        return self.wage_fen + self.business_fen + self.property_fen + self.transfer_fen


@dataclass(frozen=True)
class Household:
    """The head stands first among `members`. Position in WGS-84.

    `class_`, `monthly_amount_fen` and `receiving_since` are `None` while an application is open;
    `relative_on_staff` says who (近亲属备案), and is `None` for nearly all.
    """

    number: str
    area_code: str
    head_name: str
    address: str
    phone: str
    latitude: float
    longitude: float
    class_: HouseholdClass | None
    monthly_amount_fen: int | None
    receiving_since: date | None
    cause: Cause
    incomes: Incomes
    bank_card: str
    relative_on_staff: str | None
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Application:
    """An accepted application whose home survey is due three working days after acceptance."""

    number: str
    household_number: str
    applicant_name: str
    applied_on: date
    accepted_on: date
    survey_due_on: date
    survey_due_certain: bool


@dataclass(frozen=True)
class Assignment:
    """A visit that is due. An intake names its application."""

    household_number: str
    kind: Literal["intake", "review"]
    caseworker_login: str
    partner_login: str
    due_on: date
    application_number: str | None = None


@dataclass(frozen=True)
class Resident:
    """A head who can bind a WeChat account: with the application number and their own ID number."""

    name: str
    wechat_suffix: str
    household_number: str
    application_number: str
    id_number: str


@dataclass(frozen=True)
class County:
    """`areas` come parents first; `standard_fen` is the standard a head and month that the amounts follow."""

    code: str
    name: str
    seed: int
    today: date
    standard_fen: int
    areas: tuple[Area, ...]
    staff: tuple[Staff, ...]
    households: tuple[Household, ...]
    applications: tuple[Application, ...]
    assignments: tuple[Assignment, ...]
    residents: tuple[Resident, ...]


class SignIn(NamedTuple):
    role_zh: str
    role_en: str
    login: str
    password: str
    note: str


def build_county(seed: int = SEED, *, today: date) -> County:
    """The whole county. People, homes and money follow from `seed` alone, the dates of
    applications and visits from `today`.
    """
    areas = tuple(_areas())
    villages = [area for area in areas if area.level == "village"]
    staff = tuple(_staff(villages))
    households = tuple(_households(_Inventor(seed), villages, staff))
    applicants = [home for home in households if home.class_ is None]
    applications = tuple(_applications(applicants, today))
    return County(
        code=CODE,
        name=NAME,
        seed=seed,
        today=today,
        standard_fen=_STANDARD_FEN,
        areas=areas,
        staff=staff,
        households=households,
        applications=applications,
        assignments=tuple(_assignments(staff, households, applications, today)),
        residents=tuple(_residents(applicants, applications)),
    )


def sign_ins(county: County | None = None) -> list[SignIn]:
    """Whom to sign in as: a pair of caseworkers, one of each desk role, and how a resident binds.

    Nothing in it depends on the day, so it may be printed without the county that was loaded.
    """
    county = county or build_county(today=_EPOCH)
    shown = [county.staff[0], county.staff[1]]
    shown += [next(person for person in county.staff if person.role == role) for role in _DESK_ROLES]
    names = {area.code: area.name for area in county.areas}
    return [_staff_sign_in(person, names[person.area_code]) for person in shown] + [
        _resident_sign_in(county.residents[0])
    ]


_EPOCH = date(2026, 11, 23)
"""Ages are counted back from here and not from `today`, so that identity numbers never change."""

_STANDARD_FEN = 360_00
_LEAST_AMOUNT_FEN = 30_00
_SURVEY_WORKING_DAYS = 3
_HOMES_PER_VILLAGE = 25
_APPLICANTS = 8
_CLASS_A, _CLASS_B = 13, 50  # of 292: 206 and 823 of 4,760, docs/domain.md#office-figures
_VILLAGE_RADIUS_M, _HOMES_APART_M = 450.0, 60.0
_CENTRE = Point(28.9, 118.9)
_KM_PER_DEGREE = 111.32

_ROLE_WORDS: dict[StaffRole, tuple[str, str]] = {
    "caseworker": ("村（社区）低保专干", "caseworker"),
    "town_officer": ("乡镇民政助理", "town officer"),
    "county_officer": ("县民政局", "county officer"),
    "supervisor": ("督查", "supervisor"),
    "admin": ("系统管理员", "admin"),
}
_DESK_ROLES: tuple[StaffRole, ...] = ("town_officer", "county_officer", "supervisor", "admin")

# Code after the county's, name, and kilometres east and north of the middle of the county.
_TOWNS = (("001", "禾汀街道"), ("100", "柚溪镇"), ("200", "松岚乡"))
_VILLAGES = (
    ("001001", "桐荫社区", -0.8, 0.6),
    ("001002", "榆亭社区", 0.9, 0.8),
    ("001200", "麦垄村", -1.6, -1.3),
    ("001201", "芦汀村", 1.5, -1.5),
    ("100001", "柚溪社区", 8.0, 3.0),
    ("100200", "苇塘村", 9.6, 4.2),
    ("100201", "棠下坞村", 7.1, 5.0),
    ("100202", "穗安村", 9.9, 1.4),
    ("200200", "松岚村", -5.2, 9.5),
    ("200201", "杉月坪村", -7.0, 10.4),
    ("200202", "砚山村", -4.1, 11.6),
    ("200203", "泉石坳村", -6.4, 12.9),
)
_CASEWORKERS = (
    ("linhexi", "林禾溪"),
    ("zhoutonglan", "周桐岚"),
    ("wuyanqiu", "吴砚秋"),
    ("zhengtangye", "郑棠野"),
    ("hesuian", "何穗安"),
    ("xuyuning", "许榆宁"),
    ("yemaizhou", "叶麦舟"),
    ("fangweihang", "方苇杭"),
    ("chengshanyue", "程杉月"),
    ("xuyouchuan", "徐柚川"),
    ("shaoquanshi", "邵泉石"),
    ("jiangluting", "江芦汀"),
)
_TOWN_OFFICERS = (("panhuaixu", "潘槐序"), ("wangzhusheng", "汪竹声"), ("yusonggu", "余松谷"))
_COUNTY_STAFF: tuple[tuple[str, str, StaffRole], ...] = (
    ("maohetang", "毛荷塘", "county_officer"),
    ("jiangmianyuan", "姜棉远", "county_officer"),
    ("zhuyanhui", "祝雁回", "supervisor"),
    ("zhanxinglou", "占星楼", "admin"),
)
_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡"
# Words of fields and weather, two to a name: nobody is likely to be called so.
_GIVEN = "禾溪桐岚砚棠穗榆麦苇杉柚泉芦槐竹荷棉谷霁禹陌畦蓑笠埂稔霖汀坪"


def _areas() -> Iterator[Area]:
    yield Area("33", "浙江省", "province", None)
    yield Area("3399", "砚州市", "city", "33")
    yield Area(CODE, NAME, "county", "3399")
    for code, name in _TOWNS:
        yield Area(CODE + code, name, "town", CODE)
    for code, name, east_km, north_km in _VILLAGES:
        middle = _move(_CENTRE, east_km, north_km)
        yield Area(CODE + code, name, "village", CODE + code[:3], *middle)


def _staff(villages: Sequence[Area]) -> Iterator[Staff]:
    """Neighbours in the list visit together: pairs of two villages of one town."""
    phones = (f"1990000{n:04d}" for n in range(1, 100))
    for place, (login, name) in enumerate(_CASEWORKERS):
        partner = _CASEWORKERS[place ^ 1][0]
        yield Staff(login, name, "caseworker", villages[place].code, next(phones), login, partner)
    for (login, name), (town, _) in zip(_TOWN_OFFICERS, _TOWNS, strict=True):
        yield Staff(login, name, "town_officer", CODE + town, next(phones), login)
    for login, name, role in _COUNTY_STAFF:
        yield Staff(login, name, role, CODE, next(phones), login)


class _Inventor:
    """Draws what must not repeat: names, identity numbers, phones, cards."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)  # noqa: S311  a demo that can be built again, not a secret
        self.taken: set[str] = {name for _, name in (*_CASEWORKERS, *_TOWN_OFFICERS)}
        self.taken |= {name for _, name, _ in _COUNTY_STAFF}
        self.serial = 1000

    def name(self, surname: str | None = None) -> str:
        while True:
            name = (surname or self.rng.choice(_SURNAMES)) + "".join(self.rng.sample(_GIVEN, 2))
            if self._take(name):
                return name

    def id_number(self, born_on: date, sex: Sex) -> str:
        while True:
            sequence = self.rng.randrange(0, 1000, 2) + (sex == "male")
            number = make_id_number(CODE, born_on, sequence)
            if self._take(number):
                return number

    def phone(self) -> str:
        self.serial += self.rng.randint(1, 9)
        return f"1990000{self.serial:04d}"

    def bank_card(self) -> str:
        """19 digits that pass Luhn, under an issuer number made up here."""
        while True:
            body = f"620000{self.rng.randrange(10**12):012d}"
            card = next(body + str(last) for last in range(10) if luhn_ok(body + str(last)))
            if self._take(card):
                return card

    def _take(self, value: str) -> bool:
        is_new = value not in self.taken
        self.taken.add(value)
        return is_new


def _households(invent: _Inventor, villages: Sequence[Area], staff: Sequence[Staff]) -> Iterator[Household]:
    """Village by village; the first homes of eight villages have applied, the rest receive."""
    receiving = len(villages) * _HOMES_PER_VILLAGE - _APPLICANTS
    shares: tuple[tuple[HouseholdClass, int], ...] = (("A", _CLASS_A), ("B", _CLASS_B), ("C", receiving))
    letters = [letter for letter, count in shares for _ in range(count)][:receiving]
    invent.rng.shuffle(letters)
    officers = {person.area_code: person for person in staff if person.role == "town_officer"}
    number = 0
    for place, village in enumerate(villages):
        for house, home in enumerate(_homes(invent.rng, village), start=1):
            number += 1
            has_applied = house == 1 and place < _APPLICANTS
            relative = officers[village.code[:9]] if house == 7 and place % 3 == 0 else None  # noqa: PLR2004  a few
            class_ = None if has_applied else letters.pop()
            yield _household(invent, number, village, house, home, class_, relative)


def _homes(rng: Random, village: Area) -> list[Point]:
    """Houses scattered about the middle of a village, no two nearer than 60 m."""
    middle = Point(village.latitude or 0.0, village.longitude or 0.0)
    homes: list[Point] = []
    while len(homes) < _HOMES_PER_VILLAGE:
        away_km = _VILLAGE_RADIUS_M / 1000 * math.sqrt(rng.random())
        angle = rng.random() * math.tau
        home = _move(middle, away_km * math.cos(angle), away_km * math.sin(angle))
        if all(distance_m(home, other) >= _HOMES_APART_M for other in homes):
            homes.append(home)
    return homes


def _move(start: Point, east_km: float, north_km: float) -> Point:
    """To six decimals, about 0.1 m."""
    east = east_km / (_KM_PER_DEGREE * math.cos(math.radians(start.latitude)))
    return Point(round(start.latitude + north_km / _KM_PER_DEGREE, 6), round(start.longitude + east, 6))


def _household(
    invent: _Inventor,
    number: int,
    village: Area,
    house: int,
    home: Point,
    class_: HouseholdClass | None,
    relative: Staff | None,
) -> Household:
    cause, members = _family(invent, class_ or "C")
    incomes = _incomes(invent.rng, class_, members)
    head = members[0]
    town = next(name for code, name in _TOWNS if village.code[6:9] == code)
    note = f"户主的表亲{relative.name}任{town}民政助理" if relative else None
    amount_fen = max(_LEAST_AMOUNT_FEN, _STANDARD_FEN * len(members) - incomes.total_fen)
    since = date(_EPOCH.year - invent.rng.randint(0, 6), invent.rng.randint(1, 10), 1)
    return Household(
        number=f"YQ-{number:04d}",
        area_code=village.code,
        head_name=head.name,
        address=f"{NAME}{town}{village.name}{house}号",
        phone=invent.phone(),
        latitude=home.latitude,
        longitude=home.longitude,
        class_=class_,
        monthly_amount_fen=None if class_ is None else amount_fen,
        receiving_since=None if class_ is None else since,
        cause=cause,
        incomes=incomes,
        bank_card=invent.bank_card(),
        relative_on_staff=note,
        members=members,
    )


class _Part(NamedTuple):
    """A role in a kind of family: who, between which ages, in what health."""

    relation: Relation
    youngest: int
    oldest: int
    health: tuple[Health, ...] = ("healthy",)


_WELL: tuple[Health, ...] = ("healthy", "healthy", "chronic")
_ILL: tuple[Health, ...] = ("serious_illness", "disabled", "chronic")
_SEVERE: tuple[Health, ...] = ("severely_disabled",)
_CHILDREN = (_Part("son", 11, 19), _Part("daughter", 4, 9))

# Families by class: A neither income nor ability, B some of it, C able-bodied but poor.
_FAMILIES: dict[HouseholdClass, tuple[tuple[Cause, tuple[_Part, ...]], ...]] = {
    "A": (
        ("old_age", (_Part("head", 71, 90, ("chronic",)),)),
        ("disability", (_Part("head", 28, 60, _SEVERE),)),
        ("disability", (_Part("head", 35, 50, _SEVERE), _Part("mother", 71, 82, ("chronic",)))),
    ),
    "B": (
        ("illness", (_Part("head", 40, 54, _ILL), _Part("spouse", 40, 54, _WELL), _CHILDREN[0])),
        ("old_age", (_Part("head", 64, 80, ("chronic",)), _Part("spouse", 62, 78, ("chronic",)))),
        ("no_labour", (_Part("head", 62, 74, _WELL), _Part("granddaughter", 5, 15))),
        (
            "no_labour",
            (_Part("head", 62, 72, _WELL), _Part("spouse", 60, 72), _Part("grandson", 4, 15)),
        ),
        ("disability", (_Part("head", 38, 48, ("disabled",)), _CHILDREN[1])),
    ),
    "C": (
        ("low_income", (_Part("head", 50, 59, _WELL),)),
        ("low_income", (_Part("head", 45, 59, _WELL), _Part("spouse", 44, 59, _WELL))),
        ("school", (_Part("head", 38, 48, _WELL), _Part("spouse", 38, 48, _WELL), *_CHILDREN)),
        ("school", (_Part("head", 38, 48), *_CHILDREN)),
        ("illness", (_Part("head", 38, 48), _Part("spouse", 38, 48, _ILL), _CHILDREN[1])),
        (
            "no_labour",
            (
                _Part("head", 40, 47, _WELL),
                _Part("spouse", 40, 47, _WELL),
                *_CHILDREN,
                _Part("mother", 68, 78, ("chronic",)),
            ),
        ),
        ("low_income", (_Part("head", 38, 45, _WELL), _Part("father", 66, 76, ("chronic",)))),
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


def _family(invent: _Inventor, class_: HouseholdClass) -> tuple[Cause, tuple[Member, ...]]:
    cause, parts = invent.rng.choice(_FAMILIES[class_])
    head_sex: Sex = invent.rng.choice(("male", "male", "female"))
    spouse_sex: Sex = "female" if head_sex == "male" else "male"
    members: list[Member] = []
    for part in parts:
        sex = {"head": head_sex, "spouse": spouse_sex}.get(part.relation) or _FIXED_SEX[part.relation]
        shares_surname = members and part.relation not in ("spouse", "mother")
        members.append(_member(invent, part, sex, members[0].name[0] if shares_surname else None))
    return cause, tuple(members)


def _member(invent: _Inventor, part: _Part, sex: Sex, surname: str | None) -> Member:
    rng = invent.rng
    age = rng.randint(part.youngest, part.oldest)
    born_on = _EPOCH - timedelta(days=age * 365 + age // 4 + rng.randint(1, 364))
    health = rng.choice(part.health)
    stages = (stage for below, stage in _SCHOOLS if age < below and part.relation in _YOUNG)
    school = next(stages, None)
    labour_ability = _labour_ability(age, health)
    return Member(
        relation=part.relation,
        name=invent.name(surname),
        sex=sex,
        born_on=born_on,
        id_number=invent.id_number(born_on, sex),
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
    """Under the standard a head, in steps of ten yuan; none at all in class A, as its definition says."""
    if class_ == "A":
        return Incomes()
    per_head_yuan = rng.randrange(60, 160, 10) if class_ == "B" else rng.randrange(150, 300, 10)
    total_fen = per_head_yuan * 100 * len(members)
    works = {member.work for member in members}
    pension_fen = sum(60_00 for member in members if member.work == "retired")
    transfer_fen = min(total_fen, pension_fen)
    rent_fen = 10_00 if total_fen > transfer_fen and rng.random() < 0.15 else 0  # noqa: PLR2004  a field let
    rest_fen = total_fen - transfer_fen - rent_fen
    farmed_fen = rest_fen if works.isdisjoint({"casual", "employed"}) else 0
    if not farmed_fen and "farming" in works:
        farmed_fen = rest_fen // 3_000 * 1_000
    return Incomes(rest_fen - farmed_fen, farmed_fen, rent_fen, transfer_fen)


def _applications(applicants: Sequence[Household], today: date) -> Iterator[Application]:
    """Accepted over the last working days, so that surveys are overdue, due today and due soon."""
    for place, (home, days_ago) in enumerate(zip(applicants, (5, 3, 3, 2, 2, 1, 1, 0), strict=True)):
        accepted_on = _working_days_ago(today, days_ago)
        applied_on = _working_days_ago(accepted_on, place % 3)
        due = add_working_days(accepted_on, _SURVEY_WORKING_DAYS)
        yield Application(
            number=f"YQ{_EPOCH.year}-{123 + 7 * place:06d}",
            household_number=home.number,
            applicant_name=home.head_name,
            applied_on=applied_on,
            accepted_on=accepted_on,
            survey_due_on=due.on,
            survey_due_certain=due.certain,
        )


def _working_days_ago(today: date, count: int) -> date:
    """The working day `count` before today's, or before the last one when today is a holiday."""
    on = today
    while not working_day(on).working or count > 0:
        count -= working_day(on).working
        on -= timedelta(days=1)
    return on


_REVIEWS_DUE_IN = (-6, -2, 0, 0, 1, 3, 4, 7, 9, 12, 15, 20)


def _assignments(
    staff: Sequence[Staff],
    households: Sequence[Household],
    applications: Sequence[Application],
    today: date,
) -> Iterator[Assignment]:
    """Twelve visits a caseworker: the intakes of the village first, then reviews spread round today."""
    applied = {application.household_number: application for application in applications}
    for person in staff:
        if person.role != "caseworker" or person.partner_login is None:
            continue
        homes = [home for home in households if home.area_code == person.area_code]
        for home, days in zip(homes, _REVIEWS_DUE_IN, strict=False):
            application = applied.get(home.number)
            yield Assignment(
                household_number=home.number,
                kind="intake" if application else "review",
                caseworker_login=person.login,
                partner_login=person.partner_login,
                due_on=application.survey_due_on if application else today + timedelta(days=days),
                application_number=application.number if application else None,
            )


def _residents(applicants: Sequence[Household], applications: Sequence[Application]) -> Iterator[Resident]:
    for place, (home, application) in enumerate(zip(applicants, applications, strict=True), start=1):
        head = home.members[0]
        yield Resident(head.name, f"resident{place}", home.number, application.number, head.id_number)


def _staff_sign_in(person: Staff, area_name: str) -> SignIn:
    zh, en = _ROLE_WORDS[person.role]
    together = f" · 同行 with {person.partner_login}" if person.partner_login else ""
    note = f"{person.name} · {area_name}{together} · 微信 demo-{person.wechat_suffix}-<nonce>"
    return SignIn(zh, en, person.login, DEMO_PASSWORDS[person.role], note)


def _resident_sign_in(resident: Resident) -> SignIn:
    """In the places of login and password stand the two numbers that bind."""
    note = (
        f"{resident.name} · 申请编号和身份证号绑定 binds with application number and ID number · "
        f"微信 demo-{resident.wechat_suffix}-<nonce>"
    )
    return SignIn("申请人", "resident", resident.application_number, resident.id_number, note)
