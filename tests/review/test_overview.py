"""The supervisor's figures are counted by hand here, and the files hold what the lists hold."""

import csv
import io
import random
from datetime import date, datetime, time, timedelta

import openpyxl
import pytest
from sqlalchemy import event, select, text, update

from server.core.clock import CHINA
from server.core.database import open_session
from server.core.job_types import CheckVisit
from server.core.spreadsheets import to_cell
from server.models.areas import PolicySetting
from server.models.households import Assignment, Household
from server.models.people import StaffRole
from server.models.review import Decision
from server.models.visits import Visit
from server.review.run_checks import check_visit
from server.review.tallies import fold_months, update_tallies
from tests import days
from tests.makers.visits import MORNING
from tests.review.test_queue import claim, decide

DAY = timedelta(days=1)
FIRST = MORNING.date().replace(day=1)
LAST = days.last_day(FIRST)
MONTH = {"from": FIRST.isoformat(), "to": LAST.isoformat()}


@pytest.fixture
async def judged(ground, desk):
    """Three visits: one accepted four hours after it came, one returned after eight with its doubt upheld."""
    visits = [await ground.examined(n, started_at=MORNING + n * DAY, minutes=5) for n in range(3)]
    for visit, outcome, hours in ((visits[0], "accepted", 4), (visits[1], "returned", 8)):
        await claim(desk, visit)
        finding = (await ground.findings(visit))[0]
        settled = {"upheld" if outcome == "returned" else "dismissed": [str(finding.id)]}
        assert (await decide(desk, visit, outcome, **settled)).status_code == 200
        received = MORNING + visits.index(visit) * DAY + timedelta(minutes=25)
        async with open_session(ground.services.sessions) as session:
            await session.execute(
                update(Decision).where(Decision.visit_id == visit).values(decided_at=received + timedelta(hours=hours))
            )
            await update_tallies(session, [visit])
    return visits


async def test_work_by_caseworker_and_by_area(ground, desk, judged):
    lines = (await desk.http.get("/desk/v1/overview/work", params={"by": "caseworker", **MONTH})).json()
    mine = next(line for line in lines if line["key"] == "linhexi")
    assert (mine["done"], mine["returned"], mine["medianHoursToDecision"]) == (3, 1, 6.0)
    towns = (await desk.http.get("/desk/v1/overview/work", params={"area": "339901", **MONTH})).json()
    assert {len(town["key"]) for town in towns} == {9}
    assert sum(town["done"] for town in towns) == 3
    after = {"from": (LAST + DAY).isoformat(), "to": (LAST + 5 * DAY).isoformat()}
    later = (await desk.http.get("/desk/v1/overview/work", params=after)).json()
    assert sum(item["done"] for item in later) == 0


async def test_open_visits_are_due_and_those_of_before_today_overdue(ground, desk, county):
    params = {"area": "339901", "from": "2020-01-01", "to": "2099-12-31"}
    towns = (await desk.http.get("/desk/v1/overview/work", params=params)).json()
    assert sum(town["due"] for town in towns) == len(county.assignments)
    today = days.in_days(0)  # the county was made earlier, perhaps before midnight
    assert sum(town["overdue"] for town in towns) == sum(assignment.due_on < today for assignment in county.assignments)


async def test_the_share_of_a_rule_that_people_uphold_and_where_visits_began(ground, desk, judged, system):
    rates = (await desk.http.get("/desk/v1/overview/findings", params=MONTH)).json()
    assert rates == [{"code": "visit.too_short", "found": 3, "upheld": 1, "dismissed": 1, "upheldPercent": 50.0}]
    points = (await desk.http.get("/desk/v1/overview/points", params=MONTH)).json()
    assert [point["visitId"] for point in points] == [str(item) for item in reversed(judged)]
    assert abs(points[-1]["latitude"] - ground.homes[0].latitude) < 1e-4
    elsewhere = await system.sign_in_at_desk("yusonggu", "town_officer")
    for path in ("points", "findings", "work"):
        lines = (await elsewhere.http.get(f"/desk/v1/overview/{path}", params=MONTH)).json()
        assert sum(line.get("done", 1) for line in lines) == 0


