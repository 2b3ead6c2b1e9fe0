"""Rules at the desk: written in each of their forms, and those that move money by two people."""

from playwright.async_api import expect

from tests import days
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, said, shoot

RULES = "/desk/v1/rules"


async def test_an_administrator_writes_rules_of_every_form_and_all_have_a_name(at_desk, office):
    page = await at_desk("zhanxinglou", "admin", "/rules")
    await expect(page.get_by_role("heading", name="规则")).to_be_visible()
    await expect(page.locator("tbody tr").first).to_be_visible()
    faults = {"rules": await find_faults(page)}
    await shoot(page, "desk-rules")
    assert await page.get_by_text("其他规则").or_(page.get_by_text("：其他")).count() == 0

    await expect(page.get_by_text("现在没有到期的照片")).to_be_visible()
    for name, fill in (
        ("走访最短时长", _number),
        ("办结期限", _span),
        ("申请所需材料", _paper),
        ("疑点轻重：走访过短", _code),
    ):
        await page.get_by_label("规则名称").fill(name)
        row = page.locator("tbody tr").filter(has=page.get_by_text(name, exact=True))
        await row.focus()
        await page.keyboard.press("Enter")
        dialog = dialog_of(page)
        write = dialog.get_by_role("button", name="写入", exact=True)
        await fill(dialog)
        await expect(write).to_be_disabled()  # without its day and its paper
        await dialog.get_by_label("生效日期", exact=True).fill(f"{days.month(2):%Y%m%d}")
        await dialog.get_by_label("依据（").fill("县民政局 3 号文")
        await shoot(page, f"desk-rule-{fill.__name__[1:]}")
        await write.click()
        await expect(dialog.get_by_text("尚未生效").first).to_be_visible()
        faults[name] = await find_faults(page)
        await page.keyboard.press("Escape")

    admin = await office.sign_in("zhanxinglou")
    later = {"area": "339901", "on": days.month(2).isoformat()}
    held = {item["key"]: item for item in (await admin.http.get(RULES, params=later)).json()}
    assert held["visit.shortest_min"]["value"] == 12
    assert held["case.decision_working_days"]["value"] == {"count": 25, "unit": "days"}
    assert held["case.papers"]["value"][-1] == {"code": "lease", "zh": "租房合同", "en": "lease"}
    assert held["finding.visit.too_short"]["value"] == "critical"
    assert {held[key]["writtenBy"] for key in ("visit.shortest_min", "case.papers")} == {"占星楼"}
    today = {item["key"]: item for item in (await admin.http.get(RULES, params={"area": "339901"})).json()}
    assert today["visit.shortest_min"]["value"] == 8
    assert {name: found for name, found in faults.items() if found} == {}


async def _number(dialog):
    await dialog.get_by_label("新值").fill("12")


async def _span(dialog):
    await dialog.get_by_label("填法").select_option(label="分开填写")
    await dialog.get_by_label("数量").fill("25")
    await dialog.get_by_label("单位").select_option(label="天")


async def _paper(dialog):
    await dialog.get_by_role("button", name="添加一项").press("Enter")
    for label, text in (("代码", "lease"), ("中文名", "租房合同"), ("英文名", "lease")):
        await dialog.get_by_label(label).last.fill(text)


async def _code(dialog):
    await dialog.get_by_label("新值").select_option(label="严重")


async def test_a_setting_that_moves_money_is_proposed_and_taken_over_by_another(at_desk):
    page = await at_desk("zhanxinglou", "admin", "/rules")
    await page.get_by_label("规则名称").fill("渐退期")
    row = page.locator("tbody tr").filter(has=page.get_by_text("渐退期", exact=True))
    await row.focus()
    await page.keyboard.press("Enter")
    dialog = dialog_of(page)
    await dialog.get_by_label("新值").fill("5")
    await dialog.get_by_label("生效日期", exact=True).fill(f"{days.month(2):%Y%m%d}")
    await dialog.get_by_label("依据（").fill("县民政局 5 号文")
    await shoot(page, "desk-rule-proposed")
    await dialog.get_by_role("button", name="提出，待另一人确认").click()
    await said(page, "已提出")
    await page.keyboard.press("Escape")
    waiting = page.get_by_role("region", name="待另一人确认的规定")
    await expect(waiting.get_by_text("由另一人确认", exact=True)).to_be_visible()
    page = await at_desk("maohetang", "county_officer", "/rules")
    waiting = page.get_by_role("region", name="待另一人确认的规定")
    await expect(waiting.get_by_text("县民政局 5 号文")).to_be_visible()
    faults = await find_faults(page)
    await shoot(page, "desk-rules-waiting")
    await waiting.get_by_role("button", name="确认采纳").click()
    await said(page, "已写入")
    await expect(waiting).to_have_count(0)
    assert faults == []
