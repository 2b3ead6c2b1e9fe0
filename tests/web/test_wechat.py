"""Inside WeChat: residents and staff sign in by the web flow in a real browser with WeChat's user agents."""

import asyncio
import os
import re

import httpx
import msgspec
import pytest
from playwright.async_api import Page, Route, expect
from sqlalchemy import select

from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.job_types import Notify
from server.demo.sms_stub import KEY_ID, KEY_SECRET
from server.demo.staff import DEMO_PASSWORDS
from server.demo.wechat_message_stub import PUSH_KEY, PUSH_TOKEN, PushedEvent, sign_event
from server.demo.wechat_web_stub import SERVICE_APP_ID, SERVICE_SECRET
from server.devserver.processes import LOOPBACK, find_free_port, stop
from server.models.cases import CaseFile
from tests.conftest import fresh_settings
from tests.notifications.test_notifications import set_rule
from tests.warm import Warm
from tests.web.browser import Handset, find_faults, shoot
from tests.web.conftest import jobs_done
from tests.web.test_resident import _wait_for as wait_for

ANDROID = (
    "Mozilla/5.0 (Linux; Android 13; V2166A Build/TP1A) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/116.0.0.0 Mobile Safari/537.36 XWEB/1160117 MMWEBSDK/20240404 MicroMessenger/8.0.49.2600(0x2800315A) "
    "WeChat/arm64 Weixin NetType/4G Language/zh_CN ABI/arm64"
)
IOS = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
    "MicroMessenger/8.0.49(0x18003137) NetType/WIFI Language/zh_CN"
)


@pytest.fixture(scope="module")
def settings(postgres, s3, template, tmp_path_factory):
    port = find_free_port()
    log = tmp_path_factory.mktemp("wechat") / "wechat.log"
    stub = Warm(["wechat-stub", "--port", str(port)], log=log, environ=os.environ)
    url = f"http://{LOOPBACK}:{port}"
    wait_for(f"{url}/_stub/messages")
    for plain in fresh_settings(postgres, s3, template):
        yield msgspec.structs.replace(
            plain,
            wechat_base_url=url,
            wechat_authorize_url=url,
            wechat_service_app_id=SERVICE_APP_ID,
            wechat_service_secret=SERVICE_SECRET,
            wechat_push_token=PUSH_TOKEN,
            wechat_push_key=PUSH_KEY,
            sms_base_url=url,
            sms_key_id=KEY_ID,
            sms_key_secret=KEY_SECRET,
            sms_sign_name="云栖县民政局",
        )
    stop(stub)


async def consent(page: Page, suffix: str) -> None:
    """Say in the stub of WeChat whose account this is, as often as it asks."""
    await expect(page.get_by_role("heading", name="微信（演示）")).to_be_visible()
    await page.fill("input[name=other]", suffix)
    await page.get_by_role("button", name="同意").click()


TEMPLATE = "s-decided"
SETTING = {
    "templateId": "",
    "page": "",
    "fields": {},
    "serviceSubscribe": {"templateId": TEMPLATE, "fields": {"thing1": "what", "time2": "when"}},
}


async def play_sdk(handset: Handset, stub: str, suffix: str) -> None:
    """Put the stub's script in the place of WeChat's, and answer its dialogs as this person."""
    async with httpx.AsyncClient(trust_env=False) as client:
        script = (await client.get(f"{stub}/open/js/jweixin-1.6.0.js")).text

    async def subscribe(templates: str) -> bool:
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(f"{stub}/_stub/consent", params={"suffix": suffix, "templates": templates})
            await push_events(client, stub, handset.url)
        return True

    async def serve(route):
        await route.fulfill(body=script, content_type="text/javascript")

    await handset.context.route("https://res.wx.qq.com/**", serve)
    await handset.context.expose_function("__subscribe", subscribe)
    await handset.context.add_init_script("globalThis.WeixinStub = { subscribe: (ids) => __subscribe(ids) };")


async def push_events(client: httpx.AsyncClient, stub: str, server: str) -> None:
    """Push what waits in the stub, as WeChat does."""
    for event in (await client.get(f"{stub}/_stub/events")).json()["events"]:
        query, body = sign_event(PushedEvent(**event), "wx-demo", utc_now().timestamp())
        answer = await client.post(f"{server}/wechat/v1/push/{event['pushed_by']}", params=query, content=body)
        assert answer.text == "success"


_allowing: set[str] = set()


async def allow_messages(services, area_code: str, server: str) -> None:
    """Write the rules once for a server, whichever of the tests comes first: either may run alone."""
    if server in _allowing:
        return
    _allowing.add(server)
    await set_rule(services, "notice.template.decided", SETTING, area_code)
    await set_rule(services, "notice.quiet_hours", {"from": 0, "to": 0}, area_code)  # at any hour of the test


