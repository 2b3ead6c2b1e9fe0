"""Households that may be the same: found with reasons, judged once, merged by two people, and taken back whole."""

from datetime import date
from uuid import UUID

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import FindDuplicates
from server.core.working_days import day_of
from server.households.find_duplicates import find_duplicates
from server.models.audit import AuditEntry
from server.models.cases import BankAccount, CaseFile
from server.models.households import Assignment, Caseload, Household, HouseholdMember
from server.models.people import Resident, ResidentBinding
from server.models.visits import Visit
from tests.makers.homes import VILLAGE, id_of, make_home
from tests.phones import make_kit

BORN = date(1960, 5, 6)
CARD = "6200001234567890"


async def pairs_of(desk, verdict="open"):
    answer = await desk.http.get("/desk/v1/duplicates", params={"verdict": verdict, "limit": 200})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def found(desk, *numbers):
    """The pairs of these homes, as (numbers, score, codes), the highest score first."""
    lines = [
        (sorted((pair["first"]["number"], pair["second"]["number"])), pair["score"], [
            reason["code"] for reason in pair["reasons"]
        ])
        for pair in await pairs_of(desk)
    ]  # fmt: skip
    return sorted((line for line in lines if set(line[0]) <= set(numbers)), key=lambda line: (-line[1], line[0]))


async def propose(desk, kept, merged, reason="同一户登记了两次", merge_id=None):
    body = {"id": str(merge_id or new_id()), "keptId": str(kept), "mergedId": str(merged), "reason": reason}
    return await desk.http.post("/desk/v1/merges", json=body)


async def decide(desk, merge, outcome="merged", reason=""):
    path = f"/desk/v1/merges/{merge['id']}/decision"
    return await desk.http.post(path, json={"outcome": outcome, "reason": reason})


async def undo(desk, merge):
    return await desk.http.post(f"/desk/v1/merges/{merge['id']}/undo", json={"reason": "不是同一户"})


async def merged_by_two(office, kept, merged):
    answer = await propose(await office.person("town_officer"), kept, merged)
    assert answer.status_code == 200, answer.text
    done = await decide(await office.person("county_officer"), answer.json())
    assert done.status_code == 200, done.text
    return done.json()


@pytest.fixture
async def homes(services):
    """One home twice: once with its ID number, once by hand, without one."""
    resident = new_id()
    kept = await make_home(services, "A-1", ("农清禾", BORN, id_of(1)), ("农小满", date(1990, 1, 1), None))
    merged = await make_home(
        services, "A-2", ("农清禾", BORN, None), ("潘立夏", date(2001, 2, 3), id_of(2)), phone="19900001234", card=CARD
    )
    async with open_session(services.sessions) as session:
        session.add(Resident(id=resident, wechat_openid="twice"))
        head = await session.scalar(
            select(HouseholdMember.id).where(HouseholdMember.household_id == merged, HouseholdMember.position == 0)
        )
        await session.flush()
        session.add(ResidentBinding(resident_id=resident, household_id=merged, member_id=head))
    return kept, merged


async def everything(services, *ids):
    """All that stands of these homes, without times and versions, as a merge and its undo must leave it."""
    tables = ("household_member", "resident_binding", "income_item", "case_file", "visit", "assignment")
    async with services.sessions() as session:
        rows = {
            table: sorted((await session.scalars(
                text(f"SELECT (to_jsonb(t) - 'updated_at')::text FROM {table} t WHERE household_id = ANY(:ids)"),
                {"ids": list(ids)},
            )).all())
            for table in tables
        }  # fmt: skip
        accounts = await session.scalars(select(BankAccount).where(BankAccount.household_id.in_(ids)))
        rows["account"] = [(row.household_id, row.holder_name, row.card_mask) for row in accounts]
        held = select(Caseload.household_id, Caseload.staff_id).where(Caseload.household_id.in_(ids))
        rows["held"] = sorted((await session.execute(held.where(Caseload.revoked_at.is_(None)))).all())
        columns = (Household.id, Household.class_, Household.phone_index, Household.merged_into)
        rows["homes"] = sorted((await session.execute(select(*columns).where(Household.id.in_(ids)))).all())
    return rows


