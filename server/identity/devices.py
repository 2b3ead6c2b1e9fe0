"""Devices and the tokens that keep them signed in.

Refresh tokens rotate. A used token that is presented again ends the device, because two parties hold it. The exception
is a repeat within seconds whose response was lost: it gets new tokens as long as the successor was never used.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec import Struct
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, Grant, Role, require_found
from server.core.clock import today
from server.core.database import write_despite_failure
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody, ShortText
from server.core.ids import new_id
from server.core.services import Services
from server.core.settings import Settings
from server.core.tokens import (
    AccessClaims,
    hash_refresh_token,
    issue_access_token,
    new_refresh_token,
    read_access_token,
)
from server.models.people import Device, RefreshToken, Resident, Staff


class DeviceInfo(RequestBody):
    """What a device reports about itself at sign-in."""

    sealed_fields = frozenset({"hardware_id"})

    label: ShortText
    platform: ShortText = "web"
    app_version: ShortText = "0"
    # The permanent id of the phone, which reveals that two caseworkers share it.
    hardware_id: ShortText | None = None


class SignedIn(ResponseBody):
    access_token: str
    expires_at: datetime
    # None if it is in a cookie instead.
    refresh_token: str | None
    device_id: UUID
    person_id: UUID
    name: str
    roles: list[Grant]


class _Owner(Struct):
    id: UUID
    name: str
    grants: tuple[Grant, ...]
    is_resident: bool


async def open_device(
    session: AsyncSession, services: Services, owner: Staff | Resident, intro: DeviceInfo, now: datetime
) -> SignedIn:
    """Sign a device in with a new token family."""
    device = Device(
        id=new_id(),
        staff_id=owner.id if isinstance(owner, Staff) else None,
        resident_id=owner.id if isinstance(owner, Resident) else None,
        hardware_id=intro.hardware_id,
        label=intro.label,
        platform=intro.platform,
        app_version=intro.app_version,
        last_seen_at=now,
    )
    session.add(device)
    await session.flush()  # the refresh token below references the device
    signed_in, _ = await _issue_tokens(session, services, device, now)
    audit.record(session, await load_caller(session, device.id), Action.DEVICE_SIGNED_IN, "device", device.id)
    return signed_in


async def refresh_tokens(session: AsyncSession, services: Services, token: str, now: datetime) -> SignedIn:
    """Exchange a refresh token for the next pair.

    Raises `auth.refresh_invalid`, or `auth.refresh_reused` after ending the device.
    """
    row = await session.scalar(
        select(RefreshToken).where(RefreshToken.token_hash == hash_refresh_token(token)).with_for_update()
    )
    if row is None or row.expires_at <= now:
        raise Problem("auth.refresh_invalid")
    device = await session.get_one(Device, row.device_id)
    if device.ended_at is not None:
        raise Problem("auth.device_ended")
    if row.used_at is not None and not await _response_was_lost(session, row, services.settings, now):
        await _end_for_reuse(session, device.id, now)
        raise Problem("auth.refresh_reused")
    signed_in, successor = await _issue_tokens(session, services, device, now)
    row.used_at = row.used_at or now
    row.successor_id = successor.id
    device.last_seen_at = now
    return signed_in


async def _response_was_lost(session: AsyncSession, row: RefreshToken, settings: Settings, now: datetime) -> bool:
    if row.used_at is None or now - row.used_at > timedelta(seconds=settings.refresh_grace_seconds):
        return False
    successor = await session.get_one(RefreshToken, row.successor_id, with_for_update=True)
    if successor.used_at is not None:
        return False
    successor.expires_at = now  # nobody received this token
    return True


async def _end_for_reuse(session: AsyncSession, device_id: UUID, now: datetime) -> None:
    async with write_despite_failure(session):
        device = await session.get_one(Device, device_id)
        device.ended_at, device.end_reason = now, "refresh_reused"
        audit.record(session, None, Action.DEVICE_ENDED, "device", device_id, reason="refresh_reused")


async def _issue_tokens(
    session: AsyncSession, services: Services, device: Device, now: datetime
) -> tuple[SignedIn, RefreshToken]:
    owner = await _load_owner(session, device)
    token, token_hash = new_refresh_token()
    row = RefreshToken(
        id=new_id(),
        device_id=device.id,
        token_hash=token_hash,
        issued_at=now,
        expires_at=now + timedelta(days=services.settings.refresh_token_days),
    )
    session.add(row)
    await session.flush()  # the previous token references this one
    minutes = services.settings.access_token_minutes
    claims = AccessClaims(owner.id, device.id, owner.is_resident)
    return SignedIn(
        access_token=issue_access_token(services.token_keys, claims, now=now, minutes=minutes),
        expires_at=now + timedelta(minutes=minutes),
        refresh_token=token,
        device_id=device.id,
        person_id=owner.id,
        name=owner.name,
        roles=list(owner.grants),
    ), row


async def _load_owner(session: AsyncSession, device: Device) -> _Owner:
    caller = await load_caller(session, device.id)
    return _Owner(caller.id, caller.name, caller.grants, caller.is_resident)


async def authenticate(services: Services, authorization: str | None) -> Caller:
    """Return the caller of an `Authorization: Bearer` header, with their current roles."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Problem("auth.required", headers={"WWW-Authenticate": "Bearer"})
    claims = read_access_token(services.token_keys, token)
    caller = _build_caller(
        claims.device_id, await services.autocommit.run(CALLER_QUERY, _caller_params(claims.device_id))
    )
    if caller.id != claims.person_id:
        raise Problem("auth.token_invalid")
    return caller


