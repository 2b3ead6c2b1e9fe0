"""Void a visit made at the wrong home or by mistake: by its author before review, by an officer with a reason after.

Everything stays readable, with its receipt, versions and photos; nothing of it counts: due dates, statistics, found
figures and the comparison with later visits. The order that it fulfilled is open again. A void is final; a step that
its case took stays, since cases have their own way back.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.benefits.found_figures import withdraw_found_figures
from server.core.access import REVIEW_ROLES, Caller, Role, readable, require_found
from server.core.errors import Problem
from server.core.http import LongText, RequestBody
from server.models.cases import CLOSED_STATES, CaseFile
from server.models.found_figures import FoundFigure
from server.models.households import Assignment
from server.models.review import Decision, ReviewItem, SpotCheck, VisitTally
from server.models.visits import Visit
from server.review.leases import return_to_queue
from server.review.withdrawals import require_second_person
from server.spotchecks.teams import revoke_grants
from server.sync_feed.publish import publish_change
from server.visits.last_answers import publish_last_answers

# Before a decision and after one, within their areas; those who may reopen a decided visit may void it.
VOID_ROLES = REVIEW_ROLES
VOID_DECIDED_ROLES = frozenset({Role.SUPERVISOR, Role.COUNTY_OFFICER})
Reason = Annotated[LongText, Meta(min_length=2)]


class VoidVisit(RequestBody):
    reason: Reason


class VoidVisitAtDesk(RequestBody):
    """`takes_back_figures`: also take back the figures of the visit that the register has adopted."""

    reason: Reason
    takes_back_figures: bool = False


async def void_own_visit(session: AsyncSession, caller: Caller, visit_id: UUID, reason: str, now: datetime) -> None:
    """Void the caller's own visit while nobody reviews it. Idempotent.

    Raises `thing.not_found`, `visit.not_submitted`, `visit.in_review` once a reviewer has claimed or decided it.
    """
    item = await _lock_item(session, visit_id)
    visit = await _lock_visit(session, caller, visit_id)
    if visit.author_id != caller.id:
        raise Problem("thing.not_found")
    if visit.state == "voided":
        return
    if item is not None and (item.state in {"claimed", "decided"} or await _was_decided(session, visit_id)):
        raise Problem("visit.in_review")
    await _void(session, caller, visit, item, reason, now)


async def void_visit(
    session: AsyncSession, caller: Caller, visit_id: UUID, request: VoidVisitAtDesk, now: datetime
) -> None:
    """Void a visit of the caller's area. Idempotent.

    Raises `thing.not_found`, `auth.forbidden` for a decided visit, `review.own_visit`, `review.relative`,
    `review.blind`, `visit.not_submitted`, `visit.compared`, `visit.void_takes_back`, and `visit.withdrawal_waits` for
    the first of two people where a payment was decided on since.
    """
    await _require_unbiased(session, caller, visit_id)
    item = await _lock_item(session, visit_id)
    visit = await _lock_visit(session, caller, visit_id)
    roles = VOID_DECIDED_ROLES if item is not None and item.state == "decided" else VOID_ROLES
    if not caller.covers(visit.area_code, roles):
        raise Problem("auth.forbidden", roles=", ".join(sorted(roles)))
    if visit.state == "voided":
        return
    adopted = await _count_adopted(session, visit_id)
    if adopted and not request.takes_back_figures:
        raise Problem("visit.void_takes_back", count=adopted)
    await require_second_person(session, caller, visit, "void", request.reason, now)
    await _void(session, caller, visit, item, request.reason, now)


async def _require_unbiased(session: AsyncSession, caller: Caller, visit_id: UUID) -> None:
    """Nobody voids at the desk what they may not decide on: their own visit, a relative's, one they check blindly."""
    for code, visits in ReviewItem.excluded_visits_of(caller):
        if await session.scalar(select(Visit.id).where(Visit.id == visit_id, Visit.id.in_(visits))) is not None:
            raise Problem(code)


