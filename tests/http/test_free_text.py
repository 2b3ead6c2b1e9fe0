"""No identity or card number in what is stored in clear: a desk is refused, a phone's row is kept and masked."""

import json

import pytest
from sqlalchemy import select

from server.core.database import open_session
from server.core.free_text import holds_number
from server.core.http import RequestBody
from server.core.ids import new_id
from server.models.feed import QuarantinedRow
from server.models.proposals import Proposal
from server.models.visits import Visit
from tests.households.test_register import apply, household, id_number
from tests.phones import make_kit

CARD = next(card for digit in range(10) if holds_number(card := f"620000123456789{digit}"))


def every_body(kind=RequestBody):
    for subclass in kind.__subclasses__():
        yield subclass
        yield from every_body(subclass)


def test_no_body_leaves_the_check_out_and_each_exception_is_a_field(app):
    for body in every_body():
        assert body.__post_init__ is RequestBody.__post_init__, body
        assert body.sealed_fields <= set(body.__struct_fields__), body


@pytest.mark.parametrize("number", [id_number(), CARD, " ".join(CARD[at : at + 4] for at in range(0, 16, 4))])
async def test_a_desk_that_writes_a_number_into_a_text_is_refused_with_the_place(office, number):
    town = await office.person("town_officer")
    answer, item = await apply(town, household=household(address=f"桐荫社区 {number}"))
    assert (answer.status_code, answer.json()["code"]) == (400, "text.holds_number")
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/address"]
    assert number not in answer.text
    answer, item = await apply(town)
    assert answer.status_code == 201, answer.text
    path = f"/desk/v1/households/{item['householdId']}"
    reveal = {"what": "phone", "reason": f"核对 {number}"}
    assert (await town.http.post(f"{path}/reveal", json=reveal)).json()["code"] == "text.holds_number"
    change = {"household": item["household"], "reason": number}
    changed = await town.http.put(path, json=change, headers={"If-Match": "1"})
    assert changed.json()["code"] == "text.holds_number"
    property_ = {"id": str(new_id()), "kind": "deposit", "declared": 1, "note": f"卡号{number}"}
    answer, _ = await apply(town, household=household(properties=[property_]))
    assert answer.json()["code"] == "text.holds_number"


@pytest.mark.parametrize("escaped", [False, True])
async def test_a_phones_row_is_kept_with_the_number_masked_and_comes_again_as_the_same(
    phone, system, county, services, escaped
):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id, photos=[])
    number = id_number()
    draft = kit.visit | {"state": "draft", "modeReason": f"核对{number}，卡{CARD}", "answers": {}}

    async def push(document, assumed=None):
        rows = [{"newDocumentState": document, "assumedMasterState": assumed}]
        body = json.dumps(rows, ensure_ascii=escaped).encode()
        headers = {"Content-Type": "application/json"}
        answer = await phone.http.post("/field/v1/sync/visits/1/push", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert await push(draft) == []
    assert await push(draft) == []
    changed = draft | {"modeReason": f"电话核对 {number}"}
    assert await push(changed, assumed=draft) == []
    async with open_session(services.sessions) as session:
        stored = await session.get_one(Visit, draft["id"])
        assert stored.document["modeReason"] == f"电话核对 {'*' * 18}"
        assert stored.document["investigatorIds"] == draft["investigatorIds"]
    assert (await phone.pull("visits"))[draft["id"]]["modeReason"] == f"电话核对 {'*' * 18}"


async def test_a_proposal_and_a_row_in_quarantine_hold_no_number_either(phone, services):
    home = next(iter((await phone.pull("households")).values()))
    number = id_number()
    proposal = {
        "id": str(new_id()),
        "householdId": home["id"],
        "proposedAt": "2025-03-04T10:00:00+08:00",
        "changes": {"address": f"桐荫社区 {number}"},
        "note": f"卡号{CARD}",
        "_deleted": False,
    }
    await phone.push("proposals", proposal)
    await phone.push("visits", {"id": str(new_id()), "state": "submitted", "modeReason": number})
    async with open_session(services.sessions) as session:
        documents = [json.dumps(document) for document in await session.scalars(select(Proposal.document))]
        bodies = [body.decode() for body in await session.scalars(select(QuarantinedRow.body))]
    assert bodies
    assert not any(secret in text for secret in (number, CARD) for text in documents + bodies)
