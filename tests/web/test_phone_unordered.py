"""A visit that nobody ordered, begun at the household's screen without a network."""

from playwright.async_api import expect

from server.core.clock import today
from tests.phones import answers_for
from tests.web.browser import fill_checklist, find_faults, find_faults_in_english, shoot


async def test_a_care_visit_is_begun_without_an_order_and_without_a_network(handset, phone, due, home, pictures):
    await handset.stand_at(home)
    page = await handset.sign_in(due.caseworker_login)
    begin = page.get_by_role("button", name="自行发起走访")
    await page.get_by_text(home["headName"]).first.click()
    await expect(begin).to_be_visible(timeout=30_000)
    await handset.offline()
    await page.reload()
    await begin.click()
    start = page.get_by_role("button", name="开始走访").last
    await expect(start).to_be_disabled()
    # What an open order of this home asks for is begun by its order.
    await expect(page.locator("label.choice", has_text="入户调查")).to_have_count(0)
    await page.locator("label.choice", has_text="慰问走访").click()
    await page.fill("textarea[name=unorderedReason]", "寒潮，独居老人")
    await shoot(page, "phone-unordered")
    assert await find_faults(page) == []
    assert await find_faults_in_english(page) == []
    await start.click()
    await expect(page.locator("textarea[name=unorderedReason]")).to_have_value("寒潮，独居老人")

    await page.get_by_role("link", name="返回").click()
    await expect(page.locator(".card", has_text="慰问走访")).to_contain_text("自行发起")
    await shoot(page, "phone-unordered-begun")
    await page.locator(".card", has_text="慰问走访").get_by_role("button", name="继续填写").click()
    await page.locator("label.choice", has_text="电话").click()
    await page.locator("textarea").first.fill("大雪封路")
    await page.get_by_role("button", name="开始走访").click()
    checklist = next(item for item in (await phone.pull("checklists")).values() if item["kind"] == "care")
    answers = answers_for(checklist, home, [], today())
    await fill_checklist(page, checklist["body"], answers, pictures)
    await page.locator(".steps button", has_text="离户提交").click()
    await page.locator("label.choice:has(input[type=checkbox])").first.click()
    await shoot(page, "phone-unordered-finish")
    await page.get_by_role("button", name="提交", exact=True).click()
    await handset.offline(is_offline=False)
    await expect(page.locator(".receipt .code")).to_be_visible(timeout=30_000)
    await expect(page.get_by_text("寒潮，独居老人")).to_be_visible()
    made = next(item for item in (await phone.pull("visits")).values() if item["householdId"] == home["id"])
    assert (made["kind"], made["assignmentId"], made["unorderedReason"]) == ("care", None, "寒潮，独居老人")
