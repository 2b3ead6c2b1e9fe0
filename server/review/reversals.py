"""Take a decision back: the reviewer undoes it within a minute, or a supervisor reopens the visit later."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.benefits.found_figures import withdraw_found_figures
from server.core.access import Caller, Role, require_role
from server.core.errors import Problem
from server.core.http import RequestBody
from server.core.settings import Settings
from server.models.review import Decision, Finding, SpotCheck
from server.models.visits import INCOMPLETE_STATES, Visit
from server.review.decisions import UNDO_MARGIN, undo_seconds
from server.review.leases import ReviewLease, grant_lease, lock_review_item, return_to_queue
from server.review.tallies import update_tallies
from server.review.withdrawals import require_second_person
from server.sync_feed.publish import publish_change
from server.visits.last_answers import publish_last_answers


class ReopenVisit(RequestBody):
    reason: Annotated[str, Meta(min_length=1, max_length=4000)]


async def undo_decision(
    session: AsyncSession, caller: Caller, visit_id: UUID, settings: Settings, now: datetime
) -> ReviewLease:
    """Undo the caller's own decision while it is not final, and lease the visit to the caller again.

    Raises `review.not_decided` (also for another reviewer's decision), `review.undo_too_late`, and `review.amended`
    when the author has already sent a correction.
    """
    item = await lock_review_item(session, caller, visit_id)
    decision = await session.scalar(
        select(Decision)
        .where(Decision.visit_id == visit_id, Decision.undone_at.is_(None), Decision.reviewer_id == caller.id)
        .with_for_update()
    )
    if decision is None or item.state != "decided":
        raise Problem("review.not_decided")
    visit = await session.get_one(Visit, visit_id)
    if visit.state in INCOMPLETE_STATES:
        raise Problem("review.amended")
    seconds = await undo_seconds(session, item, now)
    if now > decision.decided_at + timedelta(seconds=seconds):
        raise Problem("review.undo_too_late", seconds=round(seconds))
    decision.undone_at, decision.undone_why = now, "undone"
    await _restore_verdicts(session, visit_id, decision)
    visit.state = "under_review"
    item.state = "waiting"
    new_lease = grant_lease(session, caller, item, settings, now)
    await session.flush()  # the feed reads the new state
    await withdraw_found_figures(session, caller, visit_id, now)
    await update_tallies(session, [visit_id])
    audit.record(
        session, caller, Action.REVIEW_UNDONE, "visit", visit_id, area_code=item.area_code, outcome=decision.outcome
    )
    await publish_change(session, "visits", [visit_id])
    await publish_last_answers(session, visit)
    return new_lease


async def _restore_verdicts(session: AsyncSession, visit_id: UUID, decision: Decision) -> None:
    """Restore the verdicts from before the decision, and cancel the spot check that it ordered."""
    for verdict in decision.judged:
        finding = await session.get_one(Finding, UUID(verdict["findingId"]))
        finding.settled_as = verdict["wasSettledAs"]
        finding.settled_by = UUID(verdict["wasSettledBy"]) if verdict["wasSettledBy"] else None
    await session.execute(
        update(SpotCheck)
        .where(
            SpotCheck.visit_id == visit_id,
            SpotCheck.why == "ordered",
            SpotCheck.state == "drawn",
            SpotCheck.created_at >= decision.decided_at - UNDO_MARGIN,
        )
        .values(state="cancelled")
    )


async def reopen_visit(session: AsyncSession, caller: Caller, visit_id: UUID, reason: str, now: datetime) -> None:
    """Put a decided visit back into the queue, and take back what it proposed for the register.

    The case's own step stays: cases have their own way back.

    Raises `review.not_decided`, `review.amended` while a correction is incomplete, and `visit.withdrawal_waits` for the
    first of two people where a payment was decided by its figures.
    """
    require_role(caller, {Role.SUPERVISOR, Role.COUNTY_OFFICER})
    item = await lock_review_item(session, caller, visit_id)
    if item.state != "decided":
        raise Problem("review.not_decided")
    decision = await session.scalar(
        select(Decision).where(Decision.visit_id == visit_id, Decision.undone_at.is_(None)).with_for_update()
    )
    if decision is not None:
        decision.undone_at, decision.undone_why = now, "reopened"
    visit = await session.get_one(Visit, visit_id)
    if visit.state == "voided":
        raise Problem("visit.voided")
    if visit.state in INCOMPLETE_STATES:
        raise Problem("review.amended")
    await require_second_person(session, caller, visit, "reopen", reason, now)
    return_to_queue(item, now)
    item.entered_at = now
    visit.state = "under_review"
    await session.flush()  # the feed reads the new state
    await withdraw_found_figures(session, caller, visit_id, now)
    audit.record(session, caller, Action.REVIEW_REOPENED, "visit", visit_id, area_code=item.area_code, reason=reason)
    await publish_change(session, "visits", [visit_id])
    await publish_last_answers(session, visit)
