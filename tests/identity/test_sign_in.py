"""Signing in and out: passwords, WeChat, rotating tokens, devices, bindings, and the brake on guessing."""

from datetime import datetime, timedelta
from uuid import UUID

import jwt
import pytest
from sqlalchemy import select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Problem
from server.core.tokens import AccessClaims, issue_access_token
from server.demo.staff import DEMO_PASSWORDS
from server.http.rate_limit import WINDOW, check_failures, count_failure
from server.identity import devices
from server.models.audit import AuditEntry
from server.models.people import AttemptWindow, Device, RefreshToken, ResidentBinding, Staff, StaffRole

DEVICE = {"label": "test phone"}


@pytest.fixture
def login(county):
    return next(staff_member.login for staff_member in county.staff if staff_member.role == "caseworker")


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
    assert english.json()["title"] == "Wrong user name or password"


async def test_guessing_is_braked_for_the_name_even_with_the_right_password(system, services, login):
    for _ in range(services.settings.sign_in_attempts):
        assert (await sign_in(system, login, "guess")).status_code == 401
    braked = await sign_in(system, login)
    assert (braked.status_code, braked.json()["code"]) == (429, "request.rate_limited")
    assert 0 < int(braked.headers["Retry-After"]) <= 15 * 60 + 1


async def test_a_name_is_braked_however_it_is_written_and_so_is_an_address_that_tries_many(system, services, login):
    for number in range(services.settings.sign_in_attempts):
        await sign_in(system, login.upper() if number % 2 else login, "guess")
        async with services.sessions() as session:
            await count_failure(session, services.encryption, ["address:203.0.113.9"], utc_now())
    async with open_session(services.sessions) as session:
        for subject in (f"login:{login}", "address:203.0.113.9"):
            with pytest.raises(Problem) as raised:
                await check_failures(
                    session, services.encryption, [subject], services.settings.sign_in_attempts, utc_now()
                )
            assert raised.value.code == "request.rate_limited"
    other = await sign_in(system, "another", "guess")  # the same address, which has tried too often by now
    assert other.status_code == 429


async def test_all_tries_but_the_last_leave_the_right_password_right_and_the_next_window_begins_anew(
    system, services, login
):
    for _ in range(services.settings.sign_in_attempts - 1):
        await sign_in(system, login, "guess")
    assert (await sign_in(system, login)).status_code == 200
    await sign_in(system, login, "guess")
    assert (await sign_in(system, login)).status_code == 429
    async with open_session(services.sessions) as session:
        await session.execute(update(AttemptWindow).values(window_start=AttemptWindow.window_start - WINDOW))
    assert (await sign_in(system, login)).status_code == 200


async def test_guessing_who_has_applied_is_braked_for_the_guesser_and_for_the_application(system, services, county):
    first, second = county.residents[:2]
    client, _ = await bind(system, first, idNumber=second.id_number)
    for _ in range(services.settings.sign_in_attempts - 1):
        body = {"idNumber": second.id_number, "applicationNumber": first.application_number}
        assert (await client.post("/auth/v1/resident/bind", json=body)).status_code == 404
    right = {"idNumber": first.id_number, "applicationNumber": first.application_number}
    assert (await client.post("/auth/v1/resident/bind", json=right)).json()["code"] == "request.rate_limited"
    own = {"idNumber": second.id_number, "applicationNumber": second.application_number}
    # The guesser is braked for other applications too, and others for this one.
    assert (await client.post("/auth/v1/resident/bind", json=own)).json()["code"] == "request.rate_limited"
    stranger, _ = await bind(system, second)
    assert (await stranger.post("/auth/v1/resident/bind", json=right)).json()["code"] == "request.rate_limited"


async def test_refresh_tokens_rotate_and_are_stored_hashed(system, services, login):
    first = (await sign_in(system, login)).json()
    second = (await refresh(system, first["refreshToken"])).json()
    assert second["refreshToken"] != first["refreshToken"]
    assert second["deviceId"] == first["deviceId"]
    async with services.sessions() as session:
        stored = list(await session.scalars(select(RefreshToken.token_hash)))
    assert all(second["refreshToken"].encode() not in item for item in stored)


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


async def test_tokens_live_as_long_as_the_settings_say(system, services, login):
    before = utc_now()
    signed_in = (await sign_in(system, login)).json()
    lives = jwt.decode(signed_in["accessToken"], options={"verify_signature": False})
    assert lives["exp"] - lives["iat"] == services.settings.access_token_minutes * 60
    result = datetime.fromisoformat(signed_in["expiresAt"])
    assert abs(result - before - timedelta(minutes=services.settings.access_token_minutes)) < timedelta(seconds=30)
    async with services.sessions() as session:
        (row,) = await session.scalars(select(RefreshToken))
    assert row.expires_at - row.issued_at == timedelta(days=services.settings.refresh_token_days)


