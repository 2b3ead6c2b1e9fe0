"""Sync: pushes compared with bare inserts, first sync, a hundred phones at once, pulls among a million visits."""

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import psycopg

from bench.load import LoadResult, Request, run_load
from bench.rows import Row
from bench.system import System, running_system, sign_in
from bench.workload import iter_pushes, make_template, make_visit
from server.checklists.publishing import publish
from server.core.clock import today
from server.core.database import open_once
from server.demo.county import build_county
from server.demo.staff import DEMO_PASSWORDS

Json = dict[str, Any]
# The peer's visits per second without photos, one per request, at 1, 8 and 32 connections (on another machine).
PEER = {1: 76, 8: 142, 32: 162}
BATCH = 20


def measure(seconds: float) -> Iterator[Row]:
    # Two API processes, as docker-compose.yml runs them: one Python process takes one core.
    with running_system(replicas=1) as system:
        asyncio.run(publish_template(system))
        token, person, partner = sign_in_pair(system)
        households = pull_households(system, token)
        for batch in (1, BATCH):
            for connections in (1, 8, 32):
                yield from _push_rows(system, token, households, [person, partner], batch, connections, seconds)
        yield from _first_sync(system, token, person)
        yield from _hundred_phones(system)
        yield from _pull_among_a_million(system, token)
        yield Row("API memory at the end", f"{system.api_memory_mb():.0f} MB", "peer 394–413 MB")


async def publish_template(system: System) -> None:
    async with open_once(system.environment["ZOUFANG_DATABASE_URL"]) as session:
        await publish(session, make_template())


def sign_in_pair(system: System) -> tuple[str, str, str]:
    """Sign in the first caseworker; return the token, their id and their partner's id."""
    caseworker = next(person for person in build_county(today=today()).staff if person.role == "caseworker")
    signed_in = sign_in(system.url, caseworker.login, DEMO_PASSWORDS["caseworker"])
    with system.connect() as connection:
        partner = connection.execute("SELECT id FROM staff WHERE login = %s", (caseworker.partner_login,)).fetchone()
    assert partner is not None
    return signed_in["accessToken"], signed_in["personId"], str(partner[0])


def pull_households(system: System, token: str) -> list[Json]:
    response = httpx.get(
        f"{system.url}/field/v1/sync/households/1/pull",
        params={"limit": 500},
        headers={"Authorization": f"Bearer {token}"},
    )
    response.raise_for_status()
    documents: list[Json] = response.json()["documents"]
    return documents


def _push_rows(
    system: System, token: str, households: list[Json], people: list[str], batch: int, connections: int, seconds: float
) -> list[Row]:
    cpu_before = system.cpu_seconds()
    loop = asyncio.run(
        run_load(
            system.urls,
            token,
            lambda: iter_pushes(households, people, batch=batch, seed=connections),
            connections=connections,
            seconds=seconds,
        )
    )
    cpu = system.cpu_seconds() - cpu_before
    bare = _bare_inserts(system, households, people, batch, connections, min(seconds, 5.0))
    rate = loop.rate * batch
    # CPU includes the 3 s of warm-up, in which the rate is the same.
    cpu_per_1000 = cpu / (rate * (loop.seconds + 3.0)) * 1000
    factor = 3 if batch == 1 else 10
    target = f"≥ {PEER[connections] * factor} ({factor} × peer's {PEER[connections]})"
    name = f"{'one' if batch == 1 else batch} a request, {connections} connections"
    return [
        Row(
            f"visits/s pushed, {name}",
            f"{rate:.0f} (p95 {loop.percentile_ms(0.95):.0f} ms){_failures(loop)}",
            f"{bare:.0f} bare psycopg",
            f"{rate / bare:.2f}",
            target if batch == 1 else f"{target}; ≥ 0.33 of bare",
        ),
        Row(f"CPU s per 1,000 visits, {name}", f"{cpu_per_1000:.1f}", "peer 18"),
    ]


def _failures(loop: LoadResult) -> str:
    return f", {loop.failed} FAILED: {loop.first_failure}" if loop.failed else ""


VISIT = """INSERT INTO visit
(id, household_id, area_code, kind, checklist_code, checklist_version, author_id, device_id,
state, mode, started_at, ended_at, document, content_hash, received_at, submitted_at, receipt, late_after_reassignment)
SELECT %s, %s, h.area_code, 'review', 'bench', 1, %s, d.id, 'submitted', 'in_person', %s, %s, %s, repeat('0', 64),
now(), now(), repeat('r', 400), false FROM household h, (SELECT id FROM device LIMIT 1) d WHERE h.id = %s"""
INVESTIGATOR = "INSERT INTO visit_investigator (visit_id, staff_id) VALUES (%s, %s)"
FEED = "INSERT INTO feed (staff_id, collection, doc_id) VALUES (%s, 'visits', %s)"
AUDIT = """INSERT INTO audit_entry (actor_kind, actor_id, action, thing_kind, thing_id, facts)
VALUES ('staff', %s, 'visit.submitted', 'visit', %s, '{}')"""


def _bare_inserts(
    system: System, households: list[Json], people: list[str], batch: int, connections: int, seconds: float
) -> float:
    """Return visits per second when psycopg alone inserts the same rows, one transaction per batch."""

    async def insert_visits() -> int:
        chance, done = random.Random(), 0
        async with await psycopg.AsyncConnection.connect(system.database) as connection:
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                visits = [make_visit(chance.choice(households), people, chance, []) for _ in range(batch)]
                async with connection.transaction(), connection.cursor() as cursor:
                    await cursor.executemany(VISIT, [_visit_values(visit, people[0]) for visit in visits])
                    pairs = [(visit["id"], person) for visit in visits for person in people]
                    await cursor.executemany(INVESTIGATOR, pairs)
                    await cursor.executemany(FEED, [(person, visit) for visit, person in pairs])
                    await cursor.executemany(AUDIT, [(people[0], visit["id"]) for visit in visits])
                done += batch
        return done

    async def run_all() -> int:
        return sum(await asyncio.gather(*(insert_visits() for _ in range(connections))))

    started = time.perf_counter()
    return asyncio.run(run_all()) / (time.perf_counter() - started)