async def _lock_item(session: AsyncSession, visit_id: UUID) -> ReviewItem | None:
    """Lock the review item first, then the visit: the order of a decision."""
    item: ReviewItem | None = await session.get(ReviewItem, visit_id, with_for_update=True)
    return item


async def _lock_visit(session: AsyncSession, caller: Caller, visit_id: UUID) -> Visit:
    visit: Visit = require_found(
        await session.scalar(readable(Visit, caller).where(Visit.id == visit_id).with_for_update())
    )
    if visit.submitted_at is None:
        raise Problem("visit.not_submitted")
    return visit


async def _was_decided(session: AsyncSession, visit_id: UUID) -> bool:
    found = await session.scalar(select(Decision.id).where(Decision.visit_id == visit_id).limit(1))
    return found is not None


async def _count_adopted(session: AsyncSession, visit_id: UUID) -> int:
    adopted = FoundFigure.visit_id == visit_id, FoundFigure.verdict == "adopted", FoundFigure.state != "withdrawn"
    return await session.scalar(select(func.count()).select_from(FoundFigure).where(*adopted)) or 0


async def _void(
    session: AsyncSession, caller: Caller, visit: Visit, item: ReviewItem | None, reason: str, now: datetime
) -> None:
    await _end_spot_checks(session, visit, now)
    before = visit.state
    visit.state, visit.voided_at, visit.voided_by, visit.void_reason = "voided", now, caller.id, reason
    visit.mending = visit.mending_hash = None
    if item is not None:
        return_to_queue(item, now)
        item.state = "decided"  # out of the queue; its decision, if any, is history
        decided = update(Decision).where(Decision.visit_id == visit.id, Decision.undone_at.is_(None))
        await session.execute(decided.values(undone_at=now, undone_why="voided"))
    await session.flush()  # what follows reads the new state
    await withdraw_found_figures(session, caller, visit.id, now)
    await session.execute(delete(VisitTally).where(VisitTally.visit_id == visit.id))
    await _reopen_order(session, visit)
    audit.record(
        session,
        caller,
        Action.VISIT_VOIDED,
        "visit",
        visit.id,
        area_code=visit.area_code,
        was=before,
        reason=reason,
    )
    await publish_change(session, "visits", [visit.id])
    await publish_last_answers(session, visit)


async def _reopen_order(session: AsyncSession, visit: Visit) -> None:
    """Open the order again, unless another visit fulfils it or its case has ended."""
    if visit.assignment_id is None:
        return
    assignment = await session.get_one(Assignment, visit.assignment_id, with_for_update=True)
    others = exists().where(
        Visit.assignment_id == assignment.id, Visit.submitted_at.is_not(None), Visit.state != "voided"
    )
    case = await session.get(CaseFile, assignment.case_id) if assignment.case_id else None
    is_over = case is not None and case.state in CLOSED_STATES
    if assignment.state != "done" or assignment.household_id != visit.household_id or is_over:
        return
    if await session.scalar(select(others)):
        return
    assignment.state = "open"
    await session.flush()  # publish_change reads the new state
    await publish_change(session, "assignments", [assignment.id])


async def _end_spot_checks(session: AsyncSession, visit: Visit, now: datetime) -> None:
    """Cancel the unfinished checks of the visit. Raises `visit.compared` for a visit that checked another one."""
    if await session.scalar(select(SpotCheck.id).where(SpotCheck.second_visit_id == visit.id).limit(1)):
        raise Problem("visit.compared")
    checks = await session.scalars(
        select(SpotCheck)
        .where(SpotCheck.visit_id == visit.id, SpotCheck.state.in_(["drawn", "assigned"]))
        .with_for_update()
    )
    for check in checks.all():
        check.state = "cancelled"
        if check.assignment_id is None:
            continue
        assignment = await session.get_one(Assignment, check.assignment_id)
        assignment.state = "cancelled"
        await session.flush()  # the feed reads the new state
        await publish_change(session, "assignments", [assignment.id], reason="spot_check")
        await revoke_grants(session, check, visit.household_id, now)
