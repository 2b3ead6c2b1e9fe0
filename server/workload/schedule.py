"""The nightly timetable of reviews: each home by its class and area, spread over the period, by village and day.

A home is due so many months after its last visit (`review.interval_months`, by class). A home that was never
visited gets a day of the cycle that follows from its village and place in it, so that neither a new county nor
a new village falls due all at once. Homes of one village whose days lie near each other make one day's round.
"""

import calendar
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import exists, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.access import Role
from server.core.database import open_session
from server.core.ids import new_id
from server.core.services import Services
from server.core.tokens import utc_now
from server.core.workdays import day_of, working_day
from server.models import audit
from server.models.areas import load_overrides, rule_values
from server.models.checklists import ChecklistTemplate
from server.models.feed import Feed, announce
from server.models.households import Assignment, Caseload, Household
from server.models.people import StaffRole
from server.models.visits import Visit
from server.models.workload import DayPlanStop

# Homes whose due days lie so near each other may share a round.
ROUND_DAYS = 14
MONTHS_IN_YEAR = 12
COUNTS_AS_REVIEW = ("intake", "review")


class Home(NamedTuple):
    household_id: UUID
    class_: str
    last_visited_on: date | None
    # A review of it is open already. It keeps its place in the village all the same.
    is_waiting: bool = False


class Round(NamedTuple):
    """Homes of one village for one day, in the order of their due days."""

    day: date
    homes: list[tuple[Home, date]]


@jobs.task("workload.schedule", cron="0 19 * * *")
async def schedule_all(services: Services) -> None:
    """Three in the morning in China: one job for each county that has homes."""
    async with open_session(services.sessions) as session:
        counties = await session.scalars(
            select(func.left(Household.area_code, 6)).distinct().where(Household.class_.is_not(None))
        )
        for county in sorted(counties):
            await jobs.defer(session, "workload.schedule_county", once=f"schedule:{county}", county_code=county)


@jobs.task("workload.schedule_county")
async def schedule_county(services: Services, *, county_code: str) -> None:
    async with open_session(services.sessions) as session:
        await schedule(session, county_code, utc_now())


