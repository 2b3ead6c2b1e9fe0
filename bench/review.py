"""Review in a province: the queue's first page at 20,000 and a million visits, 32 reviewers at once, the overview."""

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import psycopg

from bench.load import Request, run_load_sync
from bench.province import REVIEWER_PASSWORD, REVIEWERS, decide_most, fill, reviewer_login
from bench.rows import Row
from bench.system import System, running_system, sign_in
from server.core.clock import utc_now

FEW, MILLION = 20_000, 1_000_000
# The peer's pages/s at 20,000 visits, at 1 and 8 connections (on another machine).
PEER_PAGES = {1: 5.2, 8: 8.0}
PROCESSES = 4
# Time in which each process has started.
START_S = 2.0
MONTH = "from=2026-10-20&to=2026-11-20"
YEAR = "from=2025-11-21&to=2026-11-20"
COUNTY = "990101"


def measure(seconds: float) -> Iterator[Row]:
    with running_system(workers=0) as system:
        with system.connect() as connection:
            fill(connection, FEW)
        tokens = [sign_in(system.url, reviewer_login(n), REVIEWER_PASSWORD)["accessToken"] for n in range(REVIEWERS)]
        small = {connections: _load_pages(system, tokens[0], connections, seconds) for connections in (1, 8)}
        with system.connect() as connection:
            filled = fill(connection, MILLION)
        yield Row("a million visits awaiting review, written", f"{filled.seconds:.0f} s")
        yield from _page_rows(system, tokens[0], small, seconds)
        yield from _count_rows(system, tokens[0])
        yield from _lease_rows(system, tokens, min(seconds, 10.0))
        with system.connect() as connection:
            decide_most(connection)
        yield from _overview_rows(system, tokens[0])


def _load_pages(system: System, token: str, connections: int, seconds: float) -> tuple[float, float]:
    """Return requests per second and p95 in milliseconds."""
    loop = run_load_sync(
        system.url, token, partial(_repeat_request, "/desk/v1/queue?limit=50"), connections, min(seconds, 8.0)
    )
    assert not loop.failed, loop.first_failure
    return loop.rate, loop.percentile_ms(0.95)


def _repeat_request(path: str) -> Iterator[Request]:
    return itertools.repeat(("GET", path, "application/json", b""))


def _page_rows(system: System, token: str, small: dict[int, tuple[float, float]], seconds: float) -> Iterator[Row]:
    for connections in (1, 8):
        peer, (rate, p95) = PEER_PAGES[connections], small[connections]
        target = f"≥ {50 * peer:.0f} (50 × peer's {peer})"
        name = f"first page of 50 awaiting review, {connections} connections"
        yield Row(
            f"{name}, {FEW:,}", f"{rate:.0f}/s (p95 {p95:.0f} ms)", f"peer {peer}/s", f"{rate / peer:.0f}", target
        )
        many, p95 = _load_pages(system, token, connections, seconds)
        yield Row(
            f"{name}, {MILLION:,}",
            f"{many:.0f}/s (p95 {p95:.0f} ms)",
            f"{rate:.0f}/s at {FEW:,}",
            f"{many / rate:.2f}",
            "1",
        )
    minimal = run_load_sync(system.url, token, partial(_repeat_request, "/auth/v1/me"), 8, 3.0)
    yield Row("the same server, only GET /auth/v1/me, 8 connections", f"{minimal.rate:.0f}/s")


COUNT_BY_KIND = """SELECT kind, count(*), min(entered_at) FROM review_item
WHERE state IN ('waiting', 'claimed') AND area_code LIKE '99%' GROUP BY kind"""
COUNTS = {
    "a province's": "",
    "a province's, of one finding": "?finding=visit.too_short",
    "a county's": f"?area={COUNTY}",
    "a village's": f"?area={COUNTY}100200",
}


def _count_rows(system: System, token: str) -> Iterator[Row]:
    with system.connect() as connection:
        reference_ms = min(_execute_ms(connection, COUNT_BY_KIND) for _ in range(3))
    for name, query in COUNTS.items():
        path = f"/desk/v1/queue/counts{query}"
        loop = run_load_sync(system.url, token, partial(_repeat_request, path), 1, 3.0, warm_up=1.0)
        assert not loop.failed, loop.first_failure
        reference = f"{reference_ms:.0f} ms counted by kind alone" if not query else ""
        p95 = f"{loop.percentile_ms(0.95):.0f} ms"
        yield Row(f"counts of the queue p95 at {MILLION:,} waiting: {name}", p95, reference, "", "< 100 ms")


