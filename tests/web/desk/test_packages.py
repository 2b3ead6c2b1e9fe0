"""Everything of an area, at the desk: asked for with a reason and a key, released by a second person, and fetched."""

from playwright.async_api import expect

from server.demo.staff import DEMO_PASSWORDS
from tests.web.browser import find_faults
from tests.web.desk.conftest import dialog_of, open_door, said, shoot

# A public key of the format's own documentation.
KEY = "age17uaunye8e52c5axm7k24v65578e07ys5vecsxmlv0cv5g8s909mqcqa0kq"


async def test_an_export_of_everything_is_proposed_and_waits_for_another_person(at_desk):
    page = await at_desk("maohetang", "county_officer")
    await open_door(page, "全部导出")
    await page.get_by_role("button", name="提出导出").press("Enter")
    dialog = dialog_of(page)
    await dialog.get_by_label("县里的公钥").fill(KEY)
    await dialog.get_by_label("理由").fill("县里更换系统，县政府〔文〕2号")
    faults = {"ask": await find_faults(page)}
    await shoot(page, "desk-packages-ask")
    await dialog.get_by_role("button", name="提出，待另一人确认").press("Enter")
    identity = page.get_by_role("dialog", name="请确认是您本人")
    await identity.get_by_label("当前密码").fill(DEMO_PASSWORDS["county_officer"])
    await identity.get_by_role("button", name="确认").press("Enter")
    await said(page, "待另一人确认")
    line = page.get_by_role("row", name="县政府〔文〕2号")
    await expect(line).to_contain_text("待确认")
    faults["list"] = await find_faults(page)
    await shoot(page, "desk-packages")
    await line.press("Enter")
    await expect(dialog_of(page)).to_contain_text("须由另一人确认")
    await shoot(page, "desk-packages-own")

    # The other person hears the letters from the county: it stands nowhere until they have typed it.
    page = await at_desk("jiangmianyuan", "county_officer")
    await open_door(page, "全部导出")
    await page.get_by_role("row", name="县政府〔文〕2号").press("Enter")
    dialog = dialog_of(page)
    await expect(dialog.get_by_role("button", name="同意导出")).to_be_disabled()
    await dialog.get_by_label("县里告知的公钥最后 16 位").fill("0000-0000-0000-0000")
    await expect(dialog.get_by_role("button", name="同意导出")).to_be_enabled()
    faults["decide"] = await find_faults(page)
    await shoot(page, "desk-packages-decide")
    assert not any(faults.values()), faults