async def test_households_with_a_person_a_phone_or_an_account_in_common_are_found_with_reasons(office, services):
    await make_home(services, "D-1", ("农清禾", BORN, id_of(1)), address="幸福路1号", phone="19900001111")
    await make_home(services, "D-2", ("农清荷", BORN, None), address="幸福路1号")
    await make_home(services, "D-3", ("农清禾", BORN, id_of(1)), phone="19900001111")
    await make_home(services, "D-4", ("潘立夏", date(1971, 1, 1), None), phone="19900002222", card=CARD)
    await make_home(services, "D-5", ("潘谷雨", date(1972, 1, 1), None), phone="19900002222", card=CARD)
    await make_home(services, "D-6", ("甘霜降", date(1973, 1, 1), None), phone="19900003333")
    await make_home(services, "D-7", ("甘大雪", date(1974, 1, 1), None), phone="19900003333")
    await find_duplicates(services, FindDuplicates())
    county = await office.person("county_officer")
    assert await found(county, *(f"D-{number}" for number in range(1, 8))) == [
        (["D-1", "D-3"], 100, ["id_number", "name_birth", "phone"]),
        (["D-1", "D-2"], 60, ["pinyin_birth", "address"]),
        (["D-4", "D-5"], 60, ["account", "phone"]),
        (["D-2", "D-3"], 40, ["pinyin_birth"]),
    ]
    # Two relatives share a phone; how many homes are remarkable is a setting of the area.
    await office.rule("duplicates.phone_homes", 2)
    await find_duplicates(services, FindDuplicates())
    assert await found(county, "D-6", "D-7") == [(["D-6", "D-7"], 20, ["phone"])]
    await office.rule("duplicates.phone_homes", 5, since=day_of(utc_now()))
    await find_duplicates(services, FindDuplicates())
    assert await found(county, "D-6", "D-7") == []


async def test_a_phone_of_many_homes_gives_no_pair_of_every_two(office, services):
    numbers = [f"M-{number}" for number in range(7)]
    for number in numbers:
        await make_home(
            services, number, (f"甘{number}", date(1960, 1, int(number[2:]) + 1), None), phone="19900004444"
        )
    await find_duplicates(services, FindDuplicates())
    pairs = await found(await office.person("county_officer"), *numbers)
    assert len(pairs) == 6


async def test_a_town_sees_no_pair_with_a_household_of_another_town(office, services, county):
    other = next(area.code for area in county.areas if len(area.code) == 12 and not area.code.startswith(VILLAGE[:9]))
    here = await make_home(services, "E-1", ("农清禾", BORN, id_of(1)))
    there = await make_home(services, "E-2", ("农清禾", BORN, id_of(1)), area=other)
    await find_duplicates(services, FindDuplicates())
    town, above = await office.person("town_officer"), await office.person("county_officer")
    assert await found(town, "E-1", "E-2") == []
    (pair,) = [pair for pair in await pairs_of(above) if pair["score"] == 100]
    answer = await town.http.post(f"/desk/v1/duplicates/{pair['id']}/verdict", json={"verdict": "same"})
    assert answer.json()["code"] == "thing.not_found"
    assert (await propose(town, here, there)).json()["code"] == "thing.not_found"


async def test_a_verdict_is_kept_by_every_later_search(office, services):
    await make_home(services, "F-1", ("农清禾", BORN, None))
    await make_home(services, "F-2", ("农清禾", BORN, None))
    await find_duplicates(services, FindDuplicates())
    town = await office.person("town_officer")
    (pair,) = await pairs_of(town)
    body = {"verdict": "different", "note": "堂兄弟同名"}
    answer = await town.http.post(f"/desk/v1/duplicates/{pair['id']}/verdict", json=body)
    assert answer.status_code == 204, answer.text
    await find_duplicates(services, FindDuplicates())
    assert await pairs_of(town) == []
    (judged,) = await pairs_of(town, "different")
    assert (judged["verdict"], judged["note"]) == ("different", "堂兄弟同名")
    answer = await (await office.person("county_officer")).http.get(
        "/desk/v1/duplicates/export", params={"format": "csv"}
    )
    assert answer.status_code == 200


