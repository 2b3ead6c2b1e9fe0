"""Claims: a visit is leased to one reviewer at a time, for minutes, renewed while its page is open.

A lease that ends puts the visit back by itself: nothing has to run for it. Whoever let it lapse may still
decide while nobody else has claimed.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import structlog
from msgspec.structs import astuple
from sqlalchemy import and_, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core.access import REVIEW_ROLES, Caller, found, readable, require
from server.core.database import CompiledQuery, compile_query, inline_literal
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.services import Services
from server.core.settings import Settings
from server.models.people import Staff, StaffRole
from server.models.review import Decision, ReviewItem
from server.review.queue import NOW, ORDER, Filters, apply_filters, filters_of, inline_limit


class ReviewLease(ResponseBody):
    """What a reviewer holds. `version` goes back as `If-Match` with the decision."""

    visit_id: UUID
    lease_until: datetime
    version: int


class HandOver(RequestBody):
    to_staff_id: UUID


async def claim_next(services: Services, caller: Caller, filters: Filters, now: datetime) -> ReviewLease:
    """Lease the first visit that nobody holds, of those that fit the filters. Raises `review.queue_empty`.

    The lease is committed when this returns, by one trip to the database: of many who ask in the same instant
    the last waits for all the others.
    """
    require(caller, REVIEW_ROLES)
    until = now + timedelta(minutes=services.settings.claim_minutes)
    told = {"now": now, "until": until, "caller": caller.id, "device": caller.device_id}
    told["request"] = structlog.contextvars.get_contextvars().get("request_id")
    statement = _claim_first(caller, astuple(filters))
    claimed = await services.autocommit.run(statement.sql, statement.values | told)
    if not claimed:
        raise Problem("review.queue_empty")
    return ReviewLease(visit_id=claimed[0].visit_id, lease_until=until, version=claimed[0].version)


@lru_cache(maxsize=500)
def _claim_first(caller: Caller, asked: tuple[Any, ...]) -> CompiledQuery:
    """Kept, as the page's query is: whoever claims once claims again."""
    rows = apply_filters(readable(ReviewItem, caller), filters_of(asked), NOW).order_by(*ORDER).limit(inline_limit(1))
    waiting, claimed = ReviewItem.state == inline_literal("waiting"), ReviewItem.state == inline_literal("claimed")
    fresh, lapsed = (
        compile_query(rows.where(is_free).with_for_update(skip_locked=True))
        for is_free in (waiting, and_(claimed, ReviewItem.lease_until <= NOW))
    )
    sql = _CLAIM_FIRST.replace("FRESH", fresh.sql).replace("LAPSED", lapsed.sql)
    return CompiledQuery(sql, fresh.values | lapsed.values)


# The first of those that nobody claimed and of those whose claim has lapsed, each found by its own index: looked for
# together they are found behind all that are claimed. Then what `lease` does and notes, in the same statement: a
# lapsed claim of one's own is only renewed.
_CLAIM_FIRST = """
WITH fresh AS (FRESH), lapsed AS (LAPSED), free AS (
    SELECT * FROM (SELECT * FROM fresh UNION ALL SELECT * FROM lapsed) one ORDER BY waits_since, visit_id LIMIT 1
), taken AS (
    UPDATE review_item item SET state = 'claimed', holder_id = %(caller)s, lease_until = %(until)s,
        version = item.version + (free.holder_id IS DISTINCT FROM %(caller)s)::int,
        changed_at = CASE WHEN free.holder_id = %(caller)s THEN item.changed_at ELSE now() END
    FROM free WHERE item.visit_id = free.visit_id
    RETURNING item.visit_id, item.version, item.area_code, free.holder_id AS held_by
), noted AS (
    INSERT INTO audit_entry
        (actor_kind, actor_id, device_id, request_id, action, thing_kind, thing_id, area_code, facts)
    SELECT 'staff', %(caller)s, %(device)s, %(request)s, 'review.claimed', 'visit', visit_id::text, area_code, '{}'
    FROM taken WHERE held_by IS DISTINCT FROM %(caller)s
)
SELECT visit_id, version FROM taken
"""


async def claim_visit_lease(
    session: AsyncSession, caller: Caller, visit_id: UUID, settings: Settings, now: datetime
) -> ReviewLease:
    """Lease a given visit, or renew one's own lease.

    Raises `review.claimed_by_other`, `review.decided`, `review.own_visit`, `review.relative`, `review.blind`.
    """
    item = await lock_item(session, caller, visit_id)
    await refuse_closed(session, item)
    if item.holder_id != caller.id:
        await refuse_held(session, item, now)
    return lease(session, caller, item, settings, now)


