"""Periodic proofs: asked for by the area's setting, by photo or at the counter; an overdue one changes nothing by itself."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from server.cases.asked_proofs import ask_step, months_later
from server.core.clock import today
from server.core.database import open_session
from server.core.ids import new_id
from server.models.proofs import PeriodicProof
from tests import days
from tests.benefits.test_changes import earns, in_force
from tests.makers.cases import look, settled

INCOME = {"code": "income", "zh": "收入证明", "en": "proof of income", "months": 1, "of": "income"}
SCHOOL = {"code": "school", "zh": "在读证明", "en": "proof of school", "months": 1, "of": "all", "classes": ["A"]}
ADDRESS = "/desk/v1/proofs"


async def ask(services):
    async with open_session(services.sessions) as session:
        await ask_step(session, UUID(int=0), today())


async def owing(office, services, *required):
    """A household that is paid and has wages, asked for what the area requires."""
    await office.rule("proof.required", list(required or (INCOME,)))
    case_id, county = await in_force(office)
    await earns(office, case_id, 50_00)
    await ask(services)
    return case_id, county


async def listed(desk, **query):
    answer = await desk.http.get(ADDRESS, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def own(resident, case_id):
    return (await resident.http.get(f"/resident/v1/cases/{case_id}")).json()["proofs"]


async def receive(desk, proof_id, on=None):
    body = {"receivedOn": (on or today()).isoformat()}
    return await desk.http.post(f"{ADDRESS}/{proof_id}/receipt", json=body)


async def test_by_default_nothing_is_asked_of_anybody(office, services):
    _, county = await in_force(office)
    await ask(services)
    assert await listed(county) == []


async def test_a_household_is_asked_once_by_message_and_reads_by_when(office, services, system):
    await in_force(office)
    resident = await office.resident()
    await office.rule("proof.required", [INCOME])
    case_id = await office.case()
    await earns(office, case_id, 50_00)
    await ask(services)
    await ask(services)
    await system.run_jobs()
    (proof,) = await own(resident, case_id)
    assert (proof["paper"]["zh"], proof["isOverdue"], proof["paper"]["state"]) == ("收入证明", False, "missing")
    assert proof["dueOn"] == days.in_days(30).isoformat()
    notices = (await resident.http.get("/resident/v1/notices")).json()["items"]
    assert [notice["kind"] for notice in notices].count("proof_due") == 1


async def test_only_who_has_such_an_income_or_class_owes_it(office, services):
    _, county = await owing(office, services, INCOME, SCHOOL)
    assert [line["proof"]["paper"]["zh"] for line in await listed(county)] == ["收入证明"]


async def test_a_photo_is_sent_from_the_residents_page_and_an_officer_notes_the_receipt(office, services):
    case_id, county = await owing(office, services)
    resident, town = await office.resident(), await office.person("town_officer")
    (proof,) = await own(resident, case_id)
    photo = {"id": str(new_id()), "sha256": "ab" * 32, "sizeBytes": 1000}
    path = f"/resident/v1/cases/{case_id}/proofs/{proof['paper']['code']}/photos"
    announced = await resident.http.post(path, json=photo)
    assert announced.status_code == 201, announced.text
    assert [item["id"] for item in announced.json()[0]["paper"]["photos"]] == [photo["id"]]
    assert [item["id"] for item in (await listed(town))[0]["proof"]["paper"]["photos"]] == [photo["id"]]
    assert (await receive(county, proof["id"])).json()["code"] == "auth.forbidden"
    assert (await receive(town, proof["id"])).status_code == 200
    assert (await receive(town, proof["id"])).status_code == 200
    assert (await own(resident, case_id), await listed(town)) == ([], [])
    assert (await resident.http.post(path, json=photo)).json()["code"] == "case.paper_unknown"
    assert [line["proof"]["paper"]["receivedOn"] for line in await listed(town, state="settled")] == [
        today().isoformat()
    ]


async def test_an_overdue_proof_is_listed_and_changes_no_payment(office, services):
    case_id, county = await owing(office, services)
    before = await look(county, case_id)
    assert await listed(county, state="overdue") == []
    async with open_session(services.sessions) as session:
        await session.execute(update(PeriodicProof).values(asked_on=days.in_days(-40), due_on=days.in_days(-10)))
    await ask(services)
    (line,) = await listed(county, state="overdue")
    assert (line["proof"]["isOverdue"], line["caseId"]) == (True, str(case_id))
    after = await look(county, case_id)
    assert (after["amountFen"], after["state"], after["version"]) == (
        before["amountFen"], "in_force", before["version"],
    )  # fmt: skip
    assert "收入证明" in (await county.http.get(f"{ADDRESS}/export?format=csv&state=overdue")).content.decode(
        "utf-8-sig"
    )


async def test_what_is_settled_is_asked_for_again_after_its_months(office, services):
    await owing(office, services)
    town = await office.person("town_officer")
    (line,) = await listed(town)
    path = f"{ADDRESS}/{line['proof']['id']}/closure"
    assert (await town.http.post(path, json={"reason": "本月无工资"})).status_code == 200
    assert (await town.http.post(path, json={"reason": "本月无工资"})).status_code == 200
    assert (await receive(town, line["proof"]["id"])).json()["code"] == "case.proof_settled"
    await ask(services)
    assert await listed(town) == []
    async with open_session(services.sessions) as session:
        long_ago = today() - timedelta(days=62)
        await session.execute(update(PeriodicProof).values(asked_on=long_ago, code="proof.income.earlier"))
    await ask(services)
    assert len(await listed(town)) == 1


async def test_a_household_that_is_stopped_owes_nothing_more(office, services):
    case_id, county = await owing(office, services)
    await settled(office, case_id, "stopped", reason="迁出", ground="moved")
    assert await listed(county) == []


async def test_the_day_of_receipt_lies_between_asking_and_today(office, services):
    await owing(office, services)
    town = await office.person("town_officer")
    (line,) = await listed(town)
    assert (await receive(town, line["proof"]["id"], days.in_days(1))).json()["code"] == "case.proof_day"
    assert (await receive(town, line["proof"]["id"], days.in_days(-1))).json()["code"] == "case.proof_day"
    async with services.sessions() as session:
        assert (await session.scalar(select(PeriodicProof.received_on))) is None


@pytest.mark.parametrize("months", range(1, 25))
def test_months_later_is_always_a_first_and_so_many_months_on(months):
    start = days.last_day(days.month(0))
    later = months_later(start, months)
    assert (later.day, (later.year - start.year) * 12 + later.month - start.month) == (1, months)
