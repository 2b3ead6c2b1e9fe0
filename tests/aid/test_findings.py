"""What is odd about aid is held for a person, and nothing follows from it by itself."""

import pytest

from server.core.ids import new_id
from tests import days
from tests.makers.aid import to_head, to_proxy


def codes(findings):
    return sorted(finding["code"] for finding in findings)


async def test_a_stopped_home_is_flagged_and_left_out_when_a_person_says_so(aid):
    batch = await aid.make("heating", eachFen=300_00)
    await aid.pay.decide(aid.homes[0], "stopped", days.month(), 0)
    refused = await aid.act(aid.town, batch, "prepare")
    assert (refused.status_code, refused.json()["code"]) == (409, "aid.findings_open")
    (finding,) = await aid.findings(batch)
    assert (finding["code"], finding["headName"]) == ("not_in_force", aid.homes[0].head)
    assert (await aid.judge(batch, "upheld")).json()["plannedFen"] == 3 * 300_00
    assert (await aid.act(aid.town, batch, "prepare")).json()["state"] == "prepared"


async def test_a_home_that_stops_between_two_people_sends_the_batch_back(aid):
    batch = await aid.make("heating", eachFen=300_00)
    assert (await aid.act(aid.town, batch, "prepare")).status_code == 200
    await aid.pay.decide(aid.homes[0], "stopped", days.month(), 0)
    assert (await aid.act(aid.county, batch, "release")).json()["code"] == "aid.findings_open"
    assert (await aid.show(batch))["state"] == "drafted"
    assert (await aid.judge(batch)).status_code == 200
    for desk, act in ((aid.town, "prepare"), (aid.county, "release")):
        assert (await aid.act(desk, batch, act)).status_code == 200


async def test_aid_handed_to_a_home_without_a_case_is_held_and_stays_as_it_happened(aid):
    batch = await aid.released("heating", eachFen=300_00)
    await aid.pay.decide(aid.homes[0], "stopped", days.month(), 0)
    lines = await aid.lines(batch)
    await aid.hand_out(batch, *[to_head(line) for line in lines])
    assert codes(await aid.findings(batch)) == ["not_in_force"]
    assert (await aid.act(aid.town, batch, "close")).json()["code"] == "aid.findings_open"
    judged = (await aid.judge(batch, "upheld")).json()
    assert (judged["givenFen"], (await aid.lines(batch))[0]["state"]) == (4 * 300_00, "handed_out")
    assert (await aid.act(aid.town, batch, "close")).json()["state"] == "closed"


async def test_medical_aid_may_go_to_any_home(aid):
    await aid.pay.decide(aid.homes[0], "stopped", days.month(), 0)
    home = str(aid.homes[0].household_id)
    batch = await aid.make("medical", eachFen=300_00, householdIds=[home])
    assert await aid.findings(batch) == []


async def test_the_same_signature_under_two_homes_is_found_in_any_batch(aid):
    batch = await aid.released("heating", eachFen=300_00)
    first, second, *_ = await aid.lines(batch)
    await aid.hand_out(batch, to_head(first, signatureSha256="b" * 64))
    assert await aid.findings(batch) == []
    await aid.hand_out(batch, to_head(second, signatureSha256="b" * 64))
    assert codes(await aid.findings(batch)) == ["same_signature", "same_signature"]
    other = await aid.released("flour", eachMilli=1000)
    third = (await aid.lines(other))[2]
    await aid.hand_out(other, to_head(third, signatureSha256="b" * 64))
    assert [finding["zh"] for finding in await aid.findings(other)] == ["与另外 2 户同一签名图片"]


async def test_a_proxy_of_several_homes_is_found_by_name(aid):
    batch = await aid.released("heating", eachFen=300_00)
    first, second, third, _ = await aid.lines(batch)
    await aid.hand_out(batch, to_proxy(first, "邹小路"), to_proxy(second, "邹小路"), to_proxy(third, "尤大路"))
    assert [finding["zh"] for finding in await aid.findings(batch)] == ["“邹小路”在本批次代领 2 户"] * 2


async def test_more_than_was_bought_is_found_as_planned_and_as_handed_out(aid):
    batch = await aid.released("coal", eachMilli=3000, boughtMilli=11_000)
    (planned,) = await aid.findings(batch, judged=True)
    assert planned["zh"] == "核定共 12 吨，采购 11 吨"
    lines = await aid.lines(batch)
    await aid.hand_out(batch, *[to_head(line) for line in lines[:3]])
    assert await aid.findings(batch) == []
    await aid.hand_out(batch, to_head(lines[3], milli=3500))
    assert [finding["zh"] for finding in await aid.findings(batch)] == [
        "已发放 12.5 吨，采购 11 吨",
        "发放 3.5 吨，核定 3 吨",
    ]


async def test_the_same_kind_twice_in_a_month_is_found_across_batches_and_by_member(aid):
    await aid.released("flour", eachMilli=1000)
    again = await aid.make("flour", eachMilli=1000)
    found = await aid.findings(again)
    assert codes(found) == ["twice_in_month"] * 4
    assert "已有 2 次" in found[0]["zh"]
    earlier = await aid.make("flour", eachMilli=1000, month=days.month(-1).isoformat())
    assert await aid.findings(earlier) == []
    school = await aid.make("education", householdIds=[])
    home = aid.homes[0]
    path = f"/desk/v1/aid-batches/{school['id']}/lines"
    for member, expected in ((home.spouse_id, []), (home.spouse_id, ["twice_in_month"] * 2)):
        line = {"id": str(new_id()), "householdId": str(home.household_id), "memberId": str(member), "fen": 100_00}
        assert (await aid.town.http.post(path, json=line)).status_code == 201
        assert codes(await aid.findings(school)) == expected


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"homes": 4, "people": 8, "fen": 4 * 300_00}, []),
        ({"homes": 5}, ["4 户，文件写 5 户"]),
        ({"people": 9}, ["8 人次，文件写 9 人次"]),
        ({"fen": 1300_00}, ["各行合计 ¥1,200.00，文件写 ¥1,300.00"]),
    ],
)
async def test_what_the_paper_says_of_its_sums_is_compared_and_never_corrected(aid, stated, expected):
    batch = await aid.make("heating", eachFen=300_00, stated=stated)
    assert [finding["zh"] for finding in await aid.findings(batch)] == expected
    assert (batch["stated"], batch["plannedFen"]) == (stated, 4 * 300_00)


async def test_a_verdict_holds_for_what_it_was_given_about(aid):
    batch = await aid.make("coal", eachMilli=3000, boughtMilli=11_000)
    assert (await aid.judge(batch)).json()["openFindings"] == 0
    left = {"lineId": (await aid.lines(batch))[0]["id"], "reason": "本户不需要"}
    await aid.town.http.post(f"/desk/v1/aid-batches/{batch['id']}/left-out", json=left)
    assert await aid.findings(batch) == []
    home = {"id": str(new_id()), "householdId": str(aid.homes[0].household_id), "milli": 4000}
    added = await aid.town.http.post(f"/desk/v1/aid-batches/{batch['id']}/lines", json=home)
    assert (added.json()["openFindings"], codes(await aid.findings(batch))) == (1, ["more_than_bought"])
