"""Create assignments, and notify the staff whose phones hold them."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.ids import new_id
from server.core.job_types import Notify
from server.models.checklists import ChecklistTemplate
from server.models.feed import Feed
from server.models.households import Assignment


def create_assignment(
    session: AsyncSession,
    household_id: UUID,
    kind: str,
    due_on: date,
    checklist: ChecklistTemplate,
    *,
    case_id: UUID | None = None,
    partner_id: UUID | None = None,
    ordered_by: UUID | None = None,
) -> Assignment:
    """Add an open assignment to the session. The caller flushes and publishes it."""
    assignment = Assignment(
        id=new_id(),
        household_id=household_id,
        kind=kind,
        due_on=due_on,
        checklist_code=checklist.code,
        checklist_version=checklist.version,
        case_id=case_id,
        partner_id=partner_id,
        ordered_by=ordered_by,
        state="open",
    )
    session.add(assignment)
    return assignment


async def notify_holders(session: AsyncSession, assignment: Assignment, area_code: str) -> None:
    """Notify everybody whose phone holds the assignment when the job runs."""
    await jobs.defer(
        session,
        Notify(
            kind="assigned",
            thing=f"assignment:{assignment.id}",
            area_code=area_code,
            assignment_id=assignment.id,
            facts={"count": 1, "on": assignment.due_on.isoformat()},
        ),
    )


async def notify_each_holder(session: AsyncSession, assignment_ids: Sequence[UUID], area_code: str, thing: str) -> None:
    """Send one notice per person whose phone holds any of these assignments, for any number of them."""
    rows = await session.execute(
        select(Feed.staff_id, func.count())
        .where(
            Feed.collection == "assignments",
            Feed.doc_id.in_([str(assignment_id) for assignment_id in assignment_ids]),
            Feed.is_deleted.is_(False),
        )
        .group_by(Feed.staff_id)
        .order_by(Feed.staff_id)
    )
    for staff_id, count in rows:
        await jobs.defer(
            session,
            Notify(kind="assigned", thing=thing, area_code=area_code, staff_ids=[staff_id], facts={"count": count}),
        )
