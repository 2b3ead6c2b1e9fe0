"""A supervisor's session at the desk, in a real browser: claim, read, return with reasons, accept, undo; every screen."""

import contextlib
import io
import re
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import msgspec
import pytest
from PIL import Image
from playwright.async_api import Page, ViewportSize, expect
from playwright.async_api import TimeoutError as PlaywrightTimeout
from sqlalchemy import update

from server.core.database import open_session
from server.demo.staff import DEMO_PASSWORDS
from server.devserver.processes import LOOPBACK
from server.models.areas import PolicySetting
from tests.conftest import fresh_settings
from tests.makers.visits import MORNING, Ground
from tests.phones import make_kit, step_up
from tests.test_first_path import push_whole
from tests.visits.test_amendments import amend
from tests.web.browser import find_codes, find_faults, find_overflows
from tests.web.conftest import in_one_loop
from tests.web.desk.conftest import DESK, dialog_of, said, shoot

A4: ViewportSize = {"width": 794, "height": 1123}  # at 96 dots an inch
SCREENS = {
    "overview": ("/desk/overview", "各专干进度"),
    "due": ("/desk/due", "到期走访"),
    "spot-checks": ("/desk/spot-checks", "抽查计划"),
    "households": ("/desk/households", "宋荷岚"),
    "cases": ("/desk/cases", "下一期限"),
    "postings": ("/desk/postings", "公示"),
    "complaints": ("/desk/complaints", "XF339901"),
    "checklists": ("/desk/checklists", "入户调查表"),
    "rules": ("/desk/rules", "定位距住址允许半径"),
    "staff": ("/desk/staff", "林禾溪"),
    "devices": ("/desk/devices", "未能入库的记录"),
    "failed-jobs": ("/desk/failed-jobs", "后台处理都已完成"),
    "audit": ("/desk/audit", "设备登录"),
}


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """A server of map tiles, each the same field of green. What it was asked for is in `asked`."""
    picture = io.BytesIO()
    Image.new("RGB", (256, 256), (214, 228, 205)).save(picture, "PNG")

    class Tiles(BaseHTTPRequestHandler):
        paths: ClassVar[list[str]] = []

        def do_GET(self) -> None:
            self.paths.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            self.wfile.write(picture.getvalue())

        def log_message(self, *_said) -> None:
            """Nothing of each request."""

    with ThreadingHTTPServer((LOOPBACK, 0), Tiles) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield served
        served.shutdown()


@pytest.fixture(scope="module")
def settings(postgres, s3, template_with_cases, tiles):
    """Here a map has a ground; everywhere else it does without."""
    ground = f"http://{LOOPBACK}:{tiles.server_port}/{{z}}/{{x}}/{{y}}.png"
    for plain in fresh_settings(postgres, s3, template_with_cases):
        yield msgspec.structs.replace(plain, map_tiles=ground, map_datum="gcj02")


@in_one_loop
async def second_thoughts(services):
    """The usual minute, which other tests do without."""
    async with open_session(services.sessions) as session:
        await session.execute(update(PolicySetting).where(PolicySetting.key == "review.undo_s").values(value=60))


@in_one_loop
async def visit(system, second_thoughts, phone, due):
    """A whole visit in the queue, drawn as the demo draws; and the usual minute for second thoughts."""
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id, drawn=True)
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    return kit.visit


@in_one_loop
async def amended(visit, system, phone, desk):
    """The same visit, returned for its opinion and mended by its author."""
    claim = (await desk.http.post(f"/desk/v1/queue/{visit['id']}/claim")).json()
    params = {
        "outcome": "returned",
        "reason": "理由太简单",
        "questioned": [{"questionId": "opinion", "reason": "请写清楚"}],
    }
    path = f"/desk/v1/visits/{visit['id']}/decision"
    answer = await desk.http.post(path, json=params, headers={"If-Match": f'"{claim["version"]}"'})
    assert answer.status_code == 200, answer.text
    master = (await phone.pull("visits"))[visit["id"]]
    mended = amend(master, answers=master["answers"] | {"opinion": "核对流水后，建议纳入。"})
    assert await phone.push("visits", mended, assumed=master) == []
    await system.run_jobs()
    return visit


@in_one_loop
async def page(at_desk):
    return await at_desk("zhuyanhui", "supervisor")


