"""RxDB, unmodified, against the running server: at the end every phone and the server hold the same rows."""

import asyncio

import pytest
from sqlalchemy import func, select, update

from server.core.clock import utc_now
from server.core.ids import new_id
from server.models.feed import QuarantinedRow
from server.models.households import Household
from server.models.visits import Visit
from server.sync_feed.publish import publish_change
from tests.clients.proxy import Proxy
from tests.phones import make_kit, tiny_photo
from tests.test_first_path import push_whole

COLLECTIONS = ("assignments", "households", "checklists", "visits", "evidence", "attestations")


def alive(documents):
    """As an app sees them: RxDB keeps `_deleted` to itself."""
    return {key: {name: value for name, value in item.items() if name != "_deleted"} for key, item in documents.items()}


@pytest.fixture
async def partner(system, county, phone):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    return await system.sign_in(due.partner_login, "caseworker")


@pytest.fixture
async def second(system, county, phone):
    """The same caseworker's other phone."""
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    return await system.sign_in(due.caseworker_login, "caseworker", hardware_id="another")


async def open_phone(phones, name, server, signed_in, **options):
    return await phones.phone(name, server.url, signed_in.signed_in["accessToken"], **options)


async def assert_agree(handset, person):
    """Row for row, and by the digest that the phone and the server each make for themselves."""
    for collection in COLLECTIONS:
        assert await handset.documents(collection) == alive(await person.pull(collection)), collection
        assert (await pull_to_the_end(person, collection, await handset.do("digest", collection=collection))) == 200


async def pull_to_the_end(person, collection, digest):
    first = await person.http.get(f"/field/v1/sync/{collection}/1/pull", params={"limit": 1000})
    checkpoint = first.json()["checkpoint"]
    answer = await person.http.get(
        f"/field/v1/sync/{collection}/1/pull", params={**checkpoint, "limit": 1000, "digest": digest}
    )
    return answer.status_code


async def kept(services, kept_as):
    async with services.sessions() as session:
        return list(await session.scalars(select(QuarantinedRow).where(QuarantinedRow.kept_as == kept_as)))


async def count_receipts(services):
    async with services.sessions() as session:
        submitted = await session.scalar(select(func.count()).where(Visit.submitted_at.is_not(None)))
        receipts = await session.scalar(select(func.count()).where(Visit.receipt.is_not(None)))
        return submitted, receipts


async def test_a_phone_pulls_what_it_should_have(phones, live, phone):
    handset = await open_phone(phones, "a", live, phone, batch=7)
    await handset.sync()
    assert len(await handset.documents("households")) > 7
    await assert_agree(handset, phone)
    assert await handset.do("errors") == []


async def test_a_draft_written_offline_reaches_the_other_phone_and_is_submitted_there(
    phones, live, phone, second, partner, services
):
    kit = await make_kit(phone, partner.id, photos=[])
    a = await open_phone(phones, "a", live, phone, offline=True)
    b = await open_phone(phones, "b", live, second)
    draft = kit.visit | {"state": "draft", "answers": {}}
    await a.insert("visits", draft)
    await a.patch("visits", draft["id"], modeReason="first")
    await a.patch("visits", draft["id"], modeReason="second")
    await a.do("online")
    await a.sync()
    await b.sync()
    assert (await b.documents("visits"))[draft["id"]]["modeReason"] == "second"

    await b.patch("visits", draft["id"], state="submitted", answers=kit.visit["answers"], modeReason="")
    await b.sync()
    await a.sync()
    for handset, person in ((a, phone), (b, second)):
        await handset.sync()
        held = (await handset.documents("visits"))[draft["id"]]
        assert (held["server"]["state"], held["answers"]) == ("submitted", kit.visit["answers"])
        assert held["server"]["receipt"]
        await assert_agree(handset, person)
        assert await handset.do("errors") == []
    assert await count_receipts(services) == (1, 1)
    assert await kept(services, "quarantined") == await kept(services, "lost_conflict") == []


async def test_of_two_phones_that_change_one_draft_one_wins_and_the_loser_is_kept(
    phones, live, phone, second, partner, services
):
    kit = await make_kit(phone, partner.id, photos=[], state="draft")
    a = await open_phone(phones, "a", live, phone)
    b = await open_phone(phones, "b", live, second)
    await a.insert("visits", kit.visit)
    await a.sync()
    await b.sync()
    await a.do("offline")
    await b.do("offline")
    await a.patch("visits", kit.visit["id"], modeReason="by a")
    await b.patch("visits", kit.visit["id"], modeReason="by b")
    await a.do("online")
    await a.sync()
    await b.do("online")
    await b.sync()
    await a.sync()
    for handset, person in ((a, phone), (b, second)):
        assert (await handset.documents("visits"))[kit.visit["id"]]["modeReason"] == "by a"
        await assert_agree(handset, person)
    [lost] = await kept(services, "lost_conflict")
    assert b'"modeReason":"by b"' in lost.body


