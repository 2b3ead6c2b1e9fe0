"""The review queue as one looks at it: filters, counts, keyset pages, and a reviewer's own saved views."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, convert, to_builtins
from sqlalchemy import Select, and_, delete, func, or_, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import REVIEW_ROLES, Caller, readable, require
from server.core.paging import Cursor, Page, read_cursor, write_cursor
from server.core.wire import Answer, Wire
from server.models.areas import Area
from server.models.households import Household
from server.models.people import Staff
from server.models.review import SEVERITIES, ReviewItem, SavedView
from server.models.visits import Visit

LONGEST_PAGE = 200
State = Literal["waiting", "claimed", "decided"]
Severity = Literal["info", "notice", "warning", "critical"]


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


class Filters(Wire):
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


class QueueCounts(Answer):
    """Of what is not decided and fits the filters."""

    waiting: int
    claimed: int
    oldest_entered_at: datetime | None
    by_kind: dict[str, int]
    by_finding: dict[str, int]


class NamedView(Answer):
    name: str
    filters: Filters
    saved_at: datetime


async def list_queue(
    session: AsyncSession, caller: Caller, filters: Filters, *, cursor: str | None, limit: int, now: datetime
) -> Page[QueueLine]:
    """What awaits the caller, doubts on top, then the longest waiting. Three queries for any page."""
    require(caller, REVIEW_ROLES)
    limit = max(1, min(limit, LONGEST_PAGE))
    rows = filtered(readable(ReviewItem, caller), filters, now).order_by(*ORDER).limit(limit + 1)
    if (after := read_cursor(cursor)) is not None:
        rows = rows.where(_after(after))
    items = list(await session.scalars(rows))
    page, rest = items[:limit], items[limit:]
    return Page(items=await queue_lines(session, page), next_cursor=_cursor(page[-1]) if rest else None)


ORDER = (ReviewItem.priority.desc(), ReviewItem.entered_at, ReviewItem.visit_id)


def filtered(rows: Select[Any], filters: Filters, now: datetime) -> Select[Any]:
    rows = rows.where(in_state(filters.state, now))
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


def in_state(state: State | None, now: datetime) -> Any:
    """A claim whose lease has ended counts as waiting, since it is."""
    free = or_(ReviewItem.state == "waiting", and_(ReviewItem.state == "claimed", ReviewItem.lease_until <= now))
    if state == "waiting":
        return free
    if state == "claimed":
        return and_(ReviewItem.state == "claimed", ReviewItem.lease_until > now)
    if state == "decided":
        return ReviewItem.state == "decided"
    return and_(ReviewItem.state != "decided", ReviewItem.state != "amended")


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


async def queue_lines(session: AsyncSession, items: Sequence[ReviewItem]) -> list[QueueLine]:
    ids = [one.visit_id for one in items]
    rows = await session.execute(
        select(Visit.id, Visit.started_at, Household.head_name, Staff.name, Area.name)
        .join(Household, Household.id == Visit.household_id)
        .join(Staff, Staff.id == Visit.author_id)
        .join(Area, Area.code == Visit.area_code)
        .where(Visit.id.in_(ids))
    )
    told = {row[0]: row for row in rows}
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
            finding_codes=one.finding_codes,
        )
        for one in items
    ]


async def _names(session: AsyncSession, ids: set[UUID]) -> dict[UUID, str]:
    if not ids:
        return {}
    rows = await session.execute(select(Staff.id, Staff.name).where(Staff.id.in_(ids)))
    return dict(rows.all())


async def count_queue(session: AsyncSession, caller: Caller, filters: Filters, now: datetime) -> QueueCounts:
    """Two queries, over what is not decided alone: what was decided only grows."""
    require(caller, REVIEW_ROLES)
    open_items = filtered(readable(ReviewItem, caller), filters, now).where(ReviewItem.state != "decided").subquery()
    is_claimed = and_(open_items.c.state == "claimed", open_items.c.lease_until > now).label("is_claimed")
    rows = (
        await session.execute(
            select(open_items.c.kind, is_claimed, func.count(), func.min(open_items.c.entered_at)).group_by(
                open_items.c.kind, "is_claimed"
            )
        )
    ).all()
    code = func.unnest(open_items.c.finding_codes).table_valued("value", name="code").render_derived()
    codes = await session.execute(
        select(code.c.value, func.count())
        .select_from(open_items)
        .join(code, true())
        .group_by(code.c.value)
        .order_by(code.c.value)
    )
    kinds: dict[str, int] = {}
    for kind, _, count, _ in rows:
        kinds[kind] = kinds.get(kind, 0) + count
    return QueueCounts(
        waiting=sum(count for _, claimed, count, _ in rows if not claimed),
        claimed=sum(count for _, claimed, count, _ in rows if claimed),
        oldest_entered_at=min((oldest for *_, oldest in rows), default=None),
        by_kind=dict(sorted(kinds.items())),
        by_finding=dict(codes.all()),
    )


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
