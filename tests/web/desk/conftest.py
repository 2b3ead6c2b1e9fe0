"""Desks in a browser: one Chromium for all files, one API and one database for each, whose tests work on cases and
homes of their own.

What a browser is spoken to with belongs to one event loop, so all of these tests and what they hold share one.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect
from pytest_asyncio import is_async_test

from server.core.database import open_session
from server.core.services import open_services
from server.demo.cases import load_cases
from server.demo.county import DEMO_PASSWORDS
from server.paths import WEB
from tests.cases.makers import Office
from tests.conftest import fresh_settings, hold_services, settings_of, take_desk, unpack_phone
from tests.live import LiveServer
from tests.web import browser as browsing

OpenDesk = Callable[..., Awaitable[Page]]
DESK = {"width": 1440, "height": 900}
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == HERE and is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


in_one_loop = pytest_asyncio.fixture(loop_scope="session")
services, phone, desk = in_one_loop(hold_services), in_one_loop(unpack_phone), in_one_loop(take_desk)


@pytest.fixture(scope="session")
def template_with_cases(postgres, s3, template, county) -> str:
    """The demo county with its cases in every state, their postings and complaints: loaded once, copied for each file."""
    settings = settings_of(postgres.create_database("template_cases", template=template), s3)

    async def load() -> None:
        async with open_services(settings) as services, open_session(services.sessions) as session:
            await load_cases(session, services, county)

    asyncio.run(load())
    return "template_cases"


@pytest.fixture(scope="module")
def settings(postgres, s3, template_with_cases):
    yield from fresh_settings(postgres, s3, template_with_cases)


@pytest.fixture(scope="module")
def server(settings, tmp_path_factory) -> Iterator[LiveServer]:
    """Without a worker: jobs run when a test says so, and not beside it."""
    assert (WEB / "desk" / "index.html").exists(), "the web apps are not built: run `make set-up-dev`"
    with LiveServer(settings, tmp_path_factory.mktemp("api") / "api.log") as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with browsing.start_browser() as running:
        yield running


@in_one_loop
async def at_desk(browser, server) -> AsyncIterator[OpenDesk]:
    """Seats somebody at a browser of their own, before a screen. Nothing may be complained of in a console."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    async def sit_down(login: str, role: str, path: str = "/", *, by_hand: bool = False) -> Page:
        context = await browser.new_context(viewport=DESK, locale="zh-CN", timezone_id="Asia/Shanghai")
        contexts.append(context)
        context.set_default_timeout(15_000)
        page = await context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if "Content Security" in said.text else None)
        if not by_hand:
            await sign_in(page, server.url, login, role)
        await page.goto(f"{server.url}/desk{path}")
        if by_hand:
            await page.get_by_label("账号").fill(login)
            await page.get_by_label("密码").fill(DEMO_PASSWORDS[role])
            await page.keyboard.press("Enter")
        await expect(page.get_by_role("banner").get_by_role("button", name="退出")).to_be_visible()
        return page

    yield sit_down
    for context in contexts:
        await context.close()
    assert errors == []


@pytest.fixture
def office(system, services, county) -> Office:
    """What the server holds, asked by somebody at another desk."""
    return Office(system, services, county)


async def sign_in(page: Page, url: str, login: str, role: str) -> None:
    """As the sign-in screen does it: the cookie is the browser's, the name and roles are kept beside it."""
    asked = {"login": login, "password": DEMO_PASSWORDS[role], "webApp": "desk", "device": {"label": "test"}}
    answer = await page.request.post(f"{url}/auth/v1/staff/sign-in", data=asked)
    assert answer.ok, await answer.text()
    told = await answer.json()
    person = json.dumps({key: told[key] for key in ("personId", "deviceId", "name", "roles")})
    await page.add_init_script(f"localStorage.setItem('zoufang.desk.person', {json.dumps(person)})")


async def shoot(page: Page, name: str, *, full_page: bool = False) -> None:
    """What fits on the screen, as whoever sits there sees it."""
    await browsing.shoot(page, name, full_page=full_page)


async def open_door(page: Page, name: str) -> None:
    await page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()


def dialog_of(page: Page) -> Locator:
    return page.get_by_role("dialog")


async def said(page: Page, text: str) -> None:
    """The desk says at the top how it went."""
    await expect(page.locator("#told p", has_text=text).last).to_be_visible()
