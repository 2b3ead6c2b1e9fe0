"""Signing in and out: passwords, WeChat, rotating tokens, devices, bindings, and the brake on guessing."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from server.core.tokens import utc_now
from server.models.audit import AuditEntry
from server.models.people import RefreshToken, Staff, StaffRole
from tests.phones import DEMO_PASSWORDS

DEVICE = {"label": "test phone"}


@pytest.fixture
def login(county):
    return next(one.login for one in county.staff if one.role == "caseworker")


async def sign_in(system, login, password=None, **headers):
    body = {"login": login, "password": password or DEMO_PASSWORDS["caseworker"], "device": DEVICE}
    return await system.client(**headers).post("/auth/v1/staff/sign-in", json=body)


async def refresh(system, token):
    return await system.client().post("/auth/v1/refresh", json={"refreshToken": token})


async def test_an_unknown_name_and_a_wrong_password_get_the_same_answer(system, login):
    wrong, unknown = await sign_in(system, login, "wrong"), await sign_in(system, "nobody-here", "wrong")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "auth.sign_in_failed")
    assert {**unknown.json(), "requestId": ""} == {**wrong.json(), "requestId": ""}


async def test_errors_speak_chinese_first_and_english_when_asked(system, login):
    chinese = await sign_in(system, login, "wrong")
    english = await sign_in(system, login, "wrong", **{"Accept-Language": "en-GB,en;q=0.9,zh;q=0.5"})
    assert chinese.json()["title"] == "用户名或密码不正确"
    assert english.json()["title"] == "Name or password is wrong"


async def test_guessing_is_braked_for_the_name_even_with_the_right_password(system, services, login):
    for _ in range(services.settings.sign_in_attempts):
        assert (await sign_in(system, login, "guess")).status_code == 401
    braked = await sign_in(system, login)
    assert (braked.status_code, braked.json()["code"]) == (429, "request.rate_limited")
    assert 0 < int(braked.headers["Retry-After"]) <= 15 * 60 + 1


async def test_refresh_tokens_rotate_and_are_stored_hashed(system, services, login):
    first = (await sign_in(system, login)).json()
    second = (await refresh(system, first["refreshToken"])).json()
    assert second["refreshToken"] != first["refreshToken"]
    assert second["deviceId"] == first["deviceId"]
    async with services.sessions() as session:
        stored = list(await session.scalars(select(RefreshToken.token_hash)))
    assert all(second["refreshToken"].encode() not in one for one in stored)


async def test_a_refresh_whose_answer_was_lost_may_be_repeated_at_once(system, login):
    first = (await sign_in(system, login)).json()
    lost = (await refresh(system, first["refreshToken"])).json()
    again = await refresh(system, first["refreshToken"])
    assert again.status_code == 200
    assert (await refresh(system, lost["refreshToken"])).json()["code"] == "auth.refresh_invalid"
    assert (await refresh(system, again.json()["refreshToken"])).status_code == 200


async def test_a_used_token_presented_later_ends_the_device(system, services, login):
    first = (await sign_in(system, login)).json()
    second = (await refresh(system, first["refreshToken"])).json()
    async with services.sessions() as session:
        await session.execute(
            update(RefreshToken).where(RefreshToken.used_at.is_not(None)).values(used_at=utc_now() - timedelta(hours=1))
        )
        await session.commit()
    reused = await refresh(system, first["refreshToken"])
    assert (reused.status_code, reused.json()["code"]) == (401, "auth.refresh_reused")
    assert (await refresh(system, second["refreshToken"])).json()["code"] == "auth.device_ended"
    me = await system.client(Authorization=f"Bearer {second['accessToken']}").get("/auth/v1/me")
    assert me.json()["code"] == "auth.device_ended"


async def test_a_used_token_ends_the_device_at_once_when_its_successor_was_used(system, login):
    first = (await sign_in(system, login)).json()
    second = (await refresh(system, first["refreshToken"])).json()
    await refresh(system, second["refreshToken"])
    assert (await refresh(system, first["refreshToken"])).json()["code"] == "auth.refresh_reused"


async def test_devices_are_listed_and_another_can_be_ended(system, login):
    lost = (await sign_in(system, login)).json()
    mine = (await sign_in(system, login)).json()
    client = system.client(Authorization=f"Bearer {mine['accessToken']}")
    devices = (await client.get("/auth/v1/devices")).json()
    assert {one["id"]: one["isThisOne"] for one in devices} == {lost["deviceId"]: False, mine["deviceId"]: True}
    assert (await client.delete(f"/auth/v1/devices/{lost['deviceId']}")).status_code == 204
    gone = await system.client(Authorization=f"Bearer {lost['accessToken']}").get("/auth/v1/me")
    assert gone.json()["code"] == "auth.device_ended"


async def test_nobody_ends_anothers_device(system, county, login):
    mine = (await sign_in(system, login)).json()
    other = next(one.login for one in county.staff if one.role == "caseworker" and one.login != login)
    theirs = (await sign_in(system, other)).json()
    client = system.client(Authorization=f"Bearer {mine['accessToken']}")
    answer = await client.delete(f"/auth/v1/devices/{theirs['deviceId']}")
    assert (answer.status_code, answer.json()["code"]) == (404, "thing.not_found")


async def test_signing_out_ends_the_device_at_once(system, phone):
    assert (await phone.http.post("/auth/v1/sign-out")).status_code == 204
    assert (await phone.http.get("/auth/v1/me")).json()["code"] == "auth.device_ended"


async def test_a_role_taken_away_is_gone_at_once(system, services, phone):
    async with services.sessions() as session:
        await session.execute(update(StaffRole).where(StaffRole.staff_id == phone.id).values(revoked_at=utc_now()))
        await session.commit()
    assert (await phone.http.get("/field/v1/sync/visits/1/pull")).json()["code"] == "auth.forbidden"


async def test_a_disabled_person_is_signed_out_and_stays_out(system, services, login, phone):
    async with services.sessions() as session:
        await session.execute(update(Staff).where(Staff.id == phone.id).values(disabled_at=utc_now()))
        await session.commit()
    assert (await phone.http.get("/auth/v1/me")).json()["code"] == "auth.device_ended"


async def wechat(system, code, who="staff"):
    return await system.client().post(f"/auth/v1/{who}/sign-in-wechat", json={"code": code, "device": DEVICE})


async def test_staff_sign_in_with_linked_wechat_and_a_code_works_once(system, county, login):
    suffix = next(one.wechat_suffix for one in county.staff if one.login == login)
    assert (await wechat(system, f"demo-{suffix}-1")).status_code == 200
    again = await wechat(system, f"demo-{suffix}-1")
    assert (again.status_code, again.json()["code"]) == (400, "wechat.code_invalid")


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        ("error-40029", 400, "wechat.code_invalid"),
        ("error-45011", 429, "wechat.too_many"),
        ("error-40226", 403, "wechat.blocked"),
        ("error--1", 503, "wechat.unavailable"),
        ("demo-stranger-1", 404, "auth.wechat_not_linked"),
    ],
)
async def test_each_refusal_of_wechat_has_its_code(system, code, status, told):
    answer = await wechat(system, code)
    assert (answer.status_code, answer.json()["code"]) == (status, told)


async def test_wechat_is_linked_by_the_person_signed_in_and_to_one_account_only(system, county, phone):
    assert (await phone.http.post("/auth/v1/staff/link-wechat", json={"code": "demo-newphone-1"})).status_code == 204
    assert (await wechat(system, "demo-newphone-2")).json()["personId"] == str(phone.id)
    other = next(one for one in county.staff if one.role == "caseworker" and one.login != phone.signed_in["name"])
    taken = next(one.wechat_suffix for one in county.staff if one.role == "supervisor")
    answer = await phone.http.post("/auth/v1/staff/link-wechat", json={"code": f"demo-{taken}-1"})
    assert (answer.status_code, answer.json()["code"]) == (409, "auth.wechat_linked_elsewhere"), other.login


async def bind(system, resident, **changes):
    signed_in = (await wechat(system, f"demo-{resident.wechat_suffix}-b", "resident")).json()
    client = system.client(Authorization=f"Bearer {signed_in['accessToken']}")
    body = {"idNumber": resident.id_number, "applicationNumber": resident.application_number} | changes
    return client, await client.post("/auth/v1/resident/bind", json=body)


async def test_a_resident_binds_by_both_numbers_and_sees_only_their_own_case(system, county):
    first, second = county.residents[:2]
    client, bound = await bind(system, first, idNumber=first.id_number.lower())
    assert bound.status_code == 200
    cases = (await client.get("/resident/v1/cases")).json()
    assert [one["applicationNumber"] for one in cases] == [first.application_number]
    assert second.application_number not in str(cases)


async def test_a_wrong_id_and_a_wrong_application_get_the_same_answer(system, county):
    first, second = county.residents[:2]
    client, wrong_id = await bind(system, first, idNumber=second.id_number)
    wrong_case = await client.post(
        "/auth/v1/resident/bind", json={"idNumber": first.id_number, "applicationNumber": "YQ2026-999999"}
    )
    assert (wrong_id.status_code, wrong_id.json()["code"]) == (404, "auth.binding_failed")
    assert {**wrong_case.json(), "requestId": ""} == {**wrong_id.json(), "requestId": ""}
    assert (await client.get("/resident/v1/cases")).json() == []


async def test_sign_in_and_binding_leave_audit_rows_without_personal_data(system, services, county):
    resident = county.residents[0]
    await bind(system, resident)
    async with services.sessions() as session:
        rows = list(await session.scalars(select(AuditEntry).where(AuditEntry.actor_kind == "resident")))
    assert [one.action for one in rows] == ["device.signed_in", "resident.bound"]
    assert all(one.request_id for one in rows)
    assert resident.id_number not in str([(one.facts, one.thing_id) for one in rows])
