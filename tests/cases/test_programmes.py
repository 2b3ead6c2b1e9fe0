"""Urban or rural: proposed from papers, confirmed by an officer, and never taken from the village code by itself."""

from datetime import date

import pytest
from sqlalchemy import select, update

from server.core.database import open_session
from server.models.cases import Calculation, CaseFile
from tests import days
from tests.benefits.test_changes import in_force
from tests.households.test_register import apply
from tests.makers.cases import calculated, done, look, refused

MONTH = {"month": days.month(1).isoformat()}


async def two_standards(office, since=date(2020, 1, 2)):
    await office.rule("amount.standard_fen", {"urban": 36000, "rural": 26000}, since=since)


async def test_nothing_is_calculated_before_an_officer_has_confirmed_the_programme(office):
    await two_standards(office)
    town = await office.person("town_officer")
    _, made = await apply(town)
    address = f"/desk/v1/cases/{made['id']}/calculations"
    assert (await town.http.post(address, json=MONTH)).json()["code"] == "case.programme_missing"
    assert await refused(town, made["id"], "programme_confirmed") == "request.invalid"
    confirmed = await done(town, made["id"], "programme_confirmed", programme="urban")
    assert (confirmed["programme"], confirmed["timeline"][-1]["facts"]["basis"]) == ("urban", "village_code")
    assert (await town.http.post(address, json=MONTH)).json()["programme"] == "urban"
    assert await refused(town, made["id"], "programme_confirmed", programme="urban") == "case.programme_same"


async def test_a_villagers_committee_in_town_is_paid_by_the_urban_standard_once_an_officer_says_why(office):
    """A residents' committee's code, and papers that say rural: neither decides."""
    await two_standards(office)
    town = await office.person("town_officer")
    _, made = await apply(town, statedProgramme="rural")
    case = await look(town, made["id"])
    assert (case["proposedProgramme"], case["programmeBasis"], case["programme"]) == (
        "rural",
        "household_register",
        None,
    )
    assert await refused(town, made["id"], "programme_confirmed", programme="urban") == "case.reason_required"
    await done(town, made["id"], "programme_confirmed", programme="urban", reason="已转居，按城市标准")
    assert (await calculated(town, made["id"]))["standardFen"] == 36000
    await done(town, made["id"], "programme_confirmed", programme="rural", reason="复核：仍为村集体成员")
    assert (await calculated(town, made["id"]))["standardFen"] == 26000


async def test_an_amount_of_the_other_programme_is_not_decided_on(office, services):
    case_id, county = await in_force(office)
    await two_standards(office, since=date(2020, 1, 3))
    before = await look(county, case_id)
    await calculated(county, case_id)
    await done(county, case_id, "programme_confirmed", programme="rural", reason="按户口簿更正")
    assert await refused(county, case_id, "change_proposed", reason="更正") == "case.programme_changed"
    after = await look(county, case_id)
    assert (after["amountFen"], after["state"]) == (before["amountFen"], "in_force")


@pytest.mark.parametrize("programme", [None, "urban"])
async def test_the_list_of_cases_says_the_programme_and_who_lacks_it(office, services, programme):
    case_id = await office.case()
    town = await office.person("town_officer")
    async with open_session(services.sessions) as session:
        await session.execute(update(CaseFile).where(CaseFile.id == case_id).values(programme=programme))
    lines = (await town.http.get("/desk/v1/cases")).json()["items"]
    assert next(line["programme"] for line in lines if line["id"] == str(case_id)) == programme


async def test_a_calculation_of_before_the_field_counts_as_the_one_of_the_village_code(office, services):
    case_id, county = await in_force(office)
    await calculated(county, case_id)
    async with open_session(services.sessions) as session:
        for row in await session.scalars(select(Calculation)):
            row.body = {key: value for key, value in row.body.items() if key != "programme"}
    lines = (await county.http.get(f"/desk/v1/cases/{case_id}/calculations")).json()
    assert {line["programme"] for line in lines} == {None}
    assert await refused(county, case_id, "change_proposed", reason="试") == "case.amount_unchanged"
