"""Run the checks over a complete visit and put it into the queue.

A visit is checked again when something that a check reads has changed: an amendment, the visit before it that was
received later, a setting of its area, the outcome of a spot check. New findings are compared with the current ones:
those that still hold keep their verdicts, the others become history.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import CheckVisit, RecheckVisit
from server.core.services import Services
from server.models.review import Finding, ReviewItem
from server.models.visits import Visit
from server.review.check_context import visited_on
from server.review.checks.registry import DetectedFinding, reads_photos, run_checks
from server.review.context_queries import load_check_context
from server.review.queue_entry import enter_queue
from server.review.rechecks import recheck_related_visits
from server.review.tallies import update_tallies
from server.review.traces import record_traces


@jobs.task(CheckVisit)
async def check_visit(services: Services, job: CheckVisit) -> None:
    """Run the checks, or those with these codes, and put the visit into the queue.

    Idempotent: findings are replaced, and the visit enters the queue once.
    """
    async with open_session(services.sessions) as session:
        visit = await _lock(session, job.visit_id)
        if _is_incomplete_amendment(visit):
            return
        await record_traces(session, visit)
    # Commit the traces before reading those of others: of two visits checked at once, at least one sees the other.
    async with open_session(services.sessions) as session:
        visit = await _lock(session, job.visit_id)
        if _is_incomplete_amendment(visit):
            return
        new_findings = await _check(session, visit, job.codes)
        await session.flush()  # the tallies read the rows
        await update_tallies(session, [visit.id])
        await recheck_related_visits(session, visit, new_findings)


@jobs.task(RecheckVisit)
async def recheck_visit(services: Services, job: RecheckVisit) -> None:
    """Run the checks, or those with these codes, again. It causes no rechecks of other visits."""
    async with open_session(services.sessions) as session:
        visit = await _lock(session, job.visit_id)
        if not _is_incomplete_amendment(visit):
            await _check(session, visit, job.codes)


async def _lock(session: AsyncSession, visit_id: UUID) -> Visit:
    """Lock the queue item before the visit, in the order of a decision, so that the two cannot deadlock."""
    await session.get(ReviewItem, visit_id, with_for_update=True)
    return await session.get_one(Visit, visit_id, with_for_update=True)


def _is_incomplete_amendment(visit: Visit) -> bool:
    """Return whether the visit was amended and lacks parts: it is checked when they are in."""
    return visit.state == "amended" and visit.complete_at is None


async def _check(session: AsyncSession, visit: Visit, codes: list[str] | None) -> list[Finding]:
    """Return the findings that are new."""
    context = await load_check_context(session, visit, with_photos=reads_photos(codes))
    new_findings = await _replace_findings(session, visit, list(run_checks(context, codes)), codes, utc_now())
    await enter_queue(session, visit, context, utc_now())
    return new_findings


async def _replace_findings(
    session: AsyncSession, visit: Visit, detected: list[DetectedFinding], codes: Collection[str] | None, now: datetime
) -> list[Finding]:
    """Keep current findings that still hold, with their verdicts, and supersede the others. Return the new ones."""
    rows = select(Finding).where(Finding.visit_id == visit.id, Finding.superseded_at.is_(None))
    if codes is not None:
        rows = rows.where(Finding.code.in_(codes))
    current = {_key(finding): finding for finding in await session.scalars(rows)}
    detected_by_key = {_key(finding): finding for finding in detected}
    for key, finding in current.items():
        if key not in detected_by_key:
            finding.superseded_at = now
    new_findings = [
        Finding(
            id=new_id(),
            visit_id=visit.id,
            evidence_id=finding.evidence_id,
            code=finding.code,
            severity=finding.severity,
            facts=finding.facts,
            area_code=visit.area_code,
            visited_on=visited_on(visit) if visit.started_at else None,
        )
        for key, finding in detected_by_key.items()
        if key not in current
    ]
    session.add_all(new_findings)
    await session.flush()  # the queue item is computed from the current findings
    return new_findings


def _key(finding: DetectedFinding | Finding) -> tuple[str, str, str, str]:
    return finding.code, finding.severity, str(finding.evidence_id), repr(sorted(finding.facts.items()))
