"""Replay a month of a county: 250 villages, 24,000 homes, a schedule every night and visits every day.

Phones of caseworkers push the day's visits, partners attest, workers check, and reviewers decide at desks, all over
HTTP. Some visits are returned and amended the next day. At the end a spot-check plan is drawn, made and compared. The
schedule comes from the nightly job itself.
"""

import asyncio
import itertools
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import httpx

from bench.rows import Row
from bench.sync import publish_template
from bench.system import System, running_system, sign_in
from bench.workload import make_visit
from server.core.clock import utc_now
from server.core.database import open_once
from server.core.ids import new_id
from server.demo.records import StaffRole
from server.demo.staff import DEMO_PASSWORDS
from server.workload.schedule import schedule_reviews

Json = dict[str, Any]
COUNTY = "339901"
HOMES, VILLAGES, PAIRS = 24_000, 250, 30
FIRST = date(2026, 10, 1)
DAYS = 31
TARGET_S = 600
CONCURRENCY = 8
CHECKED_PERCENT = 3
# The question that reviewers return, and that second visits sometimes answer differently.
QUESTIONED = "integer_0"


class Stop(NamedTuple):
    assignment: UUID
    home: UUID
    pair: int
    latitude: float
    longitude: float


class Phone(NamedTuple):
    id: str
    http: httpx.AsyncClient


@dataclass
class Month:
    """State of the replay, and the seconds of each part."""

    system: System
    phones: list[Phone]
    desks: list[Phone]
    # By id: the pair and the document as its phone holds it.
    visits: dict[str, tuple[int, Json]] = field(default_factory=dict)
    returned: list[str] = field(default_factory=list)
    amended: int = 0
    checks: int = 0
    agreed_percent: float = 0.0
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    slowest_night_s: float = 0.0

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[part] += time.perf_counter() - began


def measure(seconds: float) -> Iterator[Row]:
    del seconds  # measures a fixed month
    with running_system(workers=2) as system:
        asyncio.run(publish_template(system))
        _write_county(system)
        began = time.perf_counter()
        month = asyncio.run(_replay(system))
        took = time.perf_counter() - began
        left = _count_open(system)
    yield Row(
        f"a month of a county of {VILLAGES} villages and {HOMES:,} homes, replayed",
        f"{took:.0f} s",
        f"{len(month.visits):,} visits made, checked and decided, {month.amended} of them returned and amended;"
        f" {left} left",
        "",
        f"< {TARGET_S} s",
    )
    yield Row(
        "spot checks drawn by a plan, made blind by other pairs and compared",
        f"{month.checks}",
        f"{month.agreed_percent:.1f} % of the answers agree",
    )
    for part, spent in sorted(month.seconds.items(), key=lambda item: item[1], reverse=True):
        yield Row(f"of which {part}", f"{spent:.0f} s")
    yield Row("the slowest nightly schedule", f"{month.slowest_night_s:.1f} s")


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
    # One pair holds a village, since the schedule gives a village's rounds to one holder.
    f"""INSERT INTO caseload (id, household_id, staff_id)
    SELECT uuidv7(), md5('month' || n)::uuid, md5('pair' || n % 250 % {PAIRS} * 2 + k)::uuid
    FROM generate_series(0, {HOMES - 1}) n, generate_series(0, 1) k""",
]


def _write_county(system: System) -> None:
    with system.connect() as connection:
        for statement in _COUNTY:
            connection.execute(statement)
        connection.execute("VACUUM ANALYZE")


async def _replay(system: System) -> Month:
    phones = [_sign_in_phone(system, f"pair{n}", "caseworker") for n in range(2 * PAIRS)]
    month = Month(system, phones, [_sign_in_phone(system, login, role) for login, role in _list_reviewers(system)])
    try:
        for on in (FIRST + timedelta(days=n) for n in range(DAYS)):
            await _schedule_night(month, on)
            with month.timed("phones: visits, attestations and amendments pushed"):
                await _amend_returned(month)
                await _make_visits(month, _load_due_stops(system, on), on)
            await _review(month)
        await _amend_returned(month)
        await _review(month)
        with month.timed("spot checks, from the plan to the comparison"):
            await _run_spot_checks(month, FIRST + timedelta(days=DAYS - 1))
        await _review(month)
    finally:
        for client in (*phones, *month.desks):
            await client.http.aclose()
    return month


async def _schedule_night(month: Month, on: date) -> None:
    began = time.perf_counter()
    with month.timed("the nightly schedule"):
        async with open_once(month.system.environment["ZOUFANG_DATABASE_URL"]) as session:
            await schedule_reviews(
                session, COUNTY, datetime(on.year, on.month, on.day, 19, tzinfo=UTC) - timedelta(days=1)
            )
    month.slowest_night_s = max(month.slowest_night_s, time.perf_counter() - began)


