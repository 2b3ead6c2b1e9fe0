"""Accounts and files at the desk: a password by link, staff from a file with slips, what an office lacks, leaving."""

import io
import re
from datetime import timedelta

from openpyxl import Workbook
from playwright.async_api import ViewportSize, expect
from sqlalchemy import update

from server.core.clock import CHINA, utc_now
from server.core.database import open_session
from server.demo.staff import DEMO_PASSWORDS
from server.models.checklists import ChecklistTemplate
from server.models.people import Device
from tests.imports.test_imports import preview, workbook
from tests.imports.test_register import HEADINGS, home, id_of
from tests.pdf import words
from tests.web.browser import find_faults, find_small_targets
from tests.web.desk.conftest import DESK, dialog_of, open_door, said, shoot

PASSWORD = "木棉花开在三月里"
NARROW: ViewportSize = {"width": 375, "height": 740}
STAFF = [
    ["姓名", "手机号", "角色", "所在地", "登录名"],
    ["甲小满", "13900001111", "专干", "339901001001", "jia-xiaoman"],
    ["乙立冬", "13900002222", "村级专干", "339901001001", "yi-lidong"],
    ["丙春分", "139", "专干", "339901001001", "bing-chunfen"],
]


def make_file(name, rows):
    book = Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return {"name": name, "mimeType": media_type, "buffer": out.getvalue()}


async def confirm(page, role):
    confirming = page.get_by_role("dialog", name="请确认是您本人")
    await confirming.get_by_label("当前密码").fill(DEMO_PASSWORDS[role])
    await confirming.get_by_role("button", name="确认").press("Enter")
    await expect(confirming).to_have_count(0)


async def test_a_new_colleague_opens_the_link_on_a_phone_sets_a_password_and_signs_in(at_desk, browser, server):
    page = await at_desk("maohetang", "county_officer")
    await open_door(page, "人员")
    await page.get_by_role("button", name="新增人员").click()
    dialog = dialog_of(page)
    await dialog.get_by_label("姓名").fill("穆清和")
    await dialog.get_by_label("登录名").fill("muqinghe")
    await dialog.get_by_label("角色").select_option(label="乡镇民政助理")
    await dialog.get_by_label("地区", exact=True).first.select_option(label="禾汀街道")
    faults = {"new account": await find_faults(page)}
    await shoot(page, "desk-account-new")
    await dialog.get_by_role("button", name="新增", exact=True).press("Enter")
    confirming = page.get_by_role("dialog", name="请确认是您本人")
    await expect(confirming.get_by_label("当前密码")).to_be_visible()
    faults["confirm"] = await find_faults(page)
    await shoot(page, "desk-account-confirm")
    await confirm(page, "county_officer")
    shown = page.get_by_role("dialog", name="穆清和 的一次性链接")
    await expect(shown.get_by_role("img")).to_be_visible()
    address = await shown.get_by_text("/desk/set-password#").inner_text()
    faults["link"] = await find_faults(page)
    await shoot(page, "desk-account-link")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("row", name="muqinghe")).to_contain_text("禾汀街道")

    context = await browser.new_context(viewport=NARROW, locale="zh-CN", is_mobile=True, has_touch=True)
    handset = await context.new_page()
    await handset.goto(address.strip())
    await expect(handset.get_by_role("heading", name="设置密码")).to_be_visible()
    await expect(handset).to_have_url(f"{server.url}/desk/set-password")  # the token has left the address bar
    await handset.get_by_label("新密码").fill("12345678")
    await handset.get_by_role("button", name="设置密码").click()
    await expect(handset.get_by_role("alert")).to_contain_text("太常见")
    await handset.get_by_label("新密码").fill(PASSWORD)
    await handset.get_by_role("checkbox", name="显示输入内容").check()
    await expect(handset.get_by_label("新密码")).to_have_attribute("type", "text")
    faults["set password"] = [*await find_faults(handset), *await find_small_targets(handset)]
    await shoot(handset, "desk-set-password")
    await handset.get_by_role("button", name="设置密码").click()
    await expect(handset.get_by_text("密码已设置，请登录")).to_be_visible()
    await expect(handset.get_by_label("账号")).to_have_value("muqinghe")
    await handset.get_by_label("密码", exact=True).fill(PASSWORD)
    faults["sign in"] = [*await find_faults(handset), *await find_small_targets(handset)]
    await shoot(handset, "desk-sign-in-after-link")
    await handset.get_by_role("button", name="登录", exact=True).click()
    await expect(handset.get_by_role("button", name="退出")).to_be_visible()

    await handset.goto(address.strip())  # works once
    await handset.get_by_label("新密码").fill(PASSWORD)
    await handset.get_by_role("button", name="设置密码").click()
    await expect(handset.get_by_role("alert")).to_be_visible()
    await context.close()
    assert {name: found for name, found in faults.items() if found} == {}


async def map_the_column(page):
    await expect(page.get_by_text("找不到这些列")).to_be_visible()
    faults = await find_faults(page)
    await shoot(page, "desk-import-mapping", full_page=True)
    await page.get_by_label("姓名").select_option(label="名号")
    await page.get_by_role("button", name="重新读取").press("Enter")
    return faults


