"""The review queue as one looks at it: filters, counts, keyset pages, and a reviewer's own saved views."""

from collections import Counter
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, convert, to_builtins
from msgspec.structs import astuple
from sqlalchemy import (
    DateTime,
    Select,
    Uuid,
    and_,
    bindparam,
    delete,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import REVIEW_ROLES, Caller, in_areas, readable, require
from server.core.database import CompiledQuery, compile_query, inline_literal, run_compiled
from server.core.http import RequestBody, ResponseBody
from server.core.paging import Page, cut_page, read_place
from server.models.areas import Area
from server.models.households import Household
from server.models.people import Staff
from server.models.review import COUNTY, SEVERITIES, QueueCount, ReviewItem, SavedView
from server.models.visits import Visit

LONGEST_PAGE = 200
State = Literal["waiting", "claimed", "decided"]
Severity = Literal["info", "notice", "warning", "critical"]


class QueueLine(ResponseBody):
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


class Filters(RequestBody):
    """Which visits of the queue. Without a state: all that is not decided."""

    state: State | None = None
    kind: Annotated[str, Meta(max_length=20)] | None = None
    area: Annotated[str, Meta(pattern="^[0-9]{0,12}$")] | None = None
    author_id: UUID | None = None
    finding: Annotated[str, Meta(max_length=80)] | None = None
    # At least so grave a finding.
    severity: Severity | None = None
    # In the queue for so many hours at least.
    waited_h: Annotated[int, Meta(ge=0, le=100_000)] | None = None


class QueueCounts(ResponseBody):
    """Of what is not decided and fits the filters."""

    waiting: int
    claimed: int
    oldest_entered_at: datetime | None
    by_kind: dict[str, int]
    by_finding: dict[str, int]


class NamedView(ResponseBody):
    name: str
    filters: Filters
    saved_at: datetime


async def list_queue(
    session: AsyncSession, caller: Caller, filters: Filters, *, cursor: str | None, limit: int, now: datetime
) -> Page[QueueLine]:
    """What awaits the caller, the longest waiting first; findings count as days of waiting. One query a page."""
    require(caller, REVIEW_ROLES)
    limit = max(1, min(limit, LONGEST_PAGE))
    after = read_place(cursor, datetime.fromisoformat)
    values: dict[str, Any] = {"now": now}
    if after is not None:
        values |= {"after_since": after[0], "after_visit_id": after[1]}
    page = _page(caller, astuple(filters), limit + 1, is_first=after is None)
    rows, following = cut_page((await run_compiled(session, page, values)).all(), limit, _place)
    return Page(items=[_line(*one[:-1]) for one in rows], next_cursor=following)


def _line(*told: Any) -> QueueLine:
    """From the columns of `_page`, which stand in the order of the fields."""
    return QueueLine(**dict(zip(QueueLine.__struct_fields__, told, strict=True)))


def _place(row: Any) -> list[str]:
    return [row.waits_since.isoformat(), str(row.visit_id)]


@lru_cache(maxsize=500)
def _page(caller: Caller, asked: tuple[Any, ...], most: int, *, is_first: bool) -> CompiledQuery:
    """The page's query, kept for when the same person asks the same again: to build it takes longer than to answer."""
    items = filtered(readable(ReviewItem, caller), filters_of(asked), NOW)
    if not is_first:
        items = items.where(_AFTER)
    # The page alone first: what is looked up for its lines must not count in how it is found.
    one = items.order_by(*ORDER).limit(inline_limit(most)).subquery()
    return compile_query(
        select(
            one.c.visit_id,
            one.c.kind,
            one.c.area_code,
            _name(Area.name, Area.code == one.c.area_code),
            _name(Household.head_name, Household.id == Visit.household_id),
            _name(Staff.name, Staff.id == Visit.author_id),
            Visit.started_at,
            one.c.entered_at,
            one.c.priority,
            one.c.state,
            _name(Staff.name, Staff.id == one.c.holder_id),
            one.c.lease_until,
            one.c.finding_codes,
            one.c.waits_since,
        )
        .join(Visit, Visit.id == one.c.visit_id)
        .order_by(one.c.waits_since, one.c.visit_id)
    )


def _name(column: Any, condition: Any) -> Any:
    """Looked up for each line that is shown: a join would be planned anew, and wider, at every request."""
    return select(column).where(condition).scalar_subquery()


def inline_limit(most: int) -> Any:
    """A limit that the planner reads. One it does not know it takes for a tenth of the queue, and sorts all of it."""
    return literal_column(str(most))


def filters_of(asked: tuple[Any, ...]) -> Filters:
    """From `astuple`: a key that queries are kept by."""
    return Filters(**dict(zip(Filters.__struct_fields__, asked, strict=True)))


# The moment of the request, in queries that are kept.
NOW: Any = bindparam("now", None, type_=DateTime(timezone=True))
ORDER = (ReviewItem.waits_since, ReviewItem.visit_id)
_AFTER = tuple_(*ORDER) > tuple_(
    bindparam("after_since", None, type_=DateTime(timezone=True)), bindparam("after_visit_id", None, type_=Uuid)
)


def filtered(rows: Select[Any], filters: Filters, now: Any) -> Select[Any]:
    return apply_filters(rows.where(in_state(filters.state, now)), filters, now)


def apply_filters(rows: Select[Any], filters: Filters, now: Any) -> Select[Any]:
    """By all of the filters but the state."""
    if filters.kind is not None:
        rows = rows.where(ReviewItem.kind == filters.kind)
    if filters.area is not None:
        rows = rows.where(ReviewItem.under(filters.area))
    if filters.author_id is not None:
        rows = rows.where(ReviewItem.author_id == filters.author_id)
    if filters.finding is not None:
        rows = rows.where(ReviewItem.finding_codes.contains([filters.finding]))
    if filters.severity is not None:
        rows = rows.where(ReviewItem.gravest >= SEVERITIES.index(filters.severity))
    if filters.waited_h is not None:
        rows = rows.where(ReviewItem.entered_at <= now - timedelta(hours=filters.waited_h))
    return rows


def in_state(state: State | None, now: Any) -> Any:
    """A claim whose lease has ended counts as waiting, since it is."""
    waiting, claimed, decided, amended = map(inline_literal, ("waiting", "claimed", "decided", "amended"))
    is_claimed = ReviewItem.state == claimed
    is_open = ReviewItem.state != decided
    free = and_(is_open, or_(ReviewItem.state == waiting, and_(is_claimed, ReviewItem.lease_until <= now)))
    if state == "waiting":
        return free
    if state == "claimed":
        return and_(is_claimed, ReviewItem.lease_until > now)
    if state == "decided":
        return ReviewItem.state == decided
    return and_(is_open, ReviewItem.state != amended)


async def count_queue(session: AsyncSession, caller: Caller, filters: Filters, now: datetime) -> QueueCounts:
    """Three queries. Of counties and more from sums that are kept; of less, or by what is not in them, counted."""
    require(caller, REVIEW_ROLES)
    mine = filtered(readable(ReviewItem, caller), filters, NOW)
    summed = _summed(caller, filters) if _is_kept(caller, filters) else _counted(mine)
    kinds: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    for kind, finding_codes, items in await session.execute(summed, {"now": now}):
        kinds[kind] += items
        codes.update(dict.fromkeys(finding_codes, items))
    claimed = await session.scalar(_only(mine.where(in_state("claimed", NOW)), func.count()), {"now": now})
    entered = _only(mine, ReviewItem.entered_at).order_by(ReviewItem.entered_at).limit(inline_limit(1))
    return QueueCounts(
        # A claim between two queries is no visit fewer than none.
        waiting=max(0, kinds.total() - (claimed or 0)),
        claimed=claimed or 0,
        oldest_entered_at=await session.scalar(entered, {"now": now}),
        by_kind={kind: items for kind, items in sorted(kinds.items()) if items},
        by_finding={code: items for code, items in sorted(codes.items()) if items},
    )


def _only(rows: Select[Any], column: Any) -> Select[Any]:
    return rows.with_only_columns(column)


def _is_kept(caller: Caller, filters: Filters) -> bool:
    if filters.author_id is not None or filters.waited_h is not None:
        return False
    areas = [*caller.prefixes(REVIEW_ROLES), filters.area or ""]
    return all(len(area) <= COUNTY for area in areas)


def _counted(mine: Select[Any]) -> Select[Any]:
    one = ReviewItem
    return _only(mine, one.kind).add_columns(one.finding_codes, func.count()).group_by(one.kind, one.finding_codes)


def _summed(caller: Caller, filters: Filters) -> Select[Any]:
    """What is kept of the caller's counties, less what is not theirs to decide on."""
    kept: Any = select(QueueCount.kind, QueueCount.finding_codes, QueueCount.items).where(
        in_areas(QueueCount.county_code, caller, REVIEW_ROLES)
    )
    if filters.area:
        kept = kept.where(QueueCount.county_code.startswith(filters.area))
    each: Any = select(ReviewItem.kind, ReviewItem.finding_codes, literal(-1))
    less = filtered(each, filters, NOW).where(ReviewItem.in_areas_of(caller), ReviewItem.not_for(caller))
    parts = union_all(_by_what_is_asked(kept, filters), less).subquery("parts")
    kind, finding_codes, items = parts.c
    return select(kind, finding_codes, func.sum(items)).group_by(kind, finding_codes)


def _by_what_is_asked(kept: Select[Any], filters: Filters) -> Select[Any]:
    if filters.kind is not None:
        kept = kept.where(QueueCount.kind == filters.kind)
    if filters.finding is not None:
        kept = kept.where(QueueCount.finding_codes.contains([filters.finding]))
    if filters.severity is not None:
        kept = kept.where(QueueCount.gravest >= SEVERITIES.index(filters.severity))
    return kept


async def list_views(session: AsyncSession, caller: Caller) -> list[NamedView]:
    rows = await session.scalars(select(SavedView).where(SavedView.staff_id == caller.id).order_by(SavedView.name))
    return [NamedView(name=one.name, filters=_read_filters(one.filters), saved_at=one.saved_at) for one in rows]


def _read_filters(told: dict[str, Any]) -> Filters:
    return convert(told, Filters)


async def save_view(session: AsyncSession, caller: Caller, name: str, filters: Filters, now: datetime) -> NamedView:
    """The same name again is the same view with other filters."""
    require(caller, REVIEW_ROLES)
    told = to_builtins(filters)
    row = insert(SavedView).values(staff_id=caller.id, name=name, filters=told, saved_at=now)
    await session.execute(
        row.on_conflict_do_update(index_elements=["staff_id", "name"], set_={"filters": told, "saved_at": now})
    )
    return NamedView(name=name, filters=filters, saved_at=now)


async def forget_view(session: AsyncSession, caller: Caller, name: str) -> None:
    await session.execute(delete(SavedView).where(SavedView.staff_id == caller.id, SavedView.name == name))
