"""The supervisor's overview of an area and a period: work done and due, which doubts hold, where people were.

Each answer is one query, over indexes by area and time, so that it costs what the area and the period hold and
not what the table does. What it counts stands in narrow rows (`visit_tally`, and area and day on each finding) that
are written in the transaction of what they say, and whole months of a province in sums of those; tests hold both to
the direct count.
"""

from datetime import date, datetime, time, timedelta
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    Double,
    Integer,
    Select,
    and_,
    cast,
    exists,
    false,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import REVIEW_ROLES, Caller, require
from server.core.database import inline_literal
from server.core.http import ResponseBody
from server.core.location import Datum, Fix, to_wgs84
from server.models.areas import LEVELS, Area
from server.models.households import Assignment, Caseload
from server.models.people import Staff
from server.models.review import (
    COUNTY,
    Finding,
    ReviewItem,
    SeenFix,
    SpotCheck,
    VisitMonth,
    VisitMonthChange,
    VisitTally,
)
from server.models.visits import Visit
from server.review import monthly_rollup

CHINA = ZoneInfo("Asia/Shanghai")
MOST_POINTS = 2000
# Of the sums of whole months: prefectures, counties.
SUMMED_LEVELS = (4, 6)
SECONDS = 3600
By = Literal["area", "caseworker"]


class Period(ResponseBody):
    """An area (empty: all that the caller may see) and days, both counted."""

    area: str
    first: date
    last: date

    @property
    def begin(self) -> datetime:
        return datetime.combine(self.first, time(), tzinfo=CHINA)

    @property
    def end(self) -> datetime:
        return datetime.combine(self.last + timedelta(days=1), time(), tzinfo=CHINA)


class WorkLine(ResponseBody):
    """`due`: open and due by the period's end; `overdue`: of those, due before today. `late`: done after the day due.

    The median runs from the visit's arrival to its first decision. By areas of more than one county it is right to the
    width of a bucket: six minutes in the first day, an hour in the first week, then six hours.
    """

    key: str
    name: str
    due: int
    overdue: int
    done: int
    late: int
    returned: int
    median_hours_to_decision: float | None


class FindingRate(ResponseBody):
    """How often a rule doubted, and how often a person agreed: a rule that is never upheld is of no use."""

    code: str
    found: int
    upheld: int
    dismissed: int
    upheld_percent: float | None


class MapPoint(ResponseBody):
    """Where a visit began, in WGS-84."""

    visit_id: UUID
    latitude: float
    longitude: float
    at: datetime
    staff_id: UUID
    severity_rank: int


async def list_work(session: AsyncSession, caller: Caller, period: Period, by: By, today: date) -> list[WorkLine]:
    """By the areas one level below the one asked for, or by caseworker."""
    require(caller, REVIEW_ROLES)
    parts = (_done(caller, period, by), _on_the_way(caller, period, by), _due(caller, period, by, today))
    rows = union_all(*parts).subquery()
    total = [
        cast(func.sum(rows.c[name]), BigInteger).label(name) for name in ("due", "overdue", "done", "late", "returned")
    ]
    summed = select(rows.c.key, *total, func.max(rows.c.median).label("median")).group_by(rows.c.key).subquery()
    counted = [summed.c[name] for name in ("due", "overdue", "done", "late", "returned", "median")]
    named = (
        select(Area.code, Area.name, *counted).join(summed, summed.c.key == Area.code)
        if by == "area"
        else select(Staff.login, Staff.name, *counted).join(summed, summed.c.key == Staff.id)
    )
    lines = named.order_by(summed.c.overdue.desc(), named.selected_columns[0]).limit(5000)
    # Past the ORM, which takes longer over thousands of rows than the database over a month.
    connection = await session.connection()
    return [WorkLine(*(*told, hours and round(hours, 1))) for *told, hours in await connection.execute(lines)]


