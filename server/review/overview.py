"""The supervisor's overview of an area and a period: work done and due, rates of findings, a map of visits.

Each response is one query over indexes by area and time, so its cost depends on the area and period, not on the table.
It counts narrow rows (`visit_tally`, and area and day on each finding), written in the transaction of what they
describe, and sums of them for calendar months of a province. Tests compare both with the direct count.
"""

from datetime import date, datetime, time, timedelta
from typing import Any, Literal
from uuid import UUID

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

from server.core.access import REVIEW_ROLES, Caller, require_role
from server.core.clock import CHINA
from server.core.database import inline_literal
from server.core.http import ResponseBody
from server.core.location import Datum, Fix, to_wgs84
from server.models.areas import LEVELS, Area
from server.models.households import Assignment, Caseload
from server.models.people import Staff
from server.models.review import (
    COUNTY_CODE_LENGTH,
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

MOST_POINTS = 2000
# They count for nothing.
_VOIDED = select(Visit.id).where(Visit.state == literal_column("'voided'"))
# Code lengths that months are summed at: prefectures, counties.
SUMMED_LEVELS = (4, 6)
SECONDS = 3600
By = Literal["area", "caseworker"]


class Period(ResponseBody):
    """An area (empty: all that the caller may see) and its days, both included."""

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
    """`due`: open and due by the period's end; `overdue`: of these, due before today. `late`: done after the due day.

    The median is the time from receipt to the first decision. For areas larger than a county it is exact to the width
    of a bucket: six minutes in the first day, an hour in the first week, then six hours.
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
    """How often a check reported, and how often reviewers agreed: a check that is never upheld is useless."""

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
    """List work by the areas one level below the period's area, or by caseworker."""
    require_role(caller, REVIEW_ROLES)
    parts = (_done(caller, period, by), _incomplete(caller, period, by), _due(caller, period, by, today))
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
    # Bypass the ORM: over thousands of rows it takes longer than the query.
    connection = await session.connection()
    return [WorkLine(*(*values, hours and round(hours, 1))) for *values, hours in await connection.execute(lines)]


def _done(caller: Caller, period: Period, by: By) -> Select[Any]:
    """Count complete visits from their tallies; for areas larger than a county in buckets, from sums of months."""
    if by == "area" and (level := _summed_level(caller, period)):
        return _union_columns(_done_by_buckets(caller, period, level))
    key: Any = func.left(VisitTally.area_code, _next_level(period.area)) if by == "area" else VisitTally.author_id
    rows = (
        select(
            key.label("key"),
            func.count().label("done"),
            func.count().filter(VisitTally.is_late).label("late"),
            func.count().filter(VisitTally.is_returned).label("returned"),
            _sorted_seconds(VisitTally.decided_after_s).label("decided"),
        )
        .where(
            _in_scope(VisitTally.area_code, caller, period),
            VisitTally.visited_on.between(inline_literal(period.first), inline_literal(period.last)),
        )
        .group_by(key)
    )
    if len(period.area) >= COUNTY_CODE_LENGTH:
        rows = rows.where(VisitTally.county_code == period.area[:COUNTY_CODE_LENGTH])
    counted = rows.subquery()
    return _union_columns(
        select(
            counted.c.key,
            counted.c.done,
            counted.c.late,
            counted.c.returned,
            _median_hours(counted.c.decided).label("median"),
        )
    )


def _sorted_seconds(seconds: Any) -> Any:
    """Sort per group: `percentile_cont` also sorts all rows by group first, and takes twice as long."""
    return func.array_sort(func.array_agg(seconds).filter(seconds.is_not(None)), type_=ARRAY(Double))


def _median_hours(ordered: Any) -> Any:
    """Return the median in hours, the mean of the middle two of an even number; null for none."""
    size = func.cardinality(ordered, type_=Integer)
    return (ordered[(size + 1) // 2] + ordered[(size + 2) // 2]) / 2 / SECONDS


def _summed_level(caller: Caller, period: Period) -> int | None:
    """Return the coarsest level of month sums that covers exactly the caller's areas; None: there is none."""
    if len(period.area) >= COUNTY_CODE_LENGTH:
        return None
    areas = [period.area] if caller.covers(period.area, REVIEW_ROLES) else caller.prefixes(REVIEW_ROLES)
    finest = max(len(area) for area in (*areas, "9" * _next_level(period.area)))
    return next((level for level in SUMMED_LEVELS if level >= finest), None)


def _done_by_buckets(caller: Caller, period: Period, level: int) -> Select[Any]:
    """Count calendar months from their sums, and the remaining days from the tallies."""
    length = _next_level(period.area)
    months = monthly_rollup.find_complete_months(period.first, period.last)
    days = [
        monthly_rollup.count_days(length).where(
            _in_scope(VisitTally.area_code, caller, period),
            VisitTally.visited_on.between(inline_literal(first), inline_literal(last)),
        )
        for first, last in monthly_rollup.find_days_outside(period.first, period.last, months)
    ]
    if months is None:
        return monthly_rollup.find_medians(union_all(*days))
    summed = monthly_rollup.count_months(VisitMonth, VisitMonth.area_code, length, months).where(
        _in_scope(VisitMonth.area_code, caller, period), VisitMonth.level == level
    )
    changed = monthly_rollup.count_months(VisitMonthChange, VisitMonthChange.county_code, length, months).where(
        _in_scope(VisitMonthChange.county_code, caller, period)
    )
    return monthly_rollup.find_medians(union_all(*days, summed, changed))


def _incomplete(caller: Caller, period: Period, by: By) -> Select[Any]:
    """Count received but incomplete visits: few, and found by their own index."""
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
            _in_scope(Visit.area_code, caller, period),
            Visit.state == literal_column("'submitted'"),
            Visit.complete_at.is_(None),
            Visit.started_at >= period.begin,
            Visit.started_at < period.end,
            ~exists().where(VisitTally.visit_id == Visit.id),
        )
        .group_by(key)
    )
    return _union_columns(rows)


def _union_columns(rows: Select[Any]) -> Select[Any]:
    """Return the columns that the union expects."""
    counted = rows.subquery()
    zero = literal(0)
    return select(
        counted.c.key,
        zero.label("due"),
        zero.label("overdue"),
        counted.c.done,
        counted.c.late,
        counted.c.returned,
        counted.c.median,
    )


def _next_level(area: str) -> int:
    return next((length for length in sorted(LEVELS) if length > len(area)), max(LEVELS))


def _in_scope(column: Any, caller: Caller, period: Period) -> Any:
    """Limit to the part of the period's area that the caller may see, without redundant predicates per row."""
    under = column.startswith(inline_literal(period.area))
    if period.area and caller.covers(period.area, REVIEW_ROLES):
        return under
    own = or_(false(), *(column.startswith(inline_literal(prefix)) for prefix in caller.prefixes(REVIEW_ROLES)))
    return and_(own, under) if period.area else own


def _due(caller: Caller, period: Period, by: By, today: date) -> Select[Any]:
    """Count open assignments, from the index of those that are due."""
    # The household's caseworker has it to do, and so has the partner.
    caseload = (
        select(Caseload.staff_id)
        .where(
            Caseload.household_id == Assignment.household_id,
            Caseload.revoked_at.is_(None),
            SpotCheck.is_no_team(Caseload.id),
            or_(Assignment.assignee_id.is_(None), Assignment.assignee_id == Caseload.staff_id),
        )
        .offset(0)
        .lateral("caseload_staff")
    )
    key: Any = func.left(Assignment.area_code, _next_level(period.area)) if by == "area" else caseload.c.staff_id
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
            _in_scope(Assignment.area_code, caller, period),
            Assignment.state == literal_column("'open'"),
            Assignment.kind != "spot_check",
            Assignment.due_on <= period.last,
        )
        .group_by(key)
    )
    return rows if by == "area" else rows.join(caseload, true())


