"""Photos of papers: a resident announces one by its hash, sends it like any photo, and an officer looks at it.

The bytes come by `/uploads`, `/field/v1/photos` or a signed link, and are examined by the same job as the
photos of visits. A photo is no receipt: the officer who has read it writes the date (`receive_paper`).
"""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import original_key, rendition_key
from server import audit
from server.cases.papers import RECEIVERS, PaperLine, list_papers
from server.core import jobs
from server.core.access import Caller, found, readable, require
from server.core.errors import Problem
from server.core.http import HexSha256, RequestBody, ResponseBody
from server.core.services import Services
from server.models.cases import CLOSED_STATES, CaseFile, PaperPhoto
from server.models.evidence import Photo

# Of one paper: a long certificate has pages, but nobody's store is a resident's album.
MOST_PHOTOS = 12
Rendition = Literal["320", "1280", "original"]


class AnnouncePhoto(RequestBody):
    """`id` is the phone's: it is the `evidenceId` of the upload. The bytes must have this hash and size."""

    id: UUID
    sha256: HexSha256
    size_bytes: Annotated[int, Meta(ge=1)]


class ReturnPhoto(RequestBody):
    """Why it can't be used, for the resident to read."""

    reason: Annotated[str, Meta(min_length=2, max_length=500)]


class PaperPhotoLink(ResponseBody):
    url: str
    expires_at: datetime


async def announce_photo(
    session: AsyncSession, services: Services, caller: Caller, case_id: UUID, code: str, asked: AnnouncePhoto,
    now: datetime,
) -> list[PaperLine]:  # fmt: skip
    """Say that a photo of a paper will come. The same again is the same; its bytes follow by any way of upload.

    Raises `case.closed`, `case.paper_unknown`, `case.paper_photos_full`, `photo.too_many_bytes`, and
    `request.idempotency_key_reused` when the id was used for another photo.
    """
    case = await _open_case(session, caller, case_id)
    if code not in {one.code for one in await list_papers(session, case)}:
        raise Problem("case.paper_unknown")
    if asked.size_bytes > services.settings.max_photo_mb * 1024 * 1024:
        raise Problem("photo.too_many_bytes")
    before = await session.get(PaperPhoto, asked.id)
    if before is None:
        await _keep(session, caller, case, code, asked, now)
    elif (before.case_id, before.code, before.resident_id, before.sha256) != (case.id, code, caller.id, asked.sha256):
        raise Problem("request.idempotency_key_reused")
    return await list_papers(session, case)


async def _open_case(session: AsyncSession, caller: Caller, case_id: UUID) -> CaseFile:
    case: CaseFile = found(
        await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id).with_for_update())
    )
    if case.state in CLOSED_STATES:
        raise Problem("case.closed", state=case.state)
    return case


async def _keep(
    session: AsyncSession, caller: Caller, case: CaseFile, code: str, asked: AnnouncePhoto, now: datetime
) -> None:
    there = await session.scalar(
        select(func.count()).where(
            PaperPhoto.case_id == case.id, PaperPhoto.code == code, PaperPhoto.returned_at.is_(None)
        )
    )
    if (there or 0) >= MOST_PHOTOS:
        raise Problem("case.paper_photos_full", most=MOST_PHOTOS)
    session.add(
        PaperPhoto(
            id=asked.id,
            case_id=case.id,
            code=code,
            resident_id=caller.id,
            sha256=asked.sha256,
            size_bytes=asked.size_bytes,
            state="announced",
            announced_at=now,
        )
    )
    audit.record(session, caller, "case.paper_photo_announced", "case", case.id, area_code=case.area_code, code=code)
    await session.flush()  # listed with the others


async def link_photo(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    case_id: UUID,
    photo_id: UUID,
    rendition: Rendition,
    now: datetime,
) -> PaperPhotoLink:
    """A link of minutes to one photo of a paper, logged. A resident opens only what they sent themselves.

    Raises `photo.not_ready`, `photo.erased`.
    """
    one = await _found(session, caller, case_id, photo_id)
    if one.erased_at is not None:
        raise Problem("photo.erased")
    if one.state != "verified":
        raise Problem("photo.not_ready")
    photo = await session.get_one(Photo, one.sha256)
    is_original = rendition == "original"
    key = original_key(one.sha256) if is_original else rendition_key(one.sha256, rendition)
    media_type = (photo.media_type or "image/jpeg") if is_original else "image/jpeg"
    lifetime = timedelta(minutes=services.settings.link_minutes)
    case = await session.get_one(CaseFile, case_id)
    audit.record(
        session, caller, "photo.linked", "paper_photo", one.id, area_code=case.area_code,
        rendition=rendition, case_id=str(case_id), why="case",
    )  # fmt: skip
    return PaperPhotoLink(
        url=services.store.link(key, lifetime=lifetime, media_type=media_type), expires_at=now + lifetime
    )


async def return_photo(
    session: AsyncSession, caller: Caller, case_id: UUID, photo_id: UUID, asked: ReturnPhoto, now: datetime
) -> list[PaperLine]:
    """Send a photo back with a reason: the resident is asked for another. The first reason stands."""
    require(caller, RECEIVERS)
    case = await _open_case(session, caller, case_id)
    one = await _found(session, caller, case_id, photo_id)
    if one.returned_at is None:
        one.returned_at, one.returned_by, one.return_reason = now, caller.id, asked.reason.strip()
        audit.record(session, caller, "case.paper_photo_returned", "paper_photo", one.id, area_code=case.area_code)
        await jobs.defer(
            session, "notifications.tell", kind="papers", thing=f"paper_photo:{one.id}", area_code=case.area_code,
            household_id=str(case.household_id), facts={"caseId": str(case.id)},
        )  # fmt: skip
        await session.flush()  # listed as it stands
    return await list_papers(session, case)


async def _found(session: AsyncSession, caller: Caller, case_id: UUID, photo_id: UUID) -> PaperPhoto:
    one: PaperPhoto = found(
        await session.scalar(
            readable(PaperPhoto, caller).where(PaperPhoto.id == photo_id, PaperPhoto.case_id == case_id)
        )
    )
    return one
