"""Work of whole months, from sums that stand: how many visits, and the median of a histogram.

A province's year is a million tallies and a few thousand sums. Days of a month that is not whole are counted
from the tallies themselves, into the same buckets.
"""

from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, CompoundSelect, Double, Integer, Select, cast, func, select

from server.models.review import VisitMonth, VisitMonthChange, VisitTally

HOUR_S = 3600
DAY = timedelta(days=1)
COUNTED = ("visits", "late", "returned")


class Months(NamedTuple):
    """Calendar months one after the other: the first day of the first, and the day after the last."""

    begin: date
    end: date


def within(first: date, last: date) -> Months | None:
    """The months that lie in these days, both counted."""
    begin = first if first.day == 1 else (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    end = (last + timedelta(days=1)).replace(day=1)
    return Months(begin, end) if begin < end else None


def around(first: date, last: date, whole: Months | None) -> list[tuple[date, date]]:
    """The days of these that lie in no whole month, from and to, both counted."""
    if whole is None:
        return [(first, last)]
    parts = (first, whole.begin - DAY), (whole.end, last)
    return [(begin, end) for begin, end in parts if begin <= end]


def count_days(length: int) -> Select[Any]:
    """Tallies by area and bucket, the area's code cut to `length`."""
    key, bucket = func.left(VisitTally.area_code, length), func.decided_bucket(VisitTally.decided_after_s)
    late, returned = func.count().filter(VisitTally.is_late), func.count().filter(VisitTally.is_returned)
    counted = func.count().label("visits"), late.label("late"), returned.label("returned")
    return select(key.label("key"), bucket.label("bucket"), *counted).group_by(key, bucket)


def count_months(
    model: type[VisitMonth] | type[VisitMonthChange], area: Any, length: int, whole: Months
) -> Select[Any]:
    key = func.left(area, length)
    counted = (func.sum(getattr(model, name)).label(name) for name in COUNTED)
    rows = select(key.label("key"), model.bucket.label("bucket"), *counted).group_by(key, model.bucket)
    return rows.where(model.month >= whole.begin, model.month < whole.end)


def find_medians(counted: CompoundSelect[Any]) -> Select[Any]:
    """By key: `done`, `late`, `returned` and the `median` in hours, of an even number between the middle two."""
    one = counted.subquery()
    sums = (cast(func.sum(one.c[name]), BigInteger).label(name) for name in COUNTED)
    by_bucket = select(one.c.key, one.c.bucket, *sums).group_by(one.c.key, one.c.bucket).subquery()
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
    """Seconds of the visit in the middle: its bucket's visits lie evenly in it."""
    rank = (ranked.c.decided + plus) // 2
    before = ranked.c.upto - ranked.c.visits
    share = (cast(rank - before, Double) - 0.5) / ranked.c.visits
    is_there = ranked.c.bucket >= 0, before < rank, rank <= ranked.c.upto
    return func.max(func.decided_at_bucket(ranked.c.bucket, share)).filter(*is_there)
