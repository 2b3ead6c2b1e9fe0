"""What a desk keeps: households, what caseworkers propose, who holds which home, phones, the audit trail."""

import re
from datetime import timedelta
from uuid import UUID

from playwright.async_api import expect
from sqlalchemy import select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models.households import Household
from server.models.notifications import Notice
from server.models.people import ResidentBinding, Staff
from server.models.visits import Visit
from server.models.workload import BlockedVisit
from server.workload.unfulfilled_orders import render_unfulfilled_reason
from tests import days
from tests.households.test_proposals import make_proposal
from tests.makers.cases import VILLAGE
from tests.phones import make_kit
from tests.photos.test_failed import exhaust
from tests.test_first_path import push_whole
from tests.uploads.tus import store_without
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, open_door, said, shoot


async def test_an_officer_edits_a_household_and_every_version_says_what_changed(at_desk, office, server):
    town = await office.sign_in("panhuaixu")
    listed = (await town.http.get("/desk/v1/households", params={"limit": 5})).json()["items"]
    home = (await town.http.get(f"/desk/v1/households/{listed[2]['id']}")).json()
    page = await at_desk("panhuaixu", "town_officer")
    await page.goto(f"{server.url}/desk/households/{home['id']}")
    await page.get_by_role("button", name="修改", exact=True).click()
    dialog = dialog_of(page)
    await dialog.get_by_label("健康").first.select_option(label="慢性病")
    await dialog.get_by_label("住址").fill("桐荫社区 77 号")
    await dialog.get_by_label("纬度").fill("28.900001")
    await dialog.get_by_role("button", name="添加收入或支出").press("Enter")
    await dialog.get_by_label("申报（元）").last.fill("812.5")
    await dialog.get_by_role("button", name="添加成员").press("Enter")
    added = dialog.locator("fieldset").first.locator(".line").last
    await added.get_by_label("姓名").fill("农小满")
    await added.get_by_label("与户主关系").select_option(label="孙子")
    await added.get_by_label("性别").select_option(label="男")
    await added.get_by_label("出生", exact=True).fill("2018/6/1")
    await expect(dialog.get_by_role("button", name="保存")).to_be_disabled()  # without a reason
    await dialog.get_by_label("变更原因").fill("入户核实")
    faults = await find_faults(page)
    await shoot(page, "desk-household-edit")
    await page.keyboard.press("Enter")
    await said(page, "已保存为新的一版")
    changes = page.locator(".versions li").first
    await expect(changes.get_by_text("入户核实")).to_be_visible()
    for text in ("慢性病", "桐荫社区 77 号", "农小满", "工资性收入"):
        await expect(changes.get_by_text(text).first).to_be_visible()
    await shoot(page, "desk-household-versions", full_page=True)

    held = (await town.http.get(f"/desk/v1/households/{home['id']}")).json()
    assert (held["address"], held["latitude"]) == ("桐荫社区 77 号", 28.900001)
    assert [member["idNumberMask"] for member in held["members"][:-1]] == [
        member["idNumberMask"] for member in home["members"]
    ]
    assert (held["members"][-1]["name"], held["members"][-1]["bornOn"]) == ("农小满", "2018-06-01")
    assert [income["declaredFen"] for income in held["incomes"]][-1:] == [81_250]
    assert held["phoneMask"] == home["phoneMask"]
    assert faults == [] == await find_faults(page)


async def test_proposals_of_caseworkers_are_taken_over_or_not_with_a_reason(at_desk, office, phone):
    homes = list((await phone.pull("households")).values())[:2]
    sick = {"members": [{"memberId": homes[1]["members"][0]["id"], "health": "disabled"}]}
    lines = [make_proposal(homes[0]), make_proposal(homes[1], changes=sick, note="有残疾证")]
    assert await phone.push("proposals", *lines) == []
    page = await at_desk("panhuaixu", "town_officer")
    await open_door(page, "更正申请")
    await expect(page.locator("tbody tr")).to_have_count(2)
    await expect(page.get_by_text("残疾", exact=False).first).to_be_visible()
    faults = await find_faults(page)
    await shoot(page, "desk-proposals")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await dialog_of(page).get_by_role("button", name="采纳", exact=True).press("Enter")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    reject = dialog_of(page).get_by_role("button", name="不采纳")
    await expect(reject).to_be_disabled()
    await dialog_of(page).get_by_label("理由").fill("残疾证未提供")
    await reject.press("Enter")
    await expect(page.get_by_text("暂无更正申请")).to_be_visible()
    held = await phone.pull("proposals")
    assert sorted(held[item["id"]]["server"]["state"] for item in lines) == ["accepted", "rejected"]
    assert faults == []


