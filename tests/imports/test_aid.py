"""What other offices gave comes in by their own files: matched by ID number, confirmed by a second person."""

import pytest
from sqlalchemy import select, update

from server.core.database import open_session
from server.models.aid import AidBatch, AidLine
from server.models.households import Household, HouseholdMember
from tests import days
from tests.imports.test_imports import apply, lines_of, preview, workbook
from tests.makers.aid import AidOffice
from tests.makers.homes import id_of
from tests.makers.rosters import PILOT, RosterOffice

HEADINGS = ["身份证号码", "姓名", "救助类型", "救助原因", "救助时间", "救助金额", "数量", "领取人", "与户主关系"]


@pytest.fixture
async def aid(office, system, services) -> AidOffice:
    return AidOffice(await RosterOffice(office, system, services).open())


async def give_number(aid, place=0) -> str:
    """An ID number for the spouse of a home."""
    number = id_of(71 + place)
    encryption = aid.pay.services.encryption
    member_id = aid.homes[place].spouse_id
    async with open_session(aid.pay.services.sessions) as session:
        await session.execute(
            update(HouseholdMember)
            .where(HouseholdMember.id == member_id)
            .values(
                id_number_sealed=encryption.seal("household_member.id_number", member_id, number),
                id_number_index=encryption.index("id_number", number),
            )
        )
    return number


def day():
    return days.month().isoformat()


async def test_a_file_of_another_office_becomes_batches_that_two_people_stand_for(aid, system):
    number, home = await give_number(aid), aid.homes[0]
    content = workbook(
        ["某县医疗保障局救助名单"],
        HEADINGS,
        [number, home.spouse, "医疗救助", "", day(), "1,250.50", "", "", ""],
        [number, home.spouse, "临时救助", "疾病", day(), "800", "", "邹小路", "侄子"],
        [number, "别的名字", "教育救助", "", day(), "500元", "", "", ""],
        ["11010519491231002X", "外人", "医疗救助", "", day(), "100", "", "", ""],
        [number, home.spouse, "慈善", "", day(), "100", "", "", ""],
        [number, home.spouse, "临时救助", "", day(), "100", "", "", ""],
        [number, home.spouse, "面粉", "", day(), "", "1,5", "", ""],
    )
    batch = await preview(aid.town, "aid", content, area=PILOT)
    assert batch["needsSecondPerson"]
    lines = await lines_of(aid.town, batch)
    assert [line["outcome"] for line in lines] == ["new", "new", "doubtful", *["refused"] * 4]
    faults = [[(fault["column"], fault["code"]) for fault in line["faults"]] for line in lines]
    assert faults == [
        [],
        [],
        [("姓名", "name.differs")],
        [("身份证号", "person.unknown")],
        [("救助种类", "cell.not_listed")],
        [("事由", "cell.not_listed")],
        [("数量", "cell.not_a_number")],
    ]
    path = f"/desk/v1/imports/{batch['id']}/confirm"
    assert (await aid.town.http.post(path, json={})).json()["code"] == "import.second_person"
    applied = await apply(system, aid.county, batch)
    assert (applied["state"], applied["counts"]["applied"]) == ("applied", 2)
    ledger = {line["kindZh"]: line for line in await aid.lines()}
    medical, temporary = ledger["医疗救助"], ledger["临时救助"]
    assert (medical["givenFen"], medical["memberName"], medical["recipient"]) == (1_250_50, home.spouse, "member")
    assert (temporary["causeZh"], temporary["recipientName"], temporary["relation"]) == ("疾病", "邹小路", "侄子")
    assert {line["source"] for line in ledger.values()} == {"import"}
    async with aid.pay.services.sessions() as session:
        for made in await session.scalars(select(AidBatch)):
            assert (made.source, made.state, made.prepared_by != made.released_by) == ("import", "closed", True)
    assert sum(row["fen"] for row in await aid.report()) == 1_250_50 + 800_00


