"""Real parts for every test: PostgreSQL and S3 once a worker process, a fresh database for each test.

A database is copied from a template that holds the migrated tables and the demo county (in memory 0.03 s), so
no test sees another's rows. The app runs in the test's own event loop; jobs run when a test says so.
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import date
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from litestar import Litestar
from litestar.datastructures import State
from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

import server.worker  # noqa: F401  importing registers every task
from server.app import create_app
from server.cli.migrate import upgrade
from server.core import clock, keys, passwords
from server.core.log import set_up_logging
from server.core.services import Services, open_services
from server.core.settings import Settings, load_settings
from server.core.sms import Sms
from server.core.wechat import Wechat
from server.demo.county import build_county
from server.demo.loading import load_demo_county
from server.demo.records import County
from server.demo.sms_stub import KEY_ID, KEY_SECRET
from server.demo.wechat_message_stub import PUSH_KEY, PUSH_TOKEN
from server.demo.wechat_stub import create_stub
from server.demo.wechat_web_stub import SERVICE_APP_ID, SERVICE_SECRET
from server.devserver.embedded import EmbeddedPostgres, EmbeddedS3
from tests import connections, contract, moved_clock
from tests.live import LiveServer
from tests.makers.cases import Office
from tests.makers.visits import Ground
from tests.phones import Desk, Phone, System
from tests.recording import write_examples

pytest_plugins = ["tests.suite"]

CLOCK_IS_MOVED = moved_clock.move_clock()
set_up_logging("json")
connections.watch_pools()
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
SECRETS = keys.generate_keys()
# Of memory that must be free for a worker's databases; they take about 200 MB.
ROOM_BYTES = 2 << 30
FIRST_ENGINE: list[Engine] = []
S3_KEY, S3_SECRET = "zoufangtest", "zoufang-test-secret"
# Argon2 is slow by design, and these tests sign in a thousand times; the cost stands in each hash.
passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-examples", action="store_true", help="keep exchanges as examples of openapi.json")
    parser.addoption("--write-docs", action="store_true", help="write the exchanges of docs/field-contract.md anew")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--record-examples"):
        contract.RECORDING.append(True)


def pytest_sessionfinish() -> None:
    if contract.RECORDING:
        write_examples(contract.RECORDED, contract.tags())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if CLOCK_IS_MOVED:
        left_out = [item for item in items if moved_clock.drives_other_processes(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@contextlib.contextmanager
def open_folder(parent: str | None = None) -> Iterator[Path]:
    """A folder that PostgreSQL's own user may reach, which pytest's is not when run as root."""
    path = Path(tempfile.mkdtemp(prefix="zoufang-tests-", dir=parent))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    with open_folder() as path:
        yield path


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    with open_folder(choose_memory()) as folder, EmbeddedPostgres(folder / "postgres", fast=True) as running:
        yield running


def choose_memory() -> str | None:
    """A folder in memory with room for the databases, or None: a copy of one takes a tenth of the time there."""
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM_BYTES
    return str(memory) if has_room else None


@pytest.fixture(scope="session")
def s3(folder: Path) -> Iterator[EmbeddedS3]:
    with EmbeddedS3(folder / "s3", access_key=S3_KEY, secret_key=S3_SECRET) as running:
        running.create_bucket("zoufang")
        yield running


@pytest.fixture(scope="session")
def empty_template(postgres: EmbeddedPostgres) -> str:
    """A database that was migrated and nothing else."""
    upgrade(postgres.create_database("template_empty"))
    return "template_empty"


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres, empty_template: str, s3: EmbeddedS3, county: County) -> str:
    """The database every test starts from: migrated, with the demo county of the day that `county` was built on."""
    url = postgres.create_database("template_demo", template=empty_template)
    assert asyncio.run(load_demo_county(settings_of(url, s3), with_cases=False, on=county.today))
    return "template_demo"


def fresh_settings(postgres: EmbeddedPostgres, s3: EmbeddedS3, template: str) -> Iterator[Settings]:
    name = f"test_{os.urandom(6).hex()}"
    yield settings_of(postgres.create_database(name, template=template), s3)
    postgres.drop_database(name)


settings = pytest.fixture(fresh_settings)


@pytest.fixture
def empty_settings(postgres: EmbeddedPostgres, s3: EmbeddedS3, empty_template: str) -> Iterator[Settings]:
    """An installation that nobody has entered yet."""
    yield from fresh_settings(postgres, s3, empty_template)


def environment(settings: Settings) -> dict[str, str]:
    """What a command of the command line needs to act on a test's database."""
    given = {name: getattr(settings, name) for name in Settings.__struct_fields__}
    return {f"ZOUFANG_{name.upper()}": str(value) for name, value in given.items() if value != ""}


