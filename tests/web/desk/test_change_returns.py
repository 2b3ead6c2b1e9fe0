"""Monthly returns of changes at the desk, and the certificate of a case."""

from playwright.async_api import expect
from sqlalchemy import update

from server.core.database import open_session
from server.models.benefits import BenefitChange
from tests import days
from tests.makers.rosters import PILOT, RosterOffice
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, shoot


async def test_a_return_is_sent_and_sent_back_and_a_certificate_is_issued(at_desk, office, services, system):
    pay = await RosterOffice(office, system, services).open(3)
    for home, kind, fen in ((pay.homes[0], "raised", 350_00), (pay.homes[1], "cut", 280_00)):
        await pay.decide(home, kind, days.month(0), fen)
    async with open_session(services.sessions) as session:
        changed = update(BenefitChange).where(BenefitChange.area_code == PILOT)
        await session.execute(changed.values(decided_on=days.month(-1)))
    town = next(staff.login for staff in office.county.staff if staff.name == pay.town.signed_in["name"])
    county = next(staff.login for staff in office.county.staff if staff.name == pay.county.signed_in["name"])
    page = await at_desk(town, "town_officer", "/change-returns")
    await page.get_by_role("row").filter(has_text="试点村").first.wait_for()
    await shoot(page, "desk-change-returns")
    faults = await find_faults(page)
    await page.get_by_role("row").filter(has_text="试点村").first.click()
    await expect(page.get_by_text("测试决定（增发）")).to_be_visible()
    await page.get_by_label("补充说明").fill("另有一户拟迁出")
    await page.get_by_role("button", name="上报", exact=True).click()
    await expect(page.get_by_text("已上报")).to_be_visible()
    page = await at_desk(county, "county_officer", f"/change-returns/{PILOT}/{days.month(-1).isoformat()}")
    await expect(page.get_by_role("button", name="办结")).to_be_visible()
    await shoot(page, "desk-change-return", full_page=True)
    faults += await find_faults(page)
    await page.get_by_role("button", name="退回").click()
    await dialog_of(page).get_by_role("textbox").fill("缺迁出户的户主姓名")
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_text("退回原因：缺迁出户的户主姓名")).to_be_visible()
    page = await at_desk(county, "county_officer", f"/cases/{pay.homes[0].case_id}")
    panel = page.get_by_test_id("certificate")
    await panel.get_by_role("button", name="发证").click()
    await dialog_of(page).get_by_role("textbox").fill("本系统之前已在保")
    await page.keyboard.press("Control+Enter")
    await expect(panel.get_by_text(f"N{PILOT[:9]}")).to_be_visible()
    await panel.scroll_into_view_if_needed()
    await shoot(page, "desk-certificate")
    faults += await find_faults(page)
    await page.goto(page.url.rsplit("/", 1)[0])
    await page.get_by_role("tab", name="低保证").click()
    await expect(page.get_by_text(f"N{PILOT[:9]}")).to_be_visible()
    await shoot(page, "desk-certificates")
    assert faults == []
