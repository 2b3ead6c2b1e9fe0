"""Rounds: open visits that are in no day plan get a day, those of one village whose days lie near each other the same.

Each visit goes to whoever holds its home; homes that changed hands, and visits that somebody ordered, are planned the
night after, and what was not done on its day once more. Days to come are the caseworker's own: nothing here moves them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Role
from server.core.working_days import working_day
from server.models.households import Assignment, Caseload, Household
from server.models.people import Staff, StaffRole
from server.models.workload import DayPlanStop
from server.policy.resolver import load_overrides, policy_values
from server.sync_feed.publish import republish

T = TypeVar("T")


class Round(NamedTuple, Generic[T]):
    """Visits in one village for one day, in the order of their due days."""

    day: date
    visits: list[tuple[T, date]]


class Habit(NamedTuple):
    """How an area goes on its rounds: so many homes a day, and how far apart their due days may lie."""

    per_day: int
    round_days: int


class _Stop(NamedTuple):
    staff_id: UUID
    assignment_id: UUID
    day: date
    position: int


class _Planned(NamedTuple):
    """What a caseworker's day holds already."""

    village: str
    stops: int
    last_position: int


async def plan_days(session: AsyncSession, county_code: str, today: date) -> int:
    """Plan what is open in the county and in no plan of a caseworker who holds the home; returns how many."""
    overrides = await load_overrides(session)
    stops: list[_Stop] = []
    plans: dict[UUID, dict[date, _Planned]] = {}
    for (staff_id, village), due in (await _unplanned(session, county_code, today)).items():
        if staff_id not in plans:
            plans[staff_id] = await _plans(session, staff_id, today)
        rules = await policy_values(session, village, today, ["review.homes_per_day", "review.round_days"])
        habit = Habit(int(rules["review.homes_per_day"]), int(rules["review.round_days"]))
        joining, left = _join(staff_id, village, plans[staff_id], due, habit, today)
        stops += joining
        for one in plan_rounds(left, habit, today, overrides, plans[staff_id]):
            stops += [_Stop(staff_id, visit, one.day, position) for position, (visit, _) in enumerate(one.visits)]
            plans[staff_id][one.day] = _Planned(village, len(one.visits), len(one.visits) - 1)
    await _write(session, stops)
    return len(stops)


async def _write(session: AsyncSession, stops: list[_Stop]) -> None:
    """A stop of a day that is past moves. The phones that have the visits get them with their new places."""
    if not stops:
        return
    row = insert(DayPlanStop)
    moved = {"day": row.excluded.day, "position": row.excluded.position}
    await session.execute(
        row.on_conflict_do_update(index_elements=["staff_id", "assignment_id"], set_=moved),
        [one._asdict() for one in stops],
    )
    by_person: dict[UUID, list[str]] = {}
    for one in stops:
        by_person.setdefault(one.staff_id, []).append(str(one.assignment_id))
    for staff_id, ids in sorted(by_person.items()):
        await republish(session, staff_id, "assignments", ids)


async def _unplanned(
    session: AsyncSession, county_code: str, today: date
) -> dict[tuple[UUID, str], list[tuple[UUID, date]]]:
    """By holder and village, the first due first. A blind spot check is its team's own affair.

    Of several who hold a home: the caseworker whose area it lies in, then whoever holds most homes of the village.
    """
    holds = (
        select(Household.area_code, Caseload.staff_id, func.count().label("homes"))
        .join(Household, Household.id == Caseload.household_id)
        .join(Staff, Staff.id == Caseload.staff_id)
        .where(Household.area_code.startswith(county_code), Caseload.revoked_at.is_(None), Staff.disabled_at.is_(None))
        .group_by(Household.area_code, Caseload.staff_id)
        .subquery()
    )
    is_planned = exists().where(
        DayPlanStop.assignment_id == Assignment.id,
        DayPlanStop.day >= today,
        DayPlanStop.staff_id == Caseload.staff_id,
        Caseload.household_id == Assignment.household_id,
        Caseload.revoked_at.is_(None),
    )
    one_holder = (
        select(Assignment.id, Assignment.due_on, Household.area_code, Caseload.staff_id)
        .ext(distinct_on(Assignment.id))
        .join(Household, Household.id == Assignment.household_id)
        .join(Caseload, (Caseload.household_id == Household.id) & Caseload.revoked_at.is_(None))
        .join(holds, (holds.c.area_code == Household.area_code) & (holds.c.staff_id == Caseload.staff_id))
        .join(
            StaffRole,
            (StaffRole.staff_id == Caseload.staff_id)
            & (StaffRole.role == Role.CASEWORKER)
            & StaffRole.revoked_at.is_(None),
        )
        .where(
            Household.area_code.startswith(county_code),
            Assignment.state == "open",
            Assignment.kind != "spot_check",
            ~is_planned.correlate(Assignment),
        )
        .order_by(
            Assignment.id,
            Household.area_code.startswith(StaffRole.area_code).desc(),
            holds.c.homes.desc(),
            Caseload.staff_id,
        )
        .subquery()
    )
    due: dict[tuple[UUID, str], list[tuple[UUID, date]]] = {}
    for assignment_id, due_on, village, staff_id in await session.execute(
        select(one_holder).order_by(one_holder.c.due_on, one_holder.c.id)
    ):
        due.setdefault((staff_id, village), []).append((assignment_id, due_on))
    return due