async def rate_findings(session: AsyncSession, caller: Caller, period: Period) -> list[FindingRate]:
    """Rate findings by code, the most frequent first. Findings with a verdict count even when superseded."""
    require_role(caller, REVIEW_ROLES)
    upheld = func.count().filter(Finding.settled_as == "upheld")
    dismissed = func.count().filter(Finding.settled_as == "dismissed")
    rows = await session.execute(
        select(Finding.code, func.count(), upheld, dismissed)
        .where(
            _in_scope(Finding.area_code, caller, period),
            Finding.visited_on.between(period.first, period.last),
            or_(Finding.superseded_at.is_(None), Finding.settled_as.is_not(None)),
            Finding.visit_id.not_in(_VOIDED),
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


async def list_points(session: AsyncSession, caller: Caller, period: Period) -> list[MapPoint]:
    """List where visits began, the latest first, at most MOST_POINTS; none that the caller is to check blindly."""
    require_role(caller, REVIEW_ROLES)
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
            _in_scope(SeenFix.area_code, caller, period),
            SeenFix.moment == "start",
            SeenFix.captured_at >= period.begin,
            SeenFix.captured_at < period.end,
            SeenFix.visit_id.not_in(SpotCheck.blinded_visits_of(caller)),
            SeenFix.visit_id.not_in(_VOIDED),
        )
        .order_by(SeenFix.captured_at.desc())
        .limit(MOST_POINTS)
    )
    return [_map_point(*row) for row in rows]  # type: ignore[arg-type]  # the datum is copied from a Fix


def _map_point(  # one row of the query
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
