"""Draw watermarked copies of photos for use outside the office: time, place, case, caseworkers and receipt code.

Few are ever requested, so each is drawn at the first request, and again when the visit has another receipt. The text
depends on the expected photo and not on the content: the same bytes in two visits give two copies, so a copy's key
holds the expected photo's id. Its hash is stored, so that an altered copy can be detected.
"""

import hashlib
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import rendition_key, watermarked_key
from server.core.clock import CHINA
from server.core.database import advisory_lock, open_session
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


async def draw_watermark(services: Services, photo_id: UUID) -> None:
    """Make sure that the watermarked copy of a verified photo is in the store. Idempotent and safe concurrently.

    Raises `photo.not_ready` while the visit is not complete, and StoreError.
    """
    from media.watermark import watermark  # noqa: PLC0415  Pillow: 5 MB for what few ask for

    async with open_session(services.sessions) as session:
        # Of two concurrent drawings the object could be from one and the stored hash from the other. A lock of the row
        # would make this a writing transaction for as long as the drawing takes; this lock writes nothing.
        await advisory_lock(session, f"watermark:{photo_id}")
        photo = await session.get_one(Evidence, photo_id)
        visit = await session.get_one(Visit, photo.visit_id)
        if visit.complete_at is None or visit.receipt is None:
            raise Problem("photo.not_ready")
        code = receipt_short_code(visit.receipt)
        if photo.watermark_receipt == code:
            return
        lines = [_render_time(photo.captured_at), *await _render_visit(session, visit)]
        large = await services.store.read(rendition_key(photo.sha256, "1280"))
        jpeg = await run_in_thread(watermark, large, lines)
        await services.store.put(watermarked_key(photo.sha256, photo_id), jpeg, len(jpeg), _JPEG)
        photo.watermark_receipt, photo.watermark_sha256 = code, hashlib.sha256(jpeg).hexdigest()


async def _render_visit(session: AsyncSession, visit: Visit) -> list[str]:
    names = "、".join(await _list_staff_names(session, visit))
    return [
        f"地点 {' '.join(await list_area_names(session, visit.area_code))}",
        await _render_household(session, visit.household_id),
        f"调查员 {names}    回执 {receipt_short_code(visit.receipt or '')}",
    ]


async def list_area_names(session: AsyncSession, code: str) -> list[str]:
    """List the names from the province down to the area itself."""
    codes = [code[:digits] for digits in (2, 4, 6, 9, 12) if digits <= len(code)]
    rows = await session.execute(select(Area.code, Area.name).where(Area.code.in_(codes)).order_by(Area.code))
    return [name for _, name in rows]


async def _render_household(session: AsyncSession, household_id: UUID) -> str:
    household = await session.get_one(Household, household_id)
    number = await find_case_number(session, household_id)
    return f"案件 {number}    户号 {household.number}" if number else f"户号 {household.number}"


async def find_case_number(session: AsyncSession, household_id: UUID) -> str | None:
    """Return the case number of the household's newest application."""
    newest = select(CaseFile.number).where(CaseFile.household_id == household_id).order_by(CaseFile.id.desc()).limit(1)
    number: str | None = await session.scalar(newest)
    return number


async def _list_staff_names(session: AsyncSession, visit: Visit) -> list[str]:
    """List the investigators' names, the author's first."""
    rows = await session.scalars(
        select(Staff.name)
        .join(VisitInvestigator, VisitInvestigator.staff_id == Staff.id)
        .where(VisitInvestigator.visit_id == visit.id)
        .order_by((Staff.id != visit.author_id), Staff.id)
    )
    return list(rows)


def _render_time(captured_at: datetime | None) -> str:
    if captured_at is None:
        return "时间 不详"
    return f"时间 {captured_at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
