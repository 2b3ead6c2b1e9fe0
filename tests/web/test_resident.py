"""A resident's session on their own phone: sign in, bind, send a paper, confirm, complain, follow; large type."""

import os
import time

import httpx
import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect
from sqlalchemy import update

from server.core.database import open_session
from server.core.services import open_services
from server.demo.cases import load_cases
from server.devserver.processes import LOOPBACK, find_free_port, stop
from server.models.aid import AidLine
from tests import days
from tests.conftest import fresh_settings
from tests.makers.aid import AidOffice
from tests.makers.cases import Office
from tests.makers.rosters import RosterOffice
from tests.phones import make_kit
from tests.rosters.test_own_payments import bound
from tests.test_first_path import push_whole
from tests.warm import Warm
from tests.web.browser import NARROW, Handset, find_faults, find_faults_in_english, find_small_targets, shoot
from tests.web.conftest import in_one_loop, jobs_done


@pytest.fixture(scope="module")
def settings(postgres, s3, template, tmp_path_factory):
    """The API signs residents in at a WeChat of its own, played beside it."""
    port = find_free_port()
    stub = Warm(
        ["wechat-stub", "--port", str(port)], log=tmp_path_factory.mktemp("wechat") / "wechat.log", environ=os.environ
    )
    url = f"http://{LOOPBACK}:{port}"
    _wait_for(f"{url}/_stub/messages")
    for plain in fresh_settings(postgres, s3, template):
        yield msgspec.structs.replace(plain, wechat_base_url=url)
    stop(stub)


@in_one_loop
async def resident(system, county, phone, due):
    """Whose home was visited."""
    partner = await system.sign_in(due.partner_login, "caseworker")
    await push_whole(phone, partner, await make_kit(phone, partner.id))
    await jobs_done(system)
    return next(item for item in county.residents if item.application_number == due.application_number)


async def test_a_resident_binds_sends_a_paper_disputes_reports_complains_and_follows(
    resident, handset: Handset, pictures
):
    page = await handset.open(f"/r/?code=demo-{resident.wechat_suffix}-browser")
    await expect(page.get_by_role("heading", name="绑定申请")).to_be_visible()
    assert "code=" not in page.url
    await page.fill("input[name=number]", resident.application_number)
    await page.fill("input[name=idNumber]", resident.id_number)
    await page.get_by_role("button", name="绑定", exact=True).click()
    await page.locator(".case").click()
    await expect(page.get_by_text("接下来")).to_be_visible()
    faults = {"case": await find_faults(page)}
    await shoot(page, "resident-case")

    paper = page.locator(".paper").first
    await expect(paper.get_by_text("尚缺")).to_be_visible()
    await paper.locator("input[type=file]").set_input_files(pictures[0])
    await expect(paper.locator(".state.good")).to_be_visible()
    async with page.context.expect_page() as seen:
        await paper.get_by_role("button", name="上传的照片").click()
    await (await seen.value).wait_for_url("**/zoufang/**")  # by a link of minutes, straight from the store
    await (await seen.value).close()

    faults["visit"] = await _dispute_the_visit(page)
    await page.get_by_role("button", name="报告变化").click()
    await page.get_by_label("什么变化").select_option("job_lost")
    await page.get_by_label("说一说").fill("上个月工地停工，没有收入了。")
    await page.get_by_role("button", name="提交").click()
    await expect(page.get_by_text("已收到，我们会答复您")).to_be_visible()

    faults["privacy"] = await _agree_and_ask(page)
    await page.get_by_role("link", name="投诉或申诉").click()
    await page.fill("textarea[name=text]", "来访的人没有出示证件。")
    await page.get_by_role("button", name="提交").click()
    numbers = page.locator("section[role=status] strong.code")
    await expect(numbers).to_have_count(2)
    number, code = [await row.inner_text() for row in await numbers.all()]
    faults["complained"] = await find_faults(page)
    await shoot(page, "resident-complaint")

    await page.get_by_role("button", name="大字").click()
    await page.get_by_role("link", name="查答复").click()
    await page.fill("input[name=number]", number)
    await page.fill("input[name=code]", code)
    await page.get_by_role("button", name="查询").click()
    await expect(page.locator("section[role=status]").get_by_text(number)).to_be_visible()
    faults["followed"] = await find_faults(page)
    await shoot(page, "resident-followed-large-type")
    await page.get_by_role("button", name="退出").click()
    await expect(page.get_by_role("heading", name="查看您的低保申请")).to_be_visible()
    faults["door"] = await find_faults(page)
    await shoot(page, "resident-door")

    await page.get_by_role("link", name="查进度").click()
    await page.fill("input[name=number]", resident.application_number)
    await page.fill("input[name=pin]", resident.look_up_pin)
    await page.get_by_role("button", name="查询").click()
    await expect(page.locator("section[role=status]").get_by_text(resident.application_number)).to_be_visible()
    faults["looked-up"] = await find_faults(page)
    await shoot(page, "resident-look-up")
    assert {name: found for name, found in faults.items() if found} == {}


