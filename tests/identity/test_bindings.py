"""How a binding ends: by the resident, or by an officer of the area with a reason; afterwards nothing is seen."""

from sqlalchemy import select

from server.core.database import open_session
from server.core.ids import new_id
from server.models.audit import AuditEntry
from server.models.cases import CaseFile, RelativeOnStaff
from server.models.households import HouseholdMember
from server.models.notifications import Notice
from server.models.people import ResidentBinding
from tests.makers.cases import VILLAGE

REASON = "手机遗失，本人来所申请"


async def bound(office):
    """A resident at their case, with one notice of it, and the path of its household's bindings at the desk."""
    resident = await office.resident()
    case_id = (await resident.http.get("/resident/v1/cases")).json()[0]["id"]
    async with open_session(office.services.sessions) as session:
        case = await session.get_one(CaseFile, case_id)
        session.add(
            Notice(
                id=new_id(), resident_id=resident.id, kind="posted", thing=f"posting:{new_id()}", area_code=VILLAGE,
                facts={"caseId": case_id}, message="waiting", tries=0,
            )
        )  # fmt: skip
    return resident, case_id, f"/desk/v1/households/{case.household_id}/bindings"


async def sees(resident, case_id):
    """What the session of the resident, signed in all the while, is answered about the household."""
    path = f"/resident/v1/cases/{case_id}"
    lines = [await resident.http.get(f"{path}{rest}") for rest in ("", "/visits")]
    change = {"id": str(new_id()), "kind": "other", "text": "家里有变化了"}
    lines.append(await resident.http.post(f"{path}/changes", json=change))
    notices = await resident.http.get("/resident/v1/notices")
    listed = await resident.http.get("/resident/v1/cases")
    assert (listed.status_code, notices.status_code) == (200, 200), notices.text
    return [item.status_code for item in lines], len(listed.json()), len(notices.json()["items"])


ALL = ([200, 200, 204], 1, 1)
NOTHING = ([404, 404, 404], 0, 0)


async def acts(services):
    async with services.sessions() as session:
        rows = await session.scalars(
            select(AuditEntry)
            .where(AuditEntry.action.in_(["resident.unbound", "resident.binding_ended"]))
            .order_by(AuditEntry.id)
        )
        return [(row.action, row.actor_id, row.area_code, row.facts.get("reason")) for row in rows]


async def test_a_resident_ends_their_own_binding_and_sees_nothing_of_the_household(office, services):
    resident, case_id, _ = await bound(office)
    assert await sees(resident, case_id) == ALL
    for _ in range(2):
        answer = await resident.http.post("/auth/v1/resident/unbind", json={"caseId": case_id})
        assert answer.status_code == 204, answer.text
    assert await sees(resident, case_id) == NOTHING
    assert await acts(services) == [("resident.unbound", resident.id, VILLAGE, None)]


async def test_a_resident_ends_no_binding_of_another(office):
    resident, case_id, _ = await bound(office)
    other = await office.resident(1)
    answer = await other.http.post("/auth/v1/resident/unbind", json={"caseId": case_id})
    assert (answer.status_code, answer.json()["code"]) == (404, "thing.not_found")
    assert await sees(resident, case_id) == ALL
    town = await office.person("town_officer")
    answer = await town.http.post("/auth/v1/resident/unbind", json={"caseId": case_id})
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.forbidden")


async def test_an_officer_of_the_area_ends_a_binding_with_a_reason_and_it_shows_as_ended(office, services):
    resident, case_id, path = await bound(office)
    for role in ("town_officer", "county_officer"):
        (line,) = (await (await office.person(role)).http.get(path)).json()
        assert (line["endedAt"], line["endedBy"]) == (None, None)
    town = await office.person("town_officer")
    end = f"{path}/{line['id']}/end"
    assert (await town.http.post(end, json={"reason": " "})).status_code == 400
    for reason in (REASON, "再结束一次"):
        (ended,) = (await town.http.post(end, json={"reason": reason})).json()
        assert (ended["endedBy"], ended["endReason"]) == (town.signed_in["name"], REASON)
    assert (await town.http.get(path)).json() == [ended]
    assert ended["memberName"] == line["memberName"]
    assert office.county.residents[0].id_number not in str(ended)
    assert await sees(resident, case_id) == NOTHING
    assert await acts(services) == [("resident.binding_ended", town.id, VILLAGE, REASON)]


