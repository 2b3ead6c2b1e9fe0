"""An application at the door on a phone: without a network, with number and slip, and once at the desk."""

from datetime import date

from playwright.async_api import Page, expect

from server.core.id_numbers import make_id_number
from tests.makers.records import make_record
from tests.web.browser import fill_question, shoot
from tests.web.sealed_store import DUMP
from tests.web.test_phone_records import look

ID_NUMBER = make_id_number("110105", date(1958, 7, 19), 305)


async def write_down_the_home(page: Page) -> None:
    await page.fill("input[name=address]", "四组 7 号")
    await page.fill("input[name=name-0]", "严秋禾")
    await page.fill("input[name=idNumber-0]", ID_NUMBER[:-1] + ("1" if ID_NUMBER[-1] != "1" else "2"))
    await expect(page.get_by_text("最后一位对不上").first).to_be_visible()
    await page.fill("input[name=idNumber-0]", f"{ID_NUMBER[:6]} {ID_NUMBER[6:14]} {ID_NUMBER[14:]}")
    await expect(page.get_by_text("最后一位对不上")).to_have_count(0)
    await page.get_by_role("button", name="添加成员").click()
    await page.fill("input[name=name-1]", "严小满")
    await page.select_option("select[name=relation-1]", "grandson")
    await page.locator("summary").click()
    await page.select_option("select[name=sex-1]", "male")
    await page.fill("input[name=bornOn-1]", "2025-03-01")
    await page.locator("label.choice", has_text="同意用短信").click()
    await page.fill("input[name=phone]", "13812345678")


async def answer_the_questions(page: Page, phone, pictures) -> None:
    checklist = next(item for item in (await phone.pull("checklists")).values() if item["kind"] == "application")
    answers = (await make_record(phone, "application")).record["answers"] | {"situations": ["illness"]}
    for section in checklist["body"]["sections"]:
        for question in section["questions"]:
            field = page.locator(f"#q-{question['id']}")
            if question["id"] in answers and await field.count():
                await fill_question(field, question, answers[question["id"]], pictures)


async def require_the_address(page):
    await page.get_by_role("button", name="获取定位").click()
    await page.get_by_role("button", name="提交").click()
    await expect(page.get_by_text("填写家庭住址")).to_be_visible()


async def look_at_the_slip(page):
    await expect(page.locator(".slip .lacking li").first).to_be_visible()
    await expect(page.locator(".slip .lacking")).to_contain_text("诊断证明")
    await expect(page.locator(".shots li", has_text="严秋禾")).to_have_count(1)
    assert await look(page, "application-slip") == []
    await page.emulate_media(media="print")
    await shoot(page, "phone-application-slip-print", full_page=True)
    await page.emulate_media(media="screen")


async def test_an_application_at_the_door_is_written_offline_and_is_one_case_at_the_desk(
    handset, phone, desk, due, home, pictures
):
    await handset.stand_at(home)
    page = await handset.sign_in(due.caseworker_login)
    await page.locator(".tabs").get_by_text("其他工作").click()
    begin = page.get_by_role("button", name="上门申请")
    await expect(begin).to_be_visible(timeout=30_000)
    await handset.offline()
    await begin.click()
    await require_the_address(page)
    await write_down_the_home(page)
    await answer_the_questions(page, phone, pictures)
    await page.locator("label.choice:has(input[name^=paper-])").first.click()
    assert await look(page, "application") == []

    # Closed and opened again without a network, it is there as it was, and the ID number is sealed on the phone.
    await page.reload()
    await expect(page.locator("input[name=idNumber-0]")).to_have_value(
        f"{ID_NUMBER[:6]} {ID_NUMBER[6:14]} {ID_NUMBER[14:]}"
    )
    assert ID_NUMBER[6:14] not in str(await page.evaluate(DUMP))
    await page.get_by_role("button", name="提交").click()
    number = page.locator(".slip .number")
    await expect(number).to_be_visible()
    drawn = await number.inner_text()
    await look_at_the_slip(page)

    await handset.offline(is_offline=False)
    await page.evaluate("dispatchEvent(new Event('online'))")
    await expect(page.locator(".outcome .tag")).to_have_text("已登记", timeout=60_000)
    await expect(number).to_have_text(drawn)
    cases = (await desk.http.get("/desk/v1/cases", params={"area": home["areaCode"], "limit": 200})).json()["items"]
    [case] = [case for case in cases if case["applicationNumber"] == drawn]
    assert (case["headName"], case["state"]) == ("严秋禾", "materials")
    # What the server has leaves the phone.
    await page.goto(f"{handset.url}/m/work")
    await expect(page.locator(".row", has_text="严秋禾")).to_contain_text("已登记")
    assert await look(page, "application-work") == []