async def test_an_unused_refresh_token_ends_with_its_day(system, services, login):
    signed_in = (await sign_in(system, login)).json()
    async with open_session(services.sessions) as session:
        device = await session.get_one(Device, signed_in["deviceId"])
        (row,) = await session.scalars(select(RefreshToken))
    with pytest.raises(Problem) as raised:
        async with open_session(services.sessions) as session:
            await devices.refresh_tokens(session, services, signed_in["refreshToken"], row.expires_at)
    assert raised.value.code == "auth.refresh_invalid"
    almost = row.expires_at - timedelta(seconds=1)
    async with open_session(services.sessions) as session:
        result = await devices.refresh_tokens(session, services, signed_in["refreshToken"], almost)
    assert (result.device_id, device.ended_at) == (UUID(signed_in["deviceId"]), None)


@pytest.mark.parametrize(("late_s", "code"), [(0, None), (1, "auth.refresh_reused")])
async def test_a_lost_answer_is_believed_for_so_many_seconds_and_not_one_more(system, services, login, late_s, code):
    signed_in = (await sign_in(system, login)).json()
    used_at = utc_now()
    async with open_session(services.sessions) as session:
        await devices.refresh_tokens(session, services, signed_in["refreshToken"], used_at)
    then = used_at + timedelta(seconds=services.settings.refresh_grace_seconds + late_s)
    said = None
    try:
        async with open_session(services.sessions) as session:
            await devices.refresh_tokens(session, services, signed_in["refreshToken"], then)
    except Problem as problem:
        said = problem.code
    assert said == code


async def test_a_lost_answer_is_believed_from_the_first_use_on_and_no_repeat_makes_it_longer(system, services, login):
    signed_in = (await sign_in(system, login)).json()
    first, grace = utc_now(), services.settings.refresh_grace_seconds
    for after_s in (0, grace - 1):
        async with open_session(services.sessions) as session:
            await devices.refresh_tokens(
                session, services, signed_in["refreshToken"], first + timedelta(seconds=after_s)
            )
    with pytest.raises(Problem) as raised:
        async with open_session(services.sessions) as session:
            await devices.refresh_tokens(
                session, services, signed_in["refreshToken"], first + timedelta(seconds=grace + 1)
            )
    assert raised.value.code == "auth.refresh_reused"