async def test_the_slip_of_a_household_ends_with_a_binding_that_an_officer_ended(office, services):
    _, case_id, path = await bound(office)
    town = await office.person("town_officer")
    (line,) = (await town.http.get(path)).json()
    async with services.sessions() as session:
        assert (await session.get_one(CaseFile, case_id)).look_up_pin is not None
    await town.http.post(f"{path}/{line['id']}/end", json={"reason": REASON})
    item = office.county.residents[0]
    body = {"idNumber": item.id_number, "applicationNumber": item.application_number, "pin": item.look_up_pin}
    answer = await office.system.client().post("/auth/v1/resident/sign-in", json=body | {"device": {"label": "x"}})
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.resident_sign_in_failed")


async def test_whoever_was_let_go_of_binds_anew_as_the_first_time(office, services):
    resident, case_id, path = await bound(office)
    await resident.http.post("/auth/v1/resident/unbind", json={"caseId": case_id})
    item = office.county.residents[0]
    numbers = {"idNumber": item.id_number, "applicationNumber": item.application_number}
    assert (await resident.http.post("/auth/v1/resident/bind", json=numbers)).json()["caseId"] == case_id
    assert await sees(resident, case_id) == ALL
    now, before = (await (await office.person("town_officer")).http.get(path)).json()
    assert (now["endedAt"], before["endedAt"] is None, before["endedBy"]) == (None, False, None)


async def test_nobody_else_looks_over_or_ends_who_is_bound(office, county, services):
    resident, case_id, path = await bound(office)
    (line,) = (await (await office.person("town_officer")).http.get(path)).json()
    other_town = next(
        staff_member.login
        for staff_member in county.staff
        if staff_member.role == "town_officer" and staff_member.area_code not in VILLAGE
    )
    strangers = [await office.person("caseworker"), await office.person("supervisor"), await office.sign_in(other_town)]
    for who in [*strangers, resident]:
        for answer in (
            await who.http.get(path),
            await who.http.post(f"{path}/{line['id']}/end", json={"reason": REASON}),
        ):
            assert answer.json()["code"] in {"auth.forbidden", "thing.not_found"}
    town = await office.person("town_officer")
    async with open_session(services.sessions) as session:
        case = await session.get_one(CaseFile, case_id)
        session.add(
            RelativeOnStaff(
                household_id=case.household_id, name=town.signed_in["name"], office="街道", relation="表亲",
                declared_on=case.applied_on,
            )
        )  # fmt: skip
    refusal = await town.http.post(f"{path}/{line['id']}/end", json={"reason": REASON})
    assert (refusal.status_code, refusal.json()["code"]) == (403, "case.own_relative")
    assert (await town.http.get(path)).json()["code"] == "case.own_relative"
    assert await sees(resident, case_id) == ALL


async def test_a_member_whose_binding_ended_may_be_left_out_of_the_household(office, services):
    _, _, path = await bound(office)
    town = await office.person("town_officer")
    household = path.removesuffix("/bindings")
    (line,) = (await town.http.get(path)).json()
    async with services.sessions() as session:
        binding = await session.get_one(ResidentBinding, line["id"])
        members = (
            await session.scalars(
                select(HouseholdMember)
                .where(HouseholdMember.household_id == binding.household_id, HouseholdMember.id != binding.member_id)
                .order_by(HouseholdMember.position)
            )
        ).all()
    left = [{"id": str(member.id), "name": member.name, "relation": member.relation} for member in members] or [
        {"id": str(new_id()), "name": "农小满", "relation": "head", "sex": "male", "bornOn": "1990-01-01"}
    ]
    body = {"household": {"members": left, "address": "桐荫社区7号"}, "reason": "成员去世"}

    async def leave_out():
        version = (await town.http.get(household)).json()["version"]
        return await town.http.put(household, json=body, headers={"If-Match": f'"{version}"'})

    assert (await leave_out()).json()["code"] == "household.member_bound"
    await town.http.post(f"{path}/{line['id']}/end", json={"reason": "成员去世"})
    assert (await leave_out()).status_code == 200
    assert (await town.http.get(path)).json() == []
