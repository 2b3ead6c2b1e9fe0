"""Reviews fall due by class, spread over the period, in rounds of one village that a caseworker may reorder."""

import csv
import io
from collections import Counter
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import case, select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.working_days import working_day
from server.models.areas import PolicySetting
from server.models.households import Assignment, Household
from server.models.people import Staff
from server.models.workload import DayPlanStop
from server.workload.route_planning import VisitPace, plan_rounds
from server.workload.schedule import HouseholdReview, add_months, compute_due_dates, schedule_reviews
from tests.days import in_days, month

MONDAY = date(2025, 3, 10)  # of a year whose calendar is published
MONTHS = {"A": 12, "B": 12, "C": 6}
DAY = timedelta(days=1)
HABIT = VisitPace(per_day=6, round_days=14)


def homes(count, class_="C", last=None):
    return [HouseholdReview(new_id(), class_, last) for _ in range(count)]


@pytest.mark.parametrize(
    ("programme", "due"), [("urban", date(2025, 4, 30)), ("rural", date(2025, 10, 31)), (None, date(2025, 4, 30))]
)
def test_urban_and_rural_homes_may_have_their_own_intervals(programme, due):
    """Until the programme is confirmed the shorter one holds."""
    months = MONTHS | {"rural_homes": MONTHS | {"C": 12}}
    home = HouseholdReview(new_id(), "C", date(2024, 10, 31), programme=programme)
    assert compute_due_dates("339901001001", [home], months, 6, MONDAY)[0][1] == due


def test_a_home_is_due_its_interval_after_the_last_visit_and_never_in_the_past():
    for class_, last, due in (
        ("A", date(2024, 3, 31), date(2025, 3, 31)),
        ("C", date(2024, 10, 31), date(2025, 4, 30)),
        ("C", date(2020, 1, 1), MONDAY),
    ):
        assert compute_due_dates("339901001001", homes(1, class_, last), MONTHS, 6, MONDAY)[0][1] == due


def test_the_last_day_of_a_month_stays_the_last_day():
    assert add_months(date(2023, 12, 31), 2) == date(2024, 2, 29)
    assert add_months(date(2024, 3, 15), 12) == date(2025, 3, 15)


