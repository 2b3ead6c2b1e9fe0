"""Leases: a visit is leased to one reviewer at a time, for minutes, and renewed while its page is open.

A lease that expires frees the visit without any job. Its former holder may still decide while nobody else has claimed
the visit.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from msgspec.structs import astuple
from sqlalchemy import and_, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.audit.trail import actor_params, audit_cte
from server.core.access import REVIEW_ROLES, Caller, readable, require_found, require_role
from server.core.database import CompiledQuery, compile_query, inline_literal
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.services import Services
from server.core.settings import Settings
from server.models.people import Staff, StaffRole
from server.models.review import Decision, ReviewItem
from server.models.visits import Visit
from server.review.queue import NOW_PARAM, QUEUE_ORDER, QueueFilters, apply_filters, filters_from_tuple, inline_limit


class ReviewLease(ResponseBody):
    """A reviewer's lease. The client sends `version` back as `If-Match` with the decision."""

    visit_id: UUID
    lease_until: datetime
    version: int


class HandOverLease(RequestBody):
    to_staff_id: UUID


async def claim_next(services: Services, caller: Caller, filters: QueueFilters, now: datetime) -> ReviewLease:
    """Lease the first free visit that fits the filters. Raises `review.queue_empty`.

    One round trip, committed when this returns: when many reviewers claim at once, the last waits for all others.
    """
    require_role(caller, REVIEW_ROLES)
    until = now + timedelta(minutes=services.settings.claim_minutes)
    params = {"now": now, "until": until, **actor_params(caller)}
    statement = _claim_first(caller, astuple(filters))
    claimed = await services.autocommit.run(statement.sql, statement.values | params)
    if not claimed:
        raise Problem("review.queue_empty")
    return ReviewLease(visit_id=claimed[0].visit_id, lease_until=until, version=claimed[0].version)


@lru_cache(maxsize=500)
def _claim_first(caller: Caller, filters: tuple[Any, ...]) -> CompiledQuery:
    """Cache the statement by caller and filters: the same reviewer claims again and again."""
    rows = (
        apply_filters(readable(ReviewItem, caller), filters_from_tuple(filters), NOW_PARAM)
        .order_by(*QUEUE_ORDER.columns)
        .limit(inline_limit(1))
    )
    waiting, claimed = ReviewItem.state == inline_literal("waiting"), ReviewItem.state == inline_literal("claimed")
    fresh, lapsed = (
        compile_query(rows.where(is_free).with_for_update(skip_locked=True))
        for is_free in (waiting, and_(claimed, ReviewItem.lease_until <= NOW_PARAM))
    )
    sql = _CLAIM_FIRST.replace("FRESH", fresh.sql).replace("LAPSED", lapsed.sql)
    return CompiledQuery(sql, fresh.values | lapsed.values)


# The first waiting item and the first with a lapsed lease, each found by its own index: one query for both would walk
# past all claimed items. The statement then does what `grant_lease` does: a lapsed lease of the caller is only renewed.
_CLAIM_FIRST = """
WITH fresh AS (FRESH), lapsed AS (LAPSED), free AS (
    SELECT * FROM (SELECT * FROM fresh UNION ALL SELECT * FROM lapsed) items ORDER BY waits_since, visit_id LIMIT 1
), claimed_item AS (
    UPDATE review_item item SET state = 'claimed', holder_id = %(actor_id)s, lease_until = %(until)s,
        version = item.version + (free.holder_id IS DISTINCT FROM %(actor_id)s)::int,
        changed_at = CASE WHEN free.holder_id = %(actor_id)s THEN item.changed_at ELSE %(now)s END
    FROM free WHERE item.visit_id = free.visit_id
    RETURNING item.visit_id, item.version, item.area_code, free.holder_id AS previous_holder_id
), AUDIT_ROWS
SELECT visit_id, version FROM claimed_item
""".replace(
    "AUDIT_ROWS",
    audit_cte(
        Action.REVIEW_CLAIMED,
        """
    SELECT 'visit', visit_id::text, area_code, '{}'::jsonb
    FROM claimed_item WHERE previous_holder_id IS DISTINCT FROM %(actor_id)s""",
    ),
)


async def claim_visit(
    session: AsyncSession, caller: Caller, visit_id: UUID, settings: Settings, now: datetime
) -> ReviewLease:
    """Lease a given visit, or renew the caller's own lease.

    Raises `review.claimed_by_other`, `review.decided`, `review.own_visit`, `review.relative`, `review.blind`.
    """
    item = await lock_review_item(session, caller, visit_id)
    await require_open(session, item)
    if item.holder_id != caller.id:
        await require_not_leased_by_other(session, item, now)
    return grant_lease(session, caller, item, settings, now)


async def renew_lease(
    session: AsyncSession, caller: Caller, visit_id: UUID, settings: Settings, now: datetime
) -> ReviewLease:
    """Extend the caller's lease: the heartbeat of an open page.

    Raises `review.claimed_by_other` (with whom), `review.decided`, `review.not_claimed`.
    """
    item = await lock_review_item(session, caller, visit_id)
    await require_open(session, item)
    if item.holder_id != caller.id:
        await require_not_leased_by_other(session, item, now)
        raise Problem("review.not_claimed")
    return grant_lease(session, caller, item, settings, now)


