"""A supervisor's session at the desk, in a real browser: claim, read, return with reasons, accept, undo."""

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import update

from server.core.database import open_session
from server.demo.county import DEMO_PASSWORDS
from server.models.areas import AreaRule
from tests.phones import make_kit
from tests.test_first_path import push_whole
from tests.web.browser import find_faults, shoot


@pytest.fixture
async def visit(system, services, phone, due):
    """A whole visit in the queue, drawn as the demo draws; and the usual minute for second thoughts."""
    async with open_session(services.sessions) as session:
        await session.execute(update(AreaRule).where(AreaRule.key == "review.undo_s").values(value=60))
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id, drawn=True)
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    return kit.visit


@pytest.fixture
async def page(browser, server):
    """A desk's screen with a supervisor signed in; nothing may be complained of in its console."""
    context = await browser.new_context(
        viewport={"width": 1440, "height": 900}, locale="zh-CN", timezone_id="Asia/Shanghai"
    )
    context.set_default_timeout(15_000)
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if "Content Security" in said.text else None)
    await page.goto(f"{server.url}/desk/")
    await page.fill("input[name=login]", "zhuyanhui")
    await page.fill("input[name=password]", DEMO_PASSWORDS["supervisor"])
    await page.click("button[type=submit]")
    await expect(page.get_by_role("heading", name="审核队列")).to_be_visible()
    yield page
    assert errors == []


async def test_a_supervisor_claims_reads_accepts_thinks_again_and_returns_with_reasons(visit, page: Page, phone):
    row = page.locator("tbody tr").first
    await expect(row).to_be_visible()
    faults = {"queue": await find_faults(page)}
    await shoot(page, "desk-queue", full_page=False)

    await page.keyboard.press("n")
    await page.wait_for_url(f"**/desk/visits/{visit['id']}")
    await expect(page.get_by_role("heading", name="问卷答案")).to_be_visible()
    await expect(page.locator(".photos .main img")).to_be_visible()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_text("第 2 张，共 4 张")).to_be_visible()
    await expect(page.get_by_role("img", name="位置图")).to_be_visible()
    faults["visit"] = await find_faults(page)
    await shoot(page, "desk-visit", full_page=False)

    # A finding is settled by keys, then the visit accepted and, within the minute, taken back.
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await expect(page.locator("li.dismissed")).to_have_count(1)
    await page.keyboard.press("a")
    await page.get_by_role("dialog").get_by_role("button", name="通过").click()
    await expect(page.get_by_text("秒内可以撤销")).to_be_visible()
    assert (await _decision(phone, visit))["state"] == "accepted"
    await page.keyboard.press("z")
    await expect(page.get_by_text("由你审核，")).to_be_visible()

    # Returned: a question and the first photo, each with what to mend.
    await page.get_by_role("button", name="质疑: 理由和建议").click()
    await page.keyboard.press("ArrowLeft")
    await page.get_by_role("button", name="质疑这张").click()
    await page.keyboard.press("r")
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("button", name="退回", exact=True)).to_be_disabled()  # without reasons
    for field in await dialog.get_by_placeholder("要补正什么").all():
        await field.fill("看不清，请补拍或写清楚")
    await dialog.get_by_label("给专干的说明").fill("两处需要补正。")
    faults["return"] = await find_faults(page)
    await shoot(page, "desk-return", full_page=False)
    await dialog.get_by_role("button", name="退回", exact=True).click()
    await expect(page.get_by_text("退回。")).to_be_visible()
    told = await _decision(phone, visit)
    assert told["state"] == "returned"
    assert {one["questionId"] for one in told["decision"]["questioned"]} == {"opinion", "photo_outside"}
    assert {name: found for name, found in faults.items() if found} == {}


async def _decision(phone, visit):
    """What the author's phone hears."""
    return (await phone.pull("visits"))[visit["id"]]["server"]
