"""A visit made at the wrong home or by mistake is voided: it stays readable, and nothing of it counts."""

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from server.core.working_days import day_of
from server.models.audit import AuditEntry
from server.models.households import Household
from server.models.review import ReviewItem, VisitTally
from server.models.visits import VisitVersion
from server.workload.schedule import load_households
from tests.phones import make_kit, tiny_photo
from tests.test_first_path import push_whole
from tests.visits.test_amendments import amend, decide, other_answers

WHY = {"reason": "走错了家，应为隔壁一户"}


@pytest.fixture
async def partner(system, county):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    return await system.sign_in(due.partner_login, "caseworker")


@pytest.fixture
async def kit(system, phone, partner):
    kit = await make_kit(phone, partner.id, kind="review", photos=[tiny_photo(1), tiny_photo(2)])
    kit.evidence[0]["source"] = "wx.chooseImage"  # a phone of an earlier version says nothing, as of the second
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    return kit


async def void_own(phone, kit):
    return await phone.http.post(f"/field/v1/visits/{kit.visit['id']}/void", json=WHY)


async def void(desk, kit, **body: Any):
    return await desk.http.post(f"/desk/v1/visits/{kit.visit['id']}/void", json={**WHY, **body})


async def person(system, county, role):
    login = next(staff_member.login for staff_member in county.staff if staff_member.role == role)
    return await system.sign_in_at_desk(login, role)


async def count(services, model, *where) -> int:
    async with services.sessions() as session:
        return await session.scalar(select(func.count()).select_from(model).where(*where))


async def test_its_author_voids_a_visit_that_nobody_reviews_and_its_order_is_open_again(
    system, services, phone, partner, desk, kit
):
    assert kit.visit["assignmentId"] not in await phone.pull("assignments")
    for _ in range(2):
        answer = await void_own(phone, kit)
        assert answer.status_code == 204, answer.text
    mine = (await phone.pull("visits"))[kit.visit["id"]]
    assert (mine["server"]["state"], mine["server"]["voidReason"]) == ("voided", WHY["reason"])
    assert mine["server"]["receipt"]
    assert kit.visit["assignmentId"] in await phone.pull("assignments")
    assert (await partner.pull("visits"))[kit.visit["id"]]["server"]["state"] == "voided"

    page = (await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}")).json()
    assert (page["state"], page["voided"]["reason"], len(page["photos"])) == ("voided", WHY["reason"], 2)
    assert {photo["source"] for photo in page["photos"]} == {"wx.chooseImage", None}
    queue = (await desk.http.get("/desk/v1/queue")).json()["items"]
    assert kit.visit["id"] not in [item["visitId"] for item in queue]
    claim = await desk.http.post(f"/desk/v1/queue/{kit.visit['id']}/claim")
    assert claim.json()["code"] == "visit.voided"
    assert await count(services, VisitTally, VisitTally.visit_id == UUID(kit.visit["id"])) == 0
    assert await count(services, AuditEntry, AuditEntry.action == "visit.voided") == 1

    # The order is fulfilled by another visit; then the voided one stays what it is.
    again = await make_kit(phone, partner.id, kind="review", photos=[tiny_photo(3), tiny_photo(4)])
    assert again.visit["assignmentId"] == kit.visit["assignmentId"]
    await push_whole(phone, partner, again)
    await system.run_jobs()
    assert (await phone.pull("visits"))[again.visit["id"]]["server"]["state"] == "under_review"
    assert (await phone.pull("visits"))[kit.visit["id"]]["server"]["state"] == "voided"


async def test_once_a_reviewer_has_begun_only_an_officer_voids_it(system, phone, partner, desk, county, kit):
    assert (await void_own(partner, kit)).json()["code"] == "thing.not_found"
    await desk.http.post(f"/desk/v1/queue/{kit.visit['id']}/claim")
    assert (await void_own(phone, kit)).json()["code"] == "visit.in_review"
    officer = await person(system, county, "county_officer")
    assert (await void(officer, kit)).status_code == 204
    page = (await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}")).json()
    assert (page["state"], page["outcome"]) == ("voided", None)
    assert page["voided"]["byName"]


async def test_a_decided_visit_is_voided_by_who_may_reopen_it_and_its_versions_stay(
    system, services, phone, desk, county, kit
):
    master = (await phone.pull("visits"))[kit.visit["id"]]
    assert await phone.push("visits", amend(master, answers=other_answers(master)[2]), assumed=master) == []
    await system.run_jobs()
    page = (await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}")).json()
    seen = [finding["id"] for finding in page["findings"]]
    await decide(desk, kit, outcome="accepted", reason="", dismissed=seen)
    assert (await void_own(phone, kit)).json()["code"] == "visit.in_review"
    home = (await phone.pull("households"))[kit.visit["householdId"]]
    town = next(
        member
        for member in county.staff
        if member.role == "town_officer" and home["areaCode"].startswith(member.area_code)
    )
    town_desk = await system.sign_in_at_desk(town.login, "town_officer")
    assert (await void(town_desk, kit)).json()["code"] == "auth.forbidden"
    officer = await person(system, county, "county_officer")
    assert (await void(officer, kit)).status_code == 204
    reopened = await desk.http.post(f"/desk/v1/visits/{kit.visit['id']}/reopen", json={"reason": "再看"})
    assert reopened.json()["code"] == "visit.voided"
    assert await count(services, VisitVersion, VisitVersion.visit_id == UUID(kit.visit["id"])) == 1
    # Its author can't bring it back by an amendment.
    master = (await phone.pull("visits"))[kit.visit["id"]]
    [lost] = await phone.push("visits", amend(master, answers=kit.visit["answers"]), assumed=master)
    assert lost["server"]["state"] == "voided"
    bundle = await officer.http.get(f"/desk/v1/visits/{kit.visit['id']}/bundle")
    assert bundle.status_code == 200


async def test_a_home_is_due_as_if_a_voided_visit_had_never_been(services, phone, kit):
    household_id = UUID(kit.visit["householdId"])

    async def last_visited():
        async with services.sessions() as session:
            home = await session.get_one(Household, household_id)
            homes = (await load_households(session, home.area_code[:6]))[home.area_code]
            return next(item for item in homes if item.household_id == household_id).last_visited_on

    assert await last_visited() == day_of(datetime.fromisoformat(kit.visit["startedAt"]))
    await void_own(phone, kit)
    assert await last_visited() is None


async def test_an_incomplete_visit_is_voided_and_no_late_part_brings_it_back(system, services, phone, partner, desk):
    kit = await make_kit(phone, partner.id, kind="review", photos=[])
    assert await phone.push("visits", kit.visit) == []
    assert (await void_own(phone, kit)).status_code == 204
    await partner.push("attestations", kit.attestation)
    await system.run_jobs()
    assert (await phone.pull("visits"))[kit.visit["id"]]["server"]["state"] == "voided"
    assert await count(services, ReviewItem, ReviewItem.visit_id == UUID(kit.visit["id"])) == 0


async def test_a_draft_is_discarded_and_not_voided(phone, partner):
    kit = await make_kit(phone, partner.id, kind="review", photos=[], state="draft")
    assert await phone.push("visits", kit.visit) == []
    assert (await void_own(phone, kit)).json()["code"] == "visit.not_submitted"
