"""Copies that may leave the office: each carries on its face when, where, whose, by whom, and of which receipt.

Made once a visit is complete. What is written differs by claim, not by content: the same bytes claimed by two
visits give two copies, so a copy is named by its claim.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import rendition_key, watermarked_key
from media.watermark import watermark
from server.core import jobs
from server.core.database import open_session
from server.core.services import Services
from server.core.threads import in_thread
from server.core.tokens import receipt_short_code
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.evidence import Evidence
from server.models.households import Household
from server.models.people import Staff
from server.models.visits import Visit, VisitInvestigator

CHINA = ZoneInfo("Asia/Shanghai")
_JPEG = "image/jpeg"


class _Copy(NamedTuple):
    evidence_id: UUID
    sha256: str
    lines: list[str]


@jobs.task("evidence.watermark")
async def watermark_visit(services: Services, *, visit_id: str) -> None:
    """Make the watermarked copy of every verified photo of a visit. Run again, it makes the same ones again."""
    async with open_session(services.sessions) as session:
        copies = await _plan(session, UUID(visit_id))
    for one in copies:
        large = await services.store.read(rendition_key(one.sha256, "1280"))
        marked = await in_thread(watermark, large, one.lines)
        await services.store.put(watermarked_key(one.sha256, one.evidence_id), marked, len(marked), _JPEG)


async def _plan(session: AsyncSession, visit_id: UUID) -> list[_Copy]:
    visit = await session.get_one(Visit, visit_id)
    common = [
        f"地点 {' '.join(await area_names(session, visit.area_code))}",
        await _say_whose(session, visit.household_id),
        f"调查员 {'、'.join(await _names(session, visit))}    回执 {receipt_short_code(visit.receipt or '')}",
    ]
    listed = [UUID(one["id"]) for one in visit.document.get("photos", [])]
    rows = await session.scalars(
        select(Evidence)
        .where(Evidence.id.in_(listed), Evidence.visit_id == visit_id)
        .where(Evidence.state == "verified", Evidence.erased_at.is_(None))
        .order_by(Evidence.id)
    )
    return [_Copy(one.id, one.sha256, [_say_when(one.captured_at), *common]) for one in rows]


async def area_names(session: AsyncSession, code: str) -> list[str]:
    """From the province down to the area itself."""
    above = [code[:digits] for digits in (2, 4, 6, 9, 12) if digits <= len(code)]
    rows = await session.execute(select(Area.code, Area.name).where(Area.code.in_(above)).order_by(Area.code))
    return [name for _, name in rows]


async def _say_whose(session: AsyncSession, household_id: UUID) -> str:
    household = await session.get_one(Household, household_id)
    number = await case_number(session, household_id)
    return f"案件 {number}    户号 {household.number}" if number else f"户号 {household.number}"


async def case_number(session: AsyncSession, household_id: UUID) -> str | None:
    """Of the household's newest application."""
    newest = select(CaseFile.number).where(CaseFile.household_id == household_id).order_by(CaseFile.id.desc()).limit(1)
    number: str | None = await session.scalar(newest)
    return number


async def _names(session: AsyncSession, visit: Visit) -> list[str]:
    """The author first."""
    rows = await session.scalars(
        select(Staff.name)
        .join(VisitInvestigator, VisitInvestigator.staff_id == Staff.id)
        .where(VisitInvestigator.visit_id == visit.id)
        .order_by((Staff.id != visit.author_id), Staff.id)
    )
    return list(rows)


def _say_when(captured_at: datetime | None) -> str:
    if captured_at is None:
        return "时间 不详"
    return f"时间 {captured_at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
