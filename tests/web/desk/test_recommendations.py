"""The inbox of what review visits recommend: counted in the menu, each line opens the act that settles it."""

import re

from playwright.async_api import expect

from tests import days
from tests.cases.test_found_figures import FOUND, in_force_with_review
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, shoot


async def test_a_recommendation_in_the_inbox_opens_its_act_with_the_words_filled_in(at_desk, office, server):
    await in_force_with_review(office, FOUND, proposal="stop")
    page = await at_desk(await office._login("town_officer"), "town_officer", "/recommendations")
    row = page.get_by_role("row", name=re.compile("停发"))
    await expect(row).to_have_count(1)
    await expect(page.get_by_role("status").filter(has_text="待办理 1 件")).to_be_visible()
    await expect(page.get_by_role("navigation").get_by_label("1 件待办理")).to_be_visible()
    faults = await find_faults(page)
    await shoot(page, "desk-recommendations")
    await row.get_by_role("button", name="提出停发").click()
    dialog = dialog_of(page)
    await expect(dialog.get_by_label("理由（")).to_have_value(re.compile("^据 .* 复核走访建议停发。$"))
    await expect(dialog.get_by_label("自哪个月起", exact=True)).to_have_value(f"{days.month(1):%Y/%m}")
    await dialog.get_by_label("停发原因").select_option(label="收入超过标准")
    await shoot(page, "desk-recommendation-act")
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_text("待另一人决定")).to_be_visible()
    await page.goto(f"{server.url}/desk/recommendations")
    await expect(row.get_by_text("已提出")).to_be_visible()
    assert faults == []
