"""Change of one's own password."""

from datetime import datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.passwords import hash_password
from server.core.threads import run_in_thread
from server.identity.notices import notify_of_change
from server.identity.password_policy import require_good_password
from server.models.people import Device, Staff


async def change_password(session: AsyncSession, caller: Caller, password: str, now: datetime) -> None:
    """Set a new password and end the person's other devices. Raises `auth.password_weak`."""
    staff = await session.get_one(Staff, caller.id)
    require_good_password(password, staff)
    staff.password_hash = await run_in_thread(hash_password, password)
    ended = await end_other_devices(session, caller, now)
    audit.record(session, caller, Action.STAFF_PASSWORD_CHANGED, "staff", caller.id, devices_ended=ended)
    await notify_of_change(session, caller.id, "修改了密码", "the password was changed", now)


async def end_other_devices(session: AsyncSession, caller: Caller, now: datetime) -> int:
    """Sign all other devices of a member of staff out, and return how many."""
    ended = await session.scalars(
        update(Device)
        .where(Device.staff_id == caller.id, Device.id != caller.device_id, Device.ended_at.is_(None))
        .values(ended_at=now, end_reason="password_changed")
        .returning(Device.id)
    )
    devices = ended.all()
    for device_id in devices:
        audit.record(session, caller, Action.DEVICE_ENDED, "device", device_id, reason="password_changed")
    return len(devices)
