"""The nightly timetable of reviews: each home by its class and area, spread over the period, by village and day.

A home is due so many months after its last visit (`review.interval_months`, by class). A home that was never
visited gets a day of the cycle that follows from its village and place in it, so that neither a new county nor
a new village falls due all at once. Which day a caseworker goes is another matter (`rounds.py`).
"""

import calendar
import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import exists, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.checklists.publishing import newest_checklist
from server.checklists.wording import say_visit
from server.core import jobs
from server.core.database import open_session
from server.core.ids import new_id
from server.core.services import Services
from server.core.tokens import utc_now
from server.core.working_days import day_of
from server.models.checklists import ChecklistTemplate
from server.models.feed import Feed
from server.models.households import Assignment, Household
from server.models.visits import Visit
from server.models.workload import BlockedVisit
from server.policy.resolver import policy_values
from server.sync_feed.publish import publish_change
from server.workload.route_planning import plan_days
from server.workload.unfulfilled_orders import place_blocked, record_unfulfilled_order, who_can_fulfil

MONTHS_IN_YEAR = 12
COUNTS_AS_REVIEW = ("intake", "review")


class Home(NamedTuple):
    household_id: UUID
    class_: str
    last_visited_on: date | None
    # A review of it is open already. It keeps its place in the village all the same.
    is_waiting: bool = False


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
    """Write the reviews that fall due within `review.schedule_ahead_days`; returns how many. Again changes nothing.

    What waited for a checklist is given out where there is one now, and what is in nobody's day plan is planned.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(literal(f"schedule:{county_code}")))))
    today = day_of(now)
    await place_blocked(session, BlockedVisit.area_code.startswith(county_code))
    written: list[UUID] = []
    blocked = 0
    for village, homes in (await _homes(session, county_code)).items():
        rules = await policy_values(session, village, today)
        soon = due_soon(village, homes, rules, today)
        checklist = await newest_checklist(session, village, "review") if soon else None
        if checklist is not None:
            written += _write(session, soon, checklist)
        else:
            blocked += await _keep(session, village, soon)
    await session.flush()  # announce reads them
    await publish_change(session, "assignments", written)
    await plan_days(session, county_code, today)
    if written:
        audit.record(
            session, None, "workload.scheduled", "area", county_code, area_code=county_code, visits=len(written)
        )
        await _tell_holders(session, county_code, written, today)
    if blocked:
        await _tell_blocked(session, county_code, blocked, today)
    return len(written)


def _write(session: AsyncSession, soon: list[tuple[Home, date]], checklist: ChecklistTemplate) -> list[UUID]:
    assignments = [
        Assignment(
            id=new_id(),
            household_id=home.household_id,
            kind="review",
            due_on=on,
            checklist_code=checklist.code,
            checklist_version=checklist.version,
        )
        for home, on in soon
    ]
    session.add_all(assignments)
    return [one.id for one in assignments]


async def _keep(session: AsyncSession, village: str, soon: list[tuple[Home, date]]) -> int:
    """No checklist is published for reviews here: they are kept, and somebody hears of it."""
    kept = [
        await record_unfulfilled_order(
            session, household_id=home.household_id, area_code=village, kind="review", due_on=on
        )
        for home, on in soon
    ]
    return sum(one is not None for one in kept)


async def _tell_blocked(session: AsyncSession, county_code: str, count: int, today: date) -> None:
    what = say_visit("review")
    await jobs.defer(
        session,
        "notifications.tell",
        kind="visit_blocked",
        thing=f"scheduled:{county_code}:{today}",
        area_code=county_code,
        staff_ids=await who_can_fulfil(session, county_code),
        facts={"count": count, "what": what.zh, "whatEn": what.en},
    )


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
    waiting = or_(
        exists().where(
            Assignment.household_id == Household.id, Assignment.state == "open", Assignment.kind.in_(COUNTS_AS_REVIEW)
        ),
        exists().where(
            BlockedVisit.household_id == Household.id,
            BlockedVisit.ended_at.is_(None),
            BlockedVisit.kind.in_(COUNTS_AS_REVIEW),
        ),
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


def due_soon(village: str, homes: list[Home], rules: Mapping[str, Any], today: date) -> list[tuple[Home, date]]:
    """The homes whose review is to be written by now, the first due first."""
    per_day, ahead = int(rules["review.homes_per_day"]), timedelta(days=int(rules["review.schedule_ahead_days"]))
    due = due_days(village, homes, rules["review.interval_months"], per_day, today)
    soon = [(home, on) for home, on in due if on <= today + ahead and not home.is_waiting]
    return sorted(soon, key=lambda one: one[1])


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
