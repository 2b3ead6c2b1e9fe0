"""Residents without WeChat: by the PIN of their slip or a code by SMS; nobody learns who has applied."""

import asyncio
from datetime import timedelta

import httpx
import msgspec
import pytest
from sqlalchemy import func, select

from server.cases.look_up_slips import SHARED_FACTOR
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Problem
from server.core.job_types import SendSignInCode
from server.core.sms import Sms, SmsRefused, SmsUnavailable, sign_call
from server.demo.sms_stub import KEY_ID, KEY_SECRET
from server.demo.wechat_stub import create_stub
from server.http.attempt_locks import FREE_FAILURES
from server.identity.devices import DeviceInfo
from server.models.audit import AuditEntry
from server.models.households import Household
from server.models.notifications import Notice
from server.models.people import Identity, ResidentBinding
from server.models.sign_in import SignInCode
from server.residents import sign_in, sign_in_routes

DEVICE = {"label": "浏览器"}


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(sign_in, "ANSWER_AFTER_S", 0)


@pytest.fixture
def resident(county):
    return county.residents[0]


async def enter(system, resident, **changes):
    body = {"idNumber": resident.id_number, "applicationNumber": resident.application_number, "device": DEVICE}
    return await system.client().post("/auth/v1/resident/sign-in", json=body | changes)


async def ask_for_code(system, resident, **changes):
    body = {"idNumber": resident.id_number, "applicationNumber": resident.application_number}
    return await system.client().post("/auth/v1/resident/sign-in-code", json=body | changes)


async def newest_code(services):
    async with open_session(services.sessions) as session:
        query = select(SignInCode).order_by(SignInCode.made_at.desc(), SignInCode.id.desc()).limit(1)
        return await session.scalar(query)


def code_of(answer):
    return answer.status_code, answer.json()["code"]


async def received(services):
    """What the phones got, in the stub of the service."""
    async with httpx.AsyncClient(transport=services.sms._transport, base_url="http://sms.test") as client:
        return (await client.get("/_stub/sms")).json()["messages"]


async def test_the_pin_of_the_slip_signs_in_binds_and_tells_the_household(system, services, resident):
    answer = await enter(system, resident, pin=resident.look_up_pin)
    assert answer.status_code == 200, answer.text
    client = system.client(Authorization=f"Bearer {answer.json()['accessToken']}")
    (case,) = (await client.get("/resident/v1/cases")).json()
    assert case["applicationNumber"] == resident.application_number
    await system.run_jobs()
    async with open_session(services.sessions) as session:
        assert list(await session.scalars(select(Notice.kind))) == ["bound"]
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "resident.bound"))
        assert entry.facts["by"] == "pin"


async def test_whoever_comes_again_has_the_same_account_and_one_binding(system, services, resident):
    first = await enter(system, resident, pin=resident.look_up_pin)
    await ask_for_code(system, resident)
    code = sign_in.compute_code(services.encryption, (await newest_code(services)).id)
    second = await enter(system, resident, code=code)
    assert first.json()["personId"] == second.json()["personId"]
    async with open_session(services.sessions) as session:
        assert await session.scalar(select(func.count()).select_from(ResidentBinding)) == 1
        assert await session.scalar(select(func.count()).where(Identity.provider == "member")) == 1


async def test_the_code_goes_to_the_registered_phone_and_works_once(system, services, county, resident):
    assert (await ask_for_code(system, resident)).status_code == 204
    await system.run_jobs()
    (message,) = await received(services)
    household = next(item for item in county.households if item.number == resident.household_number)
    assert (message["phone"], message["template"]) == (household.phone, "SMS_100000001")
    code = message["values"]["code"]
    assert len(code) == 6
    assert (await newest_code(services)).state == "sent"
    assert (await enter(system, resident, code=f"{code[:3]} {code[3:]}")).status_code == 200
    assert code_of(await enter(system, resident, code=code)) == (401, "auth.resident_sign_in_failed")


async def test_a_code_ends_after_five_minutes_and_with_the_next_one(system, services, resident, monkeypatch):
    await ask_for_code(system, resident)
    old = sign_in.compute_code(services.encryption, (await newest_code(services)).id)
    await ask_for_code(system, resident)
    new = sign_in.compute_code(services.encryption, (await newest_code(services)).id)
    assert code_of(await enter(system, resident, code=old)) == (401, "auth.resident_sign_in_failed")
    monkeypatch.setattr(sign_in_routes, "utc_now", lambda: utc_now() + timedelta(minutes=5))
    assert code_of(await enter(system, resident, code=new)) == (401, "auth.resident_sign_in_failed")


@pytest.mark.parametrize("change", ["number", "idNumber", "both", "pin", "code"])
async def test_whatever_is_wrong_has_one_answer(system, county, resident, change):
    other = county.residents[1]
    changes = {
        "number": {"applicationNumber": other.application_number, "pin": resident.look_up_pin},
        "idNumber": {"idNumber": other.id_number, "pin": resident.look_up_pin},
        "both": {"applicationNumber": "YQ1999-000001", "idNumber": "1", "pin": "00000000"},
        "pin": {"pin": other.look_up_pin},
        "code": {"code": "000000"},
    }[change]
    answer = await enter(system, resident, **changes)
    assert code_of(answer) == (401, "auth.resident_sign_in_failed")
    assert {**answer.json(), "requestId": ""} == {
        **(await enter(system, resident, pin="12345678")).json(), "requestId": ""
    }  # fmt: skip


