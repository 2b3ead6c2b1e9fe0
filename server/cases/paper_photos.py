"""Photos of papers: a resident announces a photo by its hash, uploads it, and an officer looks at it.

The bytes come by `/uploads`, `/field/v1/photos` or a signed link and are processed by the same job as visit photos.
A photo alone does not count as received: the officer who has read it enters the date (`receive_paper`).
"""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import original_key, rendition_key
from server import audit
from server.audit.actions import Action
from server.cases.loading import lock_case, lock_open_case
from server.cases.papers import RECEIVERS, PaperLine, list_papers
from server.core import jobs
from server.core.access import Caller, readable, require_found, require_role
from server.core.errors import Problem
from server.core.http import HexSha256, RequestBody, ResponseBody
from server.core.job_types import Notify
from server.core.services import Services
from server.models.cases import CLOSED_STATES, CaseFile, PaperPhoto
from server.models.evidence import Photo
from server.models.proofs import PeriodicProof
from server.photos.expected import is_empty

# A long certificate has several pages; the limit keeps a paper from becoming an album.
MAX_PHOTOS_PER_PAPER = 12
Rendition = Literal["320", "1280", "original"]


class AnnouncePhoto(RequestBody):
    """`id` is generated on the phone and is the upload's `evidenceId`. The bytes must have this hash and size."""

    id: UUID
    sha256: HexSha256
    size_bytes: Annotated[int, Meta(ge=0)]


class ReturnPhoto(RequestBody):
    """`reason`: why the photo can't be used, for the resident to read."""

    reason: Annotated[str, Meta(min_length=2, max_length=500)]


class PaperPhotoLink(ResponseBody):
    url: str
    expires_at: datetime


async def announce_photo(
    session: AsyncSession, services: Services, caller: Caller, case_id: UUID, code: str, body: AnnouncePhoto,
    now: datetime,
) -> list[PaperLine]:  # fmt: skip
    """Announce a photo of a paper; its bytes follow by any upload protocol. Idempotent by id.

    Raises `case.closed`, `case.paper_unknown`, `case.paper_photos_full`, `photo.empty`, `photo.too_many_bytes`, and
    `request.idempotency_key_reused` when the id was used for another photo.
    """
    case = await lock_open_case(session, caller, case_id)
    if code not in {paper.code for paper in await list_papers(session, case)}:
        raise Problem("case.paper_unknown")
    await announce_for(session, services, caller, case, code, body, now)
    return await list_papers(session, case)


async def announce_for(
    session: AsyncSession, services: Services, caller: Caller, case: CaseFile, code: str, body: AnnouncePhoto,
    now: datetime,
) -> None:  # fmt: skip
    """Announce a photo of something that the locked case is asked for. Idempotent by id."""
    if is_empty(body.sha256, body.size_bytes):
        raise Problem("photo.empty")
    if body.size_bytes > services.settings.max_photo_mb * 1024 * 1024:
        raise Problem("photo.too_many_bytes")
    existing = await session.get(PaperPhoto, body.id)
    if existing is None:
        await _record_announced(session, caller, case, code, body, now)
    elif (existing.case_id, existing.code, existing.resident_id, existing.sha256) != (
        case.id,
        code,
        caller.id,
        body.sha256,
    ):
        raise Problem("request.idempotency_key_reused")


async def _record_announced(
    session: AsyncSession, caller: Caller, case: CaseFile, code: str, body: AnnouncePhoto, now: datetime
) -> None:
    count = await session.scalar(
        select(func.count()).where(
            PaperPhoto.case_id == case.id, PaperPhoto.code == code, PaperPhoto.returned_at.is_(None)
        )
    )
    if (count or 0) >= MAX_PHOTOS_PER_PAPER:
        raise Problem("case.paper_photos_full", most=MAX_PHOTOS_PER_PAPER)
    session.add(
        PaperPhoto(
            id=body.id,
            case_id=case.id,
            code=code,
            resident_id=caller.id,
            sha256=body.sha256,
            size_bytes=body.size_bytes,
            state="announced",
            announced_at=now,
        )
    )
    audit.record(
        session, caller, Action.CASE_PAPER_PHOTO_ANNOUNCED, "case", case.id, area_code=case.area_code, code=code
    )
    await session.flush()  # the list below includes it


async def link_photo(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    case_id: UUID,
    photo_id: UUID,
    rendition: Rendition,
    now: datetime,
) -> PaperPhotoLink:
    """Return a link to a photo, valid for minutes; the access is audited. Residents see only their own photos.

    Raises `photo.not_ready`, `photo.erased`.
    """
    paper_photo = await _find_photo(session, caller, case_id, photo_id)
    if paper_photo.erased_at is not None:
        raise Problem("photo.erased")
    if paper_photo.state != "verified":
        raise Problem("photo.not_ready")
    photo = await session.get_one(Photo, paper_photo.sha256)
    is_original = rendition == "original"
    key = original_key(paper_photo.sha256) if is_original else rendition_key(paper_photo.sha256, rendition)
    media_type = (photo.media_type or "image/jpeg") if is_original else "image/jpeg"
    lifetime = timedelta(minutes=services.settings.link_minutes)
    case = await session.get_one(CaseFile, case_id)
    audit.record(
        session, caller, Action.PHOTO_LINKED, "paper_photo", paper_photo.id, area_code=case.area_code,
        rendition=rendition, case_id=str(case_id), why="case",
    )  # fmt: skip
    return PaperPhotoLink(
        url=services.store.link(key, lifetime=lifetime, media_type=media_type), expires_at=now + lifetime
    )


async def return_photo(
    session: AsyncSession, caller: Caller, case_id: UUID, photo_id: UUID, body: ReturnPhoto, now: datetime
) -> list[PaperLine]:
    """Return a photo with a reason and ask the resident for another. The first reason is final."""
    require_role(caller, RECEIVERS)
    case = await lock_case(session, caller, case_id)
    paper_photo = await _find_photo(session, caller, case_id, photo_id)
    proof = await session.scalar(
        select(PeriodicProof).where(PeriodicProof.case_id == case.id, PeriodicProof.code == paper_photo.code)
    )
    if proof is None and case.state in CLOSED_STATES:
        raise Problem("case.closed", state=case.state)
    if paper_photo.returned_at is None:
        paper_photo.returned_at, paper_photo.returned_by = now, caller.id
        paper_photo.return_reason = body.reason.strip()
        audit.record(
            session, caller, Action.CASE_PAPER_PHOTO_RETURNED, "paper_photo", paper_photo.id, area_code=case.area_code
        )
        await jobs.defer(
            session,
            Notify(
                kind="papers" if proof is None else "proof_due",
                thing=f"paper_photo:{paper_photo.id}",
                area_code=case.area_code,
                household_id=case.household_id,
                facts={"caseId": str(case.id)} | ({"on": proof.due_on.isoformat()} if proof else {}),
            ),
        )
        await session.flush()  # the list below shows its new state
    return await list_papers(session, case)


async def _find_photo(session: AsyncSession, caller: Caller, case_id: UUID, photo_id: UUID) -> PaperPhoto:
    paper_photo: PaperPhoto = require_found(
        await session.scalar(
            readable(PaperPhoto, caller).where(PaperPhoto.id == photo_id, PaperPhoto.case_id == case_id)
        )
    )
    return paper_photo
