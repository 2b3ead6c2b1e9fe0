"""What a caseworker does beside a day of visits: changes to a record proposed, a visit by telephone, a plan in order."""

from playwright.async_api import expect

from server.core.clock import today
from server.core.database import open_session
from server.core.ids import new_id
from server.models.notifications import Notice
from tests.phones import answers_for
from tests.web.browser import fill_checklist, find_faults, shoot, sign
from tests.web.conftest import in_one_loop


@in_one_loop
async def officer(system, county):
    login = next(staff_member.login for staff_member in county.staff if staff_member.role == "county_officer")
    return await system.sign_in_at_desk(login, "county_officer")


async def decide(officer, outcome: str, reason: str = "") -> None:
    (waiting,) = (await officer.http.get("/desk/v1/proposals")).json()["items"]
    answer = await officer.http.post(
        f"/desk/v1/proposals/{waiting['id']}/decision",
        json={"outcome": outcome, "reason": reason},
        headers={"Idempotency-Key": waiting["id"]},
    )
    assert answer.status_code < 300, answer.text


async def propose(page) -> None:
    await page.get_by_role("link", name="申请更正").click()
    await expect(page.get_by_role("button", name="提交更正申请")).to_be_disabled()


async def test_a_change_is_proposed_without_a_network_and_its_answer_comes_back(handset, officer, due, home):
    await handset.stand_at(home, metres_north=60)
    page = await handset.sign_in(due.caseworker_login)
    await page.get_by_text(home["headName"]).first.click()
    await expect(page.get_by_role("link", name="申请更正")).to_be_visible()
    await handset.offline()
    await propose(page)
    member = home["members"][0]
    await page.fill("input[name=address]", "桐荫社区 9 号（新门牌）")
    await page.get_by_role("button", name="获取定位").click()
    await expect(page.get_by_text("精度 ±9 米")).to_be_visible()
    await page.locator("summary", has_text=member["name"]).click()
    await page.select_option(f"select[name='health-{member['id']}']", "disabled")
    await page.fill("textarea[name=note]", "门牌已更换，看了残疾证。")
    assert await find_faults(page) == []
    await shoot(page, "phone-propose")
    await page.get_by_role("button", name="提交更正申请").click()

    mine = page.locator(".proposal")
    await expect(mine).to_contain_text("待上传")
    await expect(mine).to_contain_text(f"{member['name']}：残疾")
    await handset.offline(is_offline=False)
    await expect(mine).to_contain_text("待审核", timeout=30_000)
    await shoot(page, "phone-proposed")

    await decide(officer, "rejected", "残疾证已过期，请补新证。")
    await page.evaluate("dispatchEvent(new Event('online'))")  # as when a phone comes back to its network
    await expect(mine).to_contain_text("未采纳")
    await expect(mine).to_contain_text("残疾证已过期")
    await expect(mine.get_by_role("button", name="撤回")).to_have_count(0)
    assert await find_faults(page) == []

    await propose(page)
    await page.fill("input[name=address]", "桐荫社区 10 号")
    await page.get_by_role("button", name="提交更正申请").click()
    await expect(mine.first).to_contain_text("待审核", timeout=30_000)
    await decide(officer, "accepted")
    await page.evaluate("dispatchEvent(new Event('online'))")
    await expect(mine.first).to_contain_text("已采纳")
    await expect(page.locator(".facts")).to_contain_text("桐荫社区 10 号")


async def test_a_proposal_is_withdrawn_while_nobody_has_decided(handset, officer, due, home):
    page = await handset.sign_in(due.caseworker_login)
    await page.get_by_text(home["headName"]).first.click()
    await propose(page)
    await page.fill("textarea[name=note]", "已搬走")
    await page.get_by_role("button", name="提交更正申请").click()
    mine = page.locator(".proposal", has_text="已搬走")
    await expect(mine).to_contain_text("待审核", timeout=30_000)
    assert len((await officer.http.get("/desk/v1/proposals")).json()["items"]) == 1
    async with page.expect_response("**/proposals/1/push"):
        await mine.get_by_role("button", name="撤回").click()
    await expect(mine).to_have_count(0)
    assert (await officer.http.get("/desk/v1/proposals")).json()["items"] == []


