"""One bad row of a batch never holds up the others: rows are cut apart before anything is validated."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from field_api.sync.rows import mend_text, read_batch, read_what_can_be
from server.core.errors import Problem
from server.core.ids import new_id
from server.models.feed import QuarantinedRow
from server.models.visits import Visit
from tests.phones import make_kit

PUSH = "/field/v1/sync/visits/1/push"

# A member of a document, as text: what no honest serialiser writes, and what only looks like it.
BAD_MEMBERS = {
    "half an emoji": rb'"modeReason": "\u5bb6\ud83d"',
    "the other half": rb'"modeReason": "\ude00"',
    "half an emoji as a key": rb'"\ud83d": 1',
    "NUL": rb'"modeReason": "a\u0000b"',
    "a raw NUL": b'"modeReason": "a\x00b"',
    "a raw control character": b'"modeReason": "a\x01b"',
    "half a character": b'"modeReason": "\xe5\xae"',
    "5,000 deep": b'"deep": ' + b"[" * 5000 + b"]" * 5000,
    "5,000 objects deep": b'"deep": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "100 deep": b'"deep": ' + b"[" * 100 + b"]" * 100,
    "NaN": b'"accuracy": NaN',
    "NaN inside": b'"extra": {"a": [1, -Infinity, 2]}',
    "beyond a float": b'"extra": 1e999',
    "an integer of 40 digits": b'"extra": ' + b"7" * 40,
    "an integer of 9,000 digits": b'"extra": ' + b"7" * 9000,
    "the same key twice": b'"modeReason": "a", "modeReason": "b"',
    "an escape that is none": rb'"modeReason": "\x41"',
}
GOES_THROUGH = {"half an emoji", "the other half", "half an emoji as a key", "NUL", "a raw NUL", "half a character",
                "the same key twice"}  # fmt: skip


@pytest.fixture
async def kit(system, county, phone):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    return await make_kit(phone, partner.id, photos=[])


async def count(services, model, *where) -> int:
    async with services.sessions() as session:
        return await session.scalar(select(func.count()).select_from(model).where(*where))


async def push(phone, *documents: bytes) -> list[dict[str, Any]]:
    rows = b",".join(b'{"newDocumentState":' + document + b"}" for document in documents)
    answer = await phone.http.post(PUSH, content=b"[" + rows + b"]", headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def plain(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "server"}


def with_member(document: dict[str, Any], member: bytes) -> bytes:
    kept = {key: value for key, value in document.items() if key not in ("modeReason", "server")}
    return json.dumps(kept).encode().removesuffix(b"}") + b", " + member + b"}"


@pytest.mark.parametrize("what", BAD_MEMBERS)
async def test_a_bad_row_is_mended_or_kept_and_its_neighbours_are_stored(phone, kit, services, what):
    draft = kit.visit | {"state": "draft"}
    bad = with_member(draft | {"id": str(new_id())}, BAD_MEMBERS[what])
    good = [json.dumps(draft | {"id": str(new_id())}).encode() for _ in range(2)]
    returned = await push(phone, good[0], bad, good[1])
    assert [item["server"]["state"] for item in returned] == [] if what in GOES_THROUGH else ["quarantined"]
    assert await count(services, Visit) == (3 if what in GOES_THROUGH else 2)
    assert all(item["householdId"] == draft["householdId"] for item in returned), "shown as it was sent"
    again = await push(phone, good[0], bad, good[1])
    assert [plain(item) for item in again] == [plain(item) for item in returned], "a repeat has the same answer"
    assert await count(services, QuarantinedRow) == len(returned)
    assert len(await phone.pull("visits")) == 3


async def test_a_text_that_shows_the_six_characters_of_an_escape_is_text(phone, kit):
    draft = kit.visit | {"state": "draft", "modeReason": r"写的是 \u0000 和 \ud83d"}
    assert await phone.push("visits", draft) == []
    assert (await phone.pull("visits"))[draft["id"]]["modeReason"] == draft["modeReason"]


async def test_half_an_emoji_becomes_the_replacement_character_and_the_visit_goes_on(phone, kit):
    draft = kit.visit | {"state": "draft"}
    half = with_member(draft, BAD_MEMBERS["half an emoji"])
    assert await push(phone, half) == []
    pulled = (await phone.pull("visits"))[draft["id"]]
    assert pulled["modeReason"] == "家\ufffd"
    # The phone still holds the half as what it assumes stands here.
    rows = b'[{"newDocumentState":%b,"assumedMasterState":%b}]' % (json.dumps(kit.visit).encode(), half)
    answer = await phone.http.post(PUSH, content=rows, headers={"Content-Type": "application/json"})
    assert answer.json() == []
    assert (await phone.pull("visits"))[draft["id"]]["server"]["state"] == "submitted"


async def test_rows_without_an_id_that_come_again_are_kept_once(phone, services):
    for _ in range(3):
        assert [item["server"]["state"] for item in await push(phone, b'{"a": NaN}', b"5", b'"x"')] == [
            "quarantined"
        ] * 3
    assert await count(services, QuarantinedRow) == 3


@pytest.mark.parametrize("body", [b"", b"[", b'[{"newDocumentState": {"id": 1', b"[1]]", b"[}", b'["', b"]["])
def test_what_can_not_be_cut_is_no_json(body):
    with pytest.raises(Problem) as problem:
        read_batch(body)
    assert problem.value.code == "request.not_json"


_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8)
_values = st.recursive(_leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.dictionaries(st.text(st.characters(), max_size=6), _values, max_size=4), max_size=5))
def test_any_rows_are_cut_where_they_were_joined(documents):
    """Floats include NaN and Infinity, texts include halves of pairs, quotes, brackets, commas and backslashes."""
    written = [json.dumps(document).encode() for document in documents]
    body = b"[" + b" , ".join(b'{"newDocumentState": ' + text + b"}" for text in (*written, b'{"a": NaN}')) + b"]"
    rows = read_batch(body)
    assert [bytes(row.new_document_state) for row in rows] == [*written, b'{"a": NaN}']
    for row in rows:
        mended = mend_text(bytes(row.new_document_state))
        assert mend_text(mended) == mended
        msgspec.json.encode(read_what_can_be(mended))
