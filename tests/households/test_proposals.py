"""What a caseworker would change about a household waits for an officer."""

from sqlalchemy import update

from server.core.clock import utc_now
from server.core.ids import new_id
from server.models.proposals import Proposal


def make_proposal(household, **changes):
    return {
        "id": str(new_id()),
        "householdId": household["id"],
        "proposedAt": utc_now().isoformat(),
        "changes": {"address": "桐荫社区 9 号（新门牌）"},
        "note": "门牌已更换",
        "_deleted": False,
    } | changes


async def first_household(phone):
    return next(iter((await phone.pull("households")).values()))


async def test_a_proposal_is_kept_and_changes_nothing_by_itself(phone):
    household = await first_household(phone)
    proposal = make_proposal(household)
    assert await phone.push("proposals", proposal) == []
    assert await phone.push("proposals", proposal) == []
    held = (await phone.pull("proposals"))[proposal["id"]]
    assert held["server"]["state"] == "proposed"
    assert (await phone.pull("households"))[household["id"]]["address"] == household["address"]


async def test_its_author_changes_and_withdraws_it_until_it_is_decided(services, phone):
    household = await first_household(phone)
    proposal = make_proposal(household)
    await phone.push("proposals", proposal)
    first = (await phone.pull("proposals"))[proposal["id"]]
    changed = proposal | {"note": "另一理由"}
    assert await phone.push("proposals", changed, assumed=first) == []
    async with services.sessions() as session:
        decided = {"state": "rejected", "decided_at": utc_now(), "decided_by": phone.id, "reason": "与登记一致"}
        await session.execute(update(Proposal).values(decided))
        await session.commit()
    second = (await phone.pull("proposals"))[proposal["id"]]
    returned = await phone.push("proposals", proposal | {"_deleted": True}, assumed=second)
    assert returned[0]["note"] == "另一理由"
    assert returned[0]["server"]["state"] == "rejected"


async def test_a_withdrawn_proposal_leaves_the_phone(phone):
    proposal = make_proposal(await first_household(phone))
    await phone.push("proposals", proposal)
    held = (await phone.pull("proposals"))[proposal["id"]]
    assert await phone.push("proposals", proposal | {"_deleted": True}, assumed=held) == []
    assert proposal["id"] not in await phone.pull("proposals")


async def test_a_proposal_for_another_household_or_with_a_number_is_quarantined(phone):
    household = await first_household(phone)
    unknown = await phone.push("proposals", make_proposal(household, householdId=str(new_id())))
    assert unknown[0]["server"]["problem"]["en"]["code"] == "visit.household_unknown"
    number = make_proposal(household, changes={"idNumber": "x"})
    assert (await phone.push("proposals", number))[0]["server"]["problem"]["en"]["code"] == "row.invalid"


async def officer_of(system, county, household):
    login = next(
        staff_member.login
        for staff_member in county.staff
        if staff_member.role == "town_officer" and household["areaCode"].startswith(staff_member.area_code)
    )
    return await system.sign_in_at_desk(login, "town_officer")


async def test_an_officer_accepts_and_the_phone_hears_of_both(system, county, phone):
    household = await first_household(phone)
    member = household["members"][0]["id"]
    proposal = make_proposal(
        household, changes={"address": "新址 1 号", "members": [{"memberId": member, "health": "chronic"}]}
    )
    await phone.push("proposals", proposal)
    officer = await officer_of(system, county, household)
    line = (await officer.http.get("/desk/v1/proposals")).json()["items"][0]
    assert {change["what"]: change["stands"] for change in line["changes"]}["address"] == household["address"]
    path = f"/desk/v1/proposals/{proposal['id']}/decision"
    assert (await officer.http.post(path, json={"outcome": "accepted"})).status_code == 204
    assert (await officer.http.post(path, json={"outcome": "accepted"})).status_code == 204
    assert (await officer.http.post(path, json={"outcome": "rejected", "reason": "x"})).json()[
        "code"
    ] == "proposal.decided"
    assert (await phone.pull("proposals"))[proposal["id"]]["server"]["state"] == "accepted"
    now = (await phone.pull("households"))[household["id"]]
    assert (now["address"], now["members"][0]["health"]) == ("新址 1 号", "chronic")


async def test_what_an_accepted_proposal_wrote_over_stays_readable(system, county, phone):
    household = await first_household(phone)
    proposal = make_proposal(household)
    await phone.push("proposals", proposal)
    officer = await officer_of(system, county, household)
    await officer.http.post(f"/desk/v1/proposals/{proposal['id']}/decision", json={"outcome": "accepted"})
    versions = (await officer.http.get(f"/desk/v1/households/{household['id']}/versions")).json()
    assert [version["version"] for version in versions] == [2, 1]
    changed = {
        difference["pointer"]: (difference["before"], difference["after"]) for difference in versions[0]["differences"]
    }
    assert changed == {"/address": (household["address"], proposal["changes"]["address"])}


async def test_a_refusal_needs_a_reason_and_an_officer_of_the_area(system, county, phone):
    household = await first_household(phone)
    proposal = make_proposal(household)
    await phone.push("proposals", proposal)
    path = f"/desk/v1/proposals/{proposal['id']}/decision"
    officer = await officer_of(system, county, household)
    assert (await officer.http.post(path, json={"outcome": "rejected"})).json()["code"] == "review.reason_required"
    elsewhere = next(
        staff_member.login
        for staff_member in county.staff
        if staff_member.role == "town_officer" and not household["areaCode"].startswith(staff_member.area_code)
    )
    stranger = await system.sign_in_at_desk(elsewhere, "town_officer")
    assert (await stranger.http.post(path, json={"outcome": "accepted"})).json()["code"] == "thing.not_found"