async def test_a_supervisor_claims_reads_accepts_thinks_again_and_returns_with_reasons(visit, at_desk, phone, tiles):
    page = await at_desk("zhuyanhui", "supervisor", by_hand=True)
    row = page.locator("tbody tr").first
    await expect(row).to_be_visible()
    faults: dict[str, list[str]] = {}
    await _look_at(page, "queue", faults)

    await page.keyboard.press("n")
    await page.wait_for_url(f"**/desk/visits/{visit['id']}")
    await expect(page.get_by_role("heading", name="走访表答案")).to_be_visible()
    await expect(page.locator(".photos .main img")).to_be_visible()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_text("第 2 张，共 4 张")).to_be_visible()
    await page.keyboard.press("f")
    await page.keyboard.press("ArrowRight")
    large = page.locator(".photos .main img")
    await expect(page.get_by_text("第 3 张，共 4 张")).to_be_visible()
    await expect(large).to_have_js_property("complete", value=True)
    box = await large.bounding_box()
    assert box is not None
    assert (box["width"] > DESK["width"] - 10, box["height"] > 600) == (True, True)
    covered = await page.evaluate("""() => {
      const photo = document.querySelector('.photos .main'), box = photo.getBoundingClientRect();
      const spots = [0.02, 0.25, 0.5, 0.75, 0.98].flatMap((x) => [0.02, 0.25, 0.5, 0.75, 0.98].map((y) => [x, y]));
      return spots.filter(([x, y]) => !photo.contains(document.elementFromPoint(box.left + x * box.width, box.top + y * box.height)));
    }""")
    assert covered == []
    faults["photo"] = await find_faults(page)
    await shoot(page, "desk-photo-large")
    await page.keyboard.press("Escape")
    await page.keyboard.press("ArrowLeft")
    await expect(page.locator(".photos.large")).to_have_count(0)
    await expect(page.get_by_role("img", name="位置图")).to_be_visible()
    zooms = {int(item.split("/")[1]) for item in tiles.RequestHandlerClass.paths}
    assert len(zooms) == 1
    assert max(zooms) in range(14, 19)
    await _look_at(page, "visit", faults)

    # A finding is settled by keys, then the visit accepted and, within the minute, taken back.
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await expect(page.locator("li.dismissed")).to_have_count(1)
    await page.keyboard.press("a")
    await page.get_by_role("dialog").get_by_role("button", name="通过").click()
    await expect(page.get_by_text("秒内可以撤销")).to_be_visible()
    assert (await _decision(phone, visit))["state"] == "accepted"
    await page.keyboard.press("z")
    await expect(page.get_by_text("由您审核，")).to_be_visible()

    # Returned: a question and the first photo, each with what to mend.
    await page.get_by_role("button", name="质疑：理由和建议").click()
    await page.keyboard.press("ArrowLeft")
    await page.get_by_role("button", name="质疑这张").click()
    await page.keyboard.press("r")
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("button", name="退回", exact=True)).to_be_disabled()  # without reasons
    for field in await dialog.get_by_placeholder("要补正什么").all():
        await field.fill("看不清，请补拍或写清楚")
    await dialog.get_by_label("给专干的说明").fill("两处需要补正。")
    faults["return"] = await find_faults(page)
    await shoot(page, "desk-return")
    await dialog.get_by_role("button", name="退回", exact=True).click()
    await expect(page.get_by_text("退回。")).to_be_visible()
    result = await _decision(phone, visit)
    assert result["state"] == "returned"
    assert {item["questionId"] for item in result["decision"]["questioned"]} == {"opinion", "photo_outside"}
    assert {name: found for name, found in faults.items() if found} == {}