async def test_homes_are_given_handed_over_and_taken_back(at_desk, office):
    page = await at_desk("wangzhusheng", "town_officer")
    await open_door(page, "人员")
    dialog = dialog_of(page)
    worker = page.get_by_role("row", name="叶麦舟")
    await worker.get_by_role("button", name="分派家庭").click()
    await dialog.get_by_label("地区").select_option(label="柚溪社区")
    await dialog.get_by_role("button", name="分派家庭").press("Enter")
    await said(page, "已分派")
    await expect(worker.locator("td.num")).not_to_have_text("37")
    held = int(await worker.locator("td.num").inner_text())
    faults = await find_faults(page)
    await worker.get_by_role("button", name="收回").click()
    await dialog.get_by_label("地区").select_option(label="柚溪社区")
    await dialog.get_by_label("原因").fill("分派有误")
    await page.keyboard.press("Enter")
    await said(page, f"收回 {held - 37} 户")
    await expect(worker.locator("td.num")).to_have_text("37")
    await worker.get_by_role("button", name="移交全部家庭").click()
    await dialog.get_by_label("移交给").select_option(label="许榆宁 · 苇塘村")
    await dialog.get_by_label("原因").fill("产假")
    await shoot(page, "desk-hand-over")
    await page.keyboard.press("Enter")
    await expect(worker.locator("td.num")).to_have_text("–")
    staff = (await (await office.sign_in("wangzhusheng")).http.get("/desk/v1/staff", params={"limit": 50})).json()
    assert {item["name"]: item["holds"] for item in staff["items"]}["许榆宁"] >= 74
    assert faults == []


async def test_what_phones_sent_in_vain_is_shown_as_it_was_sent(at_desk, phone):
    lost = {"id": str(new_id()), "householdId": "nowhere", "_deleted": False}
    await phone.push("proposals", lost)
    page = await at_desk("zhuyanhui", "supervisor")
    await open_door(page, "设备与同步")
    row = page.get_by_role("row", name="无法入库").first
    await row.focus()
    await page.keyboard.press("Enter")
    await expect(dialog_of(page).get_by_text("nowhere")).to_be_visible()
    await page.keyboard.press("Escape")
    assert await find_faults(page) == []


async def test_a_visit_that_lacks_a_photo_and_a_word_is_not_forgotten(at_desk, system, services, phone, due):
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id)
    assert await phone.push("evidence", *kit.evidence) == []
    assert await phone.push("visits", kit.visit) == []
    async with open_session(services.sessions) as session:
        visit = await session.get_one(Visit, UUID(kit.visit["id"]))
        visit.submitted_at = utc_now() - timedelta(days=5)
    page = await at_desk("zhuyanhui", "supervisor", "/devices")
    table = page.get_by_role("region", name="一天以上还没有收齐的走访")
    row = table.locator("tbody tr")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text(f"{len(kit.evidence)} 张照片")
    async with services.sessions() as session:
        await expect(row).to_contain_text(f"{(await session.get_one(Staff, partner.id)).name} 的确认")
    assert await find_faults(page) == []
    await shoot(page, "desk-arriving", full_page=True)
    await row.focus()
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(kit.visit["id"]))


