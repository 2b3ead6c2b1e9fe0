"""The county of the year: homes in force with accounts and decisions, its officers, and what each home should be paid.

`Home` is the replay's own book: income, standard and months alone, without a line of the program that it checks.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from server.checklists.publishing import publish
from server.checklists.template import Template
from server.core.database import open_session
from server.core.encryption import Encryption
from server.core.id_numbers import mask_card
from server.core.services import Services
from server.models.areas import PolicySetting
from server.models.cases import BankAccount

COUNTY, TOWNS, HOMES_A_VILLAGE, PEOPLE = "339955", 20, 60, 3
# By head and month.
STANDARD_FEN = {"rural": 700_00, "urban": 900_00}
STEP_FEN = 300_00
FIRST_INCOME, MOST_INCOMES = 0, 5
# One of so many homes is urban; without an urban home, of more than there are.
EVERY_URBAN, NONE_URBAN = 5, 10**6
CHECKLIST = "year"
ROLES = {
    "town": "town_officer",
    "county": "county_officer",
    "second": "county_officer",
    "reviewer": "supervisor",
    "worker": "caseworker",
    "partner": "caseworker",
}
# A bank that takes everybody in one file, and one with a control sum and few lines a file.
BANK_FORM = {
    "code": "year", "zh": "县农商行", "en": "The county's bank", "format": "csv", "encoding": "gbk", "separator": "|",
    "headings": False, "control": "fen", "mostLines": 5000,
    "columns": [{"field": "reference"}, {"field": "payee"}, {"field": "account"}, {"field": "fen"}],
    "answer": {
        "reference": "业务编号", "yuan": "金额", "result": "结果", "reason": "失败原因", "paid": ["成功"],
        "returned": ["失败", "退票"],
    },
}  # fmt: skip


@dataclass
class Home:
    """`amounts` are its decisions, as the replay means them: what is paid from a month on."""

    place: int
    programme: str
    income_fen: int
    card: str
    amounts: list[tuple[date, int]] = field(default_factory=list)
    # The ground of its stop.
    stopped_by: str | None = None
    # What a visit found stands: another income would need a reason of two people.
    is_visited: bool = False

    @property
    def household_id(self) -> UUID:
        return make_id("home", self.place)

    @property
    def case_id(self) -> UUID:
        return make_id("case", self.place)

    @property
    def head(self) -> str:
        return f"溪{self.place}"

    def decide(self, month: date, amount_fen: int) -> None:
        """A decision counts from its month on, over all that was decided before it."""
        self.amounts = [entry for entry in self.amounts if entry[0] < month] + [(month, amount_fen)]

    def owed_fen(self, month: date) -> int:
        return next((fen for since, fen in reversed(self.amounts) if since <= month), 0)

    @property
    def last_fen(self) -> int:
        return self.amounts[-1][1]


def make_id(kind: str, place: int) -> UUID:
    return UUID(hashlib.md5(f"year-{kind}-{place}".encode(), usedforsecurity=False).hexdigest())


def staff_id(name: str) -> UUID:
    return make_id(name, 0)


def invent_homes(count: int, first: date, every_urban: int) -> list[Home]:
    homes = []
    for place in range(count):
        programme = "rural" if (place + 1) % every_urban else "urban"
        income_fen = place % MOST_INCOMES * STEP_FEN
        home = Home(place, programme, income_fen, f"62220200{place:011d}")
        home.decide(first, PEOPLE * STANDARD_FEN[programme] - income_fen)
        homes.append(home)
    return homes


def village_of(place: int) -> str:
    village = place // HOMES_A_VILLAGE
    return f"{COUNTY}{101 + village % TOWNS:03d}{200 + village // TOWNS:03d}"


_HOME = "md5('year-home-' || n)::uuid"
_VILLAGE = (
    f"'{COUNTY}' || to_char(101 + n / {HOMES_A_VILLAGE} % {TOWNS}, 'FM000')"
    f" || to_char(200 + n / {HOMES_A_VILLAGE} / {TOWNS}, 'FM000')"
)
_INCOME = f"(n % {MOST_INCOMES} * {STEP_FEN})"
_PROGRAMME = "CASE (n + 1) % :every WHEN 0 THEN 'urban' ELSE 'rural' END"
_AMOUNT = (
    f"({PEOPLE} * CASE (n + 1) % :every WHEN 0 THEN {STANDARD_FEN['urban']} ELSE {STANDARD_FEN['rural']} END"
    f" - {_INCOME})"
)
_HOMES = "generate_series(0, :homes - 1) n"
# Their decisions come before any that is made later: ids are compared.
_OLD_ID = "('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid"
_FILL = [
    "INSERT INTO area (code, name, parent_code) VALUES ('33', '省', NULL), ('3399', '市', '33') ON CONFLICT DO NOTHING",
    f"INSERT INTO area (code, name, parent_code) VALUES ('{COUNTY}', '年县', '3399')",
    f"INSERT INTO area (code, name, parent_code) SELECT DISTINCT left({_VILLAGE}, 9), '年镇' || left({_VILLAGE}, 9),"
    f" '{COUNTY}' FROM {_HOMES}",
    f"INSERT INTO area (code, name, parent_code) SELECT DISTINCT {_VILLAGE}, '年村' || {_VILLAGE}, left({_VILLAGE}, 9)"
    f" FROM {_HOMES}",
    f"""INSERT INTO household (id, number, area_code, head_name, address, datum, relative_on_staff, class,
        monthly_amount_fen, latitude, longitude, updated_at)
    SELECT {_HOME}, 'NN-' || to_char(n, 'FM000000'), {_VILLAGE}, '溪' || n, n || '号', 'wgs84', false, 'B', {_AMOUNT},
        28.9 + n % 60 * 1e-3, 118.9 + n / 60 * 1e-3, :since FROM {_HOMES}""",
    f"""INSERT INTO household_member (id, household_id, position, name, relation, sex, born_on)
    SELECT md5('year-member-' || n || '-' || position)::uuid, {_HOME}, position,
        '溪' || n || CASE position WHEN 0 THEN '' ELSE '家' || position END,
        CASE position WHEN 0 THEN 'head' ELSE 'child' END, 'male', '1980-01-01'
    FROM {_HOMES}, generate_series(0, {PEOPLE - 1}) position""",
    f"""INSERT INTO income_item (id, household_id, kind, category, period, declared_fen, verified_fen)
    SELECT md5('year-income-' || n)::uuid, {_HOME}, 'property', '', 'month', {_INCOME}, {_INCOME} FROM {_HOMES}""",
    f"""INSERT INTO case_file (id, number, household_id, area_code, state, applied_on, rules_on, updated_at, programme,
        amount_fen, decided_on, paid_from)
    SELECT md5('year-case-' || n)::uuid, 'NQ-' || to_char(n, 'FM000000'), {_HOME}, {_VILLAGE}, 'in_force',
        CAST(:first AS date) - 60, CAST(:first AS date) - 60, :since, {_PROGRAMME}, {_AMOUNT},
        CAST(:first AS date) - 20, :first FROM {_HOMES}""",
    f"""INSERT INTO benefit_change (id, case_id, household_id, area_code, kind, month, before_fen, amount_fen, people,
        reason, class, decided_on, in_effect_at)
    SELECT {_OLD_ID}, md5('year-case-' || n)::uuid, {_HOME}, {_VILLAGE}, 'granted', :first, 0, {_AMOUNT}, {PEOPLE},
        '审核确认', 'B', CAST(:first AS date) - 20, :since FROM {_HOMES}""",
]


async def write_county(services: Services, homes: list[Home], first: date, since: datetime, every_urban: int) -> None:
    """Write the county as it is on the day before the first month."""
    values = {"homes": len(homes), "first": first, "since": since, "every": every_urban}
    async with open_session(services.sessions) as session:
        for statement in _FILL:
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            await session.execute(text(statement).bindparams(**used))
        for name, role in ROLES.items():
            await session.execute(
                text("INSERT INTO staff (id, login, name) VALUES (:id, :login, :name)").bindparams(
                    id=staff_id(name), login=f"year-{name}", name=f"年{name}"
                )
            )
            await session.execute(
                text("INSERT INTO staff_role (id, staff_id, role, area_code) VALUES (:id, :staff, :role, :area)")
                .bindparams(id=make_id(f"role-{name}", 0), staff=staff_id(name), role=role, area=COUNTY)
            )  # fmt: skip
        await _write_rules(session)
        await _write_accounts(session, services.encryption, homes)
        await publish(session, msgspec.convert(_TEMPLATE, Template))


_RULES: dict[str, Any] = {
    "amount.standard_fen": STANDARD_FEN,
    "case.come_back_months": 6,
    "review.undo_s": 0,
    "roster.bank_forms": [BANK_FORM],
}
_TEMPLATE = {
    "code": CHECKLIST,
    "kind": "review",
    "version": 1,
    "title": {"zh": "复核", "en": "Review"},
    "sections": [
        {
            "id": "all",
            "title": {"zh": "收入", "en": "Income"},
            "questions": [
                {
                    "id": "found", "kind": "money", "required": True, "feeds": "property_month",
                    "label": {"zh": "财产净收入（月）", "en": "Income of property, a month"},
                }
            ],
        }
    ],
}  # fmt: skip
_ACCOUNTS_AT_ONCE = 1000


async def _write_rules(session: AsyncSession) -> None:
    for key, value in _RULES.items():
        session.add(
            PolicySetting(key=key, area_code=COUNTY, effective_from=date(2020, 1, 2), value=value, source="县政府文件")
        )


async def _write_accounts(session: AsyncSession, encryption: Encryption, homes: list[Home]) -> None:
    rows = [
        {
            "household_id": home.household_id,
            "holder_name": home.head,
            "bank_name": "县农商行",
            "card_sealed": encryption.seal("bank_account.card", home.household_id, home.card),
            "card_mask": mask_card(home.card),
            "card_index": encryption.index("bank_card", home.card),
        }
        for home in homes
    ]
    for start in range(0, len(rows), _ACCOUNTS_AT_ONCE):
        await session.execute(insert(BankAccount), rows[start : start + _ACCOUNTS_AT_ONCE])