async def test_an_amendment_is_read_beside_what_it_changed_then_sent_to_a_spot_check_or_up(
    amended, page: Page, server, phone
):
    await page.goto(f"{server.url}/desk/visits/{amended['id']}")
    changed = page.get_by_role("row").filter(has=page.locator("del")).filter(has=page.locator("ins"))
    await expect(changed).to_have_count(1)
    await expect(changed.get_by_text("理由和建议")).to_be_visible()
    await expect(changed.locator("del")).to_have_text(amended["answers"]["opinion"])
    await expect(changed.locator("ins")).to_have_text("核对流水后，建议纳入。")
    faults = await find_faults(page)
    await shoot(page, "desk-visit-amended")

    await page.keyboard.press("c")
    for key, name in (("s", "转抽查"), ("e", "上报")):
        await expect(page.get_by_text("由您审核，")).to_be_visible()
        await page.keyboard.press(key)
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("理由").fill("与邻里所说不一致，需再看一次。")
        await dialog.get_by_role("button", name=name).click()
        await expect(page.get_by_text(f"{name}。")).to_be_visible()
        if key == "s":
            await page.keyboard.press("z")
    assert (await _decision(phone, amended))["decision"]["outcome"] == "escalated"
    assert faults == []


async def test_answers_stand_beside_the_last_visits_and_what_differs_is_marked(page: Page, services, server):
    ground = await Ground.open(services)
    ground.dice.seed(35)  # else its photos look like those of the next test's
    home = ground.homes[35]
    head, other = home.members[:2]
    params: dict[str, Any] = {
        "talk_record": "问：近况如何？答：和上次一样。",
        "savings_fen": 200_000,
        "income": [
            {
                "kind": "wages",
                "declaredFen": 600_000,
                "foundFen": 600_000,
                "periodFrom": "2024-11",
                "periodTo": "2025-10",
            }
        ],
    }
    await ground.examined(35, answers=params)
    later = params | {
        "savings_fen": 1_500_000,
        "members": [ground.member(head, health="disabled_other"), ground.member(other)],
        "income": [params["income"][0] | {"foundFen": 900_000, "periodFrom": "2024-12", "periodTo": "2025-11"}],
    }
    visit = await ground.examined(35, started_at=MORNING + timedelta(days=5), answers=later)
    await page.goto(f"{server.url}/desk/visits/{visit}")
    answers = page.locator(".answers")
    await expect(answers.get_by_role("columnheader", name=f"上次 {MORNING:%Y/%m/%d}")).to_be_visible()
    money = answers.get_by_role("row").filter(has_text="15,000.00 元")
    await expect(money.get_by_text("不同")).to_be_visible()
    await expect(money).to_contain_text("2,000.00 元")
    await expect(answers.get_by_role("row").filter(has_text="和上次一样").locator(".tag")).to_have_count(0)
    # In a table the cell that differs is marked, with what stood there.
    await expect(answers.locator("td.differs").filter(has_text="上次").first).to_be_visible()
    wages = answers.locator(".inner tr").filter(has_text="工资性收入")
    await expect(wages.locator("td.differs")).to_have_text(
        "9,000.00 元（每月 750.00 元） 上次 6,000.00 元（每月 500.00 元）"
    )  # and no period: it moves on by itself
    if len(home.members) > 2:
        await expect(answers.locator("tr.gone").first).to_contain_text("本次没有")
    faults = await find_faults(page)
    await shoot(page, "desk-visit-compared")
    await page.get_by_role("button", name="只看不同").press("Enter")
    await expect(answers.get_by_text("和上次一样")).to_have_count(0)
    await expect(money).to_be_visible()
    assert faults == []


async def test_every_screen_of_the_desk_opens_on_the_demo_county_in_both_languages(page: Page, server):
    faults = {}
    for name, (path, result) in SCREENS.items():
        await page.goto(server.url + path)
        await expect(page.get_by_text(result).filter(visible=True).first).to_be_visible()
        if name == "overview":
            await expect(page.locator("section svg").first).to_be_visible()
        await _look_at(page, name, faults)
    await page.goto(f"{server.url}/desk/checklists")
    await page.get_by_role("row", name="入户调查表").press("Enter")
    await expect(dialog_of(page).get_by_text("有条件").first).to_be_visible()
    faults["checklist"] = await find_faults(page)
    await shoot(page, "desk-checklist")
    for name, path, result in (("household", "/desk/households", "家庭成员"), ("case", "/desk/cases", "办理过程")):
        await page.goto(server.url + path)
        await expect(page.locator("tbody tr").first).to_be_visible()
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text(result).filter(visible=True).first).to_be_visible()
        await _look_at(page, name, faults, full_page=True)
    assert {name: found for name, found in faults.items() if found} == {}


