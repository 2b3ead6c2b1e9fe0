"""The tab of cases whose amount would be another by today's rules, and the dialog that confirms the programme."""

import re

from playwright.async_api import expect

from server.core.clock import utc_now
from server.core.working_days import day_of
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, shoot


async def test_a_raised_standard_shows_who_would_get_more_and_opens_the_case(at_desk, office):
    await office.rule("amount.standard_fen", 99_000, since=day_of(utc_now()).replace(day=1))
    page = await at_desk("maohetang", "county_officer", "/cases")
    await page.get_by_role("tab", name="金额不符").press("Enter")
    row = page.locator("tbody tr", has_text="应高于现发").first
    await expect(row).to_be_visible()
    faults = await find_faults(page)
    await shoot(page, "desk-differing-amounts")
    await row.press("Enter")
    await page.wait_for_url("**/desk/cases/*")
    await page.get_by_role("button", name="确认城乡类别").click()
    dialog = dialog_of(page)
    await dialog.get_by_label(re.compile("^城乡类别")).select_option(label="农村低保")
    await expect(dialog.get_by_role("button", name="确定")).to_be_disabled()
    await dialog.get_by_label("理由").fill("户口簿为农业户口")
    await shoot(page, "desk-programme")
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_text("农村低保", exact=True)).to_be_visible()
    assert faults == []
