"""Groups of villages: in and out by file, with the register, on phones, and along with a village that moves."""

from uuid import UUID

from sqlalchemy import select

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.working_days import day_of
from server.directory.area_moves import move_village
from server.models.areas import AreaChange, VillageGroup
from server.models.households import Household
from tests.imports.test_imports import apply, lines_of, preview, workbook
from tests.imports.test_register import HEADINGS, home, id_of

VILLAGE, OTHER = "339901001001", "339901001002"
ROWS = [["所在村（社区）", "村民小组"], [VILLAGE, "王家湾"], [VILLAGE, 3], ["没有的村", "一组"], [VILLAGE, "三组"]]


async def bring(system, desk, *rows):
    return await apply(system, desk, await preview(desk, "groups", workbook(*rows)))


async def names_of(services, village):
    async with services.sessions() as session:
        rows = select(VillageGroup.name).where(VillageGroup.village_code == village, VillageGroup.ended_on.is_(None))
        return set(await session.scalars(rows))


async def put_into(services, home_id, name):
    async with open_session(services.sessions) as session:
        household = await session.get_one(Household, UUID(home_id))
        session.add(VillageGroup(village_code=household.area_code, name=name))
        await session.flush()
        household.group_name = name
        return household.area_code


async def test_groups_come_in_by_a_file_are_listed_with_their_homes_and_taken_back(system, services, county_desk):
    batch = await preview(county_desk, "groups", workbook(*ROWS))
    outcomes = {line["title"].split()[-1]: line["outcome"] for line in await lines_of(county_desk, batch)}
    assert {name: outcomes[name] for name in ("王家湾", "3组", "三组")} == dict.fromkeys(
        ("王家湾", "3组", "三组"), "new"
    )
    assert batch["counts"]["refused"] == 1
    applied = await apply(system, county_desk, batch)
    listed = (await county_desk.http.get("/desk/v1/village-groups", params={"area": VILLAGE})).json()["items"]
    assert [(line["name"], line["households"]) for line in listed] == [("3组", 0), ("三组", 0), ("王家湾", 0)]
    undone = await county_desk.http.post(f"/desk/v1/imports/{applied['id']}/undo", json={"reason": "传错文件"})
    assert undone.status_code == 200, undone.text
    assert await names_of(services, VILLAGE) == set()


async def test_a_renamed_group_takes_its_homes_along_to_search_and_phone(system, services, county_desk, phone):
    home_id = min(await phone.pull("households"))
    village = await put_into(services, home_id, "老湾组")
    batch = await bring(system, county_desk, ["所在村（社区）", "村民组", "原组名"], [village, "新湾组", "老湾组"])
    assert batch["state"] == "applied"
    assert (await phone.pull("households"))[home_id]["group"] == "新湾组"
    assert await names_of(services, village) == {"新湾组"}
    for query in ({"q": "新湾"}, {"area": village, "group": "新湾组"}):
        found = (await county_desk.http.get("/desk/v1/households", params=query)).json()["items"]
        assert [(line["id"], line["group"]) for line in found] == [(home_id, "新湾组")]
    assert (await county_desk.http.get("/desk/v1/households", params={"q": "老湾"})).json()["items"] == []


async def test_a_register_brings_the_groups_of_its_homes(system, services, county_desk):
    rows = [
        [*row, *[None] * (len(HEADINGS) - len(row)), "四社"] for row in home("G-1", ("甲木", id_of(1)), amount=None)
    ]
    batch = await preview(county_desk, "register", workbook([*HEADINGS, "社"], *rows))
    assert (await apply(system, county_desk, batch))["state"] == "applied"
    async with services.sessions() as session:
        stored = await session.scalar(select(Household).where(Household.number == "G-1"))
        assert (stored.area_code, stored.group_name) == (VILLAGE, "四社")


async def test_groups_go_along_with_a_village_and_take_its_name_where_theirs_is_taken(services, phone, county_desk):
    home_id = min(await phone.pull("households"))
    village = await put_into(services, home_id, "一组")
    target = OTHER if village != OTHER else VILLAGE
    async with open_session(services.sessions) as session:
        session.add(VillageGroup(village_code=target, name="一组"))
        change = AreaChange(
            id=new_id(), kind="merged", from_code=village, to_code=target, to_name="", reason="县政府〔文〕1号",
            effective_on=day_of(utc_now()), state="proposed", proposed_by=county_desk.id, proposed_at=utc_now(),
        )  # fmt: skip
        session.add(change)
        await session.flush()
        await move_village(session, change, utc_now())
    document = (await phone.pull("households"))[home_id]
    assert document["areaCode"] == target
    assert document["group"].endswith("一组")
    assert document["group"] != "一组"
    assert await names_of(services, village) == set()


async def test_a_household_is_given_a_group_of_its_village_alone(services, office, phone):
    desk = await office.person("town_officer")
    home_id = min(await phone.pull("households"))
    village = await put_into(services, home_id, "一组")
    page = (await desk.http.get(f"/desk/v1/households/{home_id}")).json()
    assert (page["areaCode"], page["group"]) == (village, "一组")
