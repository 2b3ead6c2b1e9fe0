"""What a phone says of itself with each pull, kept for the desk: is it still syncing, is anything stuck."""

from datetime import UTC, datetime, timedelta

from msgspec import Struct
from sqlalchemy import or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.models.people import Device

# A phone pulls several collections at once; its last sync need not be known to the second.
NOTE_EVERY = timedelta(seconds=30)
LONGEST_OFFSET_MS = 2**31 - 1


class DeviceReport(Struct, frozen=True):
    """None: the phone did not say."""

    app_version: str | None
    pending_rows: int | None
    # The phone's own clock as it sent the request.
    device_time: datetime | None


async def note_device(session: AsyncSession, caller: Caller, report: DeviceReport, now: datetime) -> None:
    """Keep the report with the device, unless nothing in it is new."""
    params = {
        "app_version": report.app_version,
        "pending_rows": report.pending_rows,
        "clock_offset_ms": _offset_ms(report.device_time, now),
    }
    values = {name: value for name, value in params.items() if value is not None}
    is_news = [getattr(Device, name).is_distinct_from(values[name]) for name in values if name != "clock_offset_ms"]
    await session.execute(
        update(Device)
        .where(
            Device.id == caller.device_id,
            or_(Device.last_sync_at.is_(None), Device.last_sync_at < now - NOTE_EVERY, *is_news),
        )
        .values(last_sync_at=now, **values)
        .execution_options(synchronize_session=False)
    )


def _offset_ms(device_time: datetime | None, now: datetime) -> int | None:
    """How far the phone's clock is ahead of the server's; what the network took makes it a little less."""
    if device_time is None:
        return None
    result = device_time if device_time.tzinfo else device_time.replace(tzinfo=UTC)
    offset_ms = round((result - now).total_seconds() * 1000)
    return max(-LONGEST_OFFSET_MS, min(offset_ms, LONGEST_OFFSET_MS))
