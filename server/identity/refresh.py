"""Refresh tokens: each works once and is exchanged for the next.

Which holder is the right one is decided by use, not by a clock. A used token that comes again is a repeat after a lost
response as long as no later token of the device was used: it gets a token at the same position as the first response
did. Once either of them has been used, the other ends the device, because two parties hold tokens.

A restored database does not know the tokens issued after its backup. They are recognized by their signature and by
their position, which is higher than any that the database knows.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Problem
from server.core.ids import new_id
from server.core.job_types import PurgeRefreshTokens
from server.core.services import Services
from server.core.tokens import hash_refresh_token, read_refresh_token
from server.identity.devices import SignedIn, issue_tokens
from server.identity.qr_sign_in import purge_qr_codes
from server.identity.web_sign_in import purge_flows
from server.models.people import Device, RefreshToken
from server.models.sign_in import SignInCode

# How long a used token is kept in order to recognize it; a signed token is recognized as used without its row.
_USED_TOKENS_KEPT = timedelta(days=7)
_PURGE_BATCH = 5_000
# A code lives minutes; what counts against the day's budget is a day old at most.
_CODES_KEPT = timedelta(days=2)


async def refresh_tokens(services: Services, token: str, now: datetime) -> SignedIn:
    """Exchange a refresh token for the next pair.

    Raises `auth.refresh_invalid`, or `auth.refresh_reused` after ending the device.
    """
    async with open_session(services.sessions) as session:
        signed_in = await _exchange(session, services, token, now)
    if signed_in is None:
        raise Problem("auth.refresh_reused")
    return signed_in


async def _exchange(session: AsyncSession, services: Services, token: str, now: datetime) -> SignedIn | None:
    """Return the next pair, or None after ending the device, which has to be committed."""
    row = await _find_token(session, services, token, now)
    device = await session.get(Device, row.device_id, with_for_update=True, populate_existing=True) if row else None
    if not row or not device:
        raise Problem("auth.refresh_invalid")
    if device.ended_at is not None:
        raise Problem("auth.device_ended")
    highest = await _highest_position(session, device.id)
    is_known = row in session
    if is_known:
        await session.refresh(row)  # another request may have used it before the device was locked
    elif row.position is not None and row.position > highest:
        session.add(row)  # issued after the backup from which the database was restored
        audit.record(session, None, Action.DEVICE_ADOPTED, "device", device.id)
    else:
        _end_for_reuse(session, device, now)
        return None
    if await _later_was_used(session, row):
        _end_for_reuse(session, device, now)
        return None
    position = row.position = highest if row.position is None else row.position
    row.used_at = row.used_at or now
    device.last_seen_at = now
    return await issue_tokens(session, services, device, position + 1, now)


async def end_session(session: AsyncSession, services: Services, token: str, now: datetime) -> None:
    """End the device that holds this refresh token. An invalid token and a device that has ended change nothing."""
    row = await _find_token(session, services, token, now)
    device = await session.get(Device, row.device_id, with_for_update=True, populate_existing=True) if row else None
    if not device or device.ended_at is not None:
        return
    device.ended_at, device.end_reason = now, "signed_out"
    owner_id = device.staff_id or device.resident_id
    audit.record(session, None, Action.DEVICE_ENDED, "device", device.id, reason="signed_out", owner=str(owner_id))


async def _find_token(session: AsyncSession, services: Services, token: str, now: datetime) -> RefreshToken | None:
    """Return the row of a valid token, or an unsaved one if only its signature is known."""
    token_hash = hash_refresh_token(token)
    row = await session.scalar(select(RefreshToken).where(RefreshToken.token_hash == token_hash))
    if row is None and (claims := read_refresh_token(services.token_keys, token)) is not None:
        row = RefreshToken(
            id=new_id(),
            device_id=claims.device_id,
            token_hash=token_hash,
            position=claims.position,
            issued_at=now,
            expires_at=claims.expires_at,
        )
    return row if row is not None and row.expires_at > now else None


async def _highest_position(session: AsyncSession, device_id: UUID) -> int:
    highest = select(func.max(RefreshToken.position)).where(RefreshToken.device_id == device_id)
    return await session.scalar(highest) or 0


async def _later_was_used(session: AsyncSession, row: RefreshToken) -> bool:
    """Tell whether another token at this position or a later one has been used.

    A token of an earlier version gets a position with its first use; used before, it names its successor.
    """
    is_later = RefreshToken.id == row.successor_id
    if row.position is not None:
        is_later |= RefreshToken.position >= row.position
    used = select(RefreshToken.id).where(
        RefreshToken.device_id == row.device_id, RefreshToken.id != row.id, is_later, RefreshToken.used_at.is_not(None)
    )
    return bool(await session.scalar(select(exists(used))))


def _end_for_reuse(session: AsyncSession, device: Device, now: datetime) -> None:
    device.ended_at, device.end_reason = now, "refresh_reused"
    audit.record(session, None, Action.DEVICE_ENDED, "device", device.id, reason="refresh_reused")


@jobs.task(PurgeRefreshTokens, cron="40 18 * * *")
async def purge_daily(services: Services, _: PurgeRefreshTokens) -> None:
    """Run at 02:40 China time, batch by batch."""
    deleted = _PURGE_BATCH
    while deleted == _PURGE_BATCH:
        async with open_session(services.sessions) as session:
            deleted = await purge_refresh_tokens(session, utc_now())
    async with open_session(services.sessions) as session:
        await purge_flows(session, utc_now())
        await purge_qr_codes(session, utc_now())
        await session.execute(delete(SignInCode).where(SignInCode.made_at < utc_now() - _CODES_KEPT))


async def purge_refresh_tokens(session: AsyncSession, now: datetime) -> int:
    """Delete a batch of tokens, expired or used some days ago, and return how many.

    The latest tokens of a device stay until they expire, so that its position is known.
    """
    later = aliased(RefreshToken)
    has_later = exists().where(later.device_id == RefreshToken.device_id, later.position > RefreshToken.position)
    used_long_ago = (RefreshToken.used_at < now - _USED_TOKENS_KEPT) & has_later
    batch = (
        select(RefreshToken.id)
        .where(RefreshToken.issued_at < now - _USED_TOKENS_KEPT, or_(RefreshToken.expires_at <= now, used_long_ago))
        .limit(_PURGE_BATCH)
    )
    deleted = await session.scalars(delete(RefreshToken).where(RefreshToken.id.in_(batch)).returning(RefreshToken.id))
    return len(deleted.all())