def test_homes_never_visited_are_spread_over_the_whole_cycle_in_groups_and_the_same_every_night():
    due = [on for n in range(100) for _, on in compute_due_dates(f"village{n}", homes(12), MONTHS, 6, MONDAY)]
    assert min(due) >= MONDAY
    assert max(due) < MONDAY + 183 * DAY
    by_month = Counter((on - MONDAY).days // 30 for on in due)
    assert min(by_month[n] for n in range(6)) > 100  # of 1,200 in six months
    assert all(count % 6 == 0 for count in Counter(due).values())
    item = homes(12)
    tonight, tomorrow = (compute_due_dates("village", item, MONTHS, 6, MONDAY + n * DAY) for n in (0, 1))
    assert all(a in {b, MONDAY} for (_, a), (_, b) in zip(tonight, tomorrow, strict=True))


def test_rounds_fall_on_working_days_of_their_own_before_anyone_is_overdue():
    due = [(home, date(2025, 5, 28) + n // 3 * DAY) for n, home in enumerate(homes(20))]
    rounds = plan_rounds(due, HABIT, MONDAY, {}, taken=[date(2025, 5, 27)])
    assert [len(item.visits) for item in rounds] == [6, 6, 6, 2]
    assert len({item.day for item in rounds}) == 4
    for entry in rounds:
        assert entry.day <= entry.visits[0][1]
        assert working_day(entry.day, {}).working
        assert entry.day != date(2025, 5, 27)


def test_an_overdue_round_gets_the_next_working_day_and_a_decreed_holiday_is_none():
    holiday = {MONDAY: False, MONDAY + DAY: False}
    rounds = plan_rounds([(home, MONDAY) for home in homes(7)], HABIT, MONDAY, holiday)
    assert [item.day for item in rounds] == [MONDAY + 2 * DAY, MONDAY + 3 * DAY]


def test_homes_whose_days_lie_far_apart_share_no_round():
    near, far = homes(2)
    due = [(near, MONDAY + 20 * DAY), (far, MONDAY + 50 * DAY)]
    by_days = {days: plan_rounds(due, VisitPace(6, days), MONDAY, {}) for days in (14, 29, 30)}
    assert {days: [len(item.visits) for item in rounds] for days, rounds in by_days.items()} == {
        14: [1, 1],
        29: [1, 1],
        30: [2],
    }


# --- in the county ---


async def run(services, now=None):
    async with open_session(services.sessions) as session:
        return await schedule_reviews(session, "339901", now or utc_now())


async def test_a_night_writes_each_due_review_once_and_plans_its_day(services, system):
    async with services.sessions() as session:
        before = set(await session.scalars(select(Assignment.id)))
    written = await run(services)
    assert 0 < written < 292
    assert await run(services) == 0
    async with services.sessions() as session:
        rows = (
            await session.execute(
                select(Assignment, Household, DayPlanStop)
                .join(Household, Household.id == Assignment.household_id)
                .join(DayPlanStop, DayPlanStop.assignment_id == Assignment.id)
            )
        ).all()
    new = [row for row in rows if row[0].id not in before]
    assert len(new) == written
    assert before <= {due.id for due, *_ in rows}
    for due, home, stop in new:
        assert (due.kind, due.checklist_code, home.class_ is not None) == ("review", "review_standard", True)
        assert in_days(-1) <= due.due_on <= in_days(60)  # planned perhaps before midnight
        assert working_day(stop.day, {}).working
    days: dict[tuple, set] = {}
    for _, home, stop in rows:
        days.setdefault((stop.staff_id, stop.day), set()).add(home.area_code)
    assert all(len(villages) == 1 for villages in days.values())
    assert max(Counter((stop.staff_id, stop.day) for *_, stop in rows).values()) <= 6


@pytest.mark.parametrize("round_days", [14, 0])
async def test_a_home_that_was_visited_waits_for_its_interval_by_class_and_area(ground, services, round_days):
    async with open_session(services.sessions) as session:
        # Nothing else is to be visited: else a round that goes to the village anyway, on a day that follows the
        # calendar, takes one of the three with it.
        await session.execute(update(Assignment).values(state="cancelled"))
        three = Household.id.in_([ground.homes[n].id for n in range(3)])
        await session.execute(update(Household).values(class_=case((three, "C"))))
    begin = utc_now().replace(hour=1) - 14 * DAY
    for n in range(3):
        await ground.visit(n, started_at=begin + n * DAY)
    again = {ground.homes[n].id: add_months(begin.date() + n * DAY, 1) for n in range(3)}

    async def due():
        async with services.sessions() as session:
            rows = await session.execute(
                select(Assignment.household_id, Assignment.due_on).where(
                    Assignment.household_id.in_(again), Assignment.state == "open"
                )
            )
            return dict(rows.all())

    await run(services)
    assert await due() == {}
    async with open_session(services.sessions) as session:
        village = ground.homes[0].area_code
        own = {"interval_months": {"A": 1, "B": 1, "C": 1}, "homes_per_day": 99, "round_days": round_days}
        for key, value in own.items():
            rule = {"key": f"review.{key}", "value": value, "effective_from": month(), "source": "test"}
            session.add(PolicySetting(area_code=village, **rule))
    await run(services)
    assert await due() == again
    async with services.sessions() as session:
        of_these = Assignment.household_id.in_(again), Assignment.state == "open"
        planned_on = await session.scalars(
            select(DayPlanStop.day).join(Assignment, Assignment.id == DayPlanStop.assignment_id).where(*of_these)
        )
    days = 1 if round_days else len(set(again.values()))  # a month on, three days may be the last of February
    assert len(set(planned_on)) == days


@pytest.fixture
async def planned(services, system):
    await run(services)
    async with services.sessions() as session:
        stop = await session.scalar(select(DayPlanStop).order_by(DayPlanStop.staff_id, DayPlanStop.day))
        login = (await session.get_one(Staff, stop.staff_id)).login
    return await system.sign_in(login, "caseworker")


async def test_the_phone_gets_its_reviews_and_reorders_its_day(planned):
    for far in ("9999-12-31", "0001-01-01", str(in_days(500))):
        beyond = await planned.http.put(f"/field/v1/day-plans/{far}", json={"assignmentIds": []})
        assert (beyond.status_code, beyond.json()["code"]) == (400, "request.invalid")
    days = (await planned.http.get("/field/v1/day-plans")).json()
    held = await planned.pull("assignments")
    assert {stop["assignmentId"] for day in days for stop in day["stops"]} <= set(held)
    day = max(days, key=lambda day: len(day["stops"]))
    order = [stop["assignmentId"] for stop in day["stops"]][::-1]
    body = (await planned.http.put(f"/field/v1/day-plans/{day['day']}", json={"assignmentIds": order})).json()
    assert [stop["assignmentId"] for stop in body[0]["stops"]] == order
    moved = (await planned.http.put(f"/field/v1/day-plans/{in_days(100)}", json={"assignmentIds": order[:1]})).json()
    assert [stop["assignmentId"] for stop in moved[0]["stops"]] == order[:1]
    kept = (await planned.http.put(f"/field/v1/day-plans/{day['day']}", json={"assignmentIds": order[-1:]})).json()
    assert {stop["assignmentId"] for stop in kept[0]["stops"]} == set(order[1:])


async def test_the_plan_and_its_new_order_reach_the_phone_with_its_assignments(planned, system):
    held = await planned.pull("assignments")
    days = (await planned.http.get("/field/v1/day-plans")).json()
    day = max(days, key=lambda day: len(day["stops"]))
    order = [stop["assignmentId"] for stop in day["stops"]]
    assert len(order) > 1
    assert [(held[item]["plannedOn"], held[item]["planPosition"]) for item in order] == [
        (day["day"], position) for position in range(len(order))
    ]
    assert any(item["plannedOn"] is None for item in held.values())
    await planned.http.put(f"/field/v1/day-plans/{day['day']}", json={"assignmentIds": order[-1:]})
    result = await planned.pull("assignments")
    assert sorted(order, key=lambda item: result[item]["planPosition"]) == [order[-1], *order[:-1]]


async def test_a_visit_of_another_is_not_put_into_ones_own_day(planned, services):
    held = await planned.pull("assignments")
    async with services.sessions() as session:
        other = await session.scalar(select(Assignment.id).where(Assignment.id.not_in([UUID(item) for item in held])))
    answer = await planned.http.put(f"/field/v1/day-plans/{in_days(100)}", json={"assignmentIds": [str(other)]})
    assert answer.json()["code"] == "thing.not_found"


async def test_due_and_overdue_are_listed_in_working_days_and_saved(services, desk, county):
    everything = []
    cursor = None
    while True:
        query = {"limit": 7, **({"cursor": cursor} if cursor else {})}
        page = (await desk.http.get("/desk/v1/due", params=query)).json()
        everything += page["items"]
        if (cursor := page["nextCursor"]) is None:
            break
    assert len(everything) == len({item["assignmentId"] for item in everything}) == len(county.assignments)
    assert [item["dueOn"] for item in everything] == sorted(item["dueOn"] for item in everything)
    async with open_session(services.sessions) as session:
        late = await session.get_one(Assignment, UUID(everything[0]["assignmentId"]))
        late.due_on = in_days(-14)
    overdue = (await desk.http.get("/desk/v1/due", params={"which": "overdue"})).json()["items"]
    found = next(item for item in overdue if item["assignmentId"] == everything[0]["assignmentId"])
    assert found["daysOver"] in {14, 15}
    assert found["workingDaysOver"] <= 11
    assert found["heldBy"]
    saved = await desk.http.get("/desk/v1/due/export")
    assert len(list(csv.reader(io.StringIO(saved.content.decode("utf-8-sig"))))) == len(county.assignments) + 1
