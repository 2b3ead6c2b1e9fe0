"""The phones of an office: which of them have not synced, hold rows back, or have a wrong clock."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import DESK_ROLES, Caller, in_areas, require
from server.core.http import ResponseBody
from server.core.paging import Page, read_cursor, write_cursor
from server.models.people import Device, Staff, StaffRole

LONGEST_PAGE = 200


class DeviceHealth(ResponseBody):
    """What the phone last said. `pending_rows` is its own count of what it has yet to push."""

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
    """Devices signed in by staff of the caller's area. One query."""
    require(caller, DESK_ROLES)
    limit = max(1, min(limit, LONGEST_PAGE))
    of_area = select(StaffRole.staff_id).where(
        StaffRole.revoked_at.is_(None), in_areas(StaffRole.area_code, caller, DESK_ROLES)
    )
    rows = (
        select(Device, Staff.name)
        .join(Staff, Staff.id == Device.staff_id)
        .where(Device.staff_id.in_(of_area), Device.ended_at.is_(None))
        .order_by(Device.id)
        .limit(limit + 1)
    )
    if (after := read_cursor(cursor, UUID)) is not None:
        rows = rows.where(Device.id > after[0])
    found = (await session.execute(rows)).all()
    items = [_health(device, name) for device, name in found[:limit]]
    return Page(items=items, next_cursor=write_cursor([str(items[-1].id)]) if len(found) > limit else None)


def _health(device: Device, name: str) -> DeviceHealth:
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