async def release_lease(session: AsyncSession, caller: Caller, visit_id: UUID, now: datetime) -> None:
    """Give the caller's lease back. Idempotent: without a lease nothing changes."""
    item = await lock_review_item(session, caller, visit_id)
    if item.state == "claimed" and item.holder_id == caller.id:
        return_to_queue(item, now)
        audit.record(session, caller, Action.REVIEW_RELEASED, "visit", visit_id, area_code=item.area_code)


async def hand_over_lease(
    session: AsyncSession, caller: Caller, visit_id: UUID, to_staff_id: UUID, settings: Settings, now: datetime
) -> ReviewLease:
    """Pass the lease to a colleague who may decide. Raises `review.not_claimed`, `review.holder_unfit`."""
    item = await lock_review_item(session, caller, visit_id)
    if item.holder_id != caller.id:
        raise Problem("review.not_claimed")
    if not await _may_review(session, to_staff_id, item):
        raise Problem("review.holder_unfit")
    item.holder_id, item.changed_at = to_staff_id, now
    item.version += 1
    audit.record(
        session, caller, Action.REVIEW_HANDED_OVER, "visit", visit_id, area_code=item.area_code, to=str(to_staff_id)
    )
    return _extend(item, settings, now)


async def _may_review(session: AsyncSession, staff_id: UUID, item: ReviewItem) -> bool:
    may = (
        select(Staff.name)
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .where(
            Staff.id == staff_id,
            Staff.disabled_at.is_(None),
            StaffRole.role.in_(REVIEW_ROLES),
            StaffRole.revoked_at.is_(None),
            literal(item.area_code).startswith(StaffRole.area_code),
        )
        .limit(1)
    )
    name = await session.scalar(may)
    return (
        name is not None
        and await _find_bar(session, item.visit_id, ReviewItem.excluded_visits(staff_id, name).items()) is None
    )


async def _find_bar(session: AsyncSession, visit_id: UUID, bars: Iterable[tuple[str, Any]]) -> str | None:
    """Return the code of the first bar that holds the visit, or None."""
    codes, visits = zip(*bars, strict=True)
    is_barred = (await session.execute(select(*(literal(visit_id).in_(barred) for barred in visits)))).one()
    return next((code for code, applies in zip(codes, is_barred, strict=True) if applies), None)


async def lock_review_item(session: AsyncSession, caller: Caller, visit_id: UUID) -> ReviewItem:
    """Return the item, locked, if the caller may decide on it.

    Raises `review.own_visit`, `review.relative`, `review.blind`, `thing.not_found`.
    """
    require_role(caller, REVIEW_ROLES)
    if (why := await _find_bar(session, visit_id, ReviewItem.excluded_visits_of(caller))) is not None:
        raise Problem(why)
    item: ReviewItem = require_found(
        await session.scalar(readable(ReviewItem, caller).where(ReviewItem.visit_id == visit_id).with_for_update())
    )
    return item


async def require_not_leased_by_other(session: AsyncSession, item: ReviewItem, now: datetime) -> None:
    """Raise `review.claimed_by_other`, with the holder's name, while a lease runs."""
    if item.holder_id is not None and item.lease_until is not None and item.lease_until > now:
        holder = await session.get_one(Staff, item.holder_id)
        raise Problem("review.claimed_by_other", holder=holder.name)


async def require_open(session: AsyncSession, item: ReviewItem) -> None:
    """Raise `review.decided`, with who and what, or `review.amended` while a correction is incomplete."""
    if item.state == "decided":
        if await session.scalar(select(Visit.state).where(Visit.id == item.visit_id)) == "voided":
            raise Problem("visit.voided")
        raise await _already_decided(session, item.visit_id)
    if item.state == "amended":
        raise Problem("review.amended")


async def _already_decided(session: AsyncSession, visit_id: UUID) -> Problem:
    row = (
        await session.execute(
            select(Decision.outcome, Staff.name)
            .join(Staff, Staff.id == Decision.reviewer_id)
            .where(Decision.visit_id == visit_id, Decision.undone_at.is_(None))
        )
    ).one()
    return Problem("review.decided", outcome=row.outcome, decided_by=row.name)


def grant_lease(
    session: AsyncSession, caller: Caller, item: ReviewItem, settings: Settings, now: datetime
) -> ReviewLease:
    if item.holder_id != caller.id:
        audit.record(session, caller, Action.REVIEW_CLAIMED, "visit", item.visit_id, area_code=item.area_code)
        item.version += 1
        item.changed_at = now
    item.state, item.holder_id = "claimed", caller.id
    return _extend(item, settings, now)


def _extend(item: ReviewItem, settings: Settings, now: datetime) -> ReviewLease:
    item.lease_until = now + timedelta(minutes=settings.claim_minutes)
    return ReviewLease(visit_id=item.visit_id, lease_until=item.lease_until, version=item.version)


def return_to_queue(item: ReviewItem, now: datetime) -> None:
    item.state, item.holder_id, item.lease_until = "waiting", None, None
    item.version += 1
    item.changed_at = now
