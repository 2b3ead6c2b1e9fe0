"""A returned visit on the phone: open at exactly what was questioned, mended, and sent again."""

import pytest
from playwright.async_api import expect

from tests.phones import make_kit, tiny_photo
from tests.test_first_path import push_whole
from tests.web.browser import fill_question, find_faults, shoot


@pytest.fixture
async def returned(system, phone, desk, due):
    """A visit made from another device of the same caseworker, and returned by a supervisor."""
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id, photos=[tiny_photo(1), tiny_photo(2)])
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    claim = (await desk.http.post(f"/desk/v1/queue/{kit.visit['id']}/claim")).json()
    asked = {
        "outcome": "returned",
        "reason": "谈话记录和意见不一致，请核对后补正。",
        "questioned": [
            {"questionId": "opinion", "reason": "理由写得太简单"},
            {"questionId": "photo_outside", "reason": "看不清门牌", "evidenceId": kit.evidence[0]["id"]},
        ],
    }
    answer = await desk.http.post(
        f"/desk/v1/visits/{kit.visit['id']}/decision", json=asked, headers={"If-Match": f'"{claim["version"]}"'}
    )
    assert answer.status_code == 200, answer.text
    return kit


async def test_a_returned_visit_opens_at_what_was_questioned_and_is_amended(returned, handset, phone, due, pictures):
    page = await handset.sign_in(due.caseworker_login)
    await expect(page.get_by_text("退回补正")).to_be_visible()
    await page.get_by_text("谈话记录和意见不一致").click()
    await expect(page.get_by_text("理由写得太简单")).to_be_visible()
    await expect(page.locator(".question")).to_have_count(2)
    assert await find_faults(page) == []
    await shoot(page, "phone-amend")

    await page.fill("#in-opinion", "核对银行流水后，收入低于标准，建议纳入。")
    await fill_question(page.locator("#q-photo_outside"), {"id": "photo_outside", "kind": "photo"}, None, pictures)
    await expect(page.get_by_role("button", name="提交补正")).to_be_disabled()  # without saying why
    await page.fill("[name=amendReason]", "按审核意见补正")
    await page.get_by_role("button", name="提交补正").click()
    await expect(page.get_by_text("提交补正")).to_have_count(0)
    await page.goto(f"{handset.url}/m/outbox")
    await expect(page.get_by_text("全部已上传")).to_be_visible(timeout=30_000)

    amended = (await phone.pull("visits"))[returned.visit["id"]]
    assert amended["server"]["version"] == 2
    assert amended["amendment"]["reason"] == "按审核意见补正"
    assert amended["answers"]["opinion"].startswith("核对银行流水")
    assert len(amended["photos"]) == len(returned.visit["photos"]) + 1
    assert amended["startFix"] == returned.visit["startFix"]
