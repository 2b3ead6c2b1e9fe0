"""One visit in detail for the desk: answers, photos, fixes, findings. Every access is audited."""

from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import DESK_ROLES, Caller, readable, require_found, require_role
from server.core.clock import utc_now
from server.core.differences import Difference, find_differences
from server.core.http import ResponseBody
from server.core.ids import canonical_ids
from server.models.areas import Area
from server.models.evidence import Evidence, Photo
from server.models.households import Household
from server.models.people import Staff
from server.models.review import Decision, Finding, SpotCheck
from server.models.visits import Attestation, Visit, VisitInvestigator, VisitVersion
from server.review.checks.registry import render_finding
from server.review.decisions import load_judged_severities
from server.spotchecks.blinding import require_not_blinded
from server.visits.answers import MemberThen, load_members_then


class FindingLine(ResponseBody):
    id: UUID
    code: str
    severity: str
    evidence_id: UUID | None
    facts: dict[str, Any]
    zh: str
    en: str
    settled_as: str | None


class CurrentFinding(FindingLine, kw_only=True):
    """`must_be_judged`: the visit is not accepted before it is upheld or dismissed."""

    must_be_judged: bool


class PastFinding(FindingLine, kw_only=True):
    """A finding with its history: `superseded_at` says when it ceased to hold; null: it still holds."""

    found_at: datetime
    superseded_at: datetime | None
    settled_by: str | None


class PhotoLine(ResponseBody):
    evidence_id: UUID
    question_id: str
    state: str
    refused_code: str | None
    captured_at: datetime | None
    facts: dict[str, Any] | None
    # Which API gave the picture, as the phone says; null for phones that do not.
    source: str | None


class InvestigatorLine(ResponseBody):
    staff_id: UUID
    name: str
    is_author: bool
    attested_at: datetime | None
    fix: dict[str, Any] | None


class AmendmentLine(ResponseBody):
    """What an amendment changed, as JSON pointers into the visit's document, and why."""

    version: int
    reason: str
    amended_at: datetime
    received_at: datetime
    differences: list[Difference]


class PreviousVisit(ResponseBody):
    """The previous visit to this home, to compare answers with."""

    visit_id: UUID
    kind: str
    started_at: datetime
    checklist_code: str
    checklist_version: int
    answers: dict[str, Any]


class VoidLine(ResponseBody):
    at: datetime
    by_name: str
    reason: str


class VisitDetail(ResponseBody):
    id: UUID
    state: str
    kind: str
    household_id: UUID
    household_number: str
    head_name: str
    area_code: str
    area_name: str
    home: dict[str, Any] | None
    checklist_code: str
    checklist_version: int
    document: dict[str, Any]
    received_at: datetime
    late_after_reassignment: bool
    receipt: str | None
    investigators: list[InvestigatorLine]
    photos: list[PhotoLine]
    findings: list[CurrentFinding]
    outcome: str | None
    reason: str | None
    # 1 as first submitted, plus 1 for each amendment.
    version: int
    amendments: list[AmendmentLine]
    previous: PreviousVisit | None
    voided: VoidLine | None
    # Who entered it at the desk from a paper form; null: a phone sent it.
    typed_by_name: str | None
    # The members that the phone had, when the desk has changed the household meanwhile.
    members_then: list[MemberThen] | None


async def open_visit(session: AsyncSession, caller: Caller, visit_id: UUID) -> VisitDetail:
    """Return the visit in detail. Raises `thing.not_found`, also outside the caller's area, and `review.blind`."""
    visit: Visit = require_found(await session.scalar(readable(Visit, caller).where(Visit.id == visit_id)))
    await require_not_blinded(session, caller, visit_id)
    household = await session.get_one(Household, visit.household_id)
    area = await session.get_one(Area, visit.area_code)
    decision = await session.scalar(select(Decision).where(Decision.visit_id == visit_id, Decision.undone_at.is_(None)))
    audit.record(session, caller, Action.VISIT_OPENED, "visit", visit_id, area_code=visit.area_code)
    return VisitDetail(
        id=visit.id,
        state=visit.state,
        kind=visit.kind,
        household_id=household.id,
        household_number=household.number,
        head_name=household.head_name,
        area_code=visit.area_code,
        area_name=area.name,
        home=_home(household),
        checklist_code=visit.checklist_code,
        checklist_version=visit.checklist_version,
        document=canonical_ids(visit.document),
        received_at=visit.received_at,
        late_after_reassignment=visit.late_after_reassignment,
        receipt=visit.receipt,
        investigators=await _investigators(session, visit),
        photos=await _photos(session, visit),
        findings=await _findings(session, visit),
        outcome=decision.outcome if decision else None,
        reason=decision.reason if decision else None,
        version=visit.version,
        amendments=await _amendments(session, visit),
        members_then=await load_members_then(session, visit),
        previous=await _previous(session, caller, visit),
        voided=await _void_line(session, visit),
        typed_by_name=await session.scalar(select(Staff.name).where(Staff.id == visit.typed_by)),
    )


async def _void_line(session: AsyncSession, visit: Visit) -> VoidLine | None:
    if visit.voided_at is None or visit.void_reason is None:
        return None
    person = await session.get_one(Staff, visit.voided_by)
    return VoidLine(at=visit.voided_at, by_name=person.name, reason=visit.void_reason)


async def _amendments(session: AsyncSession, visit: Visit) -> list[AmendmentLine]:
    before = select(VisitVersion).where(VisitVersion.visit_id == visit.id).order_by(VisitVersion.number)
    versions: list[Visit | VisitVersion] = [*await session.scalars(before), visit]
    return [_amendment(number, older, newer) for number, (older, newer) in enumerate(pairwise(versions), start=2)]


