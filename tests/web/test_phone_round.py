"""A caseworker's round: the day put in one's own order, and two phones that meet by a QR code seen through a camera."""

import io
import re
from datetime import timedelta

from PIL import Image
from playwright.async_api import expect

from server.core.clock import utc_now
from server.core.working_days import day_of
from tests.web.browser import Handset, find_faults, shoot, start_browser


async def plan_of(phone, ahead_days: int = 0) -> list[str]:
    """The names on the caller's day, as the server has them."""
    on = (day_of(utc_now()) + timedelta(days=ahead_days)).isoformat()
    days = (await phone.http.get("/field/v1/day-plans", params={"from": on, "to": on})).json()
    return [stop["headName"] for day in days for stop in day["stops"]]


async def see(page, *names: str) -> None:
    await expect(page.locator(".today ol .name")).to_have_text(list(names))


async def test_a_day_is_put_in_ones_own_order_without_a_network_and_the_server_has_it_later(handset, phone, due):
    page = await handset.sign_in(due.caseworker_login)
    await expect(page.locator(".row").first).to_be_visible()
    await page.locator("label.choice", has_text="今天 0").click()
    await handset.offline()
    await page.get_by_role("button", name="安排今天的走访").click()
    for _ in range(5):
        count = await page.locator(".today ol > li").count()
        await page.get_by_role("button", name=re.compile("^排进今天")).first.click()
        await expect(page.locator(".today ol > li")).to_have_count(count + 1)
    a, b, c, d, e = await page.locator(".today ol .name").all_inner_texts()
    assert await find_faults(page) == []
    await shoot(page, "phone-day-arranged")

    # By buttons; the focus stays with the home that moves, so that the next press moves it on.
    await page.get_by_role("button", name=f"{a} 下移").click()
    await expect(page.get_by_text(f"{a}：第 2 家，共 5 家")).to_be_visible()
    await page.keyboard.press("Enter")
    await see(page, b, c, a, d, e)
    # By the arrow keys.
    await page.get_by_role("button", name=f"拖动 {e}").press("ArrowUp")
    await page.keyboard.press("ArrowUp")
    await see(page, b, c, e, a, d)
    # By a finger.
    await page.evaluate("scrollTo(0, 0)")
    await drag(page, page.get_by_role("button", name=f"拖动 {b}"), page.get_by_role("button", name=f"拖动 {e}"))
    await see(page, c, e, b, a, d)
    await expect(page.get_by_text(f"{b}：第 3 家，共 5 家")).to_be_visible()
    await page.get_by_role("button", name=f"{d} 改到明天").click()
    await expect(page.locator(".today ol > li")).to_have_count(4)
    await page.get_by_role("button", name="安排好了").click()
    await expect(page.locator(".today h2")).to_contain_text("待上传")
    assert await plan_of(phone) == []

    await page.close()  # the phone is put away, and taken out again
    page = await handset.open()
    await expect(page.locator(".today ol > li")).to_have_count(4)
    await see(page, c, e, b, a)
    assert await find_faults(page) == []
    await shoot(page, "phone-day")

    await handset.offline(is_offline=False)
    await expect(page.locator(".today h2")).not_to_contain_text("待上传", timeout=30_000)
    assert await plan_of(phone) == [c, e, b, a]
    assert await plan_of(phone, ahead_days=1) == [d]
    await see(page, c, e, b, a)

    # From another phone of the same person: the later word holds, and comes down.
    day = day_of(utc_now()).isoformat()
    stops = (await phone.http.get("/field/v1/day-plans", params={"from": day, "to": day})).json()[0]["stops"]
    order = [stop["assignmentId"] for stop in reversed(stops)]
    await phone.http.put(f"/field/v1/day-plans/{day}", json={"assignmentIds": order})
    await page.evaluate("dispatchEvent(new Event('online'))")
    await expect(page.locator(".today ol .name").first).to_have_text(a)
    await see(page, a, b, e, c)


