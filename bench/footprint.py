"""Memory of the API and the worker, and the start-up time of the API.

The API runs as its command starts it and serves a mix of requests from phones and desks. Its resident memory (RSS) is
the sum of the serving process and its idle supervisor. The sum counts shared pages twice; PSS divides them, and is the
memory that the machine really uses.
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

from bench.load import LoadResult, Request, run_load
from bench.photos import SendResult, send_large, send_week
from bench.rows import Row
from bench.sync import publish_template, pull_households, sign_in_pair
from bench.system import System, process_tree, process_tree_cpu_s, running_system, sign_in, start_process
from bench.workload import iter_pushes
from server.core.clock import today
from server.demo.county import build_county
from server.demo.records import StaffRole
from server.demo.staff import DEMO_PASSWORDS
from server.devserver.processes import find_free_port

MEGABYTE = 1024 * 1024
STARTS = 5
CONNECTIONS = 4
# The worker runs all due jobs, then idles for so long.
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
    "/desk/v1/households/export?format=xlsx",
    "/desk/v1/queue/export?format=xlsx",
    "/desk/v1/cases/export?format=xlsx",
)
LARGE_VISITS = 10


def measure(seconds: float) -> Iterator[Row]:
    with running_system(workers=0) as system:
        asyncio.run(publish_template(system))
        starts = sorted(_measure_start(system) for _ in range(STARTS))
        ready_s, cpu_s = starts[STARTS // 2]
        yield Row(
            "API: from its command to ready, on a migrated database",
            f"{ready_s:.2f} s",
            f"{cpu_s:.2f} s of CPU; {starts[0][0]:.2f}–{starts[-1][0]:.2f} s in {STARTS} starts",
            "",
            "≤ 2 s",
        )
        yield _memory_row("API: RSS once ready", system.api)
        cpu_s = process_tree_cpu_s(system.api.pid)
        results = asyncio.run(_serve_mix(system, seconds))
        cpu_s = process_tree_cpu_s(system.api.pid) - cpu_s
        served = sum(result.done for result in results)
        failure = "".join(f", FAILED: {result.first_failure}" for result in results if result.failed)
        yield _memory_row(
            f"API: RSS after {seconds:.0f} s of mixed work",
            system.api,
            f"; {served / seconds:.0f} requests/s, {cpu_s / served * 1000:.1f} ms of CPU each{failure}",
            target="< 200 MB",
        )
        yield from _worker_rows(system)


def _measure_start(system: System) -> tuple[float, float]:
    """Start another API process; return seconds until ready and CPU seconds. Its files are in the page cache."""
    port = find_free_port()
    with tempfile.TemporaryDirectory() as folder, httpx.Client(timeout=2, trust_env=False) as client:
        began = time.perf_counter()
        process = start_process("api", {**system.environment, "ZOUFANG_PORT": str(port)}, Path(folder))
        try:
            while True:
                with suppress(httpx.TransportError):
                    if client.get(f"http://127.0.0.1:{port}/health/ready").is_success:
                        return time.perf_counter() - began, process_tree_cpu_s(process.pid)
                if process.poll() is not None:
                    raise RuntimeError("the API ended before it was ready")
                time.sleep(0.01)
        finally:
            process.terminate()
            process.wait(20)


def _memory_row(metric: str, process: "subprocess.Popen[bytes]", more: str = "", target: str = "") -> Row:
    """Return the RSS of all processes of a command in total and each, and their PSS."""
    memory = [member.memory_full_info() for member in process_tree(process.pid)]
    each = " + ".join(f"{info.rss / MEGABYTE:.0f}" for info in memory)
    pss = sum(info.pss for info in memory) / MEGABYTE
    reference = f"{each}; PSS {pss:.0f} MB{more}" if len(memory) > 1 else f"PSS {pss:.0f} MB{more}"
    return Row(metric, f"{sum(info.rss for info in memory) / MEGABYTE:.0f} MB", reference, "", target)


def _peak_mb(process: "subprocess.Popen[bytes]") -> str:
    """Return the peak RSS of a process, or "?" where the system doesn't report it."""
    status = Path(f"/proc/{process.pid}/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((f"{int(line.split()[1]) / 1024:.0f} MB" for line in lines if line.startswith("VmHWM")), "?")


async def _serve_mix(system: System, seconds: float) -> list[LoadResult]:
    """Send requests of phones and desks concurrently, each on half of the connections."""
    token, person, partner = sign_in_pair(system)
    desk_token = sign_in(system.url, *_credentials("supervisor"))["accessToken"]
    phone = _phone_requests(pull_households(system, token), [person, partner])
    desk = _desk_requests()

    def serve(token: str, requests: Iterator[Request]) -> Coroutine[Any, Any, LoadResult]:
        return run_load(system.url, token, lambda: requests, connections=CONNECTIONS // 2, seconds=seconds, warm_up=0.0)

    return list(await asyncio.gather(serve(token, phone), serve(desk_token, desk)))


def _credentials(role: StaffRole) -> tuple[str, str]:
    staff = build_county(today=today()).staff
    login = next(person.login for person in staff if person.role == role)
    return login, DEMO_PASSWORDS[role]


def _phone_requests(households: list[dict[str, Any]], people: list[str]) -> Iterator[Request]:
    """Yield a pull of each collection, pushes of one visit, and in every tenth round a push of 20 visits."""
    single = iter_pushes(households, people, batch=1, seed=1)
    batches = iter_pushes(households, people, batch=20, seed=2)
    for number in itertools.count():
        for name in COLLECTIONS:
            yield "GET", f"/field/v1/sync/{name}/1/pull?limit=200", "application/json", b""
        yield from itertools.islice(single, 4)
        if number % 10 == 0:
            yield next(batches)


def _desk_requests() -> Iterator[Request]:
    """Yield all lists in turn, a sign-in each round, and the workbooks every fifth round."""
    login, password = _credentials("county_officer")
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
        worker = start_process("worker", system.environment, Path(folder))
        try:
            system.wait_for_jobs()
            yield _memory_row("worker: RSS after the jobs of these visits", worker)
            week = send_week(system)
            yield _idle_row("worker: RSS between photos, after a week of visits", worker, week)
            large = send_large(system, LARGE_VISITS)
            yield _idle_row("worker: RSS between photos, after some of 12 megapixels", worker, large)
        finally:
            worker.terminate()
            worker.wait(20)


def _idle_row(metric: str, worker: "subprocess.Popen[bytes]", result: SendResult) -> Row:
    at_work = psutil.Process(worker.pid).memory_info().rss / MEGABYTE
    time.sleep(IDLE_S)
    more = f", {at_work:.0f} MB after the last job, peak {_peak_mb(worker)}; {result.submitted} visits at "
    return _memory_row(metric, worker, f"{more}{result.sustained:.1f}/s{result.failures}", target="< 250 MB")
