"""The counters of a process are for its operators: with a token, or from the machine itself."""

import asyncio
import re
from datetime import timedelta

import httpx
import msgspec
import psycopg
import pytest
from sqlalchemy import text

from server.audit import horizon
from server.core.clock import utc_now
from server.core.database import open_session, plain_url
from server.core.paths import ROOT
from server.models.audit import AuditEntry
from tests.asgi import transport_to


def client(system, address):
    transport = transport_to(system.app)
    transport.client = (address, 50_000)
    return httpx.AsyncClient(transport=transport, base_url="http://zoufang.test")


@pytest.fixture
def token(services):
    token = "a-token-of-the-collector"
    object.__setattr__(services, "settings", msgspec.structs.replace(services.settings, metrics_token=token))
    return token


async def status(system, address, **headers):
    return (await client(system, address).get("/metrics", headers=headers)).status_code


async def test_without_a_token_only_the_machine_itself_reads_the_counters(system):
    assert await status(system, "127.0.0.1") == 200
    assert await status(system, "::1") == 200
    assert await status(system, "10.0.0.7") == 401
    assert await status(system, "203.0.113.9") == 401


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
async def test_behind_a_proxy_on_the_machine_nobody_passes_for_it(system, header):
    assert await status(system, "127.0.0.1", **{header: "203.0.113.9"}) == 401


async def test_with_a_token_whoever_sends_it_reads_the_counters_and_nobody_else(system, token):
    assert await status(system, "10.0.0.7", Authorization=f"Bearer {token}") == 200
    assert await status(system, "10.0.0.7", Authorization="Bearer another") == 401
    assert await status(system, "127.0.0.1") == 401


async def metrics(system):
    return (await client(system, "127.0.0.1").get("/metrics")).text


async def readiness(system):
    answer = await client(system, "127.0.0.1").get("/health/ready")
    assert answer.status_code == 200, "a warning takes no process out of service"
    return answer.json()


async def test_failed_jobs_are_counted_by_task_and_a_figure_of_health(system, services):
    assert "zoufang_failed_jobs{" not in await metrics(system)
    assert (await readiness(system))["jobs"] == "ok"
    async with open_session(services.sessions) as session:
        for task in ("review.examine", "review.examine", "cases.visit_decided"):
            await session.execute(
                text(
                    "INSERT INTO procrastinate_jobs (queue_name, task_name, args, status) "
                    "VALUES (:task, :task, '{}', 'failed')"
                ),
                {"task": task},
            )
    seen = await metrics(system)
    assert 'zoufang_failed_jobs{task="review.examine"} 2.0' in seen
    assert 'zoufang_failed_jobs{task="cases.visit_decided"} 1.0' in seen
    assert (await readiness(system))["jobs"] == "3 have failed for good"
    async with open_session(services.sessions) as session:
        await session.execute(text("DELETE FROM procrastinate_jobs"))
    assert "zoufang_failed_jobs{" not in await metrics(system)


async def write_news(services, *, age):
    async with open_session(services.sessions) as session:
        session.add(
            AuditEntry(
                at=utc_now() - age,
                actor_kind="system",
                action="list.exported",
                thing_kind="list",
                thing_id="x",
                facts={},
            )
        )


def age_in(seen):
    found = re.search(r"^zoufang_feed_horizon_age_seconds (\S+)$", seen, re.MULTILINE)
    assert found is not None
    return float(found[1])


async def nothing_is_held_back(system):
    """Tests beside this one have transactions of their own in the same cluster, for moments."""
    async with asyncio.timeout(30):
        while age_in(await metrics(system)) > 5:  # noqa: ASYNC110  there is nothing to be woken by
            await asyncio.sleep(0.2)


async def load_horizon_of(services, pid):
    async with asyncio.timeout(30):
        while (found := await horizon.load_horizon(services.autocommit)).pid != pid:  # noqa: ASYNC110  as above
            await asyncio.sleep(0.2)
    return found


async def test_a_forgotten_transaction_is_a_metric_and_a_warning_of_health_with_its_age(system, services, settings):
    await write_news(services, age=timedelta(hours=2))
    await nothing_is_held_back(system)
    assert (await readiness(system))["news"] == "ok"
    async with await psycopg.AsyncConnection.connect(plain_url(settings.database_url)) as forgotten:
        await forgotten.execute("SELECT pg_current_xact_id()")
        await asyncio.sleep(1.1)
        assert age_in(await metrics(system)) > 1, "its own age, before there is any news"
        await write_news(services, age=timedelta(seconds=95))
        assert 94 < age_in(await metrics(system)) < 150
        assert (await load_horizon_of(services, forgotten.info.backend_pid)).is_late
        assert re.fullmatch(r"held back for \d+ s", (await readiness(system))["news"])
    await nothing_is_held_back(system)
    assert (await readiness(system))["news"] == "ok"


async def test_without_the_tables_the_figures_are_unknown_and_the_metrics_answer(system, services):
    async with open_session(services.sessions) as session:
        await session.execute(text("ALTER TABLE procrastinate_jobs RENAME TO procrastinate_jobs_away"))
    try:
        assert "python_info" in await metrics(system)
        assert (await readiness(system))["jobs"] == "unknown"
    finally:
        async with open_session(services.sessions) as session:
            await session.execute(text("ALTER TABLE procrastinate_jobs_away RENAME TO procrastinate_jobs"))


async def test_alerts_and_dashboard_ask_only_for_what_is_measured(system):
    shown = (await client(system, "127.0.0.1").get("/metrics")).text
    shown += (await client(system, "127.0.0.1").get("/metrics")).text  # the first counts the one before
    measured = set(re.findall(r"^# TYPE (\S+)", shown, re.MULTILINE))
    for name in ("alerts.yml", "grafana-dashboard.json"):
        queried = set(re.findall(r"\b(?:zoufang|process)_[a-z_]+", (ROOT / "deploy" / name).read_text()))
        assert {metric.removesuffix("_bucket").removesuffix("_total") for metric in queried} <= {
            metric.removesuffix("_total") for metric in measured
        }
