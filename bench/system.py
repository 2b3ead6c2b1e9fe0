"""A complete system to measure: embedded PostgreSQL and S3, the API and the worker as processes."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
import psycopg

from server.cli.migrate import upgrade
from server.core import keys
from server.core.database import plain_url
from server.core.settings import load_settings
from server.demo.loading import load_demo_county
from server.devserver.embedded import EmbeddedPostgres, EmbeddedS3
from server.devserver.processes import find_free_port

S3_KEY, S3_SECRET = "zoufangbench", "zoufang-bench-secret"


@dataclass
class System:
    url: str
    environment: dict[str, str]
    postgres: EmbeddedPostgres
    s3: EmbeddedS3
    api: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    # Further API processes, as docker-compose.yml runs them.
    replicas: list[subprocess.Popen[bytes]] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)

    @property
    def database(self) -> str:
        return plain_url(self.environment["ZOUFANG_DATABASE_URL"])

    def connect(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(self.database, autocommit=True)

    def cpu_seconds(self) -> float:
        """Return user and system time of the process trees of API, workers, database and store."""
        parts = (self.api, *self.replicas, *self.workers, self.postgres.process, self.s3.process)
        return sum(process_tree_cpu_s(part.pid) for part in parts if part is not None)

    def api_memory_mb(self) -> float:
        """Return the resident memory of all API processes together."""
        trees = [process_tree(api.pid) for api in (self.api, *self.replicas)]
        return sum(process.memory_info().rss for processes in trees for process in processes) / 1024 / 1024

    def wait_for_jobs(self, limit_s: float = 300) -> float:
        """Wait until no job is due or running; return the seconds."""
        started = time.perf_counter()
        with self.connect() as connection:
            while time.perf_counter() - started < limit_s:
                waiting = connection.execute(
                    "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
                    " AND (scheduled_at IS NULL OR scheduled_at <= now())"
                ).fetchone()
                if waiting == (0,):
                    break
                time.sleep(0.05)
        return time.perf_counter() - started


def process_tree(pid: int | None) -> list[psutil.Process]:
    if pid is None:
        return []
    top = psutil.Process(pid)
    return [top, *top.children(recursive=True)]


def process_tree_cpu_s(pid: int | None) -> float:
    total = 0.0
    for process in process_tree(pid):
        try:
            # `children_*` includes backends that have ended.
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
        except psutil.NoSuchProcess:
            continue
    return total


@contextmanager
def running_system(*, workers: int = 1, replicas: int = 0) -> Iterator[System]:
    folder = Path(tempfile.mkdtemp(prefix="zoufang-bench-"))
    folder.chmod(0o755)
    ports = [find_free_port() for _ in range(1 + replicas)]
    try:
        with (
            EmbeddedPostgres(folder / "postgres") as postgres,
            EmbeddedS3(folder / "s3", access_key=S3_KEY, secret_key=S3_SECRET) as s3,
        ):
            s3.create_bucket("zoufang")
            environment = {
                **keys.generate_keys(),
                "ZOUFANG_DATABASE_URL": postgres.create_database("bench"),
                "ZOUFANG_S3_ENDPOINT": s3.url,
                "ZOUFANG_S3_ACCESS_KEY": S3_KEY,
                "ZOUFANG_S3_SECRET_KEY": S3_SECRET,
                "ZOUFANG_WECHAT_BASE_URL": "http://127.0.0.1:9",
                "ZOUFANG_PORT": str(ports[0]),
            }
            upgrade(environment["ZOUFANG_DATABASE_URL"])
            asyncio.run(load_demo_county(load_settings(environment)))
            api = start_process("api", environment, folder)
            api_replicas = [
                start_process("api", {**environment, "ZOUFANG_PORT": str(port)}, folder) for port in ports[1:]
            ]
            running = [start_process("worker", environment, folder) for _ in range(workers)]
            urls = [f"http://127.0.0.1:{port}" for port in ports]
            system = System(urls[0], environment, postgres, s3, api, running, api_replicas, urls)
            try:
                for url in urls:
                    _wait_until_ready(url)
                yield system
            finally:
                for process in (api, *api_replicas, *running):
                    process.terminate()
                for process in (api, *api_replicas, *running):
                    process.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start_process(command: str, environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / f"{command}.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603  this program
            [sys.executable, "-m", "server", command],
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
        )


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/health/ready", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise RuntimeError("the API did not become ready")


def sign_in(url: str, login: str, password: str) -> dict[str, Any]:
    response = httpx.post(
        f"{url}/auth/v1/staff/sign-in",
        json={"login": login, "password": password, "device": {"label": "bench", "hardwareId": login}},
    )
    response.raise_for_status()
    session: dict[str, Any] = msgspec.json.decode(response.content)
    return session