async def test_the_screens_of_officers_open_in_both_languages(at_desk):
    page = await at_desk("panhuaixu", "town_officer", "/cross-checks")
    faults: dict[str, list[str]] = {}
    await expect(page.get_by_role("heading", name="经济状况核对")).to_be_visible()
    await _look_at(page, "cross-checks", faults)
    await page.get_by_role("navigation").get_by_role("link", name="更正申请").press("Enter")
    await expect(page.get_by_role("heading", name="更正申请")).to_be_visible()
    await _look_at(page, "proposals-none", faults)
    assert {name: found for name, found in faults.items() if found} == {}


async def test_whoever_has_no_part_at_the_desk_is_told_so_and_others_land_where_they_may(at_desk, system, server):
    ended = await system.sign_in_at_desk("yusonggu", "town_officer")
    worker = await at_desk("linhexi", "caseworker", "/cases")
    await expect(worker.get_by_role("heading", name="没有工作台的权限")).to_be_visible()
    await expect(worker.get_by_role("link", name="打开手机端")).to_have_attribute("href", "/m/")
    faults = await find_faults(worker)
    # Whose devices were ended elsewhere stands at the door at the next request, and reads why.
    officer = await at_desk("yusonggu", "town_officer")
    headers = await step_up(ended.http, DEMO_PASSWORDS["town_officer"])
    for device in (await ended.http.get("/auth/v1/devices")).json():
        await ended.http.delete(f"/auth/v1/devices/{device['id']}", headers=headers)
    await officer.reload()
    await expect(officer.get_by_text("这次登录已经结束")).to_be_visible()
    supervisor = await at_desk("zhuyanhui", "supervisor", "/cross-checks")  # officers' own
    await supervisor.wait_for_url("**/desk/queue")
    admin = await at_desk("zhanxinglou", "admin", by_hand=True)
    await admin.wait_for_url("**/desk/overview")  # what the office lacks
    assert faults == []


async def _look_at(page: Page, name: str, faults: dict[str, list[str]], *, full_page: bool = False) -> None:
    """In Chinese on a wide screen and in large type, in English on a narrow one, where nothing may be called by its code."""
    faults[name] = await find_faults(page)
    await shoot(page, f"desk-{name}", full_page=full_page)
    await page.get_by_role("button", name="大字", exact=True).press("Enter")
    faults[f"{name} in large type"] = await find_overflows(page)
    await page.get_by_role("button", name="标准字", exact=True).press("Enter")
    await page.set_viewport_size({"width": 1100, "height": 800})
    await page.get_by_role("button", name="English", exact=True).press("Enter")
    await shoot(page, f"desk-{name}-en", full_page=full_page)
    faults[f"{name} in English"] = [*await find_overflows(page), *await find_codes(page)]
    await page.get_by_role("button", name="中文", exact=True).press("Enter")
    await page.set_viewport_size(DESK)


async def test_dialogs_hold_the_focus_and_give_it_back_and_every_key_is_told(page: Page, server):
    await page.goto(f"{server.url}/desk/postings")
    # the page's other list can be there first
    row = page.get_by_role("table", name="公示", exact=True).locator("tbody tr").first
    await row.focus()
    await page.keyboard.press("Enter")
    dialog = dialog_of(page)
    await expect(dialog).to_be_visible()
    for _ in range(12):
        await page.keyboard.press("Tab")
        assert await page.evaluate(
            "document.activeElement.closest('dialog') !== null || document.activeElement === document.body"
        )
    faults = await find_faults(page)
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(row).to_be_focused()
    await page.keyboard.press("?")
    await expect(dialog).to_be_visible()
    result = set(await dialog.locator("kbd").all_inner_texts())
    assert result == {*"gqohcjk/nyxfarsez?", "←", "→", "Ctrl", "Enter", "Esc"}
    faults += await find_faults(page)
    await page.keyboard.press("Escape")
    await expect(row).to_be_focused()
    await page.keyboard.press("g")
    await page.keyboard.press("h")
    await expect(page).to_have_title("家庭 · 走访工作台")
    await page.keyboard.press("/")
    await expect(page.get_by_label("姓名、拼音、号码、地址、村")).to_be_focused()
    assert faults == []


async def _decision(phone, visit):
    """What the author's phone hears."""
    return (await phone.pull("visits"))[visit["id"]]["server"]


