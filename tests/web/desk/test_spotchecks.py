"""A spot check at the desk: planned, drawn with a public seed, a team sent, the second visit read against the first."""

import json
import re

from playwright.async_api import expect

from tests import days
from tests.makers.visits import MORNING, Ground
from tests.phones import make_kit
from tests.test_first_path import push_whole
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, open_door, said, shoot


async def test_a_plan_is_written_drawn_carried_out_and_compared(at_desk, services, system, desk):
    await (await Ground.open(services)).examined(0)
    first = MORNING.date().replace(day=1)
    page = await at_desk("zhuyanhui", "supervisor")
    dialog = dialog_of(page)
    await open_door(page, "抽查")

    await page.get_by_role("button", name="新计划").press("Enter")
    await dialog.get_by_label("名称").fill("月抽查")
    await dialog.get_by_label("从", exact=True).fill(f"{first:%Y%m%d}")
    await dialog.get_by_label("到", exact=True).fill(f"{days.last_day(first):%Y%m%d}")
    await dialog.get_by_label("抽取比例").fill("100")
    await dialog.get_by_label("总体件数").fill("2000")
    await dialog.get_by_role("button", name="算样本量").press("Enter")
    await expect(dialog.get_by_text(re.compile("总体 2000 件抽 \\d+ 件"))).to_be_visible()
    faults = {"plan": await find_faults(page)}
    await shoot(page, "desk-spot-plan")
    await dialog.get_by_role("button", name="保存").press("Enter")
    await said(page, "已记下")

    await page.get_by_role("button", name="抽签").press("Enter")
    await dialog.get_by_label("种子").fill("03 11 17 20 26")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("03 11 17 20 26")).to_be_visible()
    async with page.expect_download() as kept:
        await page.get_by_role("button", name="下载总体名单").click()
    assert len(json.loads((await (await kept.value).path()).read_bytes())["population"]) == 1

    await page.get_by_role("button", name="派人").press("Enter")
    send = dialog.get_by_role("button", name="派人")
    await dialog.get_by_label("第一人").select_option(label="何穗安 · 柚溪社区")
    await expect(send).to_be_disabled()
    await dialog.get_by_label("第二人").select_option(label="许榆宁 · 苇塘村")
    await dialog.get_by_label("截止", exact=True).fill(f"{days.in_days(20):%Y%m%d}")
    await send.press("Enter")
    await expect(page.get_by_role("cell", name="已派人")).to_be_visible()

    first = await system.sign_in("hesuian", "caseworker")
    second = await system.sign_in("xuyuning", "caseworker")
    await push_whole(first, second, await make_kit(first, second.id, kind="spot_check"))
    await system.run_jobs()

    await page.reload()
    await page.get_by_role("button", name="看对比").press("Enter")
    await expect(dialog.get_by_text("不一致").first).to_be_visible()
    result = await dialog.locator("tbody").inner_text()
    assert not re.search(r"[a-z]+_[a-z]+|\{|null", result), result  # ids, codes or raw values
    assert "收入表 · 工资性收入" in result or "· 工资性收入" in result
    assert "相差 200.00 元 或 10% 以内算一致" in result
    faults["comparison"] = await find_faults(page)
    await shoot(page, "desk-spot-comparison")
    await page.keyboard.press("Escape")

    for by in ("题目", "村（社区）", "专干"):
        await page.get_by_label("按", exact=True).select_option(label=by)
        await expect(page.get_by_role("columnheader", name=by)).to_be_visible()
        faults[by] = await find_faults(page)
    await expect(page.get_by_role("cell", name="林禾溪")).to_be_visible()
    checks = (await desk.http.get("/desk/v1/spot-checks")).json()["items"]
    assert [(check["state"], check["why"]) for check in checks] == [("compared", "share")]
    assert {name: found for name, found in faults.items() if found} == {}
