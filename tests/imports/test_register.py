"""An office's own register of recipients: read in every common form, compared, taken over, undone."""

import io
from datetime import date, timedelta
from uuid import uuid4

import pytest
from openpyxl import Workbook
from sqlalchemy import select

from server.core.database import open_session
from server.core.id_numbers import make_id_number
from server.models.benefits import BenefitChange
from server.models.cases import BankAccount, CaseFile
from server.models.households import Household
from tests.core.test_spreadsheet_reader import OLD_WORKBOOK
from tests.identity.test_accounts import GOOD, create, set_password
from tests.imports.test_imports import apply, lines_of, preview, workbook

COUNTY, VILLAGE = "339901", "339901001001"
HEADINGS = [
    "户编号",
    "姓名",
    "与户主关系",
    "身份证号",
    "所在村（社区）",
    "住址",
    "月保障金额（元）",
    "享受开始年月",
    "开户银行",
    "银行账号",
    "包户人员",
]
CARD = "6217000010000000003"


def id_of(number, born=date(1950, 3, 4)):
    return make_id_number(COUNTY, born, number)


def home(number, *members, amount=300, since="2019年5月", village=VILLAGE, card=None, holder=None):
    """The rows of a household whose first member is its head."""
    first, *others = members
    rows = [
        [
            number,
            first[0],
            "户主",
            first[1],
            village,
            "幸福路1号",
            amount,
            since,
            "砚州农商行" if card else None,
            card,
            holder,
        ]
    ]
    return rows + [[number, name, "子女", id_number, village] for name, id_number in others]


@pytest.fixture
async def second_officer(system, admin):
    """Another county officer: what brings amounts needs two."""
    roles = [{"role": "county_officer", "areaCode": COUNTY}]
    link = await create(admin, {"id": str(uuid4()), "login": "second-county", "name": "岑夏木", "roles": roles})
    await set_password(system, link["token"])
    return await system.open_desk("second-county", GOOD)


async def test_households_are_read_and_each_bad_cell_is_named_while_no_good_row_is(county_desk):
    good = home("A-1", ("甲木", id_of(1)), ("乙木", id_of(2, date(1980, 1, 1))), card=CARD)
    rows = [
        HEADINGS,
        *good,
        *home("A-2", ("丙木", id_of(3)[:-1] + "10"[id_of(3)[-1] == "1"])),
        *home("A-3", ("丁木", float(id_of(4)[:17] + "0"))),
        *home("A-4", ("戊木", id_of(1))),
        *home("A-5", ("己木", id_of(5)), amount="三百六"),
        *home("A-6", ("庚木", id_of(6)), village="无此村"),
        *home("A-7", ("辛木", id_of(7)), holder="查无此人"),
        *home("A-8", ("壬木", None)),
        *home("A-9", ("癸木", id_of(9)), since="去年"),
        *home("B-1", ("子木", id_of(10)), amount="３00.50元"),
    ]
    batch = await preview(county_desk, "register", workbook(*rows, title="云栖县低保花名册"))
    refused = await lines_of(county_desk, batch, outcome="refused")
    assert [(line["title"], fault["address"], fault["code"]) for line in refused for fault in line["faults"]] == [
        ("丙木", "D5", "id.check_digit"),
        ("丁木", "D6", "number.rounded"),
        ("戊木", "D7", "line.twice"),
        ("己木", "G8", "amount.unclear"),
        ("庚木", "E9", "area.unknown"),
        ("辛木", "K10", "staff.unknown"),
        ("壬木", "D11", "cell.empty"),
        ("癸木", "H12", "cell.not_a_date"),
    ]
    assert [line["title"] for line in await lines_of(county_desk, batch, outcome="new")] == ["甲木", "子木"]
    assert batch["needsSecondPerson"] is True


