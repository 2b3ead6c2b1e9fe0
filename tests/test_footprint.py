"""What the API loads and holds: what only commands, exports or the worker need stays out until it is used."""

import subprocess
import sys

import httpx
import psutil
import pytest
from alembic.script import ScriptDirectory

from server.cli.migrate import alembic_config
from server.core.paths import ROOT
from server.demo.staff import DEMO_PASSWORDS
from server.http.health import newest_migration
from tests.live import LiveServer

MEGABYTE = 1024 * 1024
# Of the API: 200 MB are promised for the serving process and its supervisor together (docs/footprint.md). The
# tolerance is for other Pythons and allocators; one careless import of numpy or openpyxl alone does not hide in it,
# and has the test below.
CEILING_MB = 200 * 1.2

NOT_IN_THE_API = {
    "PIL": "photos are processed by the worker, and watermarks drawn when they are asked for",
    "alembic": "migrate",
    "httpx": "WeChat, at the first call to it",
    "numpy": "the worker: fingerprints and keypoints",
    "openpyxl": "exports as XLSX and import of workbooks, at the first one",
    "pillow_heif": "the worker, at the first HEIC",
    "pygments": "rich",
    "rich": "commands that print tables",
    "segno": "posters, at the first one",
    "server.demo": "load-demo, demo-visit",
    "server.devserver": "run",
    "server.worker": "the worker",
    "typst": "printed sheets, at the first one",
}
NOT_IN_THE_SUPERVISOR = NOT_IN_THE_API.keys() | {"litestar", "sqlalchemy", "psycopg", "server.app", "server.devserver"}


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter holds after the code."""
    command = [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_api_imports_nothing_that_only_commands_or_the_worker_need():
    loaded = loaded_by("import server.serve, server.app")
    assert "litestar" in loaded
    assert {name: NOT_IN_THE_API[name] for name in NOT_IN_THE_API.keys() & loaded} == {}


def test_the_process_that_starts_the_api_imports_nothing_of_it():
    loaded = loaded_by("import server.__main__, granian, granian.constants")
    assert NOT_IN_THE_SUPERVISOR & loaded == set()


def test_the_newest_migration_by_its_name_is_the_head_of_the_revisions():
    assert ScriptDirectory.from_config(alembic_config("postgresql://nowhere")).get_heads() == [newest_migration()]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count shared pages otherwise")
def test_the_api_stays_below_its_ceiling_after_some_work(live: LiveServer, county):
    supervisor = next(person for person in county.staff if person.role == "supervisor")
    body = {
        "login": supervisor.login,
        "password": DEMO_PASSWORDS["supervisor"],
        "device": {"label": "测试机", "hardwareId": "footprint"},
    }
    with httpx.Client(base_url=live.url, trust_env=False) as client:
        signed_in = client.post("/auth/v1/staff/sign-in", json=body).json()
        client.headers["Authorization"] = f"Bearer {signed_in['accessToken']}"
        for path in ("queue", "households?limit=200", "cases", "due", "households/export?format=xlsx"):
            answer = client.get(f"/desk/v1/{path}")
            assert answer.status_code == 200, answer.text
    top = psutil.Process(live.process.pid)
    held = {each.pid: each.memory_info().rss / MEGABYTE for each in (top, *top.children(recursive=True))}
    assert len(held) == 2  # the supervisor and the process that serves
    assert sum(held.values()) < CEILING_MB, held
