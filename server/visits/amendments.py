"""Amendments: how the author corrects a submitted visit.

A submission is frozen. Until a decision closes it, its author may send it again with an `amendment` that gives the
reason; the previous version stays unchanged in `visit_version`, with its receipt. What was recorded at the door (who
was there, when, where) can't be amended: that takes another visit. The phone may save an unfinished amendment as a
draft, so that a lost phone loses nothing; the desk never sees that draft.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.clock import utc_now
from server.core.errors import Problem
from server.models.review import ReviewItem
from server.models.visits import Visit, VisitVersion
from server.sync_feed.documents import VisitDocument
from server.sync_feed.publish import publish_change
from server.sync_feed.verdicts import Incoming

# What identifies the visit and what was recorded at the door; everything else may be amended.
NOT_AMENDABLE = (
    "householdId",
    "kind",
    "checklistCode",
    "checklistVersion",
    "assignmentId",
    "mode",
    "startedAt",
    "endedAt",
    "startFix",
    "endFix",
    "investigatorIds",
    "noFixReason",
)
OPEN_STATES = ("submitted", "amended", "returned")


class SubmittedVisit(NamedTuple):
    """A submitted visit and its review item, if it has one. Both rows are locked."""

    visit: Visit
    item: ReviewItem | None


async def lock_submitted(
    session: AsyncSession, rows: Sequence[Incoming[VisitDocument]]
) -> Mapping[UUID, SubmittedVisit]:
    """Lock the visits that these amendments change: review item first, then visit, in the order of a decision."""
    ids = [row.document.id for row in rows]
    if not ids:
        return {}
    in_queue = select(ReviewItem).where(ReviewItem.visit_id.in_(ids)).order_by(ReviewItem.visit_id)
    items = {item.visit_id: item for item in await session.scalars(in_queue.with_for_update())}
    submitted = select(Visit).where(Visit.id.in_(ids), Visit.submitted_at.is_not(None)).order_by(Visit.id)
    visits = await session.scalars(submitted.with_for_update())
    return {visit.id: SubmittedVisit(visit, items.get(visit.id)) for visit in visits}


def check_amendment(submitted: SubmittedVisit, row: Incoming[VisitDocument]) -> None:
    """Raise `visit.closed` when a decision stands that returned nothing, `visit.amends_the_record` for fixed fields."""
    visit, item = submitted
    is_undecided = visit.state == "under_review" and item is not None and item.state != "decided"
    if visit.state not in OPEN_STATES and not is_undecided:
        raise Problem("visit.closed")
    changed = [name for name in NOT_AMENDABLE if row.raw.get(name) != visit.document.get(name)]
    if changed:
        raise Problem("visit.amends_the_record", fields=", ".join(changed))


async def save_draft(session: AsyncSession, row: Incoming[VisitDocument]) -> None:
    """Save an unfinished amendment."""
    await _set_draft(session, row.document.id, row)


async def discard_draft(session: AsyncSession, visit_id: UUID) -> None:
    """Discard the unfinished amendment: the phone went back to what it had submitted."""
    await _set_draft(session, visit_id, None)


async def _set_draft(session: AsyncSession, visit_id: UUID, row: Incoming[VisitDocument] | None) -> None:
    values = {"mending": row and row.raw, "mending_hash": row and row.content_hash}
    await session.execute(update(Visit).where(Visit.id == visit_id).values(values))
    await publish_change(session, "visits", [visit_id])


async def archive_version(session: AsyncSession, submitted: SubmittedVisit) -> None:
    """Copy the visit to `visit_version` before its amendment overwrites it, and take it out of the queue.

    It returns to its former place in the queue when the amended visit is complete.
    """
    now = utc_now()
    visit, item = submitted
    assert visit.receipt is not None
    assert visit.submitted_at is not None
    session.add(
        VisitVersion(
            visit_id=visit.id,
            number=visit.version,
            document=visit.document,
            content_hash=visit.content_hash,
            receipt=visit.receipt,
            device_id=visit.device_id,
            submitted_at=visit.submitted_at,
            superseded_at=now,
        )
    )
    visit.version += 1
    visit.complete_at = visit.mending = visit.mending_hash = None
    if item is not None and item.state != "decided":
        item.state, item.holder_id, item.lease_until = "amended", None, None
        item.version += 1
        item.changed_at = now
    await session.flush()  # the statement that writes visits bypasses the session
