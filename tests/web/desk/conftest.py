"""Desks in a browser: one API and one database for each file, whose tests work on cases and homes of their own."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, ViewportSize, expect

from server.core.database import open_session
from server.core.paths import WEB
from server.core.services import open_services
from server.demo.cases import load_cases
from server.demo.records import StaffRole
from server.demo.staff import DEMO_PASSWORDS
from tests.conftest import fresh_settings, settings_of
from tests.live import LiveServer
from tests.makers.cases import Office
from tests.web import browser as browsing
from tests.web.conftest import in_one_loop

OpenDesk = Callable[..., Awaitable[Page]]
DESK: ViewportSize = {"width": 1440, "height": 900}


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
    with LiveServer(settings, tmp_path_factory.mktemp("api") / "api.log", warm=True) as running:
        yield running


@dataclass
class _Room:
    """The desks of one file's office: whoever sits down again finds the same browser. A new one for each test would
    cost more than what most of them do in it.
    """

    browser: Browser
    url: str
    desks: dict[str, Page] = field(default_factory=dict)
    strangers: list[Page] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    async def sit_down(self, login: str, role: StaffRole, path: str = "/", *, by_hand: bool = False) -> Page:
        page = None if by_hand else self.desks.get(login)
        if page is None:
            page = await self._carry_in()
            if by_hand:
                self.strangers.append(page)
            else:
                self.desks[login] = page
                await sign_in(page, self.url, login, role)
        await page.set_viewport_size(DESK)
        await page.goto(f"{self.url}/desk{path}")
        if by_hand:
            await page.get_by_label("账号").fill(login)
            assert await browsing.find_faults(page) == []
            await shoot(page, "desk-sign-in")
            await page.get_by_label("密码").fill(DEMO_PASSWORDS[role])
            await page.keyboard.press("Enter")
        await expect(page.get_by_role("banner").get_by_role("button", name="退出")).to_be_visible()
        return page

    async def _carry_in(self) -> Page:
        context = await self.browser.new_context(viewport=DESK, locale="zh-CN", timezone_id="Asia/Shanghai")
        context.set_default_timeout(browsing.PATIENCE_MS)
        page = await context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if "Content Security" in said.text else None)
        return page

    async def close(self, pages: list[Page]) -> None:
        for page in pages:
            await page.context.close()
        pages.clear()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def room(browser, server) -> AsyncIterator[_Room]:
    held = _Room(browser, server.url)
    yield held
    await held.close(list(held.desks.values()))


@in_one_loop
async def at_desk(room) -> AsyncIterator[OpenDesk]:
    """Seats somebody before a screen of their own. Nothing may be complained of in a console."""
    yield room.sit_down
    await room.close(room.strangers)
    for page in room.desks.values():
        await page.emulate_media(media="null")
    errors, room.errors = room.errors, []
    assert errors == []


@pytest.fixture
def office(system, services, county) -> Office:
    """What the server holds, asked by somebody at another desk."""
    return Office(system, services, county)


async def sign_in(page: Page, url: str, login: str, role: StaffRole) -> None:
    """As the sign-in screen does it: the cookie is the browser's, the name and roles are kept beside it."""
    params = {"login": login, "password": DEMO_PASSWORDS[role], "webApp": "desk", "device": {"label": "办公电脑"}}
    answer = await page.request.post(f"{url}/auth/v1/staff/sign-in", data=params)
    assert answer.ok, await answer.text()
    body = await answer.json()
    person = json.dumps({key: body[key] for key in ("personId", "deviceId", "name", "roles")})
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
    await expect(page.locator("#messages p", has_text=text).last).to_be_visible()
