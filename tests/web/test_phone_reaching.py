"""From the card of a home: its number for a call, its place in a map, the hotline, and the papers of its application."""

import re
from datetime import date

from playwright.async_api import expect

from server.core.database import open_session
from server.models.areas import PolicySetting
from tests.web.browser import find_faults, find_small_targets, shoot


async def test_a_home_is_called_found_in_a_map_and_its_papers_are_taken(handset, services, phone, due, home, county):
    async with open_session(services.sessions) as session:
        setting = {"area_code": home["areaCode"][:6], "effective_from": date(2020, 1, 2), "source": "测试"}
        session.add(PolicySetting(key="office.hotline", value="0570-12345", **setting))
    applied = {application.household_number for application in county.applications}
    mine = (await phone.pull("households")).values()
    applicant = next(item for item in mine if item["number"] in applied)
    page = await handset.sign_in(due.caseworker_login)
    await expect(page.locator(".row").first).to_be_visible()
    await page.goto(f"{handset.url}/m/home/{applicant['id']}")
    await page.get_by_role("button", name="打电话").click()
    await shoot(page, "phone-call-why")
    await page.get_by_role("button", name="预约走访").click()
    call = page.get_by_role("link", name=re.compile("^拨打"))
    number = (await call.get_attribute("href")).removeprefix("tel:")
    assert (number[:3], number[-4:]) == (applicant["phoneMask"][:3], applicant["phoneMask"][-4:])
    amap = await page.get_by_role("link", name="高德地图").get_attribute("href")
    longitude, latitude = map(float, re.search(r"position=([0-9.]+),([0-9.]+)", amap).groups())
    # In GCJ-02, some hundred metres from WGS-84; and nothing of whose home it is.
    assert 0.0005 < abs(longitude - applicant["longitude"]) + abs(latitude - applicant["latitude"]) < 0.02
    assert applicant["headName"] not in amap
    await expect(page.get_by_role("link", name="服务电话 0570-12345")).to_be_visible()
    await page.get_by_role("button", name="申请材料").click()
    papers = page.locator(".papers")
    lacking = papers.get_by_role("button", name="收到", exact=True)
    await expect(lacking.first).to_be_visible()
    before = await lacking.count()
    assert before > 0
    await lacking.first.click()
    await expect(lacking).to_have_count(before - 1)
    await expect(papers.locator(".tag.good").first).to_contain_text("已收")
    assert await find_faults(page) == []
    assert await find_small_targets(page) == []
    await shoot(page, "phone-reaching")
