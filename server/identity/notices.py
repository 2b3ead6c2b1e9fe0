"""The notice to a member of staff that something about their own sign-in has changed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.job_types import Notify
from server.models.areas import Area
from server.models.people import StaffRole


async def notify_of_change(session: AsyncSession, staff_id: UUID, what: str, what_en: str, now: datetime) -> None:
    """Tell the person, wherever they are signed in: whoever took over an account would not."""
    prefix = select(StaffRole.area_code).where(StaffRole.staff_id == staff_id).order_by(StaffRole.area_code).limit(1)
    # The nearest area at or below that of the role: an administrator's covers the whole country and is none itself.
    area_code = await session.scalar(
        select(Area.code)
        .where(Area.code.startswith(prefix.scalar_subquery()))
        .order_by(func.length(Area.code), Area.code)
        .limit(1)
    )
    if area_code is not None:
        await jobs.defer(
            session,
            Notify(
                kind="sign_in_changed",
                thing=f"{what_en} {now.isoformat()}",
                area_code=area_code,
                staff_ids=[staff_id],
                facts={"what": what, "whatEn": what_en},
            ),
        )
