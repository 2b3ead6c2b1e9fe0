"""The screens of dynamic management: a raise of the standard, differences of those paid, proofs, gradual exits."""

from uuid import UUID

from playwright.async_api import expect
from sqlalchemy import select, update

from server.cases.asked_proofs import ask_step
from server.core.clock import today, utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models.cases import CaseFile
from server.models.crosschecks import CrossCheck, CrossCheckBatch
from server.models.grace import GraceEnd
from server.models.households import HouseholdMember
from server.models.people import Staff
from tests import days
from tests.cases.test_standard_raises import colleague_of, decide
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, shoot


async def test_a_raise_is_proposed_previewed_and_shown_with_odd_ones_on_top(at_desk, office, system):
    page = await at_desk("maohetang", "county_officer", "/raises")
    await page.get_by_role("button", name="提出新标准").click()
    dialog = dialog_of(page)
    await expect(dialog.get_by_role("button", name="提出新标准")).to_be_disabled()
    await dialog.get_by_label("生效月份", exact=True).fill(f"{days.month(1):%Y/%m}")
    await dialog.get_by_label("城市标准（元/月）").fill("990")
    await dialog.get_by_label("农村标准（元/月）").fill("880.50")
    await dialog.get_by_label("依据文件").fill("县民发〔测试〕9号")
    await shoot(page, "desk-raise-proposed")
    await dialog.get_by_role("button", name="提出新标准").click()
    await page.wait_for_url("**/desk/raises/*")
    await system.run_jobs()
    await expect(page.locator("dl.facts").get_by_text("待另一人确认")).to_be_visible()
    await expect(page.get_by_text("须由另一人确认。")).to_be_visible()
    await expect(page.locator("tbody tr").first.locator(".tag.warning")).to_be_visible()
    faults = await find_faults(page)
    await shoot(page, "desk-raise-preview")
    raise_id = page.url.rsplit("/", 1)[1]
    answer = await decide(await colleague_of(office), raise_id)
    assert answer.status_code == 200, answer.text
    await system.run_jobs()
    await page.reload()
    await expect(page.locator("dl.facts").get_by_text("已调整")).to_be_visible()
    await page.get_by_role("button", name="增加").click()
    await shoot(page, "desk-raise-applied")
    await page.get_by_role("button", name="撤销提标").click()
    await dialog_of(page).get_by_label("理由").fill("标准有误")
    await dialog_of(page).get_by_role("button", name="撤销提标").click()
    await expect(page.get_by_text("撤销待另一人同意：标准有误")).to_be_visible()
    assert (faults, await find_faults(page)) == ([], [])


async def test_a_difference_of_a_home_that_is_paid_is_settled_with_a_note(at_desk, office, services):
    async with open_session(services.sessions) as session:
        case = (await session.scalars(select(CaseFile).where(CaseFile.state == "in_force").limit(1))).one()
        member = select(HouseholdMember.id).where(HouseholdMember.household_id == case.household_id).limit(1)
        officer = (await session.scalars(select(Staff).where(Staff.login == "maohetang"))).one()
        batch = CrossCheckBatch(
            id=new_id(), source="deaths", area_code=case.area_code[:9], made_by=officer.id, made_at=utc_now(),
            of_those_paid=True, due_on=days.in_days(20), answered_at=utc_now(), answered_by=officer.id,
        )  # fmt: skip
        session.add(batch)
        await session.flush()
        difference = {
            "key": "deaths", "heading": "死亡登记数", "found": 1, "declared": 0, "entered": "1", "doubts": []
        }  # fmt: skip
        session.add(
            CrossCheck(
                batch_id=batch.id, case_id=case.id, member_id=await session.scalar(member), position=1,
                answer={"deaths": "1"}, differences=[difference], due_on=days.in_days(-2),
            )
        )  # fmt: skip
    page = await at_desk("maohetang", "county_officer", "/cross-checks")
    row = page.locator("tbody tr", has_text="死亡登记数")
    await expect(row.get_by_text("已逾期")).to_be_visible()
    await shoot(page, "desk-recheck-differences")
    await row.get_by_role("button", name="登记办理情况").click()
    dialog = dialog_of(page)
    await dialog.get_by_label("怎样办理").select_option(label="已说明，无需变动")
    await dialog.locator("textarea").fill("同名同姓，已核实本人健在")
    assert await find_faults(page) == []
    await dialog.get_by_role("button", name="登记办理情况").click()
    await expect(row).to_have_count(0)


async def test_proofs_that_are_due_are_listed_and_noted_as_received(at_desk, office, services, county):
    required = {"code": "income", "zh": "收入证明", "en": "proof of income", "months": 1}
    await office.rule("proof.required", [required])
    async with open_session(services.sessions) as session:
        await session.execute(update(CaseFile).where(CaseFile.state == "in_force").values(paid_from=days.month(-3)))
        await ask_step(session, UUID(int=0), today())
        case = (await session.scalars(select(CaseFile).where(CaseFile.state == "in_force").limit(1))).one()
        session.add(
            GraceEnd(
                case_id=case.id, household_id=case.household_id, area_code=case.area_code, ends_on=days.month(1),
                due_on=days.month(1), found_at=utc_now(),
            )
        )  # fmt: skip
    login = next(
        person.login
        for person in county.staff
        if person.role == "town_officer" and case.area_code.startswith(person.area_code)
    )
    page = await at_desk(login, "town_officer", "/proofs")
    rows = page.locator("tbody tr", has_text="收入证明")
    await expect(rows.first).to_be_visible()
    await shoot(page, "desk-proofs")
    count = await rows.count()
    await rows.first.get_by_role("button", name="已收到").click()
    assert await find_faults(page) == []
    await dialog_of(page).get_by_role("button", name="已收到").click()
    await expect(rows).to_have_count(count - 1)


async def test_a_gradual_exit_that_ends_is_deferred_by_the_county(at_desk):
    page = await at_desk("maohetang", "county_officer", "/cases")
    await page.get_by_role("tab", name="渐退期将满").press("Enter")
    row = page.locator("tbody tr").first
    await row.get_by_role("button", name="延期").click()
    dialog = dialog_of(page)
    await dialog.get_by_label("延至哪个月", exact=True).fill(f"{days.month(2):%Y/%m}")
    await dialog.get_by_label("理由").fill("试用期未满")
    await dialog.get_by_role("button", name="延期").click()
    await expect(row.get_by_text("试用期未满")).to_be_visible()
    await shoot(page, "desk-grace-ends")
    assert await find_faults(page) == []
