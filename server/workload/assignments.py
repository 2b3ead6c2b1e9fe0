"""Create assignments, and notify the staff whose phones hold them."""

from datetime import date
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.ids import new_id
from server.core.job_types import Notify
from server.models.checklists import ChecklistTemplate
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