async def test_a_household_is_taken_over_as_a_case_in_force_that_never_counts_as_new(
    system, services, county, county_desk, second_officer, phone, today
):
    holder = next(person.login for person in county.staff if person.name == phone.signed_in["name"])
    rows = [HEADINGS, *home("A-1", ("甲木", id_of(1)), ("乙木", id_of(2, date(1980, 1, 1))), card=CARD, holder=holder)]
    batch = await preview(county_desk, "register", workbook(*rows))
    own = await county_desk.http.post(f"/desk/v1/imports/{batch['id']}/confirm", json={})
    assert (own.status_code, own.json()["code"]) == (403, "import.second_person")
    done = await apply(system, second_officer, batch)
    assert (done["state"], done["counts"]) == ("applied", {"new": 1, "applied": 1})
    async with open_session(services.sessions) as session:
        household = (await session.scalars(select(Household).where(Household.number == "A-1"))).one()
        case = (await session.scalars(select(CaseFile).where(CaseFile.household_id == household.id))).one()
        assert (case.state, case.amount_fen, case.paid_from) == ("in_force", 30000, date(2019, 5, 1))
        change = (await session.scalars(select(BenefitChange).where(BenefitChange.case_id == case.id))).one()
        assert (change.kind, change.people) == ("taken_over", 2)
        account = await session.get_one(BankAccount, household.id)
        assert services.encryption.open("bank_account.card", household.id, account.card_sealed) == CARD
    assert str(household.id) in await phone.pull("households")
    totals = await county_desk.http.get(
        "/desk/v1/benefit-changes/totals", params={"since": "2019-01-01", "until": str(today)}
    )
    assert {kind["kind"]: kind["households"] for kind in totals.json()["kinds"]}["granted"] == 0
    again = await preview(county_desk, "register", workbook(*rows))
    assert again["counts"] == {"unchanged": 1, "applied": 0}


async def test_an_import_of_households_is_undone_until_somebody_acts(system, services, county_desk, second_officer):
    rows = [HEADINGS, *home("A-1", ("甲木", id_of(1))), *home("A-2", ("丙木", id_of(3)))]
    batch = await preview(county_desk, "register", workbook(*rows))
    await apply(system, second_officer, batch)
    undone = await county_desk.http.post(f"/desk/v1/imports/{batch['id']}/undo", json={"reason": "试录"})
    assert undone.json()["state"] == "undone", undone.text
    async with open_session(services.sessions) as session:
        assert (await session.scalars(select(Household.id).where(Household.number.in_(["A-1", "A-2"])))).all() == []


async def test_what_may_be_the_same_person_is_doubtful_and_taken_only_when_chosen(county, county_desk, today):
    someone = next(household for household in county.households if household.monthly_amount_fen)
    person = someone.members[0]
    rows = [
        HEADINGS,
        *home("A-1", ("甲木", person.id_number)),
        *home("A-2", (person.name, id_of(77, person.born_on))),
        *home("A-3", ("丙木", id_of(3)), amount=999_999),
        *home("A-4", ("丁木", id_of(4)), since=(today + timedelta(days=400)).isoformat()),
    ]
    batch = await preview(county_desk, "register", workbook(*rows))
    doubtful = await lines_of(county_desk, batch, outcome="doubtful")
    codes = [[fault["code"] for fault in line["faults"]] for line in doubtful]
    assert codes[-3:] == [["member.alike"], ["amount.above_standard"], ["since.in_future"]]


async def test_several_members_in_columns_of_one_row_and_merged_cells_are_read(county_desk):
    book = Workbook()
    sheet = book.active
    sheet.append(["户主姓名", "姓名", "身份证号", "村（社区）", "家庭成员1姓名", "家庭成员1身份证号", "家庭成员1关系"])
    sheet.append(["甲木", "甲木", id_of(1), VILLAGE, "乙木", id_of(2), "配偶"])
    sheet.append(["丙木", "丙木", id_of(3), VILLAGE])
    sheet.append([None, "丁木", id_of(4), VILLAGE])
    sheet.merge_cells("A3:A4")
    out = io.BytesIO()
    book.save(out)
    batch = await preview(county_desk, "register", out.getvalue())
    assert batch["counts"] == {"new": 2, "applied": 0}


async def test_an_old_xls_is_read_and_an_id_number_that_it_rounded_is_named_by_its_cell(county_desk):
    batch = await preview(county_desk, "register", OLD_WORKBOOK.read_bytes(), name="低保名册.xls")
    lines = {line["title"]: line for line in await lines_of(county_desk, batch)}
    assert lines["甲木"]["outcome"] == "new"
    faults = {(fault["address"], fault["code"]) for fault in lines["丙木"]["faults"]}
    assert ("D5", "number.rounded") in faults
