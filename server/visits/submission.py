"""The rules of a visit: what may be pushed, what a submission needs, and what comes back.

Law, as read: at least two investigators, both at the home; by phone or video only in an emergency
(docs/domain.md#home-visit). A visit made while its author held the household is taken even after a reassignment.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.checklists.answers import Facts, HouseholdFacts, MemberFacts, validate_answers
from server.core.access import Caller, readable
from server.core.errors import Fault, Problem
from server.core.services import Services
from server.core.tokens import utc_now
from server.core.working_days import day_of
from server.models.households import Assignment
from server.models.review import Decision
from server.models.visits import Attestation, Visit
from server.sync_feed.documents import VisitDocument
from server.sync_feed.publish import publish_change, withdraw_change
from server.sync_feed.verdicts import Applied, Conflict, Incoming, Quarantine, Verdict, judge
from server.visits.amendments import Sealed, check_amendment, drop_draft, hold_submitted, save_draft, set_aside
from server.visits.completeness import complete_visits
from server.visits.statements import Context, Hold, read_context, write_visits

INVESTIGATORS_AT_LEAST = 2
NOT_YET_SUBMITTED = ("draft", "discarded")


async def apply_visits(
    session: AsyncSession, services: Services, caller: Caller, rows: Sequence[Incoming[VisitDocument]]
) -> list[Verdict]:
    sealed = await hold_submitted(session, [row for row in rows if row.document.amendment is not None])
    context = await _look_up(session, caller, rows)
    now = utc_now()
    verdicts: list[Verdict] = []
    accepted: list[Incoming[VisitDocument]] = []
    for row in rows:
        verdict = _judge(context, sealed, caller, row)
        verdicts.append(verdict or Applied())
        if verdict is None:
            accepted.append(row)
    written = await _keep_amendments(session, context, sealed, accepted)
    lost = await _write(session, services, caller, context, sealed, written, now)
    return [
        _against_a_twin(row, lost[row.document.id]) if row.document.id in lost else verdict
        for row, verdict in zip(rows, verdicts, strict=True)
    ]


async def _look_up(session: AsyncSession, caller: Caller, rows: Sequence[Incoming[VisitDocument]]) -> Context:
    documents = [row.document for row in rows]
    return await read_context(
        session,
        caller,
        visits={one.id for one in documents},
        households={one.household_id for one in documents},
        people={person for one in documents for person in one.investigator_ids},
        codes={one.checklist_code for one in documents},
    )


def _judge(
    context: Context, sealed: Mapping[UUID, Sealed], caller: Caller, row: Incoming[VisitDocument]
) -> Verdict | None:
    """What stands against writing this row; None when nothing does."""
    document, stored = row.document, context.stored.get(row.document.id)
    if stored is not None:
        if stored.author_id != caller.id:
            return Conflict()
        verdict = judge(row, stored.content_hash)
        if verdict is not None or row.content_hash == stored.sealed_hash:
            return verdict
        if stored.state not in NOT_YET_SUBMITTED:
            return _judge_amendment(context, sealed.get(document.id), row)
    try:
        _check_draft(context, document)
        if _is_submitted(document):
            _check_investigators(context, caller, document)
            _check_submission(context, document)
    except Problem as problem:
        return Quarantine(problem)
    return None


def _judge_amendment(context: Context, sealed: Sealed | None, row: Incoming[VisitDocument]) -> Verdict | None:
    """Who was there was checked at the submission and stays as it was, even when someone has left since."""
    if sealed is None or row.document.deleted:
        return Conflict(Problem("visit.frozen"))
    try:
        check_amendment(sealed, row)
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
    if hold is None or _began_after_loss(hold, document):
        raise Problem("visit.household_unknown")
    checklist = context.checklists.get((document.checklist_code, document.checklist_version))
    if checklist is None or checklist.kind != document.kind:
        raise Problem("visit.checklist_unknown")


def _began_after_loss(hold: Hold, document: VisitDocument) -> bool:
    return hold.revoked_at is not None and document.started_at is not None and document.started_at > hold.revoked_at


def _check_submission(context: Context, document: VisitDocument) -> None:
    """Raises the first rule of law that the submission breaks, else every fault of its answers at once."""
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
    if len({one.id for one in document.photos}) != len(document.photos):
        raise Problem("visit.photo_listed_twice")


def _check_answers(context: Context, document: VisitDocument) -> None:
    hold = context.holds[document.household_id]
    faults = validate_answers(
        context.checklists[document.checklist_code, document.checklist_version],
        document.answers,
        member_ids=[str(one.id) for one in hold.members],
        facts=_facts(hold, document),
        stage="submitted",
    )
    errors = [Fault(one.pointer, one.code, one.zh) for one in faults if one.severity == "error"]
    if errors:
        raise Problem("visit.answers_invalid", faults=errors)


def _facts(hold: Hold, document: VisitDocument) -> Facts:
    assert document.started_at is not None
    today = day_of(document.started_at)
    return Facts(
        today=today,
        members=tuple(
            MemberFacts(
                member_id=str(one.id),
                age=today.year - one.born_on.year - ((today.month, today.day) < (one.born_on.month, one.born_on.day)),
                sex=one.sex,  # type: ignore[arg-type]  # the database holds these two alone
                relation=one.relation,
            )
            for one in hold.members
        ),
        household=HouseholdFacts(class_=hold.class_),  # type: ignore[arg-type]  # A, B, C by constraint
        remote=document.mode != "in_person",
    )


async def _keep_amendments(
    session: AsyncSession,
    context: Context,
    sealed: Mapping[UUID, Sealed],
    rows: Sequence[Incoming[VisitDocument]],
) -> list[Incoming[VisitDocument]]:
    """Do what amendments ask beside being written; returns the rows that are still to be written."""
    rest: list[Incoming[VisitDocument]] = []
    for row in rows:
        stored = context.stored.get(row.document.id)
        if stored is None or stored.state in NOT_YET_SUBMITTED:
            rest.append(row)
        elif row.content_hash == stored.sealed_hash:
            await drop_draft(session, row.document.id)
        elif row.document.state == "draft":
            await save_draft(session, row)
        else:
            await set_aside(session, sealed[row.document.id])
            rest.append(row)
    return rest


async def _write(
    session: AsyncSession,
    services: Services,
    caller: Caller,
    context: Context,
    sealed: Mapping[UUID, Sealed],
    rows: Sequence[Incoming[VisitDocument]],
    now: datetime,
) -> dict[UUID, str]:
    """Write the rows; returns the content hash of those where a twin came first at the same moment."""
    if not rows:
        return {}
    amended = {row.document.id: sealed[row.document.id] for row in rows if row.document.id in sealed}
    written = await write_visits(
        session,
        caller,
        [_columns(services, caller, context, amended.get(row.document.id), row, now) for row in rows],
        people=[pair for row in rows for pair in _people(row.document)],
        seen=context.stored.keys(),
    )
    kept = [row.document for row in rows if row.document.id in written]
    await withdraw_change(session, "visits", [one.id for one in kept if one.deleted])
    submitted = [one for one in kept if _is_submitted(one)]
    await _close_assignments(session, submitted)
    # Every visit names two people at least, so one that nobody else has attested can't be whole: the usual case.
    await complete_visits(session, [one.id for one in submitted if written[one.id]])
    return await _twins(session, {row.document.id for row in rows} - written.keys())


def _is_submitted(document: VisitDocument) -> bool:
    return document.state == "submitted" and not document.deleted


def _people(document: VisitDocument) -> list[tuple[UUID, UUID]]:
    """Pairs of visit and investigator; of a draft none, since nobody has been named for good."""
    people = dict.fromkeys(document.investigator_ids) if _is_submitted(document) else {}
    return [(document.id, one) for one in people]


async def _twins(session: AsyncSession, ids: set[UUID]) -> dict[UUID, str]:
    if not ids:
        return {}
    twins = await session.execute(select(Visit.id, Visit.content_hash).where(Visit.id.in_(ids)))
    return dict(twins.all())


def _columns(
    services: Services,
    caller: Caller,
    context: Context,
    amended: Sealed | None,
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
        "document": row.told,
        "content_hash": row.content_hash,
        # Of an amended visit too it counts when it first came: how long it was offline, how long a decision took.
        "received_at": amended.visit.received_at if amended else now,
        "submitted_at": now if submitted else None,
        "receipt": _receipt(services, caller, amended, row, now) if submitted else None,
        "late_after_reassignment": amended.visit.late_after_reassignment if amended else hold.revoked_at is not None,
        "updated_at": now,
    }


def _receipt(
    services: Services, caller: Caller, amended: Sealed | None, row: Incoming[VisitDocument], now: datetime
) -> str:
    """The server's signed word that it holds this visit: its hash, when it came, and what it amends."""
    return services.receipts.sign(
        {
            "visitId": str(row.document.id),
            "sha256": row.content_hash,
            "receivedAt": now.isoformat(),
            "authorId": str(caller.id),
            **({"amends": amended.visit.content_hash} if amended else {}),
        }
    )