async def schedule(session: AsyncSession, county_code: str, now: datetime) -> int:
    """Write the reviews that fall due within `review.schedule_ahead_days`; returns how many. Again changes nothing."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(literal(f"schedule:{county_code}")))))
    today = day_of(now)
    overrides = await load_overrides(session)
    written: list[UUID] = []
    for village, homes in (await _homes(session, county_code)).items():
        rules = await rule_values(session, village, today)
        written += await _schedule_village(session, village, homes, rules, today, overrides)
    await session.flush()  # announce reads them
    await announce(session, "assignments", written)
    if written:
        audit.record(
            session, None, "workload.scheduled", "area", county_code, area_code=county_code, visits=len(written)
        )
        await _tell_holders(session, county_code, written, today)
    return len(written)


async def _tell_holders(session: AsyncSession, county_code: str, written: list[UUID], today: date) -> None:
    """One notice a person and night, however many visits."""
    rows = await session.execute(
        select(Feed.staff_id, func.count())
        .where(Feed.collection == "assignments", Feed.doc_id.in_([str(one) for one in written]))
        .where(Feed.is_deleted.is_(False))
        .group_by(Feed.staff_id)
        .order_by(Feed.staff_id)
    )
    for staff_id, count in rows:
        await jobs.defer(
            session,
            "notifications.tell",
            kind="assigned",
            thing=f"scheduled:{county_code}:{today}",
            area_code=county_code,
            staff_ids=[str(staff_id)],
            facts={"count": count},
        )


async def _homes(session: AsyncSession, county_code: str) -> dict[str, list[Home]]:
    """By village, in order of their numbers, which is what their places in the cycle follow from."""
    visited = (
        select(func.max(Visit.started_at))
        .where(
            Visit.household_id == Household.id,
            Visit.kind.in_(COUNTS_AS_REVIEW),
            Visit.submitted_at.is_not(None),
            Visit.state != "returned",
        )
        .scalar_subquery()
    )
    waiting = exists().where(
        Assignment.household_id == Household.id, Assignment.state == "open", Assignment.kind.in_(COUNTS_AS_REVIEW)
    )
    rows = await session.execute(
        select(Household.area_code, Household.id, Household.class_, visited, waiting)
        .where(Household.area_code.startswith(county_code), Household.class_.is_not(None))
        .order_by(Household.number)
    )
    villages: dict[str, list[Home]] = {}
    for area_code, household_id, class_, last, is_waiting in rows:
        visited_on = day_of(last) if last else None
        villages.setdefault(area_code, []).append(Home(household_id, class_ or "", visited_on, is_waiting))
    return villages


async def _schedule_village(
    session: AsyncSession,
    village: str,
    homes: list[Home],
    rules: Mapping[str, Any],
    today: date,
    overrides: Mapping[date, bool],
) -> list[UUID]:
    checklist = await _checklist(session, village)
    per_day, ahead = int(rules["review.homes_per_day"]), timedelta(days=int(rules["review.schedule_ahead_days"]))
    due = due_days(village, homes, rules["review.interval_months"], per_day, today)
    soon = [(home, on) for home, on in due if on <= today + ahead and not home.is_waiting]
    soon.sort(key=lambda one: one[1])
    if checklist is None or not soon:
        return []
    holder = await _holder(session, village, [home.household_id for home, _ in soon])
    taken = await _days_taken(session, holder, today)
    written: list[UUID] = []
    for one in plan_rounds(soon, per_day, today, overrides, taken):
        for position, (home, on) in enumerate(one.homes):
            assignment = Assignment(
                id=new_id(),
                household_id=home.household_id,
                kind="review",
                due_on=on,
                checklist_code=checklist.code,
                checklist_version=checklist.version,
            )
            session.add(assignment)
            written.append(assignment.id)
            if holder is not None:
                await session.flush()  # the stop names the assignment
                session.add(DayPlanStop(staff_id=holder, assignment_id=assignment.id, day=one.day, position=position))
    return written


async def _checklist(session: AsyncSession, village: str) -> ChecklistTemplate | None:
    """The newest review checklist of the nearest area."""
    found: ChecklistTemplate | None = await session.scalar(
        select(ChecklistTemplate)
        .where(
            ChecklistTemplate.kind == "review",
            ChecklistTemplate.retired_at.is_(None),
            literal(village).startswith(ChecklistTemplate.area_code),
        )
        .order_by(
            func.length(ChecklistTemplate.area_code).desc(),
            ChecklistTemplate.published_at.desc(),
            ChecklistTemplate.version.desc(),
        )
        .limit(1)
    )
    return found


async def _holder(session: AsyncSession, village: str, household_ids: Sequence[UUID]) -> UUID | None:
    """The caseworker whose area this is and who holds most of these homes."""
    found: UUID | None = await session.scalar(
        select(Caseload.staff_id)
        .join(StaffRole, StaffRole.staff_id == Caseload.staff_id)
        .where(
            Caseload.household_id.in_(household_ids),
            Caseload.revoked_at.is_(None),
            StaffRole.role == Role.CASEWORKER,
            StaffRole.revoked_at.is_(None),
        )
        .group_by(Caseload.staff_id)
        .order_by(
            func.bool_or(literal(village).startswith(StaffRole.area_code)).desc(),
            func.count().desc(),
            Caseload.staff_id,
        )
        .limit(1)
    )
    return found


async def _days_taken(session: AsyncSession, holder: UUID | None, today: date) -> set[date]:
    days = select(DayPlanStop.day).distinct().where(DayPlanStop.staff_id == holder, DayPlanStop.day >= today)
    return set(await session.scalars(days))


def due_days(
    village: str, homes: Sequence[Home], months: Mapping[str, int], per_day: int, today: date
) -> list[tuple[Home, date]]:
    """When each home is due. Overdue ones are due today, never in the past: the timetable begins with it."""
    due: list[tuple[Home, date]] = []
    for place, home in enumerate(homes):
        interval = int(months[home.class_])
        if home.last_visited_on is not None:
            on = max(today, add_months(home.last_visited_on, interval))
        else:
            on = _day_of_cycle(f"{village}:{home.class_}:{place // per_day}", interval, today)
        due.append((home, on))
    return due


def _day_of_cycle(group: str, months: int, today: date) -> date:
    """The next day whose place in a cycle of so many months is the group's own: the same every night."""
    length = months * 365 // MONTHS_IN_YEAR
    wanted = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8]) % length
    return today + timedelta(days=(wanted - today.toordinal()) % length)


def add_months(on: date, months: int) -> date:
    """The same day of a later month, or that month's last."""
    month = on.month - 1 + months
    year, month = on.year + month // MONTHS_IN_YEAR, month % MONTHS_IN_YEAR + 1
    return date(year, month, min(on.day, calendar.monthrange(year, month)[1]))


def plan_rounds(
    due: Sequence[tuple[Home, date]],
    per_day: int,
    today: date,
    overrides: Mapping[date, bool],
    taken: Iterable[date] = (),
) -> list[Round]:
    """Rounds of homes in order of their due days, each on a working day of its own, on or before the first is due.

    Where all such days are taken or past, the first free working day after: late is better than never.
    """
    used = set(taken)
    rounds: list[Round] = []
    for homes in _near_each_other(due, per_day):
        day = _free_day(homes[0][1], today, overrides, used)
        used.add(day)
        rounds.append(Round(day, homes))
    return rounds


def _near_each_other(due: Sequence[tuple[Home, date]], per_day: int) -> list[list[tuple[Home, date]]]:
    groups: list[list[tuple[Home, date]]] = []
    for one in due:
        fits = groups and len(groups[-1]) < per_day and (one[1] - groups[-1][0][1]).days <= ROUND_DAYS
        if fits:
            groups[-1].append(one)
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