async def test_the_queue_is_filtered_by_a_saved_view_and_what_is_clean_is_accepted_together(page: Page, services, desk):
    ground = await Ground.open(services)
    clean = [await ground.examined(n, started_at=MORNING + timedelta(days=n)) for n in (20, 21)]
    doubted = await ground.examined(22, started_at=MORNING + timedelta(days=22), minutes=3)
    await page.reload()
    await page.get_by_label("疑点", exact=True).select_option("visit.too_short")
    await page.get_by_label("地区").first.select_option(label="禾汀街道")
    await expect(page.get_by_label("地区")).to_have_count(2)
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.get_by_role("button", name="保存筛选").press("Enter")
    await dialog_of(page).get_by_label("名称").fill("走得太快")
    await page.keyboard.press("Enter")
    await said(page, "已保存")
    await page.get_by_role("button", name="清除筛选").press("Enter")
    await expect(page.get_by_label("地区")).to_have_count(1)
    await page.get_by_role("button", name="走得太快", exact=True).press("Enter")
    await expect(page.get_by_label("地区").first.locator("option:checked")).to_have_text("禾汀街道")
    await expect(page.locator("tbody tr")).to_have_count(1)
    async with page.expect_download() as kept:
        await page.get_by_role("button", name="存为 Excel").press("Enter")
    assert (await (await kept.value).path()).read_bytes().startswith(b"PK")
    saved = (await desk.http.get("/desk/v1/queue/views")).json()
    assert [(item["name"], item["filters"]["finding"]) for item in saved] == [("走得太快", "visit.too_short")]
    faults = await find_faults(page)
    await shoot(page, "desk-queue-view")
    await page.get_by_role("button", name="删除 走得太快").press("Enter")
    await expect(page.get_by_text("常用筛选")).to_have_count(0)

    await page.get_by_role("button", name="清除筛选").press("Enter")
    await page.get_by_role("button", name=re.compile("^通过无疑点的")).press("Enter")
    await dialog_of(page).get_by_role("button", name="通过", exact=True).press("Enter")
    await said(page, "已通过")
    states = {str(item): (await desk.http.get(f"/desk/v1/visits/{item}")).json()["state"] for item in clean}
    assert set(states.values()) == {"accepted"}
    assert (await desk.http.get(f"/desk/v1/visits/{doubted}")).json()["state"] == "under_review"
    assert faults == []


async def test_a_visit_is_put_back_handed_over_decided_elsewhere_and_reopened(
    page: Page, services, server, at_desk, desk, second_thoughts
):
    ground = await Ground.open(services)
    visit = await ground.examined(30, started_at=MORNING + timedelta(days=3), minutes=3)
    address = f"{server.url}/desk/visits/{visit}"
    await page.goto(address)
    await page.get_by_role("button", name=re.compile("^领取审核")).wait_for()
    await page.keyboard.press("c")
    await page.get_by_role("button", name="放回队列").press("Enter")
    await expect(page.get_by_role("heading", name="审核队列")).to_be_visible()
    assert await _item(desk, visit) == ("waiting", None)

    await page.goto(address)
    await page.get_by_role("button", name=re.compile("^领取审核")).wait_for()
    await page.keyboard.press("c")
    await page.get_by_role("button", name="移交").press("Enter")
    await dialog_of(page).get_by_label("移交给").select_option(label="毛荷塘 · 云栖县")
    await dialog_of(page).get_by_role("button", name="移交").press("Enter")
    await expect(page.get_by_role("heading", name="审核队列")).to_be_visible()
    assert await _item(desk, visit) == ("claimed", "毛荷塘")

    county = await at_desk("maohetang", "county_officer")
    await county.goto(address)
    await county.get_by_role("button", name=re.compile("^领取审核")).wait_for()
    await county.keyboard.press("c")
    await expect(county.get_by_text("由您审核，")).to_be_visible()

    async def lose_the_answer(route):
        await route.fetch()
        await route.abort()

    await county.route("**/decision", lose_the_answer, times=1)
    await county.keyboard.press("a")
    await dialog_of(county).get_by_role("button", name="通过").press("Enter")
    await said(county, "连不上服务器")
    await dialog_of(county).get_by_role("button", name="通过").press("Enter")  # the same act: decided once
    await expect(county.get_by_text("秒内可以撤销")).to_be_visible()
    reopen = county.get_by_role("button", name="重新打开")
    for _ in range(3):  # on a busy machine the first was seen to come to nothing; why is not known
        await county.reload()
        with contextlib.suppress(PlaywrightTimeout):
            await reopen.wait_for(timeout=5_000)
            break
    await reopen.press("Enter")
    await dialog_of(county).get_by_label("理由").fill("又收到举报")
    await county.keyboard.press("Control+Enter")
    await said(county, "已记下")
    await county.get_by_role("button", name="历次疑点").press("Enter")
    await expect(county.get_by_role("heading", name="历次疑点")).to_be_visible()
    assert await _item(desk, visit) == ("waiting", None)
    assert await find_faults(county) == []


