"""A caseworker's day in a real browser: the network cut, the tab killed, two phones, a return and its amendment."""

import asyncio
import contextlib
import re

from playwright.async_api import Error, expect

from server.core.clock import today
from tests.phones import answers_for
from tests.web.browser import Handset, fill_checklist, find_faults, shoot
from tests.web.conftest import in_one_loop


@in_one_loop
async def given(system, due):
    """What the caseworker's phone will hold, read beforehand so that the test knows what to write."""
    phone = await system.sign_in(due.caseworker_login, "caseworker")
    homes = await phone.pull("households")
    assignments = await phone.pull("assignments")
    home = next(home for home in homes.values() if home["number"] == due.household_number)
    assignment = next(
        assignment
        for assignment in assignments.values()
        if assignment["householdId"] == home["id"] and assignment["kind"] == "intake"
    )
    checklist = next(
        item for item in (await phone.pull("checklists")).values() if item["code"] == assignment["checklistCode"]
    )
    return {"home": home, "assignment": assignment, "checklist": checklist, "name": phone.signed_in["name"]}


async def slowly(route):
    await asyncio.sleep(0.4)
    with contextlib.suppress(Error):  # cut meanwhile
        await route.continue_()


async def test_a_caseworkers_day(system, browser, server, handset, desk, due, given, pictures):
    home, checklist = given["home"], given["checklist"]
    await handset.stand_at(home, metres_north=800)
    page = await handset.sign_in(due.caseworker_login)
    await expect(page.get_by_text(home["headName"]).first).to_be_visible()
    faults = {"plan": await find_faults(page)}
    await shoot(page, "phone-plan", full_page=False)

    await page.get_by_text(home["headName"]).first.click()
    await expect(page.get_by_role("button", name="开始走访")).to_be_visible()
    faults["home"] = await find_faults(page)
    await shoot(page, "phone-home")

    # No network from here: the whole visit is made without it.
    await handset.offline()
    await page.get_by_role("button", name="开始走访").click()
    await handset.stand_at(home)
    await page.get_by_role("button", name="获取定位").click()
    await expect(page.get_by_text("精度 ±9 米")).to_be_visible()
    faults["arrival"] = await find_faults(page)
    await shoot(page, "phone-arrival")

    answers = answers_for(checklist, home, [], today())
    sections = checklist["body"]["sections"]
    first, rest = {**checklist["body"], "sections": sections[:2]}, {**checklist["body"], "sections": sections[2:]}
    await fill_checklist(page, first, answers, pictures)
    faults["members"] = await find_faults(page)
    await shoot(page, "phone-members")

    # The tab is killed in mid-visit, in mid-word; what was written is there again, down to the last letter: a tenth of a
    # second is enough to seal it.
    await page.locator(".steps button", has_text="声明和谈话").click()
    await page.locator("#in-opinion").press_sequentially("家中有两")
    await page.locator("#in-opinion").press_sequentially("名")
    await page.wait_for_timeout(100)
    address = page.url
    await page.close()
    page = await handset.open(address.removeprefix(server.url))
    await expect(page.locator(".steps [aria-current]")).to_contain_text("声明和谈话")
    await expect(page.locator("#in-opinion")).to_have_value("家中有两名")
    await fill_checklist(page, rest, answers, pictures)
    faults["evidence"] = await find_faults(page)
    await shoot(page, "phone-evidence")

    await page.locator(".steps button", has_text="离户提交").click()
    # Whoever of the family has signed was there.
    await expect(page.locator("label.choice:has(input[type=checkbox]:checked)").first).to_be_visible()
    await page.get_by_role("button", name="获取定位").click()
    await expect(page.locator(".card", has=page.get_by_role("heading", name="离开时定位"))).to_contain_text(
        "精度 ±9 米"
    )
    await expect(page.get_by_text("内容已填写完整")).to_be_visible()
    faults["finish"] = await find_faults(page)
    await shoot(page, "phone-finish")
    code = await page.locator(".typed").inner_text()
    await page.get_by_role("button", name="提交", exact=True).click()
    await expect(page.get_by_text("待上传").first).to_be_visible()
    # It is read back whole, and says what happens next and where to go.
    await expect(page.locator(".next")).to_contain_text("联网后自动上传")
    await expect(page.locator(".next .button.primary")).to_contain_text("下一户")
    for member in home["members"]:
        await expect(page.locator(".answer .member", has_text=member["name"])).to_contain_text("健康")
    await expect(page.locator(".shots li img").first).to_be_visible()
    faults["submitted"] = await find_faults(page)
    await shoot(page, "phone-submitted")

    # The second investigator, on their own phone, by the address in the QR code.
    colleague = await Handset.unpack(browser, server.url)
    await colleague.stand_at(home)
    await colleague.sign_in(due.partner_login)
    seen = f"n={home['number']}&k=intake&d={today().isoformat()}"
    other = await colleague.open(f"/m/attest/{code}?{seen}")
    await expect(other.get_by_role("button", name="在这里使用")).to_be_visible()  # the plan is open in another tab
    await other.get_by_role("button", name="在这里使用").click()
    for said in (home["number"], "入户调查", f"{today().month}月{today().day}日"):
        await expect(other.locator(".attested-visit")).to_contain_text(said)
    await shoot(other, "phone-attest-asked")
    await other.get_by_role("button", name="定位并确认").click()
    await expect(other.get_by_text("已确认")).to_be_visible()
    faults["attest"] = await find_faults(other)
    await shoot(other, "phone-attest")

    # The outbox: waiting without a network, then everything goes, cut once in the middle.
    await page.goto(server.url + "/m/outbox")
    await expect(page.locator(".photo").first).to_be_visible()
    faults["outbox"] = await find_faults(page)
    await shoot(page, "phone-outbox")
    await page.route("**/uploads/**", slowly)
    await handset.offline(is_offline=False)
    half = page.locator(".t-progress:not([aria-valuenow='0']):not([aria-valuenow='100'])")
    await expect(half.first).to_be_visible(timeout=30_000)
    await handset.offline()
    await shoot(page, "phone-upload-cut", full_page=False)
    await expect(page.get_by_text("没有网络")).to_be_visible()
    await page.unroute("**/uploads/**")
    await handset.offline(is_offline=False)
    await expect(page.get_by_text("全部已上传")).to_be_visible(timeout=60_000)
    await expect(page.locator(".receipt .code")).to_have_text(re.compile(r"^[0-9A-Z]{10}$"))
    await shoot(page, "phone-receipts")
    assert {name: found for name, found in faults.items() if found} == {}
    assert colleague.errors == []
