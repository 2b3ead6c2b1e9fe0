"""Devices: opened at sign-in, listed and ended by their owner, and read at each request. Tokens: `refresh.py`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, Grant, Person, Role, require_found
from server.core.clock import today
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody, ShortText
from server.core.ids import new_id
from server.core.services import Services
from server.core.tokens import (
    AccessClaims,
    RefreshClaims,
    hash_refresh_token,
    issue_access_token,
    issue_refresh_token,
    read_access_token,
)
from server.identity.notices import notify_of_device
from server.identity.second_factor import is_due
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
    # The area requires a second factor; until it is set there are no roles.
    second_factor_due: bool = False

    def without_refresh_token(self) -> "SignedIn":
        """For a browser, which has it in a cookie."""
        return msgspec.structs.replace(self, refresh_token=None)


class _Owner(Struct):
    id: UUID
    name: str
    grants: tuple[Grant, ...]
    is_resident: bool
    second_factor_due: bool


async def open_device(
    session: AsyncSession,
    services: Services,
    owner: Staff | Resident,
    intro: DeviceInfo,
    now: datetime,
    *,
    is_qr: bool = False,
) -> SignedIn:
    """Sign a device in with a new token family. Its owner is told of one that is new to them."""
    await notify_of_device(session, owner, intro.hardware_id, now, is_qr=is_qr)
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
    signed_in = await issue_tokens(session, services, device, 1, now)
    audit.record(session, await load_caller(session, device.id), Action.DEVICE_SIGNED_IN, "device", device.id)
    return signed_in


async def issue_tokens(
    session: AsyncSession, services: Services, device: Device, position: int, now: datetime
) -> SignedIn:
    """Issue an access token, and the refresh token at this position of the device's row of tokens.

    Where the area requires a second factor that is not set, the device has no roles until it is.
    """
    if device.staff_id is not None:
        device.second_factor_due = await is_due(session, device.staff_id, now)
        await session.flush()  # the owner's roles are read in SQL
    owner = await _load_owner(session, device)
    expires_at = now + timedelta(days=services.settings.refresh_token_days)
    token = issue_refresh_token(services.token_keys, RefreshClaims(device.id, position, expires_at))
    session.add(
        RefreshToken(
            id=new_id(),
            device_id=device.id,
            token_hash=hash_refresh_token(token),
            position=position,
            issued_at=now,
            expires_at=expires_at,
        )
    )
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
        second_factor_due=owner.second_factor_due,
    )


async def _load_owner(session: AsyncSession, device: Device) -> _Owner:
    caller = await load_caller(session, device.id)
    return _Owner(caller.id, caller.name, caller.grants, caller.is_resident, caller.second_factor_due)


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
    grants = tuple(dict.fromkeys(Grant(Role(row.role), row.area_code) for row in rows if row.role is not None))
    stands_for = dict.fromkeys(
        Person(row.deputy_for, row.deputy_for_name) for row in rows if row.deputy_for is not None
    )
    return Caller(
        id=first.id,
        name=first.name,
        device_id=device_id,
        grants=grants,
        second_factor_due=first.second_factor_due,
        deputy_for=tuple(stands_for),
    )


# Every request runs this query, so it is plain SQL that needs no compilation.
CALLER_QUERY = """
SELECT d.ended_at, d.second_factor_due, d.resident_id, s.id, s.name, s.disabled_at, r.role, r.area_code, r.deputy_for,
    p.name AS deputy_for_name
FROM device d
LEFT JOIN staff s ON s.id = d.staff_id
LEFT JOIN staff_role r ON r.staff_id = s.id AND r.revoked_at IS NULL AND (r.ends_on IS NULL OR r.ends_on >= %(today)s)
    AND NOT d.second_factor_due
LEFT JOIN staff p ON p.id = r.deputy_for
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
