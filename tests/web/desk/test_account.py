"""One's own account at the desk, in a real browser: password, second factor with its recovery codes, other devices."""

import base64
from datetime import timedelta

from playwright.async_api import expect

from server.core.clock import utc_now
from server.demo.staff import DEMO_PASSWORDS
from server.identity.second_factor import PERIOD_S, make_code
from tests.web.browser import find_faults
from tests.web.desk.conftest import shoot

PASSWORD = DEMO_PASSWORDS["town_officer"]
NEW_PASSWORD = "水稻 sparrow 七月 ladder"


def code_at(secret, periods):
    at = utc_now() + timedelta(seconds=PERIOD_S * periods)
    return make_code(base64.b32decode(secret), int(at.timestamp()) // PERIOD_S)


async def test_an_officer_sets_a_second_factor_and_signs_in_with_it(at_desk, system):
    elsewhere = await system.sign_in_at_desk("yusonggu", "town_officer")
    page = await at_desk("yusonggu", "town_officer", "/account")
    await expect(page.get_by_text("未设置。")).to_be_visible()
    assert await find_faults(page) == []
    await page.get_by_role("button", name="设置动态码").click()
    confirm = page.locator("form.confirm").first
    await confirm.get_by_label("当前密码").fill("wrong")
    await confirm.get_by_role("button").click()
    await expect(page.get_by_text("密码或动态码不正确")).to_be_visible()
    await confirm.get_by_label("当前密码").fill(PASSWORD)
    await confirm.get_by_role("button").click()
    dialog = page.get_by_role("dialog", name="设置动态码")
    await expect(dialog.get_by_role("img", name="设置动态码")).to_be_visible()
    secret = await dialog.locator(".code").inner_text()
    await shoot(page, "desk-second-factor")
    await dialog.get_by_label("六位数字").fill(code_at(secret, -1))
    await dialog.get_by_role("button", name="确认").click()
    codes = page.get_by_role("dialog", name="恢复码")
    await expect(codes.get_by_role("listitem")).to_have_count(10)
    recovery = await codes.get_by_role("listitem").first.inner_text()
    await codes.get_by_role("button", name="关闭").click()
    await expect(page.get_by_text("还有 10 个恢复码")).to_be_visible()
    # The password is changed; the step-up asks for a code now, and the other device is signed out.
    await page.get_by_label("新密码").fill(NEW_PASSWORD)
    await page.get_by_label("当前密码").fill(PASSWORD)
    await page.get_by_role("button", name="修改密码").click()
    await page.get_by_label("动态码（六位）或恢复码").fill(code_at(secret, 0))
    await page.get_by_role("button", name="修改密码").click()
    await expect(page.get_by_text("密码已修改")).to_be_visible()
    assert (await elsewhere.http.get("/auth/v1/me")).json()["code"] == "auth.device_ended"
    await page.get_by_role("banner").get_by_role("button", name="退出").click()
    await page.get_by_label("账号").fill("yusonggu")
    await page.get_by_label("密码").fill(NEW_PASSWORD)
    await page.get_by_role("button", name="登录", exact=True).click()
    await page.get_by_label("动态码（六位）或恢复码").fill(recovery)
    assert await find_faults(page) == []
    await page.get_by_role("button", name="登录", exact=True).click()
    await expect(page.get_by_role("banner").get_by_role("button", name="退出")).to_be_visible()
