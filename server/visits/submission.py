"""Submitting a visit: what may be pushed, what a submission needs, and the document that comes back.

The law asks for at least two investigators, both at the home; by phone or video only in an emergency
(docs/domain.md#home-visit). A visit made while its author held the household is accepted even after a reassignment.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.checklists.answers import validate_answers
from server.checklists.facts import Facts, HouseholdFacts, MemberFacts
from server.core.access import Caller, readable
from server.core.ages import age_on
from server.core.clock import utc_now
from server.core.errors import Fault, Problem
from server.core.services import Services
from server.core.tokens import StatementKind
from server.core.working_days import day_of
from server.models.households import Assignment
from server.models.review import Decision
from server.models.visits import Attestation, Visit
from server.sync_feed.documents import VisitDocument
from server.sync_feed.publish import publish_change, withdraw_change
from server.sync_feed.verdicts import Applied, Conflict, Incoming, Quarantine, Verdict, judge
from server.visits.amendments import (
    SubmittedVisit,
    archive_version,
    check_amendment,
    discard_draft,
    lock_submitted,
    save_draft,
)
from server.visits.completeness import complete_visits
from server.visits.statements import Context, Hold, Stored, read_context, write_visits

INVESTIGATORS_AT_LEAST = 2
NOT_YET_SUBMITTED = ("draft", "discarded")


async def apply_visits(
    session: AsyncSession, services: Services, caller: Caller, rows: Sequence[Incoming[VisitDocument]]
) -> list[Verdict]:
    submitted = await lock_submitted(session, [row for row in rows if row.document.amendment is not None])
    now = utc_now()
    context = await _load_context(session, caller, rows, now)
    verdicts: list[Verdict] = []
    accepted: list[Incoming[VisitDocument]] = []
    for row in rows:
        verdict = _judge(context, submitted, caller, row)
        verdicts.append(verdict or Applied())
        if verdict is None:
            accepted.append(row)
    to_write = await _apply_amendments(session, context, submitted, accepted)
    lost = await _write(session, services, caller, context, submitted, to_write, now)
    return [
        _judge_duplicate(row, lost[row.document.id]) if row.document.id in lost else verdict
        for row, verdict in zip(rows, verdicts, strict=True)
    ]


async def _load_context(
    session: AsyncSession, caller: Caller, rows: Sequence[Incoming[VisitDocument]], now: datetime
) -> Context:
    documents = [row.document for row in rows]
    return await read_context(
        session,
        caller,
        visits={document.id for document in documents},
        households={document.household_id for document in documents},
        people={person for document in documents for person in document.investigator_ids},
        codes={document.checklist_code for document in documents},
        today=day_of(now),
    )


def _judge(
    context: Context, submitted: Mapping[UUID, SubmittedVisit], caller: Caller, row: Incoming[VisitDocument]
) -> Verdict | None:
    """Return why this row is not written; None when it is."""
    document, stored = row.document, context.stored.get(row.document.id)
    if stored is not None:
        if stored.author_id != caller.id:
            return _judge_copy(stored, row)
        verdict = judge(row, stored.content_hash)
        if verdict is not None or row.content_hash == stored.sealed_hash:
            return verdict
        if stored.state not in NOT_YET_SUBMITTED:
            return _judge_amendment(context, submitted.get(document.id), row)
    try:
        _check_draft(context, document)
        if _is_submitted(document):
            _check_investigators(context, caller, document)
            _check_submission(context, document)
    except Problem as problem:
        return Quarantine(problem)
    return None


def _judge_copy(stored: Stored, row: Incoming[VisitDocument]) -> Verdict:
    """A phone that loads a collection anew pushes its partners' visits too: what stands here is no news of anyone."""
    if stored.is_partner and row.content_hash == stored.sealed_hash:
        return Applied(again=True)
    return Conflict(is_known=stored.is_partner and row.content_hash in stored.earlier_hashes)


def _judge_amendment(
    context: Context, submitted: SubmittedVisit | None, row: Incoming[VisitDocument]
) -> Verdict | None:
    """The investigators were checked at submission and are not checked again: one of them may have left since."""
    if submitted is None or row.document.deleted:
        return Conflict(Problem("visit.frozen"))
    try:
        check_amendment(submitted, row)
    except Problem as problem:
        return Conflict(problem)
    if row.document.state == "draft":
        return None
    try:
        _check_draft(context, row.document)
        _check_submission(context, row.document)
    except Problem as problem:
        return Quarantine(problem)
    return None


def _check_draft(context: Context, document: VisitDocument) -> None:
    hold = context.holds.get(document.household_id)
    if hold is None or _started_after_loss(context, hold, document):
        raise Problem("visit.household_unknown")
    checklist = context.checklists.get((document.checklist_code, document.checklist_version))
    if checklist is None or checklist.kind != document.kind:
        raise Problem("visit.checklist_unknown")


