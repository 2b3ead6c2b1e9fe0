"""Hearings: a panel drawn by rotation, a quorum, more than half; and nothing that links a voter to a ballot."""

from collections import Counter

import pytest
from sqlalchemy import select, text, update

from server.cases.hearings import is_passed
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models import Base
from server.models.audit import AuditEntry
from server.models.cases import CaseFile, RelativeOnStaff
from server.models.people import Staff, StaffRole
from tests import days
from tests.makers.cases import VILLAGE, done, look, refused

NAMES = [f"评议员{n:02d}" for n in range(10)]


async def panelists(office, count=10):
    async with open_session(office.services.sessions) as session:
        people = [Staff(id=new_id(), login=f"panel{n}", name=NAMES[n], password_hash=None) for n in range(count)]
        session.add_all(people)
        await session.flush()
        session.add_all(StaffRole(staff_id=person.id, role="panelist", area_code=VILLAGE) for person in people)
        return [person.id for person in people]


async def at_hearing(office, *, people=10):
    await panelists(office, people)
    case_id = await office.case()
    town = await office.person("town_officer")
    await office.system_step(case_id, "survey_done")
    await done(town, case_id, "hearing_called", reason="群众有不同意见")
    return case_id, town


async def call(town, case_id):
    body = {"id": str(new_id()), "heldOn": days.in_days(0).isoformat(), "place": "村委会", "presenter": "林禾溪"}
    return await town.http.post(f"/desk/v1/cases/{case_id}/hearings", json=body)


async def count(town, case_id, hearing, ayes, noes=0, blanks=0, *, attended=None):
    seats = [item["staffId"] for item in hearing["panel"] if item["conflict"] is None]
    body = {"attended": attended or seats[: ayes + noes + blanks], "ayes": ayes, "noes": noes, "blanks": blanks}
    return await town.http.post(f"/desk/v1/cases/{case_id}/hearings/{hearing['id']}/count", json=body)


async def test_more_than_half_of_the_votes_passes(office):
    case_id, town = await at_hearing(office)
    for ayes, noes, blanks, passed in ((3, 3, 0, False), (3, 2, 1, False), (4, 3, 0, True), (7, 0, 0, True)):
        hearing = (await call(town, case_id)).json()
        answer = await count(town, case_id, hearing, ayes, noes, blanks)
        assert answer.status_code == 200, answer.text
        assert answer.json()["passed"] is passed
        result = await look(town, case_id)
        assert result["state"] == "preliminary"
        assert result["timeline"][-1]["step"] == ("hearing_passed" if passed else "hearing_failed")
        if not passed:
            assert await refused(town, case_id, "opinion_grant") == "case.hearing_failed"
        again = await count(town, case_id, hearing, ayes, noes, blanks)
        assert again.json() == answer.json()
        other = await count(town, case_id, hearing, noes, ayes, blanks)
        assert (other.json().get("code") == "hearing.counted") == (ayes != noes)
        await done(town, case_id, "hearing_called", reason="再议")


async def test_without_a_quorum_nothing_is_counted_and_every_one_who_came_votes(office):
    case_id, town = await at_hearing(office)
    hearing = (await call(town, case_id)).json()
    assert hearing["quorum"] == 5
    assert (await count(town, case_id, hearing, 4)).json()["code"] == "hearing.no_quorum"
    seats = [item["staffId"] for item in hearing["panel"]]
    differs = await count(town, case_id, hearing, 4, attended=seats[:6])
    assert differs.json()["code"] == "hearing.count_differs"
    stranger = await count(town, case_id, hearing, 5, attended=[*seats[:4], str(new_id())])
    assert stranger.json()["code"] == "request.invalid"
    assert (await look(town, case_id))["state"] == "hearing"
    assert (await count(town, case_id, hearing, 5)).json()["passed"]


async def test_the_votes_on_a_case_that_was_withdrawn_are_not_counted(office):
    case_id, town = await at_hearing(office)
    hearing = (await call(town, case_id)).json()
    await done(town, case_id, "withdrawn", reason="本人撤回")
    answer = await count(town, case_id, hearing, 5)
    assert (answer.status_code, answer.json()["code"]) == (409, "case.not_now")


async def test_panels_rotate(office, services):
    case_id, town = await at_hearing(office)
    sat = Counter()
    for _ in range(10):
        hearing = (await call(town, case_id)).json()
        sat.update(item["staffId"] for item in hearing["panel"])
        await count(town, case_id, hearing, 7)
        await done(town, case_id, "hearing_called", reason="再议")
    assert set(sat.values()) == {7}


