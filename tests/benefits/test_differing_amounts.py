"""The list of cases that today's rules would pay otherwise: it names them, and nothing moves by it."""

from datetime import date

from sqlalchemy import update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.working_days import day_of
from server.models.cases import CaseFile
from tests import days
from tests.benefits.test_changes import earns, in_force
from tests.makers.cases import calculated, look, settled

ADDRESS = "/desk/v1/differing-amounts"


async def differing(desk, **params):
    answer = await desk.http.get(ADDRESS, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def of_case(desk, case_id):
    return next((line for line in (await differing(desk))["items"] if line["caseId"] == str(case_id)), None)


async def test_a_raised_standard_names_the_case_and_moves_nothing_until_an_officer_does(office):
    case_id, county = await in_force(office)
    assert await of_case(county, case_id) is None
    before = (await look(county, case_id))["amountFen"]
    await office.rule("amount.standard_fen", 50_000, since=day_of(utc_now()).replace(day=1))
    line = await of_case(county, case_id)
    assert (line["paidFen"], line["reason"]) == (before, "higher")
    assert (await look(county, case_id))["amountFen"] == before
    made = await calculated(county, case_id, days.month().isoformat())
    assert made["amountFen"] == line["todayFen"]
    await settled(office, case_id, "amount_changed", reason="提标")
    assert await of_case(county, case_id) is None


async def test_who_is_above_the_standard_and_who_has_no_programme_are_named_as_such(office, services):
    case_id, county = await in_force(office)
    await earns(office, case_id, 900_000)
    line = await of_case(county, case_id)
    assert (line["reason"], line["todayFen"]) == ("not_eligible", 0)
    async with open_session(services.sessions) as session:
        await session.execute(update(CaseFile).where(CaseFile.id == case_id).values(programme=None))
    line = await of_case(county, case_id)
    assert (line["reason"], line["todayFen"], line["programme"]) == ("programme_missing", None, None)


async def test_the_list_is_of_the_callers_areas_and_goes_into_a_file(office):
    case_id, county = await in_force(office)
    await office.rule("amount.standard_fen", 50_000, since=date(2020, 1, 4))
    assert [line["caseId"] for line in (await differing(county, area="339901001"))["items"]] == [str(case_id)]
    assert (await differing(county, area="339901999"))["items"] == []
    worker = await office.person("caseworker")
    assert (await worker.http.get(ADDRESS)).json()["code"] == "auth.forbidden"
    file = await county.http.get(f"{ADDRESS}/export", params={"format": "csv"})
    assert file.status_code == 200
    assert "应高于现发金额" in file.content.decode("utf-8-sig")
