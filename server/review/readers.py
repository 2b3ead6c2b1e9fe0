"""Unusual readers: who opened or exported more in a day than the area's settings call usual."""

from datetime import date
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import REVIEW_ROLES, Caller, in_areas, require_role
from server.core.http import ResponseBody
from server.models.audit import ReadEntry
from server.models.people import Staff, StaffRole
from server.policy.resolver import load_policy_values
from server.review.overview import Period

OPENED, EXPORTED = "reads.unusual_opened", "reads.unusual_exported"
_MOST_LINES = 1000


class ReaderLine(ResponseBody):
    """One person and day. `opened` counts different things, `exported_rows` rows of files."""

    staff_id: UUID
    name: str
    day: date
    opened: int
    exported_rows: int


async def list_unusual_readers(session: AsyncSession, caller: Caller, period: Period, today: date) -> list[ReaderLine]:
    """List staff of the caller's areas by the days on which they read unusually much, the latest day first."""
    require_role(caller, REVIEW_ROLES)
    area = period.area or min(caller.prefixes(REVIEW_ROLES), key=len)
    limits = await load_policy_values(session, area, today, [OPENED, EXPORTED])
    day = func.date(func.timezone("Asia/Shanghai", ReadEntry.at)).label("day")
    opened = func.count(func.distinct(ReadEntry.thing_id)).filter(ReadEntry.action == "opened")
    exported = func.coalesce(func.sum(ReadEntry.shown).filter(ReadEntry.action == "exported"), 0)
    of_area = select(StaffRole.staff_id).where(
        StaffRole.revoked_at.is_(None),
        in_areas(StaffRole.area_code, caller, REVIEW_ROLES),
        StaffRole.area_code.startswith(period.area, autoescape=True),
    )
    rows = (
        select(Staff.id, Staff.name, day, opened, exported)
        .join(Staff, Staff.id == ReadEntry.actor_id)
        .where(Staff.id.in_(of_area), ReadEntry.at >= period.begin, ReadEntry.at < period.end)
        .group_by(Staff.id, Staff.name, day)
        .having(or_(opened > limits[OPENED], exported > limits[EXPORTED]))
        .order_by(day.desc(), Staff.name, Staff.id)
        .limit(_MOST_LINES)
    )
    return [
        ReaderLine(staff_id=staff_id, name=name, day=on, opened=things, exported_rows=shown)
        for staff_id, name, on, things, shown in await session.execute(rows)
    ]
