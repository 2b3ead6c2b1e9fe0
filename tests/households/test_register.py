"""Households and applications at the desk: sealed numbers, kept versions, papers asked for once."""

import asyncio
import json
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Problem
from server.core.id_numbers import make_id_number
from server.core.ids import new_id
from server.households.double_benefit import require_no_double_benefit
from server.models.audit import AuditEntry
from server.models.cases import CaseFile
from server.models.households import Caseload, Household, HouseholdMember
from tests import days
from tests.makers.cases import TOWN, VILLAGE, calculated, done, look, refused
from tests.postings.test_postings import to_posting


def id_number(sequence=11, year=1970):
    return make_id_number("339901", date(year, 3, 4), sequence)


def household(**changes):
    number = id_number()
    return {
        "members": [
            {"id": str(new_id()), "name": "农畦笠", "relation": "head", "idNumber": number, "health": "healthy"}
        ],
        "address": "云栖县禾汀街道桐荫社区99号",
        "phone": "19900008888",
        "bank": {"holderName": "农畦笠", "bankName": "农商行", "card": "6200 0012 3456 7890"},
        "incomes": [{"id": str(new_id()), "kind": "wage", "declaredFen": 100_00}],
    } | changes


async def apply(desk, **changes):
    body = {
        "id": str(new_id()),
        "householdId": str(new_id()),
        "areaCode": VILLAGE,
        "household": household(),
        "situations": ["illness"],
    } | changes
    return await desk.http.post("/desk/v1/applications", json=body), body


async def accept_account(office):
    """Accept every waiting bank account, as the second person."""
    county = await office.person("county_officer")
    for line in (await county.http.get("/desk/v1/proposals")).json()["items"]:
        answer = await county.http.post(f"/desk/v1/proposals/{line['id']}/decision", json={"outcome": "accepted"})
        assert answer.status_code == 204, answer.text


async def test_an_application_is_made_with_its_archive_and_again_is_the_same(office):
    worker = await office.person("caseworker")
    answer, body = await apply(worker)
    assert answer.status_code == 201, answer.text
    result = answer.json()
    assert (result["state"], result["version"]) == ("applied", 1)
    assert result["applicationNumber"].startswith("SQ339901")
    again = await worker.http.post("/desk/v1/applications", json=body)
    assert again.json()["applicationNumber"] == result["applicationNumber"]
    second, _ = await apply(worker, householdId=body["householdId"], household=None, areaCode=None)
    assert second.json()["code"] == "case.open_already"
    # whoever wrote it down holds it: it is on their phone
    phone = await office.sign_in(
        next(staff_member.login for staff_member in office.county.staff if staff_member.role == "caseworker")
    )
    pulled = await phone.http.get("/field/v1/sync/households/1/pull", params={"lwt": 0, "id": "", "limit": 500})
    assert body["householdId"] in pulled.text


async def test_a_household_that_receives_changes_its_case_and_applies_anew_only_when_stopped(office, services):
    worker = await office.person("caseworker")
    _, body = await apply(worker)
    again = {"householdId": body["householdId"], "household": None, "areaCode": None}
    for state in ("confirmed", "published", "in_force"):
        async with open_session(services.sessions) as session:
            (await session.get_one(CaseFile, body["id"])).state = state
        answer, _ = await apply(worker, **again)
        assert (answer.status_code, answer.json()["code"]) == (409, "case.granted_already"), answer.text
        assert body["id"] not in answer.text
        assert "SQ339901" in answer.text
    async with open_session(services.sessions) as session:
        (await session.get_one(CaseFile, body["id"])).state = "stopped"
    answer, _ = await apply(worker, **again)
    assert answer.status_code == 201, answer.text


