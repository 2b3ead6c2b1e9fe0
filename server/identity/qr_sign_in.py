"""Sign-in of a browser outside WeChat by a QR code, which somebody confirms who is signed in inside WeChat.

A picture of the code can be sent to anybody. So it lives for two minutes and is used once; it signs in the browser that
shows it and no other, which a cookie holds; the phone says what it would sign in and where, and wants the number that
stands beside the code, once. A wrong number ends it.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

from msgspec import Meta
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.database import write_despite_failure
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody, ShortText
from server.core.ids import new_id
from server.core.services import Services
from server.http.rate_limit import count_attempt, hash_subject
from server.identity.devices import DeviceInfo, SignedIn, open_device
from server.identity.sign_in import sign_in_linked_staff
from server.models.people import Device, Identity, Resident, Staff
from server.models.sign_in import QrSignIn

LIFETIME = timedelta(minutes=2)
# A second factor may be typed after the confirmation.
FINISH_WITHIN = timedelta(minutes=5)
# Codes that one address may show in a quarter of an hour: an office stands behind one.
MAX_BEGUN = 300
QrApp = Literal["resident", "desk"]
_FOLDERS: dict[QrApp, str] = {"resident": "r", "desk": "desk"}


class BeginQr(RequestBody):
    """`label` names the browser to who confirms."""

    web_app: QrApp
    label: Annotated[str, Meta(min_length=1, max_length=100)]


class QrCode(ResponseBody):
    """`url` goes into the picture, `number` beside it."""

    url: str
    number: str
    expires_at: datetime


class QrSecret(RequestBody):
    """The code behind the # of the address."""

    sealed_fields = frozenset({"code"})

    code: ShortText


class ConfirmQr(QrSecret, kw_only=True):
    number: Annotated[str, Meta(pattern="^[0-9]{2}$")]


class QrRequest(ResponseBody):
    """What is to be confirmed. `is_same_network`: the browser has the same address as this phone."""

    web_app: QrApp
    label: str
    begun_at: datetime
    is_same_network: bool


class FinishQr(RequestBody):
    sealed_fields = frozenset({"second_factor"})

    web_app: QrApp
    device: DeviceInfo
    second_factor: ShortText | None = None


class QrResult(ResponseBody):
    state: Literal["waiting", "declined", "signed_in"]
    signed_in: SignedIn | None = None


class BegunQr(NamedTuple):
    code: QrCode
    browser: str


async def begin_qr(
    session: AsyncSession, services: Services, data: BeginQr, *, origin: str, address: str, now: datetime
) -> BegunQr:
    """Raises `request.rate_limited`."""
    await count_attempt(session, services.encryption, [f"qr:{address}"], MAX_BEGUN, now)
    code, browser = secrets.token_urlsafe(24), secrets.token_urlsafe(32)
    number = f"{secrets.randbelow(90) + 10}"
    session.add(
        QrSignIn(
            id=new_id(),
            code_hash=_hash(code),
            browser_hash=_hash(browser),
            address_hash=_hash_address(services, address),
            web_app=data.web_app,
            number=number,
            label=data.label,
            begun_at=now,
            expires_at=now + LIFETIME,
        )
    )
    url = f"{services.settings.public_origin or origin}/{_FOLDERS[data.web_app]}/confirm#{code}"
    return BegunQr(QrCode(url=url, number=number, expires_at=now + LIFETIME), browser)


async def look_at_qr(
    session: AsyncSession, services: Services, caller: Caller, data: QrSecret, *, address: str, now: datetime
) -> QrRequest:
    """Say what a code would sign in. Raises `qr.invalid`, `qr.ended` and `auth.forbidden` for another app's people."""
    row = await _take(session, caller, data.code, now)
    return QrRequest(
        web_app="desk" if row.web_app == "desk" else "resident",
        label=row.label,
        begun_at=row.begun_at,
        is_same_network=row.address_hash == _hash_address(services, address),
    )


