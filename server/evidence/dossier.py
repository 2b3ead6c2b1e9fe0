"""Load everything the server holds about a visit, in one transaction: the content of its bundle and printed sheet.

What the phone sent is included word for word, with its hash, so that the reader of a bundle can compute the hash again
and compare it with the receipt.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable
from uuid import UUID

from msgspec import Struct
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, readable, require_found
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


@runtime_checkable  # a route injects it, and Litestar checks the instance
class RenderFinding(Protocol):
    """Render a finding as text, by language. The room `review` implements it."""

    def __call__(self, code: str, facts: dict[str, Any]) -> dict[str, str]: ...


class PhotoSource(NamedTuple):
    evidence_id: UUID
    sha256: str
    media_type: str | None
    is_stored: bool
    is_verified: bool
    is_erased: bool


class Dossier(Struct):
    """`manifest` is the bundle's manifest before it lists files; `photos` are in the order of `manifest["photos"]`."""

    visit_id: UUID
    receipt: str
    manifest: JsonObject
    photos: list[PhotoSource]
    member_names: dict[str, str]


async def record_bundle(session: AsyncSession, caller: Caller | None, visit_id: UUID) -> None:
    """Record in the audit trail who takes the dossier. Raises as `load_dossier` does."""
    visit = await _find_visit(session, caller, visit_id)
    audit.record(session, caller, Action.VISIT_BUNDLED, "visit", visit_id, area_code=visit.area_code)


async def load_dossier(
    session: AsyncSession, caller: Caller | None, visit_id: UUID, render_finding: RenderFinding
) -> Dossier:
    """Load the dossier. `caller` is None on the command line.

    Raises `thing.not_found` outside the caller's scope, `review.blind` for a caller who is to check the visit blindly,
    and `evidence.visit_not_submitted`.
    """
    visit = await _find_visit(session, caller, visit_id)
    assert visit.receipt is not None
    household = await session.get_one(Household, visit.household_id)
    attestations = list(await session.scalars(select(Attestation).where(Attestation.visit_id == visit_id)))
    photos = await _load_photos(session, visit)
    tombstones = await _load_tombstones(session, [photo for photo, _ in photos])
    findings = await _load_findings(session, visit_id, render_finding)
    decisions = await _load_decisions(session, visit_id)
    audited = [visit.id, *(attestation.id for attestation in attestations), *(photo.id for photo, _ in photos)]
    return Dossier(
        visit_id=visit.id,
        receipt=visit.receipt,
        manifest={
            "visit": _describe_visit(visit),
            "household": await _describe_household(session, household, visit),
            "checklist": await _load_checklist(session, visit),
            "investigators": await _load_investigators(session, visit),
            "fixes": _list_fixes(visit, attestations),
            "attestations": [_describe_attestation(attestation) for attestation in attestations],
            "photos": [_describe_photo(photo, content, tombstones.get(photo.id)) for photo, content in photos],
            "findings": findings,
            "decisions": decisions,
            "earlierVersions": [_describe_version(version) for version in await _load_versions(session, visit_id)],
            "audit": await _load_audit(session, audited),
        },
        photos=[_make_source(photo, content) for photo, content in photos],
        member_names=await _load_member_names(session, household.id),
    )


async def _find_visit(session: AsyncSession, caller: Caller | None, visit_id: UUID) -> Visit:
    """Only of a submitted visit, which has its receipt."""
    rows = select(Visit) if caller is None else readable(Visit, caller)
    visit: Visit = require_found(await session.scalar(rows.where(Visit.id == visit_id)))
    if caller is not None:
        await require_not_blinded(session, caller, visit_id)
    if visit.receipt is None:
        raise Problem("evidence.visit_not_submitted")
    return visit


def _describe_visit(visit: Visit) -> JsonObject:
    return {
        "id": visit.id,
        "state": visit.state,
        "kind": visit.kind,
        "mode": visit.mode,
        "areaCode": visit.area_code,
        "authorId": visit.author_id,
        "typedBy": visit.typed_by,
        "deviceId": visit.device_id,
        "document": visit.document,
        "contentHash": visit.content_hash,
        "version": visit.version,
        "receivedAt": visit.received_at,
        "submittedAt": visit.submitted_at,
        "completeAt": visit.complete_at,
        "lateAfterReassignment": visit.late_after_reassignment,
    }


