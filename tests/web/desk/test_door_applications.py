"""What was applied for at a door and waits, at the town's desk: who lives there is read before the case is opened."""

from playwright.async_api import expect
from sqlalchemy import select

from server.core.database import open_session
from server.core.id_numbers import mask_id
from server.models.households import HouseholdMember
from tests.records.test_applications_at_the_door import ID_NUMBER, apply, make_application
from tests.web.browser import find_faults
from tests.web.desk.conftest import open_door, shoot


async def test_the_town_reads_a_held_application_masked_and_opens_the_case(at_desk, phone, county, services):
    assert (await apply(phone, await make_application(phone))).json()["state"] == "opened"
    again = await make_application(phone)
    again["household"]["phone"] = "13812345678"
    assert (await apply(phone, again)).json()["code"] == "household.member_known"
    async with open_session(services.sessions) as session:  # the town has found a typing error in the other home
        member = (await session.scalars(select(HouseholdMember).where(HouseholdMember.name == "童谷生"))).one()
        member.id_number_index = None
    officers = [person for person in county.staff if person.role == "town_officer"]
    login = next(person.login for person in officers if again["areaCode"].startswith(person.area_code))
    page = await at_desk(login, "town_officer")
    await open_door(page, "案件")
    await page.get_by_text("上门申请", exact=True).click()
    row = page.locator("tbody tr", has_text=again["number"])
    await expect(row).to_contain_text(f"童谷生 · 户主 · {mask_id(ID_NUMBER)}")
    await expect(row).to_contain_text("138****5678")
    assert ID_NUMBER not in await page.content()
    assert await find_faults(page) == []
    await shoot(page, "desk-door-applications")
    await row.get_by_role("button", name="登记", exact=True).click()
    await expect(page).to_have_url(f"{page.url.split('/desk')[0]}/desk/cases/{again['id']}")
    await expect(page.get_by_text(again["number"]).first).to_be_visible()
    await shoot(page, "desk-door-application-opened")
