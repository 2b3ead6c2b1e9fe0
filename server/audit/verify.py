"""Verify the whole audit chain, for `python -m server verify-audit`."""

from typing import NamedTuple

from sqlalchemy import func, select

from server import audit
from server.core.database import open_once
from server.core.settings import Settings
from server.models.audit import AuditSeal


class AuditCheck(NamedTuple):
    seals: int
    entries: int
    broken_at: int | None


async def check_audit(settings: Settings) -> AuditCheck:
    async with open_once(settings.database_url) as session:
        seals, entries = (
            await session.execute(select(func.count(), func.coalesce(func.sum(AuditSeal.entries), 0)))
        ).one()
        broken = await audit.broken_seal(session)
        return AuditCheck(seals, entries, broken.position if broken else None)
