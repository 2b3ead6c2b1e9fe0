"""The daily job of the cases room: deadlines of imported cases, first payments, and changes that take effect."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.changes import DUE_AT_ONCE, apply_due_changes, mark_grant_effective
from server.cases.certificates import renew_certificates
from server.cases.deadlines import backfill_deadlines, recompute_due_dates
from server.cases.raise_missed import name_missed_of_raises
from server.cases.transitions import apply_transition
from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.job_types import RecomputeDeadlines, RunDailyCaseWork
from server.core.log import log
from server.core.services import Services
from server.core.working_days import day_of
from server.models.cases import CaseFile
from server.models.households import Household
from server.sync_feed.publish import publish_change

_STEP = 500


@jobs.task(RunDailyCaseWork, cron="5 16 * * *")
async def run_daily(services: Services, _: RunDailyCaseWork) -> None:
    """Apply what becomes due with a new day. Runs just after midnight in China."""
    async with open_session(services.sessions) as session:
        await backfill_deadlines(session)
        await begin_payments(session, utc_now())
    await name_missed_of_raises(services, utc_now())
    renewed = 1
    while renewed:
        async with open_session(services.sessions) as session:
            renewed = await renew_certificates(session, utc_now())
    settled = DUE_AT_ONCE
    while settled == DUE_AT_ONCE:
        async with open_session(services.sessions) as session:
            settled = await apply_due_changes(session, utc_now())


@jobs.task(RecomputeDeadlines)
async def recompute_deadlines(services: Services, _: RecomputeDeadlines) -> None:
    """Count every open deadline by the calendar as it is now, in short transactions. Idempotent."""
    last: UUID | None = UUID(int=0)
    changed = 0
    while last is not None:
        async with open_session(services.sessions) as session:
            number, last = await recompute_due_dates(session, last, _STEP)
        changed += number
    log.info("deadlines.recomputed", changed=changed)


async def begin_payments(session: AsyncSession, now: datetime) -> int:
    """Put published cases in force once their first month begins, and set the households' amounts."""
    cases = list(
        await session.scalars(
            select(CaseFile)
            .where(CaseFile.state == "published", CaseFile.paid_from <= day_of(now))
            .with_for_update(skip_locked=True)
        )
    )
    for case in cases:
        household = await session.get_one(Household, case.household_id)
        household.monthly_amount_fen, household.updated_at = case.amount_fen, now
        await mark_grant_effective(session, case, now)
        await apply_transition(session, case, "in_force", cause=f"month:{case.paid_from}", actor_id=None, at=now)
    await session.flush()  # publish_change reads the households
    await publish_change(session, "households", [case.household_id for case in cases])
    return len(cases)
