"""Aid is handed out on a phone without a network, home by home; the desk sees it once, with its signature."""

import asyncio

from playwright.async_api import Page, expect

from tests.makers.aid import AidOffice
from tests.makers.cases import VILLAGE
from tests.web.browser import find_faults, sign
from tests.web.desk.conftest import shoot
from tests.web.test_phone_records import look


async def hand_out_to_a_proxy(page: Page) -> list[str]:
    await page.get_by_role("button", name="获取定位").click()
    await expect(page.get_by_text("精度 ±9 米")).to_be_visible()
    await page.locator("#q-given_to label.choice", has_text="代领人").click()
    await page.fill("#in-recipient_name", "吴麦青")
    await page.fill("#in-recipient_relation", "邻居")
    await sign(page.locator("#q-sign_recipient"))
    await expect(page.locator(".signed")).to_contain_text("吴麦青")
    faults = await look(page, "handout-record")
    await page.get_by_role("button", name="提交").click()
    return faults


async def find_nobody_at_home(page):
    await page.locator(".rows .row").first.click()
    await page.get_by_role("button", name="获取定位").click()
    await expect(page.get_by_text("精度 ±9 米")).to_be_visible()
    await page.locator("#q-given_outcome label.choice", has_text="未发放").click()
    await page.fill("#in-not_given_reason", "家中无人")
    await page.get_by_role("button", name="提交").click()


async def release_to_three(aid, homes):
    village = next(home["areaCode"] for home in homes if home["areaCode"].startswith(VILLAGE[:9]))
    ids = [home["id"] for home in homes if home["areaCode"] == village][:3]
    return await aid.released("temporary", areaCode=village, householdIds=ids, eachFen=200_00, cause="illness")


async def wait_for_signature(system, aid, batch):
    for _ in range(30):
        await system.run_jobs()
        lines = await aid.lines(batch)
        if any(line["hasSignature"] for line in lines):
            break
        await asyncio.sleep(1)
    return lines


async def test_homes_are_handed_out_offline_and_reach_the_ledger_once(handset, at_desk, system, phone, due, office):
    aid = AidOffice.of(await office.person("town_officer"), await office.person("county_officer"))
    homes = sorted((await phone.pull("households")).values(), key=lambda home: home["number"])
    batch = await release_to_three(aid, homes)

    await handset.stand_at(homes[0], metres_north=30)
    page = await handset.sign_in(due.caseworker_login)
    await page.locator(".tabs").get_by_text("其他工作").click()
    task = page.locator(".row", has_text="救助发放")
    await expect(task).to_contain_text("已办 0 / 3 户", timeout=30_000)
    faults = await look(page, "handout-work")
    await handset.offline()
    await task.click()
    await expect(page.locator(".rows .row")).to_have_count(3)
    faults += await look(page, "handout-homes")
    await page.locator(".rows .row").first.click()
    await expect(page.locator(".due strong")).to_have_text("200.00 元")
    # Killed in the middle, it goes on where it was.
    await page.reload()
    faults += await hand_out_to_a_proxy(page)
    await expect(page.locator(".rows .row", has_text="待上传")).to_have_count(1)
    await find_nobody_at_home(page)
    await expect(page.locator(".rows .row", has_text="待上传")).to_have_count(2)
    faults += await look(page, "handout-offline")

    await handset.offline(is_offline=False)
    await page.evaluate("dispatchEvent(new Event('online'))")
    await expect(page.locator(".rows .row", has_text="待上传")).to_have_count(0, timeout=60_000)
    lines = await wait_for_signature(system, aid, batch)
    assert sorted(line["state"] for line in lines) == ["handed_out", "not_handed_out", "planned"]
    await expect(page.locator(".rows .row", has_text="已发放")).to_have_count(1, timeout=60_000)
    faults += await look(page, "handout-sent")

    town = next(staff.login for staff in office.county.staff if staff.name == aid.town.signed_in["name"])
    desk = await at_desk(town, "town_officer", f"/aid/{batch['id']}")
    await expect(desk.get_by_text("已入账").first).to_be_visible()
    faults += await find_faults(desk)
    await shoot(desk, "desk-aid-phone", full_page=True)
    assert faults == []
