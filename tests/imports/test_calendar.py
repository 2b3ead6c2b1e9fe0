"""The yearly decree on holidays comes in as a list, and open deadlines are counted anew by it."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, update

from server.cases.workflow import STATE_INFO
from server.core.database import open_session
from server.core.ids import new_id
from server.core.working_days import Length, add_working_days, end_of, is_published, known_until
from server.models.areas import Area, CalendarDay
from server.models.audit import AuditEntry
from server.models.cases import CaseDeadline, CaseFile
from server.models.households import HouseholdMember
from server.models.notifications import Notice
from server.models.people import Resident, ResidentBinding, StaffRole
from server.policy.resolver import load_overrides
from tests.imports.test_imports import apply, lines_of, preview, upload, workbook

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


async def test_a_whole_year_makes_every_day_certain_and_counts_deadlines_anew(
    system, services, admin, county_desk, deadline
):
    # A rest in January that the week does not have, so that the end moves.
    rest = weekday_after(date(YEAR, 1, 4))
    batch = await preview(admin, "calendar", decree([rest.isoformat(), None, "放假", SOURCE]))
    assert batch["counts"] == {"new": 3, "applied": 0}
    assert (await apply(system, county_desk, batch))["state"] == "applied"
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


async def test_some_days_more_leave_the_rest_of_the_year_as_it_was(system, services, admin, county_desk):
    content = workbook(HEADINGS, [f"{YEAR}-04-19", None, "放假", "广西壮族自治区少数民族习惯节日放假办法"])
    await apply(system, county_desk, await preview(admin, "calendar", content))
    async with services.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(CalendarDay)) == 1
    # The decree comes later, and the day stays.
    await apply(system, county_desk, await preview(admin, "calendar", decree()))
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


async def test_who_brings_a_calendar_does_not_confirm_it(system, admin, county_desk):
    batch = await preview(admin, "calendar", decree())
    assert batch["needsSecondPerson"] is True
    refused = await admin.http.post(f"/desk/v1/imports/{batch['id']}/confirm", json={})
    assert (refused.status_code, refused.json()["code"]) == (403, "import.second_person")
    assert (await apply(system, county_desk, batch))["state"] == "applied"
    undone = await county_desk.http.post(f"/desk/v1/imports/{batch['id']}/undo", json={"reason": "传错了文件"})
    assert (undone.status_code, undone.json()["code"]) == (403, "import.second_person")


async def test_an_administrator_of_one_county_changes_the_calendar_of_no_other(system, services, admin, county_desk):
    batch = await preview(admin, "calendar", decree())
    async with open_session(services.sessions) as session:
        session.add(Area(code="339902", name="邻县"))
        ours = update(StaffRole).where(StaffRole.role.in_(["admin", "county_officer"])).values(area_code="339901")
        await session.execute(ours)
    for answer in (
        await upload(admin, "calendar", decree()),
        await county_desk.http.post(f"/desk/v1/imports/{batch['id']}/confirm", json={}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "import.counts_everywhere")
    # Who answers for both counties may.
    async with open_session(services.sessions) as session:
        await session.execute(update(StaffRole).where(StaffRole.role == "admin").values(area_code="3399"))
    assert (await upload(admin, "calendar", decree())).status_code == 200


async def test_a_resident_who_was_told_an_uncertain_day_is_told_again(system, services, admin, county_desk, deadline):
    async with open_session(services.sessions) as session:
        case = await session.get_one(CaseFile, deadline.case_id)
        case.state = next(state for state, info in STATE_INFO.items() if info.deadline == deadline.kind)
        resident = Resident(id=new_id(), wechat_openid="told-again")
        session.add(resident)
        await session.flush()
        member = select(HouseholdMember.id).where(HouseholdMember.household_id == case.household_id).limit(1)
        session.add(
            ResidentBinding(
                id=new_id(),
                resident_id=resident.id,
                household_id=case.household_id,
                member_id=await session.scalar(member),
            )
        )
    await apply(system, county_desk, await preview(admin, "calendar", decree()))
    async with services.sessions() as session:
        row = await session.get_one(CaseDeadline, deadline.id)
        notice = await session.scalar(select(Notice).where(Notice.resident_id == resident.id))
        assert notice is not None
        assert (notice.kind, notice.facts["on"]) == ("deadline_moved", str(row.due_on))
        assert notice.facts["caseId"] == str(deadline.case_id)
