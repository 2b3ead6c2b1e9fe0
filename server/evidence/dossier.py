"""Everything the server holds about one visit, gathered in one reading: what the bundle tells and prints.

What the phone sent stands in it word for word, with its hash, so that whoever holds the bundle can compute the
hash again and compare it with the receipt.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable
from uuid import UUID

from msgspec import Struct
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core.access import Caller, require_found, readable
from server.core.errors import Problem
from server.models.audit import AuditEntry, AuditSeal
from server.models.checklists import ChecklistTemplate
from server.models.evidence import Evidence, Photo, PhotoTombstone
from server.models.households import Household, HouseholdMember
from server.models.people import Staff
from server.models.review import Decision, Finding
from server.models.visits import Attestation, Visit, VisitInvestigator, VisitVersion
from server.photos.watermarks import find_case_number, list_area_names
from server.spotchecks.blinding import require_not_blinded

JsonObject = dict[str, Any]


@runtime_checkable  # a route asks for one, and Litestar looks at what it is given
class RenderFinding(Protocol):
    """A doubt as a person reads it, by language. The words belong to the room of review."""

    def __call__(self, code: str, facts: dict[str, Any]) -> dict[str, str]: ...


class PhotoSource(NamedTuple):
    evidence_id: UUID
    sha256: str
    media_type: str | None
    is_stored: bool
    is_verified: bool
    is_erased: bool


class Dossier(Struct):
    """`told` is what the manifest says, before it names any file; `photos` in the order of `told["photos"]`."""

    visit_id: UUID
    receipt: str
    told: JsonObject
    photos: list[PhotoSource]
    member_names: dict[str, str]


async def load_dossier(session: AsyncSession, caller: Caller | None, visit_id: UUID, say: RenderFinding) -> Dossier:
    """Gather it, and note who took it. `caller` None is whoever runs the command line.

    Raises `thing.not_found` outside the caller's scope, `review.blind` for who is on the way to check the visit,
    and `evidence.visit_not_submitted`.
    """
    visit = await _find_visit(session, caller, visit_id)
    if visit.receipt is None:
        raise Problem("evidence.visit_not_submitted")
    audit.record(session, caller, "visit.bundled", "visit", visit_id, area_code=visit.area_code)
    await session.flush()  # this taking stands among the entries it takes
    household = await session.get_one(Household, visit.household_id)
    attestations = list(await session.scalars(select(Attestation).where(Attestation.visit_id == visit_id)))
    photos = await _photos(session, visit)
    tombstones = await _tombstones(session, [one for one, _ in photos])
    findings = await _findings(session, visit_id, say)
    decisions = await _decisions(session, visit_id)
    things = [visit.id, *(one.id for one in attestations), *(one.id for one, _ in photos)]
    return Dossier(
        visit_id=visit.id,
        receipt=visit.receipt,
        told={
            "visit": _tell_visit(visit),
            "household": await _tell_household(session, household, visit),
            "checklist": await _checklist(session, visit),
            "investigators": await _investigators(session, visit),
            "fixes": _fixes(visit, attestations),
            "attestations": [_tell_attestation(one) for one in attestations],
            "photos": [_tell_photo(one, photo, tombstones.get(one.id)) for one, photo in photos],
            "findings": findings,
            "decisions": decisions,
            "earlierVersions": [_tell_version(one) for one in await _versions(session, visit_id)],
            "audit": {"entries": await _entries(session, things), "newestSeal": await _newest_seal(session)},
        },
        photos=[_hold(one, photo) for one, photo in photos],
        member_names=await _member_names(session, household.id),
    )


async def _find_visit(session: AsyncSession, caller: Caller | None, visit_id: UUID) -> Visit:
    rows = select(Visit) if caller is None else readable(Visit, caller)
    visit: Visit = require_found(await session.scalar(rows.where(Visit.id == visit_id)))
    if caller is not None:
        await require_not_blinded(session, caller, visit_id)
    return visit


def _tell_visit(visit: Visit) -> JsonObject:
    return {
        "id": visit.id,
        "state": visit.state,
        "kind": visit.kind,
        "mode": visit.mode,
        "areaCode": visit.area_code,
        "authorId": visit.author_id,
        "deviceId": visit.device_id,
        "document": visit.document,
        "contentHash": visit.content_hash,
        "version": visit.version,
        "receivedAt": visit.received_at,
        "submittedAt": visit.submitted_at,
        "completeAt": visit.complete_at,
        "lateAfterReassignment": visit.late_after_reassignment,
    }


async def _versions(session: AsyncSession, visit_id: UUID) -> list[VisitVersion]:
    """What the visit said before each amendment, oldest first."""
    rows = select(VisitVersion).where(VisitVersion.visit_id == visit_id).order_by(VisitVersion.number)
    return list(await session.scalars(rows))


def _tell_version(one: VisitVersion) -> JsonObject:
    return {
        "version": one.number,
        "deviceId": one.device_id,
        "document": one.document,
        "contentHash": one.content_hash,
        "receipt": one.receipt,
        "submittedAt": one.submitted_at,
        "supersededAt": one.superseded_at,
    }


async def _tell_household(session: AsyncSession, household: Household, visit: Visit) -> JsonObject:
    home = None
    if household.latitude is not None:
        home = {"latitude": household.latitude, "longitude": household.longitude, "datum": household.datum}
    return {
        "id": household.id,
        "number": household.number,
        "caseNumber": await find_case_number(session, household.id),
        "headName": household.head_name,
        "address": household.address,
        "areaNames": await list_area_names(session, visit.area_code),
        "home": home,
    }


async def _checklist(session: AsyncSession, visit: Visit) -> JsonObject:
    body: JsonObject = require_found(
        await session.scalar(
            select(ChecklistTemplate.body).where(
                ChecklistTemplate.code == visit.checklist_code, ChecklistTemplate.version == visit.checklist_version
            )
        )
    )
    return body


async def _investigators(session: AsyncSession, visit: Visit) -> list[JsonObject]:
    rows = await session.execute(
        select(Staff.id, Staff.name)
        .join(VisitInvestigator, VisitInvestigator.staff_id == Staff.id)
        .where(VisitInvestigator.visit_id == visit.id)
        .order_by((Staff.id != visit.author_id), Staff.id)
    )
    return [{"staffId": one, "name": name, "isAuthor": one == visit.author_id} for one, name in rows]


def _fixes(visit: Visit, attestations: list[Attestation]) -> list[JsonObject]:
    """Where each investigator says they stood, and when."""
    author = [(visit.author_id, moment, visit.document.get(f"{moment}Fix")) for moment in ("start", "end")]
    others = [(one.staff_id, "attested", one.document.get("fix")) for one in attestations]
    return [{"staffId": who, "moment": moment, "fix": fix} for who, moment, fix in (*author, *others) if fix]


def _tell_attestation(one: Attestation) -> JsonObject:
    return {
        "id": one.id,
        "staffId": one.staff_id,
        "deviceId": one.device_id,
        "attestedAt": one.attested_at,
        "receivedAt": one.received_at,
        "document": one.document,
        "contentHash": one.content_hash,
    }


async def _photos(session: AsyncSession, visit: Visit) -> list[tuple[Evidence, Photo | None]]:
    """Those of the sealed manifest, in its order."""
    listed = [UUID(one["id"]) for one in visit.document.get("photos", [])]
    rows = await session.execute(
        select(Evidence, Photo)
        .outerjoin(Photo, Photo.sha256 == Evidence.sha256)
        .where(Evidence.id.in_(listed), Evidence.visit_id == visit.id)
    )
    place = {one: number for number, one in enumerate(listed)}
    return sorted(((one, photo) for one, photo in rows), key=lambda pair: place[pair[0].id])


async def _tombstones(session: AsyncSession, claims: list[Evidence]) -> dict[UUID, PhotoTombstone]:
    """Of those whose bytes were deleted: by the same stroke, so at the same moment."""
    erased = {(one.sha256, one.erased_at): one.id for one in claims if one.erased_at is not None}
    rows = await session.scalars(
        select(PhotoTombstone).where(tuple_(PhotoTombstone.sha256, PhotoTombstone.erased_at).in_(erased))
    )
    return {erased[one.sha256, one.erased_at]: one for one in rows}


def _tell_photo(one: Evidence, photo: Photo | None, tombstone: PhotoTombstone | None) -> JsonObject:
    return {
        "id": one.id,
        "questionId": one.question_id,
        "sha256": one.sha256,
        "sizeBytes": one.size_bytes,
        "state": one.state,
        "refusedCode": one.refused_code,
        "capturedAt": one.captured_at,
        "uploadedAt": one.uploaded_at,
        "document": one.document,
        "contentHash": one.content_hash,
        "facts": photo.facts if photo and tombstone is None else None,
        "erased": _tell_tombstone(tombstone) if tombstone else None,
    }


def _tell_tombstone(one: PhotoTombstone) -> JsonObject:
    return {
        "at": one.erased_at,
        "rule": one.rule,
        "keptDays": one.kept_days,
        "keptSince": one.kept_since,
        "source": one.source,
    }


def _hold(one: Evidence, photo: Photo | None) -> PhotoSource:
    return PhotoSource(
        evidence_id=one.id,
        sha256=one.sha256,
        media_type=photo.media_type if photo else None,
        is_stored=one.state != "announced",
        is_verified=one.state == "verified",
        is_erased=one.erased_at is not None,
    )


async def _findings(session: AsyncSession, visit_id: UUID, say: RenderFinding) -> list[JsonObject]:
    """Those no longer so are told too, as such."""
    rows = await session.scalars(select(Finding).where(Finding.visit_id == visit_id).order_by(Finding.id))
    return [
        {
            "id": one.id,
            "code": one.code,
            "severity": one.severity,
            "evidenceId": one.evidence_id,
            "facts": one.facts,
            **say(one.code, one.facts),
            "foundAt": one.found_at,
            "supersededAt": one.superseded_at,
            "settledAs": one.settled_as,
            "settledBy": one.settled_by,
        }
        for one in rows
    ]


async def _decisions(session: AsyncSession, visit_id: UUID) -> list[JsonObject]:
    rows = await session.execute(
        select(Decision, Staff.name)
        .join(Staff, Staff.id == Decision.reviewer_id)
        .where(Decision.visit_id == visit_id)
        .order_by(Decision.decided_at)
    )
    return [
        {
            "id": one.id,
            "reviewerId": one.reviewer_id,
            "reviewerName": name,
            "outcome": one.outcome,
            "reason": one.reason,
            "questioned": one.questioned,
            "judged": one.judged,
            "decidedAt": one.decided_at,
            "undoneAt": one.undone_at,
            "undoneWhy": one.undone_why,
        }
        for one, name in rows
    ]


async def _entries(session: AsyncSession, things: list[UUID]) -> list[JsonObject]:
    """The trail of the visit, its attestations and its photos, oldest first."""
    rows = await session.scalars(
        select(AuditEntry)
        .where(
            AuditEntry.thing_kind.in_(["visit", "attestation", "evidence"]),
            AuditEntry.thing_id.in_([str(one) for one in things]),
        )
        .order_by(AuditEntry.id)
    )
    return [
        {
            "id": one.id,
            "at": one.at,
            "actorKind": one.actor_kind,
            "actorId": one.actor_id,
            "deviceId": one.device_id,
            "action": one.action,
            "thingKind": one.thing_kind,
            "thingId": one.thing_id,
            "areaCode": one.area_code,
            "facts": one.facts,
        }
        for one in rows
    ]


async def _newest_seal(session: AsyncSession) -> JsonObject | None:
    """Entries above `lastEntryId` were not sealed yet when the bundle was made."""
    seal = await session.scalar(select(AuditSeal).order_by(AuditSeal.position.desc()).limit(1))
    if seal is None:
        return None
    return {
        "position": seal.position,
        "hash": seal.hash,
        "entries": seal.entries,
        "lastEntryId": seal.last_entry_id,
        "sealedAt": seal.sealed_at,
    }


async def _member_names(session: AsyncSession, household_id: UUID) -> dict[str, str]:
    rows = await session.execute(
        select(HouseholdMember.id, HouseholdMember.name).where(HouseholdMember.household_id == household_id)
    )
    return {str(one): name for one, name in rows}
