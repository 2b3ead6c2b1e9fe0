"""What may stand in the way on a phone: each has a screen that says what it is and what to do."""

import asyncio
import contextlib
import hashlib
import json
import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from playwright.async_api import Error, expect

from server.core.paths import WEB
from server.demo.staff import DEMO_PASSWORDS
from server.devserver.processes import LOOPBACK
from tests.phones import step_up
from tests.web.browser import Handset, chromium, find_faults, shoot

# Chromium on Linux has no code reader: it is stood in for, what is read is real.
_READER = "globalThis.BarcodeDetector = class { static async getSupportedFormats() { return ['qr_code'] } async detect() { return globalThis.seen ? [{rawValue: globalThis.seen}] : [] } };"


# An element, an attribute, a text made code, a call and a picture that would carry something out.
_SLIPPED_IN = """async () => {
  const blocked = [];
  addEventListener('securitypolicyviolation', (told) => blocked.push(told.effectiveDirective));
  const add = (words) => document.head.append(Object.assign(document.createElement('script'), words));
  add({ textContent: 'window.ran = 1' });
  add({ src: 'https://elsewhere.example/x.js' });
  document.body.insertAdjacentHTML('beforeend', '<img src="data:image/png," onerror="window.ran = 2">');
  setTimeout(() => eval('window.ran = 3'), 50); // by itself: a debugger's own eval is let through
  fetch('https://elsewhere.example/').catch(() => undefined);
  new Image().src = 'https://elsewhere.example/x.png';
  await new Promise((soon) => setTimeout(soon, 300));
  return [window.ran ?? null, blocked];
}"""


async def test_a_phone_without_room_says_so_before_a_photo_is_taken(handset, due):
    await handset.context.add_init_script("navigator.storage.estimate = async () => ({usage: 990e6, quota: 1000e6})")
    page = await _begin_visit(handset, due)
    await page.locator(".steps button", has_text="照片和签名").click()
    await page.locator("#q-photo_outside").get_by_role("button", name="拍照").click()
    await expect(page.get_by_text("手机存储快满了")).to_be_visible()
    await _look_at(page, "storage")


async def test_a_phone_that_may_not_locate_says_how_to_allow_it(handset, due):
    await handset.context.clear_permissions()
    page = await handset.sign_in(due.caseworker_login)
    await page.get_by_role("button", name="由近到远").click()
    await expect(page.get_by_text("没有定位权限")).to_be_visible()
    await _look_at(page, "location")
    await handset.context.grant_permissions(["geolocation"])
    await handset.context.set_geolocation({"latitude": 28.9, "longitude": 118.9, "accuracy": 5})
    await page.get_by_role("button", name="重试").click()
    await expect(page.get_by_text("公里").or_(page.get_by_text("米", exact=False)).first).to_be_visible()


async def test_a_phone_that_finds_no_place_says_to_step_outside(handset, due):
    page = await _begin_visit(handset, due)
    await handset.context.set_geolocation(None)
    await page.get_by_role("button", name=re.compile("定位$")).first.click()
    await expect(page.get_by_text("暂时无法定位")).to_be_visible()
    await _look_at(page, "no-place")
    await handset.context.set_geolocation({"latitude": 28.9, "longitude": 118.9, "accuracy": 5})
    await page.get_by_role("button", name="重试").click()
    await expect(page.get_by_text("精度 ±5 米")).to_be_visible()


async def test_a_phone_that_keeps_nothing_says_so_where_it_is_written(handset, due):
    await handset.context.add_init_script(
        "const put = IDBObjectStore.prototype.put;"
        "IDBObjectStore.prototype.put = function (...given) {"
        "if (globalThis.isBroken) throw new DOMException('Internal error', 'UnknownError'); return put.apply(this, given) }"
    )
    page = await _begin_visit(handset, due)
    by_telephone = page.locator("label.choice", has_text="电话")
    await expect(by_telephone).to_be_visible()
    await page.evaluate("globalThis.isBroken = true")
    await by_telephone.click()
    await expect(page.get_by_text("刚才填写的内容未能保存")).to_be_visible()
    await _look_at(page, "not-kept")
    await page.evaluate("globalThis.isBroken = false")
    await page.get_by_role("button", name="重试").click()
    await expect(page.get_by_text("已保存")).to_be_visible()
    await page.locator("label.choice", has_text="入户").click()