def _execute_ms(connection: "psycopg.Connection[Any]", statement: str) -> float:
    began = time.perf_counter()
    connection.execute(statement)
    return (time.perf_counter() - began) * 1000


class Lease(NamedTuple):
    """A lease of a visit: process and number of the reviewer, and the latency."""

    reviewer: tuple[int, int]
    visit: str
    took_ms: float


def _lease_rows(system: System, tokens: list[str], seconds: float) -> Iterator[Row]:
    bare = _take_bare_leases(system, seconds / 2)
    yield Row("leases/s of 32 bare SELECT … FOR UPDATE SKIP LOCKED and UPDATE", f"{len(bare) / seconds * 2:.0f}",
              f"p99 {_p99(bare):.0f} ms")  # fmt: skip
    # Warm up: the API opens connections and prepares statements.
    warming, _ = _take_leases(system, tokens, 1.0, pause_s=0.0)
    thinking, _ = _take_leases(system, tokens, seconds, pause_s=1.0)
    yield _lease_row("lease p99, 32 reviewers who look at each visit for about a second", thinking, seconds)
    rushing, killed = _take_leases(system, tokens, seconds, pause_s=0.0, kill=True)
    at_once = list({lease.reviewer: lease for lease in reversed(rushing)}.values())
    yield _lease_row("lease, slowest of 32 simultaneous requests", at_once)
    yield _lease_row("lease p99, 32 reviewers without pause (two cores at full load)", rushing,
                     seconds)  # fmt: skip
    visits = [lease.visit for lease in (*warming, *thinking, *rushing)]
    twice = len(visits) - len(set(visits))
    yield Row("visits leased twice", str(twice), f"{len(visits):,} leases of 32 reviewers", "", "0")
    yield _killed_row(system, tokens, killed, set(visits))


def _p99(latencies: list[float]) -> float:
    return sorted(latencies)[int(0.99 * len(latencies))]


def _lease_row(name: str, leases: list[Lease], seconds: float | None = None) -> Row:
    latencies = [lease.took_ms for lease in leases]
    measured = f"{_p99(latencies):.0f} ms (median {sorted(latencies)[len(latencies) // 2]:.0f} ms)"
    rate = f"{len(leases) / seconds:.0f} leases/s" if seconds else ""
    return Row(f"{name}, of {MILLION:,}", measured, rate, "", "< 50 ms")


def _take_leases(
    system: System, tokens: list[str], seconds: float, *, pause_s: float, kill: bool = False
) -> tuple[list[Lease], set[int]]:
    """Return the leases that the processes report, and the numbers of reviewers whose process was killed midway."""
    share = len(tokens) // PROCESSES
    begin = utc_now().timestamp() + START_S
    command = [sys.executable, "-m", "bench.review_clients", system.url, str(begin), str(seconds), str(pause_s)]
    processes = [
        subprocess.Popen([*command, *tokens[n * share : (n + 1) * share]], stdout=subprocess.PIPE, text=True)  # noqa: S603
        for n in range(PROCESSES)
    ]
    outputs: list[list[str]] = [[] for _ in processes]
    readers = [
        threading.Thread(target=lambda n=n: outputs[n].extend(processes[n].stdout or ())) for n in range(PROCESSES)
    ]
    for reader in readers:
        reader.start()
    if kill:
        time.sleep(START_S + seconds / 2)
        processes[0].kill()
    for reader in readers:
        reader.join()
    for process in processes:
        process.wait()
    leases = [
        Lease((n, int(fields[0])), fields[2], float(fields[3]))
        for n, lines in enumerate(outputs)
        for line in lines
        if len(fields := line.split()) == 4 and fields[1] == "200"
    ]
    return leases, set(range(share)) if kill else set()


def _killed_row(system: System, tokens: list[str], killed: set[int], reported: set[str]) -> Row:
    """Check that visits of a killed process, also with a lost response, are leased again once their lease ends."""
    names = [reviewer_login(n) for n in sorted(killed)]
    condition = "WHERE state = 'claimed' AND holder_id IN (SELECT id FROM staff WHERE login = ANY(%s))"
    with system.connect() as connection:
        leased = {str(row[0]) for row in connection.execute("SELECT visit_id FROM review_item " + condition, (names,))}
        expired = utc_now() - timedelta(seconds=1)
        connection.execute("UPDATE review_item SET lease_until = %s " + condition, (expired, names))
    again = {lease.visit for lease in _take_leases(system, tokens[len(killed) :], 12.0, pause_s=0.0)[0]}
    with system.connect() as connection:
        free = connection.execute(
            "SELECT count(*) FROM review_item WHERE state = 'claimed' AND lease_until < %s", (utc_now(),)
        ).fetchone()
    assert free is not None
    unreported, again_count = len(leased - reported), len(leased & again)
    return Row(
        f"visits lost when a process of {len(killed)} reviewers was killed",
        str(len(leased) - again_count - free[0]),
        f"it had {len(leased)}, {unreported} with a lost response; {again_count} leased again, {free[0]} free",
        "",
        "0",
    )