async def test_a_merge_takes_two_people_and_moves_all_that_hung_on_the_household(office, services, phone, homes):
    kept, merged = homes
    town, county = await office.person("town_officer"), await office.person("county_officer")
    async with open_session(services.sessions) as session:
        session.add(Caseload(household_id=merged, staff_id=phone.id))
    async with open_session(services.sessions) as session:
        case = CaseFile(
            id=new_id(), number="SQ-TWICE", household_id=merged, area_code=VILLAGE, state="refused",
            applied_on=BORN, rules_on=BORN,
        )  # fmt: skip
        session.add(case)
    merge = (await propose(town, kept, merged)).json()
    assert (merge["absorbed"], merge["joining"]) == (["农清禾"], ["潘立夏"])
    waiting = (await county.http.get("/desk/v1/merges")).json()["items"]
    assert [line["id"] for line in waiting] == [merge["id"]]
    file = await county.http.get("/desk/v1/merges/export")
    assert file.status_code == 200
    assert "同一户登记了两次" in file.text
    assert (await decide(town, merge)).json()["code"] == "merge.second_person"
    assert (await decide(county, merge)).status_code == 200
    page = (await county.http.get(f"/desk/v1/households/{kept}")).json()
    assert [(member["name"], member["relation"]) for member in page["members"]] == [
        ("农清禾", "head"), ("农小满", "other"), ("潘立夏", "other")
    ]  # fmt: skip
    assert page["cardMask"][-4:] == CARD[-4:]
    card = await county.http.post(f"/desk/v1/households/{kept}/reveal", json={"what": "card", "reason": "发放核对"})
    assert card.json() == {"value": CARD}
    async with services.sessions() as session:
        assert (await session.get_one(CaseFile, case.id)).household_id == kept
        binding = (await session.scalars(select(ResidentBinding))).one()
        assert binding.household_id == kept
        entries = await session.scalars(select(AuditEntry.thing_id).where(AuditEntry.action == "merge.confirmed"))
        assert set(entries) == {str(kept), str(merged)}
    held = await phone.pull("households")
    assert (str(kept) in held, str(merged) in held) == (True, False)


async def test_a_merged_household_is_listed_only_to_who_looks_for_it_and_takes_no_act(office, services, homes):
    kept, merged = homes
    await merged_by_two(office, kept, merged)
    county = await office.person("county_officer")
    lines = (await county.http.get("/desk/v1/households", params={"area": VILLAGE, "limit": 200})).json()["items"]
    assert "A-2" not in {line["number"] for line in lines}
    (line,) = (await county.http.get("/desk/v1/households", params={"q": "A-2"})).json()["items"]
    assert line["mergedInto"] == "A-1"
    by_number = (await county.http.get("/desk/v1/households", params={"q": id_of(2)})).json()["items"]
    assert [line["number"] for line in by_number] == ["A-1"]
    body = {"toStaffId": str(county.id), "householdIds": [str(merged)]}
    assert (await county.http.post("/desk/v1/caseload/assign", json=body)).json()["code"] == "thing.not_found"
    third = await make_home(services, "A-3", ("农清禾", BORN, None))
    again = await propose(county, third, merged)
    assert again.json()["code"] == "household.merged"
    await find_duplicates(services, FindDuplicates())
    assert [numbers for numbers, *_ in await found(county, "A-1", "A-2", "A-3")] == [["A-1", "A-3"]]


