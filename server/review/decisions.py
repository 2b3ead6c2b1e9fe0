"""Decisions on a visit: accept it, return it, order a spot check or escalate it.

Two reviewers who decide at once: one wins, the other gets `review.decided` with who and what. A decision can be undone
for a minute (`review.undo_s`, by area). The case's job is deferred until then, so that residents never see a step that
is taken back. The author's phone gets a decision, and its undoing, at once.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import Caller
from server.core.clock import CHINA
from server.core.database import open_session
from server.core.errors import Fault, Problem
from server.core.http import LongText, RequestBody, ResponseBody, ShortText
from server.core.ids import new_id
from server.core.job_types import MoveCaseAfterDecision, Notify, NotifyReturned
from server.core.services import Services
from server.models.checklists import ChecklistTemplate
from server.models.review import Decision, Finding, ReviewItem, SpotCheck
from server.models.visits import Visit
from server.policy.resolver import load_policy_values
from server.review.leases import (
    lock_review_item,
    require_not_leased_by_other,
    require_open,
    return_to_queue,
)
from server.review.tallies import update_tallies
from server.sync_feed.publish import publish_change
from server.visits.last_answers import publish_last_answers

VISIT_STATE = {
    "accepted": "accepted",
    "returned": "returned",
    "spot_check": "under_review",
    "escalated": "escalated",
}
UNDO = "review.undo_s"
JUDGED = "review.judged_before_acceptance"
_ORDERED = {"why": "ordered", "stratum": "", "state": "drawn"}
# Added to the case job's delay, so that an undo at the last moment has committed before it runs.
UNDO_MARGIN = timedelta(seconds=5)


class ReturnedQuestion(RequestBody):
    """One question or photo that a return asks the author to correct."""

    question_id: ShortText
    reason: LongText
    evidence_id: UUID | None = None


class DecideVisit(RequestBody):
    """`upheld` and `dismissed` are ids of findings; `questioned` says what a return asks to correct."""

    outcome: Literal["accepted", "returned", "spot_check", "escalated"]
    reason: LongText = ""
    upheld: Annotated[list[UUID], Meta(max_length=200)] = []
    dismissed: Annotated[list[UUID], Meta(max_length=200)] = []
    questioned: Annotated[list[ReturnedQuestion], Meta(max_length=200)] = []


class DecisionDetail(ResponseBody):
    """`undo_until`: when the decision becomes final."""

    id: UUID
    visit_id: UUID
    outcome: str
    reason: str
    decided_at: datetime
    undo_until: datetime


async def decide(
    session: AsyncSession,
    caller: Caller,
    visit_id: UUID,
    request: DecideVisit,
    *,
    version: int | None,
    idempotency_key: str | None,
    now: datetime,
) -> DecisionDetail:
    """Decide a visit that the caller has leased. Idempotent by key and content.

    Raises `review.not_claimed`, `review.claimed_by_other` and `review.decided` (with who and what),
    `review.reason_required`, `review.findings_not_judged`, and `request.invalid` for a question or photo that the visit
    lacks.
    """
    item = await lock_review_item(session, caller, visit_id)
    undo = timedelta(seconds=await undo_seconds(session, item, now))
    if (repeated := await _find_repeated(session, caller, visit_id, request, idempotency_key)) is not None:
        return _detail(repeated, undo)
    await require_open(session, item)
    if item.holder_id != caller.id or version not in {None, item.version}:
        if item.holder_id != caller.id:
            await require_not_leased_by_other(session, item, now)
        raise Problem("review.not_claimed")
    if request.outcome != "accepted" and not request.reason.strip():
        raise Problem("review.reason_required")
    await _require_known_parts(session, visit_id, request.questioned)
    changes = await _set_verdicts(session, caller, visit_id, request)
    if request.outcome == "accepted":
        await _require_judged(session, item, request, now)
    decision = await write_decision(session, caller, item, request, idempotency_key, undo, now, judged=changes)
    return _detail(decision, undo)


async def undo_seconds(session: AsyncSession, item: ReviewItem, now: datetime) -> float:
    """Return for how long a decision on this item can be undone; 0: not at all."""
    settings = await load_policy_values(session, item.area_code, now.astimezone(CHINA).date(), [UNDO])
    return float(settings[UNDO])


async def _find_repeated(
    session: AsyncSession, caller: Caller, visit_id: UUID, request: DecideVisit, key: str | None
) -> Decision | None:
    """Return the decision made under this key. Raise `request.idempotency_key_reused` when its content differs."""
    if key is None:
        return None
    earlier = await session.scalar(select(Decision).where(Decision.idempotency_key == key))
    if earlier is None:
        return None
    verdicts = {UUID(entry["findingId"]): entry["settledAs"] for entry in earlier.judged}
    same = (earlier.visit_id, earlier.reviewer_id, earlier.outcome, earlier.reason, earlier.questioned, verdicts) == (
        visit_id,
        caller.id,
        request.outcome,
        request.reason,
        [_questioned_document(entry) for entry in request.questioned],
        _verdicts(request),
    )
    if not same:
        raise Problem("request.idempotency_key_reused")
    return earlier


async def _require_known_parts(session: AsyncSession, visit_id: UUID, questioned: list[ReturnedQuestion]) -> None:
    """Raise `request.invalid` for a question or photo that is not the visit's: the phone opens each of them."""
    if not questioned:
        return
    visit = await session.get_one(Visit, visit_id)
    of_visit = ChecklistTemplate.code == visit.checklist_code, ChecklistTemplate.version == visit.checklist_version
    body: dict[str, Any] = (await session.scalars(select(ChecklistTemplate.body).where(*of_visit))).one()
    questions = {question["id"] for section in body["sections"] for question in section["questions"]}
    photos = {UUID(photo["id"]) for photo in visit.document.get("photos", [])}
    faults = []
    for index, entry in enumerate(questioned):
        if entry.question_id not in questions:
            faults.append(Fault(f"/questioned/{index}/questionId", "question.unknown", entry.question_id[:40]))
        if entry.evidence_id is not None and entry.evidence_id not in photos:
            faults.append(Fault(f"/questioned/{index}/evidenceId", "photo.unknown", str(entry.evidence_id)))
    if faults:
        raise Problem("request.invalid", faults=faults)


