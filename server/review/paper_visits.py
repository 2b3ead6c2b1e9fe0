"""Visits that were written down on paper because no phone worked, entered at the desk from the form.

They count like any other, under the name of who led the visit. Paper has no position and no pictures of the day, so the
photo of the form is required, the visit stays marked (finding `visit.from_paper`), and it is complete only once every
investigator but the typist has attested it on their own phone. Who entered it decides nothing about it.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import FIELD_ROLES, Caller, Role, require_found, require_role
from server.core.canonical import content_hash
from server.core.device_times import ReportedTime
from server.core.errors import Fault, Problem
from server.core.http import HexSha256, LongText, RequestBody, ResponseBody, ShortText
from server.core.services import Services
from server.core.tokens import StatementKind
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest
from server.models.checklists import ChecklistTemplate
from server.models.evidence import PAPER_FORM, VISIT
from server.models.households import Assignment, Caseload, Household
from server.models.people import Staff, StaffRole
from server.models.visits import Visit
from server.photos.expected import is_empty
from server.photos.statements import write_expected
from server.sync_feed.documents import PersonPresent, PhotoListed, VisitDocument, VisitKind
from server.visits.requirements import check_draft, check_investigators, check_submission
from server.visits.statements import Context, read_context, write_visits
from server.visits.submission import close_assignments

TYPISTS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})


class FormPhoto(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A photo of a page of the form. Its bytes follow by `POST /field/v1/photos` under this id."""

    id: UUID
    sha256: HexSha256
    size_bytes: Annotated[int, Meta(ge=1)]


class EnterPaperVisit(RequestBody):
    """A filled-in form. The first investigator led the visit. `id` is drawn by the client: the same again is no other.

    Questions for photos, signatures and positions need no answer.
    """

    id: UUID
    household_id: UUID
    checklist_code: ShortText
    checklist_version: Annotated[int, Meta(ge=1)]
    investigator_ids: Annotated[list[UUID], Meta(min_length=2, max_length=6)]
    started_at: ReportedTime
    ended_at: ReportedTime
    form_photos: Annotated[list[FormPhoto], Meta(min_length=1, max_length=20)]
    mode: Literal["in_person", "phone", "video"] = "in_person"
    mode_reason: LongText = ""
    family_present: Annotated[list[PersonPresent], Meta(max_length=30)] = []
    unordered_reason: LongText = ""
    answers: dict[str, Any] = {}


class PaperVisitEntered(ResponseBody):
    """`attest`: who still has to attest the visit on their own phone."""

    visit_id: UUID
    assignment_id: UUID | None
    attest: list[UUID]


async def enter_paper_visit(
    session: AsyncSession, services: Services, caller: Caller, body: EnterPaperVisit, now: datetime
) -> PaperVisitEntered:
    """Write a visit from a paper form, and announce the photos of the form.

    Raises what a phone's submission would be quarantined for, `request.invalid` for times that can't be,
    `visit.paper_spot_check`, `photo.empty`, and `request.idempotency_key_reused` for another visit under this id.
    """
    require_role(caller, TYPISTS)
    await _require_household(session, caller, body.household_id)
    _check_times(body, now)
    if any(is_empty(photo.sha256, photo.size_bytes) for photo in body.form_photos):
        raise Problem("photo.empty")
    assignment_id, document = await _build_document(session, body)
    raw = msgspec.to_builtins(document)
    context = await _load_context(session, caller, document, now)
    if (stored := context.stored.get(body.id)) is not None:
        return await _repeat(session, caller, stored.id, content_hash(raw))
    check_draft(context, document, now)
    check_investigators(context, body.investigator_ids[0], document)
    area_code = context.holds[document.household_id].area_code
    await _require_field_staff(session, document, area_code)
    check_submission(context, document, now, is_from_paper=True)
    row = _columns(services, caller, context, document, raw, now)
    people = [(document.id, person) for person in dict.fromkeys(document.investigator_ids)]
    if not await write_visits(session, caller, [row], people=people, seen=[], now=now):
        raise Problem("server.conflict")  # somebody else wrote it just now
    await _announce_form(session, caller, body, now)
    await close_assignments(session, [document])
    audit.record(
        session,
        caller,
        Action.VISIT_ENTERED_FROM_PAPER,
        "visit",
        document.id,
        area_code=area_code,
        author=str(document.investigator_ids[0]),
        photos=len(body.form_photos),
    )
    return _entered(caller, document.id, assignment_id, document.investigator_ids)


async def _require_household(session: AsyncSession, caller: Caller, household_id: UUID) -> None:
    household = await session.get(Household, household_id)
    require_found(household if household is not None and caller.covers(household.area_code, TYPISTS) else None)
    if household is not None and household.merged_into is not None:
        raise Problem("household.merged")
    await require_no_conflict_of_interest(session, caller, household_id)


def _check_times(body: EnterPaperVisit, now: datetime) -> None:
    if body.ended_at < body.started_at or body.ended_at > now:
        raise Problem("request.invalid", faults=[Fault("/endedAt", "field.invalid", "结束时间早于开始时间，或在将来")])


