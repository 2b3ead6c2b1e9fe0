"""What comes in at the desk of cases that run: objections, reports of change, complaints; stops and standing lists."""

from playwright.async_api import Page, expect

from tests import days
from tests.makers.cases import look
from tests.web.browser import find_faults
from tests.web.desk.conftest import OpenDesk, dialog_of, open_door, said, shoot


async def test_an_objection_is_answered_a_change_decided_and_a_payment_changed_and_stopped(at_desk, office):
    county = await at_desk("maohetang", "county_officer")
    dialog = dialog_of(county)

    await open_door(county, "公示")
    await expect(county.get_by_role("table", name="公示", exact=True).locator("tbody tr").first).to_be_visible()
    await county.keyboard.press("j")
    await county.keyboard.press("Enter")
    await expect(dialog.get_by_text("收入没有算进去")).to_be_visible()
    await dialog.get_by_role("button", name="查看联系方式").press("Enter")
    looking = county.get_by_role("dialog", name="查看异议人的联系方式")
    await looking.get_by_label("为什么要看").fill("电话核实其子收入")
    await looking.get_by_role("button", name="查看", exact=True).press("Enter")
    await expect(dialog.get_by_text("傍晚在家，19900007733")).to_be_visible()
    await shoot(county, "desk-objection-contact")
    await dialog.get_by_label("答复内容").fill("经入户核实，其子已分户。")
    await dialog.get_by_role("button", name="不成立").press("Enter")
    await said(county, "已记下")
    await expect(dialog.get_by_text("其子已分户")).to_be_visible()
    faults = {"objection": await find_faults(county)}
    await county.keyboard.press("Escape")
    faults["standing list"] = await _renew(county)
    await _open_list(county, office)

    await open_door(county, "案件")
    await county.get_by_role("tab", name="家庭变化报告").press("Enter")
    change = county.get_by_role("row", name="新就业")
    await change.focus()
    await county.keyboard.press("Enter")
    await dialog.get_by_label("给家庭的答复").fill("将于本周入户核实。")
    faults["change"] = await find_faults(county)
    await dialog.get_by_role("button", name="入户核实").press("Enter")
    await expect(change).to_have_count(0)
    await county.get_by_label("处理").select_option(label="已处理")
    await expect(change.get_by_text("将再次入户核实")).to_be_visible()

    case_id = await _stop(county, at_desk)
    held = await look(await office.sign_in("maohetang"), case_id)
    assert (held["state"], held["stoppedFrom"]) == ("stopped", days.month(2).isoformat())
    assert held["timeline"][-1]["reason"] == "全家迁往外省"
    faults["totals"] = await _compare(county)
    assert {name: found for name, found in faults.items() if found} == {}


async def _renew(page: Page) -> list[str]:
    address = page.get_by_role("link", name="公众页面")
    before = await address.get_attribute("href")
    await page.get_by_role("button", name="更换网址").click()
    await page.get_by_role("dialog").get_by_role("button", name="更换网址").press("Enter")
    await said(page, "已记下")
    await expect(address).not_to_have_attribute("href", before or "")
    async with page.expect_download() as kept:
        await page.get_by_role("button", name="打印张贴页").click()
    assert (await (await kept.value).path()).read_bytes().startswith(b"%PDF")
    return await find_faults(page)


async def _open_list(page: Page, office) -> None:
    """Of a village that had none."""
    await page.get_by_role("button", name="开设长期公示").press("Enter")
    dialog = dialog_of(page)
    make = dialog.get_by_role("button", name="开设长期公示")
    await dialog.get_by_label("地区").first.select_option(label="柚溪镇")
    await expect(make).to_be_disabled()  # a town is no village
    await dialog.get_by_label("地区").nth(1).select_option(label="苇塘村")
    await make.press("Enter")
    await said(page, "已记下")
    await expect(page.get_by_role("row", name="苇塘村")).to_be_visible()
    lists = (await (await office.sign_in("maohetang")).http.get("/desk/v1/disclosures")).json()["items"]
    assert {item["areaName"] for item in lists} == {"柚溪社区", "苇塘村"}


