"""The first month at the desk: a visit from paper, holidays typed by hand, reports that something does not work."""

from playwright.async_api import expect

from server.core.working_days import is_published
from tests.days import in_days
from tests.phones import tiny_photo
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, open_door, said, shoot

YEAR = next(year for year in range(2020, 2100) if not is_published(year))


async def test_a_visit_is_entered_from_its_paper_form(at_desk, phone):
    home = min((home for home in (await phone.pull("households")).values() if home["class"]), key=lambda h: h["number"])
    page = await at_desk("maohetang", "county_officer", f"/households/{home['id']}")
    await page.get_by_role("link", name="补录纸质表").click()
    care = (
        await page.locator("option", has_text="关爱")
        .or_(page.locator("option", has_text="慰问"))
        .first.get_attribute("value")
    )
    await page.get_by_label("走访表（按表尾编号选择）").select_option(care)
    await page.get_by_label("走访日期", exact=True).fill(f"{in_days(-2):%Y%m%d}")
    await page.locator("input[name=start]").fill("9:30")
    await page.locator("input[name=end]").fill("10:10")
    people = page.locator("select")
    await expect(people.nth(1).locator("option")).not_to_have_count(1)
    # Two who work in the home's town.
    for place, name in ((1, "林禾溪"), (2, "周桐岚")):
        value = await people.nth(place).locator("option", has_text=name).get_attribute("value")
        await people.nth(place).select_option(value)
    photo = {"name": "form.jpg", "mimeType": "image/jpeg", "buffer": tiny_photo(3)}
    await page.get_by_test_id("form-photos").set_input_files(photo)
    await page.get_by_role("button", name="提交补录").click()
    await expect(page.get_by_text("请填写标出的各项")).to_be_visible()
    assert await find_faults(page) == []
    await shoot(page, "desk-paper-visit")
    for field in await page.locator("[data-question]").all():
        await _fill(field)
    await shoot(page, "desk-paper-visit-filled")
    await page.get_by_role("button", name="提交补录").click()
    entered = page.get_by_test_id("entered")
    await expect(entered).to_contain_text("确认码")
    await expect(entered.get_by_text("没有传上")).to_have_count(0)
    assert await find_faults(page) == []
    await shoot(page, "desk-paper-visit-entered")
    await entered.get_by_role("link", name="查看走访").click()
    await expect(page.get_by_test_id("from-paper")).to_contain_text("按纸质走访表补录")
    assert await find_faults(page) == []
    await shoot(page, "desk-visit-from-paper")


async def _fill(question):
    """Answer a question with the first that fits."""
    for select in await question.locator("select").all():
        await select.select_option(index=1)
    for box in await question.locator("textarea").all():
        await box.fill("一切正常")
    for number in await question.locator("input[inputmode=decimal]").all():
        await number.fill("1")
    for line in await question.locator("input.in:not([inputmode])").all():
        await line.fill("张甲")
    boxes = question.get_by_role("checkbox")
    if await boxes.count():
        await boxes.first.check()


async def test_a_blank_form_is_printed_from_the_list_of_checklists(at_desk):
    page = await at_desk("maohetang", "county_officer", "/checklists")
    await page.locator("tbody tr").first.click()
    async with page.expect_download() as kept:
        await dialog_of(page).get_by_role("button", name="打印空白表").click()
    assert (await (await kept.value).path()).read_bytes().startswith(b"%PDF")


async def test_a_year_of_holidays_is_typed_and_waits_for_a_second_person(at_desk, county):
    login = next(person.login for person in county.staff if person.role == "admin")
    page = await at_desk(login, "admin", "/imports")
    await page.get_by_label("内容").select_option("calendar")
    rows = page.get_by_test_id("calendar-rows")
    await rows.locator("input[name=source]").fill(f"国办发明电〔{YEAR - 1}〕1号")
    await rows.get_by_label("日期", exact=True).fill(f"{YEAR}0101")
    await rows.get_by_label("至（只有一天可不填）", exact=True).fill(f"{YEAR}0103")
    await page.keyboard.press("Tab")
    assert await find_faults(page) == []
    await shoot(page, "desk-calendar-typed")
    await page.get_by_role("button", name="上传并预览").click()
    await expect(page.get_by_text("须由上传人以外的人确认")).to_be_visible()
    await expect(page.get_by_role("row").filter(has_text=f"{YEAR}-01-01")).to_contain_text("放假")
    await shoot(page, "desk-calendar-preview")


async def test_a_problem_is_reported_and_answered(at_desk, county):
    login = next(person.login for person in county.staff if person.role == "admin")
    page = await at_desk(login, "admin")
    await open_door(page, "报告问题")
    await page.get_by_label("什么问题").select_option("slow")
    await page.get_by_role("button", name="发送", exact=True).click()
    await said(page, "已发送")
    await expect(page.get_by_test_id("own-reports")).to_contain_text("待答复")
    assert await find_faults(page) == []
    await shoot(page, "desk-problem-reports")
    await page.locator("tbody tr").first.click()
    dialog = dialog_of(page)
    await dialog.get_by_label("答复").fill("请更新浏览器")
    await shoot(page, "desk-problem-answer")
    assert await find_faults(page) == []
    await dialog.get_by_role("button", name="答复").click()
    await said(page, "已答复")
    await expect(page.get_by_test_id("own-reports")).to_contain_text("请更新浏览器")


async def test_a_request_about_data_is_entered_refused_with_a_ground_and_printed(at_desk, phone):
    home = min((home for home in (await phone.pull("households")).values() if home["class"]), key=lambda h: h["number"])
    page = await at_desk("maohetang", "county_officer", f"/households/{home['id']}")
    await page.get_by_role("button", name="个人信息请求").click()
    dialog = dialog_of(page)
    await dialog.locator("select[name=member]").select_option(index=1)
    await dialog.locator("select[name=kind]").select_option("delete")
    await dialog.locator("textarea[name=text]").fill("不想再被保存")
    await shoot(page, "desk-data-request-new")
    assert await find_faults(page) == []
    await dialog.get_by_role("button", name="登记", exact=True).click()
    await said(page, "已登记")
    await expect(page.get_by_role("region", name="保存期限")).to_contain_text("1096")
    assert await find_faults(page) == []
    await shoot(page, "desk-data-requests")
    await page.locator("tbody tr").first.click()
    await expect(dialog.locator("select[name=ground]")).to_have_value("retention")
    await dialog.locator("textarea[name=answer]").fill("您家正在享受低保，档案须保存。")
    await shoot(page, "desk-data-request-answer")
    assert await find_faults(page) == []
    await dialog.get_by_role("button", name="答复", exact=True).click()
    await said(page, "已答复")
    async with page.expect_download() as kept:
        await dialog.get_by_role("button", name="打印答复书").click()
    assert (await (await kept.value).path()).read_bytes().startswith(b"%PDF")
