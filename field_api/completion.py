"""When a visit is whole: submitted, attested by everyone it names, and every photo of its manifest settled.

Anything that may be the last part to arrive calls `settle_visits`; the visit then goes to examination by
a job in the same transaction, once.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Text, cast, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.jobs import defer
from server.models import audit
from server.models.evidence import Evidence
from server.models.feed import announce
from server.models.visits import Attestation, Visit, VisitInvestigator

SETTLED = ("verified", "refused")


async def settle_visits(session: AsyncSession, ids: Collection[UUID]) -> None:
    """Mark those of the visits that have become whole, and send them to examination."""
    if not ids:
        return
    # Locked: of two last parts that arrive together the second must see the first.
    await session.execute(select(Visit.id).where(Visit.id.in_(ids)).order_by(Visit.id).with_for_update())
    unattested = exists().where(
        VisitInvestigator.visit_id == Visit.id,
        VisitInvestigator.staff_id != Visit.author_id,
        ~exists().where(
            Attestation.visit_id == VisitInvestigator.visit_id,
            Attestation.staff_id == VisitInvestigator.staff_id,
        ),
    )
    complete = (
        await session.scalars(
            update(Visit)
            .where(
                Visit.id.in_(ids),
                Visit.state == "submitted",
                Visit.complete_at.is_(None),
                ~unattested,
                ~_has_unsettled_photo(),
            )
            .values(complete_at=func.now())
            .returning(Visit.id)
            .execution_options(synchronize_session=False)
        )
    ).all()
    for visit_id in complete:
        audit.record(session, None, "visit.complete", "visit", visit_id)
        await defer(session, "review.examine", visit_id=str(visit_id))
    await announce(session, "visits", complete)


def _has_unsettled_photo() -> Any:
    """A photo of the sealed manifest without its evidence row, with other bytes announced, or not settled."""
    listed = func.jsonb_array_elements(func.coalesce(Visit.document["photos"], func.jsonb_build_array())).table_valued(
        "value", name="listed"
    )
    settled = exists().where(
        cast(Evidence.id, Text) == listed.c.value.op("->>")("id"),
        Evidence.sha256 == listed.c.value.op("->>")("sha256"),
        Evidence.visit_id == Visit.id,
        Evidence.state.in_(SETTLED),
    )
    return exists(select(1).select_from(listed).where(~settled).correlate(Visit))