SELECT_NEXT = """SELECT visit_id FROM review_item WHERE state = 'waiting' AND area_code LIKE '99%'
ORDER BY waits_since, visit_id LIMIT 1 FOR UPDATE SKIP LOCKED"""


def _take_bare_leases(system: System, seconds: float) -> list[float]:
    """Return the milliseconds of each lease (two statements and a commit) in 32 threads; free all at the end."""
    latencies: list[float] = []

    def take_leases() -> None:
        with psycopg.connect(system.database) as connection:
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                began = time.perf_counter()
                row = connection.execute(SELECT_NEXT).fetchone()
                assert row is not None
                connection.execute("UPDATE review_item SET state = 'claimed', holder_id = (SELECT id FROM staff WHERE"
                                   " login = 'reviewer0'), lease_until = %s WHERE visit_id = %s",
                                   (utc_now() + timedelta(minutes=10), *row))  # fmt: skip
                connection.commit()
                latencies.append((time.perf_counter() - began) * 1000)

    threads = [threading.Thread(target=take_leases) for _ in range(REVIEWERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with system.connect() as connection:
        connection.execute(
            "UPDATE review_item SET state = 'waiting', holder_id = NULL, lease_until = NULL WHERE state = 'claimed'"
        )
    return latencies


COUNT_VISITS = """SELECT left(v.area_code, 2), count(*), percentile_cont(0.5) WITHIN GROUP
    (ORDER BY extract(epoch FROM d.at - v.received_at))
FROM visit v LEFT JOIN LATERAL (SELECT min(decided_at) AS at FROM decision
    WHERE visit_id = v.id AND undone_why IS DISTINCT FROM 'undone') d ON true
WHERE v.area_code LIKE '99%' AND v.started_at >= '2026-10-20 00:00+08' AND v.started_at < '2026-11-21 00:00+08'
GROUP BY 1"""
OVERVIEW_QUERIES = {
    "work by area, a county's month": f"work?{MONTH}&area={COUNTY}",
    "work by caseworker, a county's month": f"work?{MONTH}&by=caseworker&area={COUNTY}",
    "work by area, a province's month": f"work?{MONTH}&area=99",
    "work by caseworker, a province's month": f"work?{MONTH}&by=caseworker&area=99",
    "findings, a province's month": f"findings?{MONTH}&area=99",
    "map of a county's month": f"points?{MONTH}&area={COUNTY}",
    "map of a province's month": f"points?{MONTH}&area=99",
    "work by area, a prefecture's year": f"work?{YEAR}&area=9901",
    "work by area, a province's year": f"work?{YEAR}&area=99",
    "work by caseworker, a county's year": f"work?{YEAR}&by=caseworker&area={COUNTY}",
    "work by caseworker, a province's year": f"work?{YEAR}&by=caseworker&area=99",
}


def _overview_rows(system: System, token: str) -> Iterator[Row]:
    with system.connect() as connection:
        took = [_execute_ms(connection, COUNT_VISITS) for _ in range(3)]
    for name, query in OVERVIEW_QUERIES.items():
        requests = partial(_repeat_request, f"/desk/v1/overview/{query}")
        run_load_sync(system.url, token, requests, 1, 1.0, warm_up=0)
        before = system.cpu_seconds()
        loop = run_load_sync(system.url, token, requests, 1, 4.0, warm_up=0)
        assert not loop.failed, loop.first_failure
        # CPU too, since other load on the machine delays responses but costs no CPU here.
        reference = f"{1000 * (system.cpu_seconds() - before) / loop.done:.0f} ms of CPU, including the database"
        if name == "work by area, a province's month":
            reference += f"; {min(took):.0f} ms counted from the visits"
        p95 = loop.percentile_ms(0.95)
        yield Row(f"overview p95 at {MILLION:,} visits: {name}", f"{p95:.0f} ms", reference, "", "< 100 ms")
