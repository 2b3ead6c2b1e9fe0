"""The desk reads the work beside the visits, gives some, and sees villages without publicity."""

from playwright.async_api import expect

from tests.days import in_days
from tests.makers.records import make_record, push_record
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, open_door, shoot


async def test_a_record_is_read_with_its_photo_and_place_beside_the_tasks_and_villages(at_desk, phone, system):
    kit = await make_record(phone)
    await push_record(phone, kit)
    await system.run_jobs()
    page = await at_desk("maohetang", "county_officer")
    await open_door(page, "其他工作")
    row = page.locator("tbody tr", has_text="政策宣传").first
    await expect(row).to_be_visible()
    await expect(page.get_by_text("从未").first).to_be_visible()
    faults = await find_faults(page)
    await shoot(page, "desk-records", full_page=True)
    await row.click()
    await expect(page.get_by_role("img").first).to_be_visible()
    faults += await find_faults(page)
    await shoot(page, "desk-record", full_page=True)
    await open_door(page, "其他工作")
    await page.get_by_role("button", name="布置工作").click()
    dialog = dialog_of(page)
    await expect(dialog.get_by_text("请选到村")).to_be_visible()
    await dialog.get_by_label("期限", exact=True).fill(f"{in_days(12):%Y%m%d}")
    faults += await find_faults(page)
    await shoot(page, "desk-task")
    assert faults == []