async def test_a_browser_that_keeps_nothing_at_all_says_so_at_the_door(handset, due):
    await handset.context.add_init_script(
        "IDBFactory.prototype.open = () => { throw new DOMException('', 'SecurityError') }"
    )
    page = await handset.open()
    await page.fill("input[name=login]", due.caseworker_login)
    await page.fill("input[name=password]", DEMO_PASSWORDS["caseworker"])
    await shoot(page, "phone-sign-in", full_page=False)
    assert await find_faults(page) == []
    await page.click("button[type=submit]")
    await expect(page.get_by_text("本机数据无法打开")).to_be_visible()
    await _look_at(page, "not-opened")


async def test_a_wrong_clock_is_shown_beside_the_right_one(handset, due):
    await handset.context.add_init_script(
        "{const real = Date.now; Date.now = () => real() + 40 * 60000;"
        "const Real = Date; globalThis.Date = class extends Real {"
        "constructor(...given) { given.length ? super(...given) : super(Date.now()); } static now() { return real() + 2400000 } } }"
    )
    page = await handset.sign_in(due.caseworker_login)
    await expect(page.get_by_text("手机时间不对")).to_be_visible()
    await _look_at(page, "clock")
    await page.get_by_role("button", name="先继续").click()
    await expect(page.locator(".row").first).to_be_visible()


_COUNT_HOMES = """async () => {
  let count = 0;
  for (const { name } of await indexedDB.databases()) {
    if (!name.startsWith('rxdb-dexie-zoufang-') || !name.endsWith('households')) continue;
    const database = await new Promise((done) => {
      const request = indexedDB.open(name);
      request.onsuccess = () => done(request.result);
    });
    count += await new Promise((done) => {
      database.transaction('docs').objectStore('docs').count().onsuccess = (event) => done(event.target.result);
    });
    database.close();
  }
  return count;
}"""


async def test_a_phone_ended_elsewhere_holds_what_is_unsent_alone_and_shows_it_to_its_author(handset, system, due):
    page = await _begin_visit(handset, due)
    await page.locator(".steps button", has_text="声明和谈话").click()
    await page.fill("#in-opinion", "写到一半。")
    await expect(page.get_by_text("已保存")).to_be_visible()
    await page.goto(handset.url + "/m/")
    await expect(page.locator(".row").first).to_be_visible()
    assert await page.evaluate(_COUNT_HOMES) > 0
    other = await system.sign_in(due.caseworker_login, "caseworker")
    headers = await step_up(other.http, DEMO_PASSWORDS["caseworker"])
    for device in (await other.http.get("/auth/v1/devices")).json():
        if not device["isThisOne"]:
            ended = await other.http.delete(f"/auth/v1/devices/{device['id']}", headers=headers)
            assert ended.status_code == 204
    # Sent as an event: the live stream may have told the phone already, and its notice lies over the button.
    with contextlib.suppress(Error):
        await page.get_by_role("button", name="立即同步").dispatch_event("click", timeout=2000)
    await expect(page.get_by_text("此手机已被退出登录")).to_be_visible()
    await _look_at(page, "signed-out")
    await expect(page.locator(".row")).to_have_count(0)
    async with asyncio.timeout(15):
        while await page.evaluate(_COUNT_HOMES):  # noqa: ASYNC110  the page has no event for it
            await asyncio.sleep(0.1)

    await handset.offline()
    await page.reload()
    await expect(page.get_by_text("此手机已被退出登录")).to_be_visible()
    await expect(page.locator(".row")).to_have_count(0)
    await handset.offline(is_offline=False)
    await page.get_by_role("button", name="重新登录").click()
    await page.fill("input[name=login]", due.caseworker_login)
    await page.fill("input[name=password]", DEMO_PASSWORDS["caseworker"])
    await page.click("button[type=submit]")
    await page.locator(".row", has_text="入户调查").first.click()
    await page.get_by_role("button", name="继续填写").click()
    await page.locator(".steps button", has_text="声明和谈话").click()
    await expect(page.locator("#in-opinion")).to_have_value("写到一半。")


