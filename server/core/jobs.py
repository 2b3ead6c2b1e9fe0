"""Jobs, kept in PostgreSQL by procrastinate, so that a job and the rows it is about commit together.

A task is an async function `f(services, *, …)` registered by name; rooms call each other's tasks by that
name only, which is how evidence, review and cases meet without importing one another. Each task has a queue of
its own name, and a worker takes from the queues it knows: in a rolling deploy what only the new version can do waits
for a worker of the new version, and is not failed by one of the old.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import procrastinate
from procrastinate import jobs as procrastinate_jobs
from procrastinate import manager
from procrastinate import utils as procrastinate_utils
from psycopg import AsyncConnection
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.database import plain_url, raw_connection
from server.core.log import bind_context, clear_context, log, traceback_lines
from server.core.services import Services

# Attempts 1…8 wait 2, 4, 8 … 256 seconds: a store that is away for minutes costs no job.
RETRY = procrastinate.RetryStrategy(max_attempts=8, exponential_wait=2)

TaskFunction = Callable[..., Awaitable[None]]


class RegisteredTask(NamedTuple):
    run: TaskFunction
    cron: str | None
    park: TaskFunction | None = None


TASKS: dict[str, RegisteredTask] = {}


def task(
    name: str, *, cron: str | None = None, park: TaskFunction | None = None
) -> Callable[[TaskFunction], TaskFunction]:
    """Register a task. With `cron` (UTC) it also runs by timetable, and then takes no arguments.

    `park` is called with the task's arguments and the `error` when the last attempt has failed too.
    """

    def register(run: TaskFunction) -> TaskFunction:
        TASKS[name] = RegisteredTask(run, cron, park)
        return run

    return register


# The CTEs that defer jobs inside another statement, as `defer` does with `in_turn`. Before them stands a CTE `to_defer`
# (task, turn, args); the final SELECT must read `queued`, since PostgreSQL skips a SELECT that nothing reads.
DEFER_IN_TURN = """
due AS (
    SELECT lock FROM procrastinate_jobs
    WHERE lock IN (SELECT turn FROM to_defer) AND status = 'todo' AND scheduled_at IS NULL FOR SHARE
), queued AS (
    SELECT procrastinate_defer_jobs_v1(array_agg(
        ROW(task, task, 0, turn, NULL, args, NULL)::procrastinate_job_to_defer_v1)) AS ids
    FROM to_defer WHERE turn NOT IN (SELECT lock FROM due)
)
"""


# Only its SQL is used: jobs are deferred on the session's own connection, never on a pool of this.
_manager = manager.JobManager(procrastinate.PsycopgConnector())


async def defer(
    session: AsyncSession,
    name: str,
    *,
    once: str | None = None,
    in_turn: str | None = None,
    after: timedelta | None = None,
    **arguments: Any,
) -> None:
    """Queue a task in the session's transaction: it exists if and only if the rows do.

    With `once`, a job of that key already waiting makes this one unneeded. With `in_turn` so does one that is due,
    and of those of one key no two run at the same time. With `after`, it waits so long.
    """
    if once is not None and await _is_waiting(session, once):
        return
    if in_turn is not None and await _is_due(session, in_turn):
        return
    job = procrastinate_jobs.Job(
        id=None, queue=name, lock=in_turn, queueing_lock=None, task_name=name, task_kwargs=arguments
    )
    if once is not None:
        job = job.evolve(queueing_lock=once)
    if after:
        # By procrastinate's clock, as its retries are: PostgreSQL compares it with its own time when a worker asks.
        job = job.evolve(scheduled_at=procrastinate_utils.utcnow() + after)
    deferrer = procrastinate_jobs.JobDeferrer(job=job, job_manager=_manager, connection=await raw_connection(session))
    await deferrer.defer_async()


async def _is_waiting(session: AsyncSession, lock: str) -> bool:
    connection = await raw_connection(session)
    cursor = await connection.execute(
        "SELECT 1 FROM procrastinate_jobs WHERE queueing_lock = %s AND status = 'todo'", (lock,)
    )
    return await cursor.fetchone() is not None


async def _is_due(session: AsyncSession, lock: str) -> bool:
    """Held until this transaction ends: the job begins when what it is to see is there."""
    connection = await raw_connection(session)
    cursor = await connection.execute(
        """SELECT 1 FROM procrastinate_jobs
        WHERE lock = %s AND status = 'todo' AND scheduled_at IS NULL LIMIT 1 FOR SHARE""",
        (lock,),
    )
    return await cursor.fetchone() is not None


def build_worker(services: Services) -> procrastinate.App:
    """The app that runs the registered tasks. Import the rooms first, so that their tasks are known."""
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(
            conninfo=plain_url(services.settings.database_url), configure=_commit_by_itself
        )
    )
    for name, registered in TASKS.items():
        runner = app.task(name=name, queue=name, retry=RETRY, pass_context=True)(_bound(registered, services))
        if registered.cron:
            app.periodic(cron=registered.cron)(runner)
    return app


async def _commit_by_itself(connection: AsyncConnection[Any]) -> None:
    """All that procrastinate asks is a statement whole by itself: a transaction around each is two trips more."""
    await connection.set_autocommit(True)


def queue_names() -> list[str]:
    """What a worker of this version may take; `default` held every job before each task had its own."""
    return ["default", *TASKS]


def _bound(registered: RegisteredTask, services: Services) -> TaskFunction:
    async def run_with_services(
        context: procrastinate.JobContext, timestamp: int | None = None, **arguments: Any
    ) -> None:
        del timestamp  # the timetable's; tasks on a timetable take no arguments
        clear_context()
        bind_context(job=registered.run.__name__, request_id=str(uuid4()))
        try:
            await registered.run(services, **arguments)
        except Exception as error:
            is_last = RETRY.get_retry_decision(exception=error, job=context.job) is None
            if is_last and registered.park is not None:
                await registered.park(services, error=type(error).__name__, **arguments)
            log.error("job.failed", error=type(error).__name__, place=traceback_lines(error))
            raise

    return run_with_services
