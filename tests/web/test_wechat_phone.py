"""The phone app inside WeChat: its camera, scanner and position come from WeChat, or from the browser where it refuses;
and it says where it can't work without a network.
"""

import base64

import pytest
from playwright.async_api import expect

from server.demo.wechat_sdk_stub import build_script
from tests.web.browser import Handset, find_faults, shoot
from tests.web.test_wechat import ANDROID, IOS, settings  # noqa: F401  a server with WeChat's stub beside it


async def play_sdk(handset: Handset, photo: bytes, scanned: str) -> None:
    """Put the stub's script in the place of WeChat's; its camera takes this photo and its scanner reads this."""

    async def serve(route):
        await route.fulfill(body=build_script(), content_type="text/javascript")

    await handset.context.route("https://res.wx.qq.com/**", serve)
    await handset.context.expose_function("__scanned", lambda: scanned)
    picture = base64.encodebytes(photo).decode()  # with line breaks, as on Android
    await handset.context.add_init_script(
        f"""globalThis.WeixinStub = {{
          choose: () => ({{ localIds: ['weixin://resourceid/1'] }}),
          read: () => ({{ localData: `{picture}` }}),
          scan: async () => ({{ resultStr: await __scanned() }}),
        }};"""
    )


async def test_in_wechat_photos_places_and_codes_come_from_wechat_and_else_from_the_browser(
    browser, server, due, home, pictures
):
    handset = await Handset.unpack(browser, server.url, user_agent=ANDROID)
    await play_sdk(handset, pictures[0].read_bytes(), "https://elsewhere.example/")
    await handset.stand_at(home)
    page = await handset.sign_in(due.caseworker_login)
    await page.get_by_text(home["headName"]).first.click()
    await page.get_by_role("button", name="开始走访").click()
    await page.get_by_role("button", name="获取定位").click()
    await expect(page.get_by_text("精度 ±9 米")).to_be_visible()
    await page.get_by_role("button", name="添加同行人").click()
    await expect(page.get_by_role("alert")).to_contain_text("代码不对")  # WeChat's scanner has read something
    await expect(page.locator("video")).to_have_count(0)
    await shoot(page, "wechat-phone-scanned")
    await page.locator(".steps button", has_text="照片").click()
    outside = page.locator("#q-photo_outside")
    await outside.get_by_role("button", name="拍照").click()
    await expect(outside.locator(".shots li")).to_have_count(1)
    # WeChat's camera refuses from now on: the browser's takes its place.
    await page.evaluate("() => void (WeixinStub.choose = () => Promise.reject('chooseImage:fail'))")
    async with page.expect_file_chooser() as chooser:
        await outside.get_by_role("button", name="拍照").click()
    await (await chooser.value).set_files(pictures[1])
    await expect(outside.locator(".shots li")).to_have_count(2)
    await shoot(page, "wechat-phone-photos")
    async with page.expect_request("**/visits/1/push") as pushed:
        await page.locator("a", has_text="返回").click()
    body = (await pushed.value).post_data_json
    assert body is not None
    assert body[0]["newDocumentState"]["startFix"]["source"] == "wx.getLocation"
    assert handset.errors == []
    await handset.context.close()


@pytest.mark.parametrize(("agent", "ways"), [(ANDROID, "blocked"), (IOS, "missing")], ids=["android", "ios"])
async def test_where_nothing_works_offline_the_app_says_so_at_sign_in_and_leads_elsewhere(
    browser, server, due, agent, ways
):
    handset = await Handset.unpack(
        browser, server.url, user_agent=agent, service_workers="block" if ways == "blocked" else "allow"
    )
    if ways == "missing":  # as in WeChat on iOS
        await handset.context.add_init_script("delete Navigator.prototype.serviceWorker;")
    page = await handset.sign_in(due.caseworker_login)
    await page.get_by_role("tab", name="我的").click()
    notice = page.get_by_role("region", name="这里不能离线使用")
    await expect(notice).to_contain_text("在浏览器打开")
    await handset.context.set_offline(True)
    await expect(page.get_by_text("请不要关闭或刷新本页")).to_be_visible()
    await handset.context.set_offline(False)
    await page.get_by_role("button", name="退出登录").click()
    await page.locator(".t-dialog").get_by_text("退出登录").last.click()
    await expect(page.get_by_role("button", name="微信登录")).to_be_visible()
    await expect(notice).to_be_visible()
    await notice.get_by_role("button", name="复制网址").click()
    await expect(notice.get_by_role("status")).to_be_visible()
    assert await find_faults(page) == []
    await shoot(page, f"wechat-phone-offline-{ways}")
    assert handset.errors == []
    await handset.context.close()
