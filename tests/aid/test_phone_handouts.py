"""Handouts recorded on a phone become lines of the ledger once, and nothing of what phones say is lost."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from server.aid import phone_records
from server.aid.phone_records import enter_handouts
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.id_numbers import make_id_number
from server.core.ids import new_id
from server.core.job_types import EnterHandouts
from server.models.aid import AidBatch, AidLine, AidLineRecord
from server.models.audit import AuditEntry, ReadEntry
from server.models.cases import RelativeOnStaff
from server.models.households import Caseload
from server.models.people import Staff, StaffRole
from server.models.records import Record
from server.sync_feed.publish import publish_tasks_of_homes
from tests.makers.aid import AidOffice, to_head
from tests.makers.cases import VILLAGE
from tests.makers.records import find_handout_task, make_handout, push_record

ID_NUMBER = make_id_number("110101", date(1970, 1, 2), 1)


@pytest.fixture
async def handing(office, phone, services):
    """The officers, and a batch of coal for three homes that the phone's caseworker holds in one village."""
    aid = AidOffice.of(await office.person("town_officer"), await office.person("county_officer"))
    homes = sorted((await phone.pull("households")).values(), key=lambda home: home["number"])
    village = next(home["areaCode"] for home in homes if home["areaCode"].startswith(VILLAGE[:9]))
    ids = [home["id"] for home in homes if home["areaCode"] == village][:3]
    batch = await aid.released("temporary", areaCode=village, householdIds=ids, eachFen=200_00, cause="illness")
    return aid, batch


async def share(services, household_ids):
    """A colleague from elsewhere holds these homes too."""
    held = select(Caseload.staff_id).where(Caseload.household_id.in_(household_ids))
    async with open_session(services.sessions) as session:
        login, staff_id = (
            await session.execute(
                select(Staff.login, Staff.id)
                .join(StaffRole, StaffRole.staff_id == Staff.id)
                .where(StaffRole.role == "caseworker", Staff.id.not_in(held))
                .limit(1)
            )
        ).one()
        session.add(StaffRole(staff_id=staff_id, role="caseworker", area_code=VILLAGE[:9]))
        session.add_all(Caseload(household_id=home, staff_id=staff_id) for home in household_ids)
    return login


TO_A_NEIGHBOUR: dict[str, Any] = {
    "given_to": "proxy", "recipient_name": "吴麦青", "recipient_relation": "邻居",
    "given_as_agreed": False, "given_quantity": "150.5",
}  # fmt: skip


async def require_shown_at_the_desk(aid, batch):
    """Two homes entered and two repeated, all three given, two of them by phone; both lists as a file."""
    path = f"/desk/v1/aid-batches/{batch['id']}"
    records = (await aid.town.http.get(f"{path}/phone-records")).json()["items"]
    assert [(record["outcome"], record["signature"]) for record in records] == [
        ("repeated", "verified"), ("repeated", "verified"), ("entered", "verified"), ("entered", "verified"),
    ]  # fmt: skip
    (village,) = (await aid.town.http.get(f"{path}/villages")).json()
    assert (village["waiting"], village["given"], village["byPhone"], bool(village["caseworkers"])) == (0, 3, 2, True)
    for name in ("phone-records", "villages"):
        assert (await aid.town.http.get(f"{path}/{name}/export")).status_code == 200


