"""The yearly decree on holidays comes in as a list, and open deadlines are counted anew by it."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from server.core.database import open_session
from server.core.working_days import Length, add_working_days, end_of, is_published, known_until
from server.models.areas import CalendarDay
from server.models.audit import AuditEntry
from server.models.cases import CaseDeadline
from server.policy.resolver import load_overrides
from tests.imports.test_imports import apply, lines_of, preview, workbook

YEAR = next(year for year in range(2020, 2100) if not is_published(year))
SOURCE = f"国办发明电〔{YEAR - 1}〕1号"
HEADINGS = ["日期", "至", "安排", "依据"]


def weekday_after(day: date) -> date:
    return next(day + timedelta(days=n) for n in range(1, 8) if (day + timedelta(days=n)).weekday() < 5)


def decree(*more):
    return workbook(
        HEADINGS,
        [f"{YEAR}-01-01", f"{YEAR}-01-03", "放假", SOURCE],
        [f"{YEAR}-10-01", f"{YEAR}-10-07", "放假", SOURCE],
        *more,
    )


@pytest.fixture
async def deadline(services):
    """A deadline that ends in the year of which nobody knows anything yet."""
    async with open_session(services.sessions) as session:
        row = await session.scalar(select(CaseDeadline).where(CaseDeadline.met_on.is_(None)).limit(1))
        row.started_on, row.count, row.unit, row.paused = date(YEAR - 1, 12, 20), 20, "working_days", 0
        due = end_of(row.started_on, Length(20, "working_days"), {})
        row.due_on, row.certain = due.on, due.certain
        assert not due.certain
        return row


async def load(services, row):
    async with services.sessions() as session:
        return await session.get_one(CaseDeadline, row.id), await load_overrides(session)


async def test_a_whole_year_makes_every_day_certain_and_counts_deadlines_anew(system, services, admin, deadline):
    # A rest in January that the week does not have, so that the end moves.
    rest = weekday_after(date(YEAR, 1, 4))
    batch = await preview(admin, "calendar", decree([rest.isoformat(), None, "放假", SOURCE]))
    assert batch["counts"] == {"new": 3, "applied": 0}
    assert (await apply(system, admin, batch))["state"] == "applied"
    row, overrides = await load(services, deadline)
    expected = add_working_days(row.started_on, 20, overrides)
    assert (row.due_on, row.certain) == (expected.on, True)
    assert row.due_on > deadline.due_on
    assert known_until(date(YEAR - 1, 12, 31), overrides) >= date(YEAR, 12, 31)
    async with services.sessions() as session:
        moved = select(AuditEntry).where(AuditEntry.action == "case.deadline_recomputed")
        entries = await session.scalars(moved.where(AuditEntry.thing_id == str(row.case_id)))
        dates = [(entry.facts["was_due_on"], entry.facts["due_on"]) for entry in entries]
        assert (str(deadline.due_on), str(row.due_on)) in dates

    undone = await admin.http.post(f"/desk/v1/imports/{batch['id']}/undo", json={"reason": "传错了文件"})
    assert undone.status_code == 200, undone.text
    await system.run_jobs()
    row, overrides = await load(services, deadline)
    assert overrides == {}
    assert (row.due_on, row.certain) == (deadline.due_on, False)


async def test_some_days_more_leave_the_rest_of_the_year_as_it_was(system, services, admin):
    content = workbook(HEADINGS, [f"{YEAR}-04-19", None, "放假", "广西壮族自治区少数民族习惯节日放假办法"])
    await apply(system, admin, await preview(admin, "calendar", content))
    async with services.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(CalendarDay)) == 1
    # The decree comes later, and the day stays.
    await apply(system, admin, await preview(admin, "calendar", decree()))
    async with services.sessions() as session:
        overrides = await load_overrides(session)
    assert overrides[date(YEAR, 4, 19)] is False
    assert len(overrides) == (date(YEAR + 1, 1, 1) - date(YEAR, 1, 1)).days


async def test_each_bad_cell_is_named_and_only_an_administrator_brings_a_calendar(admin, county_desk):
    content = decree(
        [f"{YEAR}-10-07", None, "上班", SOURCE],
        [f"{YEAR}-05-01", f"{YEAR}-04-01", "放假", SOURCE],
        [f"{YEAR}-05-02", None, "一半", SOURCE],
        ["五月", None, "放假", SOURCE],
        [f"{YEAR}-05-04", None, "放假", None],
        ["9999-12-31", None, "放假", SOURCE],
    )
    batch = await preview(admin, "calendar", content)
    refused = await lines_of(admin, batch, outcome="refused")
    assert [(fault["address"], fault["code"]) for line in refused for fault in line["faults"]] == [
        ("A4", "line.twice"),
        ("B5", "cell.not_a_period"),
        ("C6", "cell.not_listed"),
        ("A7", "cell.not_a_date"),
        ("D8", "cell.empty"),
        ("A9", "cell.not_a_date"),
    ]
    answer = await county_desk.http.post(
        "/desk/v1/imports",
        data={"id": batch["id"], "kind": "calendar", "area": "339901"},
        files={"file": ("a.xlsx", content, "application/octet-stream")},
    )
    assert answer.status_code == 403
