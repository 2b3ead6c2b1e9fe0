"""The review queue: a visit is leased to one reviewer at a time, and decided once.

A claim is a lease: renewed while the page is open, back in the queue when it ends. Two reviewers who
decide at once: one wins, the other is told who and what.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.access import REVIEW_ROLES, Caller, found, readable, require
from server.core.errors import Problem
from server.core.ids import new_id
from server.core.paging import Cursor, Page, read_cursor, write_cursor
from server.core.settings import Settings
from server.core.wire import Answer, LongText, ShortText, Wire
from server.models import audit
from server.models.areas import Area
from server.models.feed import announce
from server.models.households import Household
from server.models.people import Staff
from server.models.review import Decision, Finding, ReviewItem
from server.models.visits import Visit, VisitInvestigator

LONGEST_PAGE = 200
State = Literal["waiting", "claimed", "decided"]


class QueueLine(Answer):
    """One visit in the queue, enough to choose by."""

    visit_id: UUID
    kind: str
    area_code: str
    area_name: str
    head_name: str
    author_name: str
    started_at: datetime | None
    entered_at: datetime
    priority: int
    state: State
    holder_name: str | None
    lease_until: datetime | None
    finding_codes: list[str]


class Claim(Answer):
    """What a reviewer holds. `version` goes back as `If-Match` with the decision."""

    visit_id: UUID
    lease_until: datetime
    version: int


class Questioned(Wire):
    """One question or photo that a return asks to mend."""

    question_id: ShortText
    reason: LongText
    evidence_id: UUID | None = None


class Decide(Wire):
    outcome: Literal["accepted", "returned", "spot_check", "escalated"]
    reason: LongText = ""
    upheld: Annotated[list[UUID], Meta(max_length=200)] = []
    dismissed: Annotated[list[UUID], Meta(max_length=200)] = []
    questioned: Annotated[list[Questioned], Meta(max_length=200)] = []


class Decided(Answer):
    id: UUID
    visit_id: UUID
    outcome: str
    reason: str
    decided_at: datetime


async def list_queue(
    session: AsyncSession,
    caller: Caller,
    *,
    state: State | None,
    kind: str | None,
    area: str | None,
    cursor: str | None,
    limit: int,
    now: datetime,
) -> Page[QueueLine]:
    """What awaits the caller, doubts on top, then the longest waiting. Three queries for any page."""
    require(caller, REVIEW_ROLES)
    limit = max(1, min(limit, LONGEST_PAGE))
    rows = (
        readable(ReviewItem, caller)
        .order_by(ReviewItem.priority.desc(), ReviewItem.entered_at, ReviewItem.visit_id)
        .limit(limit + 1)
    )
    rows = rows.where(_in_state(state, now))
    if kind is not None:
        rows = rows.where(ReviewItem.kind == kind)
    if area is not None:
        rows = rows.where(ReviewItem.area_code.startswith(area, autoescape=True))
    if (after := read_cursor(cursor)) is not None:
        rows = rows.where(_after(after))
    items = list(await session.scalars(rows))
    page, rest = items[:limit], items[limit:]
    lines = await _lines(session, page)
    return Page(items=lines, next_cursor=_cursor(page[-1]) if rest else None)


def _in_state(state: State | None, now: datetime) -> Any:
    """A claim whose lease has ended counts as waiting, since it is."""
    free = or_(ReviewItem.state == "waiting", and_(ReviewItem.state == "claimed", ReviewItem.lease_until <= now))
    if state == "waiting":
        return free
    if state == "claimed":
        return and_(ReviewItem.state == "claimed", ReviewItem.lease_until > now)
    return ReviewItem.state == "decided" if state == "decided" else ReviewItem.state != "decided"


def _after(cursor: Cursor) -> Any:
    priority, entered_at, visit_id = int(cursor[0]), datetime.fromisoformat(cursor[1]), UUID(cursor[2])
    return or_(
        ReviewItem.priority < priority,
        and_(ReviewItem.priority == priority, ReviewItem.entered_at > entered_at),
        and_(
            ReviewItem.priority == priority,
            ReviewItem.entered_at == entered_at,
            ReviewItem.visit_id > visit_id,
        ),
    )


def _cursor(last: ReviewItem) -> str:
    return write_cursor([str(last.priority), last.entered_at.isoformat(), str(last.visit_id)])


async def _lines(session: AsyncSession, items: Sequence[ReviewItem]) -> list[QueueLine]:
    ids = [one.visit_id for one in items]
    rows = await session.execute(
        select(Visit.id, Visit.started_at, Household.head_name, Staff.name, Area.name)
        .join(Household, Household.id == Visit.household_id)
        .join(Staff, Staff.id == Visit.author_id)
        .join(Area, Area.code == Visit.area_code)
        .where(Visit.id.in_(ids))
    )
    told = {row[0]: row for row in rows}
    codes = await _codes(session, ids)
    holders = await _names(session, {one.holder_id for one in items if one.holder_id})
    return [
        QueueLine(
            visit_id=one.visit_id,
            kind=one.kind,
            area_code=one.area_code,
            area_name=told[one.visit_id][4],
            head_name=told[one.visit_id][2],
            author_name=told[one.visit_id][3],
            started_at=told[one.visit_id][1],
            entered_at=one.entered_at,
            priority=one.priority,
            state=one.state,  # type: ignore[arg-type]  # one of the three by constraint
            holder_name=holders.get(one.holder_id) if one.holder_id else None,
            lease_until=one.lease_until,
            finding_codes=codes.get(one.visit_id, []),
        )
        for one in items
    ]


async def _codes(session: AsyncSession, ids: list[UUID]) -> dict[UUID, list[str]]:
    rows = await session.execute(
        select(Finding.visit_id, func.array_agg(Finding.code.distinct()))
        .where(Finding.visit_id.in_(ids), Finding.superseded_at.is_(None))
        .group_by(Finding.visit_id)
    )
    return {visit_id: sorted(codes) for visit_id, codes in rows}


async def _names(session: AsyncSession, ids: set[UUID]) -> dict[UUID, str]:
    rows = await session.execute(select(Staff.id, Staff.name).where(Staff.id.in_(ids)))
    return dict(rows.all())


async def claim_next(session: AsyncSession, caller: Caller, settings: Settings, now: datetime) -> Claim:
    """Lease the first visit that nobody holds. Raises `review.queue_empty`."""
    require(caller, REVIEW_ROLES)
    item = await session.scalar(
        readable(ReviewItem, caller)
        .where(_in_state("waiting", now))
        .order_by(ReviewItem.priority.desc(), ReviewItem.entered_at, ReviewItem.visit_id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if item is None:
        raise Problem("review.queue_empty")
    return _lease(session, caller, item, settings, now)


async def claim(session: AsyncSession, caller: Caller, visit_id: UUID, settings: Settings, now: datetime) -> Claim:
    """Lease a given visit, or renew one's own lease.

    Raises `review.claimed_by_other`, `review.decided`, `review.own_visit`.
    """
    item = await _locked_item(session, caller, visit_id)
    if item.state == "decided":
        raise await _decided_already(session, visit_id)
    if item.holder_id not in {None, caller.id} and item.lease_until is not None and item.lease_until > now:
        holder = await session.get_one(Staff, item.holder_id)
        raise Problem("review.claimed_by_other", holder=holder.name)
    return _lease(session, caller, item, settings, now)


async def _locked_item(session: AsyncSession, caller: Caller, visit_id: UUID) -> ReviewItem:
    require(caller, REVIEW_ROLES)
    own = await session.scalar(
        select(VisitInvestigator.visit_id).where(
            VisitInvestigator.visit_id == visit_id, VisitInvestigator.staff_id == caller.id
        )
    )
    if own is not None:
        raise Problem("review.own_visit")
    item: ReviewItem = found(
        await session.scalar(readable(ReviewItem, caller).where(ReviewItem.visit_id == visit_id).with_for_update())
    )
    return item


def _lease(session: AsyncSession, caller: Caller, item: ReviewItem, settings: Settings, now: datetime) -> Claim:
    if item.holder_id != caller.id:
        audit.record(session, caller, "review.claimed", "visit", item.visit_id, area_code=item.area_code)
        item.version += 1
    item.state, item.holder_id = "claimed", caller.id
    item.lease_until = now + timedelta(minutes=settings.claim_minutes)
    return Claim(visit_id=item.visit_id, lease_until=item.lease_until, version=item.version)


async def release(session: AsyncSession, caller: Caller, visit_id: UUID) -> None:
    """Give a claim back. Giving back what one does not hold changes nothing."""
    item = await _locked_item(session, caller, visit_id)
    if item.state == "claimed" and item.holder_id == caller.id:
        item.state, item.holder_id, item.lease_until = "waiting", None, None
        item.version += 1
        audit.record(session, caller, "review.released", "visit", visit_id, area_code=item.area_code)


VISIT_STATE = {
    "accepted": "accepted",
    "returned": "returned",
    "spot_check": "under_review",
    "escalated": "escalated",
}


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

    Raises `review.not_claimed`, `review.decided` (with who and what), `review.reason_required`.
    """
    item = await _locked_item(session, caller, visit_id)
    if (again := await _same_act(session, caller, visit_id, asked, idempotency_key)) is not None:
        return again
    if item.state == "decided":
        raise await _decided_already(session, visit_id)
    lost = item.lease_until is None or item.lease_until <= now or version not in {None, item.version}
    if item.holder_id != caller.id or lost:
        raise Problem("review.not_claimed")
    if asked.outcome != "accepted" and not asked.reason.strip():
        raise Problem("review.reason_required")
    await _settle_findings(session, caller, visit_id, asked)
    decision = Decision(
        id=new_id(),
        visit_id=visit_id,
        reviewer_id=caller.id,
        outcome=asked.outcome,
        reason=asked.reason,
        idempotency_key=idempotency_key,
        questioned=[_questioned(one) for one in asked.questioned],
        decided_at=now,
    )
    session.add(decision)
    item.state, item.holder_id, item.lease_until = "decided", None, None
    item.version += 1
    visit = await session.get_one(Visit, visit_id)
    visit.state = VISIT_STATE[asked.outcome]
    await session.flush()  # announce reads the new state
    audit.record(
        session,
        caller,
        "review.decided",
        "visit",
        visit_id,
        area_code=item.area_code,
        outcome=asked.outcome,
        upheld=len(asked.upheld),
        dismissed=len(asked.dismissed),
    )
    await announce(session, "visits", [visit_id])
    await jobs.defer(session, "cases.visit_decided", decision_id=str(decision.id))
    return _told(decision)


