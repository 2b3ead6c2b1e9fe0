"""Binding at the counter: the code on the person's own phone, their ID card, and why; told and listed with an end."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from server.core.clock import utc_now
from server.core.ids import new_id
from server.http.attempt_locks import FREE_FAILURES
from server.identity import routes
from server.models.audit import AuditEntry
from server.models.cases import CaseFile
from server.models.notifications import Announcement, Notice
from server.models.people import ResidentBinding

REASON = "本人持身份证到窗口，凭条已遗失"


@pytest.fixture
def item(county):
    return county.residents[0]


@pytest.fixture
async def client(system):
    """Somebody signed in by WeChat who has neither slip nor telephone."""
    code = {"code": "demo-counter-1", "device": {"label": "t"}}
    token = (await system.client().post("/auth/v1/resident/sign-in-wechat", json=code)).json()["accessToken"]
    return system.client(Authorization=f"Bearer {token}")


@pytest.fixture
async def town(system):
    return await system.sign_in_at_desk("panhuaixu", "town_officer")


@pytest.fixture
async def path(services, item):
    async with services.sessions() as session:
        case = (await session.scalars(select(CaseFile).where(CaseFile.number == item.application_number))).one()
    return f"/desk/v1/households/{case.household_id}/bindings"


async def shown(client):
    answer = await client.post("/auth/v1/resident/binding-code")
    assert answer.status_code == 200, answer.text
    return answer.json()["code"]


async def bind(town, path, code, id_number):
    return await town.http.post(path, json={"code": code, "idNumber": id_number, "reason": REASON})


def code_of(answer):
    return answer.status_code, answer.json()["code"]


async def test_an_officer_binds_at_the_counter_the_household_is_told_and_the_binding_is_listed_and_ended(
    system, services, client, town, path, item
):
    code = await shown(client)
    assert code_of(await bind(town, path, code, item.id_number)) == (403, "auth.step_up_required")
    await town.prove()
    (line,) = (await bind(town, path, f"{code[:4]} {code[4:]}", item.id_number)).json()
    assert (line["way"], line["boundBy"], line["bindReason"]) == ("counter", town.signed_in["name"], REASON)
    assert (await bind(town, path, code, item.id_number)).json() == [line]  # a repeat

    await system.run_jobs()
    async with services.sessions() as session:
        assert list(await session.scalars(select(Notice.kind))) == ["bound"]
        # Only the new account reads of it, so the registered telephone is told by text.
        assert list(await session.scalars(select(Announcement.text_state))) == ["waiting"]
        entry = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "resident.bound"))).one()
    assert (entry.actor_id, entry.facts["by"], entry.facts["reason"]) == (town.id, "counter", REASON)
    assert item.id_number not in str(entry.facts) + str(line)

    (own,) = (await client.get("/auth/v1/resident/bindings")).json()
    assert (own["applicationNumber"], own["memberName"], own["way"]) == (
        item.application_number, line["memberName"], "counter",
    )  # fmt: skip
    assert (await client.post("/auth/v1/resident/unbind", json={"caseId": own["caseId"]})).status_code == 204
    assert (await client.get("/auth/v1/resident/bindings")).json() == []


async def test_an_account_bound_at_the_counter_follows_one_household(services, client, town, path, item, county):
    await town.prove()
    assert (await bind(town, path, await shown(client), item.id_number)).status_code == 200
    async with services.sessions() as session:
        mine = (await session.scalars(select(CaseFile).where(CaseFile.number == item.application_number))).one()
        other = (
            await session.scalars(
                select(CaseFile).where(
                    CaseFile.area_code.startswith(mine.area_code[:9]), CaseFile.number != item.application_number
                )
            )
        ).first()
    card = next(person.id_number for person in county.residents if person.application_number == other.number)
    answer = await bind(town, f"/desk/v1/households/{other.household_id}/bindings", await shown(client), card)
    assert code_of(answer) == (409, "binding.another_household")


async def test_a_code_that_is_wrong_late_or_used_and_the_card_of_somebody_else_bind_nobody(
    services, client, town, path, item, county, monkeypatch
):
    await town.prove()
    assert code_of(await town.http.post("/auth/v1/resident/binding-code")) == (403, "auth.forbidden")
    first = await shown(client)
    code = await shown(client)  # which ends the first
    assert code_of(await bind(town, path, first, item.id_number)) == (404, "binding.code_invalid")
    stranger = county.residents[1].id_number
    assert code_of(await bind(town, path, code, stranger)) == (409, "binding.not_a_member")
    monkeypatch.setattr(routes, "utc_now", lambda: utc_now() + timedelta(minutes=11))
    assert code_of(await bind(town, path, code, item.id_number)) == (404, "binding.code_invalid")
    for _ in range(FREE_FAILURES):
        await bind(town, path, "00000000", item.id_number)
    assert (await bind(town, path, code, item.id_number)).json()["code"] == "request.rate_limited"
    async with services.sessions() as session:
        assert (await session.scalars(select(ResidentBinding))).all() == []


async def test_a_person_is_told_when_another_device_opens_on_their_account(system, item):
    async def sign_in(hardware):
        device = {"label": "t", "hardwareId": hardware}
        code = {"code": f"demo-{item.wechat_suffix}-{new_id().hex}", "device": device}
        answer = await system.client().post("/auth/v1/resident/sign-in-wechat", json=code)
        return system.client(Authorization=f"Bearer {answer.json()['accessToken']}")

    client = await sign_in("phone-1")
    numbers = {"idNumber": item.id_number, "applicationNumber": item.application_number}
    await client.post("/auth/v1/resident/bind", json=numbers)
    await sign_in("phone-1")
    await system.run_jobs()
    assert [line["kind"] for line in (await client.get("/resident/v1/notices")).json()["items"]] == ["bound"]
    await sign_in("phone-2")
    await system.run_jobs()
    lines = (await client.get("/resident/v1/notices")).json()["items"]
    assert [line["kind"] for line in lines] == ["device_opened", "bound"]
