"""The nightly schedule of reviews, spread over the period by village and day.

A household is due a number of months after its last visit (`review.interval_months`, by class). A household that was
never visited gets a day of the cycle from its village and its position in it, so that neither a new county nor a new
village falls due all at once. `route_planning.py` plans the day on which a caseworker goes.
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
from server.audit.actions import Action
from server.checklists.versions import find_newest_checklist
from server.checklists.wording import visit_kind_text
from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.job_types import Notify, ScheduleCounties, ScheduleCounty
from server.core.services import Services
from server.core.working_days import day_of
from server.models.cases import GRANTED_STATES, CaseFile
from server.models.checklists import ChecklistTemplate
from server.models.households import Assignment, Household
from server.models.visits import Visit
from server.models.workload import BlockedVisit
from server.policy.resolver import load_policy_values
from server.sync_feed.publish import publish_change
from server.workload.assignments import create_assignment, notify_each_holder
from server.workload.route_planning import plan_days
from server.workload.unfulfilled_orders import fulfil_orders, list_responsible_staff, record_unfulfilled_order

MONTHS_IN_YEAR = 12
COUNTS_AS_REVIEW = ("intake", "review")


class HouseholdReview(NamedTuple):
    household_id: UUID
    class_: str
    last_visited_on: date | None
    # A review is open already. The household still counts for the positions in the village.
    is_waiting: bool = False
    # Of the case by which the household receives; null where no officer has confirmed it.
    programme: str | None = None


@jobs.task(ScheduleCounties, cron="0 19 * * *")
async def schedule_all_counties(services: Services, _: ScheduleCounties) -> None:
    """Run at 3:00 China time: queue one job for each county that has households."""
    async with open_session(services.sessions) as session:
        counties = await session.scalars(
            select(func.left(Household.area_code, 6)).distinct().where(Household.class_.is_not(None))
        )
        for county in sorted(counties):
            await jobs.defer(session, ScheduleCounty(county_code=county), once=f"schedule:{county}")


@jobs.task(ScheduleCounty)
async def schedule_county(services: Services, job: ScheduleCounty) -> None:
    async with open_session(services.sessions) as session:
        await schedule_reviews(session, job.county_code, utc_now())


async def schedule_reviews(session: AsyncSession, county_code: str, now: datetime) -> int:
    """Create the reviews that fall due within `review.schedule_ahead_days` and return how many. Idempotent.

    Also fulfils orders that waited for a checklist, and plans visits that are in no day plan.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(literal(f"schedule:{county_code}")))))
    today = day_of(now)
    await fulfil_orders(session, BlockedVisit.area_code.startswith(county_code))
    assignment_ids: list[UUID] = []
    blocked = 0
    for village, households in (await load_households(session, county_code)).items():
        settings = await load_policy_values(session, village, today)
        soon = select_due_soon(village, households, settings, today)
        checklist = await find_newest_checklist(session, village, "review") if soon else None
        if checklist is not None:
            assignment_ids += _create_assignments(session, soon, checklist)
        else:
            blocked += await _record_unfulfilled(session, village, soon)
    await session.flush()  # publish_change reads them
    await publish_change(session, "assignments", assignment_ids)
    await plan_days(session, county_code, today)
    if assignment_ids:
        audit.record(
            session,
            None,
            Action.WORKLOAD_SCHEDULED,
            "area",
            county_code,
            area_code=county_code,
            visits=len(assignment_ids),
        )
        await notify_each_holder(session, assignment_ids, county_code, f"scheduled:{county_code}:{today}")
    if blocked:
        await _notify_unfulfilled(session, county_code, blocked, today)
    return len(assignment_ids)


def _create_assignments(
    session: AsyncSession, soon: list[tuple[HouseholdReview, date]], checklist: ChecklistTemplate
) -> list[UUID]:
    return [create_assignment(session, household.household_id, "review", on, checklist).id for household, on in soon]


async def _record_unfulfilled(session: AsyncSession, village: str, soon: list[tuple[HouseholdReview, date]]) -> int:
    """Record the reviews for which no checklist is published, and return how many are new."""
    order_ids = [
        await record_unfulfilled_order(
            session, household_id=household.household_id, area_code=village, kind="review", due_on=on
        )
        for household, on in soon
    ]
    return sum(order_id is not None for order_id in order_ids)