async def _review(month: Month) -> None:
    """Wait for the workers, then let the desks decide until no visit is left."""
    with month.timed("workers: waiting for all jobs"):
        await asyncio.to_thread(month.system.wait_for_jobs)
    with month.timed("desks: leases and decisions"):
        await asyncio.gather(*(_decide_all(month, desk) for desk in month.desks))
    await asyncio.to_thread(month.system.wait_for_jobs)


def _sign_in_phone(system: System, login: str, role: StaffRole) -> Phone:
    signed_in = sign_in(system.url, login, DEMO_PASSWORDS[role])
    headers = {"Authorization": f"Bearer {signed_in['accessToken']}"}
    return Phone(signed_in["personId"], httpx.AsyncClient(base_url=system.url, headers=headers, timeout=60))


def _list_reviewers(system: System) -> list[tuple[str, StaffRole]]:
    """Return login and role of everyone who may review the entire county."""
    with system.connect() as connection:
        rows = connection.execute(
            "SELECT s.login, r.role FROM staff s JOIN staff_role r ON r.staff_id = s.id"
            " WHERE r.role IN ('supervisor', 'county_officer') AND length(r.area_code) <= 6 ORDER BY s.login"
        )
        return [(login, role) for login, role in rows]


def _load_due_stops(system: System, on: date) -> list[Stop]:
    """Return the day's stops of the day plans, each with its home and pair."""
    with system.connect() as connection:
        rows = connection.execute(
            "SELECT a.id, h.id, right(h.number, 6)::int %% 250 %% %s, h.latitude, h.longitude FROM assignment a"
            " JOIN household h ON h.id = a.household_id JOIN day_plan_stop s ON s.assignment_id = a.id"
            " WHERE a.state = 'open' AND s.day = %s AND h.number LIKE 'M-%%'",
            (PAIRS, on),
        )
        return [Stop(*row) for row in rows]


async def _make_visits(month: Month, due: list[Stop], on: date) -> None:
    """Push each pair's visits at once, as a phone does at the end of its day, and the partner's attestations."""
    gate = asyncio.Semaphore(CONCURRENCY)

    async def run_pair(pair: int, stops: list[Stop]) -> None:
        author, partner = month.phones[2 * pair], month.phones[2 * pair + 1]
        visits = [_visit(author.id, partner.id, stop, on, n) for n, stop in enumerate(stops)]
        month.visits |= {visit["id"]: (pair, visit) for visit in visits}
        async with gate:
            await _push_day(month, pair, visits)

    by_pair = itertools.groupby(sorted(due, key=lambda stop: stop.pair), key=lambda stop: stop.pair)
    await asyncio.gather(*(run_pair(pair, list(stops)) for pair, stops in by_pair))


async def _push_day(month: Month, pair: int, visits: list[Json]) -> None:
    attestations = [
        {"id": str(new_id()), "visitId": visit["id"], "attestedAt": visit["endedAt"], "fix": visit["endFix"],
         "_deleted": False}
        for visit in visits
    ]  # fmt: skip
    await _push(month.phones[2 * pair], "visits", visits)
    await _push(month.phones[2 * pair + 1], "attestations", attestations)


async def _amend_returned(month: Month) -> None:
    """Push yesterday's returned visits again, amended, from the phones that made them."""
    for visit_id in month.returned:
        pair, visit = month.visits[visit_id]
        amendment = {"reason": "核对后更正", "amendedAt": utc_now().isoformat()}
        answers = visit["answers"] | {QUESTIONED: visit["answers"][QUESTIONED] + 1}
        amended = visit | {"amendment": amendment, "answers": answers}
        await _push(month.phones[2 * pair], "visits", [amended], assumed=[visit])
        month.visits[visit_id] = pair, amended
    month.amended += len(month.returned)
    month.returned.clear()


async def _run_spot_checks(month: Month, on: date) -> None:
    """Draw a plan of the month; the next pair visits each home again, and a sixth of them finds a difference."""
    desk = month.desks[0].http
    period = {"periodFrom": FIRST.isoformat(), "periodTo": on.isoformat()}
    design = {"sharePercent": CHECKED_PERCENT, "strata": ["caseworker"]}
    plan = await _post(
        desk, "/desk/v1/spot-check-plans", {"areaCode": COUNTY, "name": "月查", "design": design, **period}
    )
    await _post(desk, f"/desk/v1/spot-check-plans/{plan['id']}/draw", {"seed": "month"})
    rounds: Counter[int] = Counter()
    for check in (await _get(desk, f"/desk/v1/spot-checks?limit=200&planId={plan['id']}"))["items"]:
        pair, first = month.visits[check["visitId"]]
        second_pair = (pair + 1) % PAIRS
        author, partner = month.phones[2 * second_pair], month.phones[2 * second_pair + 1]
        team = {"staffId": author.id, "partnerId": partner.id, "dueOn": on.isoformat()}
        assigned = await _post(desk, f"/desk/v1/spot-checks/{check['id']}/team", team)
        await _push_day(
            month,
            second_pair,
            [_second_visit(first, assigned["assignmentId"], [author.id, partner.id], on, rounds[second_pair])],
        )
        rounds[second_pair] += 1
    await asyncio.to_thread(month.system.wait_for_jobs)
    compared = (await _get(desk, f"/desk/v1/spot-checks?limit=200&state=compared&planId={plan['id']}"))["items"]
    month.checks = len(compared)
    month.agreed_percent = (
        100 * sum(check["agreed"] for check in compared) / sum(check["compared"] for check in compared)
    )


