"""Decisions: a person accepts a visit, returns it, has it checked again or passes it up, once.

Two reviewers who decide at once: one wins, the other is told who and what. A slip can be taken back for a
minute (`review.undo_s`, by area). Until that is over the case does not move: its job is put off, so that a
resident never reads a step that is then taken away. The phone sees a decision, and its undoing, at once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Meta
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core import jobs
from server.core.access import REVIEW_ROLES, Caller, Role, readable, require
from server.core.database import open_session
from server.core.errors import Fault, Problem
from server.core.http import LongText, RequestBody, ResponseBody, ShortText
from server.core.ids import new_id
from server.core.services import Services
from server.core.settings import Settings
from server.models.checklists import ChecklistTemplate
from server.models.review import SEVERITIES, Decision, Finding, ReviewItem, SpotCheck
from server.models.visits import ARRIVING_STATES, Visit
from server.policy.resolver import policy_values
from server.review.leases import ReviewLease, lease, lock_item, put_back, refuse_closed, refuse_held
from server.review.tallies import tally
from server.sync_feed.publish import publish_change

CHINA = ZoneInfo("Asia/Shanghai")
VISIT_STATE = {
    "accepted": "accepted",
    "returned": "returned",
    "spot_check": "under_review",
    "escalated": "escalated",
}
UNDO, TOLERATES = "review.undo_s", "review.bulk_tolerates"
# The case's job waits a little longer than the reviewer may think again, so that an undoing has committed.
UNDO_MARGIN = timedelta(seconds=5)


class Questioned(RequestBody):
    """One question or photo that a return asks to mend."""

    question_id: ShortText
    reason: LongText
    evidence_id: UUID | None = None


class Decide(RequestBody):
    outcome: Literal["accepted", "returned", "spot_check", "escalated"]
    reason: LongText = ""
    upheld: Annotated[list[UUID], Meta(max_length=200)] = []
    dismissed: Annotated[list[UUID], Meta(max_length=200)] = []
    questioned: Annotated[list[Questioned], Meta(max_length=200)] = []


class Decided(ResponseBody):
    """`undo_until`: when it becomes final."""

    id: UUID
    visit_id: UUID
    outcome: str
    reason: str
    decided_at: datetime
    undo_until: datetime


class AcceptMany(RequestBody):
    visit_ids: Annotated[list[UUID], Meta(min_length=1, max_length=100)]


class Bulk(ResponseBody):
    """Of one visit: the decision, or the code of what stood against it."""

    visit_id: UUID
    decision_id: UUID | None
    code: str | None


class Reason(RequestBody):
    reason: Annotated[str, Meta(min_length=1, max_length=4000)]


async def decide(
    session: AsyncSession,
    caller: Caller,
    visit_id: UUID,
    asked: Decide,
    *,
    version: int | None,
    idempotency_key: str | None,
    now: datetime,
) -> Decided:
    """Decide a visit that the caller holds. The same key and content again gives the same answer.

    Raises `review.not_claimed`, `review.claimed_by_other` and `review.decided` (with who and what),
    `review.reason_required`, and `request.invalid` for a question or a photo that the visit does not have.
    """
    item = await lock_item(session, caller, visit_id)
    undo = timedelta(seconds=await _undo_s(session, item, now))
    if (again := await _same_act(session, caller, visit_id, asked, idempotency_key)) is not None:
        return _told(again, undo)
    await refuse_closed(session, item)
    if item.holder_id != caller.id or version not in {None, item.version}:
        if item.holder_id != caller.id:
            await refuse_held(session, item, now)
        raise Problem("review.not_claimed")
    if asked.outcome != "accepted" and not asked.reason.strip():
        raise Problem("review.reason_required")
    await _refuse_unknown(session, visit_id, asked.questioned)
    judged = await _settle_findings(session, caller, visit_id, asked)
    decision = await _write(session, caller, item, asked, idempotency_key, undo, now, judged=judged)
    return _told(decision, undo)


async def _undo_s(session: AsyncSession, item: ReviewItem, now: datetime) -> float:
    rules = await policy_values(session, item.area_code, now.astimezone(CHINA).date(), [UNDO])
    return float(rules[UNDO])


async def _same_act(
    session: AsyncSession, caller: Caller, visit_id: UUID, asked: Decide, key: str | None
) -> Decision | None:
    if key is None:
        return None
    before = await session.scalar(select(Decision).where(Decision.idempotency_key == key))
    if before is None:
        return None
    judged = {UUID(one["findingId"]): one["settledAs"] for one in before.judged}
    same = (before.visit_id, before.reviewer_id, before.outcome, before.reason, before.questioned, judged) == (
        visit_id,
        caller.id,
        asked.outcome,
        asked.reason,
        [_questioned(one) for one in asked.questioned],
        _said(asked),
    )
    if not same:
        raise Problem("request.idempotency_key_reused")
    return before


async def _refuse_unknown(session: AsyncSession, visit_id: UUID, questioned: list[Questioned]) -> None:
    """The phone opens at each question and photo that a return names: they are the visit's own.

    Raises `request.invalid`.
    """
    if not questioned:
        return
    visit = await session.get_one(Visit, visit_id)
    asked_by = ChecklistTemplate.code == visit.checklist_code, ChecklistTemplate.version == visit.checklist_version
    body: dict[str, Any] = (await session.scalars(select(ChecklistTemplate.body).where(*asked_by))).one()
    questions = {one["id"] for section in body["sections"] for one in section["questions"]}
    photos = {UUID(one["id"]) for one in visit.document.get("photos", [])}
    faults = []
    for place, one in enumerate(questioned):
        if one.question_id not in questions:
            faults.append(Fault(f"/questioned/{place}/questionId", "question.unknown", one.question_id[:40]))
        if one.evidence_id is not None and one.evidence_id not in photos:
            faults.append(Fault(f"/questioned/{place}/evidenceId", "photo.unknown", str(one.evidence_id)))
    if faults:
        raise Problem("request.invalid", faults=faults)


async def _settle_findings(
    session: AsyncSession, caller: Caller, visit_id: UUID, asked: Decide
) -> list[dict[str, str | None]]:
    """Each finding says how it was judged. Returns what was said of it, and what of it before: an undoing needs both.

    Raises `review.finding_unknown`, and `request.invalid` for one that is upheld and dismissed.
    """
    said = _said(asked)
    if both := set(asked.upheld) & set(asked.dismissed):
        raise Problem("request.invalid", faults=[Fault("/dismissed", "field.invalid", str(min(both)))])
    if not said:
        return []
    judged = select(Finding).where(Finding.id.in_(said), Finding.visit_id == visit_id).order_by(Finding.id)
    findings = (await session.scalars(judged.with_for_update())).all()
    if len(findings) != len(said):
        raise Problem("review.finding_unknown")
    told = [_judged(one, said[one.id]) for one in findings]
    for one in findings:
        one.settled_as, one.settled_by = said[one.id], caller.id
    return told


def _said(asked: Decide) -> dict[UUID, str]:
    return dict.fromkeys(asked.upheld, "upheld") | dict.fromkeys(asked.dismissed, "dismissed")


def _judged(finding: Finding, settled_as: str) -> dict[str, str | None]:
    return {
        "findingId": str(finding.id),
        "settledAs": settled_as,
        "wasSettledAs": finding.settled_as,
        "wasSettledBy": str(finding.settled_by) if finding.settled_by else None,
    }


async def _write(
    session: AsyncSession,
    caller: Caller,
    item: ReviewItem,
    asked: Decide,
    key: str | None,
    undo: timedelta,
    now: datetime,
    *,
    judged: Sequence[dict[str, str | None]] = (),
    in_bulk: bool = False,
) -> Decision:
    decision = Decision(
        id=new_id(),
        visit_id=item.visit_id,
        reviewer_id=caller.id,
        outcome=asked.outcome,
        reason=asked.reason,
        idempotency_key=key,
        questioned=[_questioned(one) for one in asked.questioned],
        judged=list(judged),
        decided_at=now,
    )
    session.add(decision)
    put_back(item)
    item.state = "decided"
    visit = await session.get_one(Visit, item.visit_id)
    visit.state = VISIT_STATE[asked.outcome]
    if asked.outcome == "spot_check":
        session.add(SpotCheck(id=new_id(), visit_id=visit.id, area_code=visit.area_code, **_ORDERED))
    await session.flush()  # announce reads the new state
    audit.record(
        session,
        caller,
        "review.decided",
        "visit",
        visit.id,
        area_code=item.area_code,
        outcome=asked.outcome,
        upheld=len(asked.upheld),
        dismissed=len(asked.dismissed),
        in_bulk=in_bulk,
    )
    await tally(session, [visit.id])
    await publish_change(session, "visits", [visit.id])
    wait = undo + UNDO_MARGIN if undo else None
    await jobs.defer(session, "cases.visit_decided", after=wait, decision_id=str(decision.id))
    if asked.outcome == "returned":
        await jobs.defer(session, "review.tell_returned", after=wait, decision_id=str(decision.id))
    return decision


@jobs.task("review.tell_returned")
async def tell_returned(services: Services, *, decision_id: str) -> None:
    """A return that stands after its minute: its author hears of it, once."""
    async with open_session(services.sessions) as session:
        # Locked: an undoing that is under way is waited for, and then seen.
        decision = await session.get_one(Decision, UUID(decision_id), with_for_update=True)
        if decision.undone_at is not None:
            return
        visit = await session.get_one(Visit, decision.visit_id)
        await jobs.defer(
            session,
            "notifications.tell",
            kind="returned",
            thing=f"decision:{decision.id}",
            area_code=visit.area_code,
            staff_ids=[str(visit.author_id)],
            facts={"visitId": str(visit.id)},
        )


_ORDERED = {"why": "ordered", "stratum": "", "state": "drawn"}


def _questioned(one: Questioned) -> dict[str, str | None]:
    return {
        "questionId": one.question_id,
        "reason": one.reason,
        "evidenceId": str(one.evidence_id) if one.evidence_id else None,
    }


def _told(decision: Decision, undo: timedelta) -> Decided:
    return Decided(
        id=decision.id,
        visit_id=decision.visit_id,
        outcome=decision.outcome,
        reason=decision.reason,
        decided_at=decision.decided_at,
        undo_until=decision.decided_at + undo,
    )


async def undo_decision(
    session: AsyncSession, caller: Caller, visit_id: UUID, settings: Settings, now: datetime
) -> ReviewLease:
    """Take one's own decision back while it is not final; the visit is then claimed again.

    Raises `review.not_decided` (also for another's decision), `review.undo_too_late`, and `review.amended` when the
    phone has answered it already.
    """
    item = await lock_item(session, caller, visit_id)
    decision = await session.scalar(
        select(Decision)
        .where(Decision.visit_id == visit_id, Decision.undone_at.is_(None), Decision.reviewer_id == caller.id)
        .with_for_update()
    )
    if decision is None or item.state != "decided":
        raise Problem("review.not_decided")
    visit = await session.get_one(Visit, visit_id)
    if visit.state in ARRIVING_STATES:
        raise Problem("review.amended")
    seconds = await _undo_s(session, item, now)
    if now > decision.decided_at + timedelta(seconds=seconds):
        raise Problem("review.undo_too_late", seconds=round(seconds))
    decision.undone_at, decision.undone_why = now, "undone"
    await _unsettle(session, visit_id, decision)
    visit.state = "under_review"
    item.state = "waiting"
    claimed = lease(session, caller, item, settings, now)
    await session.flush()  # announce reads the new state
    await tally(session, [visit_id])
    audit.record(
        session, caller, "review.undone", "visit", visit_id, area_code=item.area_code, outcome=decision.outcome
    )
    await publish_change(session, "visits", [visit_id])
    return claimed


async def _unsettle(session: AsyncSession, visit_id: UUID, decision: Decision) -> None:
    """What the decision said of the findings goes with it, to what was said before, and the spot check it ordered."""
    for one in decision.judged:
        finding = await session.get_one(Finding, UUID(one["findingId"]))
        finding.settled_as = one["wasSettledAs"]
        finding.settled_by = UUID(one["wasSettledBy"]) if one["wasSettledBy"] else None
    await session.execute(
        update(SpotCheck)
        .where(
            SpotCheck.visit_id == visit_id,
            SpotCheck.why == "ordered",
            SpotCheck.state == "drawn",
            SpotCheck.created_at >= decision.decided_at - UNDO_MARGIN,
        )
        .values(state="cancelled")
    )


async def accept_many(session: AsyncSession, caller: Caller, visit_ids: list[UUID], now: datetime) -> list[Bulk]:
    """Accept visits without findings, each a decision and an audit row of its own.

    An area may name codes (`review.bulk_tolerates`) that do not stand in the way while they are of severity
    `info`: WeChat strips the camera's facts from nearly every photo. Unless it does, every finding stands in it.
    """
    require(caller, REVIEW_ROLES)
    rows = (
        readable(ReviewItem, caller)
        .where(ReviewItem.visit_id.in_(visit_ids))
        .order_by(ReviewItem.visit_id)
        .with_for_update()
    )
    items = {one.visit_id: one for one in await session.scalars(rows)}
    done: list[Bulk] = []
    rules: dict[str, dict[str, Any]] = {}
    for area_code in sorted({one.area_code for one in items.values()}):
        rules[area_code] = await policy_values(session, area_code, now.astimezone(CHINA).date(), [UNDO, TOLERATES])
    for visit_id in dict.fromkeys(visit_ids):
        item = items.get(visit_id)
        code = _against_bulk(item, caller, rules, now)
        if item is None or code is not None:
            done.append(Bulk(visit_id=visit_id, decision_id=None, code=code))
            continue
        undo = timedelta(seconds=float(rules[item.area_code][UNDO]))
        decision = await _write(session, caller, item, Decide(outcome="accepted"), None, undo, now, in_bulk=True)
        done.append(Bulk(visit_id=visit_id, decision_id=decision.id, code=None))
    return done


def _against_bulk(
    item: ReviewItem | None, caller: Caller, rules: dict[str, dict[str, Any]], now: datetime
) -> str | None:
    """Also for one's own visits and relatives' the answer is that there is no such visit to accept."""
    if item is None:
        return "thing.not_found"
    if item.state in {"decided", "amended"}:
        return f"review.{item.state}"
    if item.holder_id not in {None, caller.id} and item.lease_until is not None and item.lease_until > now:
        return "review.claimed_by_other"
    is_grave = item.gravest > SEVERITIES.index("info")
    if is_grave or not set(item.finding_codes) <= set(rules[item.area_code][TOLERATES]):
        return "review.has_findings"
    return None


async def reopen_visit(session: AsyncSession, caller: Caller, visit_id: UUID, reason: str, now: datetime) -> None:
    """A supervisor puts a decided visit before a reviewer again. What the case did stays: it has its own way back.

    Raises `review.not_decided`.
    """
    require(caller, {Role.SUPERVISOR, Role.COUNTY_OFFICER})
    item = await lock_item(session, caller, visit_id)
    if item.state != "decided":
        raise Problem("review.not_decided")
    decision = await session.scalar(
        select(Decision).where(Decision.visit_id == visit_id, Decision.undone_at.is_(None)).with_for_update()
    )
    if decision is not None:
        decision.undone_at, decision.undone_why = now, "reopened"
    visit = await session.get_one(Visit, visit_id)
    if visit.state in ARRIVING_STATES:
        raise Problem("review.amended")
    put_back(item)
    item.entered_at = now
    visit.state = "under_review"
    await session.flush()  # announce reads the new state
    audit.record(session, caller, "review.reopened", "visit", visit_id, area_code=item.area_code, reason=reason)
    await publish_change(session, "visits", [visit_id])