async def _notify_unfulfilled(session: AsyncSession, county_code: str, count: int, today: date) -> None:
    what = visit_kind_text("review")
    await jobs.defer(
        session,
        Notify(
            kind="visit_blocked",
            thing=f"scheduled:{county_code}:{today}",
            area_code=county_code,
            staff_ids=await list_responsible_staff(session, county_code),
            facts={"count": count, "what": what.zh, "whatEn": what.en},
        ),
    )


async def load_households(session: AsyncSession, county_code: str) -> dict[str, list[HouseholdReview]]:
    """Load households by village, ordered by number: their position decides their day in the cycle."""
    visited = (
        select(func.max(Visit.started_at))
        .where(
            Visit.household_id == Household.id,
            Visit.kind.in_(COUNTS_AS_REVIEW),
            Visit.submitted_at.is_not(None),
            Visit.state.not_in(("returned", "voided")),
        )
        .scalar_subquery()
    )
    is_waiting_query = or_(
        exists().where(
            Assignment.household_id == Household.id, Assignment.state == "open", Assignment.kind.in_(COUNTS_AS_REVIEW)
        ),
        exists().where(
            BlockedVisit.household_id == Household.id,
            BlockedVisit.ended_at.is_(None),
            BlockedVisit.kind.in_(COUNTS_AS_REVIEW),
        ),
    )
    programme = (
        select(func.min(CaseFile.programme))
        .where(CaseFile.household_id == Household.id, CaseFile.state.in_(GRANTED_STATES))
        .scalar_subquery()
    )
    rows = await session.execute(
        select(Household.area_code, Household.id, Household.class_, visited, is_waiting_query, programme)
        .where(Household.area_code.startswith(county_code), Household.class_.is_not(None))
        .order_by(Household.number)
    )
    villages: dict[str, list[HouseholdReview]] = {}
    for area_code, household_id, class_, last, is_waiting, programme_ in rows:
        visited_on = day_of(last) if last else None
        household = HouseholdReview(household_id, class_ or "", visited_on, is_waiting, programme_)
        villages.setdefault(area_code, []).append(household)
    return villages


def select_due_soon(
    village: str, households: list[HouseholdReview], settings: Mapping[str, Any], today: date
) -> list[tuple[HouseholdReview, date]]:
    """Return the households whose review must be created now, by due date."""
    per_day, ahead = int(settings["review.homes_per_day"]), timedelta(days=int(settings["review.schedule_ahead_days"]))
    due = compute_due_dates(village, households, settings["review.interval_months"], per_day, today)
    soon = [(household, on) for household, on in due if on <= today + ahead and not household.is_waiting]
    return sorted(soon, key=lambda item: item[1])


def compute_due_dates(
    village: str, households: Sequence[HouseholdReview], months: Mapping[str, Any], per_day: int, today: date
) -> list[tuple[HouseholdReview, date]]:
    """Return when each household is due. An overdue one is due today: the schedule has no dates in the past."""
    due: list[tuple[HouseholdReview, date]] = []
    for position, household in enumerate(households):
        interval = interval_of(months, household)
        if household.last_visited_on is not None:
            on = max(today, add_months(household.last_visited_on, interval))
        else:
            on = _next_day_of_cycle(f"{village}:{household.class_}:{position // per_day}", interval, today)
        due.append((household, on))
    return due


def interval_of(months: Mapping[str, Any], household: HouseholdReview) -> int:
    """Return the months between two reviews: by class, and by programme where the area tells them apart.

    Until the programme is confirmed, the shorter interval holds.
    """
    interval = int(months[household.class_])
    rural = months.get("rural_homes")
    if rural is None or household.programme == "urban":
        return interval
    of_rural = int(rural[household.class_])
    return of_rural if household.programme == "rural" else min(interval, of_rural)


def _next_day_of_cycle(group: str, months: int, today: date) -> date:
    """Return the next day that has the group's own offset in the cycle. The same every night."""
    length = months * 365 // MONTHS_IN_YEAR
    offset = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8]) % length
    return today + timedelta(days=(offset - today.toordinal()) % length)


def add_months(on: date, months: int) -> date:
    """Return the same day of a later month, or the last day of that month."""
    month = on.month - 1 + months
    year, month = on.year + month // MONTHS_IN_YEAR, month % MONTHS_IN_YEAR + 1
    return date(year, month, min(on.day, calendar.monthrange(year, month)[1]))
