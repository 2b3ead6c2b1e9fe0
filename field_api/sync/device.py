"""What a phone says of itself with each pull, kept for the desk: is it still syncing, is anything stuck."""

from datetime import UTC, datetime, timedelta

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.core.database import write_later

# A phone pulls several collections at once; its last sync need not be known to the second.
NOTE_EVERY = timedelta(seconds=30)
LONGEST_OFFSET_MS = 2**31 - 1


class DeviceReport(Struct, frozen=True):
    """None: the phone did not say."""

    app_version: str | None
    pending_rows: int | None
    # The phone's own clock as it sent the request.
    device_time: datetime | None


def note_device(session: AsyncSession, caller: Caller, report: DeviceReport, now: datetime) -> None:
    """Keep the report with the device once the pull is over, unless nothing in it is new."""
    values = {
        "device": caller.device_id,
        "now": now,
        "before": now - NOTE_EVERY,
        "app_version": report.app_version,
        "pending_rows": report.pending_rows,
        "clock_offset_ms": _offset_ms(report.device_time, now),
    }
    write_later(session, _NOTE, values)


_NOTE = """
UPDATE device SET last_sync_at = %(now)s, app_version = coalesce(%(app_version)s::text, app_version),
    pending_rows = coalesce(%(pending_rows)s::int, pending_rows),
    clock_offset_ms = coalesce(%(clock_offset_ms)s::int, clock_offset_ms)
WHERE id = %(device)s AND (last_sync_at IS NULL OR last_sync_at < %(before)s OR app_version <> %(app_version)s::text
    OR app_version IS NULL AND %(app_version)s::text IS NOT NULL OR pending_rows <> %(pending_rows)s::int
    OR pending_rows IS NULL AND %(pending_rows)s::int IS NOT NULL)
RETURNING id
"""


def _offset_ms(device_time: datetime | None, now: datetime) -> int | None:
    """How far the phone's clock is ahead of the server's; what the network took makes it a little less."""
    if device_time is None:
        return None
    result = device_time if device_time.tzinfo else device_time.replace(tzinfo=UTC)
    offset_ms = round((result - now).total_seconds() * 1000)
    return max(-LONGEST_OFFSET_MS, min(offset_ms, LONGEST_OFFSET_MS))
