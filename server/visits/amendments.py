"""Amendments: how a submitted visit is corrected, and what is kept of it as it was.

A submission is frozen. Whoever made it may send it again with an `amendment` that says why, until a decision
closes it: the version before stays whole beside the new one, with its receipt. What was recorded at the door (who
was there, when, where) is no matter of correction: that takes another visit. While an amendment is being written
the phone may send it as a draft, so that a lost phone loses nothing; the desk never sees that draft.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.errors import Problem
from server.core.tokens import utc_now
from server.models.review import ReviewItem
from server.models.visits import Visit, VisitVersion
from server.sync_feed.documents import VisitDocument
from server.sync_feed.publish import publish_change
from server.sync_feed.verdicts import Incoming

# What a visit is, and what was recorded at the door; the rest may be corrected.
RECORDED = (
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
)
OPEN_STATES = ("submitted", "amended", "returned")


class Sealed(NamedTuple):
    """A submitted visit, locked, with its place in the queue if it has come that far."""

    visit: Visit
    item: ReviewItem | None


async def hold_submitted(session: AsyncSession, rows: Sequence[Incoming[VisitDocument]]) -> Mapping[UUID, Sealed]:
    """Lock what these amendments are about: the queue's item before the visit, as a decision does."""
    ids = [row.document.id for row in rows]
    if not ids:
        return {}
    in_queue = select(ReviewItem).where(ReviewItem.visit_id.in_(ids)).order_by(ReviewItem.visit_id)
    items = {one.visit_id: one for one in await session.scalars(in_queue.with_for_update())}
    submitted = select(Visit).where(Visit.id.in_(ids), Visit.submitted_at.is_not(None)).order_by(Visit.id)
    return {one.id: Sealed(one, items.get(one.id)) for one in await session.scalars(submitted.with_for_update())}


def check_amendment(sealed: Sealed, row: Incoming[VisitDocument]) -> None:
    """Raises `visit.closed` when a decision stands that asks for no correction; `visit.amends_the_record`."""
    visit, item = sealed
    before_a_reviewer = visit.state == "under_review" and item is not None and item.state != "decided"
    if visit.state not in OPEN_STATES and not before_a_reviewer:
        raise Problem("visit.closed")
    touched = [name for name in RECORDED if row.told.get(name) != visit.document.get(name)]
    if touched:
        raise Problem("visit.amends_the_record", fields=", ".join(touched))


async def save_draft(session: AsyncSession, row: Incoming[VisitDocument]) -> None:
    """Keep an amendment that is still being written."""
    await _keep_draft(session, row.document.id, row)


async def drop_draft(session: AsyncSession, visit_id: UUID) -> None:
    """The phone went back to what it had submitted."""
    await _keep_draft(session, visit_id, None)


async def _keep_draft(session: AsyncSession, visit_id: UUID, row: Incoming[VisitDocument] | None) -> None:
    values = {"mending": row and row.told, "mending_hash": row and row.content_hash}
    await session.execute(update(Visit).where(Visit.id == visit_id).values(values))
    await publish_change(session, "visits", [visit_id])


async def set_aside(session: AsyncSession, sealed: Sealed) -> None:
    """Keep a visit as it stands before its amendment is written over it, and take it out of the queue.

    It comes back, to its old place, when the amended visit is whole.
    """
    visit, item = sealed
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
            superseded_at=utc_now(),
        )
    )
    visit.version += 1
    visit.complete_at = visit.mending = visit.mending_hash = None
    if item is not None and item.state != "decided":
        item.state, item.holder_id, item.lease_until = "amended", None, None
        item.version += 1
        item.changed_at = func.now()
    await session.flush()  # the statement that writes visits goes past the session
