"""Places that the field records prove a posting: once the photo is verified, with a position, by no relative."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models.people import Staff
from server.models.postings import Posting
from server.postings.field_places import add_recorded_places
from server.postings.postings import end_due_postings
from tests.makers.cases import VILLAGE
from tests.makers.records import make_record, push_record
from tests.postings.test_postings import declare_relative, drafted, to_posting


@pytest.fixture
async def listed(office):
    """A drafted posting of the village, and its case."""
    case_id, _ = await to_posting(office)
    return await drafted(office), case_id


async def record_place(phone, posting, name, act="hung_up", **changes):
    [task] = [item for item in (await phone.pull("tasks")).values() if item["subjectId"] == posting["id"]]
    kit = await make_record(
        phone, "posting", areaCode=VILLAGE, taskId=task["id"], subjectKind="posting", subjectId=posting["id"]
    )
    kit.record |= changes
    kit.record["answers"] |= {"place_name": name, "posting_act": act}
    kit.evidence[0]["questionId"] = "photo_posting"
    await push_record(phone, kit)
    return kit


async def hang(system, services):
    await system.run_jobs()
    async with open_session(services.sessions) as session:
        await add_recorded_places(session, utc_now())


async def test_three_recorded_places_let_the_list_start_and_are_taken_down_after_it(
    office, phone, system, services, listed
):
    posting, _ = listed
    town = await office.person("town_officer")
    path = f"/desk/v1/postings/{posting['id']}"
    for name in ("村委会公示栏", "卫生室门口"):
        await record_place(phone, posting, name)
    await hang(system, services)
    assert (await town.http.post(f"{path}/start")).json()["code"] == "posting.places_missing"
    await record_place(phone, posting, "小卖部旁")
    await hang(system, services)
    await hang(system, services)
    places = (await town.http.get(path)).json()["places"]
    assert sorted(place["name"] for place in places) == sorted(["村委会公示栏", "卫生室门口", "小卖部旁"])
    assert [item for item in (await phone.pull("tasks")).values() if item["subjectId"] == posting["id"]] == []
    assert (await town.http.post(f"{path}/start")).status_code in {200, 201}

    async with open_session(services.sessions) as session:
        await session.execute(update(Posting).values(ends_on=posting_day_before()))
        assert await end_due_postings(session, utc_now()) == 1
    for place in places:
        await record_place(phone, posting, place["name"], "taken_down", startedAt=utc_now().isoformat())
    await hang(system, services)
    assert all(place["takenDownAt"] for place in (await town.http.get(path)).json()["places"])
    assert [item for item in (await phone.pull("tasks")).values() if item["subjectId"] == posting["id"]] == []


async def test_without_a_position_or_by_a_relative_no_place_is_proven(office, phone, system, services, listed):
    posting, case_id = listed
    town = await office.person("town_officer")
    await record_place(phone, posting, "村委会公示栏", fix=None, noFixReason="没有信号")
    await hang(system, services)
    assert (await town.http.get(f"/desk/v1/postings/{posting['id']}")).json()["places"] == []
    async with services.sessions() as session:
        name = (await session.get_one(Staff, phone.id)).name
    await declare_relative(office, case_id, name)
    await record_place(phone, posting, "卫生室门口")
    await hang(system, services)
    assert (await town.http.get(f"/desk/v1/postings/{posting['id']}")).json()["places"] == []


async def test_a_record_about_a_posting_of_another_village_is_kept_apart(phone, listed):
    posting, _ = listed
    kit = await make_record(phone, "posting", areaCode=VILLAGE, subjectKind="posting", subjectId=str(new_id()))
    [returned] = await phone.push("records", kit.record)
    assert returned["server"]["problem"]["en"]["code"] == "record.subject_unknown"
    assert posting["id"]


def posting_day_before():
    return utc_now().date() - timedelta(days=3)


async def test_a_place_taken_down_proves_nothing_and_an_old_take_down_leaves_what_was_hung_after_it(
    office, phone, system, services, listed
):
    posting, _ = listed
    town = await office.person("town_officer")

    async def act(name, act, minutes):
        started = (utc_now() - timedelta(minutes=minutes)).isoformat()
        await record_place(phone, posting, name, act, startedAt=started)
        await hang(system, services)

    async def places():
        return {
            place["name"]: place["takenDownAt"]
            for place in (await town.http.get(f"/desk/v1/postings/{posting['id']}")).json()["places"]
        }

    await act("村委会公示栏", "hung_up", 30)
    await act("村委会公示栏", "taken_down", 40)
    assert await places() == {"村委会公示栏": None}
    await act("村委会公示栏", "taken_down", 20)
    assert (await places())["村委会公示栏"]
    [line] = (await town.http.get("/desk/v1/postings")).json()["items"]
    assert line["places"] == 0
    for name in ("卫生室门口", "小卖部旁"):
        await act(name, "hung_up", 10)
    answer = await town.http.post(f"/desk/v1/postings/{posting['id']}/start")
    assert answer.json()["code"] == "posting.places_missing"


async def test_a_photo_that_the_signed_record_does_not_list_proves_no_place(office, phone, system, services, listed):
    posting, _ = listed
    town = await office.person("town_officer")
    kit = await record_place(phone, posting, "村委会公示栏", photos=[])
    assert kit.evidence
    await hang(system, services)
    assert (await town.http.get(f"/desk/v1/postings/{posting['id']}")).json()["places"] == []