async def test_the_same_file_again_is_doubtful_line_by_line(aid, system):
    number, home = await give_number(aid), aid.homes[0]
    content = workbook(HEADINGS, [number, home.spouse, "医疗救助", "", day(), "300", "", "", ""])
    await apply(system, aid.county, await preview(aid.town, "aid", content, area=PILOT))
    again = await preview(aid.town, "aid", content, area=PILOT)
    (line,) = await lines_of(aid.town, again)
    assert (line["outcome"], [fault["code"] for fault in line["faults"]]) == ("doubtful", ["line.twice"])
    await apply(system, aid.county, again)
    assert len(await aid.lines()) == 1


async def test_an_import_is_undone_until_somebody_acted_on_it(aid, system):
    number, home = await give_number(aid), aid.homes[0]
    content = workbook(HEADINGS, [number, home.spouse, "医疗救助", "", day(), "300", "", "", ""])
    batch = await preview(aid.town, "aid", content, area=PILOT)
    await apply(system, aid.county, batch)
    undo = {"reason": "发错了文件"}
    assert (await aid.county.http.post(f"/desk/v1/imports/{batch['id']}/undo", json=undo)).json()["code"] == (
        "import.second_person"
    )
    assert (await aid.town.http.post(f"/desk/v1/imports/{batch['id']}/undo", json=undo)).status_code == 200
    async with aid.pay.services.sessions() as session:
        assert list(await session.scalars(select(AidLine))) == []
        assert list(await session.scalars(select(AidBatch))) == []
    again = await preview(aid.town, "aid", content, area=PILOT)
    await apply(system, aid.county, again)
    (line,) = await aid.lines()
    taken = await aid.town.http.post(f"/desk/v1/aid-lines/{line['id']}/take-back", json={"reason": "已退款"})
    assert taken.status_code == 200
    refused = await aid.town.http.post(f"/desk/v1/imports/{again['id']}/undo", json=undo)
    assert refused.json()["code"] == "import.acted_upon"


async def test_aid_of_a_home_that_was_merged_twice_since_goes_to_the_last_and_to_the_same_person(aid, system):
    number, (home, between, last, *_) = await give_number(aid), aid.homes
    content = workbook(HEADINGS, [number, home.spouse, "医疗救助", "", day(), "300", "", "", ""])
    batch = await preview(aid.town, "aid", content, area=PILOT)
    encryption = aid.pay.services.encryption
    async with open_session(aid.pay.services.sessions) as session:
        for gone, kept in ((home, between), (between, last)):
            moved = update(Household).where(Household.id == gone.household_id)
            await session.execute(moved.values(merged_into=kept.household_id))
        member = update(HouseholdMember)
        await session.execute(member.where(HouseholdMember.id == home.spouse_id).values(id_number_index=None))
        twin = member.where(HouseholdMember.id == last.spouse_id)
        await session.execute(twin.values(id_number_index=encryption.index("id_number", number)))
    await apply(system, aid.county, batch)
    async with aid.pay.services.sessions() as session:
        (line,) = await session.scalars(select(AidLine))
    assert (line.household_id, line.member_id) == (last.household_id, last.spouse_id)


async def test_people_that_are_no_plain_digits_are_refused(aid, system):
    number, home = await give_number(aid), aid.homes[0]
    content = workbook([*HEADINGS, "人数"], [number, home.spouse, "医疗救助", "", day(), "300", "", "", "", "፩"])
    (line,) = await lines_of(aid.town, await preview(aid.town, "aid", content, area=PILOT))
    assert (line["outcome"], line["faults"][0]["code"]) == ("refused", "cell.not_a_number")


async def test_what_another_office_gave_twice_is_a_finding_of_its_batch(aid, system):
    number, home = await give_number(aid), aid.homes[0]
    await aid.handed_out("education", eachFen=500_00, householdIds=[str(home.household_id)])
    content = workbook(HEADINGS, [number, home.spouse, "教育救助", "", day(), "400", "", "", ""])
    await apply(system, aid.county, await preview(aid.town, "aid", content, area=PILOT))
    line = next(line for line in await aid.lines() if line["source"] == "import")
    (finding,) = await aid.findings({"id": line["batchId"]})
    assert (finding["code"], finding["headName"]) == ("twice_in_month", home.head)
