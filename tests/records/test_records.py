"""Work beside the visits comes up as visits do: once, whole, amended and never lost, each row with its own verdict."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models.evidence import Evidence
from server.models.feed import QuarantinedRow
from server.models.households import Caseload
from server.models.people import StaffRole
from server.models.records import Record, RecordVersion
from server.models.visits import Visit
from server.photos.retention import preview
from tests.makers.records import make_record, push_record
from tests.phones import make_kit, tiny_photo


async def count(services, model, *where):
    async with services.sessions() as session:
        return await session.scalar(select(func.count()).select_from(model).where(*where))


@pytest.mark.parametrize("kind", ["publicity", "meeting"])
async def test_a_record_comes_with_its_photos_and_the_desk_opens_both(system, phone, desk, kind):
    kit = await make_record(phone, kind)
    await push_record(phone, kit)
    await system.run_jobs()
    held = (await phone.pull("records"))[kit.record["id"]]
    assert held["server"]["state"] == "submitted"
    assert held["server"]["receipt"]
    assert [item["server"]["state"] for item in (await phone.pull("evidence")).values()] == ["verified"]
    [line] = (await desk.http.get("/desk/v1/records", params={"kind": kind})).json()["items"]
    assert (line["id"], line["people"], line["photos"]) == (kit.record["id"], 3, 1)
    page = (await desk.http.get(f"/desk/v1/records/{line['id']}")).json()
    assert {photo["state"] for photo in page["photos"]} == {"verified"}
    assert page["place"]["latitude"] == kit.record["fix"]["latitude"]
    assert [person["name"] for person in page["people"]] == ["吴麦青", "郑稻声", "冯谷雨"]
    assert page["answers"]
    link = await desk.http.get(f"/desk/v1/records/{line['id']}/photos/{page['photos'][0]['id']}/link")
    assert link.status_code == 200, link.text
    assert (await desk.http.get("/desk/v1/records/export")).status_code == 200


async def test_the_same_record_eight_times_at_once_is_one_with_one_receipt(phone, services):
    kit = await make_record(phone, photos=0, answers={})
    draft = kit.record | {"state": "draft"}
    assert await asyncio.gather(*(phone.push("records", draft) for _ in range(8))) == [[]] * 8
    assert await count(services, Record) == 1
    assert await count(services, QuarantinedRow) == 0


async def test_a_draft_is_kept_for_its_author_alone_and_a_discarded_one_leaves(phone, desk, services):
    kit = await make_record(phone)
    draft = kit.record | {"state": "draft", "answers": {}}
    assert await phone.push("records", draft) == []
    held = (await phone.pull("records"))[draft["id"]]
    assert (await desk.http.get("/desk/v1/records")).json()["items"] == []
    assert (await desk.http.get(f"/desk/v1/records/{draft['id']}")).status_code == 404
    assert await phone.push("records", draft | {"_deleted": True}, assumed=held) == []
    assert draft["id"] not in await phone.pull("records")
    assert await count(services, Record, Record.state == "discarded") == 1


async def test_an_amendment_keeps_the_version_before_and_changes_nothing_of_the_spot(phone, services):
    kit = await make_record(phone)
    await push_record(phone, kit)
    first = (await phone.pull("records"))[kit.record["id"]]
    changed = kit.record | {"answers": kit.record["answers"] | {"people_reached": 41}}
    [refused] = await phone.push("records", changed, assumed=first)
    assert refused["answers"] == kit.record["answers"]
    amendment = {"reason": "人数数错", "amendedAt": utc_now().isoformat()}
    elsewhere = changed | {"amendment": amendment, "noFixReason": "另一处"}
    assert await phone.push("records", elsewhere, assumed=first) != []
    assert await phone.push("records", changed | {"amendment": amendment}, assumed=first) == []
    second = (await phone.pull("records"))[kit.record["id"]]
    assert (second["server"]["state"], second["server"]["version"]) == ("amended", 2)
    assert second["server"]["receipt"] != first["server"]["receipt"]
    async with services.sessions() as session:
        before = (await session.scalars(select(RecordVersion))).one()
    assert before.document["answers"] == kit.record["answers"]
    assert before.receipt == first["server"]["receipt"]
    # Repeated, it is the same.
    assert await phone.push("records", changed | {"amendment": amendment}, assumed=first) == []
    assert await count(services, RecordVersion) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"areaCode": "110101001001"}, "record.area_unknown"),
        ({"startedAt": None}, "record.time_missing"),
        ({"fix": None}, "record.fix_missing"),
        ({"answers": {}}, "visit.answers_invalid"),
        ({"checklistCode": "intake_standard"}, "visit.checklist_unknown"),
        ({"subjectKind": "household", "subjectId": str(new_id())}, "record.subject_unknown"),
        ({"kind": "dancing"}, "row.invalid"),
    ],
)
async def test_a_bad_record_is_kept_with_its_reason_and_holds_up_no_other(phone, services, changes, code):
    good = await make_record(phone)
    bad = await make_record(phone)
    bad.record |= changes
    [returned] = await phone.push("records", bad.record, good.record)
    assert returned["server"]["problem"]["en"]["code"] == code
    assert await count(services, Record) == 1
    assert await count(services, QuarantinedRow) == 1


async def test_a_meeting_names_those_who_came(phone):
    kit = await make_record(phone, "meeting", people=[])
    [returned] = await phone.push("records", kit.record)
    [fault] = returned["server"]["problem"]["zh"]["errors"]
    assert (fault["pointer"], fault["code"]) == ("/people", "record.people_missing")


async def test_without_a_position_a_reason_stands_for_it(phone):
    kit = await make_record(phone, fix=None, noFixReason="山谷里没有信号")
    assert await phone.push("records", kit.record) == []


@pytest.mark.parametrize("started_at", ["1970-01-01T00:00:00+08:00", "2569-05-04T10:00:00+07:00"])
async def test_a_clock_that_nobody_can_believe_keeps_no_record_out(phone, services, started_at):
    kit = await make_record(phone, startedAt=started_at)
    assert await phone.push("records", kit.record) == []
    async with services.sessions() as session:
        record = (await session.scalars(select(Record))).one()
    assert record.document["startedAt"] == started_at
    assert utc_now() - record.started_at < timedelta(minutes=5)


async def test_a_colleague_neither_sees_nor_changes_a_record(phone, system, county):
    kit = await make_record(phone)
    await push_record(phone, kit)
    logins = [member.login for member in county.staff if member.role == "caseworker"]
    people = [await system.sign_in(login, "caseworker") for login in logins[:2]]
    other = next(person for person in people if person.id != phone.id)
    assert kit.record["id"] not in await other.pull("records")
    [returned] = await other.push("records", kit.record | {"answers": {}})
    assert "answers" not in returned or returned["server"]["state"] == "quarantined"
    photo = kit.evidence[0] | {"id": str(new_id())}
    [refused] = await other.push("evidence", photo)
    assert refused["server"]["problem"]["en"]["code"] == "evidence.visit_of_another"


async def test_a_photo_belongs_to_a_visit_or_to_a_record_and_never_to_both(phone, system, county, services):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    visit = await make_kit(phone, partner.id, photos=[tiny_photo(number) for number in range(4)])
    kit = await make_record(phone)
    assert await phone.push("visits", visit.visit) == []
    both = kit.evidence[0] | {"visitId": visit.visit["id"]}
    neither = {name: value for name, value in kit.evidence[0].items() if not name.startswith("subject")}
    posing = kit.evidence[0] | {"subjectKind": "visit", "subjectId": visit.visit["id"]}
    for photo in (both, neither, posing):
        [refused] = await phone.push("evidence", photo | {"id": str(new_id())})
        assert refused["server"]["problem"]["en"]["code"] == "evidence.subject_unknown"
    # Under the id of a visit, a photo of a record is none of the visit's.
    of_record = kit.evidence[0] | {"id": visit.evidence[0]["id"], "subjectId": visit.visit["id"]}
    assert await phone.push("evidence", of_record | {"sha256": visit.evidence[0]["sha256"]}) == []
    assert (await phone.upload(visit.evidence[0]["id"], visit.photos[visit.evidence[0]["id"]])).status_code in {
        200,
        201,
    }
    await system.run_jobs()
    async with services.sessions() as session:
        assert (await session.scalars(select(Visit.complete_at))).one() is None
        assert (await session.scalars(select(Evidence.visit_id))).one() is None


async def test_photos_of_records_are_kept_for_their_own_days(phone, system, services):
    kit = await make_record(phone)
    await push_record(phone, kit)
    left = await make_record(phone)
    await phone.push("evidence", *left.evidence)
    await phone.upload(left.evidence[0]["id"], left.photos[left.evidence[0]["id"]])
    await system.run_jobs()
    later = utc_now() + timedelta(days=400)
    [line] = await preview(services.sessions, later)
    assert (line.rule, line.photos) == ("retention.unsubmitted_photo_days", 1)
    lines = await preview(services.sessions, utc_now() + timedelta(days=1200))
    assert {(line.rule, line.photos) for line in lines} >= {("retention.record_photo_days", 1)}


async def test_villages_without_publicity_are_listed_until_one_is_recorded(phone, desk, services):
    answer = await desk.http.get("/desk/v1/publicity-gaps", params={"limit": 200})
    assert answer.status_code == 200, answer.text
    gaps = answer.json()["items"]
    kit = await make_record(phone)
    village = kit.record["areaCode"]
    assert next(gap for gap in gaps if gap["areaCode"] == village)["lastOn"] is None
    await push_record(phone, kit)
    listed = {"area": village}
    assert (await desk.http.get("/desk/v1/publicity-gaps", params=listed)).json()["items"] == []
    async with open_session(services.sessions) as session:
        long_ago = utc_now() - timedelta(days=250)
        await session.execute(update(Record).where(Record.id == UUID(kit.record["id"])).values(started_at=long_ago))
    [gap] = (await desk.http.get("/desk/v1/publicity-gaps", params=listed)).json()["items"]
    assert (gap["months"], gap["lastOn"] is None) == (6, False)
    assert gap["source"].startswith("project default")
    assert (await desk.http.get("/desk/v1/publicity-gaps/export")).status_code == 200


async def test_a_task_goes_down_is_done_by_its_record_and_leaves_the_phone(phone, office):
    kit = await make_record(phone)
    town = await office.person("town_officer")
    task = {
        "id": str(new_id()),
        "kind": "publicity",
        "areaCode": kit.record["areaCode"],
        "dueOn": utc_now().date().isoformat(),
        "note": "新标准，逐户发放明白卡",
    }
    for _ in range(2):
        assert (await town.http.post("/desk/v1/tasks", json=task)).status_code == 204
    assert (await phone.pull("tasks"))[task["id"]]["note"] == task["note"]
    assert await phone.push("records", kit.record | {"taskId": task["id"]}) == []
    assert task["id"] not in await phone.pull("tasks")
    [line] = (await town.http.get("/desk/v1/tasks", params={"state": "done"})).json()["items"]
    assert line["id"] == task["id"]


async def test_a_task_is_taken_back_and_given_only_to_who_works_there(phone, office):
    kit = await make_record(phone)
    town = await office.person("town_officer")
    task = {
        "id": str(new_id()),
        "kind": "meeting",
        "areaCode": kit.record["areaCode"],
        "dueOn": utc_now().date().isoformat(),
    }
    refused = await town.http.post("/desk/v1/tasks", json=task | {"assigneeId": str(new_id())})
    assert refused.json()["code"] == "task.assignee_unknown"
    elsewhere = await town.http.post("/desk/v1/tasks", json=task | {"areaCode": "110101001001"})
    assert elsewhere.json()["code"] == "record.area_unknown"
    assert (await town.http.post("/desk/v1/tasks", json=task | {"assigneeId": str(phone.id)})).status_code == 204
    assert task["id"] in await phone.pull("tasks")
    assert (await town.http.post(f"/desk/v1/tasks/{task['id']}/cancel")).status_code == 204
    assert task["id"] not in await phone.pull("tasks")
    assert (await town.http.get("/desk/v1/tasks/export")).status_code == 200


async def test_who_left_long_ago_writes_no_more_but_what_was_begun_while_they_worked_there(phone, services):
    async def end(days):
        at = utc_now() - timedelta(days=days)
        async with open_session(services.sessions) as session:
            here = StaffRole.staff_id == phone.id, StaffRole.area_code != "110101001"
            await session.execute(update(StaffRole).where(*here).values(revoked_at=at))
            await session.execute(update(Caseload).where(Caseload.staff_id == phone.id).values(revoked_at=at))

    lately, late, begun = [await make_record(phone, photos=0) for _ in range(3)]
    await end(89)
    async with open_session(services.sessions) as session:  # still at work, elsewhere
        session.add(StaffRole(staff_id=phone.id, role="caseworker", area_code="110101001"))
    assert await phone.push("records", lately.record) == []
    await end(91)
    [refused] = await phone.push("records", late.record)
    assert refused["server"]["problem"]["en"]["code"] == "record.area_unknown"
    started = (utc_now() - timedelta(days=92)).isoformat()
    assert await phone.push("records", begun.record | {"startedAt": started}) == []
