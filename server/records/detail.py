"""One record as the desk sees it: what was answered, who was there, where, and its photos."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import original_key, rendition_key
from server import audit
from server.audit.actions import Action
from server.checklists.template import Question, Template, Text, iter_questions
from server.checklists.wording import answer_text
from server.core.access import DESK_ROLES, Caller, readable, require_found, require_role
from server.core.errors import Problem
from server.core.http import ResponseBody
from server.core.ids import canonical_id
from server.core.services import Services
from server.models.areas import Area
from server.models.checklists import ChecklistTemplate
from server.models.evidence import RECORD, Evidence, Photo
from server.models.people import Staff
from server.models.records import Record, RecordVersion

Rendition = Literal["320", "1280", "original"]
# Their answers are pictures, which are listed by themselves.
PICTURES = frozenset({"photo", "signature"})


class RecordAnswer(ResponseBody):
    question_id: str
    label: Text
    answer: Text


class RecordPhoto(ResponseBody):
    """A photo or a signature that the record lists. `state` is `missing` while the phone has not announced it."""

    id: UUID
    label: Text
    signer_name: str | None
    state: str
    captured_at: datetime | None
    erased_at: datetime | None


class RecordPlace(ResponseBody):
    latitude: float
    longitude: float
    datum: str
    accuracy_m: float | None


class RecordPerson(ResponseBody):
    name: str
    household_id: UUID | None


class EarlierRecord(ResponseBody):
    """A version before an amendment, and why it was amended."""

    number: int
    submitted_at: datetime
    superseded_at: datetime


class RecordDetail(ResponseBody):
    id: UUID
    kind: str
    state: str
    title: Text
    area_code: str
    area_name: str
    author_name: str
    started_at: datetime
    submitted_at: datetime
    place: RecordPlace | None
    no_fix_reason: str
    people: list[RecordPerson]
    answers: list[RecordAnswer]
    photos: list[RecordPhoto]
    amended_because: str | None
    earlier: list[EarlierRecord]
    sha256: str


class RecordPhotoLink(ResponseBody):
    url: str
    expires_at: datetime


async def open_record(session: AsyncSession, caller: Caller, record_id: UUID) -> RecordDetail:
    record = await _load_record(session, caller, record_id)
    version = (
        ChecklistTemplate.code == record.checklist_code,
        ChecklistTemplate.version == record.checklist_version,
    )
    template = msgspec.convert(await session.scalar(select(ChecklistTemplate.body).where(*version)), Template)
    area_name = await session.scalar(select(Area.name).where(Area.code == record.area_code))
    author_name = await session.scalar(select(Staff.name).where(Staff.id == record.author_id))
    document = record.document
    audit.record(session, caller, Action.RECORD_OPENED, "record", record.id, area_code=record.area_code)
    return RecordDetail(
        id=record.id,
        kind=record.kind,
        state=record.state,
        title=template.title,
        area_code=record.area_code,
        area_name=area_name or record.area_code,
        author_name=author_name or "",
        started_at=record.started_at,
        submitted_at=record.submitted_at or record.received_at,
        place=_place(document.get("fix")),
        no_fix_reason=document.get("noFixReason") or "",
        people=[
            RecordPerson(name=person["name"], household_id=person.get("householdId"))
            for person in document.get("people") or []
        ],
        answers=[
            RecordAnswer(question_id=question.id, label=question.label, answer=answer_text(question, answer))
            for question, answer in _answered(template, document)
            if question.kind not in PICTURES
        ],
        photos=await _photos(session, record, template),
        amended_because=(document.get("amendment") or {}).get("reason"),
        earlier=await _earlier(session, record),
        sha256=record.content_hash,
    )


async def _load_record(session: AsyncSession, caller: Caller, record_id: UUID) -> Record:
    require_role(caller, DESK_ROLES)
    rows = readable(Record, caller).where(Record.id == record_id, Record.submitted_at.is_not(None))
    record: Record = require_found(await session.scalar(rows))
    return record


def _answered(template: Template, document: dict[str, Any]) -> Iterator[tuple[Question, Any]]:
    answers = document.get("answers") or {}
    for question in iter_questions(template):
        if answers.get(question.id) is not None:
            yield question, answers[question.id]


def _place(fix: dict[str, Any] | None) -> RecordPlace | None:
    if not fix:
        return None
    return RecordPlace(
        latitude=fix["latitude"], longitude=fix["longitude"], datum=fix["datum"], accuracy_m=fix.get("accuracyM")
    )


async def _photos(session: AsyncSession, record: Record, template: Template) -> list[RecordPhoto]:
    """List what the answers show, each with the state of its bytes."""
    rows = await session.scalars(
        select(Evidence).where(Evidence.subject_kind == RECORD, Evidence.subject_id == record.id)
    )
    here = {photo.id: photo for photo in rows}
    photos = []
    for question, answer in _answered(template, record.document):
        if question.kind in PICTURES and isinstance(answer, list):
            photos += [_photo(question, item, here) for item in answer]
    return photos


def _photo(question: Question, item: Any, here: dict[UUID, Evidence]) -> RecordPhoto:
    evidence_id = UUID(canonical_id(item if isinstance(item, str) else item["evidenceId"]))
    photo = here.get(evidence_id)
    return RecordPhoto(
        id=evidence_id,
        label=question.label,
        signer_name=None if isinstance(item, str) else item.get("signerName"),
        state=photo.state if photo else "missing",
        captured_at=photo.captured_at if photo else None,
        erased_at=photo.erased_at if photo else None,
    )


async def _earlier(session: AsyncSession, record: Record) -> list[EarlierRecord]:
    rows = await session.scalars(
        select(RecordVersion).where(RecordVersion.record_id == record.id).order_by(RecordVersion.number)
    )
    return [
        EarlierRecord(number=row.number, submitted_at=row.submitted_at, superseded_at=row.superseded_at) for row in rows
    ]


async def link_record_photo(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    record_id: UUID,
    evidence_id: UUID,
    rendition: Rendition,
    now: datetime,
) -> RecordPhotoLink:
    """Return a link, valid for minutes, to a photo of a record. The access is written to the audit log.

    Raises `photo.not_ready`, `photo.erased`.
    """
    record = await _load_record(session, caller, record_id)
    photo: Evidence = require_found(
        await session.scalar(
            select(Evidence).where(
                Evidence.id == evidence_id, Evidence.subject_kind == RECORD, Evidence.subject_id == record.id
            )
        )
    )
    if photo.erased_at is not None:
        raise Problem("photo.erased")
    if photo.state != "verified":
        raise Problem("photo.not_ready")
    stored = await session.get_one(Photo, photo.sha256)
    is_original = rendition == "original"
    key = original_key(photo.sha256) if is_original else rendition_key(photo.sha256, rendition)
    media_type = (stored.media_type or "image/jpeg") if is_original else "image/jpeg"
    lifetime = timedelta(minutes=services.settings.link_minutes)
    audit.record(
        session, caller, Action.PHOTO_LINKED, "evidence", photo.id, area_code=record.area_code,
        rendition=rendition, why="record",
    )  # fmt: skip
    return RecordPhotoLink(
        url=services.store.link(key, lifetime=lifetime, media_type=media_type), expires_at=now + lifetime
    )
