"""Reminders: each evening, tell everybody how many of their visits are due the next day."""

from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import Text, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.clock import today
from server.core.database import open_session
from server.core.job_types import Notify, RemindOfVisits
from server.core.services import Services
from server.models.feed import Feed
from server.models.households import Assignment, Household


@jobs.task(RemindOfVisits, cron="0 10 * * *")
async def send_reminders(services: Services, _: RemindOfVisits) -> None:
    """Run at 18:00 China time, before quiet hours begin."""
    async with open_session(services.sessions) as session:
        await remind_of_due(session, today() + timedelta(days=1))


async def remind_of_due(session: AsyncSession, on: date) -> int:
    """Notify everybody who has open visits due on a day, and return how many people. Idempotent."""
    due = await count_due_by_holder(session, on)
    for staff_id, area_code, count in due:
        await jobs.defer(
            session,
            Notify(
                kind="due_tomorrow",
                thing=f"day:{on}",
                area_code=area_code,
                staff_ids=[staff_id],
                facts={"count": count, "on": on.isoformat()},
            ),
        )
    return len(due)


async def count_due_by_holder(session: AsyncSession, on: date) -> list[tuple[UUID, str, int]]:
    """Return the people whose phones have the visits, with one of the areas and the count. One query."""
    rows = await session.execute(
        select(Feed.staff_id, func.min(Household.area_code), func.count())
        .join(Assignment, cast(Assignment.id, Text) == Feed.doc_id)
        .join(Household, Household.id == Assignment.household_id)
        .where(
            Feed.collection == "assignments",
            Feed.is_deleted.is_(False),
            Assignment.state == "open",
            Assignment.due_on == on,
        )
        .group_by(Feed.staff_id)
        .order_by(Feed.staff_id)
    )
    return [(staff_id, area_code, count) for staff_id, area_code, count in rows]
