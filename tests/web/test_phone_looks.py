"""Every screen of the phone on a narrow one, in both languages, in large type: nothing cut off, all to be hit."""

import pytest
from playwright.async_api import expect

from tests.web.browser import NARROW, find_codes, find_english, find_overflows, find_small_targets, shoot


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_every_screen_is_whole_in_large_type_on_a_narrow_phone(handset, phone, due, language):
    home = next(item for item in (await phone.pull("households")).values() if item["number"] == due.household_number)
    await handset.stand_at(home)
    await handset.context.add_init_script(
        f"localStorage['zoufang.language'] = '{language}'; localStorage['zoufang.largeType'] = '1'"
    )
    page = await handset.sign_in(due.caseworker_login)
    await page.set_viewport_size(NARROW)
    faults: dict[str, list[str]] = {}

    async def look(name: str, *, full_page: bool = False) -> None:
        words = await (find_english if language == "zh" else find_codes)(page)
        faults[name] = [*await find_overflows(page), *await find_small_targets(page), *words]
        await shoot(page, f"phone-large-{language}-{name}", full_page=full_page)

    await expect(page.locator(".row").first).to_be_visible()
    which = page.locator("label.choice:has(input[name=which])")
    await which.nth(1).click()
    await expect(page.get_by_text(home["headName"])).to_be_visible()
    await look("plan")
    await page.get_by_text(home["headName"]).click()
    await expect(page.locator(".button.primary")).to_be_visible()
    await look("home")
    await page.goto(f"{page.url}/propose")
    await page.locator("summary").first.click()
    await look("propose")
    await page.go_back()
    await page.locator(".button.primary").click()
    await page.locator(".screen.visit .card").first.wait_for()
    await look("arrival")
    steps = page.locator(".steps button")
    for place in range(1, await steps.count()):
        await steps.nth(place).click()
        await look(f"step-{place}", full_page=True)
    for tab in ("work", "outbox", "me", "report", "attest"):
        await page.goto(f"{handset.url}/m/{tab}")
        await page.locator(".card").first.wait_for()
        await look(tab)
    await page.goto(f"{handset.url}/m/")
    await which.nth(0).click()
    change = page.locator(".change .button").last
    await change.click()
    for _ in range(2):
        await page.locator(".add").first.click()
    await look("arranging", full_page=True)
    await change.click()
    await look("today")
    assert {name: found for name, found in faults.items() if found} == {}


async def test_words_are_as_wide_here_as_on_a_phone(handset):
    """Else nothing above would be found to be too long: a font without Chinese draws narrow boxes."""
    page = await handset.open()
    wide = await page.evaluate("""() => {
      const pen = document.createElement('canvas').getContext('2d');
      pen.font = `100px ${getComputedStyle(document.body).fontFamily}`;
      return pen.measureText('低保').width;
    }""")
    assert wide == pytest.approx(200, abs=2)