async def _stop(page: Page, at_desk: OpenDesk) -> str:
    """One that is paid: the town proposes from which month and on which ground, the county decides."""
    await page.get_by_role("tab", name="全部案件").press("Enter")
    await page.get_by_label("状态").select_option(label="发放中")
    await expect(page.locator("tbody tr").first.get_by_text("发放中")).to_be_visible()
    await page.keyboard.press("Tab")
    await page.locator("tbody tr").first.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/desk/cases/*")
    case_id = page.url.rsplit("/", 1)[1]
    town = await at_desk("wangzhusheng", "town_officer", f"/cases/{case_id}")
    await town.get_by_role("button", name="提出停发", exact=True).click()
    dialog = town.get_by_role("dialog")
    await dialog.get_by_label("理由（").fill("全家迁往外省")
    await dialog.get_by_label("停发原因").select_option(label="迁出")
    await dialog.get_by_label("自哪个月起", exact=True).fill(f"{days.month(2):%Y%m}")
    await shoot(town, "desk-stop")
    await town.keyboard.press("Control+Enter")
    await expect(town.get_by_text("待另一人决定")).to_be_visible()
    await page.reload()
    await page.get_by_role("button", name="同意停发", exact=True).click()
    await expect(page.get_by_role("dialog").get_by_label("理由（")).to_have_value("全家迁往外省")
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_text("已停发").first).to_be_visible()
    return case_id


async def _compare(page: Page) -> list[str]:
    """What the office announced is held against the register, and only what differs is told."""
    await open_door(page, "案件")
    await page.get_by_role("tab", name="变动登记").press("Enter")
    await page.get_by_label("从", exact=True).fill("2020-01-01")
    await page.get_by_label("到", exact=True).fill(f"{days.last_day(days.month(2)):%Y%m%d}")
    await page.keyboard.press("Tab")
    stops = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="停发"))
    await expect(stops.locator("td.num").first).to_have_text("2")
    await page.get_by_label("停发 户数 公布数").fill("2")
    await page.get_by_label("停发 人数 公布数").fill("18")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("停发人数：公布 18，登记")).to_be_visible()
    await expect(page.get_by_text("停发户数")).to_have_count(0)
    await shoot(page, "desk-register")
    await page.get_by_role("tab", name="停发登记").press("Enter")
    await page.get_by_label("停发原因").select_option(label="迁出")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await shoot(page, "desk-stops")
    return await find_faults(page)


async def test_a_complaint_is_registered_extended_handed_over_and_answered_and_another_declined(at_desk, office):
    page = await at_desk("maohetang", "county_officer")
    dialog = dialog_of(page)
    await open_door(page, "投诉")

    # One that a visitor brought: written down, and its code told once.
    await page.get_by_role("button", name="登记来信来访").click()
    await dialog.get_by_label("来源").select_option(label="来访")
    await dialog.get_by_label("地区").select_option(label="柚溪镇")
    await dialog.get_by_label("反映内容").fill("隔壁有新买的小汽车，仍在领取低保金。")
    await page.keyboard.press("Control+Enter")
    await expect(page.get_by_role("status").get_by_text("只显示这一次")).to_be_visible()
    number = (await page.get_by_role("status").inner_text()).split("编号 ")[1].split("，")[0]

    await page.get_by_role("row", name=number).focus()
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_text("内容只对办理人开放")).to_be_visible()
    await dialog.get_by_role("button", name="登记并由我办理").press("Enter")
    await expect(dialog.get_by_text("新买的小汽车")).to_be_visible()
    faults = await find_faults(page)
    await shoot(page, "desk-complaint")
    await dialog.get_by_label("答复内容").fill("需向车管部门核实。")
    await dialog.get_by_role("button", name="延期").press("Enter")
    await expect(dialog.get_by_role("button", name="延期")).to_be_disabled()
    await dialog.get_by_label("移交给").select_option(label="姜棉远 · 云栖县")
    await dialog.get_by_role("button", name="移交", exact=True).press("Enter")
    await expect(dialog.get_by_text("新买的小汽车")).to_have_count(0)  # no longer theirs to read

    other = await at_desk("jiangmianyuan", "county_officer")
    await open_door(other, "投诉")
    await other.get_by_role("row", name=number).focus()
    await other.keyboard.press("Enter")
    answer = dialog_of(other)
    await answer.get_by_label("结论").select_option(label="部分属实")
    await answer.get_by_label("答复内容").fill("车辆系其女所有，已重新核定金额。")
    await answer.get_by_role("button", name="答复", exact=True).press("Enter")
    await expect(answer.get_by_text("已答复").first).to_be_visible()
    desk = await office.sign_in("jiangmianyuan")
    held = (await desk.http.get("/desk/v1/complaints", params={"complaint_state": "decided"})).json()["items"]
    mine = next(item for item in held if item["number"] == number)
    assert (mine["state"], mine["finding"], mine["isExtended"]) == ("decided", "partly", True)
    await _decline(other)
    declined = (await desk.http.get("/desk/v1/complaints", params={"complaint_state": "declined"})).json()["items"]
    assert [item["state"] for item in declined] == ["declined"]
    assert faults == [] == await find_faults(other)


async def _decline(page: Page) -> None:
    """One that is no business of the office, which says so in writing."""
    await page.keyboard.press("Escape")
    await page.get_by_label("状态").select_option(label="待登记")
    waiting = page.locator("tbody tr").first
    await expect(waiting.get_by_text("待登记")).to_be_visible()
    await waiting.press("Enter")
    dialog = dialog_of(page)
    await dialog.get_by_role("button", name="登记并由我办理").press("Enter")
    decline = dialog.get_by_role("button", name="不予受理")
    await expect(decline).to_be_disabled()  # without a word to whoever wrote
    await dialog.get_by_label("答复内容").fill("所反映的是邻里纠纷，请向村人民调解委员会提出。")
    await decline.press("Enter")
    await said(page, "已记下")
    await expect(dialog.get_by_text("邻里纠纷")).to_be_visible()
    await expect(decline).to_have_count(0)