async def test_a_sign_out_removes_what_came_down_and_keeps_an_unfinished_visit_for_its_author(handset, due):
    page = await _begin_visit(handset, due)
    await page.locator(".steps button", has_text="声明和谈话").click()
    await page.fill("#in-opinion", "写到一半。")
    await expect(page.get_by_text("已保存")).to_be_visible()
    await page.goto(handset.url + "/m/me")
    await page.get_by_role("button", name="退出登录").click()
    await expect(page.get_by_text("没有填完，会留在本机")).to_be_visible()
    await page.locator(".t-dialog").get_by_text("退出登录", exact=True).last.click()
    await expect(page.locator("input[name=login]")).to_be_visible()
    assert await page.evaluate(_COUNT_HOMES) == 0
    await page.goto(handset.url + "/m/")
    await page.fill("input[name=login]", due.caseworker_login)
    await page.fill("input[name=password]", DEMO_PASSWORDS["caseworker"])
    await page.click("button[type=submit]")
    await page.locator(".row", has_text="入户调查").first.click()
    await page.get_by_role("button", name="继续填写").click()
    await page.locator(".steps button", has_text="声明和谈话").click()
    await expect(page.locator("#in-opinion")).to_have_value("写到一半。")


async def test_a_sign_out_without_a_network_ends_the_session_at_the_next_contact(handset, system, due):
    page = await handset.sign_in(due.caseworker_login)
    await expect(page.locator(".row").first).to_be_visible()
    device_id = await page.evaluate("JSON.parse(localStorage['zoufang.phone.person']).deviceId")
    await page.get_by_role("tab", name="我的").click()
    await handset.offline()
    await page.get_by_role("button", name="退出登录").click()
    await page.locator(".t-dialog").get_by_text("退出登录", exact=True).last.click()
    await expect(page.locator("input[name=login]")).to_be_visible()
    async with page.expect_response("**/auth/v1/refresh?app=phone") as ended:
        await handset.offline(is_offline=False)
    assert (await ended.value).status == 204
    assert await handset.context.cookies(f"{handset.url}/auth/v1/refresh") == []
    other = await system.sign_in(due.caseworker_login, "caseworker")
    devices = (await other.http.get("/auth/v1/devices")).json()
    assert device_id not in {device["id"] for device in devices}


async def test_an_app_too_old_for_the_server_asks_to_be_updated(handset, due):
    gone = {"type": "x", "title": "版本过旧", "status": 426, "code": "sync.schema_version_gone", "error": "x"}
    page = await handset.sign_in(due.caseworker_login)
    await expect(page.locator(".row").first).to_be_visible()
    await page.route("**/pull?*", lambda route: route.fulfill(status=426, body=json.dumps(gone)))
    # Sent as an event: a pull of the phone's own may have been told already, and the notice lies over the button.
    await page.get_by_role("button", name="立即同步").dispatch_event("click")
    await expect(page.get_by_text("版本过旧，请更新")).to_be_visible()
    await _look_at(page, "update")