def _amendment(number: int, before: Visit | VisitVersion, after: Visit | VisitVersion) -> AmendmentLine:
    amendment = after.document["amendment"]
    assert after.submitted_at is not None
    return AmendmentLine(
        version=number,
        reason=amendment["reason"],
        amended_at=msgspec.convert(amendment["amendedAt"], datetime),
        received_at=after.submitted_at,
        differences=find_differences(_without_amendment(before.document), _without_amendment(after.document)),
    )


def _without_amendment(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "amendment"}


async def _previous(session: AsyncSession, caller: Caller, visit: Visit) -> PreviousVisit | None:
    if visit.started_at is None:
        return None
    before: Visit | None = await session.scalar(
        readable(Visit, caller)
        .where(
            Visit.household_id == visit.household_id,
            Visit.started_at < visit.started_at,
            Visit.submitted_at.is_not(None),
            Visit.state != "voided",
            Visit.id != visit.id,
            Visit.id.not_in(SpotCheck.blinded_visits_of(caller)),
        )
        .order_by(Visit.started_at.desc())
        .limit(1)
    )
    if before is None or before.started_at is None:
        return None
    audit.record(
        session, caller, Action.VISIT_OPENED, "visit", before.id, area_code=before.area_code, beside=str(visit.id)
    )
    return PreviousVisit(
        visit_id=before.id,
        kind=before.kind,
        started_at=before.started_at,
        checklist_code=before.checklist_code,
        checklist_version=before.checklist_version,
        answers=canonical_ids(before.document.get("answers", {})),
    )


def _home(household: Household) -> dict[str, Any] | None:
    if household.latitude is None:
        return None
    return {"latitude": household.latitude, "longitude": household.longitude, "datum": household.datum}


async def _investigators(session: AsyncSession, visit: Visit) -> list[InvestigatorLine]:
    rows = await session.execute(
        select(Staff.id, Staff.name, Attestation)
        .join(VisitInvestigator, VisitInvestigator.staff_id == Staff.id)
        .outerjoin(Attestation, (Attestation.staff_id == Staff.id) & (Attestation.visit_id == visit.id))
        .where(VisitInvestigator.visit_id == visit.id)
        .order_by(Staff.id)
    )
    return [
        InvestigatorLine(
            staff_id=staff_id,
            name=name,
            is_author=staff_id == visit.author_id,
            # Who submits attests by it; an author with the fix the visit began with.
            attested_at=attestation.attested_at if attestation else _author_value(visit, staff_id, visit.submitted_at),
            fix=attestation.document.get("fix")
            if attestation
            else _author_value(visit, staff_id, visit.document.get("startFix")),
        )
        for staff_id, name, attestation in rows
    ]


def _author_value(visit: Visit, staff_id: UUID, value: Any) -> Any:
    return value if staff_id == visit.attested_by_sending else None


async def _photos(session: AsyncSession, visit: Visit) -> list[PhotoLine]:
    rows = await session.execute(
        select(Evidence, Photo.facts)
        .outerjoin(Photo, Photo.sha256 == Evidence.sha256)
        # A document may list any id: show only photos of this visit.
        .where(
            Evidence.id.in_([UUID(photo["id"]) for photo in visit.document.get("photos", [])]),
            Evidence.visit_id == visit.id,
        )
        .order_by(Evidence.id)
    )
    return [
        PhotoLine(
            evidence_id=evidence.id,
            question_id=evidence.question_id,
            state=evidence.state,
            refused_code=evidence.refused_code,
            captured_at=evidence.captured_at,
            facts=facts,
            source=evidence.document.get("source"),
        )
        for evidence, facts in rows
    ]


async def _findings(session: AsyncSession, visit: Visit) -> list[CurrentFinding]:
    judged = await load_judged_severities(session, visit.area_code, utc_now())
    order = {"critical": 0, "warning": 1, "notice": 2, "info": 3}
    rows = await session.scalars(select(Finding).where(Finding.visit_id == visit.id, Finding.superseded_at.is_(None)))
    return [
        CurrentFinding(
            id=finding.id,
            code=finding.code,
            severity=finding.severity,
            evidence_id=finding.evidence_id,
            facts=finding.facts,
            **render_finding(finding.code, finding.facts),
            settled_as=finding.settled_as,
            must_be_judged=finding.severity in judged,
        )
        for finding in sorted(
            rows, key=lambda finding: (order[finding.severity], finding.code, str(finding.evidence_id))
        )
    ]


async def list_finding_history(session: AsyncSession, caller: Caller, visit_id: UUID) -> list[PastFinding]:
    """List all findings a visit ever had, the latest first, superseded ones included."""
    require_role(caller, DESK_ROLES)
    visit: Visit = require_found(await session.scalar(readable(Visit, caller).where(Visit.id == visit_id)))
    await require_not_blinded(session, caller, visit_id)
    audit.record(session, caller, Action.VISIT_OPENED, "visit", visit_id, area_code=visit.area_code, part="findings")
    rows = await session.execute(
        select(Finding, Staff.name)
        .outerjoin(Staff, Staff.id == Finding.settled_by)
        .where(Finding.visit_id == visit.id)
        .order_by(Finding.found_at.desc(), Finding.id.desc())
    )
    return [
        PastFinding(
            id=finding.id,
            code=finding.code,
            severity=finding.severity,
            evidence_id=finding.evidence_id,
            facts=finding.facts,
            **render_finding(finding.code, finding.facts),
            settled_as=finding.settled_as,
            found_at=finding.found_at,
            superseded_at=finding.superseded_at,
            settled_by=settled_by,
        )
        for finding, settled_by in rows
    ]
