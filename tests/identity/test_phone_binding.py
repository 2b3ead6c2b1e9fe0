"""Binding by the registered telephone: WeChat's word for the number, and the person's own ID number."""

import pytest
from sqlalchemy import select

from server.http.attempt_locks import FREE_FAILURES
from server.models.audit import AuditEntry
from server.models.notifications import Notice


@pytest.fixture
def resident(county):
    return county.residents[0]


@pytest.fixture
def phone(county, resident):
    return next(home.phone for home in county.households if home.number == resident.household_number)


@pytest.fixture
async def client(system):
    code = {"code": "demo-byphone-1", "device": {"label": "t"}}
    token = (await system.client().post("/auth/v1/resident/sign-in-wechat", json=code)).json()["accessToken"]
    return system.client(Authorization=f"Bearer {token}")


async def bind(client, phone, id_number, nonce="a"):
    body = {"phoneCode": f"phone-{phone}-{nonce}", "idNumber": id_number}
    return await client.post("/auth/v1/resident/bind-phone", json=body)


async def test_the_registered_number_and_ones_id_number_bind_and_the_household_is_told(
    system, services, client, resident, phone
):
    answer = await bind(client, phone, resident.id_number)
    assert answer.status_code == 200, answer.text
    (case,) = (await client.get("/resident/v1/cases")).json()
    assert answer.json() == {"caseId": case["id"], "applicationNumber": case["applicationNumber"]}
    await system.run_jobs()
    async with services.sessions() as session:
        assert list(await session.scalars(select(Notice.kind))) == ["bound"]
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "resident.bound"))
        assert entry.facts["by"] == "phone"
        assert phone not in str(entry.facts)


async def test_another_number_or_another_persons_id_number_binds_nothing(client, county, resident, phone):
    for number, id_number in (("13900000002", resident.id_number), (phone, county.residents[1].id_number)):
        answer = await bind(client, number, id_number, number[-4:] + id_number[-4:])
        assert (answer.status_code, answer.json()["code"]) == (404, "auth.binding_failed")


async def test_a_code_works_once_and_guesses_lock_the_account(client, county, resident, phone):
    assert (await bind(client, phone, resident.id_number)).status_code == 200
    assert (await bind(client, phone, resident.id_number)).json()["code"] == "wechat.code_invalid"
    for attempt in range(FREE_FAILURES):
        await bind(client, "13900000002", county.residents[1].id_number, f"g{attempt}")
    answer = await bind(client, phone, resident.id_number, "late")
    assert answer.json()["code"] == "request.rate_limited"