async def test_a_phone_told_that_it_holds_the_wrong_things_fetches_them_anew(handset, phone, due):
    result, pulled = [], asyncio.Event()

    async def mismatch(route):
        if result:
            return await route.continue_()
        result.append(route.request.url)
        body = {"type": "x", "title": "不一致", "status": 412, "code": "sync.digest_mismatch", "error": "x"}
        return await route.fulfill(status=412, body=json.dumps(body))

    def hear(answer) -> None:
        if result and "/households/1/pull?id=&lwt=0" in answer.url:
            pulled.set()

    await handset.context.route("**/households/1/pull?*digest=*", mismatch)
    handset.context.on("response", hear)
    page = await handset.sign_in(due.caseworker_login)
    await expect(page.locator(".row").first).to_be_visible()
    await page.get_by_role("button", name="立即同步").click()
    await asyncio.wait_for(pulled.wait(), 15)
    homes = await phone.pull("households")
    await expect(page.locator(".choice").nth(2)).to_have_text(f"全部 {len(homes)} 户")


async def test_a_phone_told_that_its_visits_differ_sends_them_again_and_loses_none(handset, phone, due):
    page = await _begin_visit(handset, due)
    await page.get_by_role("button", name="获取定位").click()
    await expect(page.get_by_text("精度 ±5 米")).to_be_visible()
    async with page.expect_response("**/visits/1/push"):
        await page.locator("a", has_text="返回").click()  # the draft is kept at the server, too
    await expect(page.get_by_role("button", name="继续填写")).to_be_visible()
    opened, result, pulled = asyncio.Event(), [], asyncio.Queue()

    async def answer(route):
        """412 to the first digest; of what is then asked for from the beginning, what the server gave."""
        query = parse_qs(urlsplit(route.request.url).query)
        if opened.is_set() and "digest" in query and not result:
            result.append(query["digest"])
            body = {"type": "x", "title": "不一致", "status": 412, "code": "sync.digest_mismatch", "error": "x"}
            return await route.fulfill(status=412, body=json.dumps(body))
        if result and query["lwt"] == ["0"] and "digest" not in query:
            response = await route.fetch()
            pulled.put_nowait(await response.json())
            return await route.fulfill(response=response)
        return await route.continue_()

    await page.route("**/visits/1/pull?*", answer)
    async with page.expect_response("**/visits/1/pull?*"):
        await page.reload(wait_until="commit")
        await expect(page.get_by_role("button", name="继续填写")).to_be_visible()  # once the PIN is typed
        opened.set()  # the digest goes with the second pull after opening
    async with page.expect_response("**/visits/1/push") as pushed:
        await expect(page.get_by_role("button", name="继续填写")).to_be_visible()
        await page.evaluate("dispatchEvent(new Event('online'))")
    again = [row["newDocumentState"] for row in (await pushed.value).request.post_data_json]
    (draft,) = (await phone.pull("visits")).values()
    assert [(item["id"], item["startFix"]) for item in again] == [(draft["id"], draft["startFix"])]
    everything = await asyncio.wait_for(pulled.get(), 15)
    assert [document["id"] for document in everything["documents"]] == [draft["id"]]
    await page.reload()
    await page.get_by_role("button", name="继续填写").click()
    await expect(page.get_by_text("精度 ±5 米")).to_be_visible()


async def test_a_camera_that_is_not_allowed_says_so_and_the_code_may_be_typed(handset, due):
    await handset.context.add_init_script(_READER)
    page = await _begin_visit(handset, due)
    await page.get_by_role("button", name="添加同行人").click()
    await expect(page.get_by_text("没有相机权限")).to_be_visible()
    await _look_at(page, "camera")
    await page.get_by_role("button", name="返回").click()
    await expect(page.get_by_label("输入代码")).to_be_visible()
    await page.get_by_role("button", name="取消").click()
    await page.get_by_role("button", name="添加同行人").click()
    await expect(page.get_by_text("没有相机权限")).to_be_visible()
    await handset.context.grant_permissions(["geolocation", "camera"])
    await page.get_by_role("button", name="重试").click()
    await expect(page.get_by_text("没有相机权限")).to_have_count(0)
    await expect(page.locator("video")).to_be_visible()


