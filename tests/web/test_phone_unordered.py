"""A visit that nobody ordered, begun at the household's screen without a network."""

from playwright.async_api import expect

from server.core.clock import today
from tests.phones import answers_for, make_kit
from tests.test_first_path import push_whole
from tests.web.browser import fill_checklist, find_faults, find_faults_in_english, shoot
from tests.web.test_phone_guards import typed_code


async def test_a_care_visit_is_begun_without_an_order_and_without_a_network(
    handset, phone, due, home, pictures, system
):
    partner = await system.sign_in(due.partner_login, "caseworker")
    await handset.context.grant_permissions(["geolocation", "camera"])
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
    await page.get_by_role("button", name="添加同行人").click()
    await page.get_by_label("输入代码").fill(typed_code(partner.id))
    await page.get_by_role("button", name="确定").click()
    await expect(page.locator(".people li")).to_have_count(2)
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


async def test_its_author_voids_a_visit_at_the_wrong_home_and_begins_its_order_again(handset, phone, due, system):
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id, kind="review")
    await push_whole(phone, partner, kit)
    home = (await phone.pull("households"))[kit.visit["householdId"]]
    page = await handset.sign_in(due.caseworker_login)
    await page.goto(f"{handset.url}/m/visit/{kit.visit['id']}")
    await page.get_by_role("button", name="作废这次走访").click()
    await page.fill("textarea[name=voidReason]", "走错了家")
    await shoot(page, "phone-void")
    assert await find_faults(page) == []
    await page.get_by_role("button", name="作废这次走访").click()
    await page.locator(".t-dialog").get_by_text("作废这次走访").last.click()
    await expect(page.get_by_text("已作废").first).to_be_visible(timeout=30_000)
    await expect(page.get_by_role("button", name="作废这次走访")).to_have_count(0)
    await shoot(page, "phone-voided")
    await page.goto(f"{handset.url}/m/home/{home['id']}")
    await expect(page.locator(".card", has_text="定期复核").get_by_role("button", name="开始走访")).to_be_visible(
        timeout=30_000
    )