async def test_an_emergency_visit_by_telephone_asks_for_its_reason_and_for_no_place(
    handset, phone, due, home, pictures
):
    page = await handset.sign_in(due.caseworker_login)
    await page.get_by_text(home["headName"]).first.click()
    await page.get_by_role("button", name="开始走访").click()
    await page.locator("label.choice", has_text="电话").click()
    await expect(page.get_by_text("只有紧急情况才能电话、视频走访")).to_be_visible()
    assert await find_faults(page) == []
    await page.get_by_role("button", name="开始走访").click()
    checklist = next(item for item in (await phone.pull("checklists")).values() if item["kind"] == "intake")
    answers = answers_for(checklist, home, [], today())
    await fill_checklist(page, checklist["body"], answers, pictures)
    await page.locator(".steps button", has_text="离户提交").click()
    await expect(page.get_by_text("离开时定位")).to_have_count(0)
    await page.locator("label.choice:has(input[type=checkbox])").first.click()
    await expect(page.get_by_text("请写明不能入户的紧急情况")).to_be_visible()
    await expect(page.get_by_role("button", name="提交", exact=True)).to_be_disabled()
    await page.locator(".steps button", has_text="到户").click()
    await expect(page.get_by_text("开始", exact=False).first).to_be_visible()
    await page.locator("textarea").fill("山洪冲断道路，村里无法进入。")
    await shoot(page, "phone-by-telephone")
    await page.locator(".steps button", has_text="离户提交").click()
    await page.get_by_role("button", name="提交", exact=True).click()
    await expect(page.locator(".receipt .code")).to_be_visible(timeout=30_000)
    made = next(item for item in (await phone.pull("visits")).values() if item["householdId"] == home["id"])
    assert (made["mode"], made["startFix"], made["server"]["state"]) == ("phone", None, "submitted")
    assert made["modeReason"].startswith("山洪")


async def test_what_is_asked_follows_what_is_answered_and_slots_count_as_they_fill(handset, due, home, pictures):
    await handset.stand_at(home)
    page = await handset.sign_in(due.caseworker_login)
    await page.locator(".row", has_text="定期复核").nth(1).click()
    await page.get_by_role("button", name="开始走访").click()
    steps = page.locator(".steps button")
    await steps.filter(has_text="家庭成员").click()
    why, same = page.locator("#q-register_difference"), page.locator("#q-register_matches label.choice")
    await expect(why).to_have_count(0)
    await same.nth(1).click()
    await expect(why).to_be_visible()
    open_before = await steps.filter(has_text="家庭成员").locator(".mark").inner_text()
    await why.locator("textarea").fill("户口簿上多一人。")
    await expect(steps.filter(has_text="家庭成员").locator(".mark")).to_have_text(str(int(open_before) - 1))
    # Of a member, too: an illness is asked for where there is one.
    member = page.locator(".member").first
    illness = member.get_by_text("病种或残疾类别")
    await member.locator("label.choice", has_text="健康").click()
    await expect(illness).to_have_count(0)
    await member.locator("label.choice", has_text="慢性病").click()
    await expect(illness).to_be_visible()

    await steps.filter(has_text="照片和签名").click()
    outside, signed = page.locator("#q-photo_outside"), page.locator("#q-sign_family")
    await expect(outside).to_contain_text("已拍 0 张，需 1–4 张")
    await outside.locator("input[type=file]").set_input_files(pictures[0])
    await expect(outside).to_contain_text("已拍 1 张，需 1–4 张")
    assert (
        await outside.locator("input[type=file]").get_attribute("capture") == "environment"
    )  # the camera, not the album
    await expect(signed).to_contain_text("已签 0 人")
    await signed.get_by_role("button", name="签名", exact=True).click()
    await signed.get_by_role("button", name="开始签名").click()
    pad = page.get_by_role("dialog", name="请在框内签名")
    await expect(pad.locator("canvas")).to_be_visible()
    await shoot(page, "phone-signature", full_page=False)
    assert await find_faults(page) == []
    await page.go_back()  # as Android's back: it closes the pad, and not the visit
    await expect(pad).to_have_count(0)
    await signed.get_by_role("button", name="取消").click()
    await sign(signed)
    await expect(signed).to_contain_text("已签 1 人")


async def test_what_a_caseworker_is_told_of_stands_under_me_until_it_was_read(handset, phone, services, due):
    async with open_session(services.sessions) as session:
        params = {"staff_id": phone.id, "area_code": "339901001001", "facts": {}, "message": "none"}
        session.add_all(Notice(id=new_id(), kind="assigned", thing=thing, **params) for thing in ("one", "two"))
    page = await handset.sign_in(due.caseworker_login)
    tab = page.locator(".tabs .t-tab-bar-item", has_text="我的")
    await expect(tab.locator(".tally")).to_have_text("2")
    await tab.click()
    notices = page.locator(".group", has=page.get_by_role("heading", name="提醒"))
    await expect(notices).to_contain_text("2 条未读")
    assert await find_faults(page) == []
    await shoot(page, "phone-me")
    await notices.get_by_role("button", name="全部已读").click()
    await expect(tab.locator(".tally")).to_have_count(0)
    await expect(notices.locator(".unread")).to_have_count(0)