async def test_undoing_a_merge_leaves_everything_as_it_was_before(office, services, phone, homes):
    kept, merged = homes
    async with open_session(services.sessions) as session:
        session.add(Caseload(household_id=merged, staff_id=phone.id))
    before = await everything(services, kept, merged)
    merge = await merged_by_two(office, kept, merged)
    assert await everything(services, kept, merged) != before
    assert (await undo(await office.person("county_officer"), merge)).json()["code"] == "merge.second_person"
    undone = await undo(await office.person("town_officer"), merge)
    assert (undone.status_code, undone.json()["state"]) == (200, "undone"), undone.text
    assert await everything(services, kept, merged) == before
    held = await phone.pull("households")
    assert (str(kept) in held, str(merged) in held) == (False, True)
    again = await undo(await office.person("town_officer"), merge)
    assert again.json()["state"] == "undone"


async def test_a_merge_stays_once_somebody_has_acted_on_the_household(office, services, homes):
    kept, merged = homes
    merge = await merged_by_two(office, kept, merged)
    town, county = await office.person("town_officer"), await office.person("county_officer")
    async with open_session(services.sessions) as session:
        holder = await session.scalar(select(Caseload.staff_id).limit(1))
    body = {"toStaffId": str(holder), "householdIds": [str(kept)]}
    assert (await county.http.post("/desk/v1/caseload/assign", json=body)).status_code == 200
    assert (await undo(town, merge)).json()["code"] == "merge.acted_upon"


async def test_a_household_that_receives_or_applies_is_never_merged_away(office, services, homes):
    kept, merged = homes
    town, county = await office.person("town_officer"), await office.person("county_officer")
    merge = (await propose(town, kept, merged)).json()
    assert (await propose(county, merged, kept)).json()["code"] == "merge.waiting"
    async with open_session(services.sessions) as session:
        await session.execute(update(Household).where(Household.id == merged).values(monthly_amount_fen=300_00))
    assert (await decide(county, merge)).json()["code"] == "merge.receives"
    assert (await decide(county, merge, "rejected")).json()["code"] == "review.reason_required"
    assert (await decide(county, merge, "rejected", "该户在享受")).json()["state"] == "rejected"
    async with open_session(services.sessions) as session:
        await session.execute(update(Household).where(Household.id == merged).values(monthly_amount_fen=None))
        session.add(
            CaseFile(
                id=new_id(), number="SQ-OPEN", household_id=merged, area_code=VILLAGE, state="applied",
                applied_on=BORN, rules_on=BORN,
            )
        )  # fmt: skip
    assert (await propose(town, kept, merged)).json()["code"] == "merge.receives"


async def test_the_database_itself_refuses_a_merge_by_one_person(office, services, homes):
    await propose(await office.person("town_officer"), *homes)
    alone = text("UPDATE household_merge SET state = 'merged', decided_at = proposed_at, decided_by = proposed_by")
    with pytest.raises(IntegrityError, match="ck_household_merge_takes_two_people"):
        async with services.sessions() as session:
            await session.execute(alone)


async def test_a_visit_that_a_phone_sends_after_two_merges_belongs_to_the_last_household_and_closes_its_order(
    system, office, services, county, phone
):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id, photos=[])
    merged = UUID(kit.visit["householdId"])
    async with open_session(services.sessions) as session:
        await session.execute(update(CaseFile).where(CaseFile.household_id == merged).values(state="withdrawn"))
        household = await session.get_one(Household, merged)
        household.monthly_amount_fen, area_code = None, household.area_code
    middle, last = [
        await make_home(services, number, ("农清禾", BORN, None), area=area_code) for number in ("L-1", "L-2")
    ]
    person, second = await office.person("county_officer"), await office.person("town_officer")
    for kept, gone in ((middle, merged), (last, middle)):
        done = await decide(second, (await propose(person, kept, gone)).json())
        assert done.status_code == 200, done.text
    assert await phone.push("visits", kit.visit) == []
    async with services.sessions() as session:
        assert (await session.get_one(Visit, UUID(kit.visit["id"]))).household_id == last
        order = await session.get_one(Assignment, UUID(kit.visit["assignmentId"]))
        assert (order.household_id, order.state) == (last, "done")