async def test_photos_and_messages_that_got_stuck_are_shown_and_a_photo_is_tried_again(
    at_desk, system, services, phone, due, desk
):
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id)
    await push_whole(phone, partner, kit)
    with store_without(services, "run_in_thread"):
        await system.run_jobs()
        await exhaust(system)
    async with open_session(services.sessions) as session:
        params = {"staff_id": phone.id, "kind": "assigned", "thing": "stuck", "facts": {}, "area_code": VILLAGE}
        session.add(Notice(id=new_id(), **params, message="parked", message_why="bad_message 40037", tries=1))
    page = await at_desk("zhuyanhui", "supervisor", "/devices")
    photos = page.get_by_role("region", name="未能查验的照片")
    await expect(photos.locator("tbody tr")).to_have_count(len(kit.evidence))
    await expect(photos.get_by_text("照片存储连不上").first).to_be_visible()
    messages = page.get_by_role("region", name="没有送达的微信消息")
    await expect(messages.get_by_role("row", name="新的走访任务")).to_contain_text("桐荫社区")
    faults = await find_faults(page)
    await shoot(page, "desk-stuck", full_page=True)
    for left in range(len(kit.evidence) - 1, -1, -1):
        await photos.get_by_role("button", name="重新查验").first.press("Enter")
        await (expect(photos.locator("tbody tr")).to_have_count(left) if left else expect(photos).to_have_count(0))
    await system.run_jobs()
    shown = (await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}")).json()["photos"]
    assert {item["state"] for item in shown} == {"verified"}
    assert faults == []


async def test_failed_photos_and_failed_jobs_are_run_again_with_one_tap(at_desk, system, services, phone, due, desk):
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id, kind="review")
    await push_whole(phone, partner, kit)
    with store_without(services, "run_in_thread"):
        await system.run_jobs()
        await exhaust(system)
    page = await at_desk("zhuyanhui", "supervisor", "/failed-jobs")
    lines = page.get_by_role("region", name="未完成的处理")
    await expect(lines.locator("tbody tr")).to_have_count(len(kit.evidence))
    await expect(lines.locator("tbody tr").first).to_contain_text("照片存储连不上")
    await shoot(page, "desk-failed-jobs", full_page=True)
    assert await find_faults(page) == []
    await lines.get_by_role("button", name="重新处理").first.press("Enter")
    await expect(lines.locator("tbody tr")).to_have_count(len(kit.evidence) - 1)
    await page.get_by_role("button", name="全部重新处理").press("Enter")
    await expect(page.get_by_text("后台处理都已完成")).to_be_visible()
    with store_without(services, "run_in_thread"):
        await exhaust(system)
    page = await at_desk("zhuyanhui", "supervisor", "/devices")
    photos = page.get_by_role("region", name="未能查验的照片")
    await expect(photos.locator("tbody tr")).to_have_count(len(kit.evidence))
    await page.get_by_role("button", name="全部重新查验").press("Enter")
    await expect(photos).to_have_count(0)
    await system.run_jobs()
    shown = (await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}")).json()["photos"]
    assert {item["state"] for item in shown} == {"verified"}


async def test_a_visit_that_no_checklist_fits_stands_above_those_that_are_due(at_desk, services):
    async with open_session(services.sessions) as session:
        home = await session.scalar(select(Household).where(Household.area_code == VILLAGE).limit(1))
        params = {"household_id": home.id, "area_code": VILLAGE, "kind": "care", "due_on": days.in_days(1)}
        session.add(BlockedVisit(id=new_id(), **params, ordered_at=utc_now()))
        number = home.number
    page = await at_desk("zhuyanhui", "supervisor", "/due")
    row = page.get_by_role("region", name="无法派发的走访").locator("tbody tr")
    await expect(row).to_contain_text(number)
    await expect(row).to_contain_text("按程序")
    await expect(row).to_contain_text(render_unfulfilled_reason("care")["zh"])
    assert await find_faults(page) == []
    await shoot(page, "desk-due-blocked", full_page=True)
    await page.get_by_label("类型").select_option("intake")
    await expect(row).to_have_count(0)


