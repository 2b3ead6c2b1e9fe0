"""A month of a county, replayed: 250 villages, 24,000 homes, each night its timetable, each day its visits.

The day's visits are pushed by their caseworkers' phones, attested by their partners', examined by the worker and
decided by reviewers at the desk, all over HTTP; the timetable is the nightly job itself. Not part of any test.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import httpx

from bench.rows import Row
from bench.sync import publish_template
from bench.system import System, running_system, sign_in
from bench.workload import make_visit
from server.core.database import open_once
from server.core.ids import new_id
from server.demo.county import DEMO_PASSWORDS
from server.workload.schedule import schedule

Json = dict[str, Any]
COUNTY = "339901"
HOMES, VILLAGES, PAIRS = 24_000, 250, 30
FIRST = date(2026, 10, 1)
DAYS = 31
AIM_S = 600
AT_ONCE = 8


class Stop(NamedTuple):
    assignment: UUID
    home: UUID
    pair: int
    latitude: float
    longitude: float


class Phone(NamedTuple):
    id: str
    http: httpx.AsyncClient


def measure(seconds: float) -> Iterator[Row]:
    del seconds  # the month is as long as it is
    with running_system(workers=2) as system:
        asyncio.run(publish_template(system))
        _settle_county(system)
        began = time.perf_counter()
        visits, slowest_night_s = asyncio.run(_replay(system))
        took = time.perf_counter() - began
        left = _left(system)
    yield Row(
        f"a month of a county of {VILLAGES} villages and {HOMES:,} homes, replayed",
        f"{took:.0f} s",
        f"{visits:,} visits made, examined and decided; {left} left over",
        "",
        f"< {AIM_S} s",
    )
    yield Row("its slowest nightly timetable", f"{slowest_night_s:.1f} s")


_VILLAGE = f"'{COUNTY}' || '8' || lpad((n % 10)::text, 2, '0') || '2' || lpad((n / 10 % 25)::text, 2, '0')"
# The county's homes and staff beside the demo's; the password is that of the demo's caseworkers.
_COUNTY = [
    f"INSERT INTO area (code, name, parent_code) SELECT DISTINCT left({_VILLAGE}, 9), '月镇' || n % 10, '{COUNTY}'"
    " FROM generate_series(0, 249) n",
    f"INSERT INTO area (code, name, parent_code) SELECT {_VILLAGE}, '月村' || n, left({_VILLAGE}, 9)"
    " FROM generate_series(0, 249) n",
    f"""INSERT INTO household (id, number, area_code, head_name, address, latitude, longitude, datum, class,
        relative_on_staff)
    SELECT md5('month' || n)::uuid, 'M-' || lpad(n::text, 6, '0'), {_VILLAGE}, '户主' || n, n || '号',
        28.9 + n % 250 * 1e-3 + n / 250 * 1e-5, 118.9 + n % 250 * 1e-3, 'wgs84', 'B', false
    FROM generate_series(0, {HOMES - 1}) n""",
    f"""INSERT INTO staff (id, login, name, password_hash)
    SELECT md5('pair' || n)::uuid, 'pair' || n, '专干' || n, (SELECT password_hash FROM staff s
        JOIN staff_role r ON r.staff_id = s.id WHERE r.role = 'caseworker' AND password_hash IS NOT NULL LIMIT 1)
    FROM generate_series(0, {2 * PAIRS - 1}) n""",
    f"""INSERT INTO staff_role (id, staff_id, role, area_code)
    SELECT uuidv7(), md5('pair' || n)::uuid, 'caseworker', '{COUNTY}' FROM generate_series(0, {2 * PAIRS - 1}) n""",
    # A village is held by one pair, as the timetable gives a village's rounds to one holder.
    f"""INSERT INTO caseload (id, household_id, staff_id)
    SELECT uuidv7(), md5('month' || n)::uuid, md5('pair' || n % 250 % {PAIRS} * 2 + k)::uuid
    FROM generate_series(0, {HOMES - 1}) n, generate_series(0, 1) k""",
]


def _settle_county(system: System) -> None:
    with system.connect() as connection:
        for statement in _COUNTY:
            connection.execute(statement)
        connection.execute("VACUUM ANALYZE")


async def _replay(system: System) -> tuple[int, float]:
    """How many visits were made, and the seconds of the slowest night."""
    phones = [_phone(system, f"pair{n}", "caseworker") for n in range(2 * PAIRS)]
    desks = [_phone(system, login, role) for login, role in _reviewers(system)]
    made, slowest = 0, 0.0
    try:
        for on in (FIRST + timedelta(days=n) for n in range(DAYS)):
            began = time.perf_counter()
            async with open_once(system.environment["ZOUFANG_DATABASE_URL"]) as session:
                await schedule(session, COUNTY, datetime(on.year, on.month, on.day, 19, tzinfo=UTC) - timedelta(days=1))
            slowest = max(slowest, time.perf_counter() - began)
            due = _due(system, on)
            await _day_of_visits(phones, due, on)
            await asyncio.to_thread(system.wait_for_jobs)
            await asyncio.gather(*(_decide_all(one) for one in desks))
            made += len(due)
        await asyncio.to_thread(system.wait_for_jobs)
    finally:
        for one in (*phones, *desks):
            await one.http.aclose()
    return made, slowest


def _phone(system: System, login: str, role: str) -> Phone:
    signed_in = sign_in(system.url, login, DEMO_PASSWORDS[role])
    headers = {"Authorization": f"Bearer {signed_in['accessToken']}"}
    return Phone(signed_in["personId"], httpx.AsyncClient(base_url=system.url, headers=headers, timeout=60))


def _reviewers(system: System) -> list[tuple[str, str]]:
    """Whoever of the demo county may review all of it."""
    with system.connect() as connection:
        rows = connection.execute(
            "SELECT s.login, r.role FROM staff s JOIN staff_role r ON r.staff_id = s.id"
            " WHERE r.role IN ('supervisor', 'county_officer') AND length(r.area_code) <= 6 ORDER BY s.login"
        )
        return [(login, role) for login, role in rows]


def _due(system: System, on: date) -> list[Stop]:
    """The day's stops of the day plans, each with its home and the pair that holds it."""
    with system.connect() as connection:
        rows = connection.execute(
            "SELECT a.id, h.id, right(h.number, 6)::int %% 250 %% %s, h.latitude, h.longitude FROM assignment a"
            " JOIN household h ON h.id = a.household_id JOIN day_plan_stop s ON s.assignment_id = a.id"
            " WHERE a.state = 'open' AND s.day = %s AND h.number LIKE 'M-%%'",
            (PAIRS, on),
        )
        return [Stop(*row) for row in rows]