async def test_each_list_can_be_saved_as_csv_and_xlsx(desk, judged):
    for path, filters in (
        ("queue", {}),
        ("overview/work", {"by": "area"}),
        ("overview/work", {"by": "caseworker"}),
        ("overview/findings", {}),
        ("overview/points", {}),
    ):
        request, name = filters | MONTH, path.rsplit("/", 1)[-1]
        result = await desk.http.get(f"/desk/v1/{path}/export", params={"format": "csv", **request})
        assert result.content.startswith(b"\xef\xbb\xbf")
        rows = list(csv.reader(io.StringIO(result.content.decode("utf-8-sig"))))
        book = await desk.http.get(f"/desk/v1/{path}/export", params={"format": "xlsx", **request})
        [sheet] = openpyxl.load_workbook(io.BytesIO(book.content)).worksheets
        assert [item.value for item in sheet[1]] == rows[0]
        assert sheet.max_row == len(rows) > 1
        assert book.headers["content-disposition"] == f'attachment; filename="{name}.xlsx"'


async def test_the_queue_is_saved_by_the_filters_that_its_list_takes(ground, desk):
    for n in range(3):
        await ground.examined(n, started_at=MORNING + n * DAY, author="hesuian" if n == 2 else "linhexi")
    held = (await desk.http.post("/desk/v1/queue/claim")).json()["visitId"]
    for request in (
        {},
        {"state": "claimed"},
        {"state": "waiting"},
        {"kind": "care"},
        {"authorId": str(ground.staff["hesuian"])},
        {"finding": "visit.too_short"},
        {"severity": "critical"},
        {"waitedH": 99_999},
    ):
        listed = (await desk.http.get("/desk/v1/queue", params=request)).json()["items"]
        saved = await desk.http.get("/desk/v1/queue/export", params=request)
        rows = list(csv.DictReader(io.StringIO(saved.content.decode("utf-8-sig"))))
        assert [row["走访编号"] for row in rows] == [item["visitId"] for item in listed], request
        if request.get("state") == "claimed":
            assert [row["走访编号"] for row in rows] == [held]
        if "authorId" in request:
            assert len(rows) == 1


def test_a_cell_is_never_a_formula():
    assert to_cell("=cmd|' /C calc'!A0") == "'=cmd|' /C calc'!A0"
    assert to_cell("+86 199") == "'+86 199"
    for begin in ("-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"):
        assert to_cell(f"{begin}SUM(A1)").startswith("'"), begin
        assert to_cell([f"{begin}SUM(A1)", "b"]).startswith("'"), begin
    assert to_cell("甲\x00乙") == "甲乙"
    assert to_cell(["a", "b"]) == "a; b"
    assert to_cell(-3) == -3


async def test_each_figure_is_one_query(services, desk, judged):
    request: list[str] = []

    def note(connection, cursor, statement, *rest):
        request.append(statement)

    event.listen(services.engine.sync_engine, "before_cursor_execute", note)
    for path in ("work", "findings", "points"):
        request.clear()
        await desk.http.get(f"/desk/v1/overview/{path}", params=MONTH)
        reads = [item for item in request if "FROM visit" in item or "FROM seen_fix" in item or "FROM finding" in item]
        assert len(reads) == 1, path


# What the overview says, counted from the visits and decisions themselves.
COUNTED = text("""
SELECT s.login AS key, count(*) AS done,
    count(*) FILTER (WHERE (v.started_at AT TIME ZONE 'Asia/Shanghai')::date > a.due_on) AS late,
    count(*) FILTER (WHERE d.returned) AS returned,
    round((percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM d.at - v.received_at)) / 3600)::numeric, 1)
        AS median
FROM visit v JOIN staff s ON s.id = v.author_id LEFT JOIN assignment a ON a.id = v.assignment_id
LEFT JOIN LATERAL (SELECT min(decided_at) AS at, bool_or(outcome = 'returned') AS returned FROM decision
    WHERE visit_id = v.id AND undone_why IS DISTINCT FROM 'undone') d ON true
WHERE v.submitted_at IS NOT NULL AND v.started_at >= :since AND v.started_at < :until
GROUP BY s.login ORDER BY s.login
""")