async def test_an_age_that_money_is_paid_by_is_neither_impossible_nor_typed_over_a_number(office):
    """Uplifts are paid by age: one year counted by Buddhists makes a child of a man of sixty."""
    worker = await office.person("caseworker")
    for born in ("0001-01-01", "1890-01-01", "2569-05-01", "9999-12-31", days.in_days(2).isoformat()):
        member = {"id": str(new_id()), "name": "农畦笠", "relation": "head", "sex": "male", "bornOn": born}
        answer, _ = await apply(worker, household=household(members=[member]))
        assert answer.json()["errors"][0]["code"] == "member.birth_impossible", answer.text
    answer, body = await apply(worker, household=household(phone=None, bank=None))
    assert answer.status_code == 201, answer.text
    path = f"/desk/v1/households/{body['householdId']}"
    seen = await worker.http.get(path)
    [member] = seen.json()["members"]
    keep = {name: member[name] for name in ("id", "name", "relation", "sex", "bornOn")}
    for change, code in (
        ({"bornOn": "1940-01-01"}, "member.birth_differs"),
        ({"sex": "female" if keep["sex"] == "male" else "male"}, "member.sex_differs"),
        ({"bornOn": "2569-01-01"}, "member.birth_impossible"),
    ):
        changed = {"household": household(members=[keep | change], phone=None, bank=None), "reason": "改年龄"}
        refused = await worker.http.put(path, json=changed, headers={"If-Match": f'"{seen.json()["version"]}"'})
        assert refused.status_code == 400, refused.text
        assert refused.json()["errors"][0]["code"] == code, refused.text
    assert (await worker.http.get(path)).json()["members"] == [member]


async def test_whose_household_is_stopped_may_be_a_member_of_another(office, services):
    worker, number = await office.person("caseworker"), id_number(51)
    member = {"name": "农畦笠", "relation": "head", "idNumber": number}
    _, body = await apply(worker, household=household(members=[member | {"id": str(new_id())}]))
    elsewhere = {"household": household(members=[member | {"id": str(new_id())}])}
    for state, status in (("in_force", 409), ("stopped", 201)):
        async with open_session(services.sessions) as session:
            (await session.get_one(CaseFile, body["id"])).state = state
        answer, _ = await apply(worker, **elsewhere)
        assert answer.status_code == status, answer.text


async def test_nobody_stands_twice_in_a_household_nor_in_one_that_receives_without_a_case(office, services, county):
    town = await office.person("town_officer")
    member = {"name": "农畦笠", "relation": "head", "idNumber": id_number(61)}
    twice = [member | {"id": str(new_id())}, member | {"id": str(new_id()), "relation": "child"}]
    answer, _ = await apply(town, household=household(members=twice))
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "member.twice")
    async with services.sessions() as session:
        without = select(CaseFile.household_id)
        receiving = Household.monthly_amount_fen > 0, Household.id.not_in(without), Household.area_code.startswith(TOWN)
        number = await session.scalar(select(Household.number).where(*receiving).limit(1))
    answer, _ = await apply(town, household=household(members=[head_of(county, number)]))
    assert (answer.status_code, answer.json()["code"]) == (409, "household.member_known")


def head_of(county, number):
    """The head of a household of the county, as a new application writes them down."""
    head = next(item for item in county.households if item.number == number).members[0]
    return {"id": str(new_id()), "name": head.name, "relation": "head", "idNumber": head.id_number}


async def receiving_elsewhere(services):
    """The number of a household of another town that receives."""
    async with services.sessions() as session:
        elsewhere = Household.monthly_amount_fen > 0, Household.area_code.not_like(f"{TOWN}%")
        return await session.scalar(select(Household.number).where(*elsewhere).limit(1))


async def test_an_application_tells_nothing_of_people_in_another_town(office, services, county):
    number = await receiving_elsewhere(services)
    for role in ("caseworker", "town_officer"):
        desk = await office.person(role)
        answer, body = await apply(desk, household=household(members=[head_of(county, number)]))
        async with open_session(services.sessions) as session:
            await session.execute(update(CaseFile).where(CaseFile.id == body["id"]).values(state="withdrawn"))
        assert answer.status_code == 201, answer.text


async def test_who_receives_in_another_town_is_granted_nothing(office, services, county):
    number = await receiving_elsewhere(services)
    answer, body = await apply(
        await office.person("town_officer"), household=household(members=[head_of(county, number)])
    )
    assert answer.status_code == 201, answer.text
    async with open_session(services.sessions) as session:
        with pytest.raises(Problem) as refusal:
            await require_no_double_benefit(session, UUID(body["householdId"]))
        assert refusal.value.code == "household.member_receives"
    _, alone = await apply(await office.person("town_officer"), household=household())
    async with open_session(services.sessions) as session:
        await require_no_double_benefit(session, UUID(alone["householdId"]))


