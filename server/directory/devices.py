"""The devices of an office: which of them have not synced, have pending rows, or have a wrong clock."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import DESK_ROLES, Caller, in_areas, require_role
from server.core.http import ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.people import Device, Staff, StaffRole

_OLDEST_FIRST = Keyset(Device.id)


class DeviceHealth(ResponseBody):
    """The last report of the device. `pending_rows` counts the rows that it has not pushed yet."""

    id: UUID
    staff_id: UUID
    staff_name: str
    label: str
    platform: str
    app_version: str
    signed_in_at: datetime
    last_sync_at: datetime | None
    pending_rows: int | None
    # Positive: the phone's clock is ahead of the server's.
    clock_offset_ms: int | None


async def list_devices(session: AsyncSession, caller: Caller, *, cursor: str | None, limit: int) -> Page[DeviceHealth]:
    """List the devices on which staff of the caller's area are signed in. One query."""
    require_role(caller, DESK_ROLES)
    of_area = select(StaffRole.staff_id).where(
        StaffRole.revoked_at.is_(None), in_areas(StaffRole.area_code, caller, DESK_ROLES)
    )
    rows = (
        select(Device, Staff.name)
        .join(Staff, Staff.id == Device.staff_id)
        .where(Device.staff_id.in_(of_area), Device.ended_at.is_(None))
    )
    page, next_cursor = await fetch_page(session, rows, _OLDEST_FIRST, cursor, limit)
    return Page(items=[_device_health(device, name) for device, name in page], next_cursor=next_cursor)


def _device_health(device: Device, name: str) -> DeviceHealth:
    assert device.staff_id is not None
    return DeviceHealth(
        id=device.id,
        staff_id=device.staff_id,
        staff_name=name,
        label=device.label,
        platform=device.platform,
        app_version=device.app_version,
        signed_in_at=device.created_at,
        last_sync_at=device.last_sync_at,
        pending_rows=device.pending_rows,
        clock_offset_ms=device.clock_offset_ms,
    )