async def test_relatives_are_not_drawn_and_a_conflict_gives_the_seat_to_the_next(office, services):
    case_id, town = await at_hearing(office, people=9)
    async with open_session(services.sessions) as session:
        case = await session.get_one(CaseFile, case_id)
        session.add(
            RelativeOnStaff(
                household_id=case.household_id, name=NAMES[0], office="村", relation="舅", declared_on=case.applied_on
            )
        )
    hearing = (await call(town, case_id)).json()
    drawn = {item["name"] for item in hearing["panel"]}
    assert NAMES[0] not in drawn
    first = hearing["panel"][0]
    path = f"/desk/v1/cases/{case_id}/hearings/{hearing['id']}/conflict"
    for _ in range(2):
        body = (await town.http.post(path, json={"staffId": first["staffId"], "conflict": "邻里纠纷"})).json()
    assert len(body["panel"]) == 8
    assert sum(item["conflict"] is None for item in body["panel"]) == 7
    attended = [item["staffId"] for item in body["panel"]][:7]
    assert (await count(town, case_id, hearing, 7, attended=attended)).json()["code"] == "request.invalid"


async def test_who_has_left_or_sits_elsewhere_is_not_drawn(office, services):
    case_id, town = await at_hearing(office, people=9)
    async with open_session(services.sessions) as session:
        left, elsewhere = [(await session.scalars(select(Staff).where(Staff.name == NAMES[n]))).one() for n in (0, 1)]
        left.disabled_at = utc_now()
        await session.execute(update(StaffRole).where(StaffRole.staff_id == elsewhere.id).values(area_code="339902"))
    drawn = {item["name"] for item in (await call(town, case_id)).json()["panel"]}
    assert drawn == set(NAMES[2:9])


async def test_a_short_panel_and_a_case_elsewhere_are_told(office):
    case_id, town = await at_hearing(office, people=3)
    assert (await call(town, case_id)).json()["code"] == "hearing.panel_short"
    await office.system_step(case_id, "hearing_passed")
    assert (await call(town, case_id)).json()["code"] == "case.not_now"


async def test_nothing_anywhere_links_a_voter_to_a_ballot(office, services):
    """Every table is searched for a row that names a panelist and differs with how they voted.

    Two hearings with the same seven present, one 5:2 and one 2:5: rows that name a panelist must be alike for
    all seven, in columns, times and audit facts; votes stand only as sums.
    """
    case_id, town = await at_hearing(office, people=7)
    for ayes in (5, 2):
        hearing = (await call(town, case_id)).json()
        assert (await count(town, case_id, hearing, ayes, 7 - ayes)).status_code == 200
        if ayes == 5:
            await done(town, case_id, "hearing_called", reason="再议")
    voters = {item["staffId"] for item in hearing["panel"]}
    async with services.sessions() as session:
        for table in Base.metadata.sorted_tables:
            rows = [dict(row._mapping) for row in await session.execute(select(table))]
            named = [row for row in rows if any(str(value) in voters for value in row.values())]
            if table.name in {"staff", "staff_role"}:
                continue
            lines = [
                tuple(
                    sorted(
                        (name, str(value)) for name, value in row.items() if str(value) not in voters and name != "id"
                    )
                )
                for row in named
            ]
            assert all(times % 7 == 0 for times in Counter(lines).values()), table.name
        facts = await session.scalars(select(AuditEntry).where(AuditEntry.action.startswith("hearing.")))
        assert not any(voter in str(fact.facts) + fact.thing_id for fact in facts for voter in voters)
        jobs = (await session.execute(text("SELECT args::text FROM procrastinate_jobs"))).all()
        assert not any(voter in str(jobs) for voter in voters)
    ballot = {"aye", "no", "vote", "ballot", "choice"}
    seats = set(Base.metadata.tables["panel_seat"].columns.keys())
    assert seats == {"hearing_id", "staff_id", "drawn_at", "conflict", "attended"}
    assert not [name for name in Base.metadata.tables if any(word in name for word in ballot - {"no"})]


@pytest.mark.parametrize(
    ("majority", "ayes", "votes", "passed"),
    [
        ("half", 3, 6, False),
        ("half", 4, 6, True),
        ("two_thirds", 4, 6, True),
        ("two_thirds", 4, 7, False),
        ("two_thirds", 5, 7, True),
        (None, 4, 7, True),
    ],
)
def test_the_area_says_which_share_of_the_votes_passes(majority, ayes, votes, passed):
    assert is_passed(ayes, votes, majority) is passed
