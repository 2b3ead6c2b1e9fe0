"""Work beside the visits on a phone: recorded without a network, kept, sent once, read back and amended."""

from playwright.async_api import Locator, Page, ViewportSize, expect

from tests.makers.records import make_record
from tests.web.browser import fill_question, find_faults, find_small_targets, shoot

LARGE: ViewportSize = {"width": 390, "height": 844}
SMALL: ViewportSize = {"width": 360, "height": 640}


async def fill_record(page: Page, phone, kind: str, pictures) -> dict:
    """Answer every question that the screen asks, as an example does."""
    checklist = next(item for item in (await phone.pull("checklists")).values() if item["kind"] == kind)
    answers = (await make_record(phone, kind)).record["answers"]
    for question in checklist["body"]["sections"][0]["questions"]:
        field = page.locator(f"#q-{question['id']}")
        if question["id"] in answers and await field.count():
            await fill_question(field, question, answers[question["id"]], pictures)
    return answers


async def look(page: Page, name: str) -> list[str]:
    faults = []
    for size in (LARGE, SMALL):
        await page.set_viewport_size(size)
        faults += [*await find_faults(page), *await find_small_targets(page)]
        await shoot(page, f"phone-{name}-{size['width']}", full_page=size == LARGE)
    return faults


async def expect_verified_photo(page: Page, desk, record_id: str) -> None:
    """Wait until the desk's record has its one photo, verified, and the place."""
    for _ in range(60):
        detail = (await desk.http.get(f"/desk/v1/records/{record_id}")).json()
        if detail["photos"][0]["state"] == "verified":
            break
        await page.wait_for_timeout(1000)
    assert [photo["state"] for photo in detail["photos"]] == ["verified"]
    assert detail["place"] is not None


async def amend_copies(page: Page, row: Locator) -> None:
    await row.click()
    await page.get_by_role("button", name="补正").click()
    await page.fill("textarea[name=amendWhy]", "份数写错")
    await page.fill("#in-leaflet_copies", "77")
    await page.get_by_role("button", name="提交").click()
    await expect(page.locator(".tag", has_text="已补正")).to_be_visible(timeout=30_000)


async def test_publicity_is_recorded_offline_and_reaches_the_desk_once(handset, phone, desk, due, home, pictures):
    await handset.stand_at(home, metres_north=40)
    page = await handset.sign_in(due.caseworker_login)
    await page.locator(".tabs").get_by_text("其他工作").click()
    begin = page.get_by_role("button", name="政策宣传")
    await expect(begin).to_be_visible(timeout=30_000)
    assert await look(page, "work") == []
    await handset.offline()
    await begin.click()
    await expect(page.locator("#q-leaflet")).to_be_visible()
    await page.get_by_role("button", name="提交").click()
    await expect(page.get_by_text("还缺")).to_be_visible()
    await page.get_by_role("button", name="获取定位").click()
    await expect(page.get_by_text("精度 ±9 米")).to_be_visible()
    answers = await fill_record(page, phone, "publicity", pictures)
    assert await look(page, "record") == []

    # Closed and opened again without a network, it is there as it was.
    await page.reload()
    await expect(page.locator("#in-people_reached")).to_have_value(str(answers["people_reached"]))
    await expect(page.locator(".shots li")).to_have_count(1)
    await page.get_by_role("button", name="提交").click()
    await expect(page.locator(".tag", has_text="待上传")).to_be_visible()
    assert await look(page, "record-sent") == []
    await page.goto(f"{handset.url}/m/outbox")
    await expect(page.get_by_text("其他工作记录")).to_be_visible()
    assert await look(page, "outbox-record") == []

    await handset.offline(is_offline=False)
    await page.evaluate("dispatchEvent(new Event('online'))")
    await expect(page.get_by_text("其他工作记录")).to_have_count(0, timeout=60_000)
    await page.goto(f"{handset.url}/m/work")
    row = page.locator(".row", has_text="政策宣传").last
    await expect(row).to_contain_text("已收到", timeout=30_000)
    [line] = (await desk.http.get("/desk/v1/records", params={"kind": "publicity"})).json()["items"]
    await expect_verified_photo(page, desk, line["id"])

    await amend_copies(page, row)
    detail = (await desk.http.get(f"/desk/v1/records/{line['id']}")).json()
    assert (detail["state"], detail["amendedBecause"], len(detail["earlier"])) == ("amended", "份数写错", 1)


async def test_a_meeting_names_people_and_a_draft_waits_in_the_outbox(handset, phone, due, home, pictures):
    await handset.stand_at(home)
    page = await handset.sign_in(due.caseworker_login)
    await page.locator(".tabs").get_by_text("其他工作").click()
    await page.get_by_role("button", name="评议小组会议").click(timeout=30_000)
    await page.fill("input[name=people]", "吴麦青、郑稻声")
    await page.get_by_role("button", name="加入").click()
    await page.get_by_role("button", name="从家庭名单选").click()
    await page.locator("input[type=search]").fill(home["headName"])
    await page.locator("label.choice", has_text=home["members"][0]["name"]).first.click()
    await expect(page.get_by_text("已填 3 人")).to_be_visible()
    await fill_record(page, phone, "meeting", pictures)
    assert await look(page, "meeting") == []
    await page.goto(f"{handset.url}/m/outbox")
    await page.locator(".row", has_text="评议小组会议").click()
    await expect(page.get_by_text("已填 3 人")).to_be_visible()
    await page.get_by_role("button", name="删除这份记录").click()
    await page.get_by_role("button", name="删除", exact=True).click()
    await expect(page.get_by_role("button", name="政策宣传")).to_be_visible()