async def _agree_and_ask(page: Page) -> list[str]:
    case = page.url
    await page.goto(f"{case.split('/r/')[0]}/r/privacy")
    await page.get_by_role("button", name="我已阅读并同意").click()
    await expect(page.get_by_text("阅读并同意", exact=False).first).to_be_visible()
    await page.get_by_role("button", name="提出请求").click()
    await page.locator("select[name=kind]").select_option("copy")
    await page.get_by_role("button", name="提交").click()
    await expect(page.get_by_text("我们会在期限内书面答复")).to_be_visible()
    faults = await find_faults(page)
    await shoot(page, "resident-privacy", full_page=True)
    await page.goto(case)
    await expect(page.get_by_role("link", name="投诉或申诉")).to_be_visible()
    return faults


async def _dispute_the_visit(page: Page) -> list[str]:
    visit = page.locator(".visit")
    await visit.get_by_text("看记录的内容").click()
    await expect(visit.get_by_role("row").first).to_be_visible()
    faults = await find_faults(page)
    await visit.get_by_role("button", name="有不对的地方").click()
    await visit.get_by_label("哪里不对").fill("收入写多了。")
    await visit.get_by_role("button", name="提交").click()
    await expect(visit.get_by_text("您提出了异议")).to_be_visible()
    return faults


async def test_a_resident_confirms_a_visit_and_withdraws_the_application(system, county, handset: Handset):
    due = [assignment for assignment in county.assignments if assignment.kind == "intake"][1]
    phone = await system.sign_in(due.caseworker_login, "caseworker")
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id)
    await push_whole(phone, partner, kit)
    await jobs_done(system)
    home = (await phone.pull("households"))[kit.visit["householdId"]]
    number = next(
        assignment.application_number
        for assignment in county.assignments
        if assignment.household_number == home["number"]
    )
    resident = next(item for item in county.residents if item.application_number == number)
    page = await handset.open(f"/r/?code=demo-{resident.wechat_suffix}-again")
    await page.fill("input[name=number]", number)
    await page.fill("input[name=idNumber]", resident.id_number)
    await page.get_by_role("button", name="绑定", exact=True).click()
    await page.locator(".case").click()
    visit = page.locator(".visit")
    await visit.get_by_role("button", name="相符").click()
    await expect(visit.get_by_text("您已确认")).to_be_visible()
    await expect(visit.get_by_role("button")).to_have_count(0)

    await page.get_by_role("button", name="撤回申请").click()
    await page.get_by_label("为什么撤回").fill("已找到工作")
    await page.get_by_role("button", name="确认撤回").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("撤回")
    await expect(page.get_by_role("button", name="撤回申请")).to_have_count(0)
    assert await find_faults(page) == []
    await shoot(page, "resident-withdrawn")

    await page.get_by_role("button", name="不再绑定这个申请").click()
    await expect(page.get_by_text("这个微信号看不到这一户的任何情况")).to_be_visible()
    assert await find_faults(page) == []
    await shoot(page, "resident-unbind")
    await page.get_by_role("button", name="确认解除绑定").click()
    await expect(page.get_by_role("heading", name="绑定申请")).to_be_visible()
    await expect(page.locator(".case")).to_have_count(0)


