"""What makes a day with the phone bearable: nothing typed twice, nothing lost by a back, an answer to each press."""

import re

import pytest
from playwright.async_api import expect

from server.core.clock import today
from server.core.database import open_session
from server.core.ids import new_id
from server.models.notifications import Notice
from tests.makers.visits import MORNING, Ground
from tests.sync.test_last_answers import order
from tests.web.browser import find_faults, find_small_targets, shoot
from tests.web.test_phone_guards import typed_code

SMALL = {"width": 360, "height": 640}


async def begin(handset, login, home, kind="入户调查", page=None):
    page = page or await handset.sign_in(login)
    await page.fill("input[type=search]", home["number"])
    await page.locator(".row", has_text=kind).first.click()
    card = page.locator(".card", has_text=kind).filter(has=page.get_by_role("button"))
    await card.get_by_role("button", name=re.compile("开始走访|继续填写")).first.click()
    await page.locator(".screen.visit .card").first.wait_for()
    return page


async def test_a_review_shows_last_time_and_takes_over_a_member_by_one_tap(handset, phone, services, due):
    ground = await Ground.open(services)
    mine = await phone.pull("households")
    place = next(number for number, row in enumerate(ground.homes) if str(row.id) in mine and len(row.members) > 1)
    home = mine[str(ground.homes[place].id)]
    await ground.visit(place, state="accepted", answers={"paid_on_time": True})
    await order(services, ground.homes[place].id)
    await handset.stand_at(home)
    page = await begin(handset, due.caseworker_login, home, "定期复核")
    await page.get_by_role("button", name="获取定位").click()
    await expect(page.get_by_text("精度 ±9 米")).to_be_visible()
    steps = page.locator(".steps button")
    await steps.filter(has_text="家庭成员变化").click()
    await expect(page.get_by_text("上次走访（")).to_contain_text(f"{MORNING.month}月{MORNING.day}日")
    first, second = page.locator(".member").nth(0), page.locator(".member").nth(1)
    await expect(first.get_by_text(re.compile("^上次："))).not_to_have_count(0)
    await shoot(page, "phone-last-time")
    same = first.get_by_role("button", name="与上次相同")
    await same.click()
    await expect(same).to_have_attribute("aria-pressed", "true")
    await expect(first.locator("label.choice:has(input:checked)")).not_to_have_count(0)
    await second.get_by_role("button", name="与上次相同").click()
    assert await find_faults(page) == []
    assert await find_small_targets(page) == []
    await shoot(page, "phone-taken-over")
    # What is corrected afterwards is no longer as last time.
    await second.locator("label.choice", has_text="否").first.click()
    await expect(second.get_by_role("button", name="与上次相同")).to_have_attribute("aria-pressed", "false")
    await steps.filter(has_text="生活").click()
    await expect(page.locator("#q-paid_on_time")).to_contain_text("上次：是")
    async with page.expect_response("**/visits/1/push"):
        await page.locator("a", has_text="返回").click()
    (draft,) = [item for item in (await phone.pull("visits")).values() if item["householdId"] == home["id"]]
    members = [member["id"] for member in home["members"]]
    assert draft["unchanged"] == [{"questionId": "members", "memberId": members[0]}]
    assert draft["answers"]["members"][0]["lives_here"] is True


async def test_a_visit_goes_on_without_a_fix_when_its_reason_is_written(handset, phone, due, home):
    page = await begin(handset, due.caseworker_login, home)
    await handset.context.set_geolocation(None)
    await page.get_by_role("button", name="获取定位").click()
    await expect(page.get_by_text("暂时无法定位")).to_be_visible()
    await page.get_by_role("button", name="返回").click()
    go_on = page.get_by_role("button", name="没有定位，继续走访")
    await expect(go_on).to_be_disabled()
    await page.fill("textarea[name=noFixReason]", "山谷里收不到信号")
    assert await find_faults(page) == []
    await shoot(page, "phone-no-fix")
    await go_on.click()
    await expect(page.get_by_text("没有定位：山谷里收不到信号")).to_be_visible()
    await page.locator(".steps button", has_text="离户提交").click()
    await expect(page.get_by_text("缺到户定位")).to_have_count(0)
    await expect(page.get_by_text("缺离开时定位")).to_be_visible()
    await page.get_by_role("button", name="获取定位").click()
    await page.get_by_role("button", name="返回").click()
    await page.fill("textarea[name=noFixReason]", "仍然没有信号")
    await go_on.click()
    await expect(page.get_by_text("缺离开时定位")).to_have_count(0)
    async with page.expect_response("**/visits/1/push"):
        await page.locator("a", has_text="返回").click()
    draft = next(item for item in (await phone.pull("visits")).values() if item["householdId"] == home["id"])
    assert (draft["startFix"], draft["endFix"]) == (None, None)
    assert draft["noFixReason"] == "山谷里收不到信号；仍然没有信号"
    assert draft["startedAt"]
    assert draft["endedAt"]