async def test_a_draft_thrown_away_goes_from_the_other_phone_too(phones, live, phone, second, partner):
    kit = await make_kit(phone, partner.id, photos=[], state="draft")
    a = await open_phone(phones, "a", live, phone)
    b = await open_phone(phones, "b", live, second)
    await a.insert("visits", kit.visit)
    await a.sync()
    await b.sync()
    assert kit.visit["id"] in await b.documents("visits")
    await a.do("remove", collection="visits", id=kit.visit["id"])
    await a.sync()
    await b.sync()
    assert await a.documents("visits") == await b.documents("visits") == {}
    await assert_agree(a, phone)
    await assert_agree(b, second)


async def test_a_bad_row_comes_back_with_its_reason_is_mended_and_holds_up_no_other(
    phones, live, phone, partner, services
):
    kit = await make_kit(phone, partner.id, photos=[])
    other = kit.visit | {"id": str(new_id()), "state": "draft"}
    newer = kit.visit | {"id": str(new_id()), "state": "draft", "unknownField": 1}
    wrong = kit.visit | {"id": str(new_id()), "state": "draft", "checklistVersion": "first"}
    a = await open_phone(phones, "a", live, phone)
    await a.insert("visits", kit.visit | {"state": "draft"})
    await a.sync()
    await a.patch("visits", kit.visit["id"], state="submitted", investigatorIds=[str(phone.id)])
    await a.insert("visits", other, newer, wrong)
    await a.sync()
    held = await a.documents("visits")
    assert held[kit.visit["id"]]["server"]["problem"]["zh"]["code"] == "visit.one_investigator"
    assert held[kit.visit["id"]]["answers"] == kit.visit["answers"]
    assert held[wrong["id"]]["server"]["problem"]["zh"]["code"] == "row.invalid"
    await a.sync()
    assert (await a.documents("visits"))[newer["id"]]["unknownField"] == 1
    assert (await a.documents("visits"))[other["id"]]["server"]["state"] == "draft"
    await assert_agree(a, phone)

    # Mended, though the server still holds the draft from before it.
    await a.patch("visits", kit.visit["id"], investigatorIds=kit.visit["investigatorIds"])
    await a.do("remove", collection="visits", id=wrong["id"])
    await a.sync()
    await a.sync()
    assert (await a.documents("visits"))[kit.visit["id"]]["server"]["state"] == "submitted"
    assert await kept(services, "lost_conflict") == []
    assert await count_receipts(services) == (1, 1)


async def test_a_submitted_visit_can_not_be_changed_and_the_attempt_is_kept(phones, live, phone, partner, services):
    kit = await make_kit(phone, partner.id, photos=[])
    a = await open_phone(phones, "a", live, phone)
    await a.insert("visits", kit.visit)
    await a.sync()
    await a.patch("visits", kit.visit["id"], modeReason="after all")
    await a.sync()
    held = (await a.documents("visits"))[kit.visit["id"]]
    assert held["server"]["receipt"]
    assert "modeReason" not in held
    [lost] = await kept(services, "lost_conflict")
    assert (lost.code, b"after all" in lost.body) == ("visit.frozen", True)
    await a.sync()
    await assert_agree(a, phone)


async def test_a_returned_visit_is_amended_on_the_phone_question_by_question(
    phones, live, system, desk, phone, partner, services
):
    kit = await make_kit(phone, partner.id, photos=[tiny_photo(1), tiny_photo(2)])
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    a = await open_phone(phones, "a", live, phone)
    await a.sync()
    visit_id, question = kit.visit["id"], next(iter(kit.visit["answers"]))
    claim = (await desk.http.post(f"/desk/v1/queue/{visit_id}/claim")).json()
    returned = await desk.http.post(
        f"/desk/v1/visits/{visit_id}/decision",
        json={"outcome": "returned", "reason": "请更正", "questioned": [{"questionId": question, "reason": "不清楚"}]},
        headers={"If-Match": f'"{claim["version"]}"'},
    )
    assert returned.status_code == 200, returned.text
    await a.sync()
    held = (await a.documents("visits"))[visit_id]
    assert [item["questionId"] for item in held["server"]["decision"]["questioned"]] == [question]

    reason = {"reason": "核对户口簿后更正", "amendedAt": utc_now().isoformat()}
    answers = kit.visit["answers"]
    await a.patch("visits", visit_id, state="draft", amendment=reason)
    await a.sync()
    text = "person_met_name"
    assert answers[text]
    await a.patch("visits", visit_id, answers=answers | {text: "(更正)"})
    await a.patch("visits", visit_id, state="submitted")
    await a.sync()
    await system.run_jobs()
    await a.sync()
    held = (await a.documents("visits"))[visit_id]
    assert (held["server"]["state"], held["server"]["version"]) == ("under_review", 2)
    assert held["answers"][text] == "(更正)"
    await assert_agree(a, phone)
    assert await kept(services, "lost_conflict") == await kept(services, "quarantined") == []


