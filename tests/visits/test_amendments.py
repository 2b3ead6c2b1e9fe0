"""Amendments: a submitted visit is corrected with author and reason, and what stood before is kept."""

import hashlib
from typing import Any

import jwt
import pytest
from sqlalchemy import select

from server.core.clock import utc_now
from server.models.feed import QuarantinedRow
from server.models.review import Decision
from server.models.visits import Visit, VisitVersion
from tests.phones import make_kit, tiny_photo
from tests.test_first_path import push_whole


@pytest.fixture
async def partner(system, county):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    return await system.sign_in(due.partner_login, "caseworker")


@pytest.fixture
async def kit(system, phone, partner):
    kit = await make_kit(phone, partner.id, photos=[tiny_photo(1), tiny_photo(2)])
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    return kit


def amend(master, **changes):
    result = {key: value for key, value in master.items() if key != "server"}
    reason = {"reason": "看错了水表读数", "amendedAt": utc_now().isoformat()}
    return result | {"amendment": reason} | changes


def other_answers(master):
    key, value = "person_met_name", master["answers"]["person_met_name"]
    return key, value, master["answers"] | {key: value + "(更正)"}


async def master_of(phone, kit):
    return (await phone.pull("visits"))[kit.visit["id"]]


async def decide(desk, kit, **request):
    claim = (await desk.http.post(f"/desk/v1/queue/{kit.visit['id']}/claim")).json()
    answer = await desk.http.post(
        f"/desk/v1/visits/{kit.visit['id']}/decision",
        json=request,
        headers={"If-Match": f'"{claim["version"]}"'},
    )
    assert answer.status_code == 200, answer.text


async def test_a_returned_visit_is_mended_from_the_phone_and_reviewed_again(system, services, phone, desk, kit):
    question = next(iter(kit.visit["answers"]))
    request = [{"questionId": question, "reason": "照片看不清"}]
    await decide(desk, kit, outcome="returned", reason="请更正", questioned=request)
    master = await master_of(phone, kit)
    assert master["server"]["state"] == "returned"
    assert master["server"]["decision"]["questioned"][0]["questionId"] == question
    key, value, answers = other_answers(master)

    assert await phone.push("visits", amend(master, answers=answers), assumed=master) == []
    await system.run_jobs()

    again = await master_of(phone, kit)
    assert (again["server"]["state"], again["server"]["version"]) == ("under_review", 2)
    assert "decision" not in again["server"]
    page = (await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}")).json()
    assert page["version"] == 2
    [line] = page["amendments"]
    assert line["reason"] == "看错了水表读数"
    assert line["differences"] == [{"pointer": f"/answers/{key}", "before": value, "after": value + "(更正)"}]
    async with services.sessions() as session:
        decision = await session.scalar(select(Decision))
        assert decision.undone_why == "amended"


async def test_each_version_has_its_own_receipt_and_the_later_names_the_one_it_amends(phone, services, kit):
    master = await master_of(phone, kit)
    await phone.push("visits", amend(master, answers=other_answers(master)[2]), assumed=master)
    again = await master_of(phone, kit)
    said = jwt.decode(again["server"]["receipt"], options={"verify_signature": False})
    async with services.sessions() as session:
        before = await session.scalar(select(VisitVersion))
        now = await session.scalar(select(Visit))
    assert before.receipt == master["server"]["receipt"] != again["server"]["receipt"]
    assert (said["sha256"], said["amends"]) == (now.content_hash, before.content_hash)
    assert before.document["answers"] == kit.visit["answers"]
    assert now.received_at.isoformat() == master["server"]["receivedAt"]
    assert now.submitted_at > before.submitted_at


async def test_an_amendment_repeated_is_the_same_amendment(phone, services, kit):
    master = await master_of(phone, kit)
    amended = amend(master, answers=other_answers(master)[2])
    for _ in range(3):
        assert await phone.push("visits", amended, assumed=master) == []
    async with services.sessions() as session:
        assert len(list(await session.scalars(select(VisitVersion)))) == 1


async def test_an_amendment_with_a_new_photo_waits_for_it_out_of_the_queue(system, phone, desk, kit):
    await desk.http.post(f"/desk/v1/queue/{kit.visit['id']}/claim")
    master = await master_of(phone, kit)
    content = tiny_photo(3)
    added = kit.evidence[0] | {
        "id": kit.visit["id"][:-4] + "beef",
        "sha256": hashlib.sha256(content).hexdigest(),
        "sizeBytes": len(content),
    }
    photos = [*master["photos"], {"id": added["id"], "sha256": added["sha256"]}]
    assert await phone.push("visits", amend(master, photos=photos), assumed=master) == []
    await system.run_jobs()
    assert (await master_of(phone, kit))["server"]["state"] == "amended"
    assert (await desk.http.get("/desk/v1/queue")).json()["items"] == []
    for way in ("claim", "heartbeat"):
        refused = await desk.http.post(f"/desk/v1/queue/{kit.visit['id']}/{way}")
        assert (refused.status_code, refused.json()["code"]) == (409, "review.amended"), way

    assert await phone.push("evidence", added) == []
    await phone.upload(added["id"], content)
    await system.run_jobs()
    assert (await master_of(phone, kit))["server"]["state"] == "under_review"
    assert [item["state"] for item in (await desk.http.get("/desk/v1/queue")).json()["items"]] == ["waiting"]


async def test_a_change_without_a_reason_goes_back_and_is_kept(phone, services, kit):
    master = await master_of(phone, kit)
    [result] = await phone.push("visits", {**amend(master, modeReason="other"), "amendment": None}, assumed=master)
    assert result["modeReason"] == master["modeReason"] if "modeReason" in master else "modeReason" not in result
    async with services.sessions() as session:
        assert (await session.scalar(select(QuarantinedRow))).code == "visit.frozen"