def settings_of(url: str, s3: EmbeddedS3) -> Settings:
    return load_settings(
        {
            **SECRETS,
            "ZOUFANG_DATABASE_URL": url,
            "ZOUFANG_S3_ENDPOINT": s3.url,
            "ZOUFANG_S3_ACCESS_KEY": S3_KEY,
            "ZOUFANG_S3_SECRET_KEY": S3_SECRET,
            "ZOUFANG_WECHAT_BASE_URL": "http://wechat.test",
            "ZOUFANG_WECHAT_APP_ID": "wx-demo",
            "ZOUFANG_WECHAT_SECRET": "demo",
            "ZOUFANG_WECHAT_SERVICE_APP_ID": SERVICE_APP_ID,
            "ZOUFANG_WECHAT_SERVICE_SECRET": SERVICE_SECRET,
            "ZOUFANG_WECHAT_PUSH_TOKEN": PUSH_TOKEN,
            "ZOUFANG_WECHAT_PUSH_KEY": PUSH_KEY,
            "ZOUFANG_SMS_BASE_URL": "http://sms.test",
            "ZOUFANG_SMS_CODE_TEMPLATE": "SMS_100000001",
            "ZOUFANG_WECHAT_VERIFICATION": "MP_verify_k7Qz.txt=k7Qz",
        }
    )


def share_compiled(engine: Engine) -> None:
    """Give every test's engine the first one's dialect and cache: a statement is compiled once, not once a test."""
    if not FIRST_ENGINE:
        FIRST_ENGINE.append(engine)
        engine._compiled_cache = LRUCache(10_000)
    (first,) = FIRST_ENGINE
    engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache


async def hold_services(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings) as opened:
        share_compiled(opened.engine.sync_engine)
        stub = httpx.ASGITransport(create_stub())
        wechat = Wechat(settings.wechat_base_url, "wx-demo", "demo", transport=stub, pauses_s=(0, 0))
        service = Wechat(settings.wechat_base_url, SERVICE_APP_ID, SERVICE_SECRET, transport=stub, pauses_s=(0, 0))
        object.__setattr__(opened, "wechat", wechat)
        object.__setattr__(opened, "wechat_service", service)
        sms = Sms(settings.sms_base_url, KEY_ID, KEY_SECRET, "云栖县民政局", transport=stub)
        object.__setattr__(opened, "sms", sms)
        yield opened
        await wechat.aclose()
        await service.aclose()


services = pytest.fixture(hold_services)


@pytest.fixture(scope="session")
def app(s3: EmbeddedS3) -> Litestar:
    """Built once, since building takes a third of a second; each test gives it its own services."""
    return create_app(settings_of("postgresql://nowhere/none", s3))


@pytest.fixture
async def system(app: Litestar, services: Services) -> AsyncIterator[System]:
    """The app in this event loop, with every answer checked against openapi.json and every request's connections."""
    app.state = State({"services": services})
    with connections.one_connection_each() as requests_with_two, connections.reads_that_write_nothing() as writing:
        yield System(app, services)
        assert requests_with_two == [], "a request may hold one pooled connection at a time"
        assert writing == [], "a GET leaves no writing transaction"


@pytest.fixture
def today() -> date:
    """The day in China, where deadlines are counted. At midnight it is another than the county was built on."""
    return clock.today()


@pytest.fixture(scope="session")
def county() -> County:
    return build_county(today=clock.today())


async def unpack_phone(system: System, county: County) -> Phone:
    """The phone of a caseworker who has an intake visit due."""
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    return await system.sign_in(due.caseworker_login, "caseworker")


async def take_desk(system: System, county: County) -> Desk:
    login = next(staff_member.login for staff_member in county.staff if staff_member.role == "supervisor")
    return await system.sign_in_at_desk(login, "supervisor")


phone = pytest.fixture(unpack_phone)
desk = pytest.fixture(take_desk)


@pytest.fixture
async def office(system, services, county) -> Office:
    """The office of the first application."""
    return Office(system, services, county)


@pytest.fixture
async def ground(services) -> Ground:
    """Visits written straight into the tables, for rooms that look across many."""
    return await Ground.open(services)


@pytest.fixture
async def county_desk(system) -> Desk:
    return await system.sign_in_at_desk("maohetang", "county_officer")


@pytest.fixture
def live(settings: Settings, tmp_path: Path) -> Iterator[LiveServer]:
    """The API as a process of its own, on the same database as `system` and `services`."""
    with LiveServer(settings, tmp_path / "api.log") as running:
        yield running


@pytest.fixture
def shared_photo():
    """Finds a shared photograph by name, or skips the test saying which one is missing."""

    def find(name: str) -> Path:
        path = SHARED / "photos" / name
        if not path.exists():
            pytest.skip(f"needs ../shared/data/photos/{name}")
        return path

    return find


@pytest.fixture
async def town_desk(system, county) -> Desk:
    """A town officer of the first town."""
    officers = [person for person in county.staff if person.role == "town_officer"]
    return await system.sign_in_at_desk(min(officers, key=lambda person: person.area_code).login, "town_officer")


@pytest.fixture
async def admin(system, county) -> Desk:
    login = next(person.login for person in county.staff if person.role == "admin")
    return await system.sign_in_at_desk(login, "admin")