async def announce_decision(services, system, application_number: str, thing: str) -> None:
    """Let the household of an application be notified that it is decided, and wait until that is sent."""
    async with open_session(services.sessions) as session:
        query = select(CaseFile).where(CaseFile.number == application_number)
        case = (await session.scalars(query)).one()
        await jobs.defer(session, notify_decided(case, thing))
    await jobs_done(system)


@pytest.mark.parametrize("agent", [ANDROID, IOS], ids=["android", "ios"])
async def test_a_resident_agrees_to_messages_in_wechat_gets_one_and_ends_them(
    browser, server, services, system, settings, county, agent
):
    number = 4 if agent is ANDROID else 5
    resident = county.residents[number]
    await allow_messages(services, county.code, server.url)
    handset = await Handset.unpack(browser, server.url, user_agent=agent)
    await play_sdk(handset, settings.wechat_base_url, resident.wechat_suffix)
    page = await handset.open(f"/r/#{resident.application_number}")
    await page.get_by_role("button", name="微信登录").click()
    await consent(page, resident.wechat_suffix)
    await consent(page, resident.wechat_suffix)
    await page.fill("input[name=idNumber]", resident.id_number)
    await page.get_by_role("button", name="绑定", exact=True).click()
    panel = page.locator("section.card", has=page.get_by_role("heading", name="微信提醒"))
    await expect(panel).to_contain_text("尚未同意")
    faults = [await find_faults(page)]
    await shoot(page, f"wechat-resident-messages-{number}", full_page=True)
    await panel.get_by_role("button", name="同意接收提醒").click()
    await expect(panel.get_by_role("status")).to_contain_text("已同意")
    await expect(panel).to_contain_text("还可收 1 条")
    await shoot(page, f"wechat-resident-agreed-{number}", full_page=True)

    await announce_decision(services, system, resident.application_number, f"event:{number}")
    async with httpx.AsyncClient(trust_env=False) as client:
        sent = (await client.get(f"{settings.wechat_base_url}/_stub/messages")).json()["messages"]
        await push_events(client, settings.wechat_base_url, server.url)
    assert f"oSVdemo-{resident.wechat_suffix}" in [message["touser"] for message in sent]

    await page.reload()
    await panel.get_by_role("button", name="关闭").click()
    await expect(panel).to_contain_text("已关闭")
    faults.append(await find_faults(page))
    await shoot(page, f"wechat-resident-ended-{number}", full_page=True)
    assert faults == [[], []]
    assert handset.errors == []
    await handset.context.close()


async def test_the_desk_shows_who_was_told_by_which_way_and_a_preview(browser, server, services, system, county):
    person = next(member for member in county.staff if member.role == "county_officer")
    async with open_session(services.sessions) as session:
        case = (await session.scalars(select(CaseFile).order_by(CaseFile.number.desc()).limit(1))).one()
        await jobs.defer(session, notify_decided(case, "event:desk"))
    await jobs_done(system)
    handset = await Handset.unpack(browser, server.url)
    page = await handset.open("/desk/")
    await page.set_viewport_size({"width": 1440, "height": 900})
    await page.fill("input[name=login]", person.login)
    await page.fill("input[name=password]", DEMO_PASSWORDS["county_officer"])
    await page.click("button[type=submit]")
    await expect(page.get_by_role("link", name=person.name)).to_be_visible()
    await page.goto(f"{server.url}/desk/messages")
    await expect(page.get_by_role("heading", name="告知送达")).to_be_visible()
    rows = page.locator("tbody tr")
    await expect(rows.first).to_be_visible()
    faults = {"list": await find_faults(page)}
    await shoot(page, "desk-messages")
    await rows.first.click()
    await expect(page.locator("dialog")).to_be_visible()
    faults["one"] = await find_faults(page)
    await shoot(page, "desk-message")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="预览和测试").click()
    await page.locator("dialog select").last.select_option("decided")
    await expect(page.locator("dialog")).to_contain_text("申请已有结果")
    faults["preview"] = await find_faults(page)
    await shoot(page, "desk-message-preview")
    assert {name: found for name, found in faults.items() if found} == {}
    await handset.context.close()


