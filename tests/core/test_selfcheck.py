"""The self-check of a running system: what it says of a sound one, and that each planted fault turns its line."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta

import msgspec
import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from server import audit
from server.__main__ import main
from server.audit.horizon import Horizon
from server.cli.migrate import migrate
from server.cli.selfcheck import (
    check_addresses,
    check_audit_head,
    check_backup,
    check_database,
    check_jobs,
    check_key_files,
    check_keys,
    check_metrics,
    judge_calendar,
    judge_horizon,
    run_selfcheck,
)
from server.cli.selfcheck_lines import judge_clock
from server.cli.selfcheck_store import check_store
from server.core.clock import today, utc_now
from server.core.database import open_session, plain_url
from server.core.database_roles import set_up_roles
from server.core.services import open_services
from server.core.working_days import is_published
from server.models.areas import CalendarDay
from server.models.audit import AuditEntry
from tests.conftest import environment
from tests.core.test_database_roles import LOGINS, as_roles
from tests.http.test_metrics import load_horizon_of


def levels(lines):
    return {(line.part, line.level) for line in lines}


async def collect(lines):
    return levels([line async for line in lines])


@pytest.fixture
def divided(settings, postgres):
    """The settings of a system whose application has a role of its own."""
    divided = as_roles(settings, postgres, settings.database_url.rpartition("/")[2])
    set_up_roles(divided.admin_database_url, **LOGINS)
    migrate(divided)
    return msgspec.structs.replace(divided, admin_database_url="")


async def test_a_sound_system_is_red_only_for_what_is_planted(divided, tmp_path):
    marker = tmp_path / "last-backup"
    marker.touch()
    sound = msgspec.structs.replace(
        divided, backup_marker=str(marker), wechat_base_url="https://wechat.test", metrics_token="t" * 43
    )
    async with open_services(sound) as services, open_session(services.sessions) as session:
        await audit.seal(session, services.audit_signer)
        await session.execute(text("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (clock_timestamp())"))
        # Whatever the day: the working days of the next months are known.
        days = (today() + timedelta(days=number) for number in range(200))
        session.add_all(CalendarDay(day=day, is_working=True, source="测试") for day in days)
    lines = await run_selfcheck(sound, {})
    # The embedded store has one key for everything and encrypts nothing itself.
    assert {(line.part, line.level) for line in lines if line.level != "ok"} == {("store", "warn")}
    assert {line.part for line in lines} >= {"database", "keys", "store", "addresses", "jobs", "backup", "audit trail"}
    assert all(line.advice for line in lines if line.level != "ok")


async def test_the_database_s_faults_are_red(settings, divided, services):
    async with services.sessions() as session:
        assert ("database", "bad") in await collect(check_database(session, settings))  # the superuser of the tests
    async with open_services(divided) as separate, open_session(separate.sessions) as session:
        assert ("database", "bad") not in await collect(check_database(session, divided))
        reading = msgspec.structs.replace(divided, unbound_values="read")
        assert ("sealed values", "warn") in await collect(check_database(session, reading))
        await session.execute(text("UPDATE household SET phone_sealed = 'p1:xxxx'::bytea"))
        assert ("sealed values", "bad") in await collect(check_database(session, divided))


async def test_failed_jobs_a_missing_worker_and_a_cut_trail_are_named(services):
    async with services.sessions() as session:
        assert await collect(check_jobs(session)) == {("jobs", "ok"), ("worker", "bad")}
        await session.execute(
            text(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args, status)"
                " VALUES ('q', 'photos.process', '{}', 'failed')"
            )
        )
        assert ("jobs", "warn") in await collect(check_jobs(session))
    async with services.sessions() as session:
        assert ("audit trail", "bad") in await collect(check_audit_head(session, services))
        await audit.seal(session, services.audit_signer)
        assert await collect(check_audit_head(session, services)) == {("audit trail", "ok")}
        await audit.seal(session, services.receipts)
        await session.execute(text("ALTER TABLE audit_seal DISABLE TRIGGER audit_seal_is_append_only"))
        await session.execute(text("UPDATE audit_seal SET signature = 'forged'"))
        session.expire_all()
        assert ("audit trail", "bad") in await collect(check_audit_head(session, services))


async def test_a_store_that_answers_strangers_or_is_out_of_step_is_red(services, monkeypatch):
    store = services.store
    assert ("store", "bad") not in await collect(check_store(store))
    ask = store._try_request

    def open_to_all(method, bucket, key, signed):
        return ask(method, bucket, key, signed=True)

    monkeypatch.setattr(store, "_try_request", open_to_all)
    assert ("store", "bad") in await collect(check_store(store))
    assert [key async for key in store.list_keys("conformance/")] == []


def test_a_calendar_that_ends_soon_is_named():
    unpublished = next(year for year in range(2020, 2100) if not is_published(year))
    ends = datetime(unpublished, 1, 1, 4, tzinfo=UTC)
    level = {days: judge_calendar(ends - timedelta(days=days), {}).level for days in (-1, 0, 1, 120, 122)}
    assert level == {-1: "bad", 0: "bad", 1: "warn", 120: "warn", 122: "ok"}
    named = {ends.date() + timedelta(days=number): True for number in range(130)}
    assert judge_calendar(ends, named).level == "ok"


def test_clocks_apart_are_named():
    apart = {seconds: judge_clock("store", timedelta(seconds=seconds)).level for seconds in (0, -1, 5, -30, 90, -900)}
    assert apart == {0: "ok", -1: "ok", 5: "warn", -30: "warn", 90: "bad", -900: "bad"}


def test_keys_that_serve_twice_or_may_be_read_by_everyone_are_red(settings, tmp_path):
    assert levels(check_keys(settings)) == {("keys", "ok")}
    same = msgspec.structs.replace(settings, audit_keys=settings.receipt_keys)
    assert levels(check_keys(same)) == {("keys", "bad")}
    assert levels(check_keys(msgspec.structs.replace(settings, s3_secret_key="minioadmin"))) == {("keys", "bad")}
    file = tmp_path / "pii_keys"
    file.write_text("p1:x")
    for mode, expected in ((0o600, set()), (0o640, set()), (0o660, {("keys", "warn")}), (0o644, {("keys", "bad")})):
        file.chmod(mode)
        assert levels(check_key_files({"ZOUFANG_PII_KEYS_FILE": str(file)})) == expected, oct(mode)


def test_addresses_without_tls_are_red(settings):
    local = msgspec.structs.replace(settings, wechat_base_url="https://wechat.test", metrics_token="t" * 43)
    assert levels(check_addresses(local)) == {("addresses", "ok")}
    for change in (
        {"s3_public_endpoint": "http://photos.test"},
        {"wechat_base_url": "http://wechat.test"},
        {"allowed_origins": "https://desk.test,http://other.test"},
    ):
        assert levels(check_addresses(msgspec.structs.replace(local, **change))) == {("addresses", "bad")}, change
    assert levels(check_addresses(msgspec.structs.replace(local, host="0.0.0.0"))) == {("addresses", "warn")}


def test_an_old_or_missing_backup_is_named(settings, tmp_path):
    marker = tmp_path / "last-backup"
    marked = msgspec.structs.replace(settings, backup_marker=str(marker))
    assert (check_backup(settings).level, check_backup(marked).level) == ("warn", "bad")
    for hours, expected in ((0, "ok"), (25, "ok"), (30, "warn"), (200, "bad")):
        marker.touch()
        then = (utc_now() - timedelta(hours=hours)).timestamp()
        os.utime(marker, (then, then))
        assert check_backup(marked).level == expected, hours


async def test_the_command_exits_by_the_worst_line_and_prints_json(settings):
    def run(*words):
        return CliRunner().invoke(main, ["selfcheck", *words], env=environment(settings))

    table, listed = await asyncio.to_thread(run), await asyncio.to_thread(run, "--json")
    assert (table.exit_code, listed.exit_code) == (1, 1)
    assert "superuser" in table.output
    lines = json.loads(listed.output)
    assert {"part", "level", "seen", "advice"} == set(lines[0])
    unreachable = msgspec.structs.replace(settings, database_url="postgresql://nobody:x@127.0.0.1:1/none")
    result = await asyncio.to_thread(CliRunner().invoke, main, ["selfcheck", "--json"], env=environment(unreachable))
    assert result.exit_code == 1
    assert ("database", "bad") in {(line["part"], line["level"]) for line in json.loads(result.output)}


async def test_a_transaction_left_open_by_another_role_is_named_with_its_process_and_age(divided, settings):
    async with open_services(divided) as services:
        assert judge_horizon(Horizon(0.1, None, None, None)).level == "ok"
        async with await psycopg.AsyncConnection.connect(plain_url(settings.database_url)) as forgotten:
            await forgotten.execute("SELECT pg_current_xact_id()")
            async with open_session(services.sessions) as session:
                held = {"actor_kind": "system", "action": "list.exported", "thing_kind": "list", "thing_id": "x"}
                session.add(AuditEntry(at=utc_now() - timedelta(minutes=2), facts={}, **held))
            pid = forgotten.info.backend_pid
            found = await load_horizon_of(services, pid)
            line = judge_horizon(found)
            assert line.level == "warn"
            assert f"for {found.age_s:.0f} s by process {pid}" in line.seen
            assert 119 < found.age_s < 150
            assert f"pg_terminate_backend({pid})" in line.advice
            assert judge_horizon(found._replace(held_back_s=700)).level == "bad"


async def test_a_session_that_leaves_a_transaction_open_is_ended_whoever_it_is(divided, settings):
    async with await psycopg.AsyncConnection.connect(plain_url(settings.database_url)) as operator:
        limit = await (await operator.execute("SHOW idle_in_transaction_session_timeout")).fetchone()
        assert limit == ("10min",)


def test_metrics_that_others_may_read_are_named(settings):
    def judge(**changes):
        return check_metrics(msgspec.structs.replace(settings, **changes)).level

    assert judge(metrics_token="short") == "bad"
    assert judge(metrics_token="a-token-that-was-drawn") == "ok"
    assert judge(metrics_token="", host="127.0.0.1", trusted_proxies="") == "warn"
    assert judge(metrics_token="", host="127.0.0.1", trusted_proxies="127.0.0.1") == "ok"