async def _set_verdicts(
    session: AsyncSession, caller: Caller, visit_id: UUID, request: DecideVisit
) -> list[dict[str, str | None]]:
    """Set the verdict on each finding. Return each verdict and the one before it: an undo restores the latter.

    Raises `review.finding_unknown`, and `request.invalid` for a finding that is both upheld and dismissed.
    """
    verdicts = _verdicts(request)
    if both := set(request.upheld) & set(request.dismissed):
        raise Problem("request.invalid", faults=[Fault("/dismissed", "field.invalid", str(min(both)))])
    if not verdicts:
        return []
    rows = select(Finding).where(Finding.id.in_(verdicts), Finding.visit_id == visit_id).order_by(Finding.id)
    findings = (await session.scalars(rows.with_for_update())).all()
    if len(findings) != len(verdicts):
        raise Problem("review.finding_unknown")
    changes = [_verdict_change(finding, verdicts[finding.id]) for finding in findings]
    for finding in findings:
        finding.settled_as, finding.settled_by = verdicts[finding.id], caller.id
    return changes


async def _require_judged(session: AsyncSession, item: ReviewItem, request: DecideVisit, now: datetime) -> None:
    """Raise unless each finding that the area wants judged is; to accept over one that was upheld takes a reason."""
    severities = await load_judged_severities(session, item.area_code, now)
    findings = await session.scalars(
        select(Finding.settled_as).where(
            Finding.visit_id == item.visit_id,
            Finding.severity.in_(severities),
            Finding.superseded_at.is_(None),
        )
    )
    verdicts = Counter(findings)
    if verdicts[None]:
        raise Problem("review.findings_not_judged", count=verdicts[None])
    if verdicts["upheld"] and not request.reason.strip():
        raise Problem("review.reason_required")


async def load_judged_severities(session: AsyncSession, area_code: str, now: datetime) -> list[str]:
    """Return the severities of findings that the area wants judged before a visit is accepted."""
    values = await load_policy_values(session, area_code, now.astimezone(CHINA).date(), [JUDGED])
    severities: list[str] = values[JUDGED]
    return severities