async def _day_of_visits(phones: list[Phone], due: list[Stop], on: date) -> None:
    """Each pair's visits in one push, as a phone does at the end of its day, and the partner's attestations."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one_pair(pair: int, stops: list[Stop]) -> None:
        author, partner = phones[2 * pair], phones[2 * pair + 1]
        visits = [_visit(author.id, partner.id, one, on, n) for n, one in enumerate(stops)]
        told = [
            {
                "id": str(new_id()),
                "visitId": one["id"],
                "attestedAt": one["endedAt"],
                "fix": one["endFix"],
                "_deleted": False,
            }
            for one in visits
        ]
        async with gate:
            await _push(author, "visits", visits)
            await _push(partner, "attestations", told)

    by_pair = itertools.groupby(sorted(due, key=lambda one: one.pair), key=lambda one: one.pair)
    await asyncio.gather(*(one_pair(pair, list(stops)) for pair, stops in by_pair))


def _visit(author: str, partner: str, stop: Stop, on: date, n: int) -> Json:
    """At the home, as far off as satellites are, from nine in the morning on, an hour for each."""
    chance = random.Random(str(stop.assignment))
    place = {"latitude": stop.latitude, "longitude": stop.longitude}
    visit = make_visit({"id": str(stop.home), **place}, [author, partner], chance, [])
    started = datetime(on.year, on.month, on.day, 1, tzinfo=UTC) + timedelta(minutes=60 * n)
    ended = started + timedelta(minutes=chance.randint(12, 50))
    visit |= {"assignmentId": str(stop.assignment), "startedAt": started.isoformat(), "endedAt": ended.isoformat()}
    for name, at in (("startFix", started), ("endFix", ended)):
        wandered = {axis: degrees + chance.gauss(0, 5e-5) for axis, degrees in place.items()}
        visit[name] |= wandered | {"capturedAt": at.isoformat(), "accuracyM": round(chance.uniform(4, 40), 1)}
    return visit


async def _push(phone: Phone, collection: str, documents: list[Json]) -> None:
    rows = [{"newDocumentState": one} for one in documents]
    answer = await phone.http.post(f"/field/v1/sync/{collection}/1/push", json=rows)
    answer.raise_for_status()
    assert answer.json() == [], answer.text[:500]


async def _decide_all(desk: Phone) -> None:
    """Claim and accept until nothing is left that this reviewer may decide."""
    while (claimed := await desk.http.post("/desk/v1/queue/claim")).status_code == httpx.codes.OK:
        body = {"outcome": "accepted", "reason": ""}
        answer = await desk.http.post(f"/desk/v1/visits/{claimed.json()['visitId']}/decision", json=body)
        answer.raise_for_status()


def _left(system: System) -> int:
    with system.connect() as connection:
        row = connection.execute("SELECT count(*) FROM visit WHERE state <> 'accepted' AND checklist_code = 'bench'")
        left = row.fetchone()
    assert left is not None
    return int(left[0])
