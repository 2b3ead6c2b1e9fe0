"""Idle phones on one API process, each with one open stream, and a storm of sign-ins: what others notice of them."""

import asyncio
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import httpx

from bench.load import LoadResult, Request, run_load
from bench.rows import Row
from bench.system import System, running_system, sign_in
from server.core.clock import today, utc_now
from server.core.keys import read_ring
from server.core.tokens import AccessClaims, issue_access_token
from server.demo.county import build_county
from server.demo.staff import DEMO_PASSWORDS

PHONES = 5000
SIGN_INS = 30
ME = "/auth/v1/me"
STREAM = "/field/v1/sync/stream"
# Connections that the client and the API need beside those of the phones.
_SPARE_FILES = 300
# Phones that connect at once: more would fill the listening socket's queue.
_ABREAST = 50
_CONNECTIONS = 4
_OPENING_LIMIT_S = 180.0
_ANSWER_LIMIT_S = 30.0

# A caseworker with a phone each, as a province would have them.
_FILL = """
WITH people AS (
    INSERT INTO staff (id, login, name) SELECT uuidv7(), 'idle-' || n, 'idle ' || n FROM generate_series(1, %(count)s) n
    RETURNING id
), roles AS (
    INSERT INTO staff_role (id, staff_id, role, area_code, granted_at)
    SELECT uuidv7(), id, 'caseworker', (SELECT min(code) FROM area WHERE length(code) = 12), now() FROM people
)
INSERT INTO device (id, staff_id, label, platform, app_version, created_at)
SELECT uuidv7(), id, 'bench', 'web', '', now() FROM people RETURNING id, staff_id
"""


class Phone(NamedTuple):
    device_id: UUID
    staff_id: UUID


def measure(seconds: float, phones: int = PHONES) -> Iterator[Row]:
    granted = _raise_open_files(phones + _SPARE_FILES)
    if granted < phones + _SPARE_FILES:
        phones = max(0, granted - _SPARE_FILES)
        yield Row("idle phones", f"{phones}", "", "", f"the hard limit of {granted} open files allows no more")
    with running_system(workers=0) as system:
        yield from asyncio.run(_measure(system, seconds, phones))


