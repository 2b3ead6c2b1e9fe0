"""Areas at the desk: who works where, a new name, a move to another town by two people."""

from playwright.async_api import expect

from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, open_door, said, shoot


async def test_a_village_is_renamed_and_its_move_to_another_town_is_proposed(at_desk):
    page = await at_desk("maohetang", "county_officer")
    await open_door(page, "地区")
    village = page.get_by_role("row", name="339901001001")
    await expect(village).to_be_visible()
    faults = {"areas": await find_faults(page)}
    await shoot(page, "desk-areas")
    await village.press("Enter")
    await dialog_of(page).get_by_label("名称").fill("禾新社区")
    await dialog_of(page).get_by_role("button", name="保存").press("Enter")
    await said(page, "已保存")
    await expect(village).to_contain_text("禾新社区")
    await village.press("Enter")
    dialog = dialog_of(page)
    await dialog.get_by_label("划转到别的乡镇").check()
    await dialog.get_by_label("在新乡镇下的代码").fill("339901100299")
    await dialog.get_by_label("依据").fill("县政府〔文〕1号")
    faults["dialog"] = await find_faults(page)
    await shoot(page, "desk-areas-move")
    await dialog.get_by_role("button", name="提出").press("Enter")
    await said(page, "待另一人确认")
    await page.get_by_label("显示").select_option(label="区划调整")
    change = page.get_by_role("row", name="县政府〔文〕1号")
    await expect(change).to_contain_text("待确认")
    await change.press("Enter")
    await expect(dialog_of(page)).to_contain_text("须由另一人确认")
    faults["change"] = await find_faults(page)
    await shoot(page, "desk-areas-change")
    assert not any(faults.values()), faults