async def test_what_is_summed_beforehand_is_what_counting_gives(ground, desk, county_desk, system, county):
    """Whatever happened to a visit: decided, taken back, returned and sent again, put back, not whole yet."""
    async with open_session(ground.services.sessions) as session:
        await session.execute(update(PolicySetting).where(PolicySetting.key == "review.undo_s").values(value=60))
        due = list(await session.scalars(select(Assignment).order_by(Assignment.due_on).limit(2)))
        for item in due:
            item.due_on = MORNING.date()
    people = [("linhexi", "zhoutonglan"), ("wuyanqiu", "zhengtangye")]
    visits = [
        await ground.examined(
            n,
            author=people[n % 2][0],
            partner=people[n % 2][1],
            started_at=MORNING + n * DAY + timedelta(hours=n % 3),
            assignment_id=due[n % 2].id if n % 3 == 0 else None,
        )
        for n in range(9)
    ]
    await ground.visit(20, started_at=MORNING)  # whole, and its examination has not run: it is counted when it has
    async with open_session(ground.services.sessions) as session:
        for waiting in [await ground.visit(n, started_at=MORNING + n * DAY) for n in (11, 12)]:
            (await session.get_one(Visit, waiting)).complete_at = None
    for n, visit in enumerate(visits[:7]):
        await claim(desk, visit)
        assert (await decide(desk, visit, "returned" if n % 2 else "accepted")).status_code == 200
    for visit in visits[:2]:
        assert (await desk.http.post(f"/desk/v1/visits/{visit}/decision/undo")).status_code == 200
    await decide(desk, visits[1], "returned")
    body = {"reason": "再看"}
    assert (await county_desk.http.post(f"/desk/v1/visits/{visits[2]}/reopen", json=body)).status_code == 204
    async with open_session(ground.services.sessions) as session:
        (await session.get_one(Visit, visits[3])).state = "submitted"
    for visit in (*visits[3:5], visits[3]):
        await check_visit(ground.services, CheckVisit(visit_id=visit))
    period = {
        name: datetime.combine(on, time(), tzinfo=CHINA) for name, on in (("since", FIRST), ("until", LAST + DAY))
    }
    async with ground.services.sessions() as session:
        counted = [tuple(row) for row in await session.execute(COUNTED, period)]
    lines = (await desk.http.get("/desk/v1/overview/work", params={"by": "caseworker", **MONTH})).json()
    result = [
        (line["key"], line["done"], line["late"], line["returned"], line["medianHoursToDecision"])
        for line in sorted(lines, key=lambda line: line["key"])
        if line["done"]
    ]
    expected = [(key, done, late, returned, float(median)) for key, done, late, returned, median in counted]
    unexamined = [(key, done - (key == "linhexi"), *rest) for key, done, *rest in expected]
    assert result == unexamined
    assert sum(item[1] for item in result) == 11
    assert sum(item[2] for item in result) > 0
    assert sum(item[3] for item in result) == 3
    await system.run_jobs()
    towns = (await desk.http.get("/desk/v1/overview/work", params={"area": county.code, **MONTH})).json()
    assert sum(town["done"] for town in towns) == 11


TALLIED = text("""
INSERT INTO visit_tally (visit_id, county_code, area_code, author_id, visited_on, is_late, is_returned, decided_after_s)
SELECT v.id, left(:area, 6), :area, v.author_id, :day, :late, :returned, :after FROM visit v WHERE v.id = :id
""")
SUMMED = text("""
SELECT level, month, area_code, bucket, sum(visits) AS visits, sum(late) AS late, sum(returned) AS returned FROM (
    SELECT level, month, area_code, bucket, visits, late, returned FROM visit_month
    UNION ALL SELECT level, month, left(county_code, level), bucket, visits, late, returned
    FROM visit_month_change CROSS JOIN (VALUES (4), (6)) levels (level)) one
GROUP BY 1, 2, 3, 4 HAVING (sum(visits), sum(late), sum(returned)) <> (0, 0, 0) ORDER BY 1, 2, 3, 4
""")
TALLIES_COUNTED = text("""
SELECT level, date_trunc('month', visited_on)::date AS month, left(area_code, level), decided_bucket(decided_after_s),
    count(*), sum(is_late::int), sum(is_returned::int)
FROM visit_tally CROSS JOIN (VALUES (4), (6)) levels (level) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
""")