def _started_after_loss(context: Context, hold: Hold, document: VisitDocument) -> bool:
    """The visit's clock is the phone's: it may be ahead by what was measured, or by what the area allows."""
    if hold.revoked_at is None or document.started_at is None:
        return False
    ahead = max(context.clock_ahead, timedelta(minutes=hold.settings.clock_ahead_min))
    return document.started_at - hold.revoked_at > ahead


def _check_submission(context: Context, document: VisitDocument) -> None:
    """Raise the first legal requirement that the submission breaks, else all faults of its answers at once."""
    _check_presence(document)
    _check_photos(document)
    _check_answers(context, document)


def _check_investigators(context: Context, caller: Caller, document: VisitDocument) -> None:
    people = set(document.investigator_ids)
    if caller.id not in people:
        raise Problem("visit.author_not_investigator")
    if len(people) < INVESTIGATORS_AT_LEAST:
        raise Problem("visit.one_investigator")
    if not people <= context.staff:
        raise Problem("visit.investigator_unknown")


def _check_presence(document: VisitDocument) -> None:
    if document.started_at is None or document.ended_at is None:
        raise Problem("visit.fix_missing")
    if document.ended_at < document.started_at:
        raise Problem("visit.times_inverted")
    if document.mode == "in_person" and (document.start_fix is None or document.end_fix is None):
        raise Problem("visit.fix_missing")
    if document.mode != "in_person" and not document.mode_reason.strip():
        raise Problem("visit.remote_without_reason")


def _check_photos(document: VisitDocument) -> None:
    if len({photo.id for photo in document.photos}) != len(document.photos):
        raise Problem("visit.photo_listed_twice")


def _check_answers(context: Context, document: VisitDocument) -> None:
    hold = context.holds[document.household_id]
    faults = validate_answers(
        context.checklists[document.checklist_code, document.checklist_version],
        document.answers,
        member_ids=[str(member.id) for member in hold.members],
        facts=_facts(hold, document),
        stage="submitted",
    )
    errors = [Fault(fault.pointer, fault.code, fault.zh) for fault in faults if fault.severity == "error"]
    if errors:
        raise Problem("visit.answers_invalid", faults=errors)


def _facts(hold: Hold, document: VisitDocument) -> Facts:
    assert document.started_at is not None
    today = day_of(document.started_at)
    return Facts(
        today=today,
        members=tuple(
            MemberFacts(
                member_id=str(member.id),
                age=age_on(member.born_on, today),
                sex=member.sex,  # type: ignore[arg-type]  # the database allows only these two
                relation=member.relation,
            )
            for member in hold.members
        ),
        household=HouseholdFacts(class_=hold.class_),  # type: ignore[arg-type]  # A, B, C by constraint
        remote=document.mode != "in_person",
    )


async def _apply_amendments(
    session: AsyncSession,
    context: Context,
    submitted: Mapping[UUID, SubmittedVisit],
    rows: Sequence[Incoming[VisitDocument]],
) -> list[Incoming[VisitDocument]]:
    """Save or discard amendment drafts and archive amended versions; return the rows still to be written."""
    rest: list[Incoming[VisitDocument]] = []
    for row in rows:
        stored = context.stored.get(row.document.id)
        if stored is None or stored.state in NOT_YET_SUBMITTED:
            rest.append(row)
        elif row.content_hash == stored.sealed_hash:
            await discard_draft(session, row.document.id)
        elif row.document.state == "draft":
            await save_draft(session, row)
        else:
            await archive_version(session, submitted[row.document.id])
            rest.append(row)
    return rest


async def _write(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    context: Context,
    submitted: Mapping[UUID, SubmittedVisit],
    rows: Sequence[Incoming[VisitDocument]],
    now: datetime,
) -> dict[UUID, str]:
    """Write the rows; return the stored hash of those that a concurrent request wrote first."""
    if not rows:
        return {}
    amended = {row.document.id: submitted[row.document.id] for row in rows if row.document.id in submitted}
    written = await write_visits(
        session,
        caller,
        [_columns(services, caller, context, amended.get(row.document.id), row, now) for row in rows],
        people=[pair for row in rows for pair in _people(row.document)],
        seen=context.stored.keys(),
        now=now,
    )
    documents = [row.document for row in rows if row.document.id in written]
    await withdraw_change(session, "visits", [document.id for document in documents if document.deleted])
    submissions = [document for document in documents if _is_submitted(document)]
    await _close_assignments(session, submissions)
    # Every visit names at least two people, so one that nobody else has attested can't be complete: the usual case.
    await complete_visits(session, [document.id for document in submissions if written[document.id]])
    return await _stored_hashes(session, {row.document.id for row in rows} - written.keys())


def _is_submitted(document: VisitDocument) -> bool:
    return document.state == "submitted" and not document.deleted


def _people(document: VisitDocument) -> list[tuple[UUID, UUID]]:
    """Return pairs of visit and investigator; none for a draft, whose investigators may still change."""
    people = dict.fromkeys(document.investigator_ids) if _is_submitted(document) else {}
    return [(document.id, person) for person in people]