async def look_wide_and_narrow(page):
    faults = {"preview": await find_faults(page)}
    await shoot(page, "desk-import-preview", full_page=True)
    await page.set_viewport_size(NARROW)
    faults["preview, narrow"] = await find_faults(page)
    await shoot(page, "desk-import-preview-narrow", full_page=True)
    await page.set_viewport_size(DESK)
    return faults


async def undo_import(page):
    await page.get_by_role("button", name="撤销整批导入").press("Enter")
    await dialog_of(page).get_by_label("原因").fill("名册有误")
    await dialog_of(page).get_by_role("button", name="撤销整批导入").press("Enter")
    await said(page, "已撤销")


async def test_staff_come_in_from_a_file_with_a_bad_cell_named_and_get_their_slips(at_desk, system):
    page = await at_desk("maohetang", "county_officer")
    await open_door(page, "导入")
    await page.get_by_label("内容").select_option(label="人员")
    async with page.expect_download() as template:
        await page.get_by_role("button", name="下载空白模板").click()
    assert (await template.value).suggested_filename == "人员.xlsx"
    await page.locator("input[type=file]").set_input_files(
        make_file("名册.xlsx", [["名号", *STAFF[0][1:]], *STAFF[1:]])
    )
    faults = {"imports": await find_faults(page)}
    await shoot(page, "desk-imports")
    await page.get_by_role("button", name="上传并预览").click()

    faults["mapping"] = await map_the_column(page)
    refused = page.get_by_role("row", name="丙春分")
    await page.get_by_role("button", name="无法导入 1").click()
    await expect(refused).to_contain_text("B4 手机号")
    await expect(refused).to_contain_text("不是电话号码")
    await expect(page.get_by_role("row", name="甲小满")).to_have_count(0)
    faults |= await look_wide_and_narrow(page)

    await page.get_by_role("button", name="确认导入 2 行").press("Enter")
    await confirm(page, "county_officer")
    await expect(page.get_by_text("正在导入：0 / 2 行")).to_be_visible()
    faults["applying"] = await find_faults(page)
    await system.run_jobs()
    slips = page.get_by_role("button", name="首次登录单")
    await expect(slips).to_be_visible()
    await shoot(page, "desk-import-applied", full_page=True)
    async with page.expect_download() as sheet:
        await slips.press("Enter")  # the proof of a minute ago serves
    text = words((await (await sheet.value).path()).read_bytes())
    assert {"jia-xiaoman", "yi-lidong"} <= set(re.findall(r"[a-z]+-[a-z]+", text))
    await undo_import(page)
    await open_door(page, "导入")
    await expect(page.get_by_role("row", name="名册.xlsx")).to_contain_text("已撤销")
    assert {name: found for name, found in faults.items() if found} == {}


async def test_amounts_wait_for_a_second_person_who_chooses_the_lines_in_doubt(at_desk, system):
    uploader = await system.sign_in_at_desk("maohetang", "county_officer")
    rows = [HEADINGS, *home("D-1", ("甲木", id_of(1))), *home("D-2", ("丙木", id_of(3)), amount=999_999)]
    batch = await preview(uploader, "register", workbook(*rows))
    page = await at_desk("maohetang", "county_officer", f"/imports/{batch['id']}")
    await expect(page.get_by_text("须由上传人以外的人确认")).to_be_visible()
    await expect(page.get_by_role("button", name="确认导入 1 行")).to_be_disabled()
    colleague = await at_desk("jiangmianyuan", "county_officer", "/imports")
    await colleague.get_by_role("row", name="低保台账").click()
    confirm = colleague.get_by_role("button", name="确认导入")
    await expect(confirm).to_have_text("确认导入 1 行")
    await colleague.get_by_role("checkbox", name="仍导入第 3 行").check()
    await expect(confirm).to_have_text("确认导入 2 行")
    assert await find_faults(colleague) == []
    await shoot(colleague, "desk-import-second-person", full_page=True)
    await confirm.press("Enter")
    await system.run_jobs()
    await expect(colleague.get_by_text("须由确认人以外的人撤销")).to_be_visible()
    await expect(colleague.get_by_role("button", name="撤销整批导入")).to_be_disabled()
    await expect(page.get_by_role("button", name="撤销整批导入")).to_have_count(0)
    await page.reload()
    await expect(page.get_by_role("button", name="撤销整批导入")).to_be_enabled()


