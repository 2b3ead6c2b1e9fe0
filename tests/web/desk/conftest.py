"""Desks in a browser. One API and one database serve a file; its tests work on cases and homes of their own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from playwright.async_api import BrowserContext, Locator, Page, expect

from server.core.database import open_session
from server.core.services import open_services
from server.demo.cases import load_cases
from server.demo.county import DEMO_PASSWORDS
from server.paths import WEB
from tests.cases.makers import Office
from tests.live import LiveServer

OpenDesk = Callable[..., Awaitable[Page]]
DESK = {"width": 1440, "height": 900}


@pytest.fixture
def settings(shared_settings):
    return shared_settings


@pytest.fixture(scope="module")
def api(shared_settings, tmp_path_factory) -> Iterator[LiveServer]:
    """Without a worker: jobs run when a test says so, and not beside it."""
    assert (WEB / "desk" / "index.html").exists(), "the web apps are not built: run `make set-up-dev`"
    with LiveServer(shared_settings, tmp_path_factory.mktemp("api") / "api.log") as running:
        yield running


@pytest.fixture
def server(api):
    return api


@pytest.fixture
async def at_desk(browser, server) -> AsyncIterator[OpenDesk]:
    """Signs somebody in at a browser of their own. Nothing may be complained of in a console."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    async def sign_in(login: str, role: str) -> Page:
        context = await browser.new_context(viewport=DESK, locale="zh-CN", timezone_id="Asia/Shanghai")
        contexts.append(context)
        context.set_default_timeout(15_000)
        page = await context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if "Content Security" in said.text else None)
        await page.goto(f"{server.url}/desk/")
        await page.fill("input[name=login]", login)
        await page.fill("input[name=password]", DEMO_PASSWORDS[role])
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("navigation")).to_be_visible()
        return page

    yield sign_in
    for context in contexts:
        await context.close()
    assert errors == []


@pytest.fixture(scope="module")
def cases(shared_settings, county) -> None:
    """The demo's cases in every state, with their postings and complaints; once a file."""

    async def load() -> None:
        async with open_services(shared_settings) as services, open_session(services.sessions) as session:
            await load_cases(session, services, county)

    asyncio.run(load())


@pytest.fixture
def office(system, services, county) -> Office:
    """What the server holds, asked by somebody at another desk."""
    return Office(system, services, county)


async def open_door(page: Page, name: str) -> None:
    await page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()


def dialog_of(page: Page) -> Locator:
    return page.get_by_role("dialog")


async def said(page: Page, text: str) -> None:
    """The desk says at the top how it went."""
    await expect(page.locator("#told p", has_text=text).last).to_be_visible()
