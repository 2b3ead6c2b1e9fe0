"""When a visit is complete: submitted, attested by everyone it names, and every photo of its manifest processed.

Whatever may be the last part to arrive calls `complete_visits`, which then defers the checks, once, in the same
transaction.
"""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.job_types import CheckVisit, CompleteWaitingVisits
from server.core.jobs import defer, task
from server.core.services import Services
from server.models.visits import INCOMPLETE_STATES, Visit
from server.sync_feed.publish import publish_change


async def complete_visits(session: AsyncSession, ids: Collection[UUID]) -> None:
    """Mark the visits that have become complete, and defer their checks."""
    if not ids:
        return
    connection = await session.connection()
    # Lock first: of two last parts that arrive together, the second must see the first.
    existing = list((await connection.exec_driver_sql(LOCK, {"ids": list(ids)})).scalars())
    if not existing:
        return  # photos may be announced before their visit
    complete = list((await connection.exec_driver_sql(COMPLETE, {"ids": existing, "now": utc_now()})).scalars())
    for visit_id in complete:
        audit.record(session, None, Action.VISIT_COMPLETE, "visit", visit_id)
        await defer(session, CheckVisit(visit_id=visit_id))
    await publish_change(session, "visits", complete)


LOCK = "SELECT id FROM visit WHERE id = ANY(%(ids)s) ORDER BY id FOR UPDATE"
# Every investigator but the author has attested (of a visit from paper: but who entered it), and each photo of the
# submitted manifest has an evidence row of this visit, with the listed hash, whose bytes were processed.
COMPLETE = """
UPDATE visit SET complete_at = %(now)s
WHERE id = ANY(%(ids)s) AND state IN ('submitted', 'amended') AND complete_at IS NULL
AND NOT EXISTS (
    SELECT 1 FROM visit_investigator i
    WHERE i.visit_id = visit.id AND i.staff_id <> coalesce(visit.typed_by, visit.author_id) AND NOT EXISTS (
        SELECT 1 FROM attestation a WHERE a.visit_id = i.visit_id AND a.staff_id = i.staff_id))
AND NOT EXISTS (
    SELECT 1 FROM jsonb_array_elements(coalesce(visit.document->'photos', '[]')) AS listed
    WHERE NOT EXISTS (
        SELECT 1 FROM evidence e
        WHERE e.id = (listed->>'id')::uuid AND e.sha256 = listed->>'sha256' AND e.visit_id = visit.id
        AND e.state IN ('verified', 'refused')))
RETURNING id
"""


@task(CompleteWaitingVisits, cron="* * * * *")
async def complete_waiting_visits(services: Services, _: CompleteWaitingVisits) -> None:
    """Check incomplete visits again.

    A visit and its last part that commit at the same moment don't see each other; this closes that gap.
    """
    async with open_session(services.sessions) as session:
        await complete_visits(session, (await session.scalars(INCOMPLETE)).all())


# Newest first: a visit that has been incomplete for weeks needs a person, not another look.
INCOMPLETE = (
    select(Visit.id)
    .where(Visit.state.in_(INCOMPLETE_STATES), Visit.complete_at.is_(None))
    .order_by(Visit.submitted_at.desc())
    .limit(500)
)