# By the suffix of the demo's residents (server/demo/cases.py), what each reads of a case in its own state.
STATES = {
    "materials": ("resident10", ["尚缺", "还缺"]),
    "hearing": ("resident13", ["将召开民主评议"]),
    "paid": ("resident18", ["每月", "起发放", "请带出生证到村委会"]),
    "stopped": ("resident19", ["起停发", "不服这个决定"]),
    "refused": ("resident20", ["名下有营运车辆一辆", "行政复议", "投诉或申诉"]),
    "posting": ("resident22", ["公示"]),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cases(settings, county) -> None:
    """The demo's, in every state."""
    async with open_services(settings) as services, open_session(services.sessions) as session:
        await load_cases(session, services, county)


async def test_a_resident_reads_a_case_in_each_later_state(cases, handset: Handset):
    faults = {}
    page = await handset.open("/r/")
    for state, (suffix, words) in STATES.items():
        await page.goto(f"{handset.url}/r/?code=demo-{suffix}-x")
        await page.locator(".case").click()
        await expect(page.get_by_text("接下来")).to_be_visible()
        await page.locator("summary", has_text="办理过程").click()
        for word in words:
            await expect(page.get_by_text(word).first).to_be_visible()
        if state == "refused":  # which never came so far as to be posted
            await expect(page.locator(".stages")).to_contain_text("县级审核确认")
            await expect(page.locator(".stages")).not_to_contain_text("公示")
        faults[state] = await find_faults(page)
        await shoot(page, f"resident-{state}")
        if state in {"paid", "refused"}:
            async with page.expect_download() as saved:
                await page.get_by_role("button", name="下载").first.click()
            assert (await (await saved.value).path()).read_bytes().startswith(b"%PDF")
        if state == "posting":
            await page.get_by_role("link", name="第 1 轮").click()
            await expect(page.get_by_role("button", name="提交异议")).to_be_visible()
            await shoot(page, "resident-public-posting")
            break
        await page.get_by_role("button", name="退出").click()
        await expect(page.get_by_role("heading", name="查看您的低保申请")).to_be_visible()
    assert {name: found for name, found in faults.items() if found} == {}


async def test_a_household_says_which_payment_arrived_and_which_did_not(
    handset: Handset, system, services, county, monkeypatch
):
    monkeypatch.setattr(type(system), "run_jobs", jobs_done)  # a worker runs beside
    pay = await RosterOffice(Office(system, services, county), system, services).open()
    place = len(county.residents) - 1
    _, case_id = await bound(pay, place)
    for month in (days.month(-1), days.month()):
        await pay.sent(month)
    other = pay.homes[1].household_id
    batch = await AidOffice(pay).handed_out("flour", eachMilli=2500, householdIds=[str(other)])
    async with open_session(services.sessions) as session:  # the bound home lies in another town
        line = update(AidLine).where(AidLine.batch_id == batch["id"])
        await session.execute(line.values(household_id=pay.homes[0].household_id))
    page = await handset.open(f"/r/?code=demo-{county.residents[place].wechat_suffix}-t")
    await page.locator(f".case[href$='{case_id}']").click()
    payments = page.locator(".payment")
    await expect(payments).to_have_count(2)
    await expect(payments.first).to_contain_text("300.00 元")
    faults = {"payments": [*await find_faults(page), *await find_small_targets(page)]}
    await shoot(page, "resident-payments")
    await payments.last.get_by_role("button", name="收到了").click()
    await expect(payments.last).to_contain_text("您说收到了")
    await payments.first.get_by_role("button", name="没有收到").click()
    await payments.first.get_by_label("补充说明").fill("存折上没有这笔钱。")
    await payments.first.get_by_role("button", name="提交").click()
    await expect(payments.first).to_contain_text("您说没有收到")
    await expect(payments.first).to_contain_text("投诉编号 XF")
    await expect(page.get_by_role("status").first).to_contain_text("查询码")
    faults["answered"] = [*await find_faults(page), *await find_small_targets(page)]
    await shoot(page, "resident-payments-answered")
    aid = page.locator(".aid")
    await expect(aid).to_contain_text("面粉 2.5 袋")
    await aid.get_by_role("button", name="没有收到").click()
    await aid.get_by_role("button", name="提交").click()
    await expect(aid).to_contain_text("投诉编号 XF")
    faults["aid"] = [*await find_faults(page), *await find_small_targets(page)]
    await shoot(page, "resident-aid")
    assert {name: found for name, found in faults.items() if found} == {}


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_every_screen_is_whole_in_large_type_on_a_narrow_phone(cases, handset: Handset, language):
    await handset.context.add_init_script(
        f"localStorage['zoufang.language'] = '{language}'; localStorage['zoufang.largeType'] = '1'"
    )
    page = await handset.open("/r/")
    await page.set_viewport_size(NARROW)
    faults: dict[str, list[str]] = {}

    async def look(name: str) -> None:
        found = await find_faults(page) if language == "zh" else await find_faults_in_english(page)
        faults[name] = [*found, *await find_small_targets(page)]
        await shoot(page, f"resident-large-{language}-{name}")

    await expect(page.locator("form")).to_be_visible()
    await look("door")
    # The list of places is cut off, first whole and then a level of it: it is said, and asked for again.
    await page.route("**/public/v1/areas**", lambda route: route.abort(), times=1)
    await page.goto(f"{handset.url}/r/complain")
    await expect(page.locator("fieldset [role=alert]")).to_be_visible()
    await look("complain-cut")
    await page.locator("fieldset button").click()
    area = page.locator("fieldset select")
    await expect(area).to_be_visible()
    await expect(page.locator("fieldset [role=alert]")).to_have_count(0)
    await page.route("**/public/v1/areas**", lambda route: route.abort(), times=1)
    await area.select_option(label="柚溪镇")
    await page.locator("fieldset button").click()
    await area.nth(1).select_option(label="柚溪社区")
    await page.locator("input[type=checkbox]").check()
    await look("complain")
    await page.fill("textarea[name=text]", "公示栏的名单被雨淋坏了。")
    await page.locator("form button").click()
    result = page.locator("section[role=status] strong.code")
    await expect(result).to_have_count(2)
    number, code = await result.all_inner_texts()
    assert number.startswith("XF339901")
    await look("complained")
    await page.goto(f"{handset.url}/r/follow")
    await page.fill("input[name=number]", number)
    await page.fill("input[name=code]", code)
    await page.locator("form button").click()
    await expect(page.locator("section[role=status]")).to_contain_text(number)
    await look("followed")

    for state in ("materials", "paid", "stopped", "posting"):
        await page.goto(f"{handset.url}/r/?code=demo-{STATES[state][0]}-{language}")
        await expect(page.locator(".case")).to_be_visible()
        if state == "paid":
            await expect(page.locator("section li").first).to_be_visible()  # what they are told of
            await look("home")
            if language == "en":  # the last who looks
                await page.get_by_role("button", name="Got it").click()
                await expect(page.get_by_role("heading", name="News")).to_have_count(0)
        await page.locator(".case").click()
        await expect(page.locator(".stages")).to_be_visible()
        for closed in await page.locator("summary").all():
            await closed.click()
        if state == "materials":
            await page.locator("button:not([disabled])").last.click()  # to withdraw: why?
        await look(state)
        await page.locator("header button").last.click()
        await expect(page.locator(".stages")).to_have_count(0)
    assert {name: found for name, found in faults.items() if found} == {}


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            httpx.get(url, timeout=2)
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