@pytest.mark.parametrize("back", ["the link", "the button of Android"])
async def test_back_leads_to_the_list_as_it_was_left(handset, due, back):
    page = await handset.sign_in(due.caseworker_login)
    await page.locator("label.choice", has_text="全部").click()
    await page.fill("input[type=search]", "社区")
    rows = page.locator(".group:not(.returned) .row")
    await expect(rows.nth(9)).to_be_visible()
    await rows.nth(9).scroll_into_view_if_needed()
    await page.evaluate("scrollBy(0, 200)")
    scrolled, count = await page.evaluate("scrollY"), await rows.count()
    assert scrolled > 0
    await page.evaluate("document.querySelectorAll('.group:not(.returned) .row')[9].click()")
    await expect(page.locator(".facts")).to_be_visible()
    if back == "the link":
        await page.locator("a", has_text="返回").click()
    else:
        await page.go_back()
    await expect(page.locator("input[type=search]")).to_have_value("社区")
    await expect(page.locator("label.choice:has(input:checked)")).to_contain_text("全部")
    await expect(rows).to_have_count(count)
    assert abs(await page.evaluate("scrollY") - scrolled) < 5


async def test_a_photo_is_enlarged_and_is_deleted_only_when_that_was_confirmed(handset, due, home, pictures):
    page = await begin(handset, due.caseworker_login, home)
    await page.locator(".steps button", has_text="照片和签名").click()
    outside = page.locator("#q-photo_outside")
    await outside.locator("input[type=file]").set_input_files(pictures[0])
    await outside.get_by_role("button", name="放大 第 1 张照片").click()
    viewer = page.get_by_role("dialog", name="第 1 张照片")
    await expect(viewer.locator("img")).to_be_visible()
    await shoot(page, "phone-photo-enlarged", full_page=False)
    await page.go_back()
    await expect(viewer).to_have_count(0)
    await expect(outside.locator(".shots li")).to_have_count(1)
    delete = outside.get_by_role("button", name="删除第 1 张照片")
    await delete.click()
    await page.get_by_role("button", name="取消").click()
    await expect(outside.locator(".shots li")).to_have_count(1)
    await delete.click()
    await page.get_by_role("button", name="删除", exact=True).click()
    await expect(outside.locator(".shots li")).to_have_count(0)


async def test_whoever_asks_for_a_sync_is_told_how_it_ends(handset, due):
    page = await handset.sign_in(due.caseworker_login)
    status = page.locator(".sync-line")
    await expect(status).to_contain_text("已同步")
    await page.route("**/field/v1/**", lambda route: None)  # as a network that swallows everything
    await status.get_by_role("button", name="立即同步").click()
    await expect(status).to_contain_text("正在同步")
    await expect(status).to_contain_text("服务器没有答复", timeout=12_000)
    assert await find_faults(page) == []
    await shoot(page, "phone-no-answer", full_page=False)
    await page.unroute("**/field/v1/**")


async def test_a_notice_names_its_homes_and_opens_them(handset, phone, services, due, home):
    async with open_session(services.sessions) as session:
        params = {"staff_id": phone.id, "area_code": "339901001001", "message": "none"}
        facts = {"count": 1, "householdIds": [home["id"]]}
        session.add(Notice(id=new_id(), kind="assigned", thing="named", facts=facts, **params))
    page = await handset.sign_in(due.caseworker_login)
    await page.locator(".tabs .t-tab-bar-item", has_text="我的").click()
    link = page.get_by_role("link", name=home["headName"])
    await expect(link).to_be_visible()
    # The label of the device by which the test itself is signed in is English.
    assert set(await find_faults(page)) <= {"English: phone"}
    await shoot(page, "phone-notice-named")
    await link.click()
    await expect(page.locator(".facts")).to_contain_text(home["number"])


