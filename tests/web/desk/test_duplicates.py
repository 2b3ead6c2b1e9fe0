"""Households that may be the same, at the desk: judged, merged by two people at two desks, looked at and undone."""

from datetime import date

from playwright.async_api import expect

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.services import open_services
from server.households.find_duplicates import search_duplicates
from tests.makers.homes import id_of, make_home
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, open_door, said, shoot

BORN = date(1960, 5, 6)


async def test_two_people_merge_a_household_that_was_written_twice(at_desk, settings):
    async with open_services(settings) as services:
        await make_home(
            services, "A-1", ("农清禾", BORN, id_of(1)), ("农小满", date(1990, 1, 1), None), phone="19900001234"
        )
        await make_home(services, "A-2", ("农清荷", BORN, None), phone="19900001234")
        await make_home(services, "A-3", ("潘立夏", date(1971, 1, 1), id_of(3)))
        await make_home(services, "A-4", ("潘立夏", date(1971, 1, 1), id_of(3)))
        async with open_session(services.sessions) as session:
            await search_duplicates(session, utc_now())
    town = await at_desk("panhuaixu", "town_officer")
    await open_door(town, "疑似重复")
    await expect(town.get_by_role("row", name="农清荷")).to_contain_text("姓名同音、出生日期相同")
    faults = {"pairs": await find_faults(town)}
    await shoot(town, "desk-duplicates")
    await town.get_by_role("row", name="农清荷").press("Enter")
    dialog = dialog_of(town)
    await dialog.get_by_label("A-1 农清禾").check()
    await dialog.get_by_label("合并理由").fill("同一户登记了两次")
    faults["pair"] = await find_faults(town)
    await shoot(town, "desk-duplicates-pair")
    await dialog.get_by_role("button", name="提出合并").press("Enter")
    await expect(town.get_by_role("row", name="同一户登记了两次")).to_be_visible()
    county = await at_desk("maohetang", "county_officer")
    await open_door(county, "疑似重复")
    await county.get_by_label("显示").select_option(label="待确认的合并")
    await county.get_by_role("row", name="同一户登记了两次").press("Enter")
    await expect(dialog_of(county)).to_contain_text("两户中的同一人：农清荷／农清禾")
    faults["merge"] = await find_faults(county)
    await shoot(county, "desk-duplicates-merge")
    await dialog_of(county).get_by_role("button", name="确认合并").press("Enter")
    await said(county, "已办理")
    assert not any(faults.values()), faults
