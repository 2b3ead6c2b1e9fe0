"""A resident's session on their own phone: sign in, bind, send a paper, confirm, complain, follow; large type."""

import sys
import time

import httpx
import msgspec
import pytest
from playwright.async_api import Page, expect

from server.processes import LOOPBACK, free_port, spawn, stop
from tests.live import PROJECT
from tests.phones import make_kit
from tests.test_first_path import push_whole
from tests.web.browser import Handset, find_faults, shoot


@pytest.fixture
def settings(settings, tmp_path):
    """The API signs residents in at a WeChat of its own, played beside it."""
    port = free_port()
    command = [sys.executable, "-m", "server", "wechat-stub", "--port", str(port)]
    stub = spawn(command, log=tmp_path / "wechat.log", directory=PROJECT)
    url = f"http://{LOOPBACK}:{port}"
    _wait_for(f"{url}/_stub/messages")
    yield msgspec.structs.replace(settings, wechat_base_url=url)
    stop(stub)


@pytest.fixture
async def resident(system, county, phone, due):
    """Whose home was visited."""
    partner = await system.sign_in(due.partner_login, "caseworker")
    await push_whole(phone, partner, await make_kit(phone, partner.id))
    await system.run_jobs()
    return next(one for one in county.residents if one.application_number == due.application_number)


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
    await expect(paper.locator(".tag.good")).to_be_visible()

    faults["visit"] = await _dispute_the_visit(page)
    await page.get_by_label("什么变化").select_option("job_lost")
    await page.get_by_label("说一说").fill("上个月工地停工，没有收入了。")
    await page.get_by_role("button", name="提交").click()
    await expect(page.get_by_text("已收到，我们会答复您")).to_be_visible()

    await page.get_by_role("link", name="投诉或申诉").click()
    await page.fill("textarea[name=text]", "来访的人没有出示证件。")
    await page.get_by_role("button", name="提交").click()
    numbers = page.locator("section[role=status] strong.code")
    await expect(numbers).to_have_count(2)
    number, code = [await one.inner_text() for one in await numbers.all()]
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
    await page.fill("input[name=ending]", resident.id_number[-4:])
    await page.get_by_role("button", name="查询").click()
    await expect(page.locator("section[role=status]").get_by_text(resident.application_number)).to_be_visible()
    faults["looked-up"] = await find_faults(page)
    await shoot(page, "resident-look-up")
    assert {name: found for name, found in faults.items() if found} == {}


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