async def drag(page, handle, onto) -> None:
    """As a finger does: the browser's own touch events, none made up in the page."""
    start, end = await handle.bounding_box(), await onto.bounding_box()
    x, y = start["x"] + start["width"] / 2, start["y"] + start["height"] / 2
    last = end["y"] + end["height"] / 2
    session = await page.context.new_cdp_session(page)
    await session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for step in range(1, 13):
        point = {"x": x, "y": y + (last - y + 40) * step / 12}
        await session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    await session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


async def test_a_colleague_attests_by_seeing_the_code_of_the_other_phone(server, handset, phone, due, tmp_path, system):
    """The camera shows what the first phone's screen shows; this browser has no code reader of its own."""
    home = next(item for item in (await phone.pull("households")).values() if item["number"] == due.household_number)
    await handset.stand_at(home)
    page = await begin_visit(handset, due, home)
    await page.locator(".steps button", has_text="离户提交").click()
    code = await page.locator(".typed").inner_text()
    assert re.fullmatch(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}", code)
    screen = await page.locator(".qr").screenshot()
    video, photo, blank = tmp_path / "seen.mjpeg", tmp_path / "photo.jpg", tmp_path / "blank.jpg"
    video.write_bytes(look_at(screen, degrees=7, size=(1280, 720)))
    photo.write_bytes(look_at(screen, degrees=-12, size=(3000, 4000), scale=2.5))
    blank.write_bytes(look_at(None, degrees=0, size=(800, 600)))

    async with start_browser(f"--use-file-for-fake-video-capture={video}") as browser:
        colleague = await Handset.unpack(browser, server.url)
        await colleague.context.grant_permissions(["geolocation", "camera"])
        await colleague.stand_at(home)
        other = await colleague.sign_in(due.partner_login)
        assert await other.evaluate("'BarcodeDetector' in globalThis") is False
        await other.goto(f"{server.url}/m/attest")
        await expect(other.get_by_text(code)).to_be_visible()
        await expect(other.locator(".attested-visit")).to_contain_text(home["number"])
        await expect(other.locator(".attested-visit")).to_contain_text("入户调查")
        async with other.expect_response("**/attestations/1/push"):
            await other.get_by_role("button", name="定位并确认").click()
        partner = await system.sign_in(due.partner_login, "caseworker")
        visit_id = page.url.rpartition("/")[2]
        given = (await partner.pull("attestations")).values()
        assert [item["visitId"] for item in given] == [visit_id]
        await colleague.context.close()

        # Without a camera: a photo of the code does; one without a code is told.
        third = await Handset.unpack(browser, server.url)
        await third.context.add_init_script("delete Navigator.prototype.mediaDevices")
        other = await third.sign_in(due.partner_login)
        await other.goto(f"{server.url}/m/attest")
        await expect(other.get_by_text("相机无法打开")).to_be_visible()
        assert await find_faults(other) == []
        await shoot(other, "phone-scan-without-camera")
        await other.locator("input[type=file]").set_input_files(blank)
        await expect(other.get_by_text("没有看清二维码")).to_be_visible()
        await other.locator("input[type=file]").set_input_files(photo)
        await expect(other.get_by_text(code)).to_be_visible()
        assert third.errors == colleague.errors == []


async def begin_visit(handset: Handset, due, home):
    page = await handset.sign_in(due.caseworker_login)
    await page.fill("input[type=search]", home["number"])
    await page.locator(".row", has_text="入户调查").first.click()
    await page.get_by_role("button", name="开始走访").click()
    return page


def look_at(screen: bytes | None, *, degrees: float, size: tuple[int, int], scale: float = 1.0) -> bytes:
    """What a camera sees of a phone's screen that is held not quite straight, on a table."""
    table = Image.new("RGB", size, (146, 128, 104))
    if screen is not None:
        shown = Image.open(io.BytesIO(screen)).convert("RGBA")
        shown = shown.resize((int(shown.width * scale), int(shown.height * scale)))
        shown = shown.rotate(degrees, expand=True, resample=Image.Resampling.BICUBIC)
        shown.thumbnail((size[0] * 2 // 3, size[1] * 2 // 3))
        table.paste(shown, (size[0] // 6, size[1] // 6), shown)
    file = io.BytesIO()
    table.save(file, "JPEG", quality=80)
    return file.getvalue()
