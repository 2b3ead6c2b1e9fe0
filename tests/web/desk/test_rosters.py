"""A roster at the desk: findings judged together, steps of two people, the bank's file and its answer."""

from playwright.async_api import expect

from tests import days
from tests.makers.rosters import RosterOffice
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, shoot


async def test_a_roster_is_judged_prepared_checked_sent_and_answered(at_desk, office, services, system):
    pay = await RosterOffice(office, system, services).open(6)
    await pay.settled(days.month(-1))
    await pay.decide(pay.homes[0], "raised", days.month(-1), 350_00)
    await pay.account(pay.homes[1], card=pay.homes[2].card, holder=pay.homes[1].spouse)
    roster = await pay.make(days.month())
    town = next(staff.login for staff in office.county.staff if staff.name == pay.town.signed_in["name"])
    county = next(staff.login for staff in office.county.staff if staff.name == pay.county.signed_in["name"])
    page = await at_desk(town, "town_officer", f"/rosters/{roster}")
    await expect(page.get_by_text("与另外 1 户同一账户").first).to_be_visible()
    await expect(page.get_by_role("button", name="提交审核")).to_be_disabled()
    faults = await find_faults(page)
    await shoot(page, "desk-roster-findings", full_page=True)
    await page.get_by_role("button", name="全选本页").click()
    await page.get_by_role("button", name="核实照发").click()
    await dialog_of(page).get_by_role("textbox").fill("已电话核实，账户由配偶代领")
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_text("没有待处理的疑点。")).to_be_visible()
    await page.get_by_role("button", name="提交审核").click()
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_text("已提交，待审核")).to_be_visible()
    await expect(page.get_by_role("button", name="审核通过")).to_have_count(0)
    page = await at_desk(county, "county_officer", f"/rosters/{roster}")
    for act, state in (("审核通过", "已审核，待发送"), ("发送", "已发送，待回盘")):
        await page.get_by_role("button", name=act, exact=True).click()
        if act == "发送":
            await expect(dialog_of(page).get_by_text("确定后不能撤回")).to_be_visible()
            await shoot(page, "desk-roster-send")
        await page.keyboard.press("Control+Enter")
        await expect(page.get_by_text(state)).to_be_visible()
    references = [line["reference"] for line in await pay.lines(roster)]
    await pay.answer(roster, dict.fromkeys(references[:-1], "成功") | {references[-1]: "失败"})
    await page.reload()
    await expect(page.get_by_text("对退回的户更正发放")).to_be_visible()
    faults += await find_faults(page)
    await shoot(page, "desk-roster-answered", full_page=True)
    await page.goto(page.url.rsplit("/", 1)[0])
    await expect(page.get_by_role("button", name="新建名册")).to_be_visible()
    await expect(page.locator("tbody tr").first).to_be_visible()
    faults += await find_faults(page)
    await shoot(page, "desk-rosters")
    assert faults == []
