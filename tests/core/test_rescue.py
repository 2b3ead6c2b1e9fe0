"""Jobs whose worker died: they come back a few times, are then set aside, and no error ends the rescuing."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import psycopg
from sqlalchemy import text

import server.worker
from server.core import jobs
from server.core.database import open_session
from server.core.job_types import ProcessPhoto
from server.worker import rescue_stalled

SHA256 = "ab" * 32


async def store_lost_job(services, attempts: int, arguments: dict[str, str]) -> int:
    """A job in the hands of a worker that has not sent a heartbeat for an hour."""
    async with open_session(services.sessions) as session:
        worker = await session.scalar(
            text(
                "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (clock_timestamp() - interval '1 hour') RETURNING id"
            )
        )
        number = await session.scalar(
            text(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args, status, attempts, worker_id) VALUES "
                "('evidence.examine', 'evidence.examine', CAST(:args AS jsonb), 'doing', :attempts, :worker) RETURNING id"
            ),
            {"args": json.dumps(arguments), "attempts": attempts, "worker": worker},
        )
    assert number is not None
    return number


async def state_of(services, number: int) -> tuple[str, int]:
    async with services.sessions() as session:
        row = await session.execute(
            text("SELECT status::text, attempts FROM procrastinate_jobs WHERE id = :id"), {"id": number}
        )
        return tuple(row.one())


async def rescue(services) -> None:
    app = jobs.build_worker(services)
    async with app.open_async():
        await rescue_stalled(services, app)


async def test_a_job_that_lost_several_workers_is_set_aside_with_an_error_that_says_so(services, monkeypatch):
    reported = []

    async def report(_services, job, error):
        reported.append((job.sha256, error))

    registered = jobs.TASKS["evidence.examine"]
    monkeypatch.setitem(jobs.TASKS, "evidence.examine", registered._replace(on_final_failure=report))
    number = await store_lost_job(services, 0, {"sha256": SHA256})
    last = await store_lost_job(services, jobs.MAX_RESCUES, {"sha256": SHA256})
    odd = await store_lost_job(services, jobs.MAX_RESCUES, {"no": "job of ours"})
    await rescue(services)
    assert await state_of(services, number) == ("todo", 1), "a rescue counts as an attempt"
    assert (await state_of(services, last))[0] == "failed"
    assert (await state_of(services, odd))[0] == "failed"
    assert reported == [(SHA256, "WorkerDied")]


async def test_a_database_error_does_not_end_the_rescuing(monkeypatch):
    rounds = 0

    async def fail_at_first(*_):
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise psycopg.OperationalError("the server closed the connection")

    async def no_pause(_seconds):
        if rounds == 2:
            raise asyncio.CancelledError

    monkeypatch.setattr(server.worker, "rescue_stalled", fail_at_first)
    monkeypatch.setattr(server.worker, "asyncio", SimpleNamespace(sleep=no_pause))
    nothing: Any = None
    task = asyncio.create_task(server.worker._rescue_stalled(nothing, nothing))
    await asyncio.wait([task])
    assert task.cancelled()
    assert rounds == 2


async def worker_ids(services) -> list[int]:
    async with services.sessions() as session:
        return list(await session.scalars(text("SELECT id FROM procrastinate_workers ORDER BY id")))


async def test_a_worker_that_was_frozen_while_another_removed_it_works_on_when_it_wakes(services, monkeypatch):
    ran = asyncio.Event()

    async def run(_services, _job):
        ran.set()

    monkeypatch.setitem(jobs.TASKS, "evidence.examine", jobs.TASKS["evidence.examine"]._replace(run=run))
    app = jobs.build_worker(services)
    async with app.open_async():
        working = asyncio.create_task(
            app.run_worker_async(
                queues=jobs.queue_names(),
                install_signal_handlers=False,
                listen_notify=False,
                fetch_job_polling_interval=0.05,
                update_heartbeat_interval=3600,
            )
        )
        while not (before := await worker_ids(services)):  # noqa: ASYNC110  registered within moments
            await asyncio.sleep(0.02)
        # What another worker does at its start with one that has been silent for over 30 s.
        async with open_session(services.sessions) as session:
            await session.execute(text("DELETE FROM procrastinate_workers"))
            await jobs.defer(session, ProcessPhoto(sha256=SHA256))
        async with asyncio.timeout(20):
            await ran.wait()
        assert not working.done()
        assert await worker_ids(services) == before, "it has sent its heartbeat under its own number"
        working.cancel()
        await asyncio.wait([working])


async def test_a_heartbeat_registers_a_removed_worker_again(services):
    app = jobs.build_worker(services)
    async with app.open_async():
        number = await app.job_manager.register_worker()
        async with open_session(services.sessions) as session:
            await session.execute(text("DELETE FROM procrastinate_workers"))
        await app.job_manager.update_heartbeat(number)
        await app.job_manager.update_heartbeat(number)
        assert await worker_ids(services) == [number]
