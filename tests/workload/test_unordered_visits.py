"""A caseworker begins a visit of a home they hold without an order: it counts like any other, and says why."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from server.core.clock import utc_now
from server.core.database import open_session
from server.models.areas import PolicySetting
from server.models.households import Assignment, Household
from server.models.review import Finding
from server.workload.schedule import schedule_reviews
from tests.days import month
from tests.phones import make_kit
from tests.test_first_path import push_whole

OWN: dict[str, Any] = {"assignmentId": None, "unorderedReason": "听邻居说老人病了"}


@pytest.fixture
async def partner(system, county):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    return await system.sign_in(due.partner_login, "caseworker")


async def allowed(phone) -> dict[str, list[str]]:
    answer = await phone.http.get("/field/v1/unordered-kinds")
    assert answer.status_code == 200, answer.text
    return {village["areaCode"]: [item["kind"] for item in village["kinds"]] for village in answer.json()}


async def codes_of(services, visit_id: str) -> set[str]:
    async with services.sessions() as session:
        rows = select(Finding.code).where(Finding.visit_id == UUID(visit_id), Finding.superseded_at.is_(None))
        return set(await session.scalars(rows))


async def test_the_phone_hears_which_kinds_its_villages_allow_and_by_which_checklist(phone, services):
    before = await allowed(phone)
    homes = (await phone.pull("households")).values()
    assert set(before) == {home["areaCode"] for home in homes}
    assert all({"review", "neighbour", "care"} <= set(kinds) for kinds in before.values())
    assert all("spot_check" not in kinds for kinds in before.values())
    held = await phone.pull("checklists")
    for village in (await phone.http.get("/field/v1/unordered-kinds")).json():
        for item in village["kinds"]:
            checklist = held[item["id"]]
            assert (checklist["kind"], checklist["code"]) == (item["kind"], item["checklistCode"])
    village = next(iter(before))
    async with open_session(services.sessions) as session:
        rule = {"key": "visit.unordered_kinds", "value": ["care"], "effective_from": month(), "source": "test"}
        session.add(PolicySetting(area_code=village, **rule))
    assert (await allowed(phone))[village] == ["care"]


async def test_a_visit_nobody_ordered_is_reviewed_like_any_other_and_says_why(phone, partner, desk, system, services):
    kit = await make_kit(phone, partner.id, kind="review", photos=[], **OWN)
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    page = (await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}")).json()
    assert (page["state"], page["document"]["assignmentId"]) == ("under_review", None)
    assert page["document"]["unorderedReason"] == OWN["unorderedReason"]
    assert not {"visit.kind_needs_order", "visit.unordered_without_reason"} & await codes_of(services, page["id"])
    # The home's next review is counted from this visit, whoever ordered it.
    async with open_session(services.sessions) as session:
        home = await session.get_one(Household, UUID(kit.visit["householdId"]))
        for assignment in await session.scalars(select(Assignment).where(Assignment.household_id == home.id)):
            assignment.state = "cancelled"
        await schedule_reviews(session, home.area_code[:6], utc_now())
        due = select(Assignment.id).where(Assignment.household_id == home.id, Assignment.state == "open")
        assert await session.scalar(due) is None


async def test_a_kind_that_needs_an_order_and_a_missing_reason_are_kept_and_marked(phone, partner, system, services):
    kit = await make_kit(phone, partner.id, kind="intake", photos=[], assignmentId=None)
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    assert {"visit.kind_needs_order", "visit.unordered_without_reason"} <= await codes_of(services, kit.visit["id"])


async def test_a_visit_to_a_home_that_one_does_not_hold_is_kept_with_a_helpful_sentence(phone, partner, services):
    held = await phone.pull("households")
    async with services.sessions() as session:
        other = await session.scalar(select(Household.id).where(Household.id.not_in([UUID(home) for home in held])))
    kit = await make_kit(phone, partner.id, kind="review", photos=[], **OWN, householdId=str(other))
    [returned] = await phone.push("visits", kit.visit)
    problem = returned["server"]["problem"]
    assert (returned["server"]["state"], problem["zh"]["code"]) == ("quarantined", "visit.household_unknown")
    assert problem["zh"]["title"]


async def test_a_reason_is_no_part_of_an_ordered_visit(phone, partner, system, services):
    kit = await make_kit(phone, partner.id, kind="review", photos=[])
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    assert not {"visit.kind_needs_order", "visit.unordered_without_reason"} & await codes_of(services, kit.visit["id"])