async def test_two_phones_and_the_desk_hand_a_home_out_once(handing, phone, system, services):
    aid, batch = handing
    task = await find_handout_task(phone)
    assert [(home["state"], home["fen"]) for home in task["homes"]] == [("waiting", 200_00)] * 3
    first, second, third = task["homes"]
    kits = [await make_handout(phone, task, first), await make_handout(phone, task, second, **TO_A_NEIGHBOUR)]
    for kit in kits:
        await push_record(phone, kit)
        assert await phone.push("records", kit.record) == []
    await system.run_jobs()
    lines = {line["id"]: line for line in await aid.lines(batch)}
    assert [(lines[home["id"]]["state"], lines[home["id"]]["givenFen"]) for home in task["homes"]] == [
        ("handed_out", 200_00), ("handed_out", 150_50), ("planned", None),
    ]  # fmt: skip
    assert (lines[second["id"]]["recipientName"], lines[second["id"]]["relation"]) == ("吴麦青", "邻居")
    assert lines[first["id"]]["recordId"] == kits[0].record["id"]
    async with services.sessions() as session:
        sha256 = await session.scalar(select(AidLine.signature_sha256).where(AidLine.id == first["id"]))
    assert sha256 == kits[0].evidence[0]["sha256"]

    # A second record of the home, and one of a home that the desk handed out meanwhile, are no second handout.
    assert (await aid.hand_out(batch, to_head(lines[third["id"]]))).status_code == 200
    again = [await make_handout(phone, task, home) for home in (first, third)]
    for kit in again:
        await push_record(phone, kit)
    await system.run_jobs()
    held = await phone.pull("records")
    assert [held[kit.record["id"]]["server"]["outcome"] for kit in (*kits, *again)] == [
        "entered", "entered", "repeated", "repeated",
    ]  # fmt: skip
    assert (await aid.show(batch))["givenFen"] == 200_00 + 150_50 + 200_00
    assert [finding["code"] for finding in await aid.findings(batch)] == ["recorded_again"] * 2
    assert {home["state"] for home in (await find_handout_task(phone))["homes"]} == {"given"}

    await require_shown_at_the_desk(aid, batch)
    # Closed by the desk once the findings are judged, the task leaves the phone.
    await aid.judge(batch)
    assert (await aid.act(aid.town, batch, "close")).status_code == 200
    assert all(item["kind"] != "handout" for item in (await phone.pull("tasks")).values())


async def test_a_name_with_a_number_and_a_bad_reading_are_entered_and_what_nobody_can_read_is_found(
    handing, phone, system, services
):
    aid, batch = handing
    task = await find_handout_task(phone)
    first, second, third = task["homes"]
    named = await make_handout(
        phone, task, first, given_to="proxy", recipient_name=f"吴麦青{ID_NUMBER}", recipient_relation="邻居"
    )
    named.record["fix"]["accuracyM"] = -1
    nowhere = await make_handout(phone, task, second)
    nowhere.record["fix"] |= {"latitude": 912.5, "accuracyM": 250_000}
    # Of a line of goods whose value times this quantity is beyond what a column holds.
    beyond = await make_handout(phone, task, third, given_as_agreed=False, given_quantity="999999999")
    async with open_session(services.sessions) as session:
        await session.execute(update(AidBatch).values(form="goods"))
        values = {"planned_milli": 1, "planned_fen": 10**12}
        await session.execute(update(AidLine).where(AidLine.id == third["id"]).values(**values))
    for kit in (beyond, named, nowhere):
        await push_record(phone, kit)
    await system.run_jobs()
    lines = {line["id"]: line for line in await aid.lines(batch)}
    assert [lines[home["id"]]["state"] for home in task["homes"]] == ["handed_out", "handed_out", "planned"]
    assert lines[first["id"]]["recipientName"] == "吴麦青" + "*" * 18
    async with services.sessions() as session:
        fixes = await session.execute(select(AidLine.id, AidLine.fix))
        fix_of = {str(line_id): fix for line_id, fix in fixes}
    assert (fix_of[first["id"]]["accuracyM"], fix_of[second["id"]]) == (None, None)
    assert (await phone.pull("records"))[beyond.record["id"]]["server"]["outcome"] == "unreadable"
    path = f"/desk/v1/aid-batches/{batch['id']}/phone-records"
    assert sorted(row["outcome"] for row in (await aid.town.http.get(path)).json()["items"]) == [
        "entered", "entered", "unreadable",
    ]  # fmt: skip
    assert "record_unreadable" in [finding["code"] for finding in await aid.findings(batch)]


async def test_a_batch_that_fails_keeps_no_other_waiting(handing, phone, services, monkeypatch):
    aid, batch = handing
    task = await find_handout_task(phone)
    home = task["homes"][0]
    other = await aid.released(
        "temporary", areaCode=task["areaCode"], householdIds=[home["householdId"]], eachFen=100_00, cause="illness"
    )
    tasks = [item for item in (await phone.pull("tasks")).values() if item["kind"] == "handout"]
    for item in tasks:
        await push_record(phone, await make_handout(phone, item, item["homes"][0]))
    enter = phone_records.enter_batch
    refused = min(batch["id"], other["id"])

    async def fail_once(session, batch_id, now):
        if str(batch_id) == refused:
            raise OSError("gone")
        await enter(session, batch_id, now)

    monkeypatch.setattr(phone_records, "enter_batch", fail_once)
    with pytest.raises(OSError, match="gone"):
        await enter_handouts(services, EnterHandouts())
    async with services.sessions() as session:
        entered = await session.scalars(select(AidLine.batch_id).where(AidLine.state == "handed_out"))
        assert [str(batch_id) for batch_id in entered] == [max(batch["id"], other["id"])]


