"""Put a checked visit into the review queue, keep its findings there current, and reopen it when it is due again."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.models.review import SEVERITIES, Decision, Finding, ReviewItem, SpotCheck
from server.models.visits import INCOMPLETE_STATES, Visit
from server.review.check_context import CheckContext
from server.sync_feed.publish import publish_change

# Days of waiting that a finding counts for, by severity.
FINDING_DAYS = "review.finding_days"


async def enter_queue(session: AsyncSession, visit: Visit, context: CheckContext, now: datetime) -> None:
    """Insert the visit's item with its current findings, or update it. An amended visit is to be decided again."""
    findings = (
        await session.execute(
            select(Finding.code, Finding.severity).where(Finding.visit_id == visit.id, Finding.superseded_at.is_(None))
        )
    ).all()
    values = _finding_values(findings, context.setting(FINDING_DAYS))
    if visit.state not in {*INCOMPLETE_STATES, "under_review"}:
        await _update_findings(session, visit, values, now)
        return
    is_new = await session.get(ReviewItem, visit.id, with_for_update=True) is None
    if is_new:
        await session.execute(
            insert(ReviewItem).values(visit_id=visit.id, **_item_values(visit), **values, entered_at=now)
        )
    else:
        await _update_findings(session, visit, values, now)
    reopened = not is_new and await _reopen_if_due(session, visit, now)
    if visit.state in INCOMPLETE_STATES:
        visit.state = "under_review"
    if is_new or reopened:
        await session.flush()  # the feed reads the new state
        _record_entry(session, visit, findings, again=reopened)
        await publish_change(session, "visits", [visit.id])


def _finding_values(findings: Sequence[Any], days: dict[str, int]) -> dict[str, Any]:
    return {
        "priority": sum(days[severity] for _, severity in findings),
        "finding_codes": sorted({code for code, _ in findings}),
        "gravest": max((SEVERITIES.index(severity) for _, severity in findings), default=-1),
    }


def _item_values(visit: Visit) -> dict[str, Any]:
    return {
        "area_code": visit.area_code,
        "kind": visit.kind,
        "household_id": visit.household_id,
        "author_id": visit.author_id,
        "state": "waiting",
        "version": 1,
    }


async def _update_findings(session: AsyncSession, visit: Visit, values: dict[str, Any], now: datetime) -> None:
    item = await session.get(ReviewItem, visit.id, with_for_update=True)
    if item is not None:
        for name, value in values.items():
            setattr(item, name, value)
        item.changed_at = now


async def _reopen_if_due(session: AsyncSession, visit: Visit, now: datetime) -> bool:
    """Put an amended visit, or one whose spot check is compared, before a reviewer again."""
    item = await session.get_one(ReviewItem, visit.id)
    if item.state == "amended":
        item.state, item.changed_at = "waiting", now
        return True
    if item.state != "decided":
        return False
    decision = await session.scalar(
        select(Decision).where(Decision.visit_id == visit.id, Decision.undone_at.is_(None)).with_for_update()
    )
    amended = visit.state in INCOMPLETE_STATES
    if not amended and not await _has_compared_spot_check(session, decision):
        return False
    _reopen(item, decision, "amended" if amended else "spot_check", now)
    return True


async def _has_compared_spot_check(session: AsyncSession, decision: Decision | None) -> bool:
    if decision is None or decision.outcome != "spot_check":
        return False
    compared = await session.scalar(
        select(SpotCheck.id).where(
            SpotCheck.visit_id == decision.visit_id,
            SpotCheck.state == "compared",
            SpotCheck.compared_at > decision.decided_at,
        )
    )
    return compared is not None


def _reopen(item: ReviewItem, decision: Decision | None, why: str, now: datetime) -> None:
    """Return the item to the queue; the decision becomes history."""
    if decision is not None:
        decision.undone_at, decision.undone_why = now, why
    item.state, item.holder_id, item.lease_until = "waiting", None, None
    item.entered_at = item.changed_at = now
    item.version += 1


def _record_entry(session: AsyncSession, visit: Visit, findings: Sequence[Any], *, again: bool) -> None:
    audit.record(
        session,
        None,
        Action.REVIEW_ENTERED_AGAIN if again else Action.REVIEW_ENTERED,
        "visit",
        visit.id,
        area_code=visit.area_code,
        doubts=len(findings),
    )