async def _load_versions(session: AsyncSession, visit_id: UUID) -> list[VisitVersion]:
    """Load the versions of the visit before each amendment, oldest first."""
    rows = select(VisitVersion).where(VisitVersion.visit_id == visit_id).order_by(VisitVersion.number)
    return list(await session.scalars(rows))


def _describe_version(version: VisitVersion) -> JsonObject:
    return {
        "version": version.number,
        "deviceId": version.device_id,
        "document": version.document,
        "contentHash": version.content_hash,
        "receipt": version.receipt,
        "submittedAt": version.submitted_at,
        "supersededAt": version.superseded_at,
    }


async def _describe_household(session: AsyncSession, household: Household, visit: Visit) -> JsonObject:
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


async def _load_checklist(session: AsyncSession, visit: Visit) -> JsonObject:
    body: JsonObject = require_found(
        await session.scalar(
            select(ChecklistTemplate.body).where(
                ChecklistTemplate.code == visit.checklist_code, ChecklistTemplate.version == visit.checklist_version
            )
        )
    )
    return body


async def _load_investigators(session: AsyncSession, visit: Visit) -> list[JsonObject]:
    rows = await session.execute(
        select(Staff.id, Staff.name)
        .join(VisitInvestigator, VisitInvestigator.staff_id == Staff.id)
        .where(VisitInvestigator.visit_id == visit.id)
        .order_by((Staff.id != visit.author_id), Staff.id)
    )
    return [{"staffId": staff_id, "name": name, "isAuthor": staff_id == visit.author_id} for staff_id, name in rows]


def _list_fixes(visit: Visit, attestations: list[Attestation]) -> list[JsonObject]:
    """List the location fixes that each investigator reported, with their moments."""
    author = [(visit.author_id, moment, visit.document.get(f"{moment}Fix")) for moment in ("start", "end")]
    others = [(attestation.staff_id, "attested", attestation.document.get("fix")) for attestation in attestations]
    return [{"staffId": staff, "moment": moment, "fix": fix} for staff, moment, fix in (*author, *others) if fix]


def _describe_attestation(attestation: Attestation) -> JsonObject:
    return {
        "id": attestation.id,
        "staffId": attestation.staff_id,
        "deviceId": attestation.device_id,
        "attestedAt": attestation.attested_at,
        "receivedAt": attestation.received_at,
        "document": attestation.document,
        "contentHash": attestation.content_hash,
    }


async def _load_photos(session: AsyncSession, visit: Visit) -> list[tuple[Evidence, Photo | None]]:
    """Load the photos of the visit's photo list, in its order."""
    listed = [UUID(photo["id"]) for photo in visit.document.get("photos", [])]
    rows = await session.execute(
        select(Evidence, Photo)
        .outerjoin(Photo, Photo.sha256 == Evidence.sha256)
        .where(Evidence.id.in_(listed), Evidence.visit_id == visit.id)
    )
    order = {photo_id: index for index, photo_id in enumerate(listed)}
    return sorted(((photo, content) for photo, content in rows), key=lambda pair: order[pair[0].id])


async def _load_tombstones(session: AsyncSession, photos: list[Evidence]) -> dict[UUID, PhotoTombstone]:
    """Load the tombstones of erased photos. A sweep erases a photo and its content at the same time."""
    erased = {(photo.sha256, photo.erased_at): photo.id for photo in photos if photo.erased_at is not None}
    tombstones = await session.scalars(
        select(PhotoTombstone).where(tuple_(PhotoTombstone.sha256, PhotoTombstone.erased_at).in_(erased))
    )
    return {erased[tombstone.sha256, tombstone.erased_at]: tombstone for tombstone in tombstones}


