"""One system for all tests of a file: each sends photos of its own, so they don't meet."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from litestar import Litestar
from litestar.datastructures import State

from server.core.services import Services, open_services
from server.core.settings import Settings
from server.demo.records import County
from server.devserver.embedded import EmbeddedPostgres, EmbeddedS3
from tests.conftest import settings_of
from tests.live import LiveServer
from tests.phones import Phone, System
from tests.uploads.tus import KIB, fresh_bytes


@pytest.fixture(scope="module")
def settings(postgres: EmbeddedPostgres, s3: EmbeddedS3, template: str) -> Iterator[Settings]:
    name = f"test_{os.urandom(6).hex()}"
    yield settings_of(postgres.create_database(name, template=template), s3)
    postgres.drop_database(name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def system(app: Litestar, services: Services) -> System:
    app.state = State({"services": services})
    return System(app, services)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def phone(system: System, county: County) -> Phone:
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    return await system.sign_in(due.caseworker_login, "caseworker")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def colleague(system: System, county: County, phone: Phone) -> Phone:
    others = (staff_member.login for staff_member in county.staff if staff_member.role == "caseworker")
    for login in others:
        if (other := await system.sign_in(login, "caseworker")).id != phone.id:
            return other
    raise AssertionError("the county has one caseworker")


@pytest.fixture
def content() -> bytes:
    return fresh_bytes(300 * KIB)


@pytest.fixture(scope="module")
def live(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(settings, tmp_path_factory.mktemp("api") / "api.log") as running:
        yield running
