"""What a desk looks up: areas, staff, homes, checklists and the audit trail, each within the caller's area."""

import pytest
from sqlalchemy import delete, select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models.areas import Area
from server.models.audit import AuditEntry
from server.models.checklists import ChecklistTemplate
from server.models.people import Staff, StaffRole


@pytest.fixture
async def supervisor(system):
    return await system.sign_in_at_desk("zhuyanhui", "supervisor")


@pytest.fixture
async def town(system):
    """An officer of one town of three."""
    return await system.sign_in_at_desk("panhuaixu", "town_officer")


async def get(desk, path, **query):
    answer = await desk.http.get(f"/desk/v1/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_areas_are_walked_level_by_level_and_end_at_the_callers_own(supervisor, town):
    assert [item["name"] for item in await get(supervisor, "areas")] == ["云栖县"]
    assert len(await get(supervisor, "areas", under="339901")) == 3
    assert [item["level"] for item in await get(town, "areas")] == ["town"]
    assert await get(town, "areas", under="339901100") == []


async def test_anybody_finds_their_village_by_its_name(system):
    async with system.client() as anybody:
        named: list[str] = []
        code: str | None = None
        while found := (await anybody.get("/public/v1/areas", params={"under": code} if code else {})).json():
            assert set(found[0]) == {"code", "name", "level", "parentCode"}
            named.append(found[0]["name"])
            code = found[0]["code"]
    assert named == ["浙江省", "砚州市", "云栖县", "禾汀街道", "桐荫社区"]


async def test_staff_are_found_with_their_roles_and_how_many_homes_they_hold(supervisor, town):
    page = await get(supervisor, "staff", q="林禾溪")
    assert [item["login"] for item in page["items"]] == ["linhexi"]
    entry = page["items"][0]
    assert entry["holds"] >= 25  # a village of 25 homes, and some of the partner's
    assert [(role["role"], role["areaName"]) for role in entry["roles"]] == [("caseworker", "桐荫社区")]
    logins = {item["login"] for item in (await get(town, "staff", limit=200))["items"]}
    assert {"linhexi", "panhuaixu"} <= logins
    assert not {"wangzhusheng", "maohetang"} & logins


async def test_homes_come_in_pages_that_neither_repeat_nor_skip(supervisor, town):
    seen, cursor = [], None
    while True:
        page = await get(supervisor, "households", limit=120, **({"cursor": cursor} if cursor else {}))
        seen += [item["number"] for item in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 300
    assert {item["areaCode"][:9] for item in (await get(town, "households", limit=200))["items"]} == {"339901001"}
    assert {item["class"] for item in (await get(supervisor, "households", **{"class": "A"}))["items"]} == {"A"}
    home = (await get(supervisor, "households", q=seen[5]))["items"][0]
    assert home["number"] == seen[5]
    assert home["members"] > 0
    assert home["heldBy"]


async def test_the_record_of_a_home_tells_its_cases_and_the_look_is_logged(supervisor, town):
    applied = (await get(supervisor, "cases"))["items"][0]
    home = (await get(supervisor, "households", q=applied["headName"]))["items"][0]
    record = await get(supervisor, f"households/{home['id']}/record")
    assert [case["applicationNumber"] for case in record["cases"]] == [applied["applicationNumber"]]
    assert record["visits"] == []
    trail = (await get(supervisor, "audit", thingId=home["id"]))["items"]
    assert [(item["action"], item["actorName"]) for item in trail] == [("household.opened", "祝雁回")]
    elsewhere = next(item for item in (await get(supervisor, "households", area="339901100"))["items"])
    answer = await town.http.get(f"/desk/v1/households/{elsewhere['id']}/record")
    assert answer.json()["code"] == "thing.not_found"


async def test_a_checklist_is_read_with_the_words_of_its_questions(supervisor):
    lines = await get(supervisor, "checklists")
    assert lines
    assert all(line["questions"] > 0 and line["title"]["zh"] for line in lines)
    page = await get(supervisor, f"checklists/{lines[0]['code']}/{lines[0]['version']}")
    assert page["line"] == lines[0]
    assert page["body"]["sections"][0]["questions"][0]["label"]["zh"]
    missing = await supervisor.http.get(f"/desk/v1/checklists/{lines[0]['code']}/999")
    assert missing.json()["code"] == "thing.not_found"


async def test_the_trail_is_for_the_county_and_reading_it_leaves_a_row(supervisor, town, system):
    refused = await town.http.get("/desk/v1/audit")
    assert refused.json()["code"] == "auth.forbidden"
    signed_in = (await get(supervisor, "audit", action="device."))["items"]
    assert {item["actorName"] for item in signed_in} == {"祝雁回", "潘槐序"}
    again = (await get(supervisor, "audit", action="audit."))["items"]
    assert [item["facts"]["asked"] for item in again] == ["device."]
    again = (await get(supervisor, "audit", action="audit."))["items"]
    assert [item["facts"]["asked"] for item in again] == ["audit.", "device."]
    worker = await system.sign_in("linhexi", "caseworker")
    assert (await worker.http.get("/desk/v1/audit")).json()["code"] == "auth.forbidden"
    assert (await worker.http.get("/desk/v1/staff")).json()["code"] == "auth.forbidden"


async def test_the_trail_tells_nothing_of_what_staff_of_another_county_did(supervisor, services):
    async with open_session(services.sessions) as session:
        elsewhere = Staff(id=new_id(), login="elsewhere", name="外县人", password_hash=None)
        session.add(elsewhere)
        await session.flush()
        session.add(StaffRole(staff_id=elsewhere.id, role="town_officer", area_code="110101001"))
        for area_code in (None, "110101001"):
            session.add(
                AuditEntry(
                    actor_kind="staff", actor_id=elsewhere.id, action="device.signed_in", thing_kind="device",
                    thing_id="x", area_code=area_code, facts={},
                )
            )  # fmt: skip
    seen = (await get(supervisor, "audit", limit=200))["items"]
    assert seen
    assert "外县人" not in {item["actorName"] for item in seen}


async def test_a_map_has_no_ground_unless_a_setting_names_one(supervisor):
    assert await get(supervisor, "map") == {"tiles": None, "datum": "wgs84"}


async def test_an_office_is_told_what_it_lacks_until_it_is_there(system, services, county_desk, supervisor):
    at_first = (await get(county_desk, "missing"))["missing"]
    assert set(at_first) <= {"wechat_keys", "second_admin"}
    async with open_session(services.sessions) as session:
        await session.execute(update(ChecklistTemplate).values(retired_at=utc_now()))
        await session.execute(
            update(Staff)
            .where(Staff.id.in_(select(StaffRole.staff_id).where(StaffRole.role == "caseworker")))
            .values(disabled_at=utc_now())
        )
        village = Area(code="339902001001", name="邻县村")
        session.add(village)
        session.add(StaffRole(id=new_id(), staff_id=county_desk.id, role="county_officer", area_code="339902"))
        await session.execute(
            update(StaffRole)
            .where(StaffRole.staff_id == county_desk.id, StaffRole.area_code == "339901")
            .values(revoked_at=utc_now())
        )
    assert (await get(county_desk, "missing"))["missing"] == ["staff", "checklists", "households", *at_first]
    async with open_session(services.sessions) as session:
        await session.execute(delete(Area).where(Area.code == "339902001001"))
        session.add(Staff(id=(second := new_id()), login="second-admin", name="邬立秋"))
        await session.flush()
        session.add(StaffRole(id=new_id(), staff_id=second, role="admin", area_code="339901"))
    missing = (await get(county_desk, "missing"))["missing"]
    assert missing[0] == "villages"
    assert "second_admin" not in missing
    assert (await supervisor.http.get("/desk/v1/missing")).status_code == 403