async def test_a_phone_in_wechat_confirms_the_sign_in_of_a_computer(browser, server, county):
    person = next(member for member in county.staff if member.role == "town_officer")
    computer = await Handset.unpack(browser, server.url)
    desk = await computer.open("/desk/")
    await desk.set_viewport_size({"width": 1440, "height": 900})
    async with desk.expect_response("**/auth/v1/qr/begin") as begun:
        await desk.get_by_role("button", name="微信扫码登录").click()
    shown = await (await begun.value).json()
    await expect(desk.locator(".number")).to_have_text(shown["number"])
    faults = [await find_faults(desk)]
    await shoot(desk, "qr-desk-shown")
    phone = await Handset.unpack(browser, server.url, user_agent=ANDROID)
    page = await phone.open(shown["url"].removeprefix(server.url))
    assert "#" not in page.url
    await page.get_by_role("button", name="微信登录").click()
    await consent(page, person.wechat_suffix)
    await consent(page, person.wechat_suffix)
    await expect(page.get_by_role("heading", name="确认登录")).to_be_visible()
    await expect(page.get_by_text("要在这台电脑登录工作台")).to_be_visible()
    faults.append(await find_faults(page))
    await shoot(page, "qr-phone-confirm")
    await page.fill("input[name=number]", shown["number"])
    await page.fill("input[name=current-password]", DEMO_PASSWORDS["town_officer"])
    await page.get_by_role("button", name="确认登录").click()
    await expect(page.get_by_role("status")).to_contain_text("已确认")
    await expect(desk.get_by_role("link", name=person.name)).to_be_visible()
    assert faults == [[], []]
    await computer.context.close()
    await phone.context.close()


@pytest.mark.parametrize("agent", [ANDROID, IOS], ids=["android", "ios"])
async def test_a_resident_opens_the_link_on_their_paper_signs_in_binds_and_signs_out(browser, server, county, agent):
    number = 0 if agent is ANDROID else 1
    resident = county.residents[number]
    handset = await Handset.unpack(browser, server.url, user_agent=agent)
    page = await handset.open(f"/r/#{resident.application_number}")  # of the QR code on their slip
    await expect(page.get_by_role("button", name="微信登录")).to_be_visible()
    faults = [await find_faults(page)]
    await shoot(page, f"wechat-resident-door-{number}")
    await page.get_by_role("button", name="微信登录").click()
    await consent(page, resident.wechat_suffix)
    await expect(page.get_by_text("获取您的昵称")).to_be_visible()  # asked once: this account was never here
    await consent(page, resident.wechat_suffix)
    await expect(page.get_by_role("heading", name="绑定申请")).to_be_visible()
    assert "state=" not in page.url
    assert "code=" not in page.url
    await expect(page.locator("input[name=number]")).to_have_value(resident.application_number)
    await page.fill("input[name=idNumber]", resident.id_number)
    await page.get_by_role("button", name="绑定", exact=True).click()
    await expect(page.locator(".case")).to_be_visible()
    await page.get_by_role("button", name="退出").click()
    await page.get_by_role("button", name="微信登录").click()
    await consent(page, resident.wechat_suffix)  # known by now: one silent consent
    await expect(page.locator(".case")).to_be_visible()
    faults.append(await find_faults(page))
    assert faults == [[], []]
    assert handset.errors == []
    await handset.context.close()


async def test_a_snapshot_user_a_replayed_and_a_strangers_address_are_refused_in_words(browser, server):
    handset = await Handset.unpack(browser, server.url, user_agent=ANDROID)
    page = await handset.open("/r/")
    await page.get_by_role("button", name="微信登录").click()
    await consent(page, "snapshot7")
    await expect(page.get_by_role("alert")).to_contain_text("使用完整服务")
    await shoot(page, "wechat-resident-snapshot")
    await page.get_by_role("button", name="微信登录").click()
    await page.fill("input[name=other]", "replayer")
    async with page.expect_request(re.compile(r"/r/wechat\?code=")) as back:
        await page.get_by_role("button", name="同意").click()
    address = (await back.value).url
    await expect(page.get_by_text("获取您的昵称")).to_be_visible()
    await page.goto(address)  # the same address again
    await expect(page.get_by_role("alert")).to_contain_text(re.compile("已经用过|不是在本机开始的"))
    stranger = await Handset.unpack(browser, server.url, user_agent=IOS)
    other = await stranger.open(address.removeprefix(server.url))
    await expect(other.get_by_role("alert")).to_contain_text("不是在本机开始的")
    await shoot(other, "wechat-resident-stolen")
    await handset.context.close()
    await stranger.context.close()


async def test_a_caseworker_signs_in_by_wechat_and_out_again(browser, server, county):
    person = next(member for member in county.staff if member.role == "caseworker")
    handset = await Handset.unpack(browser, server.url, user_agent=ANDROID)
    page = await handset.open("/m/")
    await shoot(page, "wechat-phone-door")
    await page.get_by_role("button", name="微信登录").click()
    await consent(page, person.wechat_suffix)
    await consent(page, person.wechat_suffix)
    await page.get_by_role("tab", name="我的").click()
    await expect(page.get_by_role("heading", name=person.name)).to_be_visible()
    await shoot(page, "wechat-phone-profile")
    await page.get_by_role("button", name="退出登录").click()
    await page.locator(".t-dialog").get_by_text("退出登录").last.click()
    await expect(page.get_by_role("button", name="微信登录")).to_be_visible()
    assert handset.errors == []
    await handset.context.close()