async def load_caller(session: AsyncSession, device_id: UUID) -> Caller:
    """Load the caller in this transaction. Raises `auth.device_ended` if device or account is disabled."""
    connection = await session.connection()
    return _build_caller(device_id, (await connection.exec_driver_sql(CALLER_QUERY, _caller_params(device_id))).all())


def _caller_params(device_id: UUID) -> dict[str, Any]:
    return {"device_id": device_id, "today": today()}


def _build_caller(device_id: UUID, rows: Sequence[Any]) -> Caller:
    if not rows or rows[0].ended_at is not None or rows[0].disabled_at is not None:
        raise Problem("auth.device_ended")
    first = rows[0]
    if first.resident_id is not None:
        return Caller(id=first.resident_id, name="", device_id=device_id, grants=(Grant(Role.RESIDENT, ""),))
    grants = tuple(Grant(Role(row.role), row.area_code) for row in rows if row.role is not None)
    return Caller(id=first.id, name=first.name, device_id=device_id, grants=grants)


# Every request runs this query, so it is plain SQL that needs no compilation.
CALLER_QUERY = """
SELECT d.ended_at, d.resident_id, s.id, s.name, s.disabled_at, r.role, r.area_code
FROM device d
LEFT JOIN staff s ON s.id = d.staff_id
LEFT JOIN staff_role r ON r.staff_id = s.id AND r.revoked_at IS NULL AND (r.ends_on IS NULL OR r.ends_on >= %(today)s)
WHERE d.id = %(device_id)s
"""


class DeviceLine(ResponseBody):
    id: UUID
    label: str
    platform: str
    app_version: str
    signed_in_at: datetime
    last_seen_at: datetime | None
    is_this_one: bool


async def list_devices(session: AsyncSession, caller: Caller) -> list[DeviceLine]:
    rows = await session.scalars(
        select(Device)
        .where(_is_owned_by(caller), Device.ended_at.is_(None))
        .order_by(Device.created_at.desc())
        .limit(100)
    )
    return [
        DeviceLine(
            id=device.id,
            label=device.label,
            platform=device.platform,
            app_version=device.app_version,
            signed_in_at=device.created_at,
            last_seen_at=device.last_seen_at,
            is_this_one=device.id == caller.device_id,
        )
        for device in rows
    ]


async def end_device(session: AsyncSession, caller: Caller, device_id: UUID, now: datetime, reason: str) -> None:
    """Sign one of the caller's own devices out. Its access token stops working at once."""
    device = require_found(await session.scalar(select(Device).where(Device.id == device_id, _is_owned_by(caller))))
    if device.ended_at is None:
        device.ended_at, device.end_reason = now, reason
        audit.record(session, caller, Action.DEVICE_ENDED, "device", device_id, reason=reason)


def _is_owned_by(caller: Caller) -> ColumnElement[bool]:
    return Device.resident_id == caller.id if caller.is_resident else Device.staff_id == caller.id