async def confirm_qr(session: AsyncSession, caller: Caller, data: ConfirmQr, now: datetime) -> None:
    """Let the browser that shows the code sign in as the caller. Raises also `qr.number_wrong`, which ends the code."""
    row = await _take(session, caller, data.code, now)
    await _require_wechat(session, caller)
    if not secrets.compare_digest(row.number, data.number):
        row_id = row.id
        async with write_despite_failure(session):
            (await session.get_one(QrSignIn, row_id, with_for_update=True)).declined_at = now
        raise Problem("qr.number_wrong")
    row.confirmed_at, row.device_id = now, caller.device_id
    row.expires_at = now + FINISH_WITHIN
    if caller.is_resident:
        row.resident_id = caller.id
    else:
        row.staff_id = caller.id
    audit.record(session, caller, Action.DEVICE_CONFIRMED, "person", caller.id, app=row.web_app)


async def decline_qr(session: AsyncSession, caller: Caller, data: QrSecret, now: datetime) -> None:
    (await _take(session, caller, data.code, now)).declined_at = now


async def finish_qr(session: AsyncSession, services: Services, data: FinishQr, browser: str, now: datetime) -> QrResult:
    """Sign the browser in once its code was confirmed. Raises `qr.invalid`, `qr.ended`, those of a factor."""
    row = await session.scalar(
        select(QrSignIn).where(QrSignIn.browser_hash == _hash(browser), QrSignIn.web_app == data.web_app)
        .with_for_update()
    )  # fmt: skip
    if row is None:
        raise Problem("qr.invalid")
    if row.declined_at is not None:
        return QrResult(state="declined")
    if row.used_at is not None or row.expires_at <= now:
        raise Problem("qr.ended")
    if row.confirmed_at is None:
        return QrResult(state="waiting")
    if await _has_ended(session, row):
        return QrResult(state="declined")
    row.used_at = now
    if row.resident_id is not None:
        resident = await session.get_one(Resident, row.resident_id)
        signed_in = await open_device(session, services, resident, data.device, now, is_qr=True)
        return QrResult(state="signed_in", signed_in=signed_in)
    staff = await session.get_one(Staff, row.staff_id)
    openid = await _find_openid(session, staff.id)
    if staff.disabled_at is not None or openid is None:
        raise Problem("auth.wechat_not_linked")
    signed_in = await sign_in_linked_staff(
        session, services, staff, openid, data.second_factor, data.device, now, is_qr=True
    )
    return QrResult(state="signed_in", signed_in=signed_in)


async def _has_ended(session: AsyncSession, row: QrSignIn) -> bool:
    """Say whether the device that confirmed a code was ended since: a phone that was lost signs in nothing more."""
    ended = Device.id == row.device_id, Device.ended_at.is_not(None)
    return await session.scalar(select(Device.id).where(*ended)) is not None


async def _take(session: AsyncSession, caller: Caller, code: str, now: datetime) -> QrSignIn:
    row = await session.scalar(select(QrSignIn).where(QrSignIn.code_hash == _hash(code)).with_for_update())
    if row is None:
        raise Problem("qr.invalid")
    if (row.web_app == "resident") != caller.is_resident:
        raise Problem("auth.forbidden", roles=row.web_app)
    if row.confirmed_at is not None or row.declined_at is not None or row.expires_at <= now:
        raise Problem("qr.ended")
    return row


async def _require_wechat(session: AsyncSession, caller: Caller) -> None:
    """Only who has WeChat confirms: a password that was stolen signs in no second browser."""
    if await _find_openid(session, caller.id) is None:
        raise Problem("auth.wechat_not_linked")


async def _find_openid(session: AsyncSession, owner_id: UUID) -> str | None:
    openid: str | None = await session.scalar(
        select(Identity.subject)
        .where(
            (Identity.staff_id == owner_id) | (Identity.resident_id == owner_id),
            Identity.provider == "wechat",
            Identity.app.in_(["service_account", "miniprogram"]),
            Identity.ended_at.is_(None),
        )
        .limit(1)
    )
    return openid


async def purge_qr_codes(session: AsyncSession, now: datetime) -> None:
    await session.execute(delete(QrSignIn).where(QrSignIn.expires_at < now - timedelta(days=1)))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _hash_address(services: Services, address: str) -> bytes:
    return bytes.fromhex(hash_subject(services.encryption, f"qr-from:{address}"))
