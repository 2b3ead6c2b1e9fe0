"""Background jobs. procrastinate stores them in PostgreSQL, so a job commits together with the rows it is about.

A job is a Struct of server.core.job_types. Its handler is an async function `f(services, job)`, registered by `task`.
A room defers a job of another without importing that room. Each task has a queue of its own name, and a worker takes
jobs only from the queues it knows: in a rolling deploy a job that only the new version can run waits for a worker of
the new version, and an old one does not fail it.
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple, TypeVar
from uuid import uuid4

import msgspec
import procrastinate
from procrastinate import jobs as procrastinate_jobs
from procrastinate import manager
from procrastinate import utils as procrastinate_utils
from psycopg import AsyncConnection
from psycopg.errors import ForeignKeyViolation
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.child_process import ChildFailed
from server.core.database import plain_url, raw_connection
from server.core.log import bind_context, clear_context, log, traceback_lines
from server.core.services import Services

# Attempts 1…8 wait 2, 4, 8 … 256 seconds, so an object store that is down for minutes fails no job.
# What ends the process that works on it does so again, whatever the weather: such a job is attempted twice.
MAX_DEATHS = 2
# A worker may also die for another reason: a job that has had so many attempts when its worker dies gets no other.
MAX_RESCUES = 3


class _Retry(procrastinate.RetryStrategy):
    def get_retry_decision(
        self, *, exception: BaseException, job: procrastinate_jobs.Job
    ) -> procrastinate.RetryDecision | None:
        if isinstance(exception, ChildFailed) and job.attempts >= MAX_DEATHS - 1:
            return None
        return super().get_retry_decision(exception=exception, job=job)


RETRY = _Retry(max_attempts=8, exponential_wait=2)


class Job(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The arguments of a task. Stored as JSON, without those that have their default.

    An argument that this version does not know fails the attempt, so that a worker of the newer version retries it.
    """

    task_name: ClassVar[str]


AnyJob = TypeVar("AnyJob", bound=Job)
Handler = Callable[[Services, AnyJob], Awaitable[None]]
FailureHandler = Callable[[Services, AnyJob, str], Awaitable[None]]


class InvalidJob(Exception):
    """The stored arguments of a job don't fit its type; the message says which and why."""


class RegisteredTask(NamedTuple):
    job_type: type[Job]
    run: Handler[Any]
    cron: str | None = None
    on_final_failure: FailureHandler[Any] | None = None


class FinalFailure(NamedTuple):
    """A job that failed for good. `error` is its kind; `at` is None if it failed just now."""

    job_id: int
    task_name: str
    arguments: dict[str, Any]
    error: str
    at: datetime | None = None


FailureRecorder = Callable[[Services, FinalFailure], Awaitable[None]]
TASKS: dict[str, RegisteredTask] = {}
FAILURE_RECORDERS: list[FailureRecorder] = []


def task(
    job_type: type[AnyJob], *, cron: str | None = None, on_final_failure: FailureHandler[AnyJob] | None = None
) -> Callable[[Handler[AnyJob]], Handler[AnyJob]]:
    """Register the handler of a job. With `cron` (UTC) it also runs on a schedule; such a job has no arguments.

    `on_final_failure` is called with the job and the kind of its error after the last attempt has failed.
    """

    def register(run: Handler[AnyJob]) -> Handler[AnyJob]:
        TASKS[job_type.task_name] = RegisteredTask(job_type, run, cron, on_final_failure)
        return run

    return register


def record_failures(record: FailureRecorder) -> FailureRecorder:
    """Register a function that is called with each job that failed for good, whatever its task."""
    FAILURE_RECORDERS.append(record)
    return record


