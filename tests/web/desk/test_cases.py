"""A case at the desks of town and county, from the application to the decision; and what else comes in of cases."""

import re
from datetime import date
from uuid import UUID

from playwright.async_api import Page, expect

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.id_numbers import make_id_number
from server.demo.pictures import draw_picture
from server.demo.scenes import SCENES
from server.models.cases import CaseFile, IncomeItem
from tests import days
from tests.cases.test_whole_case import explained
from tests.makers import offices
from tests.makers.cases import look
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, open_door, said, shoot

VILLAGE = "柚溪社区"
HEAD_ID = make_id_number("339901", date(1961, 3, 8), 777)


async def test_an_application_is_examined_heard_posted_and_granted(at_desk, office, server, tmp_path):
    town = await at_desk("wangzhusheng", "town_officer")
    case_id = await _apply(town)
    faults = {"case": await find_faults(town)}

    # Papers, then taken on: what is still missing is told by the server, in words.
    await _take(town, "受理", refused=True)
    await said(town, "户口簿")
    await town.keyboard.press("Escape")
    await expect(dialog_of(town)).to_have_count(0)
    papers = town.get_by_role("button", name=re.compile("^已收 "))
    for left in range(await papers.count(), 0, -1):
        await papers.first.click()
        await expect(papers).to_have_count(left - 1)
    await _take(town, "受理")
    await _take(town, "开始入户调查")

    faults["cross-check"] = await _check(town, tmp_path)
    await office.system_step(case_id, "survey_done")
    await town.goto(f"{server.url}/desk/cases/{case_id}")
    await expect(town.get_by_text("查得 2,600.00").or_(town.get_by_text("一致", exact=True)).first).to_be_visible()
    faults["hearing"] = await _hear(town)

    await expect(town.get_by_text("未确认，建议 城市低保（按村（社区）代码推测）")).to_be_visible()
    await _take(town, "确认城乡类别")
    await expect(town.get_by_text("城市低保", exact=True)).to_be_visible()
    await town.get_by_role("button", name="测算本月").click()
    await expect(town.get_by_text("符合", exact=True).first).to_be_visible()
    # The wage that the tax office found is not in it: a reason, and a second person.
    await _take(town, "初审：拟予保障", refused=True)
    await said(town, "另一人同意")
    await town.keyboard.press("Escape")
    writer, approver = await office.sign_in("wangzhusheng"), await office.sign_in("maohetang")
    await explained(writer, approver, case_id, "opinion_grant", "上月已离职，有离职证明")
    await _take(town, "初审：拟予保障")
    faults["posting"] = await _post(town, tmp_path)
    await office.system_step(case_id, "posting_ended")

    county = await at_desk("maohetang", "county_officer")
    await county.goto(f"{server.url}/desk/cases/{case_id}")
    await explained(writer, approver, case_id, "confirmed", "上月已离职，有离职证明")
    await _take(county, "审核确认：予以保障")
    await _take(county, "长期公示")
    await _take(county, "登记决定书送达", delivery="当面送达，本人签收")
    async with county.expect_download() as kept:
        await county.get_by_role("button", name="确认通知").click()
    assert (await (await kept.value).path()).read_bytes().startswith(b"%PDF")
    await shoot(county, "desk-case-granted", full_page=True)

    held = await look(await office.sign_in("maohetang"), case_id)
    assert (held["state"], held["amountFen"]) == ("published", 26_000)
    steps = [item["step"] for item in held["timeline"]]
    order = ["applied", "accepted", "survey_begun", "cross_check_begun", "hearing_called", "hearing_passed"]
    assert [step for step in steps if step in order] == order
    assert steps[-3:] == ["confirmed", "published", "notice_delivered"]
    assert {name: found for name, found in faults.items() if found} == {}


