"""The notices to a person that something about their own sign-in has changed, or that another device has opened."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.ids import new_id
from server.core.job_types import Notify
from server.models.areas import Area
from server.models.households import Household
from server.models.people import Device, Resident, ResidentBinding, Staff, StaffRole


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


async def notify_of_device(
    session: AsyncSession, owner: Staff | Resident, hardware_id: str | None, now: datetime, *, is_qr: bool = False
) -> None:
    """Tell the owner of a device that is about to open, unless it is their first or one that they used before.

    Staff are told of a browser that a QR code opens; they sign in by password anywhere, every day.
    """
    if isinstance(owner, Staff):
        if is_qr:
            await notify_of_change(session, owner.id, "扫码登录了一台电脑", "a computer was signed in by QR code", now)
        return
    if not is_qr and not await _is_another(session, owner, hardware_id):
        return
    area_code = await session.scalar(
        select(Household.area_code)
        .join(ResidentBinding, ResidentBinding.household_id == Household.id)
        .where(ResidentBinding.resident_id == owner.id, ResidentBinding.ended_at.is_(None))
        .limit(1)
    )
    if area_code is not None:  # who is bound to nothing has nothing to lose
        await jobs.defer(
            session,
            Notify(kind="device_opened", thing=f"device:{new_id()}", area_code=area_code, resident_ids=[owner.id]),
        )


async def _is_another(session: AsyncSession, owner: Resident, hardware_id: str | None) -> bool:
    """Tell whether the owner has devices already, and none of them is this one."""
    counted = select(func.count(), func.count().filter(Device.hardware_id == hardware_id)).where(
        Device.resident_id == owner.id
    )
    devices, same = (await session.execute(counted)).one()
    return bool(devices) and not same