def _verdicts(request: DecideVisit) -> dict[UUID, str]:
    return dict.fromkeys(request.upheld, "upheld") | dict.fromkeys(request.dismissed, "dismissed")


def _verdict_change(finding: Finding, settled_as: str) -> dict[str, str | None]:
    return {
        "findingId": str(finding.id),
        "settledAs": settled_as,
        "wasSettledAs": finding.settled_as,
        "wasSettledBy": str(finding.settled_by) if finding.settled_by else None,
    }


async def write_decision(
    session: AsyncSession,
    caller: Caller,
    item: ReviewItem,
    request: DecideVisit,
    key: str | None,
    undo: timedelta,
    now: datetime,
    *,
    judged: Sequence[dict[str, str | None]] = (),
    in_bulk: bool = False,
) -> Decision:
    """Write the decision with what follows from it: state, audit, tallies, feed and jobs."""
    decision = _build_decision(caller, item, request, key, judged, now)
    session.add(decision)
    return_to_queue(item, now)
    item.state = "decided"
    visit = await session.get_one(Visit, item.visit_id)
    visit.state = VISIT_STATE[request.outcome]
    if request.outcome == "spot_check":
        session.add(SpotCheck(id=new_id(), visit_id=visit.id, area_code=visit.area_code, **_ORDERED))
    await session.flush()  # the feed reads the new state
    audit.record(
        session,
        caller,
        Action.REVIEW_DECIDED,
        "visit",
        visit.id,
        area_code=item.area_code,
        outcome=request.outcome,
        upheld=len(request.upheld),
        dismissed=len(request.dismissed),
        in_bulk=in_bulk,
    )
    await update_tallies(session, [visit.id])
    await publish_change(session, "visits", [visit.id])
    if request.outcome == "accepted":
        await publish_last_answers(session, visit)
    await _defer_consequences(session, decision, undo)
    return decision


def _build_decision(
    caller: Caller,
    item: ReviewItem,
    request: DecideVisit,
    key: str | None,
    judged: Sequence[dict[str, str | None]],
    now: datetime,
) -> Decision:
    return Decision(
        id=new_id(),
        visit_id=item.visit_id,
        reviewer_id=caller.id,
        outcome=request.outcome,
        reason=request.reason,
        idempotency_key=key,
        questioned=[_questioned_document(entry) for entry in request.questioned],
        judged=list(judged),
        decided_at=now,
    )


async def _defer_consequences(session: AsyncSession, decision: Decision, undo: timedelta) -> None:
    """Move the case, and notify the author of a return, once the decision can no longer be undone."""
    wait = undo + UNDO_MARGIN if undo else None
    await jobs.defer(session, MoveCaseAfterDecision(decision_id=decision.id), after=wait)
    if decision.outcome == "returned":
        await jobs.defer(session, NotifyReturned(decision_id=decision.id), after=wait)


def _questioned_document(entry: ReturnedQuestion) -> dict[str, str | None]:
    return {
        "questionId": entry.question_id,
        "reason": entry.reason,
        "evidenceId": str(entry.evidence_id) if entry.evidence_id else None,
    }


def _detail(decision: Decision, undo: timedelta) -> DecisionDetail:
    return DecisionDetail(
        id=decision.id,
        visit_id=decision.visit_id,
        outcome=decision.outcome,
        reason=decision.reason,
        decided_at=decision.decided_at,
        undo_until=decision.decided_at + undo,
    )


@jobs.task(NotifyReturned)
async def notify_returned(services: Services, job: NotifyReturned) -> None:
    """Notify the author of a return that was not undone, once."""
    async with open_session(services.sessions) as session:
        # Lock the row: an undo in progress is waited for, and then seen.
        decision = await session.get_one(Decision, job.decision_id, with_for_update=True)
        if decision.undone_at is not None:
            return
        visit = await session.get_one(Visit, decision.visit_id)
        await jobs.defer(
            session,
            Notify(
                kind="returned",
                thing=f"decision:{decision.id}",
                area_code=visit.area_code,
                staff_ids=[visit.author_id],
                facts={"visitId": str(visit.id)},
            ),
        )