async def test_an_amendment_changes_what_was_given_and_never_into_nothing(handing, phone, system, services):
    aid, batch = handing
    task = await find_handout_task(phone)
    kit = await make_handout(phone, task, task["homes"][0])
    await push_record(phone, kit)
    await system.run_jobs()

    async def amend(**answers):
        held = (await phone.pull("records"))[kit.record["id"]]
        amendment = {"reason": "数额写错", "amendedAt": utc_now().isoformat()}
        changed = kit.record | {"answers": kit.record["answers"] | answers, "amendment": amendment}
        assert await phone.push("records", changed, assumed=held) == []
        await system.run_jobs()
        (line,) = await aid.lines(batch, state="handed_out")
        return line["givenFen"], [finding["code"] for finding in await aid.findings(batch)]

    async def count_entries():
        async with services.sessions() as session:
            entries = select(func.count()).select_from(AuditEntry).where(AuditEntry.action == "aid.handed_out")
            return await session.scalar(entries)

    assert (await amend(), await count_entries()) == ((200_00, []), 1)
    assert await amend(given_as_agreed=False, given_quantity="120") == (120_00, ["amended_on_phone"])
    assert await count_entries() == 2
    not_given = {"given_outcome": "not_handed_out", "not_given_reason": "记错人家"}
    assert await amend(**not_given) == (120_00, ["amended_not_given"])


async def test_a_handout_that_comes_before_the_closing_counts_and_one_after_it_takes_another_person(
    handing, phone, system
):
    aid, batch = handing
    task = await find_handout_task(phone)
    kits = [await make_handout(phone, task, home) for home in task["homes"]]
    absent = [{"lineId": home["id"], "state": "not_handed_out", "reason": "无人在家"} for home in task["homes"]]
    assert (await aid.hand_out(batch, *absent)).status_code == 200
    # It waits for the job when the batch is closed.
    await push_record(phone, kits[0])
    assert (await aid.act(aid.town, batch, "close")).status_code == 200
    assert (await aid.show(batch))["givenFen"] == 200_00
    # On the phone since before the closing, sent after it.
    await push_record(phone, kits[1])
    await system.run_jobs()
    assert [finding["code"] for finding in await aid.findings(batch)] == ["given_after_close"]
    refused = await aid.judge(batch, "upheld")
    assert (refused.status_code, refused.json()["code"]) == (403, "aid.second_person")
    findings = await aid.findings(batch)
    body = {"findingIds": [findings[0]["id"]], "verdict": "upheld", "reason": "已到户核实（测试）"}
    path = f"/desk/v1/aid-batches/{batch['id']}/judgements"
    for _ in range(2):
        assert (await aid.county.http.post(path, json=body)).status_code == 200
    assert (await aid.show(batch))["givenFen"] == 400_00
    assert await aid.findings(batch) == []
    assert (await phone.pull("records"))[kits[1].record["id"]]["server"]["outcome"] == "entered"


async def test_a_signature_that_never_came_is_judged_before_the_batch_is_closed(handing, phone, system, services):
    aid, batch = handing
    task = await find_handout_task(phone)
    for home in task["homes"][:2]:
        kit = await make_handout(phone, task, home, picture=home["id"].encode())
        assert await phone.push("evidence", *kit.evidence) == []
        assert await phone.push("records", kit.record) == []
    await system.run_jobs()
    assert await aid.findings(batch) == []
    async with open_session(services.sessions) as session:
        late = update(Record).where(Record.subject_id == task["homes"][0]["id"])
        await session.execute(late.values(submitted_at=utc_now() - timedelta(hours=73)))
    absent = {"lineId": task["homes"][2]["id"], "state": "not_handed_out", "reason": "无人在家"}
    assert (await aid.hand_out(batch, absent)).status_code == 200
    assert [finding["code"] for finding in await aid.findings(batch)] == ["signature_missing"]
    # What might still come of the other is not waited for once the batch is closed.
    assert (await aid.act(aid.town, batch, "close")).json()["code"] == "aid.findings_open"
    assert [finding["code"] for finding in await aid.findings(batch)] == ["signature_missing"] * 2
    assert (await aid.judge(batch)).status_code == 200
    assert (await aid.act(aid.town, batch, "close")).status_code == 200


