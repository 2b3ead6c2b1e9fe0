"""The yearly decree on holidays (国务院办公厅关于部分节假日安排的通知): days off, and weekends on which people work.

A list with 1 January and 1 October off is that of a whole year: then every other day of the year follows the week, and
is certain. Any other list adds days to what is there, such as 三月三 in Guangxi. Open deadlines are computed anew.
One calendar counts for all counties of an installation, so nobody who answers for one of several changes it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from server.core import jobs
from server.core.access import Role
from server.core.job_types import RecomputeDeadlines
from server.core.working_days import day_of, is_published
from server.imports.columns import Column, Line
from server.imports.import_kind import Outcome, PlannedLine, PlanToApply, Work, refuse_if_faulty
from server.models.areas import CalendarDay

_WORKS = {"放假": False, "休息": False, "休": False, "上班": True, "补班": True, "调休上班": True, "班": True}
# Of days that no line names, in a year whose list is whole.
BY_THE_WEEK = "按周计算（全年安排已公布）"
_LONGEST_DAYS = 31
# A decree is published for the next year.
_YEARS_AHEAD = 2
_SATURDAY = 5
_DAY = timedelta(days=1)


class CalendarImport:
    name = "calendar"
    columns = (
        Column("day", "日期", ("起始日期", "开始日期", "date"), is_required=True),
        Column("until", "至", ("截止日期", "结束日期", "until")),
        Column("works", "安排", ("放假或上班", "类型", "kind"), is_required=True),
        Column("source", "依据", ("文件", "文号", "source"), is_required=True),
    )
    roles = frozenset({Role.ADMIN})
    makes_accounts = False
    counts_everywhere = True

    async def plan(self, work: Work, lines: Sequence[Line]) -> list[PlannedLine]:
        rows = await work.session.scalars(select(CalendarDay))
        here = {row.day: (row.is_working, row.source) for row in rows}
        planned = [_plan_line(line, here, day_of(work.now).year) for line in lines]
        _refuse_repeated_days(planned)
        return planned

    async def apply(self, work: Work, plans: Sequence[PlanToApply]) -> None:
        for plan in plans:
            days = [date.fromisoformat(day) for day in plan.plan["days"]]
            rows = await work.session.scalars(select(CalendarDay).where(CalendarDay.day.in_(days)))
            plan.before = {row.day.isoformat(): [row.is_working, row.source] for row in rows}
            plan.thing_id = plan.plan["days"][0]
            for day in days:
                await _write(work, day, works=plan.plan["works"], source=plan.plan["source"])
        for year in {day.year for plan in plans for day in _days_of(plan)}:
            await _complete_year(work, year)
        await jobs.defer(work.session, RecomputeDeadlines())

    async def find_acted_upon(self, work: Work, plans: Sequence[PlanToApply]) -> int:
        """Nobody acts on a day; deadlines are computed anew once more."""
        del work, plans
        return 0

    async def undo(self, work: Work, plans: Sequence[PlanToApply]) -> None:
        for plan in plans:
            await work.session.execute(delete(CalendarDay).where(CalendarDay.day.in_(_days_of(plan))))
            for day, (works, source) in (plan.before or {}).items():
                await _write(work, date.fromisoformat(day), works=works, source=source)
        for year in {day.year for plan in plans for day in _days_of(plan)}:
            await _complete_year(work, year)
        await jobs.defer(work.session, RecomputeDeadlines())


def _plan_line(line: Line, here: Mapping[date, tuple[bool, str]], this_year: int) -> PlannedLine:
    day, until = line.day("day"), line.day("until")
    text, source = line.required("works"), line.required("source")
    if not line.text("day"):
        line.required("day")
    if text and text not in _WORKS:
        line.add_fault("works", "cell.not_listed", "应为 放假 或 上班", "write 放假 or 上班")
    if day and day.year > this_year + _YEARS_AHEAD:
        line.add_fault("day", "cell.not_a_date", "年份过远", "a year too far ahead")
    if day and until and not timedelta() <= until - day <= timedelta(days=_LONGEST_DAYS):
        line.add_fault("until", "cell.not_a_period", "截止日期早于起始日期或相隔过长", "before its start, or too far")
    if refused := refuse_if_faulty(line, line.text("day")):
        return refused
    assert day is not None
    days = [day + n * _DAY for n in range(((until or day) - day).days + 1)]
    works = _WORKS[text]
    plan = {"days": [on.isoformat() for on in days], "works": works, "source": source}
    title = f"{day}" if len(days) == 1 else f"{day} – {days[-1]}"
    return PlannedLine(line=line, title=f"{title} {text}", outcome=_compare(days, here, works, source), plan=plan)


def _compare(days: Sequence[date], here: Mapping[date, tuple[bool, str]], works: bool, source: str) -> Outcome:
    if all(here.get(day) == (works, source) for day in days):
        return "unchanged"
    return "changed" if any(day in here for day in days) else "new"


def _refuse_repeated_days(planned: Sequence[PlannedLine]) -> None:
    seen: dict[str, Line] = {}
    for item in planned:
        repeated = next((day for day in (item.plan or {}).get("days", ()) if day in seen), None)
        if repeated is not None:
            row = f"{seen[repeated].sheet} {seen[repeated].number}"
            item.line.add_fault("day", "line.twice", f"与第 {row} 行重复", f"the same as row {row}")
            item.outcome, item.faults, item.plan = "refused", item.line.faults, None
        else:
            seen |= dict.fromkeys((item.plan or {}).get("days", ()), item.line)


def _days_of(plan: PlanToApply) -> list[date]:
    return [date.fromisoformat(day) for day in plan.plan["days"]]


async def _complete_year(work: Work, year: int) -> None:
    """Write every day that no list names, if the year's list is whole; remove them if it is no longer."""
    in_year = CalendarDay.day.between(date(year, 1, 1), date(year, 12, 31))
    await work.session.execute(delete(CalendarDay).where(in_year, CalendarDay.source == BY_THE_WEEK))
    rows = await work.session.execute(select(CalendarDay.day, CalendarDay.is_working).where(in_year))
    named: dict[date, bool] = dict(rows.all())
    is_whole = named.get(date(year, 1, 1)) is False and named.get(date(year, 10, 1)) is False
    if is_published(year) or not is_whole:
        return
    for day in _each_day(year):
        if day not in named:
            await _write(work, day, works=day.weekday() < _SATURDAY, source=BY_THE_WEEK)


def _each_day(year: int) -> Iterable[date]:
    first = date(year, 1, 1)
    return (first + n * _DAY for n in range((date(year + 1, 1, 1) - first).days))


async def _write(work: Work, day: date, *, works: bool, source: str) -> None:
    values = {"is_working": works, "source": source}
    row = insert(CalendarDay).values(day=day, **values).on_conflict_do_update(index_elements=["day"], set_=values)
    await work.session.execute(row)
