"""Aid at the desk: a batch is made, judged, released by a second person, and recorded home by home."""

import re

from playwright.async_api import Page, expect

from tests.makers.aid import AidOffice
from tests.makers.rosters import RosterOffice
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, shoot


async def test_a_batch_is_made_released_and_handed_out_home_by_home(at_desk, office, services, system):
    pay = await RosterOffice(office, system, services).open(6)
    aid = AidOffice(pay)
    await aid.handed_out("flour", eachMilli=2000)
    town = next(staff.login for staff in office.county.staff if staff.name == pay.town.signed_in["name"])
    county = next(staff.login for staff in office.county.staff if staff.name == pay.county.signed_in["name"])
    page = await at_desk(town, "town_officer", "/aid")
    await expect(page.get_by_role("heading", name="救助台账")).to_be_visible()
    await expect(page.locator("tbody tr").first).to_be_visible()
    faults = await find_faults(page)
    await shoot(page, "desk-aid")
    faults += await make_batch(page)
    page = await at_desk(county, "county_officer", page.url.split("/desk", 1)[1])
    faults += await release_and_hand_out(page)
    page = await at_desk(county, "county_officer", "/aid?tab=report")
    faults += await read_report(page)
    page = await at_desk(county, "county_officer", f"/households/{pay.homes[0].household_id}")
    await expect(page.get_by_role("heading", name="救助台账")).to_be_visible()
    await expect(page.get_by_text("取暖煤")).to_be_visible()
    faults += await find_faults(page)
    await shoot(page, "desk-household-aid", full_page=True)
    assert faults == []


async def make_batch(page: Page) -> list[str]:
    """Make a batch that gives out more than was bought, judge its finding and submit it."""
    await page.get_by_role("button", name="新建批次").click()
    dialog = dialog_of(page)
    await dialog.get_by_label("地区", exact=True).last.select_option(label="试点村")
    await dialog.get_by_label("种类").select_option(label="取暖煤")
    await dialog.get_by_label("每户或每人").fill("3")
    await dialog.get_by_label("单价").fill("800")
    await dialog.get_by_label("采购数量").fill("17")
    faults = await find_faults(page)
    await shoot(page, "desk-aid-new")
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_text("核定共 18 吨，采购 17 吨")).to_be_visible()
    await expect(page.get_by_role("button", name="提交", exact=True)).to_be_disabled()
    faults += await find_faults(page)
    await shoot(page, "desk-aid-findings", full_page=True)
    await page.get_by_role("button", name="全选本页").click()
    await page.get_by_role("button", name="排除").click()
    await dialog_of(page).get_by_role("textbox").fill("差的 1 吨由镇里补足")
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_text("没有待处理的疑点。")).to_be_visible()
    await page.get_by_role("button", name="提交", exact=True).click()
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_text("已提交，待审核")).to_be_visible()
    return faults


async def release_and_hand_out(page: Page) -> list[str]:
    """Release the batch as a second person, and hand it out: once through a neighbour, then to all."""
    await page.get_by_role("button", name="核准发放").click()
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_text("已核准，发放中")).to_be_visible()
    await page.get_by_role("button", name="登记", exact=True).first.click()
    dialog = dialog_of(page)
    await dialog.get_by_label("领取人").select_option(label="代领")
    await dialog.get_by_label("姓名", exact=True).fill("邹小路")
    await dialog.get_by_label("与户主关系").fill("邻居")
    faults = await find_faults(page)
    await shoot(page, "desk-aid-handout")
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_text("邹小路").first).to_be_visible()
    await page.get_by_role("button", name="全选待发放").click()
    await page.get_by_role("button", name="登记户主今天领取").click()
    await expect(page.locator(".tag.good", has_text="已发放")).to_have_count(6)
    faults += await find_faults(page)
    await shoot(page, "desk-aid-handed-out", full_page=True)
    return faults


async def read_report(page: Page) -> list[str]:
    """Look at the report, the ledger by home and the check of figures."""
    await expect(page.get_by_text("18 吨")).to_be_visible()
    faults = await find_faults(page)
    await shoot(page, "desk-aid-report")
    await page.get_by_role("button", name="逐户台账").click()
    await expect(page).to_have_url(re.compile("tab=ledger"))
    await expect(page.locator("tbody tr").first).to_be_visible()
    faults += await find_faults(page)
    await shoot(page, "desk-aid-ledger")
    await page.get_by_role("button", name="核对数字").click()
    await page.get_by_label("核对报表数字").fill(
        "18 = 2 + 12 + 2 + 4\n300 × 46 = 13,800\n36,960/85; 43,512/86; 42,288/43"
    )
    await page.get_by_role("button", name="核对", exact=True).click()
    await expect(page.get_by_text("第 3 项与其他相差过大")).to_be_visible()
    faults += await find_faults(page)
    await shoot(page, "desk-aid-figures")
    return faults