async def _plans(session: AsyncSession, staff_id: UUID, today: date) -> dict[date, _Planned]:
    """The days from today on that hold something which is still to be done and still theirs to do."""
    rows = await session.execute(
        select(DayPlanStop.day, func.min(Household.area_code), func.count(), func.max(DayPlanStop.position))
        .join(Assignment, Assignment.id == DayPlanStop.assignment_id)
        .join(Household, Household.id == Assignment.household_id)
        .join(
            Caseload,
            (Caseload.household_id == Household.id)
            & (Caseload.staff_id == DayPlanStop.staff_id)
            & Caseload.revoked_at.is_(None),
        )
        .where(DayPlanStop.staff_id == staff_id, DayPlanStop.day >= today, Assignment.state == "open")
        .group_by(DayPlanStop.day)
    )
    return {day: _Planned(village, stops, last) for day, village, stops, last in rows}


def _join(
    staff_id: UUID,
    village: str,
    plans: dict[date, _Planned],
    due: Sequence[tuple[UUID, date]],
    habit: Habit,
    today: date,
) -> tuple[list[_Stop], list[tuple[UUID, date]]]:
    """Stops in rounds that go to the village anyway, in time and with room, and the visits for which none does."""
    stops: list[_Stop] = []
    left = []
    for assignment_id, due_on in due:
        begin = max(today, due_on - timedelta(days=habit.round_days))
        days = [day for day, one in plans.items() if one.village == village and one.stops < habit.per_day]
        fits = [day for day in days if begin <= day <= due_on]
        if not fits:
            left.append((assignment_id, due_on))
            continue
        day = max(fits)
        there = plans[day]
        position = there.last_position + 1
        stops.append(_Stop(staff_id, assignment_id, day, position))
        plans[day] = _Planned(village, there.stops + 1, position)
    return stops, left


def plan_rounds(
    due: Sequence[tuple[T, date]],
    habit: Habit,
    today: date,
    overrides: Mapping[date, bool],
    taken: Iterable[date] = (),
) -> list[Round[T]]:
    """Rounds of visits in order of their due days, each on a working day of its own, on or before the first is due.

    Where all such days are taken or past, the first free working day after: late is better than never.
    """
    used = set(taken)
    rounds: list[Round[T]] = []
    for visits in _near_each_other(due, habit):
        day = _free_day(visits[0][1], today, overrides, used)
        used.add(day)
        rounds.append(Round(day, visits))
    return rounds


def _near_each_other(due: Sequence[tuple[T, date]], habit: Habit) -> list[list[tuple[T, date]]]:
    groups: list[list[tuple[T, date]]] = []
    for one in due:
        last = groups[-1] if groups else []
        if last and len(last) < habit.per_day and (one[1] - last[0][1]).days <= habit.round_days:
            last.append(one)
        else:
            groups.append([one])
    return groups


def _free_day(due_on: date, today: date, overrides: Mapping[date, bool], used: set[date]) -> date:
    def is_free(day: date) -> bool:
        return day not in used and working_day(day, overrides).working

    before = (due_on - timedelta(days=n) for n in range((due_on - today).days))
    for day in before:
        if is_free(day):
            return day
    after = max(due_on, today)
    while not is_free(after):
        after += timedelta(days=1)
    return after
