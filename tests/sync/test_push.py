"""Push: the same row however often it comes is one row, and each row has its own verdict."""

import asyncio

import pytest
from sqlalchemy import func, select

from server.models.feed import QuarantinedRow
from server.models.visits import Visit
from tests.phones import make_kit


@pytest.fixture
async def kit(system, county, phone):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    return await make_kit(phone, partner.id, photos=[])


async def count(services, model, *where):
    async with services.sessions() as session:
        return await session.scalar(select(func.count()).select_from(model).where(*where))


async def test_the_same_push_eight_times_at_once_is_one_row_with_one_receipt(phone, kit, services):
    answers = await asyncio.gather(*(phone.push("visits", kit.visit) for _ in range(8)))
    assert answers == [[]] * 8
    assert await count(services, Visit) == 1
    assert await count(services, QuarantinedRow) == 0
    before = (await phone.pull("visits"))[kit.visit["id"]]["server"]["receipt"]
    assert await phone.push("visits", kit.visit) == []
    assert (await phone.pull("visits"))[kit.visit["id"]]["server"]["receipt"] == before


async def test_eight_changes_of_one_draft_at_once_have_one_winner_and_seven_kept(phone, kit, services):
    draft = kit.visit | {"state": "draft"}
    assert await phone.push("visits", draft) == []
    master = (await phone.pull("visits"))[draft["id"]]
    changed = [draft | {"modeReason": f"version {number}"} for number in range(8)]
    answers = await asyncio.gather(*(phone.push("visits", item, assumed=master) for item in changed))
    winner = (await phone.pull("visits"))[draft["id"]]["modeReason"]
    assert [answer == [] for answer in answers].count(True) == 1
    assert {answer[0]["modeReason"] for answer in answers if answer} == {winner}
    assert await count(services, QuarantinedRow, QuarantinedRow.kept_as == "lost_conflict") == 7


async def test_a_losing_push_repeated_is_kept_once(phone, kit, services):
    await phone.push("visits", kit.visit | {"state": "draft"})
    for _ in range(3):
        assert await phone.push("visits", kit.visit | {"state": "draft", "modeReason": "other"})
    assert await count(services, QuarantinedRow) == 1


async def test_two_rows_of_one_document_in_one_batch_are_taken_in_their_order(phone, kit, services):
    draft = kit.visit | {"state": "draft"}
    [returned] = await phone.push("visits", draft, draft | {"modeReason": "second"})
    assert "modeReason" not in returned
    assert await count(services, QuarantinedRow, QuarantinedRow.kept_as == "lost_conflict") == 1


async def test_what_a_storage_adds_for_itself_is_no_part_of_the_row(phone, kit):
    own = {"_meta": {"lwt": 1}, "_rev": "1-x", "_attachments": {}}
    assert await phone.push("visits", kit.visit | own) == []
    pulled = (await phone.pull("visits"))[kit.visit["id"]]
    assert not own.keys() & pulled.keys()
    assert await phone.push("visits", kit.visit) == []


async def test_a_field_of_a_newer_phone_is_kept_and_given_back(phone, kit, services):
    fix = kit.visit["startFix"] | {"satellites": 11}
    newer = kit.visit | {"heardOf": {"by": "radio"}, "startFix": fix}
    assert await phone.push("visits", newer) == []
    pulled = (await phone.pull("visits"))[newer["id"]]
    assert (pulled["heardOf"], pulled["startFix"]["satellites"]) == ({"by": "radio"}, 11)
    assert await phone.push("visits", newer) == []
    assert await count(services, QuarantinedRow) == 0


async def test_the_server_lists_the_fields_that_it_takes(phone, kit):
    listed = {item["name"]: item for item in (await phone.http.get("/field/v1/sync")).json()}
    assert {name for name, item in listed.items() if item["writable"]} == {
        "visits", "evidence", "proposals", "attestations", "records",
    }  # fmt: skip
    visits = set(listed["visits"]["fields"])
    assert kit.visit.keys() | {"amendment.reason", "startFix.accuracyM", "photos.sha256"} <= visits
    assert not {"server", "nobodyKnowsThis"} & visits


@pytest.mark.parametrize("row", [5, "text", None, [], {"id": 7}])
async def test_a_row_that_is_no_document_is_kept_and_holds_up_no_other(phone, kit, services, row):
    body = [{"newDocumentState": row}, {"newDocumentState": kit.visit}]
    answer = await phone.http.post("/field/v1/sync/visits/1/push", json=body)
    assert answer.status_code == 200, answer.text
    assert [item["server"]["state"] for item in answer.json()] == ["quarantined"]
    assert await count(services, Visit) == 1
    assert await count(services, QuarantinedRow) == 1


async def test_a_version_no_longer_served_and_an_unknown_collection_say_so(phone):
    for way in (phone.http.get, phone.http.post):
        path = "pull" if way == phone.http.get else "push"
        assert (await way(f"/field/v1/sync/visits/7/{path}")).json()["code"] == "sync.schema_version_gone"
        assert (await way(f"/field/v1/sync/nothing/1/{path}")).json()["code"] == "sync.collection_unknown"
    answer = await phone.http.post("/field/v1/sync/households/1/push", json=[])
    assert answer.json()["code"] == "sync.collection_read_only"


async def test_a_push_repeated_brings_the_document_down_once_more(phone, kit):
    """RxDB passes over what comes down of a document whose push it believes lost."""
    await phone.push("visits", kit.visit)
    pull = "/field/v1/sync/visits/1/pull"
    held = (await phone.http.get(pull, params={"lwt": 0, "id": ""})).json()
    assert (await phone.http.get(pull, params=held["checkpoint"])).json()["documents"] == []
    assert await phone.push("visits", kit.visit) == []
    [again] = (await phone.http.get(pull, params=held["checkpoint"])).json()["documents"]
    assert again["server"]["receipt"] == held["documents"][0]["server"]["receipt"]