def _visit_values(visit: Json, author: str) -> tuple[Any, ...]:
    document = msgspec.json.encode(visit).decode()
    household = visit["householdId"]
    return visit["id"], household, author, visit["startedAt"], visit["endedAt"], document, household


def _first_sync(system: System, token: str, person: str) -> list[Row]:
    """Pull all 300 households of the county on a new phone of one caseworker."""
    with system.connect() as connection:
        connection.execute(GRANT_ALL, {"staff": person})
        count = connection.execute(
            "SELECT count(*) FROM feed WHERE staff_id = %s AND collection = 'households' AND NOT is_deleted", [person]
        ).fetchone()
        assert count is not None
    started = time.perf_counter()
    loop = asyncio.run(run_load(system.url, token, _pulls, connections=1, seconds=0, until_exhausted=True))
    took_ms = (time.perf_counter() - started) * 1000
    size = f"{loop.bytes_in / 1024:.0f} kB"
    return [
        Row(f"first sync of {count[0]} households and their documents", f"{took_ms:.0f} ms, {size}{_failures(loop)}")
    ]


GRANT_ALL = """
WITH granted AS (
  INSERT INTO caseload (id, household_id, staff_id) SELECT uuidv7(), h.id, %(staff)s FROM household h
  WHERE NOT EXISTS (SELECT FROM caseload c WHERE c.household_id = h.id AND c.staff_id = %(staff)s
                    AND c.revoked_at IS NULL))
INSERT INTO feed (staff_id, collection, doc_id) SELECT %(staff)s, 'households', h.id::text FROM household h
ON CONFLICT DO NOTHING
"""


def _pulls() -> Iterator[Request]:
    for name in ("checklists", "households", "assignments", "evidence"):
        yield "GET", f"/field/v1/sync/{name}/1/pull?limit=500", "application/json", b""


def _hundred_phones(system: System) -> list[Row]:
    """Let a hundred phones pull all their documents at the same time."""
    logins = [person.login for person in build_county(today=today()).staff if person.role == "caseworker"]
    tokens = [sign_in(system.url, login, DEMO_PASSWORDS["caseworker"])["accessToken"] for login in logins]

    async def sync_phones() -> list[LoadResult]:
        phones = (
            run_load(
                system.urls[n % 2], tokens[n % len(tokens)], _pulls, connections=1, seconds=0, until_exhausted=True
            )
            for n in range(100)
        )
        return await asyncio.gather(*phones)

    started = time.perf_counter()
    loops = asyncio.run(sync_phones())
    took, failed = time.perf_counter() - started, sum(loop.failed for loop in loops)
    measured = f"{took:.1f} s{f', {failed} FAILED' if failed else ''}"
    return [Row("first sync of 100 phones at once", measured, "150 s published by a peer", "", "≤ 30 s")]


MILLION = 1_000_000
# Copies of a pushed visit, spread over authors, each with a feed row for its author.
FILL = """
WITH v AS (SELECT * FROM visit WHERE state = 'submitted' LIMIT 1), authors AS (
    SELECT array_agg(DISTINCT staff_id) AS ids FROM caseload
), fresh AS (
    INSERT INTO visit (id, household_id, area_code, kind, checklist_code, checklist_version, author_id, device_id,
        state, mode, started_at, ended_at, document, content_hash, received_at, submitted_at, complete_at, receipt,
        late_after_reassignment)
    SELECT uuidv7(), v.household_id, v.area_code, v.kind, v.checklist_code, v.checklist_version,
        authors.ids[1 + n %% array_length(authors.ids, 1)], v.device_id, 'accepted', v.mode, v.started_at,
        v.ended_at, v.document, v.content_hash, v.received_at, v.submitted_at, now(), v.receipt, false
    FROM v, authors, generate_series(1, %s) AS n
    RETURNING id, author_id
)
INSERT INTO feed (staff_id, collection, doc_id) SELECT author_id, 'visits', id::text FROM fresh
"""


def _pull_among_a_million(system: System, token: str) -> list[Row]:
    """Pull consecutive pages of 100 visits, with few visits stored and with a million."""
    few = _pull_pages(system, token)
    with system.connect() as connection:
        for _ in range(10):
            connection.execute(FILL, (MILLION // 10,))
        connection.execute("VACUUM ANALYZE visit, feed")
        stored = connection.execute("SELECT count(*) FROM visit").fetchone()
    many = _pull_pages(system, token)
    assert stored is not None
    name = f"pull of a page of 100 visits, {stored[0]:,} stored, p95"
    return [
        Row(name, f"{many:.0f} ms", f"{few:.0f} ms with the visits of this run alone", f"{many / few:.2f}"),
    ]


def _pull_pages(system: System, token: str, pages: int = 60) -> float:
    """Return the p95 in milliseconds."""
    took: list[float] = []
    checkpoint: Json = {"lwt": 0, "id": ""}
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=system.url, headers=headers, timeout=60) as client:
        for _ in range(pages):
            started = time.perf_counter()
            response = client.get("/field/v1/sync/visits/1/pull", params={**checkpoint, "limit": 100})
            took.append(time.perf_counter() - started)
            response.raise_for_status()
            checkpoint = response.json()["checkpoint"]
    return sorted(took)[int(0.95 * len(took))] * 1000