async def test_a_new_version_waits_until_the_person_agrees(browser, tmp_path):
    """The app as two builds of it would be served: no API is asked for anything."""
    app = tmp_path / "m"
    shutil.copytree(WEB / "m", app)
    with serve_folder(tmp_path) as url:
        phone = await Handset.unpack(browser, url)
        person = {"personId": str(uuid4()), "deviceId": str(uuid4()), "name": "林禾溪", "roles": []}
        await phone.context.add_init_script(f"localStorage['zoufang.phone.person'] = {json.dumps(json.dumps(person))}")
        page = await phone.open("/m/index.html")
        await page.evaluate("navigator.serviceWorker.ready")
        await page.reload()
        worker, front = app / "sw.js", app / "index.html"
        old = hashlib.sha256(front.read_bytes()).hexdigest()
        front.write_text(front.read_text().replace("<title>走访</title>", "<title>走访新版</title>"))
        assert old in worker.read_text()
        worker.write_text(worker.read_text().replace(old, hashlib.sha256(front.read_bytes()).hexdigest()))
        await page.evaluate("navigator.serviceWorker.ready.then((one) => one.update())")
        await expect(page.get_by_text("有新版本")).to_be_visible()
        await _look_at(page, "new-version")
        await page.get_by_role("button", name="稍后").click()
        await expect(page.get_by_text("有新版本")).to_have_count(0)
        await page.reload()
        assert await page.title() == "走访"  # not before the person says so
        await page.get_by_role("button", name="现在更新").click()
        await expect(page).to_have_title("走访新版", timeout=25_000)
        await expect(page.get_by_text("有新版本")).to_have_count(0)
        await phone.context.close()


async def test_the_app_opens_with_no_network_and_is_installable(handset, due, server):
    page = await handset.sign_in(due.caseworker_login)
    await expect(page.locator(".row").first).to_be_visible()
    await handset.offline()
    await page.close()
    page = await handset.open()
    await expect(page.locator(".row").first).to_be_visible()
    await expect(page.get_by_text("没有网络")).to_be_visible()
    manifest = await page.evaluate("fetch('/m/manifest.webmanifest').then((answer) => answer.json())")
    assert manifest["start_url"] == manifest["scope"] == "/m/"
    assert manifest["display"] == "standalone"
    assert {icon["sizes"] for icon in manifest["icons"]} == {"192x192", "512x512"}
    session = await page.context.new_cdp_session(page)
    parsed = await session.send("Page.getAppManifest")
    assert (parsed["url"], parsed["errors"]) == (f"{server.url}/m/manifest.webmanifest", [])
    found = await session.send("Page.getInstallabilityErrors")
    # A browser profile of a test is a private one, and that alone stands in the way. The shell installs nothing and
    # so finds no errors: there the manifest above is all that is checked.
    expected = [] if chromium().is_shell else ["in-incognito"]
    assert [error["errorId"] for error in found["installabilityErrors"]] == expected


async def test_the_refresh_token_is_out_of_reach_of_scripts_and_survives_a_reload(handset, due):
    page = await handset.sign_in(due.caseworker_login)
    assert await page.evaluate("document.cookie") == ""
    kept = await page.evaluate("JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage})")
    assert "token" not in kept.lower()
    cookies = await handset.context.cookies(f"{handset.url}/auth/v1/refresh")
    assert [(cooky["name"], cooky["httpOnly"], cooky["sameSite"]) for cooky in cookies] == [
        ("zoufang-phone", True, "Strict")
    ]
    assert await handset.context.cookies(f"{handset.url}/m/") == []
    async with page.expect_response("**/auth/v1/refresh") as refreshed:
        await page.reload()
        await expect(page.get_by_text("已同步")).to_be_visible()
    assert (await refreshed.value).status == 200