async def test_asking_for_a_code_says_nothing_of_who_has_applied(system, services, resident):
    matching = await ask_for_code(system, resident)
    unknown = await ask_for_code(system, resident, idNumber="11010519491231002X")
    nobody = await ask_for_code(system, resident, applicationNumber="YQ1999-000001")
    assert {(answer.status_code, answer.content) for answer in (matching, unknown, nobody)} == {(204, b"")}
    await system.run_jobs()
    assert len(await received(services)) == 1


async def test_a_hit_and_a_miss_take_as_long(system, services, resident, monkeypatch):
    monkeypatch.setattr(sign_in, "ANSWER_AFTER_S", 0.4)
    for changes in ({}, {"idNumber": "1"}):
        started = asyncio.get_running_loop().time()
        await ask_for_code(system, resident, **changes)
        assert asyncio.get_running_loop().time() - started >= 0.4


async def test_guesses_lock_the_number_together_with_those_of_the_look_up(system, resident):
    for _ in range(FREE_FAILURES):
        await enter(system, resident, pin="00000000")
    body = {"applicationNumber": resident.application_number, "pin": "00000000"}
    await system.client().post("/public/v1/cases/look-up", json=body)
    assert code_of(await enter(system, resident, pin=resident.look_up_pin)) == (429, "request.rate_limited")


async def test_guesses_at_a_code_lock_the_number(system, services, resident):
    await ask_for_code(system, resident)
    code = sign_in.compute_code(services.encryption, (await newest_code(services)).id)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    for _ in range(FREE_FAILURES + 1):
        await enter(system, resident, code=wrong)
    assert code_of(await enter(system, resident, code=code)) == (429, "request.rate_limited")


async def test_wrong_guesses_from_everywhere_void_a_code_and_lock_nobody_out(system, services, resident):
    await ask_for_code(system, resident)
    code = sign_in.compute_code(services.encryption, (await newest_code(services)).id)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    now = utc_now()
    for attempt in range(sign_in.MAX_GUESSES):
        body = guess(resident, code=wrong)
        with pytest.raises(Problem, match=r"auth\.resident_sign_in_failed"):
            await sign_in.sign_in_without_wechat(services, body, address=f"203.0.113.{attempt}", now=now)
    assert code_of(await enter(system, resident, code=code)) == (401, "auth.resident_sign_in_failed")
    await ask_for_code(system, resident)
    code = sign_in.compute_code(services.encryption, (await newest_code(services)).id)
    assert (await enter(system, resident, code=code)).status_code == 200


def guess(resident, **proof):
    return sign_in.ResidentSignIn(
        id_number=resident.id_number,
        application_number=resident.application_number,
        device=DeviceInfo(label="x"),
        **proof,
    )


async def test_an_office_behind_one_address_signs_in_as_many_as_come(system, services, resident):
    for _ in range(services.settings.sign_in_attempts + 2):
        assert (await enter(system, resident, pin=resident.look_up_pin)).status_code == 200


async def test_a_household_gets_so_many_codes_and_a_stranger_with_its_number_uses_none_up(system, services, resident):
    for _ in range(sign_in.MAX_CODES + 1):
        assert (await ask_for_code(system, resident, idNumber="339901196001011234")).status_code == 204
    for _ in range(sign_in.MAX_CODES + 1):
        assert (await ask_for_code(system, resident)).status_code == 204
    async with open_session(services.sessions) as session:
        assert await session.scalar(select(func.count()).select_from(SignInCode)) == sign_in.MAX_CODES


async def test_an_address_asks_so_often_whatever_the_number(system, services, resident):
    for _ in range(services.settings.sign_in_attempts * SHARED_FACTOR):
        assert (await ask_for_code(system, resident, applicationNumber="YQ1999-000001")).status_code == 204
    answer = await ask_for_code(system, resident, applicationNumber="YQ1999-000001")
    assert code_of(answer) == (429, "request.rate_limited")


async def test_the_budget_of_a_day_and_of_a_household_ends_in_silence(system, services, resident, monkeypatch):
    monkeypatch.setattr(sign_in, "MAX_CODES_A_DAY", 1)
    for _ in range(2):
        assert (await ask_for_code(system, resident)).status_code == 204
    async with open_session(services.sessions) as session:
        assert await session.scalar(select(func.count()).select_from(SignInCode)) == 1
    monkeypatch.setattr(sign_in, "MAX_CODES_A_DAY", 9)
    monkeypatch.setitem(services.__dict__, "settings", msgspec.structs.replace(services.settings, sms_per_day=1))
    assert (await ask_for_code(system, resident)).status_code == 204
    async with open_session(services.sessions) as session:
        assert await session.scalar(select(func.count()).select_from(SignInCode)) == 1