async def _same_act(
    session: AsyncSession, caller: Caller, visit_id: UUID, asked: Decide, key: str | None
) -> Decided | None:
    if key is None:
        return None
    before = await session.scalar(select(Decision).where(Decision.idempotency_key == key))
    if before is None:
        return None
    same = (before.visit_id, before.reviewer_id, before.outcome, before.reason) == (
        visit_id,
        caller.id,
        asked.outcome,
        asked.reason,
    )
    if not same:
        raise Problem("request.idempotency_key_reused")
    return _told(before)


async def _decided_already(session: AsyncSession, visit_id: UUID) -> Problem:
    row = (
        await session.execute(
            select(Decision.outcome, Staff.name)
            .join(Staff, Staff.id == Decision.reviewer_id)
            .where(Decision.visit_id == visit_id, Decision.undone_at.is_(None))
        )
    ).one()
    return Problem("review.decided", outcome=row.outcome, decided_by=row.name)


async def _settle_findings(session: AsyncSession, caller: Caller, visit_id: UUID, asked: Decide) -> None:
    for settled_as, ids in (("upheld", asked.upheld), ("dismissed", asked.dismissed)):
        if not ids:
            continue
        settled = await session.scalars(
            update(Finding)
            .where(Finding.id.in_(ids), Finding.visit_id == visit_id)
            .values(settled_as=settled_as, settled_by=caller.id)
            .returning(Finding.id)
        )
        if len(settled.all()) != len(set(ids)):
            raise Problem("review.finding_unknown")


def _questioned(one: Questioned) -> dict[str, str | None]:
    return {
        "questionId": one.question_id,
        "reason": one.reason,
        "evidenceId": str(one.evidence_id) if one.evidence_id else None,
    }


def _told(decision: Decision) -> Decided:
    return Decided(
        id=decision.id,
        visit_id=decision.visit_id,
        outcome=decision.outcome,
        reason=decision.reason,
        decided_at=decision.decided_at,
    )