async def test_a_case_is_paused_resumed_extended_withdrawn_refused_and_what_is_paid_is_changed(
    at_desk, office, services
):
    town = await at_desk("wangzhusheng", "town_officer", "/cases")
    paused = await _open_case(town, "初审中")
    for act, result in (("暂停计时", "已暂停计时"), ("恢复计时", ""), ("延长期限", "已延长")):
        await _take(town, act, reason="等待外省核对结果")
        if result:
            await expect(town.locator("h1 ~ .tag", has_text=result)).to_be_visible()
    await _take(town, "延长期限", reason="再等几天", refused=True)
    await said(town, "延长")
    await town.keyboard.press("Escape")
    faults = {"paused": await find_faults(town)}

    await open_door(town, "案件")
    withdrawn = await _open_case(town, "调查中")
    await _take(town, "撤回申请", reason="已找到工作，不再申请")
    await expect(town.get_by_text("已撤回").first).to_be_visible()
    await expect(town.get_by_text("现在没有可办的事项")).to_be_visible()

    county = await at_desk("maohetang", "county_officer", "/cases")
    refused = await _open_case(county, "县级审核中")
    await _take(county, "审核确认：不予保障", reason="名下有两处住房")
    await expect(county.get_by_text("未通过").first).to_be_visible()
    async with county.expect_download() as kept:
        await county.get_by_role("button", name=re.compile("^不予确认通知书")).press("Enter")
    assert (await (await kept.value).path()).read_bytes().startswith(b"%PDF")

    await open_door(county, "案件")
    changed = await _open_case(county, "发放中")
    before = (await look(await office.sign_in("maohetang"), changed))["amountFen"]
    await _earn_more(services, changed)
    town = await at_desk("wangzhusheng", "town_officer", f"/cases/{changed}")
    await _take(town, "提出调整金额", reason="家庭收入增加", refused=True)
    await said(town, "测算")
    await town.keyboard.press("Escape")
    await town.get_by_role("button", name="测算本月").press("Enter")
    await said(town, "已办理")
    await _take(town, "提出调整金额", reason="家庭收入增加")
    await expect(town.get_by_text("待另一人决定")).to_be_visible()
    await shoot(town, "desk-case-proposed", full_page=True)
    await county.reload()
    await _take(county, "同意调整金额", reason="家庭收入增加")
    faults["changed"] = await find_faults(county)
    await shoot(county, "desk-case-changed", full_page=True)

    desk = await office.sign_in("maohetang")
    held = {
        name: await look(desk, item) for name, item in zip("pwrc", (paused, withdrawn, refused, changed), strict=True)
    }
    assert (held["p"]["isSuspended"], held["p"]["isExtended"]) == (False, True)
    assert [held[name]["state"] for name in "wr"] == ["withdrawn", "refused"]
    assert held["r"]["timeline"][-1]["reason"] == "名下有两处住房"
    assert held["c"]["amountFen"] == before - 5_000
    assert {name: found for name, found in faults.items() if found} == {}


async def _open_case(page: Page, state: str) -> str:
    await page.get_by_role("tab", name="全部案件").press("Enter")
    await page.get_by_label("状态").select_option(label=state)
    row = page.locator("tbody tr").first
    await expect(row.get_by_text(state)).to_be_visible()
    await row.press("Enter")
    await page.wait_for_url("**/desk/cases/*")
    await expect(page.get_by_role("heading", name="办理过程")).to_be_visible()
    return page.url.rsplit("/", 1)[1]


async def _earn_more(services, case_id: str) -> None:
    """Fifty yuan a month more."""
    async with open_session(services.sessions) as session:
        case = await session.get_one(CaseFile, UUID(case_id))
        income = {"kind": "wage", "category": "", "period": "month", "declared_fen": 5_000, "verified_fen": 5_000}
        session.add(IncomeItem(household_id=case.household_id, **income))


async def _apply(page: Page) -> str:
    """A household that is new, with its application, by the keyboard alone once the dialog is open."""
    await page.keyboard.press("g")
    await page.keyboard.press("h")
    await page.get_by_role("button", name="新建家庭并登记申请").click()
    dialog = dialog_of(page)
    await dialog.get_by_label("地区").select_option(label=VILLAGE)
    await dialog.get_by_label("姓名").fill("农知秋")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.type(HEAD_ID)
    await dialog.get_by_label("住址").fill("云栖县柚溪镇柚溪社区 900 号")
    await dialog.get_by_role("button", name="添加收入或支出").press("Enter")
    await dialog.get_by_label("申报（元）").fill("100")
    await dialog.get_by_label("核定（元）").fill("100.00")
    await shoot(page, "desk-application")
    await page.keyboard.press("Control+Enter")
    await page.wait_for_url("**/desk/cases/*")
    await expect(page.get_by_role("heading", name="农知秋")).to_be_visible()
    return page.url.rsplit("/", 1)[1]


async def _take(
    page: Page, name: str, *, reason: str = "按规定办理", delivery: str = "", refused: bool = False
) -> None:
    """By keyboard alone; what the server refuses leaves the dialog open."""
    await page.get_by_role("button", name=name, exact=True).first.press("Enter")
    dialog = dialog_of(page)
    await dialog.get_by_label(re.compile("^(理由|说明)")).fill(reason)
    if delivery:
        await dialog.get_by_label("送达方式").fill(delivery)
    await page.keyboard.press("Control+Enter")
    if refused:
        await expect(page.locator("#messages .bad").last).to_be_visible()
    else:
        await expect(dialog).to_have_count(0)


