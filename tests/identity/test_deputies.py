"""Deputies for leave: for some days a colleague has the homes and duties of a person, in their own name."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from server.core.access import Caller, Person
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Problem
from server.core.ids import new_id
from server.core.job_types import TurnDeputies
from server.households.conflicts import require_no_conflict_of_interest
from server.identity import deputies
from server.identity.accounts import end_roles_of_before
from server.identity.deputies import align_lent_roles, end_deputyship, start_deputyship, turn_deputyship
from server.models.audit import AuditEntry
from server.models.cases import RelativeOnStaff
from server.models.checklists import ChecklistTemplate
from server.models.households import Caseload
from server.models.people import Deputyship, Staff, StaffRole
from server.workload.assignments import create_assignment
from tests.makers.homes import make_home
from tests.phones import make_kit, staff_id

TOWN = "339901001"


@pytest.fixture
async def colleagues(system, county):
    """Two caseworkers of one town, with homes of their own each: one goes on leave."""
    logins = [person.login for person in county.staff if person.role == "caseworker" and person.area_code[:9] == TOWN]
    phones = [await system.sign_in(login, "caseworker") for login in logins]
    homes = [set(await phone.pull("households")) for phone in phones]
    return next(
        (absent, deputy)
        for absent, held in zip(phones, homes, strict=True)
        for deputy, others in zip(phones, homes, strict=True)
        if held - others and others - held
    )


async def name(desk, absent_id, deputy_id, begin, days=9, status=200, **more):
    await desk.prove()
    body = {
        "id": str(new_id()), "staffId": str(absent_id), "deputyId": str(deputy_id), "startsOn": begin.isoformat(),
        "endsOn": (begin + timedelta(days=days)).isoformat(), **more,
    }  # fmt: skip
    answer = await desk.http.post("/desk/v1/deputies", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def come(services, line, day):
    """What the nightly job does on a day."""
    async with open_session(services.sessions) as session:
        await turn_deputyship(session, UUID(line["id"]), day, utc_now())


async def test_a_deputyship_that_fails_keeps_no_other_and_fails_the_job_at_the_end(services, monkeypatch):
    turned = []

    async def turn(session, deputyship_id, *_):
        turned.append(deputyship_id)
        if len(turned) == 1:
            raise LookupError

    monkeypatch.setattr(deputies, "turn_deputyship", turn)
    monkeypatch.setattr(deputies, "_select_due", lambda _: select(Staff.id).limit(3))  # any three ids
    with pytest.raises(LookupError):
        await deputies.turn_deputies(services, TurnDeputies())
    assert len(set(turned)) == 3


async def test_a_deputy_has_the_homes_and_visits_of_who_is_on_leave_and_loses_them_after_the_last_day(
    services, town_desk, colleagues, today
):
    absent, deputy = colleagues
    theirs, own = set(await absent.pull("households")), set(await deputy.pull("households"))
    visits = set(await absent.pull("assignments"))
    line = await name(town_desk, absent.id, deputy.id, today)
    assert (line["state"], line["withHomes"], line["mayEnd"]) == ("running", True, True)
    assert set(await deputy.pull("households")) == own | theirs
    assert visits <= set(await deputy.pull("assignments"))
    assert set(await absent.pull("households")) == theirs
    await come(services, line, today + timedelta(days=9))
    assert set(await deputy.pull("households")) == own | theirs
    await come(services, line, today + timedelta(days=10))
    assert set(await deputy.pull("households")) == own
    assert not visits - set(await absent.pull("assignments"))
    assert (await town_desk.http.get("/desk/v1/deputies")).json()["items"][0]["state"] == "ended"
    async with services.sessions() as session:
        lent = select(StaffRole.id).where(StaffRole.deputy_for == absent.id, StaffRole.revoked_at.is_(None))
        assert await session.scalar(lent) is None


async def test_what_a_deputy_does_stands_in_the_trail_in_their_own_name_with_the_person_on_leave(
    services, town_desk, colleagues, today
):
    absent, deputy = colleagues
    await name(town_desk, absent.id, deputy.id, today)
    kit = await make_kit(deputy, absent.id, photos=[])
    await deputy.push("visits", kit.visit)
    async with services.sessions() as session:
        rows = await session.execute(
            select(AuditEntry.actor_id, AuditEntry.facts["deputy_for"]).where(AuditEntry.thing_id == kit.visit["id"])
        )
        assert (deputy.id, [str(absent.id)]) in [tuple(row) for row in rows]


async def test_a_deputyship_begins_on_its_first_day_and_follows_what_the_person_is_given_meanwhile(
    services, town_desk, colleagues, today
):
    absent, deputy = colleagues
    theirs, own = set(await absent.pull("households")), set(await deputy.pull("households"))
    line = await name(town_desk, absent.id, deputy.id, today + timedelta(days=3))
    assert line["state"] == "planned"
    assert set(await deputy.pull("households")) == own
    await come(services, line, today + timedelta(days=3))
    assert set(await deputy.pull("households")) == own | theirs
    home = str(await make_home(services, "JC-900001", ("甲一", today.replace(year=1960, day=1), None)))
    body = {"toStaffId": str(absent.id), "householdIds": [home]}
    assert (await town_desk.http.post("/desk/v1/caseload/assign", json=body)).status_code == 200
    assert home in await deputy.pull("households")
    revoke = {"fromStaffId": str(absent.id), "householdIds": [home], "reason": "分错"}
    assert (await town_desk.http.post("/desk/v1/caseload/revoke", json=revoke)).json()["revoked"] == 1
    assert home not in await deputy.pull("households")


async def test_a_home_that_the_deputy_is_given_in_their_own_name_stays_after_the_leave(
    services, town_desk, colleagues, today
):
    absent, deputy = colleagues
    home = min(set(await absent.pull("households")) - set(await deputy.pull("households")))
    line = await name(town_desk, absent.id, deputy.id, today)
    everything = {"fromStaffId": str(deputy.id), "toStaffId": str(absent.id), "reason": "调整", "householdIds": [home]}
    assert (await town_desk.http.post("/desk/v1/caseload/reassign", json=everything)).json()["revoked"] == 0
    body = {"toStaffId": str(deputy.id), "householdIds": [home]}
    assert (await town_desk.http.post("/desk/v1/caseload/assign", json=body)).json()["granted"] == 1
    await come(services, line, today + timedelta(days=10))
    assert home in await deputy.pull("households")


async def test_a_visit_ordered_of_the_person_on_leave_goes_to_the_deputys_phone(services, town_desk, colleagues, today):
    absent, deputy = colleagues
    home = UUID(min(set(await absent.pull("households")) - set(await deputy.pull("households"))))
    async with open_session(services.sessions) as session:
        checklist = await session.scalar(select(ChecklistTemplate).where(ChecklistTemplate.kind == "review").limit(1))
        assert checklist is not None
        assignment = create_assignment(session, home, "review", today, checklist)
        assignment.assignee_id, visit_id = absent.id, str(assignment.id)
    await name(town_desk, absent.id, deputy.id, today)
    assert visit_id in await deputy.pull("assignments")


async def test_a_person_names_a_colleague_of_their_own_town_for_their_homes_alone(services, county, colleagues, today):
    absent, deputy = colleagues
    elsewhere = await staff_id(
        services, next(p.login for p in county.staff if p.role == "caseworker" and p.area_code[:9] != TOWN)
    )
    await name(absent, absent.id, elsewhere, today, status=404)
    leave = (await absent.http.get("/field/v1/leave")).json()
    offered = {colleague["id"] for colleague in leave["colleagues"]}
    assert str(deputy.id) in offered
    assert not {str(absent.id), str(elsewhere)} & offered
    assert leave["deputyships"] == []
    line = await name(absent, absent.id, deputy.id, today, withDuties=True)
    for person in (absent, deputy):
        leave = (await person.http.get("/field/v1/leave")).json()
        assert [running["id"] for running in leave["deputyships"]] == [line["id"]]
    assert {duty["role"] for duty in line["duties"]} == {"caseworker"}
    assert set(await absent.pull("households")) <= set(await deputy.pull("households"))
    assert line["mayEnd"]
    ended = await absent.http.post(f"/desk/v1/deputies/{line['id']}/end")
    assert (ended.json()["state"], ended.json()["endedBy"]) == ("ended", line["staffName"])


async def test_who_stands_in_for_a_colleague_by_their_word_alone_may_end_it(town_desk, colleagues, today):
    absent, deputy = colleagues
    line = await name(absent, absent.id, deputy.id, today)
    ended = await deputy.http.post(f"/desk/v1/deputies/{line['id']}/end")
    assert (ended.json()["state"], ended.json()["endedBy"]) == ("ended", line["deputyName"])
    line = await name(town_desk, absent.id, deputy.id, today)
    assert (await deputy.http.post(f"/desk/v1/deputies/{line['id']}/end")).status_code == 403


async def test_nobody_bars_a_reviewer_by_naming_them_nor_anybody_for_ever(services, town_desk, colleagues, today):
    absent, deputy = colleagues
    await name(absent, absent.id, town_desk.id, today, status=400)
    await name(absent, absent.id, deputy.id, today, days=181, status=400)
    async with open_session(services.sessions) as session:
        session.add(StaffRole(staff_id=deputy.id, role="town_officer", area_code=TOWN))
    await name(absent, absent.id, deputy.id, today, status=400)
    await name(town_desk, absent.id, deputy.id, today, days=181)


async def lent(services, absent):
    rows = select(StaffRole).where(StaffRole.deputy_for == absent.id, StaffRole.revoked_at.is_(None))
    async with services.sessions() as session:
        return [(row.role, row.area_code, row.ends_on) for row in await session.scalars(rows)]


async def test_what_is_lent_of_a_role_ends_with_the_role_and_on_its_last_day(services, town_desk, colleagues, today):
    absent, deputy = colleagues
    await name(town_desk, absent.id, deputy.id, today)
    [(role, area, last_day)] = await lent(services, absent)
    assert (role, last_day) == ("caseworker", today + timedelta(days=9))
    async with open_session(services.sessions) as session:
        own = StaffRole.staff_id == absent.id, StaffRole.revoked_at.is_(None)
        await session.execute(update(StaffRole).where(*own).values(ends_on=today + timedelta(days=4)))
        await align_lent_roles(session, absent.id, utc_now())
    assert await lent(services, absent) == [("caseworker", area, today + timedelta(days=4))]
    async with open_session(services.sessions) as session:
        await end_roles_of_before(session, today + timedelta(days=5), utc_now())
    assert await lent(services, absent) == []


async def test_a_role_that_ended_before_the_leave_is_not_lent(services, town_desk, colleagues, today):
    absent, deputy = colleagues
    line = await name(town_desk, absent.id, deputy.id, today + timedelta(days=3))
    async with open_session(services.sessions) as session:
        await session.execute(update(StaffRole).where(StaffRole.staff_id == absent.id).values(revoked_at=utc_now()))
    await come(services, line, today + timedelta(days=3))
    assert await lent(services, absent) == []


async def test_tasks_of_the_village_come_to_the_deputy_and_leave_with_the_role(
    services, county_desk, colleagues, today
):
    absent, deputy = colleagues
    home = min((await absent.pull("households")).values(), key=lambda item: item["number"])
    async with open_session(services.sessions) as session:
        elsewhere = update(StaffRole).where(StaffRole.staff_id == deputy.id).values(area_code="339901002")
        await session.execute(elsewhere)
    body = {"id": str(new_id()), "kind": "publicity", "areaCode": home["areaCode"], "dueOn": today.isoformat()}
    answer = await county_desk.http.post("/desk/v1/tasks", json=body)
    assert answer.status_code < 300, answer.text
    assert body["id"] in await absent.pull("tasks")
    async with open_session(services.sessions) as session:
        deputyship = Deputyship(
            id=new_id(), staff_id=absent.id, deputy_id=deputy.id, starts_on=today, ends_on=today, with_homes=False,
            duties=[["caseworker", home["areaCode"][:9]]], named_by=county_desk.id, named_at=utc_now(),
        )  # fmt: skip
        session.add(deputyship)
        await session.flush()
        held = select(StaffRole.area_code).where(StaffRole.staff_id == absent.id, StaffRole.role == "caseworker")
        deputyship.duties = [["caseworker", area] for area in await session.scalars(held)]
        await start_deputyship(session, None, deputyship, utc_now())
    assert body["id"] in await deputy.pull("tasks")
    async with open_session(services.sessions) as session:
        await end_deputyship(session, None, await session.get_one(Deputyship, deputyship.id), utc_now())
    assert body["id"] not in await deputy.pull("tasks")
    async with open_session(services.sessions) as session:
        await session.execute(update(StaffRole).values(ends_on=today).where(StaffRole.staff_id == absent.id))
        session.add(StaffRole(staff_id=absent.id, role="caseworker", area_code="339901002"))
        await end_roles_of_before(session, today + timedelta(days=1), utc_now())
    assert body["id"] not in await absent.pull("tasks")


async def test_there_is_no_chain_of_deputies_no_second_one_and_nobody_is_their_own(
    system, county, services, county_desk, colleagues, today
):
    absent, deputy = colleagues
    third = await staff_id(
        services,
        next(
            p.login
            for p in county.staff
            if p.role == "caseworker" and p.area_code[:9] != TOWN and p.area_code.startswith("339901")
        ),
    )
    await name(county_desk, absent.id, absent.id, today, status=400)
    await name(county_desk, absent.id, county_desk.id, today, status=403)
    await name(county_desk, absent.id, deputy.id, today - timedelta(days=1), status=400)
    await name(county_desk, absent.id, deputy.id, today, days=-1, status=400)
    await name(county_desk, absent.id, deputy.id, today)
    assert (await name(county_desk, absent.id, third, today, status=409))["code"] == "staff.deputy_named"
    assert (await name(county_desk, deputy.id, third, today, status=409))["code"] == "staff.deputy_away"
    assert (await name(county_desk, third, absent.id, today, status=409))["code"] == "staff.deputy_away"
    later = await name(county_desk, third, absent.id, today + timedelta(days=30))
    assert later["state"] == "planned"


async def second_county_officer(services):
    async with open_session(services.sessions) as session:
        staff = Staff(id=new_id(), login="second-county", name="岑夏木", password_hash=None)
        session.add(staff)
        await session.flush()
        session.add(StaffRole(staff_id=staff.id, role="county_officer", area_code="339901"))
    return staff.id


async def test_a_deputy_with_lent_duties_does_not_confirm_what_the_person_on_leave_proposed(
    system, services, county, admin, county_desk, colleagues, today
):
    deputy = colleagues[1]
    other = await second_county_officer(services)
    body = {
        "id": str(new_id()), "kind": "merged", "fromCode": "339901001001", "toCode": "339901001002",
        "reason": "县政府〔文〕1号", "effectiveOn": (today + timedelta(days=20)).isoformat(),
    }  # fmt: skip
    assert (await county_desk.http.post("/desk/v1/area-changes", json=body)).status_code == 200
    line = await name(admin, county_desk.id, deputy.id, today, withDuties=True)
    assert {duty["role"] for duty in line["duties"]} == {"county_officer"}
    assert not line["withHomes"]
    url = f"/desk/v1/area-changes/{body['id']}/decision"
    refused = await deputy.http.post(url, json={"outcome": "accepted"})
    assert (refused.status_code, refused.json()["code"]) == (403, "area.second_person")
    await admin.http.post(f"/desk/v1/deputies/{line['id']}/end")
    assert (await deputy.http.post(url, json={"outcome": "accepted"})).status_code == 403
    await name(admin, other, deputy.id, today, withDuties=True)
    assert (await deputy.http.post(url, json={"outcome": "accepted"})).json()["state"] == "accepted"


async def test_the_relatives_of_both_bar_a_deputy(services, county_desk):
    home = await make_home(services, "JC-900002", ("甲一", utc_now().date().replace(year=1960, day=1), None))
    async with open_session(services.sessions) as session:
        session.add(
            RelativeOnStaff(
                household_id=home, name="穆清和", relation="兄", office="镇政府", declared_on=utc_now().date()
            )
        )
    alone = Caller(id=new_id(), name="岑夏木", device_id=new_id(), grants=())
    standing_in = Caller(
        id=alone.id, name="岑夏木", device_id=new_id(), grants=(), deputy_for=(Person(new_id(), "穆清和"),)
    )
    async with services.sessions() as session:
        await require_no_conflict_of_interest(session, alone, home)
        with pytest.raises(Problem, match=r"case\.own_relative"):
            await require_no_conflict_of_interest(session, standing_in, home)


async def test_an_account_that_is_disabled_ends_the_deputyship_on_either_side(services, town_desk, colleagues, today):
    absent, deputy = colleagues
    await name(town_desk, absent.id, deputy.id, today)
    own = await town_desk.http.post(f"/desk/v1/staff/{deputy.id}/disable", json={"reason": "调离"})
    assert own.status_code == 200, own.text
    async with services.sessions() as session:
        assert await session.scalar(select(Deputyship.id).where(Deputyship.ended_at.is_(None))) is None
        assert await session.scalar(select(Caseload.id).where(Caseload.deputyship_id.is_not(None)).limit(1)) is not None
        current = Caseload.deputyship_id.is_not(None), Caseload.revoked_at.is_(None)
        assert await session.scalar(select(Caseload.id).where(*current)) is None


async def test_the_list_of_staff_names_whom_a_lent_role_stands_for_and_counts_own_homes_alone(
    town_desk, colleagues, today
):
    absent, deputy = colleagues

    async def find(person):
        lines = (await town_desk.http.get("/desk/v1/staff?limit=200")).json()["items"]
        return next(line for line in lines if line["id"] == str(person.id))

    before = (await find(deputy))["holds"]
    line = await name(town_desk, absent.id, deputy.id, today)
    after = await find(deputy)
    assert after["holds"] == before
    assert [role["deputyFor"] for role in after["roles"] if role["deputyFor"]] == [line["staffName"]]