RECORDED: list[dict[str, Any]] = [
    {"startedAt": "2025-11-01T08:00:00+08:00"},
    {"endFix": None},
    {"investigatorIds": []},
    {"householdId": "0190a000-0000-7000-8000-000000000000"},
    {"mode": "phone", "modeReason": "疫情"},
]


async def test_what_was_recorded_at_the_door_is_not_amended(phone, services, kit):
    master = await master_of(phone, kit)
    for changes in RECORDED:
        assert len(await phone.push("visits", amend(master, **changes), assumed=master)) == 1, changes
    assert (await master_of(phone, kit))["server"]["version"] == 1
    async with services.sessions() as session:
        kept = list(
            await session.scalars(select(QuarantinedRow).order_by(QuarantinedRow.received_at, QuarantinedRow.id))
        )
    assert [item.code for item in kept] == ["visit.amends_the_record"] * len(RECORDED)
    for changes, entry in zip(RECORDED, kept, strict=True):
        assert next(iter(changes)) in entry.problem["en"]["detail"]


async def test_an_accepted_visit_is_not_amended(phone, desk, services, kit):
    page = (await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}")).json()
    await decide(desk, kit, outcome="accepted", dismissed=[finding["id"] for finding in page["findings"]])
    master = await master_of(phone, kit)
    [result] = await phone.push("visits", amend(master, answers=other_answers(master)[2]), assumed=master)
    assert result["server"]["state"] == "accepted"
    async with services.sessions() as session:
        assert (await session.scalar(select(QuarantinedRow))).code == "visit.closed"


async def test_an_amendment_from_an_old_version_conflicts_and_is_kept(phone, services, kit):
    first = await master_of(phone, kit)
    await phone.push("visits", amend(first, answers=other_answers(first)[2]), assumed=first)
    assert len(await phone.push("visits", amend(first, answers={}), assumed=first)) == 1
    async with services.sessions() as session:
        assert (await session.scalar(select(QuarantinedRow))).kept_as == "lost_conflict"


async def test_answers_that_break_the_checklist_are_kept_aside_and_the_visit_stands(phone, kit):
    master = await master_of(phone, kit)
    [result] = await phone.push("visits", amend(master, answers={}), assumed=master)
    assert result["server"]["state"] == "quarantined"
    assert result["server"]["problem"]["en"]["code"] == "visit.answers_invalid"


async def test_an_amendment_being_written_is_saved_for_its_author_alone(phone, partner, desk, services, kit):
    master = await master_of(phone, kit)
    draft = amend(master, state="draft", answers=other_answers(master)[2])
    assert await phone.push("visits", draft, assumed=master) == []
    saved = await master_of(phone, kit)
    assert (saved["state"], saved["answers"]) == ("draft", draft["answers"])
    assert saved["server"]["state"] == "under_review"
    assert (await master_of(partner, kit))["answers"] == kit.visit["answers"]
    page = (await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}")).json()
    assert page["document"]["answers"] == kit.visit["answers"]

    done = amend(saved, state="submitted")
    assert await phone.push("visits", done, assumed=saved) == []
    assert (await master_of(phone, kit))["server"]["version"] == 2
    async with services.sessions() as session:
        assert (await session.scalar(select(Visit))).mending is None


async def test_an_amendment_given_up_leaves_the_visit_as_it_was(phone, services, kit):
    master = await master_of(phone, kit)
    assert await phone.push("visits", amend(master, state="draft", answers={}), assumed=master) == []
    saved = await master_of(phone, kit)
    assert await phone.push("visits", kit.visit, assumed=saved) == []
    back = await master_of(phone, kit)
    assert (back["answers"], back["server"]["version"]) == (kit.visit["answers"], 1)


async def test_only_the_author_amends(phone, partner, services, kit):
    theirs = await master_of(partner, kit)
    assert len(await partner.push("visits", amend(theirs, answers=other_answers(theirs)[2]), assumed=theirs)) == 1
    assert (await master_of(phone, kit))["server"]["version"] == 1


async def test_a_return_that_was_answered_can_not_be_undone(phone, desk, kit):
    await decide(desk, kit, outcome="returned", reason="请更正")
    master = await master_of(phone, kit)
    await phone.push("visits", amend(master, answers=other_answers(master)[2]), assumed=master)
    refused = await desk.http.post(f"/desk/v1/visits/{kit.visit['id']}/decision/undo")
    assert refused.json()["code"] == "review.amended", refused.text


async def test_a_phone_that_loads_anew_pushes_its_partners_visits_and_nothing_is_lost_or_kept(
    services, phone, partner, kit
):
    """RxDB pushes all that it holds once more, the partner's visits among it, in whatever version it had."""
    first = (await partner.pull("visits"))[kit.visit["id"]]
    assert await partner.push("visits", first) == []
    key, value, answers = other_answers(first)
    assert await phone.push("visits", amend(first, answers=answers), assumed=first) == []
    [returned] = await partner.push("visits", first)
    assert returned["answers"][key] != value
    assert await partner.push("visits", returned) == []
    async with services.sessions() as session:
        assert (await session.scalars(select(QuarantinedRow))).all() == []
    [other] = await partner.push("visits", returned | {"modeReason": "not the author's"})
    assert "not the author" not in str(other)
    async with services.sessions() as session:
        assert [row.kept_as for row in await session.scalars(select(QuarantinedRow))] == ["lost_conflict"]