async def test_a_claim_outlives_a_broken_line_and_ends_when_the_server_says_so(page: Page, services, server, desk):
    ground = await Ground.open(services)
    visit = await ground.examined(31, started_at=MORNING + timedelta(days=6), minutes=3)
    await page.clock.install()
    await page.goto(f"{server.url}/desk/visits/{visit}")
    await page.get_by_role("button", name=re.compile("^领取审核")).wait_for()
    await page.keyboard.press("c")
    mine = page.get_by_text("由您审核，")
    await expect(mine).to_be_visible()
    await page.route("**/heartbeat", lambda route: route.abort(), times=1)
    async with page.expect_event("requestfailed"):
        await page.clock.fast_forward(61_000)
    await expect(mine).to_be_visible()
    item = {
        item["visitId"]: item for item in (await desk.http.get("/desk/v1/queue", params={"limit": 100})).json()["items"]
    }
    assert item[str(visit)]["state"] == "claimed"
    await desk.http.post(f"/desk/v1/queue/{visit}/release")
    await page.clock.fast_forward(61_000)
    await said(page, "请先领取")
    await expect(mine).to_have_count(0)


async def _item(desk, visit) -> tuple[str, str | None]:
    lines = (await desk.http.get("/desk/v1/queue", params={"limit": 100})).json()["items"]
    return next((line["state"], line["holderName"]) for line in lines if line["visitId"] == str(visit))


async def test_a_visit_of_many_photos_from_elsewhere_fits_the_screen_and_is_printed_whole(
    system, phone, due, page: Page, server, drawn
):
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id, kind="review", photos=drawn)
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    await page.goto(f"{server.url}/desk/visits/{kit.visit['id']}")
    await expect(page.locator(".photos .main img")).to_be_visible()
    await expect(page.get_by_text(re.compile("图外有 8 张照片，最远 1\\d\\d(\\.\\d)? 公里"))).to_be_visible()
    faults: dict[str, list[str]] = {}
    await _look_at(page, "visit-many", faults)
    assert {name: found for name, found in faults.items() if found} == {}
    await page.emulate_media(media="print")
    await expect(page.get_by_role("navigation")).to_be_hidden()
    await expect(page.get_by_role("button", name="打印", exact=True)).to_be_hidden()
    await expect(page.get_by_role("heading", name="走访表答案")).to_be_visible()
    await expect(page.get_by_role("img", name="位置图")).to_be_visible()
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 1
    await page.set_viewport_size(A4)
    await shoot(page, "desk-visit-printed", full_page=True)


async def test_a_household_a_case_and_the_overview_are_printed_on_one_page_wide(page: Page, server):
    await page.set_viewport_size(A4)
    for name, path, result in (
        ("overview", "/desk/overview", "各专干进度"),
        ("household", "/desk/households", "家庭成员"),
        ("case", "/desk/cases", "办理过程"),
    ):
        await page.emulate_media(media="screen")
        await page.goto(server.url + path)
        if name != "overview":
            await page.locator("tbody tr").first.press("Enter")
        await expect(page.get_by_text(result).filter(visible=True).first).to_be_visible()
        await page.emulate_media(media="print")
        await expect(page.get_by_role("navigation")).to_be_hidden()
        await expect(page.get_by_role("button", name="打印", exact=True)).to_be_hidden()
        await expect(page.get_by_text("祝雁回 于")).to_be_visible()  # who took it out of the archive, and when
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert (name, wide) == (name, 0)
        await shoot(page, f"desk-{name}-printed", full_page=True)
