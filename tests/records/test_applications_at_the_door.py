"""An application made at the door becomes a case once, with its number and papers, or waits for the town: none is lost."""

import asyncio
from datetime import date, timedelta

import msgspec
import pytest
from sqlalchemy import func, select, text, update

from server.cases.door_applications import DoorHousehold
from server.core.access import FIELD_ROLES
from server.core.application_numbers import draw_application_number
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.id_numbers import make_id_number, mask_id
from server.core.ids import new_id
from server.models import Base
from server.models.areas import Area
from server.models.audit import AuditEntry
from server.models.cases import CaseFile
from server.models.door_applications import DoorApplication
from server.models.households import Caseload, Household, HouseholdMember
from server.models.people import Staff, StaffRole
from server.models.records import Record
from tests import days
from tests.makers.records import make_record, push_record

ID_NUMBER = make_id_number("110105", date(1961, 4, 2), 201)


async def make_application(phone, **changes):
    """A new home's application, in the village of the phone's first home."""
    home = min((await phone.pull("households")).values(), key=lambda item: item["number"])
    area = home["areaCode"]
    member = {"id": str(new_id()), "name": "童谷生", "relation": "head", "idNumber": ID_NUMBER}
    return {
        "id": str(new_id()),
        "householdId": str(new_id()),
        "areaCode": area,
        "applicantName": "童谷生",
        "number": draw_application_number(area[:6], 2026),
        "appliedAt": (utc_now() - timedelta(days=3)).isoformat(),
        "household": {"members": [member], "address": "三组 18 号"},
        "situations": ["illness"],
        "isCheckAgreed": True,
        "papersReceived": [],
    } | changes


async def apply(phone, body):
    return await phone.http.post("/field/v1/door-applications", json=body)


async def take_town_desk(system, county, area):
    """The desk of the village's town, which settles what was held."""
    officers = [person for person in county.staff if person.role == "town_officer"]
    login = next(person.login for person in officers if area.startswith(person.area_code))
    return await system.sign_in_at_desk(login, "town_officer")


async def count(services, model, *where):
    async with services.sessions() as session:
        return await session.scalar(select(func.count()).select_from(model).where(*where))


async def require_in_clear_nowhere(session, number):
    for table in Base.metadata.tables:
        rows = await session.scalar(text(f"SELECT string_agg(t::text, ' ') FROM {table} t")) or ""
        assert number not in rows, table
        assert number.encode().hex() not in rows, table