async def test_the_grant_itself_asks_whether_a_member_receives_elsewhere(office, services):
    case_id, town = await to_posting(office)
    county = await office.person("county_officer")
    await office.system_step(case_id, "posting_ended")
    async with open_session(services.sessions) as session:
        household_id = (await session.get_one(CaseFile, case_id)).household_id
        member = HouseholdMember.household_id == household_id, HouseholdMember.id_number_index.is_not(None)
        index = await session.scalar(select(HouseholdMember.id_number_index).where(*member).limit(1))
        twin = (
            select(HouseholdMember.id)
            .join(Household)
            .where(
                Household.monthly_amount_fen > 0, Household.id != household_id, Household.area_code.not_like(f"{TOWN}%")
            )
        )
        other = await session.scalar(twin.limit(1))
        await session.execute(update(HouseholdMember).where(HouseholdMember.id == other).values(id_number_index=index))
    assert await refused(county, case_id, "confirmed") == "household.member_receives"
    assert (await look(town, case_id))["state"] == "county"


async def test_a_person_reveals_so_many_numbers_a_day_and_at_once_no_more(office, services):
    await office.rule("reveal.per_day", 3)
    town = await office.person("town_officer")
    _, item = await apply(town)
    path = f"/desk/v1/households/{item['householdId']}/reveal"
    params = {"what": "phone", "reason": "电话核实"}
    answers = await asyncio.gather(*(town.http.post(path, json=params) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 5
    assert {answer.json()["code"] for answer in answers if answer.status_code == 429} == {"reveal.limit_reached"}
    async with open_session(services.sessions) as session:
        begin = utc_now() - timedelta(days=1)
        await session.execute(text("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_is_append_only"))
        await session.execute(update(AuditEntry).values(at=begin))
    assert (await town.http.post(path, json=params)).status_code == 200


async def test_a_number_is_opened_only_by_its_own_household(office):
    town = await office.person("town_officer")
    _, item = await apply(town)
    member = {"id": str(new_id()), "name": "农穗声", "relation": "head", "idNumber": id_number(71)}
    _, other = await apply(town, household=household(members=[member]))
    params = {"what": "id_number", "reason": "核对身份证号", "memberId": member["id"]}
    wrong = await town.http.post(f"/desk/v1/households/{item['householdId']}/reveal", json=params)
    right = await town.http.post(f"/desk/v1/households/{other['householdId']}/reveal", json=params)
    assert (wrong.status_code, wrong.json()["code"]) == (404, "thing.not_found")
    assert right.json() == {"value": member["idNumber"]}


async def test_the_class_is_written_by_the_town_alone(office):
    worker, town = await office.person("caseworker"), await office.person("town_officer")
    for desk, number, written in ((worker, 81, None), (town, 91, "B")):
        member = {"id": str(new_id()), "name": "农穗声", "relation": "head", "idNumber": id_number(number)}
        body = household(members=[member]) | {"class": "B"}
        _, made = await apply(desk, household=body)
        assert (await desk.http.get(f"/desk/v1/households/{made['householdId']}")).json()["class"] == written


async def test_two_applications_at_once_get_two_numbers(office):
    town = await office.person("town_officer")

    def member(sequence):
        return [{"id": str(new_id()), "name": "农畦笠", "relation": "head", "idNumber": id_number(sequence)}]

    answers = await asyncio.gather(*(apply(town, household=household(members=member(n))) for n in (21, 31)))
    numbers = {answer.json()["applicationNumber"] for answer, _ in answers}
    assert len(numbers) == 2


async def test_papers_are_asked_for_once_and_all_together(office):
    town = await office.person("town_officer")
    answer, body = await apply(town, consentedOn=None)
    case_id = body["id"]
    assert {paper["code"] for paper in answer.json()["papers"]} >= {"diagnosis", "consent"}
    assert "school_letter" not in {paper["code"] for paper in answer.json()["papers"]}
    assert await refused(town, case_id, "accepted") == "case.papers_missing"
    result = await done(town, case_id, "papers_missing")
    assert result["state"] == "materials"
    assert all(paper["askedAt"] for paper in result["papers"])
    assert await refused(town, case_id, "papers_missing", reason="再要一份") == "case.not_now"
    before, later = days.in_days(-10).isoformat(), days.in_days(-7).isoformat()
    for item in result["papers"]:
        path = f"/desk/v1/cases/{case_id}/papers"
        listed = await town.http.post(path, json={"code": item["code"], "receivedOn": before})
        again = await town.http.post(path, json={"code": item["code"], "receivedOn": later})
        assert again.json() == listed.json()
    assert {item["receivedOn"] for item in listed.json()} == {before}
    unknown = await town.http.post(path, json={"code": "passport", "receivedOn": before})
    assert unknown.json()["code"] == "case.paper_unknown"
    assert await refused(town, case_id, "accepted") == "case.consent_missing"


async def test_numbers_are_sealed_and_opening_one_is_logged_with_its_reason(office, services):
    town = await office.person("town_officer")
    _, body = await apply(town)
    path = f"/desk/v1/households/{body['householdId']}"
    await accept_account(office)
    page = (await town.http.get(path)).json()
    number = body["household"]["members"][0]["idNumber"]
    assert number not in json.dumps(page)
    assert page["members"][0]["idNumberMask"] == f"{number[0]}{'*' * 16}{number[-1]}"
    assert (page["phoneMask"], page["cardMask"][-4:]) == ("199****8888", "7890")
    async with services.sessions() as session:
        for table in (
            "household",
            "household_member",
            "bank_account",
            "household_version",
            "audit_entry",
            "case_event",
        ):
            rows = str((await session.execute(text(f"SELECT t::text FROM {table} t"))).all())
            assert number not in rows, table
            assert "6200001234567890" not in rows, table
    member_id = page["members"][0]["id"]
    params = {"what": "id_number", "memberId": member_id, "reason": "核对户口簿"}
    assert (await town.http.post(f"{path}/reveal", json=params)).json() == {"value": number}
    card = (await town.http.post(f"{path}/reveal", json={"what": "card", "reason": "发放核对"})).json()
    assert card == {"value": "6200001234567890"}
    async with services.sessions() as session:
        logged = list(
            await session.scalars(
                select(AuditEntry).where(AuditEntry.action == "household.revealed").order_by(AuditEntry.id)
            )
        )
    assert [(item.facts["what"], item.facts["reason"], item.actor_id) for item in logged] == [
        ("id_number", "核对户口簿", town.id),
        ("card", "发放核对", town.id),
    ]
    worker = await office.person("caseworker")
    assert (await worker.http.post(f"{path}/reveal", json=params)).json()["code"] in {
        "auth.forbidden",
        "thing.not_found",
    }


async def test_a_number_is_not_opened_for_an_officer_of_another_town_who_visits_the_home(office, services, county):
    _, body = await apply(await office.person("town_officer"))
    other = next(
        staff_member.login
        for staff_member in county.staff
        if staff_member.role == "town_officer" and staff_member.area_code != "339901001"
    )
    visitor = await office.sign_in(other)
    async with open_session(services.sessions) as session:
        session.add(Caseload(household_id=body["householdId"], staff_id=visitor.id))
    path = f"/desk/v1/households/{body['householdId']}"
    assert (await visitor.http.get(path)).status_code == 200
    answer = await visitor.http.post(f"{path}/reveal", json={"what": "card", "reason": "发放核对"})
    assert (answer.status_code, answer.json()["code"]) == (403, "auth.forbidden")


async def test_who_no_longer_holds_a_home_reads_nothing_of_it(office, services):
    worker = await office.person("caseworker")
    _, body = await apply(worker)
    paths = [f"/desk/v1/households/{body['householdId']}", f"/desk/v1/cases/{body['id']}"]
    assert [(await worker.http.get(path)).status_code for path in paths] == [200, 200]
    async with open_session(services.sessions) as session:
        held = Caseload.household_id == body["householdId"]
        await session.execute(update(Caseload).where(held).values(revoked_at=utc_now()))
    assert [(await worker.http.get(path)).json()["code"] for path in paths] == ["thing.not_found"] * 2


async def change(desk, household_id, body, version, reason="更正"):
    return await desk.http.put(
        f"/desk/v1/households/{household_id}",
        json={"household": body, "reason": reason},
        headers={"If-Match": f'"{version}"'},
    )


async def test_every_version_is_kept_and_shown_as_what_changed(office):
    town = await office.person("town_officer")
    _, made = await apply(town)
    await accept_account(office)
    body = made["household"]
    existing = {key: value for key, value in body["members"][0].items() if key != "idNumber"}
    child = {"id": str(new_id()), "name": "农小满", "relation": "son", "sex": "male", "bornOn": "2015-05-05"}
    body = {
        "members": [existing | {"health": "serious_illness"}, child],
        "address": body["address"],
        "incomes": [body["incomes"][0] | {"verifiedFen": 120_00}],
    }
    answer = await change(town, made["householdId"], body, 2, "住院；孩子迁入")
    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert (page["version"], page["members"][0]["idNumberMask"] is not None) == (3, True)
    assert page["cardMask"]
    versions = (await town.http.get(f"/desk/v1/households/{made['householdId']}/versions")).json()
    assert [(version["version"], version["reason"]) for version in versions] == [
        (3, "住院；孩子迁入"),
        (2, "采纳更正申请"),
        (1, "申请建档"),
    ]
    assert versions[0]["actorId"] == str(town.id)
    assert versions[0]["actorName"]
    changed = {
        difference["pointer"]: (difference["before"], difference["after"]) for difference in versions[0]["differences"]
    }
    assert changed[f"/members/{existing['id']}/health"] == ("healthy", "serious_illness")
    assert changed[f"/incomes/{body['incomes'][0]['id']}/verifiedFen"] == (None, 120_00)
    assert f"/members/{child['id']}" in changed
    assert len(changed) == 3


async def test_of_two_who_change_a_household_one_wins(office):
    town = await office.person("town_officer")
    _, made = await apply(town)
    body = made["household"]
    answers = await asyncio.gather(
        change(town, made["householdId"], body | {"address": "甲"}, 1),
        change(town, made["householdId"], body | {"address": "乙"}, 1),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    assert {answer.json().get("code") for answer in answers} == {None, "household.changed"}


async def test_a_caseworker_declares_and_only_the_town_verifies(office):
    worker = await office.person("caseworker")
    answer, made = await apply(
        worker, household=household(incomes=[{"id": str(uuid4()), "kind": "wage", "declaredFen": 5, "verifiedFen": 4}])
    )
    assert answer.status_code == 201
    page = (await worker.http.get(f"/desk/v1/households/{made['householdId']}")).json()
    assert [(income["declaredFen"], income["verifiedFen"]) for income in page["incomes"]] == [(5, None)]


async def test_a_relative_on_staff_makes_the_countys_visit_a_must(office):
    town = await office.person("town_officer")
    relative = [{"name": "潘槐序", "office": "禾汀街道", "relation": "表亲"}]
    _, made = await apply(town, household=household(relatives=relative))
    assert (await look(town, made["id"]))["needsCountyVisit"]


async def test_a_number_typed_wrong_is_told_by_its_place(office):
    town = await office.person("town_officer")
    bad = household()
    bad["members"][0]["idNumber"] = "11010519491231002Y"
    answer, _ = await apply(town, household=bad)
    assert answer.json()["errors"][0]["pointer"] == "/household/members/0/idNumber"
    unlike = household()
    unlike["members"][0]["sex"] = "female"
    answer, _ = await apply(town, household=unlike)
    assert answer.json()["errors"][0]["code"] == "member.sex_differs"


async def test_a_person_stands_in_one_household_at_a_time(office, county):
    town = await office.person("town_officer")
    taken = household()
    taken["members"][0]["idNumber"] = county.residents[1].id_number
    answer, _ = await apply(town, household=taken)
    assert answer.json()["code"] == "household.member_known"


async def test_a_member_who_follows_the_case_cannot_be_left_out(office, services):
    case_id = await office.case()
    await office.resident()
    town = await office.person("town_officer")
    household_id = (await look(town, case_id))["householdId"]
    page = (await town.http.get(f"/desk/v1/households/{household_id}")).json()
    others = [{"id": str(new_id()), "name": "新人", "relation": "head", "sex": "male", "bornOn": "1980-01-01"}]
    answer = await change(town, household_id, {"members": others, "address": page["address"]}, 0)
    assert answer.json()["code"] == "household.member_bound"


async def test_the_amount_is_calculated_from_the_household_and_kept(office, services):
    await office.rule("amount.standard_fen", {"urban": 36000, "rural": 26000})
    town = await office.person("town_officer")
    _, made = await apply(town)
    first = await calculated(town, made["id"], days.month(1).replace(day=15).isoformat())
    assert (first["month"], first["amountFen"], first["arrearsFen"]) == (days.month(1).isoformat(), 260_00, None)
    await office.rule("amount.standard_fen", {"urban": 40000, "rural": 30000}, since=days.month(2))
    later = await calculated(town, made["id"], days.month(2).isoformat())
    assert later["amountFen"] == 300_00
    listed = (await town.http.get(f"/desk/v1/cases/{made['id']}/calculations")).json()
    assert [item["amountFen"] for item in listed] == [300_00, 260_00]
    assert listed[1] == first
    assert all(line["source"] for line in later["lines"])


async def test_what_was_verified_counts_before_what_was_declared(office):
    await office.rule("amount.standard_fen", 36000)
    town = await office.person("town_officer")
    income = {"id": str(new_id()), "kind": "wage", "declaredFen": 100_00, "verifiedFen": 150_00}
    _, made = await apply(town, household=household(incomes=[income]))
    assert (await calculated(town, made["id"]))["amountFen"] == 360_00 - 150_00


async def test_where_no_standard_holds_nothing_is_calculated(office):
    town = await office.person("town_officer")
    _, made = await apply(town)
    await done(town, made["id"], "programme_confirmed", programme="urban")
    answer = await town.http.post(f"/desk/v1/cases/{made['id']}/calculations", json={"month": "2019-01-01"})
    assert answer.json()["code"] == "case.standard_missing"


async def test_outside_ones_area_nobody_writes_a_household(office, services):
    town = await office.person("town_officer")
    answer, _ = await apply(town, areaCode="339901100001")
    assert answer.json()["code"] == "auth.forbidden"
    async with open_session(services.sessions) as session:
        assert not (await session.execute(text("SELECT 1 FROM household WHERE head_name = '农畦笠'"))).all()


async def test_what_is_owned_is_declared_verified_by_the_town_and_kept_in_versions(office):
    worker, town = await office.person("caseworker"), await office.person("town_officer")
    home = {"id": str(new_id()), "kind": "home", "declared": 1, "note": "砖房三间", "verified": 3}
    body = household(properties=[home])
    answer, request = await apply(worker, household=body)
    assert answer.status_code == 201, answer.text
    path = f"/desk/v1/households/{request['householdId']}"
    page = (await worker.http.get(path)).json()
    assert [(item["declared"], item["verified"], item["note"]) for item in page["properties"]] == [
        (1, None, "砖房三间")
    ]
    changed = {"household": body | {"properties": [home | {"verified": 2}]}, "reason": "入户核实有两处"}
    answer = await town.http.put(path, json=changed, headers={"If-Match": f'"{page["version"]}"'})
    assert answer.status_code == 200, answer.text
    newest = (await town.http.get(f"{path}/versions")).json()[0]
    assert [
        (difference["pointer"], difference["before"], difference["after"]) for difference in newest["differences"]
    ] == [(f"/properties/{home['id']}/verified", None, 2)]
    bad = body | {"properties": [home | {"declared": -1}]}
    answer = await town.http.put(path, json=changed | {"household": bad}, headers={"If-Match": '"2"'})
    assert answer.json()["code"] == "request.invalid"
