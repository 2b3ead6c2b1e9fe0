"""Review at a province's size: the first page at 20,000 and a million, claims by 32 at once, the overview."""

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

from bench.load import Ask, run_measured
from bench.province import REVIEWER_PASSWORD, REVIEWERS, fill, reviewer, settle
from bench.rows import Row
from bench.system import System, running_system, sign_in
from server.core.clock import utc_now

FEW, MILLION = 20_000, 1_000_000
# Of the peer at 20,000 (another machine), at 1 and 8 connections.
PEER_PAGES = {1: 5.2, 8: 8.0}
PROCESSES = 4
# In so long each of them has started.
START_S = 2.0
MONTH = "from=2026-10-20&to=2026-11-20"
YEAR = "from=2025-11-21&to=2026-11-20"
COUNTY = "990101"


def measure(seconds: float) -> Iterator[Row]:
    with running_system(workers=0) as system:
        with system.connect() as connection:
            fill(connection, FEW)
        tokens = [sign_in(system.url, reviewer(n), REVIEWER_PASSWORD)["accessToken"] for n in range(REVIEWERS)]
        few = {connections: _pages(system, tokens[0], connections, seconds) for connections in (1, 8)}
        with system.connect() as connection:
            filled = fill(connection, MILLION)
        yield Row("a million visits awaiting review, written", f"{filled.seconds:.0f} s")
        yield from _page_rows(system, tokens[0], few, seconds)
        yield from _count_rows(system, tokens[0])
        yield from _claim_rows(system, tokens, min(seconds, 10.0))
        with system.connect() as connection:
            settle(connection)
        yield from _overview_rows(system, tokens[0])


def _pages(system: System, token: str, connections: int, seconds: float) -> tuple[float, float]:
    """Requests a second and p95 in milliseconds."""
    loop = run_measured(system.url, token, partial(_asking, "/desk/v1/queue?limit=50"), connections, min(seconds, 8.0))
    assert not loop.failed, loop.first_failure
    return loop.rate, loop.percentile_ms(0.95)


def _asking(path: str) -> Iterator[Ask]:
    return itertools.repeat(("GET", path, "application/json", b""))


def _page_rows(system: System, token: str, few: dict[int, tuple[float, float]], seconds: float) -> Iterator[Row]:
    for connections in (1, 8):
        peer, (rate, p95) = PEER_PAGES[connections], few[connections]
        aim = f"≥ {50 * peer:.0f} (50 × peer's {peer})"
        name = f"first page of 50 awaiting review, {connections} connections"
        yield Row(f"{name}, {FEW:,}", f"{rate:.0f}/s (p95 {p95:.0f} ms)", f"peer {peer}/s", f"{rate / peer:.0f}", aim)
        many, p95 = _pages(system, token, connections, seconds)
        yield Row(
            f"{name}, {MILLION:,}",
            f"{many:.0f}/s (p95 {p95:.0f} ms)",
            f"{rate:.0f}/s at {FEW:,}",
            f"{many / rate:.2f}",
            "1",
        )
    empty = run_measured(system.url, token, partial(_asking, "/auth/v1/me"), 8, 3.0)
    yield Row("the same server saying only who is calling, 8 connections", f"{empty.rate:.0f}/s")


COUNTED_BY_HAND = """SELECT kind, count(*), min(entered_at) FROM review_item
WHERE state IN ('waiting', 'claimed') AND area_code LIKE '99%' GROUP BY kind"""
COUNTS = {
    "a province's": "",
    "a province's, of one finding": "?finding=visit.too_short",
    "a county's": f"?area={COUNTY}",
    "a village's": f"?area={COUNTY}100200",
}


def _count_rows(system: System, token: str) -> Iterator[Row]:
    with system.connect() as connection:
        by_hand = min(_took_ms(connection, COUNTED_BY_HAND) for _ in range(3))
    for name, query in COUNTS.items():
        path = f"/desk/v1/queue/counts{query}"
        loop = run_measured(system.url, token, partial(_asking, path), 1, 3.0, warm_up=1.0)
        assert not loop.failed, loop.first_failure
        beside = f"{by_hand:.0f} ms counted by kind alone" if not query else ""
        result = f"{loop.percentile_ms(0.95):.0f} ms"
        yield Row(f"counts of the queue p95 at {MILLION:,} waiting: {name}", result, beside, "", "< 100 ms")


