"""Count work of calendar months from stored sums: numbers of visits, and the median from a histogram.

A province's year is a million tallies but a few thousand sums. Days outside a complete month are counted from the
tallies themselves, into the same buckets.
"""

from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, CompoundSelect, Double, Integer, Select, cast, func, select

from server.models.review import VisitMonth, VisitMonthChange, VisitTally

HOUR_S = 3600
DAY = timedelta(days=1)
COUNTED = ("visits", "late", "returned")


class MonthRange(NamedTuple):
    """Consecutive calendar months: the first day of the first, and the day after the last."""

    begin: date
    end: date


def find_complete_months(first: date, last: date) -> MonthRange | None:
    """Return the calendar months that lie within these days, both included."""
    begin = first if first.day == 1 else (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    end = (last + timedelta(days=1)).replace(day=1)
    return MonthRange(begin, end) if begin < end else None


def find_days_outside(first: date, last: date, months: MonthRange | None) -> list[tuple[date, date]]:
    """Return the ranges of days outside the complete months, both ends included."""
    if months is None:
        return [(first, last)]
    parts = (first, months.begin - DAY), (months.end, last)
    return [(begin, end) for begin, end in parts if begin <= end]


def count_days(length: int) -> Select[Any]:
    """Count tallies by area and bucket, the area's code cut to `length`."""
    key, bucket = func.left(VisitTally.area_code, length), func.decided_bucket(VisitTally.decided_after_s)
    late, returned = func.count().filter(VisitTally.is_late), func.count().filter(VisitTally.is_returned)
    counted = func.count().label("visits"), late.label("late"), returned.label("returned")
    return select(key.label("key"), bucket.label("bucket"), *counted).group_by(key, bucket)


def count_months(
    model: type[VisitMonth] | type[VisitMonthChange], area: Any, length: int, months: MonthRange
) -> Select[Any]:
    key = func.left(area, length)
    counted = (func.sum(getattr(model, name)).label(name) for name in COUNTED)
    rows = select(key.label("key"), model.bucket.label("bucket"), *counted).group_by(key, model.bucket)
    return rows.where(model.month >= months.begin, model.month < months.end)


def find_medians(counted: CompoundSelect[Any]) -> Select[Any]:
    """Return per key `done`, `late`, `returned` and the `median` in hours (the mean of the middle two if even)."""
    buckets = counted.subquery()
    sums = (cast(func.sum(buckets.c[name]), BigInteger).label(name) for name in COUNTED)
    by_bucket = select(buckets.c.key, buckets.c.bucket, *sums).group_by(buckets.c.key, buckets.c.bucket).subquery()
    decided = func.sum(by_bucket.c.visits).filter(by_bucket.c.bucket >= 0)
    ranked = select(
        by_bucket,
        cast(decided.over(partition_by=by_bucket.c.key, order_by=by_bucket.c.bucket), Integer).label("upto"),
        cast(decided.over(partition_by=by_bucket.c.key), Integer).label("decided"),
    ).subquery()
    middle = [_at_rank(ranked, n) for n in (1, 2)]
    return select(
        ranked.c.key,
        func.sum(ranked.c.visits).label("done"),
        func.sum(ranked.c.late).label("late"),
        func.sum(ranked.c.returned).label("returned"),
        ((middle[0] + middle[1]) / 2 / HOUR_S).label("median"),
    ).group_by(ranked.c.key)


def _at_rank(ranked: Any, plus: int) -> Any:
    """Return the seconds at the middle rank, assuming that a bucket's visits are spread evenly over it."""
    rank = (ranked.c.decided + plus) // 2
    before = ranked.c.upto - ranked.c.visits
    share = (cast(rank - before, Double) - 0.5) / ranked.c.visits
    holds_rank = ranked.c.bucket >= 0, before < rank, rank <= ranked.c.upto
    return func.max(func.decided_at_bucket(ranked.c.bucket, share)).filter(*holds_rank)
