"""Links to the photos of a visit, for minutes. Each goes through the caller's scope and leaves a line in the trail."""

from datetime import datetime, timedelta
from typing import Literal, Protocol, runtime_checkable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from media.store import original_key, rendition_key, watermarked_key
from server import audit
from server.audit.actions import Action
from server.core.access import Caller, readable, require_found
from server.core.errors import Problem
from server.core.http import ResponseBody
from server.core.services import Services
from server.models.evidence import Evidence, Photo
from server.models.review import ReviewItem
from server.models.visits import Visit
from server.spotchecks.blinding import require_not_blinded

Rendition = Literal["320", "1280", "original", "watermarked"]


@runtime_checkable  # Litestar checks the type of injected values
class DrawWatermark(Protocol):
    """Make sure that a photo's watermarked copy exists. The photos room implements it."""

    async def __call__(self, services: Services, claim_id: UUID) -> None: ...


class PhotoLink(ResponseBody):
    url: str
    expires_at: datetime


async def link_photo(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    visit_id: UUID,
    evidence_id: UUID,
    rendition: Rendition,
    draw_watermark: DrawWatermark,
    now: datetime,
) -> PhotoLink:
    """Return a link, valid for minutes, to one rendition of a photo. The audit entry says who used it and why.

    Raises `photo.not_ready`, `photo.erased`.
    """
    visit: Visit = require_found(await session.scalar(readable(Visit, caller).where(Visit.id == visit_id)))
    await require_not_blinded(session, caller, visit_id)
    photo = await _load_shown_photo(session, caller, visit_id, evidence_id)
    key = _store_key(photo.sha256, evidence_id, rendition)
    if rendition == "watermarked":
        # Only read so far: hold no connection while the copy is drawn in a transaction of its own.
        await session.commit()
        await draw_watermark(services, evidence_id)
    media_type = (photo.media_type or "image/jpeg") if rendition == "original" else "image/jpeg"
    lifetime = timedelta(minutes=services.settings.link_minutes)
    audit.record(
        session,
        caller,
        Action.PHOTO_LINKED,
        "evidence",
        evidence_id,
        area_code=visit.area_code,
        rendition=rendition,
        why=await _link_reason(session, caller, visit_id, now),
    )
    return PhotoLink(url=services.store.link(key, lifetime=lifetime, media_type=media_type), expires_at=now + lifetime)


async def _load_shown_photo(session: AsyncSession, caller: Caller, visit_id: UUID, evidence_id: UUID) -> Photo:
    evidence: Evidence = require_found(
        await session.scalar(
            readable(Evidence, caller).where(Evidence.id == evidence_id, Evidence.visit_id == visit_id)
        )
    )
    if evidence.erased_at is not None:
        raise Problem("photo.erased")
    if evidence.state != "verified":
        raise Problem("photo.not_ready")
    return await session.get_one(Photo, evidence.sha256)


async def _link_reason(session: AsyncSession, caller: Caller, visit_id: UUID, now: datetime) -> str:
    """Derive the reason from the caller's role: nobody types a reason per photo, and typed reasons prove little."""
    item = await session.get(ReviewItem, visit_id)
    if item is None or item.state == "decided":
        return "oversight" if item is None else "decided"
    holds = item.holder_id == caller.id and item.lease_until is not None and item.lease_until > now
    return "review" if holds else "oversight"


def _store_key(sha256: str, evidence_id: UUID, rendition: Rendition) -> str:
    if rendition == "original":
        return original_key(sha256)
    return watermarked_key(sha256, evidence_id) if rendition == "watermarked" else rendition_key(sha256, rendition)