def _second_visit(first: Json, assignment_id: str, people: list[str], on: date, n: int) -> Json:
    started = datetime(on.year, on.month, on.day, 1, tzinfo=UTC) + timedelta(minutes=60 * n)
    ended = started + timedelta(minutes=30)
    difference = (
        {QUESTIONED: first["answers"][QUESTIONED] + 1000} if random.Random(first["id"]).randrange(6) == 0 else {}
    )
    copy = {name: value for name, value in first.items() if name != "amendment"}
    return copy | {
        "id": str(new_id()),
        "kind": "spot_check",
        "checklistCode": f"again_{first['checklistCode']}",
        "assignmentId": assignment_id,
        "investigatorIds": people,
        "startedAt": started.isoformat(),
        "endedAt": ended.isoformat(),
        "startFix": first["startFix"] | {"capturedAt": started.isoformat()},
        "endFix": first["endFix"] | {"capturedAt": ended.isoformat()},
        "answers": first["answers"] | difference,
    }


async def _post(desk: httpx.AsyncClient, path: str, body: Json) -> Json:
    response = await desk.post(path, json=body)
    response.raise_for_status()
    document: Json = response.json()
    return document


async def _get(desk: httpx.AsyncClient, path: str) -> Json:
    response = await desk.get(path)
    response.raise_for_status()
    document: Json = response.json()
    return document


def _visit(author: str, partner: str, stop: Stop, on: date, n: int) -> Json:
    """Make a visit at the home within GPS accuracy; visits of a day start hourly from 9:00 in China."""
    chance = random.Random(str(stop.assignment))
    place = {"latitude": stop.latitude, "longitude": stop.longitude}
    visit = make_visit({"id": str(stop.home), **place}, [author, partner], chance, [])
    started = datetime(on.year, on.month, on.day, 1, tzinfo=UTC) + timedelta(minutes=60 * n)
    ended = started + timedelta(minutes=chance.randint(12, 50))
    visit |= {"assignmentId": str(stop.assignment), "startedAt": started.isoformat(), "endedAt": ended.isoformat()}
    for name, at in (("startFix", started), ("endFix", ended)):
        position = {axis: degrees + chance.gauss(0, 5e-5) for axis, degrees in place.items()}
        visit[name] |= position | {"capturedAt": at.isoformat(), "accuracyM": round(chance.uniform(4, 40), 1)}
    return visit


async def _push(phone: Phone, collection: str, documents: list[Json], assumed: list[Json] | None = None) -> None:
    rows = [{"newDocumentState": document} for document in documents]
    for row, before in zip(rows, assumed or [], strict=False):
        row["assumedMasterState"] = before
    response = await phone.http.post(f"/field/v1/sync/{collection}/1/push", json=rows)
    response.raise_for_status()
    assert response.json() == [], response.text[:500]


async def _decide_all(month: Month, desk: Phone) -> None:
    """Lease and accept visits until none is left for this reviewer; return one of fifty, once."""
    while (lease := await desk.http.post("/desk/v1/queue/claim")).status_code == httpx.codes.OK:
        visit_id = lease.json()["visitId"]
        _, visit = month.visits.get(visit_id, (0, {"amendment": None}))
        is_returned = "amendment" not in visit and random.Random(visit_id).randrange(50) == 0
        body: Json = {"outcome": "accepted", "reason": ""}
        if is_returned:
            questioned = [{"questionId": QUESTIONED, "reason": "请核对"}]
            body = {"outcome": "returned", "reason": "请核对", "questioned": questioned}
        response = await desk.http.post(f"/desk/v1/visits/{visit_id}/decision", json=body)
        response.raise_for_status()
        if is_returned:
            month.returned.append(visit_id)


def _count_open(system: System) -> int:
    with system.connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM visit WHERE state <> 'accepted' AND checklist_code LIKE '%bench'"
        ).fetchone()
    assert row is not None
    return int(row[0])