async def test_an_amendment_that_is_here_before_the_ledger_looks_is_found(handing, phone, system):
    aid, batch = handing
    task = await find_handout_task(phone)
    kit = await make_handout(phone, task, task["homes"][0])
    await push_record(phone, kit)
    held = (await phone.pull("records"))[kit.record["id"]]
    changed = kit.record | {
        "answers": kit.record["answers"] | {"given_outcome": "not_handed_out", "not_given_reason": "记错人家"},
        "amendment": {"reason": "记错人家", "amendedAt": utc_now().isoformat()},
    }
    assert await phone.push("records", changed, assumed=held) == []
    await system.run_jobs()
    assert [finding["code"] for finding in await aid.findings(batch)] == ["amended_on_phone"]


async def declare_relative(session, household_id, staff_id):
    name = await session.scalar(select(Staff.name).where(Staff.id == staff_id))
    session.add(
        RelativeOnStaff(
            id=new_id(), household_id=household_id, name=name, office="民政办", relation="弟",
            declared_on=utc_now().date(),
        )
    )  # fmt: skip


async def test_only_homes_in_hand_are_listed_and_follow_whoever_holds_them(handing, phone, system, services):
    aid, batch = handing
    task = await find_handout_task(phone)
    first, second, third = task["homes"]
    async with services.sessions() as session:  # each home that the task shows is one that was looked at
        shown = select(func.sum(ReadEntry.shown)).where(ReadEntry.actor_id == phone.id, ReadEntry.thing_kind == "tasks")
        assert await session.scalar(shown) == len(task["homes"])
    revoked_at = utc_now().replace(microsecond=0) - timedelta(hours=3)
    colleague = await system.sign_in(await share(services, [first["householdId"]]), "caseworker")
    async with open_session(services.sessions) as session:
        await session.execute(
            update(Caseload)
            .where(Caseload.household_id == second["householdId"], Caseload.staff_id == phone.id)
            .values(revoked_at=revoked_at)
        )
        await declare_relative(session, third["householdId"], phone.id)
        await publish_tasks_of_homes(session, [first["householdId"]])
    (mine,), (theirs,) = [(await find_handout_task(person))["homes"] for person in (phone, colleague)]
    assert mine["id"] == theirs["id"] == first["id"]
    # A relative's home, and one that was given away before the record was begun.
    for home in (third, second):
        refused = await make_handout(phone, task, home)
        [returned] = await phone.push("records", refused.record)
        assert returned["server"]["problem"]["en"]["code"] == "record.subject_unknown"
    # Begun while it was in hand, by a clock that is a little ahead.
    taken = await make_handout(phone, task, second)
    taken.record["startedAt"] = (revoked_at + timedelta(minutes=1)).isoformat()
    assert await phone.push("records", taken.record) == []
    # Both at once: one stands, the other is before a person.
    kits = [await make_handout(person, task, first) for person in (phone, colleague)]
    await push_record(phone, kits[0])
    await push_record(colleague, kits[1])
    await system.run_jobs()
    async with services.sessions() as session:
        outcomes = list(await session.scalars(select(AidLineRecord.outcome).order_by(AidLineRecord.outcome)))
        assert await session.scalar(select(func.count()).select_from(Record)) == 3
    assert outcomes == ["entered", "entered", "repeated"]
    # When it was, the phone alone says: what arrived after the home was given away is judged by a person.
    late = [line["lineId"] for line in await aid.findings(batch) if line["code"] == "recorded_after_handover"]
    assert late == [second["id"]]


async def test_one_signature_under_two_homes_and_a_handout_without_one_are_seen(handing, phone, system):
    aid, batch = handing
    task = await find_handout_task(phone)
    kits = [await make_handout(phone, task, home, picture=b"\xff\xd8same") for home in task["homes"][:2]]
    for kit in kits:
        assert await phone.push("evidence", *kit.evidence) == []
        assert await phone.push("records", kit.record) == []
    unsigned = await make_handout(phone, task, task["homes"][2])
    unsigned.record["photos"] = []
    [returned] = await phone.push("records", unsigned.record)
    assert [fault["pointer"] for fault in returned["server"]["problem"]["zh"]["errors"]] == ["/answers/sign_recipient"]
    await system.run_jobs()
    assert [finding["code"] for finding in await aid.findings(batch)] == ["same_signature"] * 2
