"""A caseworker says what the record has wrong; the office answers, and the phone shows it."""

import pytest
from playwright.async_api import expect

from tests.web.browser import find_faults, shoot


@pytest.fixture
def settings(shared_settings):
    return shared_settings


@pytest.fixture
def server(shared_server):
    return shared_server


@pytest.fixture
async def home(phone, due):
    return next(one for one in (await phone.pull("households")).values() if one["number"] == due.household_number)


@pytest.fixture
async def officer(system, county):
    login = next(one.login for one in county.staff if one.role == "county_officer")
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
    await page.get_by_role("link", name="提出变更").click()
    await expect(page.get_by_role("button", name="提交变更")).to_be_disabled()


async def test_a_change_is_proposed_without_a_network_and_its_answer_comes_back(handset, officer, due, home):
    await handset.stand_at(home, metres_north=60)
    page = await handset.sign_in(due.caseworker_login)
    await page.get_by_text(home["headName"]).first.click()
    await expect(page.get_by_role("link", name="提出变更")).to_be_visible()
    await handset.offline()
    await propose(page)
    member = home["members"][0]
    await page.fill("input[name=address]", "桐荫社区 9 号（新门牌）")
    await page.get_by_role("button", name="定位").click()
    await expect(page.get_by_text("精度 ±9 米")).to_be_visible()
    await page.select_option(f"select[name='health-{member['id']}']", "disabled")
    await page.fill("textarea[name=note]", "门牌已更换，看了残疾证。")
    assert await find_faults(page) == []
    await shoot(page, "phone-propose")
    await page.get_by_role("button", name="提交变更").click()

    mine = page.locator(".proposal")
    await expect(mine).to_contain_text("待上传")
    await expect(mine).to_contain_text(f"{member['name']}：残疾")
    await handset.offline(is_offline=False)
    await expect(mine).to_contain_text("待核准", timeout=30_000)
    await shoot(page, "phone-proposed")

    await decide(officer, "rejected", "残疾证已过期，请补新证。")
    await page.evaluate("dispatchEvent(new Event('online'))")  # as when a phone comes back to its network
    await expect(mine).to_contain_text("未核准")
    await expect(mine).to_contain_text("残疾证已过期")
    await expect(mine.get_by_role("button", name="撤回")).to_have_count(0)
    assert await find_faults(page) == []

    await propose(page)
    await page.fill("input[name=address]", "桐荫社区 10 号")
    await page.get_by_role("button", name="提交变更").click()
    await expect(mine.first).to_contain_text("待核准", timeout=30_000)
    await decide(officer, "accepted")
    await page.evaluate("dispatchEvent(new Event('online'))")
    await expect(mine.first).to_contain_text("已核准")
    await expect(page.locator(".facts")).to_contain_text("桐荫社区 10 号")


async def test_a_proposal_is_withdrawn_while_nobody_has_decided(handset, officer, due, home):
    page = await handset.sign_in(due.caseworker_login)
    await page.get_by_text(home["headName"]).first.click()
    await propose(page)
    await page.fill("textarea[name=note]", "已搬走")
    await page.get_by_role("button", name="提交变更").click()
    mine = page.locator(".proposal")
    await expect(mine).to_contain_text("待核准", timeout=30_000)
    assert len((await officer.http.get("/desk/v1/proposals")).json()["items"]) == 1
    async with page.expect_response("**/proposals/1/push"):
        await mine.get_by_role("button", name="撤回").click()
    await expect(mine).to_have_count(0)
    assert (await officer.http.get("/desk/v1/proposals")).json()["items"] == []