@pytest.mark.parametrize("app", ["m", "r", "desk"])
async def test_a_script_that_was_slipped_in_does_not_run_and_nothing_goes_elsewhere(handset, app):
    page = await handset.open(f"/{app}/")
    await expect(page.locator("#app > *").first).to_be_visible()
    ran, blocked = await page.evaluate(_SLIPPED_IN)
    assert ran is None
    assert set(blocked) == {"script-src-elem", "script-src-attr", "script-src", "connect-src", "img-src"}
    assert handset.errors != []  # the browser's own word on it
    handset.errors.clear()


async def test_large_type_english_and_signing_out(handset, due):
    page = await handset.sign_in(due.caseworker_login)
    await expect(page.locator(".row").first).to_be_visible()
    await page.get_by_role("tab", name="我的").click()
    await page.get_by_role("switch", name="大字模式").check()
    assert await find_faults(page) == []
    await shoot(page, "phone-me-large")
    await page.goto(f"{handset.url}/m/")
    await expect(page.locator(".row").first).to_be_visible()
    assert await find_faults(page) == []
    await shoot(page, "phone-plan-large", full_page=False)
    await page.get_by_role("tab", name="我的").click()
    await page.locator("label.choice", has_text="英文").click()
    await expect(page.locator(".danger")).to_have_text("Sign out")
    await shoot(page, "phone-me-english", full_page=False)
    await page.locator(".danger").click()
    await page.locator(".t-dialog").get_by_text("Sign out", exact=True).click()
    await expect(page.locator("input[name=login]")).to_be_visible()
    names = await page.evaluate("indexedDB.databases().then((all) => all.map((one) => one.name))")
    assert [name for name in names if "zoufang-local" in name] == []


async def test_a_colleague_is_named_by_scanning_or_typing_their_code(handset, due, system):
    partner = await system.sign_in(due.partner_login, "caseworker")
    await handset.context.grant_permissions(["geolocation", "camera"])
    address = f"{handset.url}/m/attest/?colleague=CODE&name=%E5%91%A8%E6%A1%90"
    await handset.context.add_init_script(_READER)
    await handset.context.grant_permissions(["geolocation", "camera"])
    page = await _begin_visit(handset, due)
    people = page.locator(".people li")
    await people.nth(1).get_by_role("button", name="移除").click()
    await expect(people).to_have_count(1)
    await page.get_by_role("button", name="添加同行人").click()
    await page.get_by_label("输入代码").fill("ABC")
    await page.get_by_role("button", name="确定").click()
    await expect(page.get_by_text("代码不对")).to_be_visible()
    await shoot(page, "phone-scan")
    await page.evaluate(f"globalThis.seen = {json.dumps(address.replace('CODE', typed_code(partner.id)))}")
    await expect(people).to_have_count(2)
    await expect(people.nth(1)).to_contain_text("周桐")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_said) -> None:
        """Nothing of each request."""


@contextlib.contextmanager
def serve_folder(folder):
    with ThreadingHTTPServer((LOOPBACK, 0), partial(_Quiet, directory=str(folder))) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://{LOOPBACK}:{served.server_port}"
        served.shutdown()


def typed_code(person_id) -> str:
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    return "".join(alphabet[(person_id.int >> shift) & 31] for shift in range(125, -1, -5))


async def _begin_visit(handset: Handset, due):
    await handset.context.set_geolocation({"latitude": 28.9, "longitude": 118.9, "accuracy": 5})
    page = await handset.sign_in(due.caseworker_login)
    await page.locator(".row", has_text="入户调查").first.click()
    # What an earlier test began comes back from the server's copy.
    await page.get_by_role("button", name=re.compile("开始走访|继续填写")).click()
    return page


async def _look_at(page, name: str) -> None:
    assert await find_faults(page) == []
    await shoot(page, f"phone-gate-{name}", full_page=False)
