"""The review queue: filters, counts, keyset pages, and each reviewer's saved views."""

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

from server.checklists.template import VisitKind
from server.core.access import REVIEW_ROLES, Caller, in_areas, readable, require_role
from server.core.database import CompiledQuery, compile_query, inline_literal, run_compiled
from server.core.http import RequestBody, ResponseBody
from server.core.paging import Keyset, Page, slice_page
from server.models.areas import Area
from server.models.households import Household
from server.models.people import Staff
from server.models.review import COUNTY_CODE_LENGTH, SEVERITIES, QueueCount, ReviewItem, SavedView
from server.models.visits import Visit

State = Literal["waiting", "claimed", "decided"]
Severity = Literal["info", "notice", "warning", "critical"]


class QueueLine(ResponseBody):
    """One visit in the queue, with what a reviewer needs to choose it."""

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


class QueueFilters(RequestBody):
    """Which items of the queue. Without a state: all that are not decided."""

    state: State | None = None
    kind: VisitKind | None = None
    area: Annotated[str, Meta(pattern="^[0-9]{0,12}$")] | None = None
    author_id: UUID | None = None
    finding: Annotated[str, Meta(max_length=80)] | None = None
    # A finding of at least this severity.
    severity: Severity | None = None
    # In the queue for at least this many hours.
    waited_h: Annotated[int, Meta(ge=0, le=100_000)] | None = None


class QueueCounts(ResponseBody):
    """Counts of undecided items that fit the filters."""

    waiting: int
    claimed: int
    oldest_entered_at: datetime | None
    by_kind: dict[str, int]
    by_finding: dict[str, int]


class NamedView(ResponseBody):
    name: str
    filters: QueueFilters
    saved_at: datetime


async def list_queue(
    session: AsyncSession, caller: Caller, filters: QueueFilters, *, cursor: str | None, limit: int, now: datetime
) -> Page[QueueLine]:
    """List the caller's queue, the longest waiting first; findings count as days of waiting. One query per page."""
    require_role(caller, REVIEW_ROLES)
    after = QUEUE_ORDER.read_cursor(cursor)
    values: dict[str, Any] = {"now": now}
    if after is not None:
        values |= {"after_since": after[0], "after_visit_id": after[1]}
    page = _page_query(caller, astuple(filters), limit + 1, is_first=after is None)
    rows, following = slice_page((await run_compiled(session, page, values)).all(), limit, _cursor_values)
    return Page(items=[_queue_line(*row[:-1]) for row in rows], next_cursor=following)


def _queue_line(*values: Any) -> QueueLine:
    """Build a line from the columns of `_page_query`, which are in the order of its fields."""
    return QueueLine(**dict(zip(QueueLine.__struct_fields__, values, strict=True)))


def _cursor_values(row: Any) -> tuple[datetime, UUID]:
    return row.waits_since, row.visit_id


@lru_cache(maxsize=500)
def _page_query(caller: Caller, filters: tuple[Any, ...], most: int, *, is_first: bool) -> CompiledQuery:
    """Cache the page's statement by caller and filters: building it takes longer than running it."""
    items = filter_items(readable(ReviewItem, caller), filters_from_tuple(filters), NOW_PARAM)
    if not is_first:
        items = items.where(_AFTER)
    # Select the page first, so that the look-ups for its lines do not influence the plan that finds it.
    item = items.order_by(*QUEUE_ORDER.columns).limit(inline_limit(most)).subquery()
    return compile_query(
        select(
            item.c.visit_id,
            item.c.kind,
            item.c.area_code,
            _lookup(Area.name, Area.code == item.c.area_code),
            _lookup(Household.head_name, Household.id == Visit.household_id),
            _lookup(Staff.name, Staff.id == Visit.author_id),
            Visit.started_at,
            item.c.entered_at,
            item.c.priority,
            item.c.state,
            _lookup(Staff.name, Staff.id == item.c.holder_id),
            item.c.lease_until,
            item.c.finding_codes,
            item.c.waits_since,
        )
        .join(Visit, Visit.id == item.c.visit_id)
        .order_by(item.c.waits_since, item.c.visit_id)
    )


def _lookup(column: Any, condition: Any) -> Any:
    """Look a name up per shown line: a join would cost planning time at every request."""
    return select(column).where(condition).scalar_subquery()


def inline_limit(most: int) -> Any:
    """Inline the limit for the planner: for a parameter it assumes a tenth of the rows and sorts them all."""
    return literal_column(str(most))


def filters_from_tuple(values: tuple[Any, ...]) -> QueueFilters:
    """Rebuild filters from `astuple`, the hashable key that cached statements use."""
    return QueueFilters(**dict(zip(QueueFilters.__struct_fields__, values, strict=True)))


# The time of the request, as a parameter of cached statements.
NOW_PARAM: Any = bindparam("now", None, type_=DateTime(timezone=True))
QUEUE_ORDER = Keyset(ReviewItem.waits_since, ReviewItem.visit_id)
_AFTER = tuple_(*QUEUE_ORDER.columns) > tuple_(
    bindparam("after_since", None, type_=DateTime(timezone=True)), bindparam("after_visit_id", None, type_=Uuid)
)


def filter_items(rows: Select[Any], filters: QueueFilters, now: Any) -> Select[Any]:
    return apply_filters(rows.where(is_in_state(filters.state, now)), filters, now)


