"""Second factor of staff: codes of an authenticator app (TOTP, RFC 6238) or of paper, and where an area requires one.

A code is accepted once, within one period before or after now. The secret is encrypted; recovery codes are kept as
keyed hashes.
"""

import base64
import hmac
import secrets
import struct
from datetime import datetime
from typing import Literal
from urllib.parse import quote, urlencode
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import DESK_ROLES, Caller, Role
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.http import ResponseBody
from server.core.ids import new_id
from server.core.working_days import day_of
from server.identity.notices import notify_of_change
from server.models.people import Device, Staff, StaffRole
from server.models.sign_in import RecoveryCode, SecondFactor
from server.policy.resolver import load_policy_values

REQUIRED_KEY = "sign_in.second_factor_required"
REQUIRED_OF = DESK_ROLES | {Role.ADMIN}
PERIOD_S = 30
_DIGITS = 6
_SECRET_BYTES = 20  # the length of a SHA-1 key (RFC 4226)
_RECOVERY_CODES = 10
# No characters that look alike on paper.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_COLUMN = "second_factor.secret"

Verdict = Literal["right", "required", "wrong"]


class SecondFactorSecret(ResponseBody):
    """`uri` is for the QR code that an authenticator app reads; `secret` is for typing."""

    secret: str
    uri: str


class RecoveryCodes(ResponseBody):
    """Shown once. Each replaces a code of the app once."""

    recovery_codes: list[str]


class SecondFactorState(ResponseBody):
    """`is_due`: the area requires a second factor, and until it is set the device has no roles."""

    is_set: bool
    is_due: bool
    recovery_codes_left: int


async def describe_second_factor(session: AsyncSession, caller: Caller) -> SecondFactorState:
    unused = select(RecoveryCode.id).where(RecoveryCode.staff_id == caller.id, RecoveryCode.used_at.is_(None))
    return SecondFactorState(
        is_set=await is_set(session, caller.id),
        is_due=caller.second_factor_due,
        recovery_codes_left=len((await session.scalars(unused)).all()),
    )


async def begin_second_factor(session: AsyncSession, encryption: Encryption, caller: Caller) -> SecondFactorSecret:
    """Make a secret, which holds once its owner has shown a code. Raises `auth.second_factor_set`."""
    factor = await session.get(SecondFactor, caller.id, with_for_update=True)
    if factor is not None and factor.confirmed_at is not None:
        raise Problem("auth.second_factor_set")
    if factor is None:
        factor = SecondFactor(staff_id=caller.id, last_step=0)
        session.add(factor)
    secret = base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    factor.secret_sealed = encryption.seal(_COLUMN, caller.id, secret)
    staff = await session.get_one(Staff, caller.id)
    label = f"{quote('走访')}:{quote(staff.login)}"
    return SecondFactorSecret(
        secret=secret, uri=f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': '走访'})}"
    )


async def confirm_second_factor(
    session: AsyncSession, encryption: Encryption, caller: Caller, code: str, now: datetime
) -> RecoveryCodes:
    """Set the second factor with the first code of the app. Raises `auth.second_factor_wrong`."""
    factor = await session.get(SecondFactor, caller.id, with_for_update=True)
    if factor is None or factor.confirmed_at is not None:
        raise Problem("auth.second_factor_set" if factor else "thing.not_found")
    if not _accept_app_code(encryption, factor, code, now):
        raise Problem("auth.second_factor_wrong")
    factor.confirmed_at = now
    await session.execute(update(Device).where(Device.staff_id == caller.id).values(second_factor_due=False))
    audit.record(session, caller, Action.STAFF_SECOND_FACTOR_SET, "staff", caller.id)
    await notify_of_change(session, caller.id, "设置了动态码", "a second factor was set", now)
    return await _write_recovery_codes(session, encryption, caller.id)


async def renew_recovery_codes(
    session: AsyncSession, encryption: Encryption, caller: Caller, now: datetime
) -> RecoveryCodes:
    """Make new recovery codes; the earlier ones no longer work. Raises `thing.not_found` without a second factor."""
    if not await is_set(session, caller.id):
        raise Problem("thing.not_found")
    audit.record(session, caller, Action.STAFF_RECOVERY_CODES_MADE, "staff", caller.id)
    await notify_of_change(session, caller.id, "生成了新的恢复码", "new recovery codes were made", now)
    return await _write_recovery_codes(session, encryption, caller.id)


