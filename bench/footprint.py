"""What the API and the worker hold in memory, and how soon a new API process can do its work.

The API runs as its command starts it and serves a mixture of what phones and desks send. Its resident memory (RSS) is
that of the process that serves and of its supervisor, which only waits, together. Pages that both share are counted
twice in that sum; PSS divides them, and is what the machine really gives.
"""

import asyncio
import itertools
import subprocess
import tempfile
import time
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil

from bench.load import Ask, Loop, run_loop
from bench.photos import Sent, send_large, send_week
from bench.rows import Row
from bench.sync import households_of, people_of, publish_template
from bench.system import System, running_system, sign_in, start, tree, tree_cpu
from bench.workload import pushes
from server.core.clock import today
from server.demo.county import build_county
from server.demo.staff import DEMO_PASSWORDS
from server.devserver.processes import find_free_port

MEGABYTE = 1024 * 1024
STARTS = 5
CONNECTIONS = 4
# The worker examines what is waiting, then has nothing to do for so long.
IDLE_S = 20.0
COLLECTIONS = ("checklists", "households", "assignments", "evidence", "visits")
LISTS = (
    "/desk/v1/queue?limit=50",
    "/desk/v1/queue/counts",
    "/desk/v1/households?limit=50",
    "/desk/v1/staff?limit=50",
    "/desk/v1/cases?limit=50",
    "/desk/v1/cases/due",
    "/desk/v1/due",
    "/desk/v1/postings",
    "/desk/v1/areas",
    "/desk/v1/checklists",
    "/desk/v1/overview/work?from=2026-10-01&to=2026-10-31",
    "/desk/v1/overview/findings?from=2026-10-01&to=2026-10-31",
)
WORKBOOKS = (
    "/desk/v1/households/export?as=xlsx",
    "/desk/v1/exports/queue?as=xlsx",
    "/desk/v1/case-exports/cases?as=xlsx",
)
LARGE_VISITS = 10


