"""What the command line does to a system as a whole."""

from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from server.core.database import open_once
from server.core.services import build_vault
from server.core.settings import Settings
from server.demo.loading import load_demo
from server.models import audit
from server.models.audit import AuditSeal


async def load_demo_county(settings: Settings) -> bool:
    async with open_once(settings.database_url) as session:
        today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
        return await load_demo(session, build_vault(settings), today=today)


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
