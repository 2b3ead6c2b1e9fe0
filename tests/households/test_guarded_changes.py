"""A bank account and the declared relatives of a household change by two people, and never by a relative of it."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from server.core.database import open_session
from server.core.ids import new_id
from server.models.audit import AuditEntry
from server.models.cases import BankAccount
from server.models.notifications import Notice
from server.models.people import Staff
from tests.households.test_register import apply, change, household, id_number
from tests.makers.cases import look

MINE = {"holderName": "潘槐序", "bankName": "商业银行", "card": "6200 0099 9999 9999"}


async def waiting(desk, what):
    """Return the waiting proposals of a kind, as (id, change)."""
    lines = (await desk.http.get("/desk/v1/proposals")).json()["items"]
    return [(line["id"], each) for line in lines for each in line["changes"] if each["what"] == what]


async def decide(desk, proposal_id, outcome="accepted", reason=""):
    path = f"/desk/v1/proposals/{proposal_id}/decision"
    return await desk.http.post(path, json={"outcome": outcome, "reason": reason})


async def account(services, household_id):
    async with services.sessions() as session:
        return await session.get(BankAccount, household_id)


async def rename(services, staff_id, name):
    async with open_session(services.sessions) as session:
        (await session.get_one(Staff, staff_id)).name = name


async def test_one_person_alone_can_not_send_the_money_to_their_own_account(office, services):
    town, county = await office.person("town_officer"), await office.person("county_officer")
    _, made = await apply(town)
    ((first, _),) = await waiting(county, "bank")
    assert (await decide(county, first)).status_code == 204
    held = await account(services, made["householdId"])
    body = made["household"] | {"bank": MINE}
    answer = await change(town, made["householdId"], body, 2, "更换账户")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["bankHolder"], answer.json()["awaitingSecond"]) == ("农畦笠", ["bank"])
    ((proposed, line),) = await waiting(town, "bank")
    assert line["stands"]["holderName"] == "农畦笠"
    assert line["proposed"] == {
        "holderName": "潘槐序", "bankName": "商业银行", "cardMask": "************9999", "holderIsMember": False,
    }  # fmt: skip
    assert (await decide(town, proposed)).json()["code"] == "review.own_visit"
    assert (await account(services, made["householdId"])).card_sealed == held.card_sealed
    assert (await decide(county, proposed)).status_code == 204
    page = (await county.http.get(f"/desk/v1/households/{made['householdId']}")).json()
    assert (page["bankHolder"], page["cardMask"][-4:], page["awaitingSecond"]) == ("潘槐序", "9999", [])
    card = await town.http.post(
        f"/desk/v1/households/{made['householdId']}/reveal", json={"what": "card", "reason": "发放核对"}
    )
    assert card.json() == {"value": "6200009999999999"}


async def test_the_database_itself_refuses_a_guarded_change_by_one_person(office, services):
    town = await office.person("town_officer")
    await apply(town)
    alone = text("UPDATE proposal SET state = 'accepted', decided_at = received_at, decided_by = author_id")
    with pytest.raises(IntegrityError, match="ck_proposal_guarded_takes_two"):
        async with services.sessions() as session:
            await session.execute(alone)


async def test_no_card_number_is_readable_in_a_proposal_or_in_the_trail(office, services):
    town, county = await office.person("town_officer"), await office.person("county_officer")
    _, made = await apply(town)
    ((proposed, _),) = await waiting(county, "bank")
    await decide(county, proposed)
    async with services.sessions() as session:
        for table in ("proposal", "audit_entry", "household_version", "notice"):
            rows = str((await session.execute(text(f"SELECT t::text FROM {table} t"))).all())
            assert "6200001234567890" not in rows, table
        entries = list(await session.scalars(select(AuditEntry).where(AuditEntry.action.startswith("proposal."))))
    assert [(entry.action, entry.actor_id, entry.facts["what"]) for entry in entries] == [
        ("proposal.proposed", town.id, "bank"),
        ("proposal.accepted", county.id, "bank"),
    ]
    assert {entry.facts["household"] for entry in entries} == {made["householdId"]}


async def test_a_declared_relative_neither_removes_the_declaration_nor_decides_on_it(office, services):
    town, county = await office.person("town_officer"), await office.person("county_officer")
    relative = {"name": "贺麦舟", "office": "禾汀街道", "relation": "表亲"}
    _, made = await apply(town, household=household(relatives=[relative]))
    path = f"/desk/v1/households/{made['householdId']}"
    body = made["household"] | {"relatives": []}
    answer = await change(town, made["householdId"], body, 1, "撤销备案")
    assert [line["name"] for line in answer.json()["relatives"]] == ["贺麦舟"]
    ((proposed, line),) = await waiting(town, "relatives")
    assert (line["stands"], line["proposed"]) == ([relative], [])
    own_name = (await town.http.get("/auth/v1/me")).json()["name"]
    await rename(services, county.id, "贺麦舟")
    for outcome in ("accepted", "rejected"):
        assert (await decide(county, proposed, outcome, "无此关系")).json()["code"] == "case.own_relative"
    await rename(services, town.id, "贺麦舟")
    assert (await change(town, made["householdId"], body, 2)).json()["code"] == "case.own_relative"
    await rename(services, town.id, own_name)
    await rename(services, county.id, "沈稻香")
    assert (await decide(county, proposed)).status_code == 204
    assert (await town.http.get(path)).json()["relatives"] == []


async def test_a_relative_is_added_by_two_and_then_the_county_has_to_visit(office):
    town, county = await office.person("town_officer"), await office.person("county_officer")
    _, made = await apply(town)
    relative = {"name": "贺麦舟", "office": "禾汀街道", "relation": "表亲"}
    await change(town, made["householdId"], made["household"] | {"relatives": [relative]}, 1)
    assert not (await look(town, made["id"]))["needsCountyVisit"]
    ((proposed, _),) = await waiting(town, "relatives")
    assert (await decide(county, proposed)).status_code == 204
    assert (await look(town, made["id"]))["needsCountyVisit"]


async def test_an_unchanged_account_and_a_form_without_relatives_propose_nothing(office):
    town, county = await office.person("town_officer"), await office.person("county_officer")
    relative = {"name": "贺麦舟", "office": "禾汀街道", "relation": "表亲"}
    _, made = await apply(town, household=household(relatives=[relative]))
    ((first, _),) = await waiting(county, "bank")
    await decide(county, first)
    same = {key: value for key, value in made["household"].items() if key != "relatives"}
    stored = same | {"bank": {"holderName": "农畦笠", "bankName": "农商行"}}
    for version, body in ((2, same), (3, stored)):
        assert (await change(town, made["householdId"], body, version)).json()["awaitingSecond"] == []
    # The same proposal again stays as it is; another one of its author takes its place.
    for version, bank in ((4, MINE), (5, MINE), (6, MINE | {"bankName": "农商行"})):
        await change(town, made["householdId"], same | {"bank": bank}, version)
    ((_, line),) = await waiting(town, "bank")
    assert line["proposed"]["bankName"] == "农商行"


async def test_the_resident_hears_of_a_changed_account_and_a_phone_gets_no_proposal_of_the_desk(
    system, office, services
):
    case_id = await office.case()
    await office.resident()
    town, county = await office.person("town_officer"), await office.person("county_officer")
    household_id = (await look(town, case_id))["householdId"]
    page = (await town.http.get(f"/desk/v1/households/{household_id}")).json()
    keep = ("id", "name", "relation", "sex", "bornOn")
    members = [{key: member[key] for key in keep} for member in page["members"]]
    body = {"members": members, "address": page["address"], "bank": MINE}
    assert (await change(town, household_id, body, page["version"])).status_code == 200
    ((proposed, _),) = await waiting(town, "bank")
    assert (await decide(county, proposed)).status_code == 204
    await system.run_jobs()
    async with services.sessions() as session:
        notices = list(await session.scalars(select(Notice).where(Notice.kind == "register_changed")))
    assert [(notice.facts["what"], notice.resident_id is not None) for notice in notices] == [("收款账户", True)]


async def test_an_officer_of_another_town_who_visits_the_home_decides_nothing(office, services, county):
    worker = await office.person("caseworker")
    member = {"id": str(new_id()), "name": "农穗声", "relation": "head", "idNumber": id_number(95)}
    _, made = await apply(worker, household=household(members=[member]))
    other = next(
        staff.login for staff in county.staff if staff.role == "town_officer" and staff.area_code != "339901001"
    )
    visitor = await office.sign_in(other)
    async with open_session(services.sessions) as session:
        await session.execute(
            text("INSERT INTO caseload (id, household_id, staff_id) VALUES (:id, :household, :staff)"),
            {"id": new_id(), "household": made["householdId"], "staff": visitor.id},
        )
    ((proposed, _),) = await waiting(visitor, "bank")
    assert (await decide(visitor, proposed)).json()["code"] == "auth.forbidden"
