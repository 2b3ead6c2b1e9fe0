"""Verify the whole audit trail, for `python -m server verify-audit`: the chain, its signatures, its end.

A chain that was cut at its end is still a chain. So the last seal must be signed, nothing may wait long for its seal, a
system that was used has a trail, and a head that was kept elsewhere must still be in it.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from server.audit.seals import broken_seal, entries_after
from server.core.database import open_once
from server.core.settings import Settings
from server.core.tokens import StatementError, StatementKind, verify_statement
from server.models.audit import AuditEntry, AuditSeal

# Entries are sealed every five minutes. Older ones without a seal mean that nobody seals, or that seals were deleted.
SEALED_WITHIN = timedelta(hours=1)

# Tables that have rows as soon as anybody used the system, and the number that the last audit entry had.
_USED = """
SELECT EXISTS (SELECT FROM staff) OR EXISTS (SELECT FROM household) OR EXISTS (SELECT FROM visit)
    OR EXISTS (SELECT FROM device)
    OR coalesce(pg_sequence_last_value(pg_get_serial_sequence('audit_entry', 'id')::regclass), 0) > 0
"""


class AuditCheck(NamedTuple):
    seals: int
    entries: int
    faults: list[str]


async def check_audit(
    settings: Settings, key_set: dict[str, Any], *, now: datetime, since: str | None = None
) -> AuditCheck:
    """Verify the trail with the public keys of its seals, and that it still holds the head `since`."""
    async with open_once(settings.maintenance_database_url or settings.database_url) as session:
        seals, entries = (
            await session.execute(select(func.count(), func.coalesce(func.sum(AuditSeal.entries), 0)))
        ).one()
        faults = [fault async for fault in _find_faults(session, key_set, now, since)]
        return AuditCheck(seals, entries, faults)


def read_head(content: str) -> str:
    """Return the signed head in a file of whatever form it was kept: the published JSON, a line of a log, or itself."""
    try:
        kept = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return content.rsplit(maxsplit=1)[-1] if content.split() else ""
    return str(kept.get("head") or "") if isinstance(kept, dict) else ""


async def _find_faults(
    session: AsyncSession, key_set: dict[str, Any], now: datetime, since: str | None
) -> AsyncIterator[str]:
    broken = await broken_seal(session, key_set)
    if broken is not None:
        yield f"altered: seal {broken.position} does not hold"
    async for fault in find_end_faults(session, now):
        yield fault
    if since is not None and (missing := await _compare_head(session, key_set, since)):
        yield missing


async def find_end_faults(session: AsyncSession, now: datetime) -> AsyncIterator[str]:
    """Yield what is wrong with the end of the trail, without recomputing the chain."""
    last = await session.scalar(select(AuditSeal).order_by(AuditSeal.position.desc()).limit(1))
    if last is not None and last.signature is None:
        yield f"seal {last.position}, the newest, is not signed"
    if last is None and await session.scalar(text(_USED)):
        yield "nothing is sealed, yet this system was used"
    unsealed = entries_after(last).where(AuditEntry.at < now - SEALED_WITHIN).subquery()
    waiting = await session.scalar(select(func.count()).select_from(unsealed))
    if waiting:
        yield f"{waiting} entries wait for a seal for over an hour: no worker seals, or seals were deleted"


async def _compare_head(session: AsyncSession, key_set: dict[str, Any], since: str) -> str | None:
    try:
        head = verify_statement(StatementKind.AUDIT_SEAL, since, key_set)
    except StatementError as error:
        return f"the given head was not signed with these keys ({error})"
    seal_row = await session.scalar(select(AuditSeal).where(AuditSeal.position == head["position"]))
    if seal_row is None:
        return f"cut off: seal {head['position']} over {head['total']} entries, which the given head names, is gone"
    if (seal_row.hash, seal_row.total) != (head["hash"], head["total"]):
        return f"written anew: seal {head['position']} is not the one that the given head names"
    return None
