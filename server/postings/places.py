"""The places where a list is posted. Each is proven by a photo and a location fix."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from media.photo import read_photo_facts
from media.refusals import PhotoRefused
from media.store import original_key, rendition_key
from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import Caller, require_found, require_role
from server.core.clock import utc_now
from server.core.device_times import believe_time, storable_times
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody, ShortText
from server.core.ids import new_id
from server.core.job_types import ProcessPhoto
from server.core.location import Fix
from server.core.services import Services
from server.core.threads import run_in_thread
from server.models.evidence import Photo
from server.models.postings import PostingPlace
from server.postings.detail import (
    DETAIL_ROLES,
    DISPLAY_ROLES,
    PostingDetail,
    load_posting,
    load_posting_detail,
    require_no_relatives_listed,
)


class AddPlace(RequestBody):
    name: ShortText
    fix: Fix


class PlaceLink(ResponseBody):
    url: str
    expires_at: datetime


async def add_place(
    session: AsyncSession, services: Services, caller: Caller, posting_id: UUID, place: AddPlace, photo: bytes
) -> PostingDetail:
    """Add a place with its photo, which is stored under its hash. Idempotent by photo.

    Raises `posting.ended`, `case.own_relative` if an entry is a relative's, and the `photo.*` codes.
    """
    require_role(caller, DISPLAY_ROLES)
    posting = await load_posting(session, caller, posting_id)
    if posting.state == "ended":
        raise Problem("posting.ended")
    await require_no_relatives_listed(session, caller, posting)
    sha256, media_type = await run_in_thread(_check_photo, photo)
    await services.store.put(original_key(sha256), photo, len(photo), media_type)
    await _store_photo(session, sha256, len(photo))
    now = utc_now()
    row = insert(PostingPlace).values(
        id=new_id(),
        posting_id=posting.id,
        name=place.name,
        latitude=place.fix.latitude,
        longitude=place.fix.longitude,
        datum=place.fix.datum,
        accuracy_m=place.fix.accuracy_m,
        captured_at=believe_time(place.fix.captured_at, storable_times(now), now),
        sha256=sha256,
        staff_id=caller.id,
    )
    await session.execute(row.on_conflict_do_nothing())
    audit.record(
        session, caller, Action.POSTING_HUNG_UP, "posting", posting.id, area_code=posting.area_code, sha256=sha256
    )
    return await load_posting_detail(session, services, caller, posting)


async def _store_photo(session: AsyncSession, sha256: str, size: int) -> None:
    """Record the photo and queue the job that reads its metadata and makes its renditions."""
    photo = insert(Photo).values(sha256=sha256, size_bytes=size, state="stored")
    if await session.scalar(photo.on_conflict_do_nothing().returning(Photo.sha256)) is not None:
        await jobs.defer(session, ProcessPhoto(sha256=sha256), once=f"examine:{sha256}")


def _check_photo(photo: bytes) -> tuple[str, str]:
    try:
        facts = read_photo_facts(photo)
    except PhotoRefused as refused:
        raise Problem(refused.code) from None
    return facts.sha256, facts.media_type


async def create_place_link(
    session: AsyncSession, services: Services, caller: Caller, posting_id: UUID, place_id: UUID, now: datetime
) -> PlaceLink:
    """Return a short-lived link to the photo of a place. The access is written to the audit log."""
    require_role(caller, DETAIL_ROLES)
    posting = await load_posting(session, caller, posting_id, lock=False)
    place: PostingPlace = require_found(
        await session.scalar(
            select(PostingPlace).where(PostingPlace.id == place_id, PostingPlace.posting_id == posting.id)
        )
    )
    photo = await session.get(Photo, place.sha256)
    is_ready = photo is not None and photo.state == "verified"
    rendition = "1280" if is_ready else "original"
    key = rendition_key(place.sha256, "1280") if is_ready else original_key(place.sha256)
    lifetime = timedelta(minutes=services.settings.link_minutes)
    audit.record(
        session, caller, Action.PHOTO_LINKED, "posting_place", place.id, area_code=posting.area_code,
        posting_id=str(posting.id), rendition=rendition, why="posting",
    )  # fmt: skip
    link = services.store.link(key, lifetime=lifetime, media_type="image/jpeg")
    return PlaceLink(url=link, expires_at=now + lifetime)
