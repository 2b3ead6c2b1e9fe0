"""What the command line does to a system as a whole."""

from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from server import audit
from server.core.database import open_once, open_session
from server.core.services import open_services
from server.core.settings import Settings
from server.demo.cases import load_cases
from server.demo.county import build_county
from server.demo.loading import load_demo
from server.models.audit import AuditSeal


async def load_demo_county(settings: Settings, *, with_cases: bool = True) -> bool:
    """The county, and unless told otherwise its cases in every state. False when it is there already."""
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    async with open_services(settings) as services, open_session(services.sessions) as session:
        if not await load_demo(session, services.vault, today=today):
            return False
        if with_cases:
            await services.store.ensure_bucket()
            await load_cases(session, services, build_county(today=today))
        return True


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
