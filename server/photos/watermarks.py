"""Copies that may leave the office: each carries on its face when, where, whose, by whom, and of which receipt.

Few are ever asked for, so each is drawn when it first is, and drawn anew when the visit has another receipt. What is
written differs by claim, not by content: the same bytes claimed by two visits give two copies, so a copy is named by
its claim. Its hash is noted, so that one that was shown can be told from one that was altered.
"""

import hashlib
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import rendition_key, watermarked_key
from server.core.clock import CHINA
from server.core.database import open_session
from server.core.errors import Problem
from server.core.services import Services
from server.core.threads import run_in_thread
from server.core.tokens import receipt_short_code
from server.models.areas import Area
from server.models.cases import CaseFile
from server.models.evidence import Evidence
from server.models.households import Household
from server.models.people import Staff
from server.models.visits import Visit, VisitInvestigator

_JPEG = "image/jpeg"


async def draw_watermark(services: Services, claim_id: UUID) -> None:
    """See that the copy of a verified photo is in the store. Safe to do again, and side by side.

    Raises `photo.not_ready` while the visit is not whole, and StoreError.
    """
    from media.watermark import watermark  # noqa: PLC0415  Pillow: 5 MB for what few ask for

    async with open_session(services.sessions) as session:
        # Who asks second waits: of two drawings at once the object could be one's and the noted hash the other's.
        claim = await session.get_one(Evidence, claim_id, with_for_update=True)
        visit = await session.get_one(Visit, claim.visit_id)
        if visit.complete_at is None or visit.receipt is None:
            raise Problem("photo.not_ready")
        code = receipt_short_code(visit.receipt)
        if claim.watermark_receipt == code:
            return
        lines = [_say_when(claim.captured_at), *await _say_of_visit(session, visit)]
        large = await services.store.read(rendition_key(claim.sha256, "1280"))
        marked = await run_in_thread(watermark, large, lines)
        await services.store.put(watermarked_key(claim.sha256, claim_id), marked, len(marked), _JPEG)
        claim.watermark_receipt, claim.watermark_sha256 = code, hashlib.sha256(marked).hexdigest()


async def _say_of_visit(session: AsyncSession, visit: Visit) -> list[str]:
    return [
        f"地点 {' '.join(await area_names(session, visit.area_code))}",
        await _say_whose(session, visit.household_id),
        f"调查员 {'、'.join(await _names(session, visit))}    回执 {receipt_short_code(visit.receipt or '')}",
    ]


async def list_area_names(session: AsyncSession, code: str) -> list[str]:
    """From the province down to the area itself."""
    above = [code[:digits] for digits in (2, 4, 6, 9, 12) if digits <= len(code)]
    rows = await session.execute(select(Area.code, Area.name).where(Area.code.in_(above)).order_by(Area.code))
    return [name for _, name in rows]


async def _say_whose(session: AsyncSession, household_id: UUID) -> str:
    household = await session.get_one(Household, household_id)
    number = await find_case_number(session, household_id)
    return f"案件 {number}    户号 {household.number}" if number else f"户号 {household.number}"


async def find_case_number(session: AsyncSession, household_id: UUID) -> str | None:
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