def _took_ms(connection: "psycopg.Connection[Any]", statement: str) -> float:
    began = time.perf_counter()
    connection.execute(statement)
    return (time.perf_counter() - began) * 1000


class Claimed(NamedTuple):
    """Who (process and reviewer) got which visit, and in how many milliseconds."""

    who: tuple[int, int]
    visit: str
    took_ms: float


def _claim_rows(system: System, tokens: list[str], seconds: float) -> Iterator[Row]:
    bare = _bare_claims(system, seconds / 2)
    yield Row("claims/s of 32 bare SELECT … FOR UPDATE SKIP LOCKED and UPDATE", f"{len(bare) / seconds * 2:.0f}",
              f"p99 {_p99(bare):.0f} ms")  # fmt: skip
    # A process that has just started makes each statement once, and opens its connections.
    warming, _ = _claim(system, tokens, 1.0, pause_s=0.0)
    thinking, _ = _claim(system, tokens, seconds, pause_s=1.0)
    yield _claim_row("claim p99, 32 reviewers who look at each visit for about a second", thinking, seconds)
    rushing, killed = _claim(system, tokens, seconds, pause_s=0.0, kill=True)
    at_once = list({item.who: item for item in reversed(rushing)}.values())
    yield _claim_row("claim, the slowest of 32 who ask in the same instant", at_once)
    yield _claim_row("claim p99, 32 who claim again as soon as they have claimed (all that two cores can do)", rushing,
                     seconds)  # fmt: skip
    visits = [item.visit for item in (*warming, *thinking, *rushing)]
    twice = len(visits) - len(set(visits))
    yield Row("visits claimed twice", str(twice), f"{len(visits):,} claims by 32", "", "0")
    yield _killed_row(system, tokens, killed, set(visits))


def _p99(took: list[float]) -> float:
    return sorted(took)[int(0.99 * len(took))]


def _claim_row(name: str, claims: list[Claimed], seconds: float | None = None) -> Row:
    took = [claim.took_ms for claim in claims]
    result = f"{_p99(took):.0f} ms (median {sorted(took)[len(took) // 2]:.0f} ms)"
    rate = f"{len(claims) / seconds:.0f} claims/s" if seconds else ""
    return Row(f"{name}, of {MILLION:,}", result, rate, "", "< 50 ms")


def _claim(
    system: System, tokens: list[str], seconds: float, *, pause_s: float, kill: bool = False
) -> tuple[list[Claimed], set[int]]:
    """The claims told by the processes, and the numbers of the reviewers whose process was killed midway."""
    share = len(tokens) // PROCESSES
    begin = utc_now().timestamp() + START_S
    command = [sys.executable, "-m", "bench.reviewers", system.url, str(begin), str(seconds), str(pause_s)]
    processes = [
        subprocess.Popen([*command, *tokens[n * share : (n + 1) * share]], stdout=subprocess.PIPE, text=True)  # noqa: S603
        for n in range(PROCESSES)
    ]
    result: list[list[str]] = [[] for _ in processes]
    readers = [
        threading.Thread(target=lambda n=n: result[n].extend(processes[n].stdout or ())) for n in range(PROCESSES)
    ]
    for reader in readers:
        reader.start()
    if kill:
        time.sleep(START_S + seconds / 2)
        processes[0].kill()
    for reader in readers:
        reader.join()
    for reader in processes:
        reader.wait()
    claims = [
        Claimed((n, int(fields[0])), fields[2], float(fields[3]))
        for n, lines in enumerate(result)
        for line in lines
        if len(fields := line.split()) == 4 and fields[1] == "200"
    ]
    return claims, set(range(share)) if kill else set()


