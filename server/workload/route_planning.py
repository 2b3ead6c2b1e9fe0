"""Plan open visits into days: visits of one village whose due dates are close together share a round.

Each visit goes to a holder of its household. The nightly run plans what is in no plan yet: new orders, households that
changed hands, and visits whose planned day has passed. It never moves visits of the days to come; they are the
caseworker's own.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import Exists, Subquery, exists, func, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Role
from server.core.working_days import working_day
from server.models.households import Assignment, Caseload, Household
from server.models.people import Staff, StaffRole
from server.models.workload import DayPlanStop
from server.policy.resolver import load_overrides, load_policy_values
from server.sync_feed.publish import republish

T = TypeVar("T")


class Round(NamedTuple, Generic[T]):
    """Visits in one village on one day, by due date."""

    day: date
    visits: list[tuple[T, date]]


class VisitPace(NamedTuple):
    """An area's settings: visits per day, and how many days apart the due dates of one round may be."""

    per_day: int
    round_days: int


class _Stop(NamedTuple):
    staff_id: UUID
    assignment_id: UUID
    day: date
    position: int


class _PlannedDay(NamedTuple):
    """What a caseworker's day already contains."""

    village: str
    stops: int
    last_position: int


async def plan_days(session: AsyncSession, county_code: str, today: date) -> int:
    """Plan the county's open visits that are in no plan of a holder of the household. Return how many."""
    overrides = await load_overrides(session)
    stops: list[_Stop] = []
    plans: dict[UUID, dict[date, _PlannedDay]] = {}
    for (staff_id, village), due in (await _load_unplanned_visits(session, county_code, today)).items():
        if staff_id not in plans:
            plans[staff_id] = await _load_planned_days(session, staff_id, today)
        settings = await load_policy_values(session, village, today, ["review.homes_per_day", "review.round_days"])
        pace = VisitPace(int(settings["review.homes_per_day"]), int(settings["review.round_days"]))
        joined, left = _join_planned_rounds(staff_id, village, plans[staff_id], due, pace, today)
        stops += joined
        for planned_round in plan_rounds(left, pace, today, overrides, plans[staff_id]):
            stops += [
                _Stop(staff_id, visit, planned_round.day, position)
                for position, (visit, _) in enumerate(planned_round.visits)
            ]
            plans[staff_id][planned_round.day] = _PlannedDay(
                village, len(planned_round.visits), len(planned_round.visits) - 1
            )
    await _save_stops(session, stops)
    return len(stops)


async def _save_stops(session: AsyncSession, stops: list[_Stop]) -> None:
    """Save the stops, moving those of a past day, and publish the visits to the phones again."""
    if not stops:
        return
    row = insert(DayPlanStop)
    new_position = {"day": row.excluded.day, "position": row.excluded.position}
    await session.execute(
        row.on_conflict_do_update(index_elements=["staff_id", "assignment_id"], set_=new_position),
        [stop._asdict() for stop in stops],
    )
    by_person: dict[UUID, list[str]] = {}
    for stop in stops:
        by_person.setdefault(stop.staff_id, []).append(str(stop.assignment_id))
    for staff_id, ids in sorted(by_person.items()):
        await republish(session, staff_id, "assignments", ids)


async def _load_unplanned_visits(
    session: AsyncSession, county_code: str, today: date
) -> dict[tuple[UUID, str], list[tuple[UUID, date]]]:
    """Return unplanned visits by holder and village, by due date. Spot checks are planned by their teams."""
    due: dict[tuple[UUID, str], list[tuple[UUID, date]]] = {}
    visits = _select_unplanned(county_code, today)
    for assignment_id, due_on, village, staff_id in await session.execute(
        select(visits).order_by(visits.c.due_on, visits.c.id)
    ):
        due.setdefault((staff_id, village), []).append((assignment_id, due_on))
    return due


def _select_unplanned(county_code: str, today: date) -> Subquery:
    """Select each open visit that is in no plan, with the holder who gets it.

    If a household has several holders, the caseworker of its area is chosen, then the one with most households in
    the village.
    """
    holds, is_planned = _count_held_homes(county_code), _is_planned(today)
    return (
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
            Assignment.is_for_holder(),
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


def _count_held_homes(county_code: str) -> Subquery:
    """Count the homes that each caseworker holds in each village."""
    return (
        select(Household.area_code, Caseload.staff_id, func.count().label("homes"))
        .join(Household, Household.id == Caseload.household_id)
        .join(Staff, Staff.id == Caseload.staff_id)
        .where(Household.area_code.startswith(county_code), Caseload.revoked_at.is_(None), Staff.disabled_at.is_(None))
        .group_by(Household.area_code, Caseload.staff_id)
        .subquery()
    )


def _is_planned(today: date) -> Exists:
    """Whether the visit stands in a plan from today on, of somebody who holds the home."""
    return exists().where(
        DayPlanStop.assignment_id == Assignment.id,
        DayPlanStop.day >= today,
        DayPlanStop.staff_id == Caseload.staff_id,
        Caseload.household_id == Assignment.household_id,
        Caseload.revoked_at.is_(None),
    )


async def _load_planned_days(session: AsyncSession, staff_id: UUID, today: date) -> dict[date, _PlannedDay]:
    """Return the days from today on that contain open visits of households the person still holds."""
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
    return {day: _PlannedDay(village, stops, last) for day, village, stops, last in rows}


def _join_planned_rounds(
    staff_id: UUID,
    village: str,
    plans: dict[date, _PlannedDay],
    due: Sequence[tuple[UUID, date]],
    pace: VisitPace,
    today: date,
) -> tuple[list[_Stop], list[tuple[UUID, date]]]:
    """Add visits to rounds already planned to the village, in time and with room. Return the stops and the rest."""
    stops: list[_Stop] = []
    left = []
    for assignment_id, due_on in due:
        begin = max(today, due_on - timedelta(days=pace.round_days))
        days = [
            day
            for day, planned_day in plans.items()
            if planned_day.village == village and planned_day.stops < pace.per_day
        ]
        fits = [day for day in days if begin <= day <= due_on]
        if not fits:
            left.append((assignment_id, due_on))
            continue
        day = max(fits)
        there = plans[day]
        position = there.last_position + 1
        stops.append(_Stop(staff_id, assignment_id, day, position))
        plans[day] = _PlannedDay(village, there.stops + 1, position)
    return stops, left


def plan_rounds(
    due: Sequence[tuple[T, date]],
    pace: VisitPace,
    today: date,
    overrides: Mapping[date, bool],
    taken: Iterable[date] = (),
) -> list[Round[T]]:
    """Group visits into rounds, each on its own working day on or before the first due date.

    If all such days are taken or past, use the first free working day after it.
    """
    used = set(taken)
    rounds: list[Round[T]] = []
    for visits in _group_by_due_date(due, pace):
        day = _find_free_day(visits[0][1], today, overrides, used)
        used.add(day)
        rounds.append(Round(day, visits))
    return rounds


def _group_by_due_date(due: Sequence[tuple[T, date]], pace: VisitPace) -> list[list[tuple[T, date]]]:
    groups: list[list[tuple[T, date]]] = []
    for visit in due:
        last = groups[-1] if groups else []
        if last and len(last) < pace.per_day and (visit[1] - last[0][1]).days <= pace.round_days:
            last.append(visit)
        else:
            groups.append([visit])
    return groups


def _find_free_day(due_on: date, today: date, overrides: Mapping[date, bool], used: set[date]) -> date:
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