async def renew_lease(
    session: AsyncSession, caller: Caller, visit_id: UUID, settings: Settings, now: datetime
) -> ReviewLease:
    """The heartbeat of an open page. Raises what tells that the claim was lost, and to whom."""
    item = await lock_item(session, caller, visit_id)
    await refuse_closed(session, item)
    if item.holder_id != caller.id:
        await refuse_held(session, item, now)
        raise Problem("review.not_claimed")
    return lease(session, caller, item, settings, now)


async def release_lease(session: AsyncSession, caller: Caller, visit_id: UUID) -> None:
    """Give a claim back. Giving back what one does not hold changes nothing."""
    item = await lock_item(session, caller, visit_id)
    if item.state == "claimed" and item.holder_id == caller.id:
        put_back(item)
        audit.record(session, caller, "review.released", "visit", visit_id, area_code=item.area_code)


async def hand_over(
    session: AsyncSession, caller: Caller, visit_id: UUID, to_staff_id: UUID, settings: Settings, now: datetime
) -> ReviewLease:
    """Pass one's claim to a colleague who may decide on it. Raises `review.not_claimed`, `review.holder_unfit`."""
    item = await lock_item(session, caller, visit_id)
    if item.holder_id != caller.id:
        raise Problem("review.not_claimed")
    if not await _may_review(session, to_staff_id, item):
        raise Problem("review.holder_unfit")
    item.holder_id, item.changed_at = to_staff_id, func.now()
    item.version += 1
    audit.record(
        session, caller, "review.handed_over", "visit", visit_id, area_code=item.area_code, to=str(to_staff_id)
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
    return name is not None and await _why_barred(session, item.visit_id, staff_id, name) is None


async def _why_barred(session: AsyncSession, visit_id: UUID, staff_id: UUID, name: str) -> str | None:
    """The code of why this person may not decide on it."""
    barred = ReviewItem.barred(staff_id, name)
    told = (await session.execute(select(*(literal(visit_id).in_(visits) for visits in barred.values())))).one()
    return next((code for code, is_so in zip(barred, told, strict=True) if is_so), None)


async def lock_item(session: AsyncSession, caller: Caller, visit_id: UUID) -> ReviewItem:
    """The item, locked, if the caller may decide on it. Raises why not: own, a relative's, blind, or not found."""
    require(caller, REVIEW_ROLES)
    if (why := await _why_barred(session, visit_id, caller.id, caller.name)) is not None:
        raise Problem(why)
    item: ReviewItem = found(
        await session.scalar(readable(ReviewItem, caller).where(ReviewItem.visit_id == visit_id).with_for_update())
    )
    return item


async def refuse_held(session: AsyncSession, item: ReviewItem, now: datetime) -> None:
    """Raises `review.claimed_by_other` with the name of whoever holds it."""
    if item.holder_id is not None and item.lease_until is not None and item.lease_until > now:
        holder = await session.get_one(Staff, item.holder_id)
        raise Problem("review.claimed_by_other", holder=holder.name)


async def refuse_closed(session: AsyncSession, item: ReviewItem) -> None:
    """Raises `review.decided`, with who and what, or `review.amended` while a corrected visit is on its way."""
    if item.state == "decided":
        raise await decided_already(session, item.visit_id)
    if item.state == "amended":
        raise Problem("review.amended")


async def decided_already(session: AsyncSession, visit_id: UUID) -> Problem:
    row = (
        await session.execute(
            select(Decision.outcome, Staff.name)
            .join(Staff, Staff.id == Decision.reviewer_id)
            .where(Decision.visit_id == visit_id, Decision.undone_at.is_(None))
        )
    ).one()
    return Problem("review.decided", outcome=row.outcome, decided_by=row.name)


def lease(session: AsyncSession, caller: Caller, item: ReviewItem, settings: Settings, now: datetime) -> ReviewLease:
    if item.holder_id != caller.id:
        audit.record(session, caller, "review.claimed", "visit", item.visit_id, area_code=item.area_code)
        item.version += 1
        item.changed_at = func.now()
    item.state, item.holder_id = "claimed", caller.id
    return _extend(item, settings, now)


def _extend(item: ReviewItem, settings: Settings, now: datetime) -> ReviewLease:
    item.lease_until = now + timedelta(minutes=settings.claim_minutes)
    return ReviewLease(visit_id=item.visit_id, lease_until=item.lease_until, version=item.version)


def put_back(item: ReviewItem) -> None:
    item.state, item.holder_id, item.lease_until = "waiting", None, None
    item.version += 1
    item.changed_at = func.now()
