"""The worker process, which runs the jobs of all packages, scheduled ones too."""

import asyncio
import contextlib
import os
from datetime import timedelta

import procrastinate
import psycopg
from sqlalchemy.exc import SQLAlchemyError

import field_api.uploads.cleanup  # noqa: F401
import server.aid.phone_records
import server.audit.reads
import server.cases.asked_proofs
import server.cases.daily
import server.cases.event_handlers
import server.cases.grace_ends
import server.cases.raise_changes
import server.cases.raise_preview
import server.complaints.reminders
import server.complaints.reply_codes
import server.directory.area_changes
import server.households.find_duplicates
import server.http.rate_limit
import server.identity.accounts
import server.identity.refresh
import server.imports.batches
import server.notifications.dispatch
import server.notifications.messages
import server.notifications.texts
import server.packages.exports
import server.photos.adopt
import server.photos.process
import server.postings.field_places
import server.postings.objections
import server.postings.postings
import server.residents.sign_in
import server.review.decisions
import server.review.run_checks
import server.rosters.drafting
import server.rosters.payday
import server.spotchecks.outcomes
import server.workload.reminders
import server.workload.schedule  # noqa: F401
from server import audit
from server.core import jobs
from server.core.database import open_session, plain_url
from server.core.job_types import LogAuditHead, SealAuditLog
from server.core.log import log, set_up_logging
from server.core.services import Services, open_services
from server.core.settings import Settings
from server.directory.failed_jobs import report_unrecorded

HEARTBEAT = timedelta(seconds=10)
CONCURRENCY = 4
# Lower priority than the API where both share a machine: requests of people come before jobs.
NICENESS = 10


@jobs.task(SealAuditLog, cron="*/5 * * * *")
async def seal_audit_log(services: Services, _: SealAuditLog) -> None:
    """Seal the audit entries of finished transactions, batch by batch."""
    sealed = audit.SEAL_BATCH
    while sealed == audit.SEAL_BATCH:
        async with open_session(services.sessions) as session:
            sealed = await audit.seal(session, services.audit_signer)


@jobs.task(LogAuditHead, cron="0 16 * * *")
async def log_audit_head(services: Services, _: LogAuditHead) -> None:
    """Write the head of the trail as a line a day, at midnight in China, for whoever keeps logs elsewhere."""
    async with open_session(services.sessions) as session:
        head = await audit.load_head(session)
    if head is not None:
        log.info("audit.head", position=head.position, total=head.total, head=head.signature)


async def run_worker(settings: Settings) -> None:
    """Run jobs until the process is stopped. Another worker retries an interrupted job."""
    os.nice(NICENESS)
    set_up_logging(settings.log_format)
    async with open_services(settings) as services:
        await services.store.ensure_bucket()
        app = jobs.build_worker(services)
        async with app.open_async():
            rescue = asyncio.create_task(_rescue_stalled(services, app))
            try:
                await app.run_worker_async(
                    queues=jobs.queue_names(),
                    concurrency=CONCURRENCY,
                    fetch_job_polling_interval=2,
                    update_heartbeat_interval=10,
                    delete_jobs="successful",
                )
            finally:
                rescue.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await rescue


async def _rescue_stalled(services: Services, app: procrastinate.App) -> None:
    """Return the jobs of killed workers to the queue, now and then, whatever the database does meanwhile."""
    while True:
        try:
            await rescue_stalled(services, app)
        except (procrastinate.exceptions.ConnectorException, psycopg.Error, SQLAlchemyError, OSError) as error:
            log.warning("job.rescue_failed", error=type(error).__name__)
        await asyncio.sleep(30)


async def rescue_stalled(services: Services, app: procrastinate.App, *, silent_seconds: float = 60) -> None:
    """Return each job whose worker is gone, or fail it for good if that has happened to it too often.

    A rescue counts as an attempt, so a job that ends every worker does not go on for ever.
    """
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=silent_seconds):
        if job.attempts < jobs.MAX_RESCUES:
            log.warning("job.rescued", job=job.id, task=job.task_name)
            await app.job_manager.retry_job(job)
        else:
            log.error("job.abandoned", job=job.id, task=job.task_name)
            assert job.id is not None
            lost = jobs.FinalFailure(job.id, job.task_name, job.task_kwargs, "WorkerDied")
            await jobs.report_final_failure(services, lost)
            await app.job_manager.finish_job(job, procrastinate.jobs.Status.FAILED, delete_job=False)
    await report_unrecorded(services)


async def has_live_worker(settings: Settings) -> bool:
    """Tell whether any worker has sent a heartbeat within the last minute."""
    async with await psycopg.AsyncConnection.connect(plain_url(settings.database_url)) as connection:
        # procrastinate writes heartbeats with PostgreSQL's time, so they are compared with it.
        cursor = await connection.execute(
            "SELECT 1 FROM procrastinate_workers WHERE last_heartbeat > now() - interval '1 minute' LIMIT 1"
        )
        return await cursor.fetchone() is not None