def _killed_row(system: System, tokens: list[str], killed: set[int], result: set[str]) -> Row:
    """What the dead held, also what their process never heard that it got, goes to the next once its lease ends."""
    names = [reviewer(n) for n in sorted(killed)]
    held_by = "WHERE state = 'claimed' AND holder_id IN (SELECT id FROM staff WHERE login = ANY(%s))"
    with system.connect() as connection:
        held = {str(row[0]) for row in connection.execute("SELECT visit_id FROM review_item " + held_by, (names,))}
        lapsed = utc_now() - timedelta(seconds=1)
        connection.execute("UPDATE review_item SET lease_until = %s " + held_by, (lapsed, names))
    again = {item.visit for item in _claim(system, tokens[len(killed) :] * 1, 12.0, pause_s=0.0)[0]}
    with system.connect() as connection:
        left = connection.execute(
            "SELECT count(*) FROM review_item WHERE state = 'claimed' AND lease_until < %s", (utc_now(),)
        ).fetchone()
    assert left is not None
    unheard = len(held - result)
    return Row(
        f"visits lost when a process of {len(killed)} reviewers was killed",
        str(len(held) - len(held & again) - left[0]),
        f"it held {len(held)}, {unheard} of them unheard; {len(held & again)} claimed again, {left[0]} free",
        "",
        "0",
    )


CLAIM = """SELECT visit_id FROM review_item WHERE state = 'waiting' AND area_code LIKE '99%'
ORDER BY waits_since, visit_id LIMIT 1 FOR UPDATE SKIP LOCKED"""


def _bare_claims(system: System, seconds: float) -> list[float]:
    """Milliseconds of each: two statements and a commit, 32 threads, nothing else. Given back at the end."""
    took: list[float] = []

    def claim_loop() -> None:
        with psycopg.connect(system.database) as connection:
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                began = time.perf_counter()
                row = connection.execute(CLAIM).fetchone()
                assert row is not None
                connection.execute("UPDATE review_item SET state = 'claimed', holder_id = (SELECT id FROM staff WHERE"
                                   " login = 'reviewer0'), lease_until = %s WHERE visit_id = %s",
                                   (utc_now() + timedelta(minutes=10), *row))  # fmt: skip
                connection.commit()
                took.append((time.perf_counter() - began) * 1000)

    threads = [threading.Thread(target=claim_loop) for _ in range(REVIEWERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with system.connect() as connection:
        connection.execute(
            "UPDATE review_item SET state = 'waiting', holder_id = NULL, lease_until = NULL WHERE state = 'claimed'"
        )
    return took


COUNTED = """SELECT left(v.area_code, 2), count(*), percentile_cont(0.5) WITHIN GROUP
    (ORDER BY extract(epoch FROM d.at - v.received_at))
FROM visit v LEFT JOIN LATERAL (SELECT min(decided_at) AS at FROM decision
    WHERE visit_id = v.id AND undone_why IS DISTINCT FROM 'undone') d ON true
WHERE v.area_code LIKE '99%' AND v.started_at >= '2026-10-20 00:00+08' AND v.started_at < '2026-11-21 00:00+08'
GROUP BY 1"""
ASKED = {
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
        took = [_took_ms(connection, COUNTED) for _ in range(3)]
    for name, query in ASKED.items():
        asking = partial(_asking, f"/desk/v1/overview/{query}")
        run_measured(system.url, token, asking, 1, 1.0, warm_up=0)
        before = system.cpu_seconds()
        loop = run_measured(system.url, token, asking, 1, 4.0, warm_up=0)
        assert not loop.failed, loop.first_failure
        # Beside it, since others' work on the same machine makes an answer wait, and costs it nothing.
        beside = f"{1000 * (system.cpu_seconds() - before) / loop.done:.0f} ms of CPU, the database's included"
        if name == "work by area, a province's month":
            beside += f"; {min(took):.0f} ms counted from the visits"
        p95 = loop.percentile_ms(0.95)
        yield Row(f"overview p95 at {MILLION:,} visits: {name}", f"{p95:.0f} ms", beside, "", "< 100 ms")