async def test_the_live_stream_brings_a_change_without_anyone_asking(phones, live, phone, services):
    a = await open_phone(phones, "a", live, phone, live=True, collections=["households"])
    await a.sync()
    document = next(iter(await a.documents("households")))
    async with services.sessions.begin() as session:
        await session.execute(update(Household).where(Household.id == document).values(address="moved"))
        await publish_change(session, "households", [document])
    for _ in range(60):
        if (await a.documents("households"))[document]["address"] == "moved":
            break
        await asyncio.sleep(0.1)
    else:
        pytest.fail("the phone never heard of it")
    assert await a.do("errors") == []
    await a.do("close")


async def test_a_server_that_restarts_between_push_and_answer_loses_nothing(phones, live, phone, partner, services):
    kit = await make_kit(phone, partner.id, photos=[])
    async with Proxy(live.port) as proxy:
        a = await phones.phone("a", proxy.url, phone.signed_in["accessToken"], offline=True)
        await a.insert("visits", kit.visit)
        # The request goes through whole and the answer is cut off.
        proxy.cut_after = 1
        await a.do("online")
        await asyncio.sleep(0.3)
        live.kill()
        await asyncio.sleep(0.2)
        proxy.cut_after = None
        live.start()
        await a.sync()
        await a.sync()
        assert (await a.documents("visits"))[kit.visit["id"]]["server"]["receipt"]
        assert await a.do("errors") != []
        await assert_agree(a, phone)
    assert await count_receipts(services) == (1, 1)


async def test_connections_cut_at_any_byte_lose_nothing_and_double_nothing(phones, live, phone, partner, services):
    kit = await make_kit(phone, partner.id)
    async with Proxy(live.port) as proxy:
        a = await phones.phone("a", proxy.url, phone.signed_in["accessToken"], live=True, retryMs=10)
        await a.sync()
        expected = []
        # A connection lives a little longer each time: request line, headers, body, answer.
        for cut_after in (*range(1, 1200, 97), *range(1200, 24_000, 1901)):
            visit = kit.visit | {"id": str(new_id()), "photos": []}
            expected.append(visit["id"])
            proxy.cut_after = cut_after
            proxy.cut_all()
            await a.insert("visits", visit)
            await asyncio.sleep(0.1)
        assert proxy.cuts > 20
        proxy.cut_after = None
        proxy.cut_all()
        await a.sync()
        await a.sync()
        held = await a.documents("visits")
        assert sorted(held) == sorted(expected)
        assert all(item["server"]["receipt"] for item in held.values())
        await assert_agree(a, phone)
        await a.do("close")
    assert await count_receipts(services) == (len(expected), len(expected))
    assert await kept(services, "lost_conflict") == await kept(services, "quarantined") == []


async def test_a_session_whose_every_request_is_cut_before_and_after_the_server_loses_nothing(
    phones, live, phone, partner, services
):
    kit = await make_kit(phone, partner.id)
    async with Proxy(live.port) as proxy:
        proxy.cut_each_request = True
        a = await phones.phone("a", proxy.url, phone.signed_in["accessToken"], retryMs=10, batch=20)
        b = await phones.phone("b", proxy.url, partner.signed_in["accessToken"], retryMs=10, batch=20)
        await a.sync()
        await a.insert("visits", kit.visit | {"state": "draft"})
        await a.sync()
        await a.insert("evidence", *kit.evidence)
        await a.patch("visits", kit.visit["id"], state="submitted")
        await b.insert("attestations", kit.attestation)
        await a.sync()
        await b.sync()
        await a.sync()
        assert proxy.cuts >= 2 * len(proxy.tries) > 2 * len(COLLECTIONS)
        assert all(count % 3 == 0 for count in proxy.tries.values())
        pushed = [target for target in proxy.tries if target.endswith(b"/push")]
        assert len(pushed) == 3
        held = (await a.documents("visits"))[kit.visit["id"]]
        assert (held["server"]["state"], held["server"]["attestedBy"]) == ("submitted", [str(partner.id)])
        proxy.cut_each_request = False
        await a.sync()
        await b.sync()
        await assert_agree(a, phone)
        await assert_agree(b, partner)
    assert await count_receipts(services) == (1, 1)
    assert await kept(services, "lost_conflict") == await kept(services, "quarantined") == []


async def test_a_phone_whose_server_fails_for_a_while_goes_on_by_itself(phones, live, phone, services, postgres):
    """RxDB's client reads no status: an answer without `error` in it would end the replication for good."""
    a = await open_phone(phones, "a", live, phone, offline=True)
    async with services.engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE installation RENAME TO elsewhere")
    await a.do("online")
    await asyncio.sleep(0.3)
    async with services.engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO installation")
    await a.sync()
    await assert_agree(a, phone)