async def test_an_officer_sees_who_is_bound_to_a_household_and_ends_it_with_a_reason(at_desk, services):
    async with open_session(services.sessions) as session:
        rows = select(ResidentBinding.household_id).where(ResidentBinding.ended_at.is_(None)).limit(1)
        home = await session.scalar(rows)
    page = await at_desk("maohetang", "county_officer", f"/households/{home}")
    bound = page.get_by_role("region", name="居民绑定")
    await expect(bound.get_by_text("已绑定")).to_be_visible()
    await bound.get_by_role("button", name="解除绑定").press("Enter")
    dialog = dialog_of(page)
    await expect(dialog.get_by_role("button", name="解除绑定")).to_be_disabled()  # without a reason
    await dialog.get_by_label("为什么解除").fill("手机遗失，本人来所申请")
    faults = await find_faults(page)
    await shoot(page, "desk-binding-end")
    await dialog.get_by_role("button", name="解除绑定").press("Enter")
    await said(page, "已解除")
    row = bound.locator("tbody tr").first
    await expect(row).to_contain_text("手机遗失，本人来所申请")
    await expect(row).to_contain_text("毛荷塘")
    await expect(bound.get_by_role("button", name="解除绑定")).to_have_count(0)
    await shoot(page, "desk-binding-ended", full_page=True)
    assert faults == [] == await find_faults(page)


async def test_the_trail_tells_who_looked_and_is_narrowed_by_act(at_desk, office, services, server):
    async with open_session(services.sessions) as session:
        home = (
            (await session.execute(update(Household).values(updated_at=utc_now()).returning(Household.id)))
            .scalars()
            .first()
        )
    officer = await office.sign_in("maohetang")
    params = {"what": "phone", "reason": "核对联系方式"}
    await officer.http.post(f"/desk/v1/households/{home}/reveal", json=params)
    page = await at_desk("zhuyanhui", "supervisor")
    await open_door(page, "审计")
    await page.get_by_label("操作").select_option(label="查看完整号码")
    row = page.locator("tbody tr").first
    await expect(row.get_by_text("毛荷塘")).to_be_visible()
    await expect(row.get_by_text("核对联系方式")).to_be_visible()
    assert await find_faults(page) == []
    await shoot(page, "desk-audit")


async def test_lists_are_saved_from_the_screens_that_show_them(at_desk):
    page = await at_desk("zhuyanhui", "supervisor", "/households")
    for screen, heading in (
        ("households", "户编号,户主"),
        ("staff", "登录名,姓名"),
        ("devices", "使用人,设备"),
        ("audit", "编号,时间"),
        ("due", "户编号,户主"),
        ("cases", "申请编号,户主"),
        ("postings", "所在地,行政区划代码"),
        ("complaints", "编号,类别"),
        ("checklists", "代码,版本"),
    ):
        await page.goto(f"{page.url.split('/desk/')[0]}/desk/{screen}")
        # The screen's first list, and not whichever was there first; what can't be given out stands above what is due.
        table = (
            page.get_by_role("region", name="到期走访", exact=True)
            if screen == "due"
            else page.get_by_role("region").first
        )
        async with page.expect_download() as kept:
            await table.get_by_role("button", name="存为 CSV").click()
        result = (await (await kept.value).path()).read_text("utf-8-sig")
        assert result.startswith(heading), screen
        assert result.count("\n") > 1, screen
    await page.goto(f"{page.url.split('/desk/')[0]}/desk/households")
    await page.get_by_placeholder("姓名、拼音、号码、地址、村").fill("查无此户")
    await expect(page.get_by_text("没有符合条件的内容")).to_be_visible()
    await expect(page.get_by_role("button", name="存为 CSV")).to_have_count(0)


async def test_an_auditor_sees_who_looked_at_a_household_and_narrows_it_to_a_person(at_desk, office):
    town = await office.sign_in("panhuaixu")
    home = (await town.http.get("/desk/v1/households", params={"limit": 1})).json()["items"][0]
    assert (await town.http.get(f"/desk/v1/households/{home['id']}")).status_code == 200
    page = await at_desk("zhuyanhui", "supervisor", f"/households/{home['id']}")
    await page.get_by_role("link", name="谁看过").click()
    row = page.locator("tbody tr").filter(has_text="潘槐序").first
    await expect(row.get_by_text(home["number"])).to_be_visible()
    faults = await find_faults(page)
    await shoot(page, "desk-reads")
    await row.get_by_role("button", name="潘槐序").click()
    await expect(page.get_by_role("button", name="人员：潘槐序")).to_be_visible()
    await expect(page.locator("tbody tr").filter(has_text="祝雁回")).to_have_count(0)
    assert faults == []
