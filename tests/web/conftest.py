"""The web apps against the real server: API and worker as processes, Chromium as the system has it."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from server.core.settings import Settings
from server.demo.pictures import SCENES, draw_picture
from server.paths import WEB
from server.processes import spawn, stop
from tests.live import PROJECT, LiveServer
from tests.web.browser import Handset, start_browser


@contextlib.contextmanager
def serve(settings: Settings, logs: Path) -> Iterator[LiveServer]:
    """The API as a process, with the built apps; and the worker beside it."""
    assert (WEB / "m" / "index.html").exists(), "the web apps are not built: run `make set-up-dev`"
    with LiveServer(settings, logs / "api.log") as running:
        command = [sys.executable, "-m", "server", "worker"]
        worker = spawn(command, log=logs / "worker.log", environ=running._environ(), directory=PROJECT)
        yield running
        stop(worker)


@pytest.fixture
def server(settings, tmp_path) -> Iterator[LiveServer]:
    with serve(settings, tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def shared_server(shared_settings, tmp_path_factory) -> Iterator[LiveServer]:
    """One for a whole file, whose `settings` and `server` then are these."""
    with serve(shared_settings, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
async def browser(server) -> AsyncIterator[Browser]:
    """Ends before the server does, which else would wait for the live streams of open pages."""
    del server
    async with start_browser() as running:
        yield running


@pytest.fixture
async def handset(browser, server) -> AsyncIterator[Handset]:
    phone = await Handset.unpack(browser, server.url)
    yield phone
    assert phone.errors == []


@pytest.fixture
def due(county):
    """An intake visit that is due, of the demo's first caseworker with a partner."""
    return next(one for one in county.assignments if one.kind == "intake")


@pytest.fixture
def pictures(tmp_path):
    """As many photos as a visit can want, each its own."""
    from datetime import UTC, datetime

    paths = []
    for number in range(8):
        path = tmp_path / f"photo-{number}.jpg"
        noise = os.urandom(1_500_000 if number == 7 else 0)  # one goes up in several pieces
        path.write_bytes(
            draw_picture(
                scene=SCENES[number % len(SCENES)],
                seed=number,
                captured_at=datetime.now(UTC),
                latitude=30.0,
                longitude=120.0,
                accuracy_m=8.0,
                size=(640, 480),
            )
            + noise
        )
        paths.append(path)
    return paths


@pytest.fixture
async def home(phone, due):
    return next(one for one in (await phone.pull("households")).values() if one["number"] == due.household_number)