def decode_job(job_type: type[AnyJob], arguments: dict[str, Any]) -> AnyJob:
    """Return the job of stored arguments. Raises InvalidJob if they don't fit."""
    try:
        return msgspec.convert(arguments, job_type, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidJob(f"{job_type.task_name}: {error}") from error


# CTEs that defer jobs inside another statement, as `defer` does with `in_turn`. The statement must define the CTE
# `to_defer` (task, turn, args) before them, and its final SELECT must read `queued`, because PostgreSQL does not run a
# SELECT that nothing reads.
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


# Only its SQL is used: jobs are deferred on the session's own connection, and this connector is never opened.
_manager = manager.JobManager(procrastinate.PsycopgConnector())


async def defer(
    session: AsyncSession,
    job: Job,
    *,
    once: str | None = None,
    in_turn: str | None = None,
    after: timedelta | None = None,
) -> None:
    """Queue a job in the session's transaction: the job exists if and only if the rows do.

    With `once`, nothing is queued while a job with that key waits. With `in_turn`, nothing is queued while a job with
    that key is due, and two jobs with that key never run at the same time. With `after`, the job waits that long.
    """
    if once is not None and await _is_waiting(session, once):
        return
    if in_turn is not None and await _is_due(session, in_turn):
        return
    queued = procrastinate_jobs.Job(
        id=None,
        queue=job.task_name,
        lock=in_turn,
        queueing_lock=once,
        task_name=job.task_name,
        task_kwargs=msgspec.to_builtins(job),
        # Use procrastinate's clock, as its retries do: PostgreSQL compares the value with its own time.
        scheduled_at=procrastinate_utils.utcnow() + after if after else None,
    )
    deferrer = procrastinate_jobs.JobDeferrer(
        job=queued, job_manager=_manager, connection=await raw_connection(session)
    )
    await deferrer.defer_async()


async def _is_waiting(session: AsyncSession, lock: str) -> bool:
    connection = await raw_connection(session)
    cursor = await connection.execute(
        "SELECT 1 FROM procrastinate_jobs WHERE queueing_lock = %s AND status = 'todo'", (lock,)
    )
    return await cursor.fetchone() is not None


async def _is_due(session: AsyncSession, lock: str) -> bool:
    """Tell whether a job is due, and lock it until this transaction ends, so that it starts after the rows commit."""
    connection = await raw_connection(session)
    cursor = await connection.execute(
        """SELECT 1 FROM procrastinate_jobs
        WHERE lock = %s AND status = 'todo' AND scheduled_at IS NULL LIMIT 1 FOR SHARE""",
        (lock,),
    )
    return await cursor.fetchone() is not None


def build_worker(services: Services) -> procrastinate.App:
    """Build the procrastinate app of the registered tasks. Import the modules that register tasks first."""
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(
            conninfo=plain_url(services.settings.database_url), configure=_set_autocommit
        )
    )
    app.job_manager = _WorkerManager(app.connector)
    for name, registered in TASKS.items():
        runner = app.task(name=name, queue=name, retry=RETRY, pass_context=True)(_bind_services(registered, services))
        if registered.cron:
            app.periodic(cron=registered.cron)(runner)
    return app


class _WorkerManager(manager.JobManager):
    """Keeps a worker registered that was frozen for so long that another one has removed it as dead.

    Without its row every job that it fetches breaks a foreign key, which ends the worker.
    """

    async def update_heartbeat(self, worker_id: int) -> None:
        await self.connector.execute_query_async(_REGISTER_AGAIN, worker_id=worker_id)

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> procrastinate_jobs.Job | None:
        try:
            return await super().fetch_job(queues, worker_id)
        except procrastinate.exceptions.ConnectorException as error:
            if not isinstance(error.__cause__, ForeignKeyViolation):
                raise
        log.warning("worker.registered_again", worker=worker_id)
        await self.update_heartbeat(worker_id)
        return await super().fetch_job(queues, worker_id)


# The default is PostgreSQL's time, with which procrastinate compares heartbeats.
_REGISTER_AGAIN = """
INSERT INTO procrastinate_workers (id) OVERRIDING SYSTEM VALUE VALUES (%(worker_id)s)
ON CONFLICT (id) DO UPDATE SET last_heartbeat = DEFAULT
"""


async def report_final_failure(services: Services, failure: FinalFailure) -> None:
    """Do what the task does about its last failure, and record the failure. Idempotent."""
    registered = TASKS.get(failure.task_name)
    if registered is not None and registered.on_final_failure is not None:
        # Nothing is done for arguments that don't fit: nobody knows what they are about.
        with contextlib.suppress(InvalidJob):
            job = decode_job(registered.job_type, failure.arguments)
            await registered.on_final_failure(services, job, failure.error)
    for keep in FAILURE_RECORDERS:
        await keep(services, failure)


def describe_error(error: Exception) -> str:
    """The kind of error, for administrators; of a child process also what it ran out of. No values, no names."""
    return f"{type(error).__name__}: {error.reason}" if isinstance(error, ChildFailed) else type(error).__name__


async def _set_autocommit(connection: AsyncConnection[Any]) -> None:
    """Run procrastinate's single statements without a transaction, which would cost two more round trips each."""
    await connection.set_autocommit(True)


def queue_names() -> list[str]:
    """Return the queues that this version serves. `default` holds jobs from before each task had its own queue."""
    return ["default", *TASKS]


def _bind_services(registered: RegisteredTask, services: Services) -> Callable[..., Awaitable[None]]:
    async def run_with_services(
        context: procrastinate.JobContext, timestamp: int | None = None, **arguments: Any
    ) -> None:
        del timestamp  # procrastinate passes it to scheduled tasks
        clear_context()
        bind_context(job=registered.run.__name__, request_id=str(uuid4()))
        try:
            await registered.run(services, decode_job(registered.job_type, arguments))
        except Exception as error:
            log.error("job.failed", error=type(error).__name__, place=traceback_lines(error))
            if RETRY.get_retry_decision(exception=error, job=context.job) is None:
                await _try_to_report(services, context.job, describe_error(error))
            raise

    return run_with_services


async def _try_to_report(services: Services, job: procrastinate_jobs.Job, error: str) -> None:
    """Report a last failure. If that fails too, the worker finds the failed job later and reports it then."""
    assert job.id is not None
    try:
        await report_final_failure(services, FinalFailure(job.id, job.task_name, job.task_kwargs, error))
    except Exception as report_error:  # noqa: BLE001  the job's own error is the one to raise
        log.error("job.report_failed", job=job.id, error=type(report_error).__name__)