async def test_an_officer_links_a_wechat_at_the_desk_and_signs_in_by_it(browser, server, county):
    person = next(member for member in county.staff if member.role == "county_officer")
    handset = await Handset.unpack(browser, server.url)
    await handset.context.clear_permissions()
    page = await handset.open("/desk/")
    await page.set_viewport_size({"width": 1440, "height": 900})
    await page.fill("input[name=login]", person.login)
    await page.fill("input[name=password]", DEMO_PASSWORDS["county_officer"])
    await page.click("button[type=submit]")
    await expect(page.get_by_role("link").first).to_be_visible()
    await page.goto(f"{server.url}/desk/account")
    await page.get_by_role("button", name="关联我的微信").click()
    form = page.locator("form.confirm", has_text="关联我的微信")
    await form.locator("input[name=current-password]").fill(DEMO_PASSWORDS["county_officer"])
    await form.get_by_role("button", name="关联我的微信").click()
    await consent(page, "officersphone")
    await expect(page.get_by_text("微信已关联")).to_be_visible()
    await shoot(page, "wechat-desk-linked")
    assert page.url == f"{server.url}/desk/account"
    other = await Handset.unpack(browser, server.url)
    desk = await other.open("/desk/")
    await desk.set_viewport_size({"width": 1440, "height": 900})
    await shoot(desk, "wechat-desk-door")
    await desk.get_by_role("button", name="微信登录").click()
    await consent(desk, "officersphone")
    await expect(desk.get_by_role("link", name=person.name)).to_be_visible()
    await handset.context.close()
    await other.context.close()


async def test_a_resident_without_wechat_signs_in_by_pin_and_by_text_message(
    handset: Handset, server, county, settings
):
    by_pin, by_code = county.residents[2:4]
    page = await handset.open(f"/r/#{by_pin.application_number}")
    await page.get_by_role("link", name="不用微信登录").click()
    await expect(page.locator("input[name=number]")).to_have_value(by_pin.application_number)
    await page.fill("input[name=idNumber]", by_pin.id_number)
    await page.fill("input[name=pin]", "00000000")
    await page.get_by_role("button", name="登录", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("信息不匹配")
    faults = [await find_faults(page)]
    await shoot(page, "resident-sign-in-pin")
    await page.fill("input[name=pin]", by_pin.look_up_pin)
    await page.get_by_role("button", name="登录", exact=True).click()
    await expect(page.locator(".case")).to_contain_text(by_pin.application_number)

    # The answer to the sign-out comes late, and does not take away what was opened meanwhile.
    answered = asyncio.Event()

    async def answer_late(route: Route) -> None:
        await answered.wait()
        await route.continue_()

    await page.route("**/auth/v1/refresh*", answer_late)
    await page.get_by_role("button", name="退出").click()
    await page.get_by_role("link", name="不用微信登录").click()
    await page.fill("input[name=number]", by_code.application_number)
    answered.set()
    await page.wait_for_function("() => !localStorage.getItem('zoufang.resident.signedOut')")
    await page.evaluate("() => new Promise(requestAnimationFrame)")
    await page.unroute("**/auth/v1/refresh*")
    await expect(page.locator("input[name=number]")).to_have_value(by_code.application_number)
    await page.fill("input[name=idNumber]", by_code.id_number)
    await page.get_by_label("短信验证码").check()
    await page.get_by_role("button", name="发送验证码").click()
    await expect(page.get_by_role("status")).to_contain_text("五分钟内有效")
    phone = next(home.phone for home in county.households if home.number == by_code.household_number)
    await page.fill("input[name=code]", await sent_code(settings.wechat_base_url, phone))
    faults.append(await find_faults(page))
    await shoot(page, "resident-sign-in-code")
    await page.get_by_role("button", name="登录", exact=True).click()
    await expect(page.locator(".case")).to_contain_text(by_code.application_number)
    assert faults == [[], []]


async def sent_code(stub: str, phone: str) -> str:
    """Wait until the phone has got its message."""
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(600):
            messages = (await client.get(f"{stub}/_stub/sms")).json()["messages"]
            if mine := [message for message in messages if message["phone"] == phone]:
                return mine[-1]["values"]["code"]
            await asyncio.sleep(0.1)
    raise AssertionError("no message came")


def notify_decided(case: CaseFile, thing: str) -> Notify:
    return Notify(
        kind="decided",
        thing=thing,
        area_code=case.area_code,
        household_id=case.household_id,
        facts={"caseId": str(case.id)},
    )