async def _check(page: Page, tmp_path) -> list[str]:
    """The tax office is asked, answers under headings of its own, and finds a wage that nobody declared."""
    await open_door(page, "核对")
    await page.get_by_role("button", name="发起核对").click()
    dialog = dialog_of(page)
    await dialog.get_by_label("部门").select_option(label="税务")
    await dialog.get_by_role("button", name="发起核对").press("Enter")
    await expect(dialog.get_by_text("名单含完整身份证号")).to_be_visible()
    async with page.expect_download() as kept:
        await dialog.get_by_role("button", name="下载名单（表格）").click()
    request = (await (await kept.value).path()).read_bytes()
    answer = tmp_path / "answer.xlsx"
    answer.write_bytes(offices.answer("tax", request, {HEAD_ID: "2600"}, headings={"身份证号": "证件号码"}))
    await dialog.locator("input[type=file]").set_input_files(answer)
    await dialog.get_by_role("button", name="导入结果").click()
    await said(page, "身份证号")  # a heading that is not theirs
    await dialog.get_by_label("身份证号").fill("证件号码")
    await dialog.get_by_role("button", name="导入结果").click()
    await expect(dialog.get_by_text("其中不一致 1 人")).to_be_visible()
    await dialog.get_by_role("button", name="确认导入").click()
    await expect(dialog.get_by_text("已导入：")).to_be_visible()
    found = dialog.get_by_role("row", name="农知秋")
    await expect(found.get_by_text("查得 2,600.00")).to_be_visible()
    await found.get_by_role("button", name="记下家庭说明").click()
    await page.keyboard.type("已于上月离职")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_text("已于上月离职")).to_be_visible()
    faults = await find_faults(page)
    await shoot(page, "desk-cross-check")
    await page.keyboard.press("Escape")
    return faults


async def _hear(page: Page) -> list[str]:
    await _take(page, "召开民主评议", reason="群众有反映")
    await page.get_by_role("button", name="安排评议会").click()
    dialog = dialog_of(page)
    await dialog.get_by_label("开会日期", exact=True).fill(f"{days.in_days(1):%Y%m%d}")
    await dialog.get_by_label("地点").fill("柚溪社区会议室")
    await dialog.get_by_label("主持人").fill("汪竹声")
    await page.keyboard.press("Enter")
    await expect(dialog).to_have_count(0)
    seats = page.locator(".panel li")
    await expect(seats).to_have_count(7)
    await seats.first.get_by_role("button").click()
    await dialog.get_by_label("回避原因").fill("同族近亲")
    await page.keyboard.press("Enter")
    await expect(seats).to_have_count(8)
    await page.get_by_role("button", name="登记计票").click()
    count = dialog.get_by_role("button", name="登记计票")
    await expect(count).to_be_disabled()
    for name, votes in (("赞成", "4"), ("反对", "2"), ("弃权", "1")):
        await dialog.get_by_label(name).fill(votes)
    await expect(dialog.get_by_text("票数 7，到会 7")).to_be_visible()
    await shoot(page, "desk-hearing")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("赞成 4，反对 2，弃权 1")).to_be_visible()
    return await find_faults(page)


async def _post(page: Page, tmp_path) -> list[str]:
    """The list of the village, proven at three places by photos that say where they were taken."""
    await open_door(page, "公示")
    await page.get_by_role("button", name="生成公示").click()
    dialog = dialog_of(page)
    await dialog.get_by_label("地区").select_option(label=VILLAGE)
    await dialog.get_by_role("button", name="生成公示").press("Enter")
    await expect(dialog.get_by_role("cell", name="农知秋")).to_be_visible()
    for number, place in enumerate(("村委会", "文化广场", "村口")):
        photo = tmp_path / f"{number}.jpg"
        photo.write_bytes(_drawn(number))
        await dialog.get_by_label("地点").fill(place)
        await dialog.locator("input[type=file]").set_input_files(photo)
        await expect(dialog.get_by_label("经度")).to_have_value("118.980000")  # as the photo says
        await dialog.get_by_role("button", name="登记张贴").press("Enter")
        await expect(dialog.get_by_role("button", name=place)).to_be_visible()
    faults = await find_faults(page)
    await dialog.get_by_role("button", name="开始公示").press("Enter")
    await expect(dialog.get_by_role("heading", name="公示中")).to_be_visible()
    await shoot(page, "desk-posting")
    await page.keyboard.press("Escape")
    return faults


def _drawn(number: int) -> bytes:
    return draw_picture(
        scene=SCENES[number % len(SCENES)],
        seed=number,
        captured_at=utc_now(),
        latitude=28.92 + number / 1000,
        longitude=118.98,
        accuracy_m=8.0,
        size=(320, 240),
    )