async def test_the_plan_is_by_distance_or_by_urgency_and_a_home_without_a_task_is_found(handset, phone, due):
    busy = {item["householdId"] for item in (await phone.pull("assignments")).values()}
    quiet = next(item for item in (await phone.pull("households")).values() if item["id"] not in busy)
    await handset.stand_at(quiet, metres_north=5)
    page = await handset.sign_in(due.caseworker_login)
    first = page.locator(".group:not(.returned) .row").first
    await expect(first.get_by_text("米", exact=False)).to_be_visible()
    await page.locator("label.choice", has_text="全部").click()
    await expect(first).to_contain_text(quiet["headName"])
    await expect(first).to_contain_text("5 米")
    await page.get_by_role("button", name="由近到远").click()
    await expect(page.get_by_role("button", name="按期限")).to_be_visible()
    await expect(first).to_contain_text("逾期")  # the home five metres away, where nothing is due, comes after
    assert await find_faults(page) == []
    await page.fill("input[type=search]", quiet["number"])
    await expect(page.locator(".row")).to_have_count(1)
    await page.locator(".row").click()
    await expect(page.get_by_text("该户暂无走访任务")).to_be_visible()
    await expect(page.get_by_role("link", name="申请更正")).to_be_visible()


# What came to Chrome after its version 80, and is not syntax: the build takes care of that. WeChat brings its own.
LATER = """
for (const [kind, names] of [
  [Array.prototype, ['at', 'findLast', 'findLastIndex', 'toSorted', 'toReversed', 'toSpliced', 'with']],
  [String.prototype, ['at', 'isWellFormed', 'toWellFormed']],
  [Uint8Array.prototype.__proto__, ['at', 'findLast', 'toSorted', 'toReversed', 'with']],
  [String.prototype, ['replaceAll']], [Promise, ['any']], [Element.prototype, ['replaceChildren']],
  [Object, ['hasOwn', 'groupBy']], [Map, ['groupBy']], [Array, ['fromAsync']], [Promise, ['withResolvers', 'try']],
  [Set.prototype, ['union', 'intersection', 'difference', 'isSubsetOf', 'isSupersetOf', 'isDisjointFrom']],
  [AbortSignal, ['timeout', 'any', 'abort']], [AbortSignal.prototype, ['throwIfAborted', 'reason']],
  [Crypto.prototype, ['randomUUID']], [Blob.prototype, ['bytes']], [Response, ['json']], [URL, ['canParse', 'parse']],
  [globalThis, ['WeakRef', 'FinalizationRegistry', 'AggregateError', 'structuredClone', 'reportError', 'scheduler', 'navigation', 'Iterator', 'CompressionStream']],
  [Navigator.prototype, ['userAgentData', 'scheduling', 'userActivation']],
  [Document.prototype, ['startViewTransition']], [Element.prototype, ['checkVisibility', 'setHTMLUnsafe']],
]) for (const name of names) delete kind[name];
"""


async def test_the_app_works_without_what_browsers_learned_since_2020(handset, phone, due, home, pictures):
    await handset.context.add_init_script(LATER)
    await handset.stand_at(home)
    page = await handset.sign_in(due.caseworker_login)
    assert await page.evaluate("[[].findLast, [].toSorted, AbortSignal.any].every((one) => one === undefined)")
    await page.locator(".row", has_text="定期复核").first.click()
    await page.get_by_role("button", name="开始走访").click()
    await page.get_by_role("button", name="获取定位").click()
    await expect(page.get_by_text("精度 ±9 米")).to_be_visible()
    await page.locator(".steps button", has_text="照片").click()
    photo = page.locator(".question", has=page.locator("input[type=file]")).first
    await photo.locator("input[type=file]").set_input_files(pictures[0])
    await expect(photo.locator(".shots li")).to_have_count(1)
    await page.locator(".steps button", has_text="离户提交").click()
    await expect(page.locator(".qr").first).to_be_visible()
    async with page.expect_response("**/visits/1/push"):
        await page.locator("a", has_text="返回").click()
    await page.reload()
    await page.get_by_role("button", name="继续填写").click()
    await expect(page.get_by_text("内容已填写完整").or_(page.get_by_text("处未填好"))).to_be_visible()
    for screen in ("outbox", "me", "attest"):
        await page.goto(f"{handset.url}/m/{screen}")
        await page.locator(".card").first.wait_for()
