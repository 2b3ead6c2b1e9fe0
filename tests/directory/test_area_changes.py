"""Villages renamed, merged and moved to another town: what is under way follows, what happened stays as it was."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import ApplyAreaChanges
from server.core.working_days import day_of
from server.directory.area_changes import apply_area_changes
from server.models.areas import Area, AreaChange, PolicySetting
from server.models.audit import AuditEntry
from server.models.benefits import BenefitChange
from server.models.cases import CaseFile
from server.models.households import Assignment, Household
from server.models.people import Staff, StaffRole
from server.models.visits import Visit
from tests.makers.cases import TOWN, VILLAGE
from tests.makers.homes import make_home

COUNTY = VILLAGE[:6]


@pytest.fixture
async def second(system, services, office):
    """Another county officer: a merge or move takes two."""
    async with open_session(services.sessions) as session:
        staff = Staff(id=new_id(), login="second-county", name="岑夏木", password_hash=None)
        session.add(staff)
        await session.flush()
        session.add(StaffRole(staff_id=staff.id, role="county_officer", area_code=COUNTY))
    return await office.sign_in("second-county")


@pytest.fixture
def other_town(county):
    return next(
        area.code for area in county.areas if len(area.code) == 9 and area.code.startswith(COUNTY) and area.code != TOWN
    )


async def propose(desk, kind, to_code, *, from_code=VILLAGE, on=None, **more):
    body = {
        "id": str(new_id()), "kind": kind, "fromCode": from_code, "toCode": to_code, "reason": "县政府〔文〕1号",
        "effectiveOn": (on or day_of(utc_now())).isoformat(), **more,
    }  # fmt: skip
    return await desk.http.post("/desk/v1/area-changes", json=body)


async def decide(desk, change, outcome="accepted", reason=""):
    path = f"/desk/v1/area-changes/{change['id']}/decision"
    return await desk.http.post(path, json={"outcome": outcome, "reason": reason})


async def agreed(desk, second, services, kind, to_code, **more):
    proposed = await propose(desk, kind, to_code, **more)
    assert proposed.status_code == 200, proposed.text
    answer = await decide(second, proposed.json())
    assert answer.status_code == 200, answer.text
    await apply_area_changes(services, ApplyAreaChanges())
    return proposed.json()


async def past(services):
    """What happened under the old code, as statistics and reports count it."""
    async with services.sessions() as session:
        return [
            (await session.execute(select(model.id, model.area_code).order_by(model.id))).all()
            for model in (Visit, BenefitChange)
        ] + [(await session.execute(text("SELECT * FROM visit_tally ORDER BY visit_id"))).all()]


async def test_a_village_moves_to_another_town_with_all_that_is_under_way(
    office, second, services, phone, county, other_town
):
    county_officer, to_code = await office.person("county_officer"), other_town + "299"
    await office.rule("visit.home_radius_m", 777, area=VILLAGE)
    async with services.sessions() as session:
        homes = list(await session.scalars(select(Household.id).where(Household.area_code == VILLAGE)))
        people = list(await session.scalars(select(StaffRole.staff_id).where(StaffRole.area_code == VILLAGE)))
    before, held = await past(services), await phone.pull("households")
    await agreed(county_officer, second, services, "moved", to_code, toName="新禾村")
    assert await past(services) == before
    async with services.sessions() as session:
        old, new = await session.get_one(Area, VILLAGE), await session.get_one(Area, to_code)
        assert (old.valid_until, old.successor_code) == (day_of(utc_now()), to_code)
        assert (new.name, new.parent_code) == ("新禾村", other_town)
        moved = select(Household.id).where(Household.area_code == to_code)
        assert set(await session.scalars(moved)) == set(homes)
        ended = ("stopped", "refused", "withdrawn")
        left = select(CaseFile.id).where(CaseFile.area_code == VILLAGE, CaseFile.state.not_in(ended))
        assert list(await session.scalars(left)) == []
        assert list(await session.scalars(select(Assignment.id).where(Assignment.area_code == VILLAGE))) == []
        roles = select(StaffRole.staff_id).where(StaffRole.area_code == to_code, StaffRole.revoked_at.is_(None))
        assert set(await session.scalars(roles)) == set(people)
        rule = select(PolicySetting.value).where(PolicySetting.area_code == to_code)
        assert list(await session.scalars(rule)) == [777]
        entry = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "area.changed"))).one()
        assert (entry.thing_id, entry.facts["households"]) == (VILLAGE, len(homes))
    now_held = await phone.pull("households")
    assert now_held.keys() == held.keys()
    mine = [home for home in now_held.values() if UUID(home["id"]) in homes]
    assert {home["areaCode"] for home in mine} == {to_code}
    # The town of before no longer sees the homes.
    town = await office.person("town_officer")
    lines = await town.http.get("/desk/v1/households", params={"area": to_code})
    assert lines.json()["items"] == []


async def test_a_village_goes_into_another_and_the_rules_of_that_one_hold(office, second, services, county):
    county_officer = await office.person("county_officer")
    to_code = next(
        area.code for area in county.areas if len(area.code) == 12 and area.code[:9] == TOWN and area.code != VILLAGE
    )
    await office.rule("visit.home_radius_m", 777, area=VILLAGE)
    await agreed(county_officer, second, services, "merged", to_code)
    async with services.sessions() as session:
        assert list(await session.scalars(select(Household.id).where(Household.area_code == VILLAGE))) == []
        assert list(await session.scalars(select(PolicySetting.id).where(PolicySetting.area_code == to_code))) == []
    ended = await county_officer.http.get("/desk/v1/area-register", params={"ended": True})
    assert [(area["code"], area["successorCode"]) for area in ended.json()["items"]] == [(VILLAGE, to_code)]


async def test_a_change_waits_for_its_day_and_for_a_second_person(office, second, services, other_town):
    county_officer, to_code = await office.person("county_officer"), other_town + "299"
    tomorrow = day_of(utc_now()) + timedelta(days=1)
    change = (await propose(county_officer, "moved", to_code, on=tomorrow)).json()
    waiting = (await second.http.get("/desk/v1/area-changes")).json()["items"]
    assert [line["id"] for line in waiting] == [change["id"]]
    file = await second.http.get("/desk/v1/area-changes/export")
    assert file.status_code == 200
    assert "县政府〔文〕1号" in file.text
    assert (await decide(county_officer, change)).json()["code"] == "area.second_person"
    assert (await propose(second, "moved", other_town + "298")).json()["code"] == "area.change_waiting"
    assert (await decide(second, change)).json()["state"] == "accepted"
    assert (await decide(second, change)).json()["state"] == "accepted"
    assert (await decide(second, change, "rejected", "不对")).json()["code"] == "proposal.decided"
    await apply_area_changes(services, ApplyAreaChanges())
    async with services.sessions() as session:
        assert (await session.get_one(Area, VILLAGE)).valid_until is None
    alone = text("UPDATE area_change SET decided_by = proposed_by")
    with pytest.raises(IntegrityError, match="ck_area_change_takes_two_people"):
        async with services.sessions() as session:
            await session.execute(alone)


async def test_a_code_that_does_not_fit_is_refused(office, second, other_town):
    county_officer = await office.person("county_officer")
    for kind, to_code, code in (
        ("merged", other_town + "299", "area.unknown"),
        ("merged", VILLAGE, "area.unknown"),
        ("moved", VILLAGE[:9] + "999", None),
        ("moved", COUNTY + "888001", "area.no_parent"),
        ("moved", VILLAGE, "id.taken"),
    ):
        answer = await propose(county_officer, kind, to_code)
        if code is not None:
            assert [fault["code"] for fault in answer.json()["errors"]] == [code], answer.text
        else:
            await decide(second, answer.json(), "rejected", "不用")
    outside = await propose(county_officer, "moved", "110101001299")
    assert outside.json()["code"] == "auth.forbidden"
    town = await office.person("town_officer")
    assert (await propose(town, "moved", other_town + "299")).json()["code"] == "auth.forbidden"


async def test_a_change_that_no_longer_fits_on_its_day_lapses_and_moves_nothing(office, second, services, other_town):
    county_officer, to_code = await office.person("county_officer"), other_town + "299"
    today = day_of(utc_now())
    for wrong in (today - timedelta(days=800), today + timedelta(days=800)):
        refused = await propose(county_officer, "moved", to_code, on=wrong)
        assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/effectiveOn"], refused.text
    change = (await propose(county_officer, "moved", to_code, on=today + timedelta(days=1))).json()
    assert (await decide(second, change)).status_code == 200
    # Before the day comes, somebody brings the new code in as a village of its own.
    async with open_session(services.sessions) as session:
        session.add(Area(code=to_code, name="另一村", parent_code=other_town, valid_from=today))
        (await session.get_one(AreaChange, UUID(change["id"]))).effective_on = today
        before = list(await session.scalars(select(Household.id).where(Household.area_code == VILLAGE)))
    await apply_area_changes(services, ApplyAreaChanges())
    listed = (await second.http.get("/desk/v1/area-changes")).json()["items"]
    assert [line["state"] for line in listed if line["id"] == change["id"]] == ["lapsed"]
    async with services.sessions() as session:
        assert (await session.get_one(Area, VILLAGE)).valid_until is None
        assert list(await session.scalars(select(Household.id).where(Household.area_code == VILLAGE))) == before
        entry = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "area.change_lapsed"))).one()
        assert entry.facts["why"] == "id.taken"


async def test_the_register_names_villages_without_anyone_and_can_be_brought_in_again(office, services, admin):
    county_officer = await office.person("county_officer")
    async with open_session(services.sessions) as session:
        session.add(Area(code=TOWN + "277", name="空山村", parent_code=TOWN, valid_from=date(2020, 1, 1)))
    await make_home(services, "N-1", ("农清禾", date(1960, 5, 6), None), area=TOWN + "277")
    answer = await county_officer.http.get("/desk/v1/area-register", params={"withoutCaseworker": True})
    (village,) = [area for area in answer.json()["items"] if area["code"] == TOWN + "277"]
    assert (village["households"], village["caseworkers"]) == (1, [])
    file = await county_officer.http.get("/desk/v1/area-register/export", params={"format": "csv"})
    assert file.status_code == 200
    upload = {"id": str(new_id()), "kind": "areas", "area": COUNTY}
    batch = await county_officer.http.post(
        "/desk/v1/imports", data=upload, files={"file": ("areas.csv", file.content, "text/csv")}
    )
    assert batch.status_code == 200, batch.text
    assert batch.json()["counts"].keys() == {"unchanged", "applied"}


async def test_a_new_name_is_written_with_the_one_before_in_the_trail(office, services):
    county_officer = await office.person("county_officer")
    for _ in range(2):
        answer = await county_officer.http.put(f"/desk/v1/area-register/{VILLAGE}/name", json={"name": "禾新社区"})
        assert answer.status_code == 204, answer.text
    async with services.sessions() as session:
        assert (await session.get_one(Area, VILLAGE)).name == "禾新社区"
        entries = list(await session.scalars(select(AuditEntry).where(AuditEntry.action == "area.renamed")))
    assert [entry.facts["value"] for entry in entries] == ["禾新社区"]
    town = await office.person("town_officer")
    answer = await town.http.put(f"/desk/v1/area-register/{VILLAGE}/name", json={"name": "别名"})
    assert answer.json()["code"] == "auth.forbidden"
