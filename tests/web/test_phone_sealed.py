"""What a phone keeps is sealed: by a PIN at every start, also without a network, and after minutes without a touch."""

import re

from playwright.async_api import expect

from server.demo.staff import DEMO_PASSWORDS
from tests.web.browser import PIN, find_faults, shoot
from tests.web.sealed_store import DUMP, UNSEAL

_JPEG = "picture:/9j/"
# The phone is killed while its rows are sealed: the first ones are, and no more.
_STOP_SEALING = """(() => {
  const put = IDBObjectStore.prototype.put;
  let sealed = 0;
  IDBObjectStore.prototype.put = function (row, ...key) {
    if ((row._sealed || row.sealed) && ++sealed > 30 && this.name !== 'keys') {
      globalThis.isStopped = true;
      throw new DOMException('the phone is switched off', 'AbortError');
    }
    return put.call(this, row, ...key);
  };
})()"""


async def begin_visit(handset, due, home, picture):
    """A visit that was begun: one sentence and one photo."""
    await handset.stand_at(home)
    page = await handset.sign_in(due.caseworker_login)
    await page.get_by_text(home["headName"]).first.click()
    await page.get_by_role("button", name=re.compile("开始走访|继续填写")).click()
    await page.locator(".steps button", has_text="声明和谈话").click()
    await page.fill("#in-opinion", "屋里没有人答话。")
    await page.locator(".steps button", has_text="照片和签名").click()
    shots = page.locator("#q-photo_outside .shots li")
    before = await shots.count()
    await page.locator("#q-photo_outside input[type=file]").set_input_files(picture)
    await expect(shots).to_have_count(before + 1)
    await expect(page.get_by_text("已保存")).to_be_visible()
    return page


async def shows_all(page, home):
    await page.get_by_text(home["headName"]).first.click()
    await page.get_by_role("button", name="继续填写").click()
    await page.locator(".steps button", has_text="照片和签名").click()
    shot = page.locator("#q-photo_outside .shots img").first
    await expect(shot).to_be_visible()
    assert await shot.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
    await page.locator(".steps button", has_text="声明和谈话").click()
    await expect(page.locator("#in-opinion")).to_have_value("屋里没有人答话。")


async def lies_idle(page):
    await page.evaluate("() => { const { now } = Date; Date.now = () => now() + 6 * 60_000; }")
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def without_handler(page):
    """The test types the PIN itself."""
    return page.remove_locator_handler(page.locator("form.pin"))


async def test_a_copy_of_the_phones_store_shows_nobody(handset, due, home, pictures):
    page = await begin_visit(handset, due, home, pictures[0])
    await page.goto(f"{handset.url}/m/")  # a copy of the draft is in the replicated database now
    await expect(page.get_by_text("已同步")).to_be_visible()
    rows = await page.evaluate(DUMP)
    held = [name for name in rows if re.search("households|assignments|replication-meta|drafts|photos", name)]
    assert len(held) > 5
    text = "\n".join(line for lines in rows.values() for line in lines)
    for word in (home["headName"], home["address"], home["number"], str(home["latitude"]), "屋里没有人答话", "opinion"):
        assert word not in text
    assert "picture:" in text
    assert _JPEG not in text


async def test_the_app_opens_by_its_pin_alone_without_a_network_and_after_minutes_without_a_touch(handset, due):
    page = await handset.sign_in(due.caseworker_login)
    await expect(page.locator(".row").first).to_be_visible()
    await without_handler(page)
    await handset.offline()
    await page.reload()
    await expect(page.get_by_label("开屏密码")).to_be_visible()
    assert await find_faults(page) == []
    await shoot(page, "phone-locked", full_page=False)
    for times in range(3):
        await page.fill("input[name=pin]", "000000")
        await page.get_by_role("button", name="打开").click()
        await expect(page.get_by_text("开屏密码不对")).to_be_visible()
        await expect(page.locator("input[name=pin]")).to_have_value("")
        assert await page.locator(".row").count() == 0, times
    await page.fill("input[name=pin]", PIN)
    await page.get_by_role("button", name="打开").click()
    await expect(page.get_by_text("输错太多次")).to_be_visible()
    await page.evaluate("() => { const { now } = Date; Date.now = () => now() + 10_000; }")
    await page.fill("input[name=pin]", PIN)
    await page.get_by_role("button", name="打开").click()
    await expect(page.locator(".row").first).to_be_visible()

    await lies_idle(page)
    await expect(page.get_by_label("开屏密码")).to_be_visible()
    await expect(page.locator(".row")).to_have_count(0)


async def test_a_forgotten_pin_is_replaced_after_a_sign_in_and_nothing_unsent_is_lost(handset, due, home, pictures):
    page = await begin_visit(handset, due, home, pictures[0])
    await without_handler(page)
    await page.goto(f"{handset.url}/m/")
    await page.get_by_role("button", name="忘记了").click()
    assert await find_faults(page) == []
    await shoot(page, "phone-pin-forgotten", full_page=False)
    await page.fill("input[name=current-password]", DEMO_PASSWORDS["caseworker"])
    await page.fill("input[name=new-pin]", "880216")
    await page.fill("input[name=new-pin-again]", "880216")
    await page.get_by_role("button", name="设置").click()
    await shows_all(page, home)
    await page.goto(f"{handset.url}/m/")
    await page.fill("input[name=pin]", PIN)
    await page.get_by_role("button", name="打开").click()
    await expect(page.get_by_text("开屏密码不对")).to_be_visible()
    await page.fill("input[name=pin]", "880216")
    await page.get_by_role("button", name="打开").click()
    await expect(page.locator(".row").first).to_be_visible()


async def test_a_store_in_clear_is_sealed_at_the_first_start_also_when_the_phone_is_switched_off_meanwhile(
    handset, due, home, pictures, phone
):
    page = await begin_visit(handset, due, home, pictures[0])
    await page.goto(f"{handset.url}/m/")
    await expect(page.get_by_text("已同步")).to_be_visible()
    await page.goto(f"{handset.url}/m/manifest.webmanifest")  # the same origin, without the app
    await page.evaluate(UNSEAL, [str(phone.id), PIN])
    clear = await page.evaluate(DUMP)
    text = "\n".join(line for lines in clear.values() for line in lines)
    assert home["headName"] in text
    assert "屋里没有人答话" in text
    assert _JPEG in text
    assert "ealed" not in text

    await page.add_init_script(_STOP_SEALING)
    await page.goto(f"{handset.url}/m/")
    await expect(page.locator("form.pin")).to_have_count(0)  # after it was typed
    await page.wait_for_function("() => globalThis.isStopped === true")
    await page.goto(f"{handset.url}/m/manifest.webmanifest")
    rows = [line for lines in (await page.evaluate(DUMP)).values() for line in lines]
    assert 0 < sum('"_sealed"' in line for line in rows) < 31
    await page.close()

    page = await handset.open()
    await shows_all(page, home)
    text = "\n".join(line for lines in (await page.evaluate(DUMP)).values() for line in lines)
    assert home["headName"] not in text
    assert "屋里没有人答话" not in text
    assert _JPEG not in text