async def _stored_hashes(session: AsyncSession, ids: set[UUID]) -> dict[UUID, str]:
    if not ids:
        return {}
    rows = await session.execute(select(Visit.id, Visit.content_hash).where(Visit.id.in_(ids)))
    return dict(rows.all())


def _columns(
    services: Services,
    caller: Caller,
    context: Context,
    amended: SubmittedVisit | None,
    row: Incoming[VisitDocument],
    now: datetime,
) -> dict[str, Any]:
    document = row.document
    hold = context.holds[document.household_id]
    submitted = _is_submitted(document)
    state = "amended" if amended else document.state
    return {
        "id": document.id,
        "household_id": document.household_id,
        "assignment_id": document.assignment_id,
        "area_code": amended.visit.area_code if amended else hold.area_code,
        "kind": document.kind,
        "checklist_code": document.checklist_code,
        "checklist_version": document.checklist_version,
        "author_id": caller.id,
        "device_id": caller.device_id,
        "state": "discarded" if document.deleted else state,
        "mode": document.mode,
        "started_at": document.started_at,
        "ended_at": document.ended_at,
        "document": row.raw,
        "content_hash": row.content_hash,
        # The first arrival counts for an amended visit too: for the time offline and the time to a decision.
        "received_at": amended.visit.received_at if amended else now,
        "submitted_at": now if submitted else None,
        "receipt": _receipt(services, caller, amended, row, now) if submitted else None,
        "late_after_reassignment": amended.visit.late_after_reassignment if amended else hold.revoked_at is not None,
        "updated_at": now,
    }


def _receipt(
    services: Services, caller: Caller, amended: SubmittedVisit | None, row: Incoming[VisitDocument], now: datetime
) -> str:
    """Sign the receipt: the visit's hash, when it was received, and the version it amends."""
    return services.receipts.sign(
        StatementKind.RECEIPT,
        {
            "visitId": str(row.document.id),
            "sha256": row.content_hash,
            "receivedAt": now.isoformat(),
            "authorId": str(caller.id),
            **({"amends": amended.visit.content_hash} if amended else {}),
        },
    )


async def _close_assignments(session: AsyncSession, documents: Sequence[VisitDocument]) -> None:
    """Close the assignments of these visits; an assignment of another household stays open."""
    households = {
        document.assignment_id: document.household_id for document in documents if document.assignment_id is not None
    }
    if not households:
        return
    for assignment in await session.scalars(
        select(Assignment)
        .where(Assignment.id.in_(households), Assignment.state == "open")
        .order_by(Assignment.id)
        .with_for_update()
    ):
        if assignment.household_id == households[assignment.id]:
            assignment.state = "done"
    await session.flush()  # publish_change reads the new state
    await publish_change(session, "assignments", list(households))


def _judge_duplicate(row: Incoming[VisitDocument], stored_hash: str) -> Verdict:
    return judge(row, stored_hash) or Conflict()


async def load_visits(session: AsyncSession, caller: Caller, ids: Sequence[UUID]) -> dict[str, Any]:
    """Load visit documents with the server's part under `server`; authors get their unfinished amendment."""
    visits = list(await session.scalars(readable(Visit, caller).where(Visit.id.in_(ids))))
    visit_ids = [visit.id for visit in visits]
    decisions = await _load_decisions(session, visit_ids)
    attested = await _load_attesters(session, visit_ids)
    return {
        str(visit.id): {
            "_deleted": False,
            **(visit.mending if visit.mending and visit.author_id == caller.id else visit.document),
            "id": str(visit.id),
            "server": _server_part(visit, decisions.get(visit.id), attested.get(visit.id, [])),
        }
        for visit in visits
    }


async def _load_decisions(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Decision]:
    rows = await session.scalars(select(Decision).where(Decision.visit_id.in_(ids), Decision.undone_at.is_(None)))
    return {decision.visit_id: decision for decision in rows}


async def _load_attesters(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    rows = await session.execute(
        select(Attestation.visit_id, Attestation.staff_id).where(Attestation.visit_id.in_(ids))
    )
    by_visit: dict[UUID, list[str]] = {}
    for visit_id, staff_id in rows:
        by_visit.setdefault(visit_id, []).append(str(staff_id))
    return by_visit


def _server_part(visit: Visit, decision: Decision | None, attested: list[str]) -> dict[str, Any]:
    part: dict[str, Any] = {
        "state": visit.state,
        "authorId": str(visit.author_id),
        "receivedAt": visit.received_at.isoformat(),
        "submittedAt": visit.submitted_at.isoformat() if visit.submitted_at else None,
        "complete": visit.complete_at is not None,
        "attestedBy": attested,
        "receipt": visit.receipt,
        "lateAfterReassignment": visit.late_after_reassignment,
        "version": visit.version,
    }
    if decision is not None:
        part["decision"] = {
            "outcome": decision.outcome,
            "reason": decision.reason,
            "questioned": decision.questioned,
            "decidedAt": decision.decided_at.isoformat(),
        }
    return part