def apply_filters(rows: Select[Any], filters: QueueFilters, now: Any) -> Select[Any]:
    """Apply all filters except the state."""
    if filters.kind is not None:
        rows = rows.where(ReviewItem.kind == filters.kind)
    if filters.area is not None:
        rows = rows.where(ReviewItem.in_area(filters.area))
    if filters.author_id is not None:
        rows = rows.where(ReviewItem.author_id == filters.author_id)
    if filters.finding is not None:
        rows = rows.where(ReviewItem.finding_codes.contains([filters.finding]))
    if filters.severity is not None:
        rows = rows.where(ReviewItem.gravest >= SEVERITIES.index(filters.severity))
    if filters.waited_h is not None:
        rows = rows.where(ReviewItem.entered_at <= now - timedelta(hours=filters.waited_h))
    return rows


def is_in_state(state: State | None, now: Any) -> Any:
    """Return the condition for a state. An item whose lease has expired counts as waiting."""
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


async def count_queue(session: AsyncSession, caller: Caller, filters: QueueFilters, now: datetime) -> QueueCounts:
    """Count in three queries: from stored sums for whole counties, else from the rows themselves."""
    require_role(caller, REVIEW_ROLES)
    mine = filter_items(readable(ReviewItem, caller), filters, NOW_PARAM)
    summed = _sum_counts(caller, filters) if _has_sums(caller, filters) else _count_rows(mine)
    kinds: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    for kind, finding_codes, items in await session.execute(summed, {"now": now}):
        kinds[kind] += items
        codes.update(dict.fromkeys(finding_codes, items))
    claimed = await session.scalar(
        _select_only(mine.where(is_in_state("claimed", NOW_PARAM)), func.count()), {"now": now}
    )
    entered = _select_only(mine, ReviewItem.entered_at).order_by(ReviewItem.entered_at).limit(inline_limit(1))
    return QueueCounts(
        # A claim between the two queries could make this negative.
        waiting=max(0, kinds.total() - (claimed or 0)),
        claimed=claimed or 0,
        oldest_entered_at=await session.scalar(entered, {"now": now}),
        by_kind={kind: items for kind, items in sorted(kinds.items()) if items},
        by_finding={code: items for code, items in sorted(codes.items()) if items},
    )


def _select_only(rows: Select[Any], column: Any) -> Select[Any]:
    return rows.with_only_columns(column)


def _has_sums(caller: Caller, filters: QueueFilters) -> bool:
    if filters.author_id is not None or filters.waited_h is not None:
        return False
    areas = [*caller.prefixes(REVIEW_ROLES), filters.area or ""]
    return all(len(area) <= COUNTY_CODE_LENGTH for area in areas)


def _count_rows(mine: Select[Any]) -> Select[Any]:
    item = ReviewItem
    return (
        _select_only(mine, item.kind)
        .add_columns(item.finding_codes, func.count())
        .group_by(item.kind, item.finding_codes)
    )


def _sum_counts(caller: Caller, filters: QueueFilters) -> Select[Any]:
    """Add up the stored sums of the caller's counties, less the items that the caller may not decide on."""
    sums: Any = select(QueueCount.kind, QueueCount.finding_codes, QueueCount.items).where(
        in_areas(QueueCount.county_code, caller, REVIEW_ROLES)
    )
    if filters.area:
        sums = sums.where(QueueCount.county_code.startswith(filters.area))
    barred: Any = select(ReviewItem.kind, ReviewItem.finding_codes, literal(-1))
    deductions = filter_items(barred, filters, NOW_PARAM).where(
        ReviewItem.in_review_areas(caller), ReviewItem.excluded_for(caller)
    )
    parts = union_all(_filter_sums(sums, filters), deductions).subquery("parts")
    kind, finding_codes, items = parts.c
    return select(kind, finding_codes, func.sum(items)).group_by(kind, finding_codes)


def _filter_sums(sums: Select[Any], filters: QueueFilters) -> Select[Any]:
    if filters.kind is not None:
        sums = sums.where(QueueCount.kind == filters.kind)
    if filters.finding is not None:
        sums = sums.where(QueueCount.finding_codes.contains([filters.finding]))
    if filters.severity is not None:
        sums = sums.where(QueueCount.gravest >= SEVERITIES.index(filters.severity))
    return sums


async def list_views(session: AsyncSession, caller: Caller) -> list[NamedView]:
    rows = await session.scalars(select(SavedView).where(SavedView.staff_id == caller.id).order_by(SavedView.name))
    return [NamedView(name=view.name, filters=_read_filters(view.filters), saved_at=view.saved_at) for view in rows]


def _read_filters(document: dict[str, Any]) -> QueueFilters:
    return convert(document, QueueFilters)


async def save_view(
    session: AsyncSession, caller: Caller, name: str, filters: QueueFilters, now: datetime
) -> NamedView:
    """Create the view, or replace the filters of the view with this name."""
    require_role(caller, REVIEW_ROLES)
    document = to_builtins(filters)
    row = insert(SavedView).values(staff_id=caller.id, name=name, filters=document, saved_at=now)
    await session.execute(
        row.on_conflict_do_update(index_elements=["staff_id", "name"], set_={"filters": document, "saved_at": now})
    )
    return NamedView(name=name, filters=filters, saved_at=now)


async def delete_view(session: AsyncSession, caller: Caller, name: str) -> None:
    await session.execute(delete(SavedView).where(SavedView.staff_id == caller.id, SavedView.name == name))