def _raise_open_files(needed: int) -> int:
    """Raise the soft limit, which the API inherits, as far as needed and allowed. Return what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return needed if soft == resource.RLIM_INFINITY else soft


async def _measure(system: System, seconds: float, phones: int) -> list[Row]:
    caseworker = next(person for person in build_county(today=today()).staff if person.role == "caseworker")
    token = sign_in(system.url, caseworker.login, DEMO_PASSWORDS["caseworker"])["accessToken"]
    alone = await _ask_who_i_am(system, token, seconds)
    floor = await _ask_nothing(system, token, seconds)
    storm_alone = await _storm(system, token, seconds)
    memory = system.api_memory_mb()
    streams = _Streams(system.url, _make_tokens(system, phones))
    try:
        took_s = await streams.open()
        beside = await _ask_who_i_am(system, token, seconds)
        cpu_before = system.cpu_seconds()
        await asyncio.sleep(seconds)
        idle_cpu = (system.cpu_seconds() - cpu_before) / seconds
        storm_beside = await _storm(system, token, seconds)
        still_open = streams.count_open()
    finally:
        await streams.close()
    bare = f"{floor.percentile_ms(0.99):.0f} ms `/health/live`"
    name = f"{still_open} of {phones} idle phones"
    return [
        Row(f"p99 of `{ME}`, no phone connected", _p99(alone), bare, _ratio(alone, floor)),
        Row(f"p99 of `{ME}` beside {name}", _p99(beside), _p99(alone), _ratio(beside, alone), "no rise"),
        Row(f"p99 of `{ME}` while {SIGN_INS} sign in at once", *storm_alone.cells(alone), "< 200 ms"),
        Row(f"the same beside {name}", *storm_beside.cells(beside), "< 200 ms"),
        Row(f"{phones} streams opened in", f"{took_s:.1f} s"),
        Row(f"CPU of API and database for {name}", f"{idle_cpu:.2f} cores"),
        Row(f"API memory beside {name}", f"{system.api_memory_mb():.0f} MB", f"{memory:.0f} MB before"),
    ]


def _p99(result: LoadResult) -> str:
    failures = f", {result.failed} FAILED: {result.first_failure}" if result.failed else ""
    return f"{result.percentile_ms(0.99):.0f} ms ({result.rate:.0f}/s){failures}"


def _ratio(result: LoadResult, reference: LoadResult) -> str:
    base = reference.percentile_ms(0.99)
    return f"{result.percentile_ms(0.99) / base:.2f}" if base else ""


async def _ask_who_i_am(system: System, token: str, seconds: float) -> LoadResult:
    return await _ask(system, token, ME, seconds)


async def _ask_nothing(system: System, token: str, seconds: float) -> LoadResult:
    """The floor: the same requests to an address that does nothing."""
    return await _ask(system, token, "/health/live", seconds)


async def _ask(system: System, token: str, path: str, seconds: float) -> LoadResult:
    def requests() -> Iterator[Request]:
        while True:
            yield "GET", path, "application/json", b""

    return await run_load(system.url, token, requests, connections=_CONNECTIONS, seconds=seconds, warm_up=1.0)


class _Storm(NamedTuple):
    others: LoadResult
    signed_in: int
    took_s: float

    def cells(self, calm: LoadResult) -> tuple[str, str, str]:
        done = f"{_p99(self.others)}; {self.signed_in} signed in, {self.took_s:.1f} s"
        return done, _p99(calm), _ratio(self.others, calm)


async def _storm(system: System, token: str, seconds: float) -> _Storm:
    """Let many sign in at the same moment, and ask beside them until the last has its answer."""
    logins = [person.login for person in build_county(today=today()).staff if person.role == "caseworker"]
    others = asyncio.create_task(_ask_who_i_am(system, token, min(seconds, 10.0)))
    await asyncio.sleep(1.5)  # past the warm-up
    started = time.perf_counter()
    async with httpx.AsyncClient(base_url=system.url, timeout=60) as client:
        answers = await asyncio.gather(
            *(
                client.post(
                    "/auth/v1/staff/sign-in",
                    json={
                        "login": logins[n % len(logins)],
                        "password": DEMO_PASSWORDS["caseworker"],
                        "device": {"label": "bench", "hardwareId": f"storm-{n}"},
                    },
                )
                for n in range(SIGN_INS)
            )
        )
    took_s = time.perf_counter() - started
    return _Storm(await others, sum(answer.is_success for answer in answers), took_s)


def _make_tokens(system: System, phones: int) -> list[str]:
    with system.connect() as connection:
        rows = connection.execute(_FILL, {"count": phones}).fetchall()
    ring = read_ring("ZOUFANG_TOKEN_KEYS", system.environment["ZOUFANG_TOKEN_KEYS"])
    now = utc_now()
    tokens: list[str] = []
    for phone in (Phone(*row) for row in rows):
        claims = AccessClaims(phone.staff_id, phone.device_id, is_resident=False)
        tokens.append(issue_access_token(ring, claims, now=now, minutes=60))
    return tokens


class _Streams:
    """Phones that hold one stream each and read whatever comes."""

    def __init__(self, url: str, tokens: Sequence[str]) -> None:
        self._address = urlsplit(url)
        self._tokens = tokens
        self._gate = asyncio.Semaphore(_ABREAST)
        self._opened = asyncio.Event()
        self._open = 0
        self._settled = 0
        self._phones: list[asyncio.Task[None]] = []

    async def open(self) -> float:
        """Return after how many seconds every phone has its stream or was refused, or after the time for that."""
        started = time.perf_counter()
        self._phones = [asyncio.create_task(self._listen(token)) for token in self._tokens]
        with suppress(TimeoutError):
            await asyncio.wait_for(self._opened.wait() if self._tokens else asyncio.sleep(0), _OPENING_LIMIT_S)
        return time.perf_counter() - started

    def count_open(self) -> int:
        return self._open

    async def close(self) -> None:
        for phone in self._phones:
            phone.cancel()
        await asyncio.gather(*self._phones, return_exceptions=True)

    async def _listen(self, token: str) -> None:
        async with self._gate:
            reader, writer = await self._connect(token)
        if reader is None or writer is None:
            return
        self._open += 1
        try:
            while await reader.read(4096):
                pass
        finally:
            self._open -= 1
            writer.close()

    async def _connect(self, token: str) -> tuple[asyncio.StreamReader | None, asyncio.StreamWriter | None]:
        try:
            reader, writer = await asyncio.open_connection(self._address.hostname, self._address.port)
            request = (
                f"GET {STREAM} HTTP/1.1\r\nHost: {self._address.netloc}\r\nAuthorization: Bearer {token}\r\n"
                "Accept: text/event-stream\r\n\r\n"
            )
            writer.write(request.encode())
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _ANSWER_LIMIT_S)
            is_open = head.split()[1] == b"200"
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return None, None
        finally:
            self._settled += 1
            if self._settled == len(self._tokens):
                self._opened.set()
        if is_open:
            return reader, writer
        writer.close()
        return None, None