def _done(caller: Caller, period: Period, by: By) -> Select[Any]:
    """Of whole visits, from their tallies alone; by areas of more than one county into buckets, with whole months
    from their sums.
    """
    if by == "area" and (level := _summed_level(caller, period)):
        return _line(_done_by_buckets(caller, period, level))
    key: Any = func.left(VisitTally.area_code, _next_level(period.area)) if by == "area" else VisitTally.author_id
    rows = (
        select(
            key.label("key"),
            func.count().label("done"),
            func.count().filter(VisitTally.is_late).label("late"),
            func.count().filter(VisitTally.is_returned).label("returned"),
            _in_order(VisitTally.decided_after_s).label("decided"),
        )
        .where(
            _within(VisitTally.area_code, caller, period),
            VisitTally.visited_on.between(inline_literal(period.first), inline_literal(period.last)),
        )
        .group_by(key)
    )
    if len(period.area) >= COUNTY:
        rows = rows.where(VisitTally.county_code == period.area[:COUNTY])
    one = rows.subquery()
    return _line(select(one.c.key, one.c.done, one.c.late, one.c.returned, _middle(one.c.decided).label("median")))


def _in_order(seconds: Any) -> Any:
    """`percentile_cont` has all rows sorted by whom they are of before it sorts each one's: this takes half as long."""
    return func.array_sort(func.array_agg(seconds).filter(seconds.is_not(None)), type_=ARRAY(Double))


