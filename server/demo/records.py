"""Plain records of the demo county: what `build_county` returns and the loader writes into tables."""

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

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

LABELS_ZH: dict[str, str] = {
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
"""Chinese labels of the codes in these records."""


@dataclass(frozen=True)
class Area:
    """`latitude` and `longitude` (WGS-84) are the middle of a village, else `None`."""

    code: str
    name: str
    level: AreaLevel
    parent_code: str | None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True)
class Staff:
    """`area_code` is the role's scope; `partner_login` names the colleague of a caseworker's visits."""

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
    """Declared income in fen per month for all members together, in the four legal kinds."""

    wage_fen: int = 0
    business_fen: int = 0
    property_fen: int = 0
    transfer_fen: int = 0

    @property
    def total_fen(self) -> int:
        return self.wage_fen + self.business_fen + self.property_fen + self.transfer_fen


@dataclass(frozen=True)
class Household:
    """The head is the first of `members`. The position is WGS-84.

    `class_`, `monthly_amount_fen` and `receiving_since` are `None` while an application is open.
    `relative_on_staff` names the relative (近亲属备案); it is `None` for nearly all households.
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
    """A visit that is due; an intake has an application number."""

    household_number: str
    kind: Literal["intake", "review"]
    caseworker_login: str
    partner_login: str
    due_on: date
    application_number: str | None = None


@dataclass(frozen=True)
class Resident:
    """A head of household who can bind a WeChat account by application number and ID number."""

    name: str
    wechat_suffix: str
    household_number: str
    application_number: str
    id_number: str

    @property
    def look_up_pin(self) -> str:
        """Return the PIN on the slip of this invented household; a real one is drawn at random."""
        return f"{int(hashlib.sha256(self.application_number.encode()).hexdigest(), 16) % 10**8:08d}"


@dataclass(frozen=True)
class County:
    """`areas` has parents first. `standard_fen` is the standard per head and month from which amounts are computed."""

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
