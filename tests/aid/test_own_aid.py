"""A household reads what it was given, and says whether it arrived."""

from sqlalchemy import select

from server.models.aid import AidLine
from server.models.complaints import Complaint
from tests.makers.cases import VILLAGE
from tests.rosters.test_own_payments import bound


async def test_a_household_reads_what_was_handed_out_and_nothing_before(aid, services):
    resident, case_id = await bound(aid.pay)
    path = f"/resident/v1/cases/{case_id}/aid"
    home = {"areaCode": VILLAGE, "householdIds": [str(aid.homes[0].household_id)]}
    await aid.released("coal", eachMilli=3000, **home)
    assert (await resident.http.get(path)).json() == []
    await aid.handed_out("flour", eachMilli=2000, **home)
    (given,) = (await resident.http.get(path)).json()
    assert (given["kindZh"], given["givenMilli"], given["unitZh"], given["state"]) == ("面粉", 2000, "袋", "handed_out")
    word = f"{path}/{given['id']}/word"
    for _ in range(2):
        said = (await resident.http.post(word, json={"stance": "received"})).json()
        assert (said["aid"][0]["stance"], said["receipt"]) == ("received", None)


async def test_not_received_is_a_complaint_with_the_line_attached_and_a_finding(aid, services):
    resident, case_id = await bound(aid.pay)
    home = {"areaCode": VILLAGE, "householdIds": [str(aid.homes[0].household_id)]}
    batch = await aid.handed_out("heating", eachFen=300_00, **home)
    path = f"/resident/v1/cases/{case_id}/aid"
    (given,) = (await resident.http.get(path)).json()
    word, body = f"{path}/{given['id']}/word", {"stance": "not_received", "text": "没有见到这笔钱"}
    said = (await resident.http.post(word, json=body)).json()
    again = (await resident.http.post(word, json=body)).json()
    assert (said["aid"][0]["complaintNumber"], again["receipt"]) == (said["receipt"]["number"], None)
    async with services.sessions() as session:
        (complaint,) = list(await session.scalars(select(Complaint)))
        line = await session.scalar(select(AidLine).where(AidLine.complaint_id == complaint.id))
        text = services.encryption.open("complaint.text", complaint.id, complaint.text_sealed)
    assert str(line.id) == given["id"]
    assert batch["number"] in text
    assert "没有见到这笔钱" in text
    assert [finding["code"] for finding in await aid.findings(batch)] == ["said_not_received"]
    (shown,) = await aid.lines(batch)
    assert (shown["stance"], shown["complaintNumber"]) == ("not_received", said["receipt"]["number"])


async def test_nobody_reads_or_answers_for_the_aid_of_another_household(aid):
    resident, case_id = await bound(aid.pay)
    batch = await aid.handed_out("heating", eachFen=300_00, householdIds=[str(aid.homes[1].household_id)])
    (line,) = await aid.lines(batch)
    word = f"/resident/v1/cases/{case_id}/aid/{line['id']}/word"
    assert (await resident.http.post(word, json={"stance": "received"})).json()["code"] == "thing.not_found"
    theirs = f"/resident/v1/cases/{aid.homes[1].case_id}/aid"
    assert (await resident.http.get(theirs)).json()["code"] == "thing.not_found"
