"""Whoever has to act on a complaint hears of it before its day, and again once it is past: 15, 60 or 90 days.

Before it is registered, or when its handler has left, that is every officer who may take it on, without those it is
about.
"""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from server.complaints.service import HANDLERS, OPEN, has_left, index_of
from server.core import jobs
from server.core.database import open_session
from server.core.services import Services
from server.core.tokens import utc_now
from server.core.working_days import day_of
from server.models.complaints import Complaint
from server.models.people import Staff, StaffRole
from server.policy.resolver import policy_values

_KEY = "complaint.remind_days_before"
# No rule reminds earlier than the shortest limit.
PAGE = 500
_EARLIEST = timedelta(days=15)


@jobs.task("complaints.remind", cron="30 0 * * *")
async def remind(services: Services) -> None:
    """Each morning at half past eight in China."""
    async with open_session(services.sessions) as session:
        await tell_of_due(session, services, utc_now())


async def tell_of_due(session: AsyncSession, services: Services, now: datetime) -> int:
    """How many complaints somebody is told of. Each is told once before its day and once after."""
    today = day_of(now)
    told = 0
    days: dict[str, int] = {}
    async for one in _near(session, today):
        if one.area_code not in days:
            days[one.area_code] = int((await policy_values(session, one.area_code, today, [_KEY]))[_KEY])
        if one.due_on > today + timedelta(days=days[one.area_code]):
            continue
        is_handled = one.handler_id is not None and not await has_left(session, one.handler_id)
        people = [one.handler_id] if is_handled else await _who_may_take_it(session, services, one)
        await jobs.defer(
            session,
            "notifications.tell",
            kind="complaint_due",
            thing=_thing(one, today),
            area_code=one.area_code,
            staff_ids=[str(person) for person in people],
            facts={"complaintId": str(one.id), "number": one.number, "on": one.due_on.isoformat()},
        )
        told += 1
    return told


async def _near(session: AsyncSession, today: date) -> AsyncIterator[Complaint]:
    """All of them, page by page: those long past their day must not keep the others out."""
    after = (date.min, UUID(int=0))
    while True:
        page = list(
            await session.scalars(
                select(Complaint)
                .where(
                    Complaint.state.in_(OPEN),
                    Complaint.due_on <= today + _EARLIEST,
                    tuple_(Complaint.due_on, Complaint.id) > after,
                )
                .order_by(Complaint.due_on, Complaint.id)
                .limit(PAGE)
            )
        )
        for one in page:
            yield one
        if len(page) < PAGE:
            return
        after = (page[-1].due_on, page[-1].id)


def _thing(one: Complaint, today: date) -> str:
    return f"complaint:{one.id}:{one.due_on}:{'over' if one.due_on < today else 'near'}"


async def _who_may_take_it(session: AsyncSession, services: Services, one: Complaint) -> list[UUID]:
    rows = await session.execute(
        select(Staff.id, Staff.name)
        .distinct()
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .where(
            StaffRole.role.in_(HANDLERS),
            StaffRole.revoked_at.is_(None),
            literal(one.area_code).startswith(StaffRole.area_code),
            Staff.disabled_at.is_(None),
        )
        .order_by(Staff.id)
    )
    return [person for person, name in rows if index_of(services, name) not in one.against]
