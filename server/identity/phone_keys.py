"""Recovery keys of phones: with one of them a phone opens what it keeps sealed when its owner has forgotten the PIN.

A phone draws its recovery key itself and leaves it here. It is handed out to its owner alone, after a step-up: the key
without the phone's own records opens nothing, and the records without the key neither.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, require_found
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.models.people import PhoneKey

_COLUMN = "phone_key.key"
# A browser whose storage was cleared draws a new key; nobody comes near this by working.
_MAX_KEYS = 200


class NewPhoneKey(RequestBody):
    """`id` and `key` are drawn by the phone; the key is 32 bytes in base64."""

    sealed_fields = frozenset({"key"})

    id: UUID
    key: Annotated[str, Meta(pattern=r"^[A-Za-z0-9+/]{43}=$")]


class ReleasedPhoneKey(ResponseBody):
    key: str


async def keep_phone_key(
    session: AsyncSession, encryption: Encryption, caller: Caller, body: NewPhoneKey, now: datetime
) -> None:
    """Keep a key that is never replaced: repeating it changes nothing. Raises `request.rate_limited`."""
    if await session.get(PhoneKey, body.id) is not None:
        return
    kept = await session.scalar(select(func.count()).where(PhoneKey.staff_id == caller.id))
    if (kept or 0) >= _MAX_KEYS:
        raise Problem("request.rate_limited")
    sealed = encryption.seal(_COLUMN, body.id, body.key)
    session.add(PhoneKey(id=body.id, staff_id=caller.id, key_sealed=sealed, kept_at=now))
    audit.record(session, caller, Action.PHONE_KEY_KEPT, "phone_key", body.id)


async def release_phone_key(
    session: AsyncSession, encryption: Encryption, caller: Caller, key_id: UUID
) -> ReleasedPhoneKey:
    """Hand out the caller's own key. Raises `thing.not_found`."""
    kept = require_found(
        await session.scalar(select(PhoneKey).where(PhoneKey.id == key_id, PhoneKey.staff_id == caller.id))
    )
    audit.record(session, caller, Action.PHONE_KEY_RELEASED, "phone_key", kept.id)
    return ReleasedPhoneKey(key=encryption.open(_COLUMN, kept.id, kept.key_sealed))