async def remove_second_factor(session: AsyncSession, caller: Caller, now: datetime) -> None:
    """Remove secret and recovery codes. Idempotent."""
    was_set = await is_set(session, caller.id)
    await delete_second_factor(session, caller.id)
    if was_set:
        audit.record(session, caller, Action.STAFF_SECOND_FACTOR_REMOVED, "staff", caller.id)
        await notify_of_change(session, caller.id, "停用了动态码", "the second factor was removed", now)


async def delete_second_factor(session: AsyncSession, staff_id: UUID) -> None:
    await session.execute(delete(RecoveryCode).where(RecoveryCode.staff_id == staff_id))
    await session.execute(delete(SecondFactor).where(SecondFactor.staff_id == staff_id))


async def is_set(session: AsyncSession, staff_id: UUID) -> bool:
    confirmed = select(SecondFactor.staff_id).where(
        SecondFactor.staff_id == staff_id, SecondFactor.confirmed_at.is_not(None)
    )
    return await session.scalar(confirmed) is not None


async def is_due(session: AsyncSession, staff_id: UUID, now: datetime) -> bool:
    """Tell whether an area of a desk role requires a second factor that this person has not set."""
    grants = select(StaffRole.area_code).where(
        StaffRole.staff_id == staff_id, StaffRole.revoked_at.is_(None), StaffRole.role.in_(REQUIRED_OF)
    )
    areas = set(await session.scalars(grants))
    if not areas or await is_set(session, staff_id):
        return False
    values = [await load_policy_values(session, area, day_of(now), [REQUIRED_KEY]) for area in areas]
    return any(value.get(REQUIRED_KEY) for value in values)


async def check_code(
    session: AsyncSession, encryption: Encryption, staff_id: UUID, code: str | None, now: datetime
) -> Verdict:
    """Check a code of the app or of paper, which is then used up. `right` also for a person without second factor."""
    factor = await session.get(SecondFactor, staff_id, with_for_update=True, populate_existing=True)
    if factor is None or factor.confirmed_at is None:
        return "right"
    if not code:
        return "required"
    if _accept_app_code(encryption, factor, code, now):
        return "right"
    return "right" if await _use_recovery_code(session, encryption, staff_id, code, now) else "wrong"


def _accept_app_code(encryption: Encryption, factor: SecondFactor, code: str, now: datetime) -> bool:
    secret = base64.b32decode(encryption.open(_COLUMN, factor.staff_id, factor.secret_sealed))
    typed = "".join(code.split())
    current = int(now.timestamp()) // PERIOD_S
    for step in (current - 1, current, current + 1):
        if step > factor.last_step and hmac.compare_digest(make_code(secret, step).encode(), typed.encode()):
            factor.last_step = step
            return True
    return False


def make_code(secret: bytes, step: int) -> str:
    """Return the code of one period (RFC 6238, RFC 4226 section 5.3)."""
    digest = hmac.digest(secret, struct.pack(">Q", step), "sha1")
    offset = digest[-1] & 0x0F
    number = struct.unpack_from(">I", digest, offset)[0] & 0x7FFFFFFF
    return str(number % 10**_DIGITS).zfill(_DIGITS)


async def _write_recovery_codes(session: AsyncSession, encryption: Encryption, staff_id: UUID) -> RecoveryCodes:
    await session.execute(delete(RecoveryCode).where(RecoveryCode.staff_id == staff_id))
    codes = ["".join(secrets.choice(_ALPHABET) for _ in range(10)) for _ in range(_RECOVERY_CODES)]
    session.add_all(
        RecoveryCode(id=new_id(), staff_id=staff_id, code_hash=_hash_recovery_code(encryption, staff_id, code))
        for code in codes
    )
    return RecoveryCodes(recovery_codes=[f"{code[:5]}-{code[5:]}" for code in codes])


async def _use_recovery_code(
    session: AsyncSession, encryption: Encryption, staff_id: UUID, code: str, now: datetime
) -> bool:
    used = await session.scalar(
        update(RecoveryCode)
        .where(
            RecoveryCode.staff_id == staff_id,
            RecoveryCode.code_hash == _hash_recovery_code(encryption, staff_id, code),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now)
        .returning(RecoveryCode.id)
    )
    if used is None:
        return False
    audit.record(session, None, Action.STAFF_RECOVERY_CODE_USED, "staff", staff_id)
    await notify_of_change(session, staff_id, "使用了一个恢复码", "a recovery code was used", now)
    return True


def _hash_recovery_code(encryption: Encryption, staff_id: UUID, code: str) -> bytes:
    typed = "".join(character for character in code.upper() if character.isalnum())
    return encryption.index("recovery_code", f"{staff_id}:{typed}")