async def test_without_text_messages_the_server_says_so(system, services, resident, monkeypatch):
    monkeypatch.setitem(services.__dict__, "sms", Sms("", "", "", ""))
    assert code_of(await ask_for_code(system, resident)) == (404, "sms.not_set_up")


async def test_a_sign_in_names_either_pin_or_code(system, resident):
    assert code_of(await enter(system, resident)) == (400, "request.invalid")
    assert code_of(await enter(system, resident, pin="12345678", code="123456")) == (400, "request.invalid")


@pytest.mark.parametrize(
    ("end", "state", "why"),
    [("0000", "failed", "isv.MOBILE_NUMBER_ILLEGAL"), ("1111", "failed", "isv.BUSINESS_LIMIT_CONTROL")],
)
async def test_what_the_service_refused_is_kept_with_its_code(system, services, resident, end, state, why):
    await give_phone(services, resident, f"1380000{end}")
    await ask_for_code(system, resident)
    await system.run_jobs()
    code = await newest_code(services)
    assert (code.state, code.why) == (state, why)


async def test_a_code_that_may_have_been_sent_is_not_sent_again(system, services, resident, monkeypatch):
    def answer(request):
        raise httpx.ReadTimeout("", request=request)

    lost = Sms("http://sms.test", KEY_ID, KEY_SECRET, "x", transport=httpx.MockTransport(answer))
    await ask_for_code(system, resident)
    code_id = (await newest_code(services)).id
    kept = services.sms
    monkeypatch.setitem(services.__dict__, "sms", lost)
    await sign_in.send_code(services, SendSignInCode(code_id=code_id))
    assert (await newest_code(services)).state == "unsure"
    monkeypatch.setitem(services.__dict__, "sms", kept)
    await sign_in.send_code(services, SendSignInCode(code_id=code_id))
    assert await received(services) == []


async def test_a_service_that_is_not_there_is_tried_again(system, services, resident, monkeypatch):
    def answer(request):
        raise httpx.ConnectError("", request=request)

    away = Sms("http://sms.test", KEY_ID, KEY_SECRET, "x", transport=httpx.MockTransport(answer))
    await ask_for_code(system, resident)
    code_id = (await newest_code(services)).id
    kept = services.sms
    monkeypatch.setitem(services.__dict__, "sms", away)
    with pytest.raises(SmsUnavailable):
        await sign_in.send_code(services, SendSignInCode(code_id=code_id))
    monkeypatch.setitem(services.__dict__, "sms", kept)
    await sign_in.send_code(services, SendSignInCode(code_id=code_id))
    assert len(await received(services)) == 1


async def give_phone(services, resident, phone):
    async with open_session(services.sessions) as session:
        household = (
            await session.scalars(select(Household).where(Household.number == resident.household_number))
        ).one()
        household.phone_sealed = services.encryption.seal("household.phone", household.id, phone)


def test_the_signature_is_that_of_the_published_example():
    """Aliyun's own example of `SendSms`, with its test key."""
    params = {
        "AccessKeyId": "testId",
        "Action": "SendSms",
        "Format": "XML",
        "OutId": "123",
        "PhoneNumbers": "15300000001",
        "RegionId": "cn-hangzhou",
        "SignName": "阿里云短信测试专用",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": "45e25e9b-0a6f-4070-8c85-2956eda1b466",
        "SignatureVersion": "1.0",
        "TemplateCode": "SMS_71390007",
        "TemplateParam": '{"customer":"test"}',
        "Timestamp": "2017-07-12T02:42:19Z",
        "Version": "2017-05-25",
    }
    assert sign_call("GET", params, "testSecret") == "zJDF+Lrzhj/ThnlvIToysFRq6t4="


async def test_the_stub_refuses_a_wrong_key_and_a_wrong_signature():
    transport = httpx.ASGITransport(create_stub())
    for key, secret, code in (
        ("other", KEY_SECRET, "InvalidAccessKeyId.NotFound"),
        (KEY_ID, "wrong", "SignatureDoesNotMatch"),
    ):
        client = Sms("http://sms.test", key, secret, "云栖县民政局", transport=transport)
        with pytest.raises(SmsRefused) as refused:
            await client.send("13800000002", "SMS_1", {"code": "123456"})
        assert refused.value.code == code


async def test_a_right_look_up_ends_no_lock_of_the_sign_in(system, resident):
    """Who has seen the slip knows number and PIN, and would guess the ID number between two look-ups."""
    look_up = {"applicationNumber": resident.application_number, "pin": resident.look_up_pin}
    for _ in range(FREE_FAILURES - 1):
        answer = await enter(system, resident, pin=resident.look_up_pin, idNumber="33990119700101001X")
        assert code_of(answer) == (401, "auth.resident_sign_in_failed")
    assert (await system.client().post("/public/v1/cases/look-up", json=look_up)).status_code == 200
    await enter(system, resident, pin=resident.look_up_pin, idNumber="33990119700101001X")
    assert code_of(await enter(system, resident, pin=resident.look_up_pin)) == (429, "request.rate_limited")
