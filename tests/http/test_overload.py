"""What many or slow requests may take of a process: connections of the database, open sockets, the event loop."""

import asyncio
import resource
import time
from copy import copy
from typing import Any

import psycopg
import pytest
from litestar import Request
from litestar.types import Receive, Scope, Send
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from field_api.uploads.body import Body
from server.core import passwords
from server.core.clock import utc_now
from server.core.database import open_session, plain_url
from server.core.errors import Problem
from server.http import slow_bodies
from server.http.rate_limit import count_attempt, count_failure
from server.http.slow_bodies import BodyLimits
from tests.connections import as_request, one_connection_each

SCOPE: Any = {"type": "http", "method": "POST", "path": "/", "headers": [], "client": ("10.0.0.1", 1)}


async def answer_after_body(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the whole body, then answer."""
    while (await receive()).get("more_body"):
        pass


def half_sent(gate: asyncio.Event) -> Any:
    """A body of which the first half comes at once and the second when the gate opens."""
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}])

    async def receive() -> Any:
        if (message := next(messages, None)) is not None:
            return message
        await gate.wait()
        return {"type": "http.request", "body": b"}", "more_body": False}

    return receive


async def ignore(_: Any) -> None:
    pass


# -- database connections


async def test_the_watch_over_pools_sees_a_request_that_takes_a_second_connection(services):
    async def greedy(scope: Scope, receive: Receive, send: Send) -> None:
        async with services.sessions() as first, services.sessions() as second:
            await first.execute(text("SELECT 1"))
            await second.execute(text("SELECT 1"))

    with one_connection_each() as requests_with_two:
        await as_request(greedy)(copy(SCOPE), half_sent(asyncio.Event()), ignore)
        assert requests_with_two == ["/"]


async def test_wrong_sign_ins_bindings_and_look_ups_hold_one_connection_each(system, phone):
    """`system` checks each request; these are the ones that write although they fail."""
    device = {"label": "测试机", "hardwareId": "x"}
    client = system.client()
    for _ in range(3):
        for path, body in (
            ("/auth/v1/staff/sign-in", {"login": "nobody", "password": "wrong", "device": device}),
            ("/public/v1/complaints/status", {"number": "TS0", "code": "00000000"}),
            ("/public/v1/objections/status", {"number": "YY0", "code": "00000000"}),
        ):
            assert (await client.post(path, json=body)).status_code < 500
    bound = await phone.http.post("/auth/v1/resident/bind", json={"idNumber": "x", "applicationNumber": "y"})
    assert bound.status_code < 500


async def test_seven_times_as_many_wrong_attempts_as_connections_all_get_their_answer(services):
    """Each of them holds a connection when it fails; with a second one, all would wait for each other."""
    size = services.connections.max_size

    async def fail(number: int) -> None:
        async with services.sessions() as session:
            await session.execute(text("SELECT 1"))
            await count_failure(session, services.encryption, [f"address:{number}"], utc_now())
            await count_attempt(session, services.encryption, [f"address:{number}"], 10, utc_now())

    await asyncio.wait_for(asyncio.gather(*(fail(number) for number in range(7 * size))), 20)
    async with services.sessions() as session:
        assert await session.scalar(text("SELECT count(*) FROM attempt_window WHERE attempts = 2")) == 7 * size


async def test_a_lock_on_a_table_answers_503_in_seconds_and_not_after_the_statement_timeout(system, desk, services):
    async with open_session(services.sessions) as session:
        await session.execute(text("LOCK TABLE household IN ACCESS EXCLUSIVE MODE"))
        started = time.monotonic()
        answer = await desk.http.get("/desk/v1/households")
        assert (answer.status_code, answer.json()["code"]) == (503, "server.busy")
        assert int(answer.headers["Retry-After"]) > 0
        assert time.monotonic() - started < 15
        assert (await desk.http.get("/auth/v1/me")).status_code == 200
    assert (await desk.http.get("/desk/v1/households")).status_code == 200


async def test_a_read_only_server_and_a_connection_lost_inside_a_request_answer_503(
    system, desk, services, monkeypatch
):
    async with open_session(services.sessions) as session:
        await session.execute(text("SET TRANSACTION READ ONLY"))
        with pytest.raises(DBAPIError, match="read-only") as failure:
            await session.execute(text("UPDATE area SET name = name"))
        await session.rollback()
    lost = psycopg.OperationalError("the connection is lost")
    for error in (failure.value, ExceptionGroup("cleanup", [ValueError("x"), ExceptionGroup("inner", [lost])])):

        async def break_down(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr("server.identity.devices.list_devices", break_down)
        answer = await desk.http.get("/auth/v1/devices")
        assert (answer.status_code, answer.json()["code"]) == (503, "server.busy")


async def test_a_session_whose_server_process_ends_inside_a_request_answers_503(system, desk, services, monkeypatch):
    async def lose_connection(session: Any, *_: Any) -> list[Any]:
        pid = await session.scalar(text("SELECT pg_backend_pid()"))
        async with await psycopg.AsyncConnection.connect(plain_url(services.settings.database_url)) as other:
            await other.execute("SELECT pg_terminate_backend(%s)", (pid,))
        await asyncio.sleep(0.2)
        return []

    monkeypatch.setattr("server.identity.devices.list_devices", lose_connection)
    answer = await desk.http.get("/auth/v1/devices")
    assert (answer.status_code, answer.json()["code"]) == (503, "server.busy")


# -- the event loop


async def test_passwords_are_hashed_off_the_event_loop_a_few_at_a_time_and_the_rest_is_turned_away(monkeypatch):
    at_once = most = 0

    def hash_slowly(stored: str | None, password: str) -> bool:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.05)
        at_once -= 1
        return password == "right"

    monkeypatch.setattr(passwords, "verify_password", hash_slowly)
    monkeypatch.setattr(passwords, "MAX_WAITING", 6)
    checks = [asyncio.ensure_future(passwords.check_password(None, "right")) for _ in range(8)]
    await asyncio.sleep(0)
    ticks = 0
    while not all(check.done() for check in checks):
        await asyncio.sleep(0.005)
        ticks += 1
    results = [check.exception() or check.result() for check in checks]
    assert ticks > 5, "the loop went on meanwhile"
    assert most <= passwords._threads._max_workers
    assert results[:6] == [True] * 6
    assert [result.code for result in results[6:] if isinstance(result, Problem)] == ["server.busy"] * 2


# -- bodies


async def test_bodies_on_their_way_are_bounded_by_address_and_end_when_they_are_complete():
    app, gate = BodyLimits(answer_after_body), asyncio.Event()
    limit = slow_bodies.MAX_ANONYMOUS_PER_ADDRESS
    running = [asyncio.create_task(app(copy(SCOPE), half_sent(gate), ignore)) for _ in range(limit)]
    await asyncio.sleep(0.01)
    with pytest.raises(Problem, match="too_many_open"):
        await app(copy(SCOPE), half_sent(gate), ignore)
    other_address: Any = {**SCOPE, "client": ("10.0.0.2", 1)}
    elsewhere = asyncio.create_task(app(other_address, half_sent(gate), ignore))
    signed_in: Any = {**SCOPE, "headers": [(b"authorization", b"Bearer x")]}
    with_token = asyncio.create_task(app(signed_in, half_sent(gate), ignore))
    await asyncio.sleep(0.01)
    gate.set()
    await asyncio.gather(*running, elsewhere, with_token)
    await app(copy(SCOPE), half_sent(gate), ignore)


async def test_an_office_behind_one_address_may_sign_in_at_the_same_moment():
    """Thirty bodies that are whole already, while their answers take long; and strangers hold every place."""
    gate, answered = asyncio.Event(), []

    async def answer_late(scope: Scope, receive: Receive, send: Send) -> None:
        if "slow" in scope:
            await asyncio.sleep(0.05)  # before the body is read: it counts that long
        message: Any = await receive()
        answered.append(message["body"])

    async def whole() -> Any:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    app = BodyLimits(answer_late)
    limit = slow_bodies.MAX_ANONYMOUS_PER_ADDRESS
    office: Any = {**SCOPE, "slow": True}
    await asyncio.gather(*(app(copy(office), whole, ignore) for _ in range(2 * limit)))
    assert answered == [b"{}"] * 2 * limit
    reading = BodyLimits(answer_after_body)
    strangers = [asyncio.create_task(reading(copy(SCOPE), half_sent(gate), ignore)) for _ in range(limit)]
    await asyncio.sleep(0.01)
    await reading(copy(SCOPE), whole, ignore)
    gate.set()
    await asyncio.gather(*strangers)


async def test_a_process_takes_no_more_bodies_at_once_than_it_has_sockets_for(monkeypatch):
    monkeypatch.setattr(slow_bodies, "MAX_IN_PROCESS", 40)
    app, gate, refused = BodyLimits(answer_after_body), asyncio.Event(), 0
    tasks = []
    for number in range(1100):
        scope: Any = {**SCOPE, "client": (f"10.1.{number // 250}.{number % 250}", 1)}
        tasks.append(asyncio.create_task(app(scope, half_sent(gate), ignore)))
    await asyncio.sleep(0.05)
    refused = sum(task.done() for task in tasks)
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert refused == 1100 - 40


async def test_a_body_that_comes_too_slowly_is_ended_and_a_slow_but_steady_one_is_not(monkeypatch):
    monkeypatch.setattr(slow_bodies, "GRACE_SECONDS", 0.05)
    with pytest.raises(Problem, match="too_slow"):
        await BodyLimits(answer_after_body)(copy(SCOPE), half_sent(asyncio.Event()), ignore)

    pieces = iter([True] * 6 + [False])

    async def steady() -> Any:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": bytes(100), "more_body": next(pieces)}

    await BodyLimits(answer_after_body)(copy(SCOPE), steady, ignore)


async def test_an_upload_that_comes_too_slowly_keeps_the_bytes_that_came(monkeypatch):
    monkeypatch.setattr(slow_bodies, "GRACE_SECONDS", 0.05)
    kept: list[bytes] = []

    async def take(scope: Scope, receive: Receive, send: Send) -> None:
        body = Body(Request(scope, receive))
        kept.extend([piece async for piece in body.pieces()])
        assert body.was_cut

    await BodyLimits(take)(copy(SCOPE), half_sent(asyncio.Event()), ignore)
    assert kept == [b"{"]


async def test_a_half_sent_body_gets_408_in_our_own_form(app, services, monkeypatch):
    monkeypatch.setattr(slow_bodies, "GRACE_SECONDS", 0.1)
    app.state.services = services
    answer: list[Any] = []

    async def keep(message: Any) -> None:
        answer.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    scope = {**SCOPE, "path": "/auth/v1/staff/sign-in", "raw_path": b"", "query_string": b"", "headers": headers,
             "http_version": "1.1", "scheme": "http", "server": ("x", 80), "root_path": "", "app": app}  # fmt: skip
    await app(scope, half_sent(asyncio.Event()), keep)
    assert answer[0]["status"] == 408
    assert b"request.too_slow" in answer[1]["body"]


# -- idle connections


@pytest.fixture
def many_files():
    """Open files for a thousand connections and more, which a shell's usual limit does not grant."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_process_holds_more_idle_connections_than_the_http_server_does_by_itself(live, many_files):
    """Every idle phone holds one; behind the 1,024th the process would answer nobody any more."""
    held = []
    try:
        for _ in range(1100):
            reader, writer = await asyncio.open_connection("127.0.0.1", live.port)
            held.append(writer)
            writer.write(b"GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n")
            assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 200"), len(held)
    finally:
        for writer in held:
            writer.close()


async def test_a_request_needs_no_thread_of_its_own(system, monkeypatch):
    """What Litestar takes for blocking goes to a thread on every request: a seventh of a push's time, once."""
    desk = await system.sign_in_at_desk("panhuaixu", "town_officer")
    given: list[str] = []
    run = asyncio.BaseEventLoop.run_in_executor

    def record(loop, executor, function, *arguments):
        given.append(repr(function))
        return run(loop, executor, function, *arguments)

    monkeypatch.setattr(asyncio.BaseEventLoop, "run_in_executor", record)
    assert (await desk.http.get("/desk/v1/households")).status_code == 200
    assert given == []
