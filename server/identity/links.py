"""One-time links that set a password: given to a new colleague, or to one who forgot it.

The link is shown once, to whoever made it; the database keeps its hash. A newer link makes the older ones void.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.errors import Problem
from server.core.http import ResponseBody
from server.core.ids import new_id
from server.core.passwords import hash_password
from server.core.threads import run_in_thread
from server.identity.password_policy import require_good_password
from server.models.people import Device, Staff
from server.models.sign_in import SignInLink

LIFETIME = timedelta(days=7)


class NewLink(ResponseBody):
    """`token` is shown this once. The web page `/desk/set-password#<token>` or `/m/set-password#<token>` takes it."""

    staff_id: UUID
    login: str
    name: str
    token: str
    expires_at: datetime


async def make_link(session: AsyncSession, caller: Caller | None, staff: Staff, now: datetime) -> NewLink:
    """Make the person's link, valid for seven days; earlier ones no longer work."""
    pending = SignInLink.staff_id == staff.id, SignInLink.used_at.is_(None)
    await session.execute(update(SignInLink).where(*pending, SignInLink.expires_at > now).values(expires_at=now))
    token = secrets.token_urlsafe(24)
    link = SignInLink(
        id=new_id(),
        staff_id=staff.id,
        token_hash=_hash(token),
        created_by=caller.id if caller else None,
        created_at=now,
        expires_at=now + LIFETIME,
    )
    session.add(link)
    audit.record(session, caller, Action.STAFF_LINK_MADE, "staff", staff.id)
    return NewLink(staff_id=staff.id, login=staff.login, name=staff.name, token=token, expires_at=link.expires_at)


async def set_password_by_link(session: AsyncSession, token: str, password: str, now: datetime) -> str:
    """Set the password of the link's person, end all their devices, and return the login.

    Raise `auth.link_invalid` for a link that is unknown, used, replaced or expired; the person must be active.
    """
    link = await session.scalar(
        select(SignInLink)
        .join(Staff, Staff.id == SignInLink.staff_id)
        .where(
            SignInLink.token_hash == _hash(token),
            SignInLink.used_at.is_(None),
            SignInLink.expires_at > now,
            Staff.disabled_at.is_(None),
        )
        .with_for_update(of=SignInLink)
    )
    if link is None:
        raise Problem("auth.link_invalid")
    staff = await session.get_one(Staff, link.staff_id)
    require_good_password(password, staff)
    link.used_at = now
    staff.password_hash = await run_in_thread(hash_password, password)
    await end_all_devices(session, staff.id, now, "password_changed")
    audit.record(session, None, Action.STAFF_PASSWORD_SET, "staff", staff.id, by="link")
    return staff.login


async def end_all_devices(session: AsyncSession, staff_id: UUID, now: datetime, reason: str) -> int:
    """End every device of a person, and return how many rows their phones had not sent at the last contact."""
    devices = list(await session.scalars(select(Device).where(Device.staff_id == staff_id, Device.ended_at.is_(None))))
    for device in devices:
        device.ended_at, device.end_reason = now, reason
    return sum(device.pending_rows or 0 for device in devices)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
