"""The web apps against the real server: API and worker as processes, and a Chromium (deploy/browser.py).

One Chromium for all files, one database with its API and worker for each file, whose tests work on homes of their own.
What a browser is spoken to with belongs to one event loop, so all of these tests and what they hold share one.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from pytest_asyncio import is_async_test
from sqlalchemy import text

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.paths import WEB
from server.demo.pictures import draw_picture
from server.demo.scenes import SCENES
from server.devserver.processes import stop
from tests.conftest import fresh_settings, hold_services, take_desk, unpack_phone
from tests.live import LiveServer
from tests.phones import System
from tests.web.browser import Handset, start_browser

HERE = Path(__file__).parent


def in_one_loop(function: Any) -> Any:
    """A fixture in the loop of the session. It is made of a copy: the mark of its loop stands on the function itself,
    and the other tests' fixture of the same function belongs to the loop of its test.
    """
    copy = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__, copy.__annotations__ = function.__kwdefaults__, function.__annotations__
    return pytest_asyncio.fixture(loop_scope="session")(copy)


services, phone, desk = in_one_loop(hold_services), in_one_loop(unpack_phone), in_one_loop(take_desk)
settings = pytest.fixture(fresh_settings, scope="module")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="module")
def server(settings, tmp_path_factory) -> Iterator[LiveServer]:
    """The API as a process, with the built apps; and the worker beside it."""
    assert (WEB / "m" / "index.html").exists(), "the web apps are not built: run `make set-up-dev`"
    logs = tmp_path_factory.mktemp("logs")
    with LiveServer(settings, logs / "api.log", warm=True) as running:
        worker = running.run("worker", logs / "worker.log")
        yield running
        stop(worker)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with start_browser() as running:
        yield running


@in_one_loop
async def handset(browser, server) -> AsyncIterator[Handset]:
    """A phone that was never used. With it go all that its test unpacked beside it, since an API that is to stop waits
    for the live streams of open pages.
    """
    phone = await Handset.unpack(browser, server.url)
    yield phone
    for context in browser.contexts:
        await context.close()
    assert phone.errors == []


@pytest.fixture
def due(county):
    """An intake visit that is due, of the demo's first caseworker with a partner."""
    return next(assignment for assignment in county.assignments if assignment.kind == "intake")


@pytest.fixture(scope="session")
def drawn() -> list[bytes]:
    """As many photos as a visit can want."""
    return [
        draw_picture(
            scene=SCENES[number % len(SCENES)],
            seed=number,
            captured_at=utc_now(),
            latitude=30.0,
            longitude=120.0,
            accuracy_m=8.0,
            size=(640, 480),
        )
        for number in range(8)
    ]


@pytest.fixture
def pictures(drawn, tmp_path):
    """Those photos as files, none with the bytes of another test's."""
    paths = []
    for number, content in enumerate(drawn):
        path = tmp_path / f"photo-{number}.jpg"
        path.write_bytes(content + os.urandom(1_500_000 if number == 7 else 8))  # one goes up in several pieces
        paths.append(path)
    return paths


@in_one_loop
async def home(phone, due):
    return next(item for item in (await phone.pull("households")).values() if item["number"] == due.household_number)


async def jobs_done(system: System) -> None:
    """Until the worker, which is a process of its own here, has nothing left to do."""
    left = text(
        "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing') "
        "AND coalesce(scheduled_at, now()) <= now()"
    )
    async with asyncio.timeout(30):
        while True:
            async with open_session(system.services.sessions) as session:
                if not await session.scalar(left):
                    return
            await asyncio.sleep(0.05)