def _describe_photo(photo: Evidence, content: Photo | None, tombstone: PhotoTombstone | None) -> JsonObject:
    return {
        "id": photo.id,
        "questionId": photo.question_id,
        "sha256": photo.sha256,
        "sizeBytes": photo.size_bytes,
        "state": photo.state,
        "refusedCode": photo.refused_code,
        "capturedAt": photo.captured_at,
        "uploadedAt": photo.uploaded_at,
        "document": photo.document,
        "contentHash": photo.content_hash,
        "facts": content.facts if content and tombstone is None else None,
        "erased": _describe_tombstone(tombstone) if tombstone else None,
    }


def _describe_tombstone(tombstone: PhotoTombstone) -> JsonObject:
    return {
        "at": tombstone.erased_at,
        "rule": tombstone.rule,
        "keptDays": tombstone.kept_days,
        "keptSince": tombstone.kept_since,
        "source": tombstone.source,
    }


def _make_source(photo: Evidence, content: Photo | None) -> PhotoSource:
    return PhotoSource(
        evidence_id=photo.id,
        sha256=photo.sha256,
        media_type=content.media_type if content else None,
        is_stored=photo.state != "announced",
        is_verified=photo.state == "verified",
        is_erased=photo.erased_at is not None,
    )


async def _load_findings(session: AsyncSession, visit_id: UUID, render_finding: RenderFinding) -> list[JsonObject]:
    """Load all findings; superseded ones are marked by `supersededAt`."""
    findings = await session.scalars(select(Finding).where(Finding.visit_id == visit_id).order_by(Finding.id))
    return [
        {
            "id": finding.id,
            "code": finding.code,
            "severity": finding.severity,
            "evidenceId": finding.evidence_id,
            "facts": finding.facts,
            **render_finding(finding.code, finding.facts),
            "foundAt": finding.found_at,
            "supersededAt": finding.superseded_at,
            "settledAs": finding.settled_as,
            "settledBy": finding.settled_by,
        }
        for finding in findings
    ]


async def _load_decisions(session: AsyncSession, visit_id: UUID) -> list[JsonObject]:
    rows = await session.execute(
        select(Decision, Staff.name)
        .join(Staff, Staff.id == Decision.reviewer_id)
        .where(Decision.visit_id == visit_id)
        .order_by(Decision.decided_at)
    )
    return [
        {
            "id": decision.id,
            "reviewerId": decision.reviewer_id,
            "reviewerName": name,
            "outcome": decision.outcome,
            "reason": decision.reason,
            "questioned": decision.questioned,
            "judged": decision.judged,
            "decidedAt": decision.decided_at,
            "undoneAt": decision.undone_at,
            "undoneWhy": decision.undone_why,
        }
        for decision, name in rows
    ]


async def _load_audit(session: AsyncSession, ids: list[UUID]) -> JsonObject:
    return {
        "entries": await _load_audit_entries(session, ids),
        "newestSeal": await _load_newest_seal(session),
    }


async def _load_audit_entries(session: AsyncSession, ids: list[UUID]) -> list[JsonObject]:
    """Load the audit entries of the visit, its attestations and its photos, oldest first."""
    entries = await session.scalars(
        select(AuditEntry)
        .where(
            AuditEntry.thing_kind.in_(["visit", "attestation", "evidence"]),
            AuditEntry.thing_id.in_([str(thing_id) for thing_id in ids]),
        )
        .order_by(AuditEntry.id)
    )
    return [
        {
            "id": entry.id,
            "at": entry.at,
            "actorKind": entry.actor_kind,
            "actorId": entry.actor_id,
            "deviceId": entry.device_id,
            "action": entry.action,
            "thingKind": entry.thing_kind,
            "thingId": entry.thing_id,
            "areaCode": entry.area_code,
            "facts": entry.facts,
        }
        for entry in entries
    ]


async def _load_newest_seal(session: AsyncSession) -> JsonObject | None:
    """Load the newest audit seal. Entries above `lastEntryId` were not sealed yet when the bundle was made."""
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


async def _load_member_names(session: AsyncSession, household_id: UUID) -> dict[str, str]:
    rows = await session.execute(
        select(HouseholdMember.id, HouseholdMember.name).where(HouseholdMember.household_id == household_id)
    )
    return {str(member_id): name for member_id, name in rows}