async def test_a_new_home_applies_at_its_door_eight_times_at_once_and_is_one_case(system, phone, desk, services):
    [village, *_] = (await phone.http.get("/field/v1/unordered-kinds")).json()
    body = await make_application(phone, papersReceived=[village["papers"][0]["code"], "unknown"])
    kit = await make_record(phone, "application", id=body["id"])
    answers = await asyncio.gather(*(apply(phone, body) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}, answers[0].text
    assert {(answer.json()["state"], answer.json()["number"]) for answer in answers} == {("opened", body["number"])}
    await push_record(phone, kit)
    await system.run_jobs()
    case = (await desk.http.get(f"/desk/v1/cases/{body['id']}")).json()
    assert (case["applicationNumber"], case["state"]) == (body["number"], "materials")
    assert case["appliedOn"] < utc_now().date().isoformat()
    assert case["consentedOn"] == case["appliedOn"]
    states = {paper["code"]: (paper["receivedOn"], paper["askedAt"]) for paper in case["papers"]}
    assert states[village["papers"][0]["code"]] == (case["appliedOn"], None)
    assert all(requested for received, requested in states.values() if received is None)
    async with services.sessions() as session:
        household = await session.get_one(Household, case["householdId"])
        assert household.head_name == "童谷生"
        assert await session.scalar(select(Caseload.staff_id).where(Caseload.household_id == household.id)) == phone.id
        member = (
            await session.scalars(select(HouseholdMember).where(HouseholdMember.household_id == household.id))
        ).one()
        assert services.encryption.open("household_member.id_number", member.id, member.id_number_sealed) == ID_NUMBER
        await require_in_clear_nowhere(session, ID_NUMBER)
    record = (await desk.http.get(f"/desk/v1/records/{body['id']}")).json()
    assert record["kind"] == "application"
    assert case["doorRecordId"] == body["id"]
    async with services.sessions() as session:
        other = await session.scalar(select(Staff.id).where(Staff.id != phone.id).limit(1))
        elsewhere = await session.scalar(select(Area.code).where(Area.code != case["areaCode"]).limit(1))
    for change in ({"kind": "meeting"}, {"author_id": other}, {"area_code": elsewhere}):
        async with open_session(services.sessions) as session:
            stored = await session.get_one(Record, body["id"])
            before = {name: getattr(stored, name) for name in change}
            await session.execute(update(Record).where(Record.id == body["id"]).values(**change))
        case = (await desk.http.get(f"/desk/v1/cases/{body['id']}")).json()
        assert case["doorRecordId"] is None, change
        async with open_session(services.sessions) as session:
            await session.execute(update(Record).where(Record.id == body["id"]).values(**before))


async def test_a_home_with_an_open_case_waits_for_the_town_and_is_never_lost(system, county, phone, services):
    first = await make_application(phone)
    assert (await apply(phone, first)).json()["state"] == "opened"
    second = await make_application(phone, householdId=first["householdId"], household=None)
    desk = await take_town_desk(system, county, second["areaCode"])
    for _ in range(2):
        answer = (await apply(phone, second)).json()
        assert (answer["state"], answer["code"]) == ("held", "case.open_already")
    [line] = (await desk.http.get("/desk/v1/door-applications")).json()["items"]
    assert (line["applicantName"], line["number"]) == ("童谷生", second["number"])
    assert (await desk.http.get("/desk/v1/door-applications/export")).status_code == 200
    refused = await desk.http.post(f"/desk/v1/door-applications/{second['id']}/open")
    assert refused.json()["code"] == "case.open_already"
    reason = {"reason": "已有在办申请，并入办理"}
    assert (await phone.http.post(f"/desk/v1/door-applications/{second['id']}/dismiss", json=reason)).status_code == 403
    assert (await desk.http.post(f"/desk/v1/door-applications/{second['id']}/dismiss", json=reason)).status_code == 200
    [own] = (await phone.http.get("/field/v1/door-applications")).json()
    assert (own["state"], own["reason"]) == ("dismissed", reason["reason"])
    assert await count(services, DoorApplication, DoorApplication.body_sealed.is_not(None)) == 0
    [settled] = (await desk.http.get("/desk/v1/door-applications", params={"state": "dismissed"})).json()["items"]
    assert (settled["applicantName"], settled["household"]) == (None, None)


async def test_a_person_in_another_home_is_settled_by_the_town_and_the_home_is_given(system, county, phone, services):
    assert (await apply(phone, await make_application(phone))).json()["state"] == "opened"
    again = await make_application(phone)
    desk = await take_town_desk(system, county, again["areaCode"])
    assert (await apply(phone, again)).json()["code"] == "household.member_known"
    [line] = (await desk.http.get("/desk/v1/door-applications")).json()["items"]
    [member] = line["household"]["members"]
    assert (member["name"], member["idNumberMask"]) == ("童谷生", mask_id(ID_NUMBER))
    assert line["household"]["address"] == "三组 18 号"
    async with services.sessions() as session:
        held = await session.get_one(DoorApplication, again["id"])
        assert ID_NUMBER.encode() not in held.body_sealed
    async with open_session(services.sessions) as session:  # the town has found a typing error in the other home
        member = (await session.scalars(select(HouseholdMember).where(HouseholdMember.name == "童谷生"))).one()
        member.id_number_index = None
    for _ in range(2):
        opened = await desk.http.post(f"/desk/v1/door-applications/{again['id']}/open")
        assert opened.json()["state"] == "opened", opened.text
    assert again["householdId"] in await phone.pull("households")
    assert await count(services, CaseFile, CaseFile.number == again["number"]) == 1
    granted = AuditEntry.action == "caseload.granted", AuditEntry.thing_id == again["householdId"]
    assert await count(services, AuditEntry, *granted) == 1


async def test_a_caseworker_who_no_longer_works_there_gets_no_home_and_later_sends_nothing(
    system, county, phone, services
):
    assert (await apply(phone, await make_application(phone))).json()["state"] == "opened"
    again, late = await make_application(phone), await make_application(phone)
    desk = await take_town_desk(system, county, again["areaCode"])
    assert (await apply(phone, again)).json()["state"] == "held"
    async with open_session(services.sessions) as session:
        member = (await session.scalars(select(HouseholdMember).where(HouseholdMember.name == "童谷生"))).one()
        member.id_number_index = None
        roles = update(StaffRole).where(StaffRole.staff_id == phone.id, StaffRole.role.in_(FIELD_ROLES))
        await session.execute(roles.values(revoked_at=utc_now() - timedelta(days=91)))
    assert (await desk.http.post(f"/desk/v1/door-applications/{again['id']}/open")).json()["state"] == "opened"
    assert await count(services, Caseload, Caseload.household_id == again["householdId"]) == 0
    async with open_session(services.sessions) as session:  # works elsewhere now, and lost these homes as long ago
        codes = list(await session.scalars(select(Area.code).where(Area.code.startswith(again["areaCode"][:9]))))
        elsewhere = next(code for code in codes if len(code) == 12 and code != again["areaCode"])
        session.add(StaffRole(staff_id=phone.id, role="caseworker", area_code=elsewhere))
        homes = update(Caseload).where(Caseload.staff_id == phone.id)
        await session.execute(homes.values(revoked_at=utc_now() - timedelta(days=91)))
    assert (await apply(phone, late)).json()["code"] == "record.area_unknown"


async def test_a_day_longer_ago_than_a_phone_may_sync_is_not_believed(phone, desk, services):
    """Deadlines, and which visits belong to the application, are counted from that day."""
    body = await make_application(phone, appliedAt=(utc_now() - timedelta(days=200)).isoformat())
    assert (await apply(phone, body)).json()["state"] == "opened"
    assert (await desk.http.get(f"/desk/v1/cases/{body['id']}")).json()["appliedOn"] == days.in_days(0).isoformat()


@pytest.mark.parametrize(
    "smuggled",
    [
        {"class": "A"},
        {"bank": {"holderName": "童谷生", "bankName": "农商行", "cardNumber": "6222020200112230"}},
        {"incomes": [{"id": str(new_id()), "kind": "wage", "declaredFen": 1, "verifiedFen": 1}]},
        {"properties": [{"id": str(new_id()), "kind": "home", "declared": 1, "verified": 0}]},
        {"relatives": []},
        {"group": "三组"},
    ],
    ids=lambda smuggled: next(iter(smuggled)),
)
def test_a_phone_sends_nothing_that_an_officer_verifies_or_a_second_person_decides(smuggled):
    member = {"id": str(new_id()), "name": "童谷生", "relation": "head"}
    home = {"members": [member], "address": "三组 18 号"}
    msgspec.convert(home, DoorHousehold)
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert(home | smuggled, DoorHousehold)


async def test_what_the_caseworker_mends_comes_back_with_its_place(phone, services):
    body = await make_application(phone)
    body["household"]["members"][0]["idNumber"] = ID_NUMBER[:-1] + ("1" if ID_NUMBER[-1] != "1" else "2")
    refused = await apply(phone, body)
    assert refused.status_code == 400
    [fault] = refused.json()["errors"]
    assert (fault["pointer"], fault["code"]) == ("/household/members/0/idNumber", "id.check_digit")
    elsewhere = await apply(phone, body | {"areaCode": "110101001001"})
    assert elsewhere.json()["code"] == "record.area_unknown"
    account = {"holderName": "童谷生", "bankName": "农商行", "cardNumber": "6222020200112230"}
    home = body["household"]
    assert (await apply(phone, body | {"household": home | {"bank": account}})).status_code == 400
    assert await count(services, DoorApplication) == 0
