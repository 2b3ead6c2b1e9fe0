"""A resident's session on their own phone: sign in, bind, send a paper, confirm, complain, follow; large type."""

import pytest
from playwright.async_api import expect

from server.demo.wechat_stub import create_stub
from tests.web.browser import Handset, find_faults, shoot


async def test_a_resident_binds_sends_a_paper_reports_complains_and_follows(handset: Handset, county, pictures):
    resident = county.residents[0]
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