def _middle(ordered: Any) -> Any:
    """Hours: of an even number between the middle two. Null of none."""
    size = func.cardinality(ordered, type_=Integer)
    return (ordered[(size + 1) // 2] + ordered[(size + 2) // 2]) / 2 / SECONDS


def _summed_level(caller: Caller, period: Period) -> int | None:
    """At which level months are summed that hold all which this caller asks for, and no more."""
    if len(period.area) >= COUNTY:
        return None
    asked = [period.area] if caller.covers(period.area, REVIEW_ROLES) else caller.prefixes(REVIEW_ROLES)
    finest = max(len(one) for one in (*asked, "9" * _next_level(period.area)))
    return next((level for level in SUMMED_LEVELS if level >= finest), None)


def _done_by_buckets(caller: Caller, period: Period, level: int) -> Select[Any]:
    """Whole months from their sums, and the days before and after them, or all, one by one."""
    length = _next_level(period.area)
    whole = monthly_rollup.within(period.first, period.last)
    days = [
        monthly_rollup.count_days(length).where(
            _within(VisitTally.area_code, caller, period),
            VisitTally.visited_on.between(inline_literal(first), inline_literal(last)),
        )
        for first, last in monthly_rollup.around(period.first, period.last, whole)
    ]
    if whole is None:
        return monthly_rollup.find_medians(union_all(*days))
    summed = monthly_rollup.count_months(VisitMonth, VisitMonth.area_code, length, whole).where(
        _within(VisitMonth.area_code, caller, period), VisitMonth.level == level
    )
    changed = monthly_rollup.count_months(VisitMonthChange, VisitMonthChange.county_code, length, whole).where(
        _within(VisitMonthChange.county_code, caller, period)
    )
    return monthly_rollup.find_medians(union_all(*days, summed, changed))


def _on_the_way(caller: Caller, period: Period, by: By) -> Select[Any]:
    """Of visits that came but are not whole yet: few, and found by an index of theirs."""
    key: Any = func.left(Visit.area_code, _next_level(period.area)) if by == "area" else Visit.author_id
    late = func.count().filter(func.date(func.timezone("Asia/Shanghai", Visit.started_at)) > Assignment.due_on)
    rows = (
        select(
            key.label("key"),
            func.count().label("done"),
            late.label("late"),
            literal(0).label("returned"),
            cast(null(), Double).label("median"),
        )
        .select_from(Visit)
        .outerjoin(Assignment, Assignment.id == Visit.assignment_id)
        .where(
            _within(Visit.area_code, caller, period),
            Visit.state == literal_column("'submitted'"),
            Visit.complete_at.is_(None),
            Visit.started_at >= period.begin,
            Visit.started_at < period.end,
            ~exists().where(VisitTally.visit_id == Visit.id),
        )
        .group_by(key)
    )
    return _line(rows)


def _line(rows: Select[Any]) -> Select[Any]:
    """The columns of the union."""
    one = rows.subquery()
    zero = literal(0)
    return select(
        one.c.key,
        zero.label("due"),
        zero.label("overdue"),
        one.c.done,
        one.c.late,
        one.c.returned,
        one.c.median,
    )


def _next_level(area: str) -> int:
    return next((length for length in sorted(LEVELS) if length > len(area)), max(LEVELS))


def _within(column: Any, caller: Caller, period: Period) -> Any:
    """The area asked for, and no more of it than is the caller's; nothing is said twice, for each row is asked."""
    under = column.startswith(inline_literal(period.area))
    if period.area and caller.covers(period.area, REVIEW_ROLES):
        return under
    own = or_(false(), *(column.startswith(inline_literal(prefix)) for prefix in caller.prefixes(REVIEW_ROLES)))
    return and_(own, under) if period.area else own


def _due(caller: Caller, period: Period, by: By, today: date) -> Select[Any]:
    """Of open visits, from the index of those that are due."""
    # Whoever holds the home has it to do; its partner has it in hand too.
    held = (
        select(Caseload.staff_id)
        .where(Caseload.household_id == Assignment.household_id, Caseload.revoked_at.is_(None))
        .offset(0)
        .lateral("held")
    )
    key: Any = func.left(Assignment.area_code, _next_level(period.area)) if by == "area" else held.c.staff_id
    zero = literal(0)
    rows = (
        select(
            key.label("key"),
            func.count().label("due"),
            func.count().filter(Assignment.due_on < today).label("overdue"),
            zero.label("done"),
            zero.label("late"),
            zero.label("returned"),
            cast(null(), Double).label("median"),
        )
        .select_from(Assignment)
        .where(
            _within(Assignment.area_code, caller, period),
            Assignment.state == literal_column("'open'"),
            Assignment.kind != "spot_check",
            Assignment.due_on <= period.last,
        )
        .group_by(key)
    )
    return rows if by == "area" else rows.join(held, true())


async def rate_findings(session: AsyncSession, caller: Caller, period: Period) -> list[FindingRate]:
    """By code, the most frequent first; findings that were settled count even when they no longer hold."""
    require(caller, REVIEW_ROLES)
    upheld = func.count().filter(Finding.settled_as == "upheld")
    dismissed = func.count().filter(Finding.settled_as == "dismissed")
    rows = await session.execute(
        select(Finding.code, func.count(), upheld, dismissed)
        .where(
            _within(Finding.area_code, caller, period),
            Finding.visited_on.between(period.first, period.last),
            or_(Finding.superseded_at.is_(None), Finding.settled_as.is_not(None)),
        )
        .group_by(Finding.code)
        .order_by(func.count().desc(), Finding.code)
    )
    return [
        FindingRate(
            code=code,
            found=found,
            upheld=yes,
            dismissed=no,
            upheld_percent=round(100 * yes / (yes + no), 1) if yes + no else None,
        )
        for code, found, yes, no in rows
    ]


async def map_points(session: AsyncSession, caller: Caller, period: Period) -> list[MapPoint]:
    """Where visits began, the latest first, MOST_POINTS at most; none that the caller is on the way to check."""
    require(caller, REVIEW_ROLES)
    rows = await session.execute(
        select(
            SeenFix.visit_id,
            SeenFix.latitude,
            SeenFix.longitude,
            SeenFix.datum,
            SeenFix.captured_at,
            SeenFix.staff_id,
            func.coalesce(ReviewItem.gravest, -1),
        )
        .outerjoin(ReviewItem, ReviewItem.visit_id == SeenFix.visit_id)
        .where(
            _within(SeenFix.area_code, caller, period),
            SeenFix.moment == "start",
            SeenFix.captured_at >= period.begin,
            SeenFix.captured_at < period.end,
            SeenFix.visit_id.not_in(SpotCheck.hidden_from(caller.id)),
        )
        .order_by(SeenFix.captured_at.desc())
        .limit(MOST_POINTS)
    )
    return [_point(*row) for row in rows]  # type: ignore[arg-type]  # the datum is copied from a Fix


def _point(  # one row of the query
    visit_id: UUID, latitude: float, longitude: float, datum: Datum, at: datetime, staff_id: UUID, severity_rank: int
) -> MapPoint:
    place = to_wgs84(Fix(latitude=latitude, longitude=longitude, datum=datum, captured_at=at))
    return MapPoint(
        visit_id=visit_id,
        latitude=round(place.latitude, 6),
        longitude=round(place.longitude, 6),
        at=at,
        staff_id=staff_id,
        severity_rank=severity_rank,
    )