async def test_a_token_is_of_one_person_on_one_device(system, services, county, login):
    mine = (await sign_in(system, login)).json()
    other = next(
        staff_member.login
        for staff_member in county.staff
        if staff_member.role == "caseworker" and staff_member.login != login
    )
    theirs = (await sign_in(system, other)).json()
    crossed = AccessClaims(UUID(mine["personId"]), UUID(theirs["deviceId"]), is_resident=False)
    token = issue_access_token(services.token_keys, crossed, now=utc_now(), minutes=5)
    answer = await system.client(Authorization=f"Bearer {token}").get("/auth/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "auth.token_invalid")
    basic = await system.client(Authorization=f"Basic {mine['accessToken']}").get("/auth/v1/me")
    assert (basic.status_code, basic.json()["code"]) == (401, "auth.required")


async def test_a_device_that_was_ended_is_not_listed(system, login):
    lost = (await sign_in(system, login)).json()
    mine = (await sign_in(system, login)).json()
    client = system.client(Authorization=f"Bearer {mine['accessToken']}")
    await client.delete(f"/auth/v1/devices/{lost['deviceId']}")
    assert [item["id"] for item in (await client.get("/auth/v1/devices")).json()] == [mine["deviceId"]]


async def test_a_resident_sees_and_ends_their_own_devices_alone(system, county, phone):
    first, second = [
        (await wechat(system, f"demo-{resident.wechat_suffix}-d", "resident")).json()
        for resident in county.residents[:2]
    ]
    client = system.client(Authorization=f"Bearer {first['accessToken']}")
    assert [item["id"] for item in (await client.get("/auth/v1/devices")).json()] == [first["deviceId"]]
    for theirs in (second["deviceId"], phone.signed_in["deviceId"]):
        assert (await client.delete(f"/auth/v1/devices/{theirs}")).json()["code"] == "thing.not_found"
    assert (await client.delete(f"/auth/v1/devices/{first['deviceId']}")).status_code == 204
    assert (await client.get("/auth/v1/me")).json()["code"] == "auth.device_ended"


async def test_devices_are_listed_and_another_can_be_ended(system, login):
    lost = (await sign_in(system, login)).json()
    mine = (await sign_in(system, login)).json()
    client = system.client(Authorization=f"Bearer {mine['accessToken']}")
    devices = (await client.get("/auth/v1/devices")).json()
    assert {device["id"]: device["isThisOne"] for device in devices} == {
        lost["deviceId"]: False,
        mine["deviceId"]: True,
    }
    assert (await client.delete(f"/auth/v1/devices/{lost['deviceId']}")).status_code == 204
    gone = await system.client(Authorization=f"Bearer {lost['accessToken']}").get("/auth/v1/me")
    assert gone.json()["code"] == "auth.device_ended"


async def test_nobody_ends_anothers_device(system, county, login):
    mine = (await sign_in(system, login)).json()
    other = next(
        staff_member.login
        for staff_member in county.staff
        if staff_member.role == "caseworker" and staff_member.login != login
    )
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
    assert (await refresh(system, phone.signed_in["refreshToken"])).json()["code"] == "auth.device_ended"
    assert (await sign_in(system, login)).json()["code"] == "auth.sign_in_failed"
    async with services.sessions() as session:
        openid = await session.scalar(select(Staff.wechat_openid).where(Staff.id == phone.id))
    assert openid is not None
    answer = await wechat(system, f"demo-{openid.removeprefix('oZFdemo-')}-9")
    assert (answer.status_code, answer.json()["code"]) == (404, "auth.wechat_not_linked")


async def wechat(system, code, who="staff"):
    return await system.client().post(f"/auth/v1/{who}/sign-in-wechat", json={"code": code, "device": DEVICE})


async def test_staff_sign_in_with_linked_wechat_and_a_code_works_once(system, county, login):
    suffix = next(staff_member.wechat_suffix for staff_member in county.staff if staff_member.login == login)
    assert (await wechat(system, f"demo-{suffix}-1")).status_code == 200
    again = await wechat(system, f"demo-{suffix}-1")
    assert (again.status_code, again.json()["code"]) == (400, "wechat.code_invalid")


@pytest.mark.parametrize(
    ("code", "status", "result"),
    [
        ("error-40029", 400, "wechat.code_invalid"),
        ("error-45011", 429, "wechat.too_many"),
        ("error-40226", 403, "wechat.blocked"),
        ("error--1", 503, "wechat.unavailable"),
        ("demo-stranger-1", 404, "auth.wechat_not_linked"),
    ],
)
async def test_each_refusal_of_wechat_has_its_code(system, code, status, result):
    answer = await wechat(system, code)
    assert (answer.status_code, answer.json()["code"]) == (status, result)


async def test_wechat_is_linked_by_the_person_signed_in_and_to_one_account_only(system, county, phone):
    assert (await phone.http.post("/auth/v1/staff/link-wechat", json={"code": "demo-newphone-1"})).status_code == 204
    assert (await wechat(system, "demo-newphone-2")).json()["personId"] == str(phone.id)
    other = next(
        staff_member
        for staff_member in county.staff
        if staff_member.role == "caseworker" and staff_member.login != phone.signed_in["name"]
    )
    taken = next(staff_member.wechat_suffix for staff_member in county.staff if staff_member.role == "supervisor")
    answer = await phone.http.post("/auth/v1/staff/link-wechat", json={"code": f"demo-{taken}-1"})
    assert (answer.status_code, answer.json()["code"]) == (409, "auth.wechat_linked_elsewhere"), other.login


async def bind(system, resident, **changes):
    signed_in = (await wechat(system, f"demo-{resident.wechat_suffix}-b", "resident")).json()
    client = system.client(Authorization=f"Bearer {signed_in['accessToken']}")
    body = {"idNumber": resident.id_number, "applicationNumber": resident.application_number} | changes
    return client, await client.post("/auth/v1/resident/bind", json=body)


async def test_a_resident_binds_by_both_numbers_and_sees_only_their_own_case_while_bound(system, services, county):
    first, second = county.residents[:2]
    client, bound = await bind(system, first, idNumber=first.id_number.lower())
    assert bound.status_code == 200
    cases = (await client.get("/resident/v1/cases")).json()
    assert [case["applicationNumber"] for case in cases] == [first.application_number]
    assert second.application_number not in str(cases)
    path = f"/resident/v1/cases/{cases[0]['id']}"
    assert (await client.get(path)).status_code == 200
    async with open_session(services.sessions) as session:
        await session.execute(update(ResidentBinding).values(ended_at=utc_now()))
    assert (await client.get("/resident/v1/cases")).json() == []
    assert (await client.get(path)).json()["code"] == "thing.not_found"


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
    assert [row.action for row in rows] == ["device.signed_in", "resident.bound"]
    assert all(row.request_id for row in rows)
    assert resident.id_number not in str([(row.facts, row.thing_id) for row in rows])