async def test_a_person_who_leaves_is_disabled_with_what_is_unsent_shown_and_the_homes_handed_over(
    at_desk, system, services
):
    async with open_session(services.sessions) as session:
        phone = await system.sign_in("yemaizhou", "caseworker")
        await session.execute(update(Device).where(Device.staff_id == phone.id).values(pending_rows=4))
    page = await at_desk("wangzhusheng", "town_officer", "/staff")
    row = page.get_by_role("row", name="叶麦舟")
    await row.get_by_role("button", name="管理").click()
    dialog = dialog_of(page)
    await dialog.get_by_label("角色").select_option(label="评议小组成员")
    await dialog.get_by_role("textbox", name="最后一天").fill("20991231")
    await dialog.get_by_role("button", name="授予角色").press("Enter")
    await confirm(page, "town_officer")
    await said(page, "已授予")
    await expect(dialog.get_by_text("至 2099/12/31")).to_be_visible()
    faults = {"account": await find_faults(page)}
    await shoot(page, "desk-account")
    await page.set_viewport_size(NARROW)
    faults["account, narrow"] = await find_faults(page)
    await shoot(page, "desk-account-narrow", full_page=False)
    await page.set_viewport_size(DESK)
    await dialog.get_by_role("button", name="停用账号").press("Enter")
    leaving = page.get_by_role("dialog", name="停用 叶麦舟")
    await expect(leaving.get_by_text("4 条未上传")).to_be_visible()
    await leaving.get_by_label("移交给").select_option(label="许榆宁 · 苇塘村")
    await leaving.get_by_label("原因").fill("调离")
    faults["disable"] = await find_faults(page)
    await shoot(page, "desk-account-disable")
    await leaving.get_by_role("button", name="停用", exact=True).press("Enter")
    done = page.get_by_role("dialog", name="已停用 叶麦舟")
    await expect(done.get_by_text("处理家庭 37 户")).to_be_visible()
    await expect(done.get_by_text("系统管理员仅剩 1 人")).to_be_visible()
    faults["disabled"] = await find_faults(page)
    await shoot(page, "desk-account-disabled")
    await page.keyboard.press("Escape")
    await expect(row).to_contain_text("停用")
    await shoot(page, "desk-staff")
    faults["staff"] = await find_faults(page)
    assert {name: found for name, found in faults.items() if found} == {}


async def test_an_administrator_is_greeted_with_what_the_office_lacks_and_where_to_do_it(at_desk, services):
    async with open_session(services.sessions) as session:
        await session.execute(update(ChecklistTemplate).values(retired_at=utc_now()))
    page = await at_desk("zhanxinglou", "admin")
    missing = page.get_by_role("region", name="开始走访前还缺")
    await expect(missing).to_contain_text("没有在用的走访表")
    await expect(missing).to_contain_text("系统管理员不足两人")
    await expect(missing).not_to_contain_text("还没有家庭")
    faults = await find_faults(page)
    await shoot(page, "desk-missing")
    await page.set_viewport_size(NARROW)
    faults += await find_faults(page)
    await shoot(page, "desk-missing-narrow")
    await page.set_viewport_size(DESK)
    await missing.get_by_role("link", name="新增人员").click()
    await expect(page.get_by_role("heading", name="人员", exact=True)).to_be_visible()
    async with open_session(services.sessions) as session:
        await session.execute(update(ChecklistTemplate).values(retired_at=None))
    assert faults == []


async def test_a_colleague_is_unlocked_at_the_desk(at_desk):
    page = await at_desk("maohetang", "county_officer", "/staff")
    await page.get_by_role("row", name="linhexi").get_by_role("button", name="管理").press("Enter")
    dialog = dialog_of(page)
    await dialog.get_by_role("button", name="解除登录限制").press("Enter")
    await said(page, "已解除")
    faults = await find_faults(page)
    await shoot(page, "desk-account-unlock")
    assert faults == []


async def test_a_deputy_is_named_for_a_leave_shown_beside_both_and_ended_early(at_desk, county):
    page = await at_desk("maohetang", "county_officer")
    absent, deputy = [person for person in county.staff if person.role == "caseworker"][:2]
    await open_door(page, "人员")
    row = page.get_by_role("row").filter(has_text=absent.login)
    await row.get_by_role("button", name="休假代班").click()
    dialog = dialog_of(page)
    option = dialog.locator("option").filter(has_text=deputy.name).first
    await dialog.get_by_label("代班人").select_option(value=await option.get_attribute("value"))
    today = utc_now().astimezone(CHINA).date()
    await dialog.get_by_label("起", exact=True).fill(f"{today:%Y/%m/%d}")
    await dialog.get_by_label("止（含当日）", exact=True).fill(f"{today + timedelta(days=9):%Y/%m/%d}")
    faults = {"dialog": await find_faults(page)}
    await shoot(page, "desk-deputy-new")
    await dialog.get_by_role("button", name="安排代班").press("Enter")
    await confirm(page, "county_officer")
    await expect(page.get_by_role("row").filter(has_text=deputy.login)).to_contain_text(f"代 {absent.name}")
    await shoot(page, "desk-deputy-staff")
    await page.get_by_label("显示").select_option(label="休假代班")
    line = page.get_by_role("row").filter(has_text=absent.name)
    await expect(line).to_contain_text("代班中")
    faults["list"] = await find_faults(page)
    await shoot(page, "desk-deputy-list")
    await line.get_by_role("button", name="提前结束").click()
    await dialog_of(page).get_by_role("button", name="提前结束").press("Enter")
    await expect(line).to_contain_text("已结束")
    assert faults == {"dialog": [], "list": []}
