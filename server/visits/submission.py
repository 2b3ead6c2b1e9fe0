"""Submitting a visit: what may be pushed, and the document that comes back (`requirements.py`: what it needs).

A visit made while its author held the household is accepted even after a reassignment.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller, readable
from server.core.clock import utc_now
from server.core.device_times import believe_time
from server.core.errors import Problem
from server.core.services import Services
from server.core.tokens import StatementKind
from server.core.working_days import day_of
from server.models.households import Assignment, Household
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
from server.visits.requirements import check_draft, check_investigators, check_submission, time_bounds
from server.visits.statements import Context, Stored, read_context, write_visits

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
        verdict = _judge(context, submitted, caller, row, now)
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
    context: Context,
    submitted: Mapping[UUID, SubmittedVisit],
    caller: Caller,
    row: Incoming[VisitDocument],
    now: datetime,
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
            return _judge_amendment(context, submitted.get(document.id), row, now)
    try:
        check_draft(context, document, now)
        if _is_submitted(document):
            check_investigators(context, caller.id, document)
            check_submission(context, document, now)
    except Problem as problem:
        return Quarantine(problem)
    return None


def _judge_copy(stored: Stored, row: Incoming[VisitDocument]) -> Verdict:
    """A phone that loads a collection anew pushes its partners' visits too: what stands here is no news of anyone."""
    if stored.is_partner and row.content_hash == stored.sealed_hash:
        return Applied(again=True)
    return Conflict(is_known=stored.is_partner and row.content_hash in stored.earlier_hashes)


def _judge_amendment(
    context: Context, submitted: SubmittedVisit | None, row: Incoming[VisitDocument], now: datetime
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
        check_draft(context, row.document, now)
        is_from_paper = submitted.visit.typed_by is not None
        check_submission(context, row.document, now, is_from_paper=is_from_paper)
    except Problem as problem:
        return Quarantine(problem)
    return None


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
    await close_assignments(session, submissions)
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
    # The first arrival counts for an amended visit too: for the time offline and the time to a decision.
    received_at = amended.visit.received_at if amended else now
    bounds = time_bounds(hold, received_at)
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
        "started_at": believe_time(document.started_at, bounds, received_at),
        "ended_at": believe_time(document.ended_at, bounds, received_at),
        "household_version": context.judged_by.get(document.id),
        "document": row.raw,
        "content_hash": row.content_hash,
        "received_at": received_at,
        "submitted_at": now if submitted else None,
        "receipt": _receipt(services, caller, amended, row, now) if submitted else None,
        "late_after_reassignment": amended.visit.late_after_reassignment if amended else hold.revoked_at is not None,
        "typed_by": None,
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


async def close_assignments(session: AsyncSession, documents: Sequence[VisitDocument]) -> None:
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
        if await _is_of_household(session, assignment, households[assignment.id]):
            assignment.state = "done"
    await session.flush()  # publish_change reads the new state
    await publish_change(session, "assignments", list(households))


async def _is_of_household(session: AsyncSession, assignment: Assignment, household_id: UUID) -> bool:
    """Say whether the visit's household is the assignment's, or went into it since the phone last synced.

    It may have gone there by way of others, which merged in turn.
    """
    household: UUID | None = household_id
    while household is not None and household != assignment.household_id:
        household = await session.scalar(select(Household.merged_into).where(Household.id == household))
    return household is not None


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
    if visit.typed_by is not None:
        part["fromPaper"] = True
    if visit.void_reason is not None:
        part["voidReason"] = visit.void_reason
    if decision is not None:
        part["decision"] = {
            "outcome": decision.outcome,
            "reason": decision.reason,
            "questioned": decision.questioned,
            "decidedAt": decision.decided_at.isoformat(),
        }
    return part
