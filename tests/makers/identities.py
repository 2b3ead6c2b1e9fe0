"""WeChat accounts of people, linked and ended in one line."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.clock import utc_now
from server.core.ids import new_id
from server.models.people import Identity, Resident, Staff, WechatApp


async def make_resident(session: AsyncSession, openid: str, *, app: WechatApp = "miniprogram") -> Resident:
    resident = Resident(id=new_id(), wechat_openid=openid if app == "miniprogram" else None)
    session.add(resident)
    await session.flush()
    session.add(Identity(resident_id=resident.id, provider="wechat", app=app, subject=openid))
    await session.flush()
    return resident


async def find_resident(session: AsyncSession, openid: str) -> Resident | None:
    return await session.scalar(
        select(Resident).join(Identity, Identity.resident_id == Resident.id).where(Identity.subject == openid)
    )


async def openid_of(session: AsyncSession, staff: Staff) -> str | None:
    return await session.scalar(
        select(Identity.subject).where(Identity.staff_id == staff.id, Identity.is_of_miniprogram())
    )


async def give_wechat(session: AsyncSession, staff: Staff, openid: str | None, at: datetime | None = None) -> None:
    """Link this account in place of the one before; None only ends that one."""
    at = at or utc_now()
    staff.wechat_openid = openid
    mine = Identity.staff_id == staff.id, Identity.is_of_miniprogram()
    await session.execute(update(Identity).where(*mine).values(ended_at=at))
    if openid is not None:
        session.add(Identity(staff_id=staff.id, provider="wechat", app="miniprogram", subject=openid, linked_at=at))
    await session.flush()
