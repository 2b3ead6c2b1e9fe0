"""Found against record on the page of a case: adopted, declined, and explained where the calculation differs."""

import re

from playwright.async_api import expect

from tests.cases.test_found_figures import FOUND, surveyed
from tests.makers.cases import calculated
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, said, shoot


async def test_an_officer_adopts_declines_and_explains_on_the_page_of_the_case(at_desk, office, server):
    case_id, _, _ = await surveyed(office, FOUND)
    officer = await office.person("town_officer")
    await calculated(officer, case_id)
    login = await office._login("town_officer")
    page = await at_desk(login, "town_officer")
    await page.goto(f"{server.url}/desk/cases/{case_id}")
    block = page.locator("section", has=page.get_by_role("heading", name="走访查实与登记"))
    await expect(block.get_by_role("status")).to_contain_text("370.00")
    wage = block.get_by_role("row", name=re.compile("工资性收入"))
    await expect(wage).to_contain_text("12 个月共 2,400.00 元")
    await expect(wage).to_contain_text("200.00 元/月")
    faults = await find_faults(page)

    await wage.get_by_role("button", name="采用", exact=True).click()
    await said(page, "已记下")
    await expect(wage.get_by_text("已采用")).to_be_visible()
    rent = block.get_by_role("row", name=re.compile("财产净收入"))
    await rent.get_by_role("button", name="不采用").click()
    await dialog_of(page).get_by_label("为什么不采用").fill("房屋已收回自住")
    await page.keyboard.press("Control+Enter")
    await expect(rent.get_by_text("未采用：房屋已收回自住")).to_be_visible()
    await block.get_by_role("button", name="写明理由").click()
    await dialog_of(page).get_by_label(re.compile("^理由")).fill("工资为一次性补发")
    await page.keyboard.press("Control+Enter")
    await expect(block.get_by_text("待另一人同意")).to_be_visible()
    await shoot(page, "desk-found-figures", full_page=True)
    assert faults == []
