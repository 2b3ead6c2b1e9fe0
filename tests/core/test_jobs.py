"""Jobs over a rolling deploy: an old worker leaves to the new ones what it does not know."""

import asyncio
import contextlib

import pytest
from sqlalchemy import text

from server.core import jobs
from server.core.database import open_session
from server.worker import run_worker


async def queued(services):
    async with services.sessions() as session:
        rows = await session.execute(text("SELECT task_name, status::text, attempts FROM procrastinate_jobs"))
        return {name: (status, attempts) for name, status, attempts in rows}


@pytest.fixture
async def new_and_old_job(services):
    async with open_session(services.sessions) as session:
        await jobs.defer(session, "tomorrow.greet", whom="甘禾")
        await jobs.defer(session, "audit.seal")


async def test_a_job_of_a_newer_version_waits_for_a_worker_that_knows_it(
    system, services, new_and_old_job, monkeypatch
):
    await system.run_jobs()
    assert (await queued(services))["tomorrow.greet"] == ("todo", 0)
    greeted = []

    async def greet(services, *, whom):
        greeted.append(whom)

    monkeypatch.setitem(jobs.TASKS, "tomorrow.greet", jobs.RegisteredTask(greet, None))
    await system.run_jobs()
    assert greeted == ["甘禾"]
    assert (await queued(services))["tomorrow.greet"][0] == "succeeded"


async def test_the_worker_process_does_what_it_knows_and_leaves_the_rest(services, new_and_old_job):
    worker = asyncio.create_task(run_worker(services.settings))
    async with asyncio.timeout(20):
        while "audit.seal" in await queued(services):  # noqa: ASYNC110  the database tells of no end
            await asyncio.sleep(0.1)
    assert (await queued(services))["tomorrow.greet"] == ("todo", 0)
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker


async def test_what_was_queued_before_each_task_had_a_queue_is_still_done(system, services, new_and_old_job):
    async with open_session(services.sessions) as session:
        await session.execute(text("UPDATE procrastinate_jobs SET queue_name = 'default'"))
        await session.execute(text("DELETE FROM procrastinate_jobs WHERE task_name = 'tomorrow.greet'"))
    await system.run_jobs()
    assert (await queued(services))["audit.seal"][0] == "succeeded"