async def _close_assignments(session: AsyncSession, documents: Sequence[VisitDocument]) -> None:
    """An assignment is done by a visit to its own household; another's id closes nothing."""
    homes = {one.assignment_id: one.household_id for one in documents if one.assignment_id is not None}
    if not homes:
        return
    for assignment in await session.scalars(
        select(Assignment)
        .where(Assignment.id.in_(homes), Assignment.state == "open")
        .order_by(Assignment.id)
        .with_for_update()
    ):
        if assignment.household_id == homes[assignment.id]:
            assignment.state = "done"
    await session.flush()  # announce reads the new state
    await publish_change(session, "assignments", [one for one in homes if one is not None])


def _against_a_twin(row: Incoming[VisitDocument], stored_hash: str) -> Verdict:
    return judge(row, stored_hash) or Conflict()


async def load_visits(session: AsyncSession, caller: Caller, ids: Sequence[UUID]) -> dict[str, Any]:
    """Visit documents with what the server says of them under `server`; to their author as last written."""
    visits = list(await session.scalars(readable(Visit, caller).where(Visit.id.in_(ids))))
    returned = await _standing_decisions(session, [one.id for one in visits])
    attested = await _attested(session, [one.id for one in visits])
    return {
        str(one.id): {
            "_deleted": False,
            **(one.mending if one.mending and one.author_id == caller.id else one.document),
            "id": str(one.id),
            "server": _server_part(one, returned.get(one.id), attested.get(one.id, [])),
        }
        for one in visits
    }


async def _standing_decisions(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, Decision]:
    rows = await session.scalars(select(Decision).where(Decision.visit_id.in_(ids), Decision.undone_at.is_(None)))
    return {one.visit_id: one for one in rows}


async def _attested(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, list[str]]:
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
