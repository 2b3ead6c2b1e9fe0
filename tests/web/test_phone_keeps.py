"""Nothing a phone recorded is lost without a word: a phone that is full, a lost one, a sign-out."""

import re

from playwright.async_api import expect

from tests.web.browser import Handset, find_faults, shoot

# A phone without room, from when the test says so: every write fails as Chromium fails it.
FULL = """
const put = IDBObjectStore.prototype.put;
IDBObjectStore.prototype.put = function (...given) {
  if (globalThis.isFull) throw new DOMException('Encountered full disk', 'QuotaExceededError');
  return put.apply(this, given);
};
"""


async def begin_visit(handset, due, home, *, button="开始走访"):
    await handset.stand_at(home)
    page = await handset.sign_in(due.caseworker_login)
    await page.get_by_text(home["headName"]).first.click()
    await page.get_by_role("button", name=button).click()
    return page


async def test_what_cannot_be_kept_is_said_at_once_and_kept_when_there_is_room(handset, due, home, pictures):
    await handset.context.add_init_script(FULL)
    page = await begin_visit(handset, due, home)
    await page.locator(".steps button", has_text="声明和谈话").click()
    await page.fill("#in-opinion", "第一句。")
    await expect(page.get_by_text("已保存")).to_be_visible()
    await page.evaluate("globalThis.isFull = true")
    await page.fill("#in-opinion", "第一句。第二句。")
    await expect(page.get_by_text("手机存储快满了")).to_be_visible()
    await page.get_by_role("button", name="返回").click()
    await expect(page.get_by_text("未能保存！")).to_be_visible()
    assert await find_faults(page) == []
    await shoot(page, "phone-not-kept", full_page=False)

    await page.locator(".steps button", has_text="照片和签名").click()
    await page.get_by_role("button", name="返回").click()  # going on is a change too, and is not kept either
    await page.locator("#q-photo_outside input[type=file]").set_input_files(pictures[0])
    await expect(page.get_by_text("手机存储快满了")).to_be_visible()
    await page.evaluate("globalThis.isFull = false")
    await page.get_by_role("button", name="重试").click()
    await expect(page.locator("#q-photo_outside .shots li")).to_have_count(
        0
    )  # a photo that was not kept does not count
    await page.locator("#q-photo_outside input[type=file]").set_input_files(pictures[0])
    await expect(page.locator("#q-photo_outside .shots li")).to_have_count(1)
    await expect(page.get_by_text("已保存")).to_be_visible()

    await page.close()
    page = await handset.open()
    await page.get_by_text(home["headName"]).first.click()
    await page.get_by_role("button", name="继续填写").click()
    await expect(page.locator("#q-photo_outside .shots li")).to_have_count(1)
    await page.locator(".steps button", has_text="声明和谈话").click()
    await expect(page.locator("#in-opinion")).to_have_value("第一句。第二句。")


async def test_a_photo_without_a_byte_is_refused_with_a_sentence(handset, due, home, pictures):
    page = await begin_visit(handset, due, home, button=re.compile("开始走访|继续填写"))
    await page.locator(".steps button", has_text="照片和签名").click()
    photos = page.locator("#q-photo_documents")
    taken = await photos.locator(".shots li").count()
    empty = {"name": "door.jpg", "mimeType": "image/jpeg", "buffer": b""}
    await photos.locator("input[type=file]").set_input_files(empty)
    await expect(photos.get_by_text("这张照片是空的")).to_be_visible()
    await expect(photos.locator(".shots li")).to_have_count(taken)
    assert await find_faults(page) == []
    await photos.locator("input[type=file]").set_input_files(pictures[0])
    await expect(photos.locator(".shots li")).to_have_count(taken + 1)
    await expect(photos.get_by_text("这张照片是空的")).to_have_count(0)


async def test_a_lost_phones_visit_comes_back_to_another_without_its_photos(handset, browser, server, due, home):
    """The server holds a copy of what was begun; of photos it holds nothing, so they are asked for again."""
    page = await begin_visit(handset, due, home)
    await page.get_by_role("button", name="获取定位").click()
    await expect(page.get_by_text("精度 ±9 米")).to_be_visible()
    await page.locator(".steps button", has_text="声明和谈话").click()
    await page.fill("#in-opinion", "已核对户口簿。")
    await page.locator(".steps button", has_text="照片和签名").click()
    photo = {"name": "door.jpg", "mimeType": "image/jpeg", "buffer": b"not drawn, kept all the same"}
    await page.locator("#q-photo_outside input[type=file]").set_input_files(photo)
    await expect(page.locator("#q-photo_outside .shots li")).to_have_count(1)
    async with page.expect_response("**/visits/1/push"):
        await page.locator("a", has_text="返回").click()
    await handset.context.close()

    other = await Handset.unpack(browser, server.url)
    page = await begin_visit(other, due, home, button="继续填写")
    await expect(page.get_by_text("从服务器找回了上次填写的内容")).to_be_visible()
    await expect(page.get_by_text("精度 ±9 米")).to_be_visible()
    await page.locator(".steps button", has_text="照片和签名").click()
    await expect(page.locator("#q-photo_outside .shots li")).to_have_count(0)
    await page.locator(".steps button", has_text="声明和谈话").click()
    await expect(page.locator("#in-opinion")).to_have_value("已核对户口簿。")
    assert await find_faults(page) == []
    assert other.errors == []


async def test_signing_out_says_which_visits_are_not_finished_and_wait_on_the_phone(handset, due, home):
    page = await begin_visit(handset, due, home, button=re.compile("开始走访|继续填写"))
    await page.locator(".steps button", has_text="声明和谈话").click()
    await page.fill("#in-opinion", "没有写完。")
    await expect(page.get_by_text("已保存")).to_be_visible()
    await page.goto(f"{handset.url}/m/outbox")
    await expect(page.get_by_text("没填完的走访")).to_be_visible()
    assert await find_faults(page) == []
    await page.goto(f"{handset.url}/m/me")
    await page.get_by_role("button", name="退出登录").click()
    await expect(page.get_by_text("还有 1 次走访没有填完")).to_be_visible()
    await page.locator(".t-dialog").get_by_text("取消", exact=True).click()
    await page.goto(handset.url + "/m/")
    await page.get_by_text(home["headName"]).first.click()
    await page.get_by_role("button", name="继续填写").click()
    await expect(page.locator("#in-opinion")).to_have_value("没有写完。")