def measure(seconds: float) -> Iterator[Row]:
    with running_system(workers=0) as system:
        asyncio.run(publish_template(system))
        starts = sorted(_start_another(system) for _ in range(STARTS))
        ready_s, cpu_s = starts[STARTS // 2]
        yield Row(
            "API: from its command to ready, on a migrated database",
            f"{ready_s:.2f} s",
            f"{cpu_s:.2f} s of CPU; {starts[0][0]:.2f}–{starts[-1][0]:.2f} s in {STARTS} starts",
            "",
            "≤ 2 s",
        )
        yield _memory_row("API: RSS once ready", system.api)
        cpu_s = tree_cpu(system.api.pid)
        loops = asyncio.run(_mixture(system, seconds))
        cpu_s = tree_cpu(system.api.pid) - cpu_s
        served = sum(loop.done for loop in loops)
        failure = "".join(f", FAILED: {loop.first_failure}" for loop in loops if loop.failed)
        yield _memory_row(
            f"API: RSS after {seconds:.0f} s of mixed work",
            system.api,
            f"; {served / seconds:.0f} requests/s, {cpu_s / served * 1000:.1f} ms of CPU each{failure}",
            aim="< 200 MB",
        )
        yield from _worker_rows(system)


def _start_another(system: System) -> tuple[float, float]:
    """Start another API process; seconds until it says that it is ready, and those of CPU. Its files are cached."""
    port = find_free_port()
    with tempfile.TemporaryDirectory() as folder, httpx.Client(timeout=2, trust_env=False) as client:
        began = time.perf_counter()
        process = start("api", {**system.environment, "ZOUFANG_PORT": str(port)}, Path(folder))
        try:
            while True:
                with suppress(httpx.TransportError):
                    if client.get(f"http://127.0.0.1:{port}/health/ready").is_success:
                        return time.perf_counter() - began, tree_cpu(process.pid)
                if process.poll() is not None:
                    raise RuntimeError("the API ended before it was ready")
                time.sleep(0.01)
        finally:
            process.terminate()
            process.wait(20)


def _memory_row(what: str, process: "subprocess.Popen[bytes]", more: str = "", aim: str = "") -> Row:
    """RSS of all processes of a command together, each of them beside it, and PSS."""
    memory = [each.memory_full_info() for each in tree(process.pid)]
    each = " + ".join(f"{process.rss / MEGABYTE:.0f}" for process in memory)
    pss = sum(process.pss for process in memory) / MEGABYTE
    beside = f"{each}; PSS {pss:.0f} MB{more}" if len(memory) > 1 else f"PSS {pss:.0f} MB{more}"
    return Row(what, f"{sum(process.rss for process in memory) / MEGABYTE:.0f} MB", beside, "", aim)


def _peak_mb(process: "subprocess.Popen[bytes]") -> str:
    """The most it ever held, where the system says so."""
    status = Path(f"/proc/{process.pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((f"{int(line.split()[1]) / 1024:.0f} MB" for line in lines if line.startswith("VmHWM")), "?")


async def _mixture(system: System, seconds: float) -> list[Loop]:
    """Phones and desks side by side, half of the connections each."""
    token, person, partner = people_of(system)
    desk_token = sign_in(system.url, *_sign_in_of("supervisor"))["accessToken"]
    phone = _phone_requests(households_of(system, token), [person, partner])
    desk = _desk_requests()

    def served(token: str, requests: Iterator[Ask]) -> Coroutine[Any, Any, Loop]:
        return run_loop(system.url, token, lambda: requests, connections=CONNECTIONS // 2, seconds=seconds, warm_up=0.0)

    return await asyncio.gather(served(token, phone), served(desk_token, desk))


def _sign_in_of(role: str) -> tuple[str, str]:
    staff = build_county(today=today()).staff
    login = next(person.login for person in staff if person.role == role)
    return login, DEMO_PASSWORDS[role]


def _phone_requests(households: list[dict[str, Any]], people: list[str]) -> Iterator[Ask]:
    """A pull of each collection, pushes of a visit each, and now and then a day's visits at once."""
    alone = pushes(households, people, batch=1, seed=1)
    together = pushes(households, people, batch=20, seed=2)
    for number in itertools.count():
        for name in COLLECTIONS:
            yield "GET", f"/field/v1/sync/{name}/1/pull?limit=200", "application/json", b""
        yield from itertools.islice(alone, 4)
        if number % 10 == 0:
            yield next(together)


def _desk_requests() -> Iterator[Ask]:
    """Every list in turn; each round a sign-in, and every fifth round the workbooks."""
    login, password = _sign_in_of("county_officer")
    device = {"label": "bench", "hardwareId": "footprint"}
    body = msgspec.json.encode({"login": login, "password": password, "device": device})
    for number in itertools.count():
        for path in LISTS:
            yield "GET", path, "application/json", b""
        yield "POST", "/auth/v1/staff/sign-in", "application/json", body
        if number % 5 == 0:
            for path in WORKBOOKS:
                yield "GET", path, "application/json", b""


def _worker_rows(system: System) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        worker = start("worker", system.environment, Path(folder))
        try:
            system.wait_for_jobs()
            yield _memory_row("worker: RSS after the jobs of the visits above", worker)
            week = send_week(system)
            yield _idle_row("worker: RSS between photos, after a week of visits", worker, week)
            large = send_large(system, LARGE_VISITS)
            yield _idle_row("worker: RSS between photos, after some of 12 megapixels", worker, large)
        finally:
            worker.terminate()
            worker.wait(20)


def _idle_row(what: str, worker: "subprocess.Popen[bytes]", sent: Sent) -> Row:
    at_work = psutil.Process(worker.pid).memory_info().rss / MEGABYTE
    time.sleep(IDLE_S)
    more = f", {at_work:.0f} MB as the last was done, at most {_peak_mb(worker)}; {sent.submitted} visits at "
    return _memory_row(what, worker, f"{more}{sent.sustained:.1f}/s{sent.failures}", aim="< 250 MB")