async def test_the_home_of_a_late_visit_says_so(handset, due, phone):
    late = min((await phone.pull("assignments")).values(), key=lambda item: item["dueOn"])
    assert late["dueOn"] < today().isoformat()
    page = await handset.sign_in(due.caseworker_login)
    await page.goto(f"{handset.url}/m/home/{late['householdId']}")
    await expect(page.locator(".tag.bad").first).to_contain_text("逾期")
    await shoot(page, "phone-late-home", full_page=False)


async def test_a_small_phone_shows_a_list_and_keeps_submit_in_reach(handset, due, home):
    page = await handset.sign_in(due.caseworker_login)
    await page.set_viewport_size(SMALL)
    await page.locator("label.choice", has_text="全部").click()
    await expect(page.locator(".row").nth(5)).to_be_visible()
    shown = await page.evaluate(
        """() => {
          const bottom = document.querySelector('.tabs').getBoundingClientRect().top;
          return [...document.querySelectorAll('.plan .row')].filter((one) => one.getBoundingClientRect().bottom <= bottom).length;
        }"""
    )
    await shoot(page, "phone-small-plan", full_page=False)
    assert shown >= 4
    assert await find_small_targets(page) == []
    await begin(handset, due.caseworker_login, home, page=page)
    await page.locator(".steps button", has_text="离户提交").click()
    await expect(page.get_by_role("button", name="提交", exact=True)).to_be_in_viewport(ratio=1)
    await shoot(page, "phone-small-finish", full_page=False)


async def test_the_window_that_takes_over_goes_on_in_the_same_visit(handset, due, home):
    first = await begin(handset, due.caseworker_login, home)
    await first.locator(".steps button", has_text="声明和谈话").click()
    await first.locator("#in-opinion").fill("写到一半")
    second = await handset.open()
    await second.get_by_role("button", name="在这里使用").click()
    await expect(second.locator("#in-opinion")).to_have_value("写到一半")
    await expect(first.get_by_text("已在另一个窗口打开")).to_be_visible()


async def test_the_day_is_put_in_order_of_distance_by_one_tap(handset, phone, due):
    page = await handset.sign_in(due.caseworker_login)
    await page.locator("label.choice", has_text="今天").click()
    await page.get_by_role("button", name="安排今天的走访").click()
    for count in range(4):
        await page.get_by_role("button", name=re.compile("^排进今天")).first.click()
        await expect(page.locator(".today ol > li")).to_have_count(count + 1)
    await page.get_by_role("button", name="安排好了").click()
    names = await page.locator(".today ol .name").all_inner_texts()
    homes = {item["headName"]: item for item in (await phone.pull("households")).values()}
    last = homes[names[-1]]
    await handset.stand_at(last, metres_north=3)
    await shoot(page, "phone-day-before", full_page=False)
    await page.get_by_role("button", name="按距离排序").click()
    await expect(page.get_by_text("已按从近到远排好")).to_be_visible()
    await expect(page.locator(".today ol .name").first).to_have_text(names[-1])
    assert await find_faults(page) == []
    await shoot(page, "phone-day-by-distance", full_page=False)


async def test_the_frame_is_there_before_a_script_is(handset):
    page = await handset.context.new_page()
    await page.route("**/m/assets/**", lambda route: None)
    await page.goto(f"{handset.url}/m/", wait_until="commit")
    await expect(page.get_by_text("正在打开")).to_be_visible()
    await page.close()


async def test_a_typed_code_says_no_home_and_the_colleague_chooses_it_first(handset, due, home):
    await handset.context.grant_permissions(["geolocation", "camera"])
    page = await handset.sign_in(due.caseworker_login)
    code = typed_code(new_id())  # of a visit on another phone
    await page.locator(".tabs .t-tab-bar-item", has_text="同行确认").click()
    await page.locator(".scanner input.typed").fill(code)
    await page.get_by_role("button", name="确定").click()
    await expect(page.get_by_text("输入的代码不含家庭信息")).to_be_visible()
    await expect(page.get_by_role("button", name="定位并确认")).to_have_count(0)
    assert await find_faults(page) == []
    await shoot(page, "phone-attest-choose")
    await page.fill("input[type=search]", home["number"])
    await page.locator(".row", has_text=home["headName"]).click()
    await expect(page.locator(".attested-visit")).to_contain_text("入户调查")
    await expect(page.get_by_role("button", name="定位并确认")).to_be_visible()
