"""Leave on the phone: a caseworker names a colleague for their homes, and comes back before it ends."""

from datetime import timedelta

from playwright.async_api import expect

from server.core.clock import today
from server.demo.staff import DEMO_PASSWORDS
from tests.web.browser import find_faults, shoot


async def test_a_caseworker_names_a_deputy_and_ends_it(handset, due):
    page = await handset.sign_in(due.caseworker_login)
    await page.get_by_role("tab", name="我的").click()
    card = page.locator("section", has=page.get_by_role("heading", name="休假代班"))
    await card.get_by_role("button", name="请同事代班").click()
    await card.get_by_label("代班同事").select_option(index=1)
    await card.get_by_label("到哪天止").fill((today() + timedelta(days=5)).isoformat())
    await card.get_by_label("当前密码").fill(DEMO_PASSWORDS["caseworker"])
    faults = {"naming": await find_faults(page)}
    await card.scroll_into_view_if_needed()
    await shoot(page, "phone-leave-naming", full_page=False)
    await card.get_by_role("button", name="请同事代班").click()
    await expect(card.get_by_text("代您的班")).to_be_visible()
    faults["running"] = await find_faults(page)
    await card.scroll_into_view_if_needed()
    await shoot(page, "phone-leave", full_page=False)
    await card.get_by_role("button", name="提前结束").click()
    await expect(card.get_by_role("button", name="请同事代班")).to_be_visible()
    assert not any(faults.values()), faults