async def _build_document(session: AsyncSession, body: EnterPaperVisit) -> tuple[UUID | None, VisitDocument]:
    """Return the document that a phone would have sent, for the oldest open order of this kind if there is one."""
    kind = await session.scalar(
        select(ChecklistTemplate.kind).where(
            ChecklistTemplate.code == body.checklist_code, ChecklistTemplate.version == body.checklist_version
        )
    )
    if kind is None:
        raise Problem("visit.checklist_unknown")
    if kind == "spot_check":
        raise Problem("visit.paper_spot_check")
    # A repeated request finds the order that the first one closed.
    assignment_id: UUID | None = await session.scalar(
        select(Assignment.id)
        .outerjoin(Visit, (Visit.id == body.id) & (Visit.assignment_id == Assignment.id))
        .where(Assignment.household_id == body.household_id, Assignment.kind == kind)
        .where(or_(Assignment.state == "open", Visit.id.is_not(None)))
        .order_by(Visit.id.is_(None), Assignment.due_on, Assignment.id)
        .limit(1)
    )
    document = VisitDocument(
        id=body.id,
        household_id=body.household_id,
        kind=msgspec.convert(kind, VisitKind),
        checklist_code=body.checklist_code,
        checklist_version=body.checklist_version,
        state="submitted",
        assignment_id=assignment_id,
        mode=body.mode,
        mode_reason=body.mode_reason,
        started_at=body.started_at,
        ended_at=body.ended_at,
        investigator_ids=body.investigator_ids,
        family_present=body.family_present,
        unordered_reason="" if assignment_id else body.unordered_reason,
        answers=body.answers,
        photos=[PhotoListed(id=photo.id, sha256=photo.sha256) for photo in body.form_photos],
    )
    return assignment_id, document


async def _load_context(session: AsyncSession, caller: Caller, document: VisitDocument, now: datetime) -> Context:
    return await read_context(
        session,
        caller,
        visits={document.id},
        households={document.household_id},
        people=set(document.investigator_ids),
        codes={document.checklist_code},
        today=day_of(now),
    )


async def _repeat(session: AsyncSession, caller: Caller, visit_id: UUID, sent_hash: str) -> PaperVisitEntered:
    visit = await session.get_one(Visit, visit_id)
    if visit.typed_by != caller.id or visit.content_hash != sent_hash:
        raise Problem("request.idempotency_key_reused")
    people = [UUID(person) for person in visit.document["investigatorIds"]]
    return _entered(caller, visit.id, visit.assignment_id, people)


def _entered(caller: Caller, visit_id: UUID, assignment_id: UUID | None, people: list[UUID]) -> PaperVisitEntered:
    attest = [person for person in dict.fromkeys(people) if person != caller.id]
    return PaperVisitEntered(visit_id=visit_id, assignment_id=assignment_id, attest=attest)


async def _require_field_staff(session: AsyncSession, document: VisitDocument, area_code: str) -> None:
    """Raise `visit.investigator_unknown` unless each person named held the home then, or worked in its town."""
    since = document.started_at
    works_there = select(StaffRole.staff_id).where(
        StaffRole.role.in_(FIELD_ROLES),
        literal(area_code).startswith(StaffRole.area_code) | StaffRole.area_code.startswith(area_code[:9]),
        or_(StaffRole.revoked_at.is_(None), StaffRole.revoked_at >= since),
    )
    held_it = select(Caseload.staff_id).where(
        Caseload.household_id == document.household_id,
        or_(Caseload.revoked_at.is_(None), Caseload.revoked_at >= since),
    )
    people = set(document.investigator_ids)
    able = select(Staff.id).where(Staff.id.in_(people), or_(Staff.id.in_(works_there), Staff.id.in_(held_it)))
    if set(await session.scalars(able)) != people:
        raise Problem("visit.investigator_unknown")


def _columns(
    services: Services, caller: Caller, context: Context, document: VisitDocument, raw: dict[str, Any], now: datetime
) -> dict[str, Any]:
    author_id, digest = document.investigator_ids[0], content_hash(raw)
    receipt = services.receipts.sign(
        StatementKind.RECEIPT,
        {
            "visitId": str(document.id),
            "sha256": digest,
            "receivedAt": now.isoformat(),
            "authorId": str(author_id),
            "typedBy": str(caller.id),
        },
    )
    return {
        "id": document.id,
        "household_id": document.household_id,
        "assignment_id": document.assignment_id,
        "area_code": context.holds[document.household_id].area_code,
        "kind": document.kind,
        "checklist_code": document.checklist_code,
        "checklist_version": document.checklist_version,
        "author_id": author_id,
        "device_id": caller.device_id,
        "state": "submitted",
        "mode": document.mode,
        "started_at": document.started_at,
        "ended_at": document.ended_at,
        "household_version": context.judged_by.get(document.id),
        "document": raw,
        "content_hash": digest,
        "received_at": now,
        "submitted_at": now,
        "receipt": receipt,
        "late_after_reassignment": False,
        "typed_by": caller.id,
        "updated_at": now,
    }


async def _announce_form(session: AsyncSession, caller: Caller, body: EnterPaperVisit, now: datetime) -> None:
    rows = []
    for photo in body.form_photos:
        document = {
            "id": str(photo.id),
            "visitId": str(body.id),
            "questionId": PAPER_FORM,
            "sha256": photo.sha256,
            "sizeBytes": photo.size_bytes,
        }
        rows.append(
            {
                "id": photo.id,
                "visit_id": body.id,
                "subject_kind": VISIT,
                "subject_id": None,
                "question_id": PAPER_FORM,
                "sha256": photo.sha256,
                "size_bytes": photo.size_bytes,
                "captured_at": None,
                "document": document,
                "content_hash": content_hash(document),
            }
        )
    if len(await write_expected(session, caller, rows, seen=[], now=now)) != len(rows):
        raise Problem("request.idempotency_key_reused")  # the id of another photo