async def test_months_summed_are_what_counting_their_tallies_gives(ground, services):
    """Whatever is written, changed and taken away, by whom and folded when ever."""
    dice = random.Random(5)
    visits = [await ground.visit(n) for n in range(12)]
    for turn in range(80):
        visit = dice.choice(visits)
        params = {
            "id": visit,
            "area": dice.choice(["339901100200", "339901101200", "339902100200", "338801100200"]),
            "day": date(2025, 1, 1) + timedelta(days=dice.randrange(120)),
            "late": dice.random() < 0.3,
            "returned": dice.random() < 0.3,
            "after": dice.choice([None, dice.uniform(0, 9e6), dice.uniform(0, 9e4)]),
        }
        async with open_session(services.sessions) as session:
            if dice.random() < 0.7:
                await session.execute(text("DELETE FROM visit_tally WHERE visit_id = :id"), {"id": visit})
                await session.execute(TALLIED, params)
            else:
                await session.execute(
                    text("UPDATE visit_tally SET decided_after_s = :after, is_late = :late WHERE visit_id = :id"),
                    params,
                )
        if turn % 9 == 0:
            async with open_session(services.sessions) as session:
                await fold_months(session)
        async with services.sessions() as session:
            summed = [tuple(row) for row in await session.execute(SUMMED)]
            assert summed == [tuple(row) for row in await session.execute(TALLIES_COUNTED)]
    async with services.sessions() as session:
        assert await session.scalar(text("SELECT count(*) FROM visit_month")) > 20


@pytest.mark.parametrize("seconds", [0, 359, 360, 86_399, 86_400, 604_799, 604_800, 5_183_999, 5_184_000, 9e7])
async def test_a_bucket_says_when_to_its_own_width(services, seconds):
    async with services.sessions() as session:
        said = text("SELECT decided_at_bucket(decided_bucket(:s), 0), decided_at_bucket(decided_bucket(:s), 1)")
        begins, ends = (await session.execute(said, {"s": seconds})).one()
    assert begins <= seconds < ends
    assert ends - begins <= max(360, seconds / 24)


async def test_a_provinces_months_and_the_days_around_them_are_counted_once(ground, services, system, desk):
    """Asked as a province's supervisor: the same, but for the median's bucket, as from the tallies one by one."""
    dice = random.Random(8)
    visits = [await ground.visit(n) for n in range(40)]
    async with open_session(services.sessions) as session:
        await session.execute(update(StaffRole).where(StaffRole.role == "supervisor").values(area_code="33"))
        for n, visit in enumerate(visits):
            day = date(2025, 1, 1) + timedelta(days=dice.randrange(150))
            params = {"id": visit, "area": "339901100200", "day": day, "late": n % 3 == 0, "returned": n % 4 == 0}
            await session.execute(TALLIED, params | {"after": None if n % 5 == 0 else dice.uniform(0, 3e5)})
    for folded in (False, True):
        if folded:
            async with open_session(services.sessions) as session:
                await fold_months(session)
        for first, last in (
            (date(2025, 1, 1), date(2025, 5, 30)),
            (date(2025, 1, 17), date(2025, 4, 3)),
            (date(2025, 2, 1), date(2025, 2, 28)),
            (date(2025, 1, 31), date(2025, 3, 1)),
            (date(2025, 2, 2), date(2025, 3, 30)),
            (date(2025, 1, 31), date(2025, 1, 31)),
        ):
            request = {"from": first.isoformat(), "to": last.isoformat()}
            by_area = (await desk.http.get("/desk/v1/overview/work", params={"area": "33", **request})).json()
            by_person = (await desk.http.get("/desk/v1/overview/work", params={"by": "caseworker", **request})).json()
            for name in ("done", "late", "returned"):
                assert sum(item[name] for item in by_area) == sum(item[name] for item in by_person), (first, last, name)
            exact = next((item["medianHoursToDecision"] for item in by_person if item["done"]), None)
            coarse = next((item["medianHoursToDecision"] for item in by_area if item["done"]), None)
            assert coarse == (exact and pytest.approx(exact, abs=max(0.2, exact / 20))), (first, last)


async def test_a_visit_that_is_due_follows_its_home_to_another_area(services, desk):
    async with open_session(services.sessions) as session:
        due = await session.scalar(select(Assignment).where(Assignment.state == "open").limit(1))
        home = await session.get_one(Household, due.household_id)
        assert due.area_code == home.area_code
        others = select(Household.area_code).where(Household.area_code != home.area_code)
        home.area_code = (await session.scalars(others.limit(1))).one()
        await session.flush()
        await session.refresh(due)
        assert due.area_code == home.area_code
