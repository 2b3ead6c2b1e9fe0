"""Last time's answers: which assignments carry them, whose, and what of them."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from server.core.clock import today
from server.core.database import open_session
from server.core.ids import new_id
from server.models.areas import PolicySetting
from server.models.households import Assignment
from server.models.review import SpotCheck
from server.models.visits import Visit
from server.sync_feed.publish import publish_change
from tests.makers.visits import MORNING
from tests.sync.test_pull import counted

DAY = timedelta(days=1)


async def order(services, household_id, kind="review"):
    async with open_session(services.sessions) as session:
        assignment = Assignment(
            id=new_id(),
            household_id=household_id,
            kind=kind,
            due_on=today() + 10 * DAY,
            checklist_code="review_standard",
            checklist_version=2,
        )
        session.add(assignment)
        await session.flush()
        await publish_change(session, "assignments", [assignment.id])
        return str(assignment.id)


async def carried(phone, assignment_id):
    return (await phone.pull("assignments"))[assignment_id]["lastAnswers"]


async def place_of(ground, phone) -> int:
    """The number of a home of this phone in the ground."""
    mine = set(await phone.pull("households"))
    return next(number for number, home in enumerate(ground.homes) if str(home.id) in mine)


async def test_a_review_carries_the_answers_of_the_last_accepted_visit_alone(ground, phone, services):
    place = await place_of(ground, phone)
    home = ground.homes[place]
    assignment = await order(services, home.id)
    assert await carried(phone, assignment) is None
    own = {"photo_outside": [str(new_id())], "opinion": "建议保留", "talk_record": "问：……答：……", "no_such": 1}
    await ground.visit(place, state="accepted", answers={**own, "vehicles": ["none"]})
    await ground.visit(place, state="accepted", started_at=MORNING + DAY, answers={**own, "living_standard": "lower"})
    for days, state in ((2, "returned"), (3, "submitted"), (4, "under_review")):
        await ground.visit(place, state=state, started_at=MORNING + days * DAY, answers={"living_standard": "same"})
    last = await carried(phone, assignment)
    assert last["visitedOn"] == (MORNING + DAY).date().isoformat()
    assert set(last["answers"]) == {"members", "living_standard"}
    assert last["answers"]["living_standard"] == "lower"
    assert [row["memberId"] for row in last["answers"]["members"]] == [str(member.id) for member in home.members]


@pytest.mark.parametrize("kind", ["neighbour", "complaint", "spot_check", "care", "housing"])
async def test_no_other_visit_carries_them_nor_are_its_answers_carried(ground, phone, services, kind):
    place = await place_of(ground, phone)
    home = ground.homes[place]
    await ground.visit(place, kind=kind, state="accepted")
    review = await order(services, home.id)
    assert await carried(phone, review) is None
    await ground.visit(place, state="accepted", started_at=MORNING + DAY)
    other = await order(services, home.id, kind)
    held = await phone.pull("assignments")
    if kind == "spot_check":
        assert other not in held
    else:
        assert held[other]["lastAnswers"] is None


async def test_a_phone_of_nobody_who_holds_the_home_gets_none(ground, phone, system, services):
    home = ground.homes[await place_of(ground, phone)]
    assignment = await order(services, home.id)
    stranger = await system.sign_in("wuyanqiu", "caseworker")
    assert str(home.id) not in await stranger.pull("households")
    assert assignment in await phone.pull("assignments")
    assert assignment not in await stranger.pull("assignments")


async def test_an_open_review_comes_again_when_a_visit_is_accepted_and_when_that_is_undone(
    ground, phone, services, desk
):
    async with open_session(services.sessions) as session:
        await session.execute(update(PolicySetting).where(PolicySetting.key == "review.undo_s").values(value=60))
    place = await place_of(ground, phone)
    assignment = await order(services, ground.homes[place].id)
    visit = await ground.examined(place)
    before = (await phone.pull("assignments"))[assignment]["server"]["rev"]
    assert (await desk.http.post(f"/desk/v1/queue/{visit}/claim")).status_code < 300
    answer = await desk.http.post(f"/desk/v1/visits/{visit}/decision", json={"outcome": "accepted", "reason": ""})
    assert answer.status_code < 300, answer.text
    after = (await phone.pull("assignments"))[assignment]
    assert after["server"]["rev"] != before
    assert after["lastAnswers"]["answers"]["members"]
    answer = await desk.http.post(f"/desk/v1/visits/{visit}/decision/undo")
    assert answer.status_code < 300, answer.text
    assert await carried(phone, assignment) is None


async def test_they_take_as_many_queries_for_many_assignments_as_for_few(ground, phone, services):
    place = await place_of(ground, phone)
    await ground.visit(place, state="accepted")
    taken = []
    for _ in range(2):
        for _ in range(3):
            await order(services, ground.homes[place].id)
        with counted(services) as statements:
            await phone.pull("assignments")
        taken.append(len(statements))
    assert taken[0] == taken[1]


async def test_while_a_team_looks_again_nobody_of_the_home_has_answers(ground, phone, services):
    """The team holds the home for a while, and may not know what the first found."""
    place = await place_of(ground, phone)
    assignment = await order(services, ground.homes[place].id)
    visit = await ground.visit(place, state="accepted")
    assert (await carried(phone, assignment))["answers"]
    async with open_session(services.sessions) as session:
        first = await session.get_one(Visit, visit if isinstance(visit, UUID) else visit.id)
        check = SpotCheck(
            id=new_id(), visit_id=first.id, area_code=first.area_code, why="ordered", stratum="", state="assigned"
        )
        session.add(check)
        await session.flush()
        await publish_change(session, "assignments", [UUID(assignment)])
    assert await carried(phone, assignment) is None
