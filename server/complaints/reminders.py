"""Remind the handler of a complaint before its due date, and once more after it has passed.

Before a complaint is registered, or when its handler has left, the reminder goes to every eligible officer.
"""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from server.complaints.due_dates import OPEN_STATES
from server.complaints.eligibility import has_left, list_eligible_handlers
from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.job_types import Notify, RemindOfComplaints
from server.core.services import Services
from server.core.working_days import day_of
from server.models.complaints import Complaint
from server.policy.resolver import load_policy_values

_KEY = "complaint.remind_days_before"
BATCH_SIZE = 500
# The largest value that the setting allows.
_EARLIEST = timedelta(days=15)


@jobs.task(RemindOfComplaints, cron="30 0 * * *")
async def send_reminders(services: Services, _: RemindOfComplaints) -> None:
    """Run each morning at 8:30 China time."""
    async with open_session(services.sessions) as session:
        await remind_of_due(session, services, utc_now())


async def remind_of_due(session: AsyncSession, services: Services, now: datetime) -> int:
    """Queue the reminders and return how many. Idempotent: once before a due date and once after."""
    today = day_of(now)
    count = 0
    days: dict[str, int] = {}
    async for complaint in _iterate_due(session, today):
        if complaint.area_code not in days:
            settings = await load_policy_values(session, complaint.area_code, today, [_KEY])
            days[complaint.area_code] = int(settings[_KEY])
        if complaint.due_on > today + timedelta(days=days[complaint.area_code]):
            continue
        handler_id = complaint.handler_id
        if handler_id is not None and not await has_left(session, handler_id):
            staff_ids = [handler_id]
        else:
            staff_ids = await list_eligible_handlers(session, services, complaint)
        await jobs.defer(
            session,
            Notify(
                kind="complaint_due",
                thing=_notice_key(complaint, today),
                area_code=complaint.area_code,
                staff_ids=staff_ids,
                facts={
                    "complaintId": str(complaint.id),
                    "number": complaint.number,
                    "on": complaint.due_on.isoformat(),
                },
            ),
        )
        count += 1
    return count


async def _iterate_due(session: AsyncSession, today: date) -> AsyncIterator[Complaint]:
    """Read all of them in batches, so that long overdue complaints do not displace the others."""
    after = (date.min, UUID(int=0))
    while True:
        page = list(
            await session.scalars(
                select(Complaint)
                .where(
                    Complaint.state.in_(OPEN_STATES),
                    Complaint.due_on <= today + _EARLIEST,
                    tuple_(Complaint.due_on, Complaint.id) > after,
                )
                .order_by(Complaint.due_on, Complaint.id)
                .limit(BATCH_SIZE)
            )
        )
        for complaint in page:
            yield complaint
        if len(page) < BATCH_SIZE:
            return
        after = (page[-1].due_on, page[-1].id)


def _notice_key(complaint: Complaint, today: date) -> str:
    return f"complaint:{complaint.id}:{complaint.due_on}:{'over' if complaint.due_on < today else 'near'}"
