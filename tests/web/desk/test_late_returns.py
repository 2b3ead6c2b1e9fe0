"""What the bank sent back late, and homes that come back into a roster: entered at the desk by two people."""

from playwright.async_api import expect

from tests import days
from tests.makers.rosters import RosterOffice
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, shoot


async def test_what_came_back_late_and_who_was_left_out_are_entered_by_two_people(at_desk, office, services, system):
    pay = await RosterOffice(office, system, services).open(3)
    roster = await pay.settled(days.month())
    town = next(staff.login for staff in office.county.staff if staff.name == pay.town.signed_in["name"])
    county = next(staff.login for staff in office.county.staff if staff.name == pay.county.signed_in["name"])
    page = await at_desk(town, "town_officer", f"/rosters/{roster}")
    await page.get_by_role("button", name="登记退票").first.click()
    dialog = dialog_of(page)
    await dialog.get_by_role("textbox").first.fill(days.in_days(0).isoformat())
    await dialog.get_by_role("textbox").last.fill("账户已销户")
    await shoot(page, "desk-roster-late-return")
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_text("等待另一人确认")).to_be_visible()
    faults = await find_faults(page)
    page = await at_desk(county, "county_officer", f"/rosters/{roster}")
    await page.get_by_role("button", name="确认退票").click()
    await expect(page.get_by_text("对退回的户更正发放")).to_be_visible()
    await shoot(page, "desk-roster-late-return-confirmed", full_page=True)
    following = await pay.make(days.month(1))
    line = (await pay.lines(following))[0]
    body = {"lineId": line["id"], "reason": "账户待核实"}
    await pay.town.http.post(f"/desk/v1/rosters/{following}/left-out", json=body)
    await page.goto(page.url.rsplit("/", 1)[0] + f"/{following}")
    await page.get_by_role("button", name="重新列入").click()
    await dialog_of(page).get_by_role("textbox").fill("账户已更正")
    await shoot(page, "desk-roster-readmit")
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_text("正在造册，请稍候")).to_be_visible()
    await system.run_jobs()
    await expect(page.get_by_role("button", name="剔除").first).to_be_visible()
    await expect(page.get_by_role("button", name="重新列入")).to_have_count(0)
    assert faults + await find_faults(page) == []
