"""The desk orders visits of any kind, recalls them, and sees who has what."""

import asyncio
import csv
import io
from typing import Any

import pytest
from sqlalchemy import select

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models.households import Caseload, Household
from server.models.people import Staff
from server.models.review import SpotCheck
from tests.days import in_days
from tests.phones import make_kit
from tests.test_first_path import push_whole

Json = dict[str, Any]


@pytest.fixture
async def officer(system, county):
    login = next(staff_member.login for staff_member in county.staff if staff_member.role == "county_officer")
    return await system.sign_in_at_desk(login, "county_officer")


@pytest.fixture
async def partner(system, county):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    return await system.sign_in(due.partner_login, "caseworker")


async def order(officer, **changes: Any) -> Json:
    body = {"id": str(new_id()), "kind": "care", "dueOn": str(in_days(10)), "note": "寒潮慰问"} | changes
    answer = await officer.http.post("/desk/v1/visit-orders", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def orders(officer, **query: Any) -> list[Json]:
    answer = await officer.http.get("/desk/v1/visit-orders", params={"limit": 200, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def recall(officer, **body: Any) -> int:
    answer = await officer.http.post("/desk/v1/visit-orders/recall", json={"reason": "天气转暖", **body})
    assert answer.status_code == 200, answer.text
    return answer.json()["recalled"]


async def held_home(phone) -> Json:
    """A home that this person holds, and that receives."""
    return min((home for home in (await phone.pull("households")).values() if home["class"]), key=lambda h: h["number"])


async def test_a_visit_to_one_home_reaches_its_holder_with_the_note_and_counts_when_made(
    officer, phone, partner, system
):
    home = await held_home(phone)
    answer = await order(officer, householdIds=[home["id"]])
    assert (answer["ordered"], answer["withoutHolder"], answer["leftOut"]) == (1, 0, [])
    [held] = [item for item in (await phone.pull("assignments")).values() if item["kind"] == "care"]
    assert (held["householdId"], held["note"], held["dueOn"]) == (home["id"], "寒潮慰问", str(in_days(10)))
    [line] = await orders(officer, kind="care")
    assert (line["state"], line["headName"], line["assigneeName"]) == ("open", home["headName"], None)
    assert line["orderedByName"]
    await system.run_jobs()
    notices = (await phone.http.get("/field/v1/notices")).json()["items"]
    assert any(notice["kind"] == "assigned" for notice in notices)

    kit = await make_kit(phone, partner.id, kind="care", photos=[])
    await push_whole(phone, partner, kit)
    [line] = await orders(officer, kind="care")
    assert (line["state"], line["visitId"]) == ("done", kit.visit["id"])


async def test_an_order_says_first_what_it_would_do_and_the_same_order_again_changes_nothing(officer, town_desk, phone):
    home = await held_home(phone)
    body = {"id": str(new_id()), "householdIds": [home["id"]]}
    assert (await order(officer, **body, dryRun=True))["ordered"] == 1
    assert await orders(officer, kind="care") == []
    assert (await order(officer, **body))["ordered"] == (await order(officer, **body))["ordered"] == 1
    assert len(await orders(officer, kind="care")) == 1
    other = {"id": body["id"], "kind": "review", "dueOn": str(in_days(3)), "householdIds": [home["id"]]}
    answer = await officer.http.post("/desk/v1/visit-orders", json=other)
    assert answer.json()["code"] == "order.spent"
    same = {"kind": "care", "dueOn": str(in_days(10)), "note": "寒潮慰问", **body}
    assert (await town_desk.http.post("/desk/v1/visit-orders", json=same)).json()["code"] == "order.spent"
    [left] = (await order(officer, householdIds=[home["id"]]))["leftOut"]
    assert (left["number"], left["code"]) == (home["number"], "order.already_open")


async def test_an_order_sent_twice_at_once_says_the_same_twice(officer, phone):
    home = await held_home(phone)
    body = {"id": str(new_id()), "householdIds": [home["id"]]}
    answers = await asyncio.gather(*(order(officer, **body) for _ in range(3)))
    assert [(answer["ordered"], answer["leftOut"]) for answer in answers] == [(1, [])] * 3
    assert len(await orders(officer, kind="care")) == 1


@pytest.mark.parametrize("due_on", [str(in_days(-1)), str(in_days(401)), "9999-12-31"])
async def test_a_due_date_that_is_over_or_a_slip_of_the_keyboard_is_refused(officer, phone, due_on):
    home = await held_home(phone)
    body = {"id": str(new_id()), "kind": "care", "dueOn": due_on, "householdIds": [home["id"]]}
    answer = await officer.http.post("/desk/v1/visit-orders", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")


async def test_a_class_of_a_village_and_a_pasted_list_are_ordered_and_what_does_not_fit_is_named(
    officer, phone, services
):
    home = await held_home(phone)
    async with services.sessions() as session:
        homes = list(
            await session.scalars(
                select(Household.number)
                .where(Household.area_code == home["areaCode"], Household.class_ == home["class"])
                .order_by(Household.number)
            )
        )
    answer = await order(officer, areaCode=home["areaCode"], **{"class": home["class"]})
    assert answer["ordered"] == len(homes)
    pasted = [homes[0].replace("-", ""), f" {homes[-1]} ", "YZ-0000-99999"]
    answer = await order(officer, kind="neighbour", numbers=pasted)
    assert answer["ordered"] == len(set(homes[:1] + homes[-1:]))
    assert [(line["number"], line["code"]) for line in answer["leftOut"]] == [("YZ-0000-99999", "order.home_unknown")]
    answer = await order(officer, kind="intake", householdIds=[home["id"]])
    assert [line["code"] for line in answer["leftOut"]] in (["order.no_case"], ["order.already_open"])
    everything = {"id": str(new_id()), "kind": "care", "dueOn": str(in_days(1)), "areaCode": "339901", "numbers": ["1"]}
    refused = await officer.http.post("/desk/v1/visit-orders", json=everything)
    assert refused.json()["code"] == "order.nothing_named"
    late = await officer.http.post(
        "/desk/v1/visit-orders",
        json={"id": str(new_id()), "kind": "care", "dueOn": str(in_days(-1)), "householdIds": [home["id"]]},
    )
    assert (late.status_code, late.json()["errors"][0]["pointer"]) == (400, "/dueOn")


async def test_one_holder_of_several_may_be_the_one_who_goes(officer, phone, partner, services):
    home = await held_home(phone)
    elsewhere = await order(officer, householdIds=[home["id"]], assigneeId=str(partner.id))
    held_by_both = home["id"] in await partner.pull("households")
    if not held_by_both:
        assert [line["code"] for line in elsewhere["leftOut"]] == ["order.not_held"]
        give = {"toStaffId": str(partner.id), "householdIds": [home["id"]]}
        assert (await officer.http.post("/desk/v1/caseload/assign", json=give)).status_code == 200
        assert (await order(officer, householdIds=[home["id"]], assigneeId=str(partner.id)))["ordered"] == 1
    kinds = [item["kind"] for item in (await phone.pull("assignments")).values() if item["householdId"] == home["id"]]
    assert "care" not in kinds
    assert "care" in [item["kind"] for item in (await partner.pull("assignments")).values()]
    assert [line["kind"] for line in await orders(officer, kind="care", staffId=str(partner.id))] == ["care"]
    assert await orders(officer, kind="care", staffId=str(phone.id)) == []

    # Whoever loses the home is no longer the one to go.
    take = {"fromStaffId": str(partner.id), "householdIds": [home["id"]], "reason": "调岗"}
    assert (await officer.http.post("/desk/v1/caseload/revoke", json=take)).status_code == 200
    assert "care" in [item["kind"] for item in (await phone.pull("assignments")).values()]
    assert "care" not in [item["kind"] for item in (await partner.pull("assignments")).values()]


async def test_recalled_orders_leave_the_phone_and_those_of_the_procedure_stay(officer, phone):
    home = await held_home(phone)
    order_id = str(new_id())
    await order(officer, id=order_id, householdIds=[home["id"]])
    before = await phone.pull("assignments")
    assert await recall(officer, orderId=order_id) == 1
    assert await recall(officer, orderId=order_id) == 0
    after = await phone.pull("assignments")
    assert {item["kind"] for key, item in before.items() if key not in after} == {"care"}
    assert [line["state"] for line in await orders(officer, kind="care")] == ["cancelled"]
    assert await recall(officer, assignmentIds=list(after)) == 0
    assert await phone.pull("assignments") == after


async def test_a_visit_begun_before_its_recall_is_taken(officer, phone, partner):
    home = await held_home(phone)
    await order(officer, householdIds=[home["id"]])
    kit = await make_kit(phone, partner.id, kind="care", photos=[])
    await recall(officer, assignmentIds=[kit.visit["assignmentId"]])
    await push_whole(phone, partner, kit)
    assert (await phone.pull("visits"))[kit.visit["id"]]["server"]["receipt"]


async def test_homes_without_a_holder_are_ordered_and_told(officer, phone, services):
    home = await held_home(phone)
    async with open_session(services.sessions) as session:
        for row in await session.scalars(select(Caseload).where(Caseload.household_id == home["id"])):
            await session.delete(row)
    assert (await order(officer, householdIds=[home["id"]]))["withoutHolder"] == 1
    [line] = await orders(officer, kind="care")
    assert line["heldBy"] == []


async def test_only_officers_order_and_only_in_their_area(system, county, desk, phone, services):
    home = await held_home(phone)
    body = {"id": str(new_id()), "kind": "care", "dueOn": str(in_days(9)), "householdIds": [home["id"]]}
    assert (await desk.http.post("/desk/v1/visit-orders", json=body)).json()["code"] == "auth.forbidden"
    towns = [member for member in county.staff if member.role == "town_officer"]
    elsewhere = next(member for member in towns if not home["areaCode"].startswith(member.area_code))
    town = await system.sign_in_at_desk(elsewhere.login, "town_officer")
    assert (await town.http.post("/desk/v1/visit-orders", json=body)).json()["code"] == "thing.not_found"
    assert all(line["areaCode"].startswith(elsewhere.area_code) for line in await orders(town))


async def test_the_list_is_saved_as_a_file(officer, phone):
    home = await held_home(phone)
    await order(officer, householdIds=[home["id"]])
    saved = await officer.http.get("/desk/v1/visit-orders/export", params={"kind": "care", "state": "open"})
    rows = list(csv.DictReader(io.StringIO(saved.content.decode("utf-8-sig"))))
    assert [(row["户主"], row["走访类型"], row["状态"], row["说明"]) for row in rows] == [
        (home["headName"], "慰问走访", "待走访", "寒潮慰问")
    ]


async def test_a_team_on_its_way_to_a_blind_check_is_no_holder_in_any_list(ground, officer, services):
    async with services.sessions() as session:
        names = {staff.id: staff.name for staff in await session.scalars(select(Staff))}
    household = ground.homes[0]
    first = await ground.visit(0)
    async with services.sessions() as session:
        holders = select(Caseload.staff_id).where(Caseload.household_id == household.id)
        team = await session.scalar(select(Staff.id).where(Staff.id.not_in(holders)).order_by(Staff.login).limit(1))
    async with open_session(services.sessions) as session:
        grant = Caseload(id=new_id(), household_id=household.id, staff_id=team, granted_at=utc_now())
        session.add(grant)
        session.add(
            SpotCheck(
                id=new_id(),
                visit_id=first,
                why="ordered",
                stratum="",
                state="assigned",
                staff_id=team,
                area_code=household.area_code,
                grants=[str(grant.id)],
            )
        )
    await order(officer, householdIds=[str(household.id)])
    for path, query in (
        ("/desk/v1/visit-orders", {"kind": "care"}),
        ("/desk/v1/due", {"kind": "care"}),
        ("/desk/v1/households", {"q": household.number}),
    ):
        [line] = (await officer.http.get(path, params=query)).json()["items"]
        assert names[team] not in line["heldBy"], path
        saved = await officer.http.get(f"{path}/export", params=query)
        assert names[team] not in saved.content.decode("utf-8-sig"), path
