"""The desk orders visits, sees who has what, recalls, and voids a visit made by mistake."""

import re

from playwright.async_api import expect

from tests.days import in_days
from tests.phones import make_kit
from tests.test_first_path import push_whole
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, open_door, said, shoot


async def test_visits_are_ordered_by_numbers_seen_in_the_list_and_recalled(at_desk, phone):
    homes = [home for home in (await phone.pull("households")).values() if home["class"]]
    homes = sorted(homes, key=lambda home: home["number"])[:3]
    page = await at_desk("maohetang", "county_officer")
    await open_door(page, "走访安排")
    await expect(page.locator("tbody tr").first).to_be_visible()
    faults = await find_faults(page)
    await shoot(page, "desk-orders")
    await page.get_by_role("button", name="安排走访").click()
    dialog = dialog_of(page)
    await dialog.get_by_label("类型").select_option("housing")
    await dialog.get_by_label("截止日期", exact=True).fill(f"{in_days(12):%Y%m%d}")
    await dialog.get_by_label("按档案号").check()
    await dialog.locator("textarea[name=numbers]").fill("\n".join([home["number"] for home in homes] + ["YZ-9-9"]))
    await dialog.locator("textarea[name=note]").fill("公租房年度核查")
    await dialog.get_by_role("button", name="预览").click()
    outcome = dialog.get_by_test_id("outcome")
    await expect(outcome).to_contain_text("可安排 3 户")
    await expect(outcome).to_contain_text("本地区没有此户编号")
    faults += await find_faults(page)
    await shoot(page, "desk-order-preview")
    await dialog.get_by_role("button", name="下达 3 户").click()
    await said(page, "已下达")
    await page.get_by_label("类型").select_option("housing")
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(3)
    await expect(rows.first).to_contain_text("公租房年度核查")
    await shoot(page, "desk-orders-given")
    held = [item for item in (await phone.pull("assignments")).values() if item["kind"] == "housing"]
    assert len(held) == 3

    await rows.first.get_by_role("checkbox").check()
    await page.get_by_role("button", name="收回所选 1 项").click()
    await dialog.get_by_label("原因").fill("已腾退")
    await shoot(page, "desk-order-recall")
    await dialog.get_by_role("button", name="收回走访任务").click()
    await said(page, "已收回")
    await expect(rows).to_have_count(2)
    assert len([item for item in (await phone.pull("assignments")).values() if item["kind"] == "housing"]) == 2
    assert faults == []


async def test_a_visit_to_a_home_is_ordered_from_its_page(at_desk, phone):
    home = min((home for home in (await phone.pull("households")).values() if home["class"]), key=lambda h: h["number"])
    page = await at_desk("maohetang", "county_officer", f"/households/{home['id']}")
    await page.get_by_role("button", name="安排走访").click()
    dialog = dialog_of(page)
    await dialog.get_by_label("类型").select_option("care")
    await dialog.get_by_label("截止日期", exact=True).fill(f"{in_days(5):%Y%m%d}")
    await page.keyboard.press("Tab")
    await dialog.get_by_role("button", name="预览").click()
    await expect(dialog.get_by_test_id("outcome")).to_contain_text("可安排 1 户")
    assert await find_faults(page) == []
    await dialog.get_by_role("button", name=re.compile("下达 1 户")).click()
    await said(page, "已下达")
    assert "care" in [item["kind"] for item in (await phone.pull("assignments")).values()]


async def test_a_visit_nobody_ordered_says_why_and_is_voided_with_a_reason(at_desk, system, phone, due):
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id, kind="review", assignmentId=None, unorderedReason="听邻居说老人摔伤")
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    page = await at_desk("maohetang", "county_officer", f"/visits/{kit.visit['id']}")
    await expect(page.get_by_test_id("unordered")).to_contain_text("听邻居说老人摔伤")
    assert await find_faults(page) == []
    await shoot(page, "desk-visit-unordered")
    await page.get_by_role("button", name="作废", exact=True).click()
    dialog = dialog_of(page)
    await dialog.get_by_label("理由").fill("走错了家，应为隔壁一户")
    await shoot(page, "desk-visit-void")
    assert await find_faults(page) == []
    await dialog.get_by_role("button", name="作废", exact=True).click()
    await said(page, "已作废")
    await expect(page.get_by_test_id("voided")).to_contain_text("走错了家，应为隔壁一户")
    await expect(page.get_by_role("button", name="作废", exact=True)).to_have_count(0)
    await expect(page.get_by_role("button", name="领取审核")).to_have_count(0)
    await shoot(page, "desk-visit-voided")
    assert (await phone.pull("visits"))[kit.visit["id"]]["server"]["state"] == "voided"
