"""Accept many visits without findings in one request, each with its own decision and audit row."""

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import REVIEW_ROLES, Caller, readable, require_role
from server.core.clock import CHINA
from server.core.http import RequestBody, ResponseBody
from server.models.review import SEVERITIES, ReviewItem
from server.policy.resolver import load_policy_values
from server.review.decisions import UNDO, DecideVisit, write_decision

TOLERATES = "review.bulk_tolerates"


class AcceptMany(RequestBody):
    visit_ids: Annotated[list[UUID], Meta(min_length=1, max_length=100)]


class BulkAcceptance(ResponseBody):
    """The result for one visit: its decision, or the error code of what prevents it."""

    visit_id: UUID
    decision_id: UUID | None
    code: str | None


async def accept_many(
    session: AsyncSession, caller: Caller, visit_ids: list[UUID], now: datetime
) -> list[BulkAcceptance]:
    """Accept visits without findings, each with its own decision and audit row.

    An area may list codes (`review.bulk_tolerates`) that do not prevent this while their severity is `info`: WeChat
    strips EXIF from nearly every photo. Any other finding prevents it.
    """
    require_role(caller, REVIEW_ROLES)
    rows = (
        readable(ReviewItem, caller)
        .where(ReviewItem.visit_id.in_(visit_ids))
        .order_by(ReviewItem.visit_id)
        .with_for_update()
    )
    items = {item.visit_id: item for item in await session.scalars(rows)}
    results: list[BulkAcceptance] = []
    settings: dict[str, dict[str, Any]] = {}
    for area_code in sorted({item.area_code for item in items.values()}):
        settings[area_code] = await load_policy_values(
            session, area_code, now.astimezone(CHINA).date(), [UNDO, TOLERATES]
        )
    for visit_id in dict.fromkeys(visit_ids):
        item = items.get(visit_id)
        code = _find_obstacle(item, caller, settings, now)
        if item is None or code is not None:
            results.append(BulkAcceptance(visit_id=visit_id, decision_id=None, code=code))
            continue
        undo = timedelta(seconds=float(settings[item.area_code][UNDO]))
        decision = await write_decision(
            session, caller, item, DecideVisit(outcome="accepted"), None, undo, now, in_bulk=True
        )
        results.append(BulkAcceptance(visit_id=visit_id, decision_id=decision.id, code=None))
    return results


def _find_obstacle(
    item: ReviewItem | None, caller: Caller, settings: dict[str, dict[str, Any]], now: datetime
) -> str | None:
    """Return the code of what prevents acceptance. The caller's own visits and relatives' count as not found."""
    if item is None:
        return "thing.not_found"
    if item.state in {"decided", "amended"}:
        return f"review.{item.state}"
    if item.holder_id not in {None, caller.id} and item.lease_until is not None and item.lease_until > now:
        return "review.claimed_by_other"
    is_grave = item.gravest > SEVERITIES.index("info")
    if is_grave or not set(item.finding_codes) <= set(settings[item.area_code][TOLERATES]):
        return "review.has_findings"
    return None
