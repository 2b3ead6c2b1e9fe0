"""Signing in and out: passwords, WeChat, rotating tokens, devices, bindings, and the brake on guessing."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import jwt
import pytest
from sqlalchemy import delete, insert, select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Problem
from server.core.tokens import AccessClaims, hash_refresh_token, issue_access_token
from server.demo.staff import DEMO_PASSWORDS
from server.http.attempt_locks import FREE_FAILURES
from server.http.rate_limit import SLOW_INTERVAL, WINDOW, hash_subject
from server.http.rate_limit import _window_start as window_start
from server.identity.refresh import purge_refresh_tokens, refresh_tokens
from server.models.audit import AuditEntry
from server.models.people import AttemptWindow, Device, RefreshToken, ResidentBinding, Staff, StaffRole
from tests.makers.identities import openid_of
from tests.phones import step_up

DEVICE = {"label": "test phone"}


@pytest.fixture
def login(county):
    return next(staff_member.login for staff_member in county.staff if staff_member.role == "caseworker")


async def sign_in(system, login, password=None, **headers):
    body = {"login": login, "password": password or DEMO_PASSWORDS["caseworker"], "device": DEVICE}
    return await system.client(**headers).post("/auth/v1/staff/sign-in", json=body)


async def own_step_up(client):
    return await step_up(client, DEMO_PASSWORDS["caseworker"])


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


async def test_a_name_is_braked_however_it_is_written(system, services, login):
    for number in range(services.settings.sign_in_attempts):
        await sign_in(system, login.upper() if number % 2 else login, "guess")
    assert (await sign_in(system, login)).json()["code"] == "request.rate_limited"


async def test_mistakes_of_a_few_lock_nobody_else_of_their_office_out(system, services, county):
    few, other = [member.login for member in county.staff if member.role == "caseworker"][:2]
    for _ in range(services.settings.sign_in_attempts + 1):
        await sign_in(system, few, "guess")
    assert (await sign_in(system, few)).status_code == 429
    assert (await sign_in(system, other)).status_code == 200


@pytest.mark.parametrize("shared", ["address:127.0.0.1", "login:{login}"])
async def test_an_address_or_a_name_with_very_many_mistakes_is_slowed_and_not_locked(system, services, login, shared):
    async with open_session(services.sessions) as session:
        subject = hash_subject(services.encryption, shared.format(login=login))
        many = {"subject": subject, "attempts": services.settings.sign_in_attempts * 5}
        await session.execute(insert(AttemptWindow).values(window_start=window_start(utc_now()), **many))
    answers = [await sign_in(system, login) for _ in range(3)]
    assert answers[0].status_code == 200
    slowed = next(answer for answer in answers if answer.status_code == 429)
    assert 0 < int(slowed.headers["Retry-After"]) <= SLOW_INTERVAL.total_seconds() + 1
    async with open_session(services.sessions) as session:
        slot = hash_subject(services.encryption, f"slow:{shared.format(login=login)}")
        slots = update(AttemptWindow).where(AttemptWindow.subject == slot)
        await session.execute(slots.values(window_start=AttemptWindow.window_start - SLOW_INTERVAL))
    assert (await sign_in(system, login)).status_code == 200


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


async def test_guessing_who_has_applied_bars_the_guesser_and_nobody_else(system, county):
    first, second = county.residents[:2]
    client, _ = await bind(system, first, idNumber=second.id_number)
    for _ in range(FREE_FAILURES - 1):
        body = {"idNumber": second.id_number, "applicationNumber": first.application_number}
        assert (await client.post("/auth/v1/resident/bind", json=body)).status_code == 404
    right = {"idNumber": first.id_number, "applicationNumber": first.application_number}
    assert (await client.post("/auth/v1/resident/bind", json=right)).json()["code"] == "request.rate_limited"
    own = {"idNumber": second.id_number, "applicationNumber": second.application_number}
    # The guesser is barred from other applications too, and the household from nothing.
    assert (await client.post("/auth/v1/resident/bind", json=own)).json()["code"] == "request.rate_limited"
    stranger, _ = await bind(system, second)
    assert (await stranger.post("/auth/v1/resident/bind", json=right)).status_code == 200


async def test_refresh_tokens_rotate_and_are_stored_hashed(system, services, login):
    first = (await sign_in(system, login)).json()
    second = (await refresh(system, first["refreshToken"])).json()
    assert second["refreshToken"] != first["refreshToken"]
    assert second["deviceId"] == first["deviceId"]
    async with services.sessions() as session:
        stored = list(await session.scalars(select(RefreshToken.token_hash)))
    assert all(second["refreshToken"].encode() not in item for item in stored)


@pytest.mark.parametrize("after", [timedelta(), timedelta(seconds=62), timedelta(days=3)])
async def test_a_refresh_whose_answer_was_lost_may_be_repeated_whenever_the_network_is_back(
    system, services, login, after
):
    first = (await sign_in(system, login)).json()["refreshToken"]
    await refresh_tokens(services, first, utc_now())
    again = await refresh_tokens(services, first, utc_now() + after)
    assert (await refresh(system, again.refresh_token)).status_code == 200


async def test_of_two_answers_to_one_token_the_first_used_counts_and_the_other_ends_the_device(system, login):
    first = (await sign_in(system, login)).json()["refreshToken"]
    phones, thiefs = [(await refresh(system, first)).json()["refreshToken"] for _ in range(2)]
    later = (await refresh(system, phones)).json()
    stolen = await refresh(system, thiefs)
    assert (stolen.status_code, stolen.json()["code"]) == (401, "auth.refresh_reused")
    assert (await refresh(system, later["refreshToken"])).json()["code"] == "auth.device_ended"
    me = await system.client(Authorization=f"Bearer {later['accessToken']}").get("/auth/v1/me")
    assert me.json()["code"] == "auth.device_ended"


async def test_a_used_token_ends_the_device_at_once_when_its_successor_was_used(system, login):
    first = (await sign_in(system, login)).json()
    second = (await refresh(system, first["refreshToken"])).json()
    await refresh(system, second["refreshToken"])
    assert (await refresh(system, first["refreshToken"])).json()["code"] == "auth.refresh_reused"


async def test_two_refreshes_at_one_moment_leave_one_family(system, login):
    first = (await sign_in(system, login)).json()["refreshToken"]
    pair = [answer.json()["refreshToken"] for answer in await asyncio.gather(*(refresh(system, first) for _ in "ab"))]
    answers = await asyncio.gather(*(refresh(system, token) for token in pair))
    assert sorted(answer.status_code for answer in answers) == [200, 401]


async def forget_tokens(services, *tokens):
    """Make the database what it was before these tokens were issued and used."""
    async with open_session(services.sessions) as session:
        hashes = [hash_refresh_token(token) for token in tokens]
        await session.execute(delete(RefreshToken).where(RefreshToken.token_hash.in_(hashes)))
        await session.execute(update(RefreshToken).values(used_at=None))


async def test_a_device_that_refreshed_since_the_backup_stays_signed_in_after_the_restore(system, services, login):
    tokens = [(await sign_in(system, login)).json()["refreshToken"]]
    for _ in range(3):
        tokens.append((await refresh(system, tokens[-1])).json()["refreshToken"])
    await forget_tokens(services, *tokens[1:])
    adopted = await refresh(system, tokens[-1])
    assert adopted.status_code == 200
    assert (await refresh(system, adopted.json()["refreshToken"])).status_code == 200
    async with services.sessions() as session:
        actions = list(await session.scalars(select(AuditEntry.action)))
    assert actions.count("device.adopted") == 1
    # A copy of an earlier token, which the restored database does not know, still ends the device.
    assert (await refresh(system, tokens[1])).json()["code"] == "auth.refresh_reused"
    assert (await refresh(system, adopted.json()["refreshToken"])).json()["code"] == "auth.device_ended"


async def test_a_token_that_nobody_signed_is_refused_and_ends_nothing(system, login):
    signed_in = (await sign_in(system, login)).json()
    token = signed_in["refreshToken"]
    forged = token[:-6] + ("A" if token[-6] != "A" else "B") + token[-5:]
    for wrong in (forged, "x", token[:40], token + "AAAA"):
        assert (await refresh(system, wrong)).json()["code"] == "auth.refresh_invalid"
    assert (await refresh(system, token)).status_code == 200


@pytest.mark.parametrize(("successor_used", "status"), [(False, 200), (True, 401)])
async def test_tokens_of_the_version_before_go_on_and_their_reuse_is_still_found(
    system, services, login, successor_used, status
):
    first = (await sign_in(system, login)).json()["refreshToken"]
    second = (await refresh(system, first)).json()["refreshToken"]
    async with open_session(services.sessions) as session:
        successor = select(RefreshToken.id).where(RefreshToken.token_hash == hash_refresh_token(second))
        old = update(RefreshToken).where(RefreshToken.token_hash == hash_refresh_token(first))
        await session.execute(update(RefreshToken).values(position=None))
        await session.execute(old.values(successor_id=successor.scalar_subquery()))
    if successor_used:
        assert (await refresh(system, second)).status_code == 200
    assert (await refresh(system, first)).status_code == status


async def test_old_tokens_are_deleted_and_a_deleted_token_is_still_recognized(system, services, login):
    tokens = [(await sign_in(system, login)).json()["refreshToken"]]
    for _ in range(2):
        tokens.append((await refresh(system, tokens[-1])).json()["refreshToken"])
    async with open_session(services.sessions) as session:
        assert await purge_refresh_tokens(session, utc_now()) == 0
        assert await purge_refresh_tokens(session, utc_now() + timedelta(days=8)) == 2
    assert (await refresh(system, tokens[0])).json()["code"] == "auth.refresh_reused"
    async with open_session(services.sessions) as session:
        late = utc_now() + timedelta(days=services.settings.refresh_token_days + 1)
        assert await purge_refresh_tokens(session, late) == 1


async def test_a_server_whose_clock_is_a_little_behind_takes_a_fresh_token(system, services, login):
    signed_in = (await sign_in(system, login)).json()
    claims = AccessClaims(UUID(signed_in["personId"]), UUID(signed_in["deviceId"]), is_resident=False)
    ahead = issue_access_token(services.token_keys, claims, now=utc_now() + timedelta(seconds=5), minutes=5)
    late = issue_access_token(services.token_keys, claims, now=utc_now() - timedelta(seconds=65), minutes=1)
    for token in (ahead, late):
        assert (await system.client(Authorization=f"Bearer {token}").get("/auth/v1/me")).status_code == 200
    expired = issue_access_token(services.token_keys, claims, now=utc_now() - timedelta(minutes=2), minutes=1)
    refused = await system.client(Authorization=f"Bearer {expired}").get("/auth/v1/me")
    assert refused.json()["code"] == "auth.token_expired"


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
        await refresh_tokens(services, signed_in["refreshToken"], row.expires_at)
    assert raised.value.code == "auth.refresh_invalid"
    result = await refresh_tokens(services, signed_in["refreshToken"], row.expires_at - timedelta(seconds=1))
    assert (result.device_id, device.ended_at) == (UUID(signed_in["deviceId"]), None)


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
    await client.delete(f"/auth/v1/devices/{lost['deviceId']}", headers=await own_step_up(client))
    assert [item["id"] for item in (await client.get("/auth/v1/devices")).json()] == [mine["deviceId"]]


async def test_a_resident_sees_and_ends_their_own_devices_alone(system, county, phone):
    first, second = [
        (await wechat(system, f"demo-{resident.wechat_suffix}-d", "resident")).json()
        for resident in county.residents[:2]
    ]
    client = system.client(Authorization=f"Bearer {first['accessToken']}")
    assert [item["id"] for item in (await client.get("/auth/v1/devices")).json()] == [first["deviceId"]]
    proof = {"wechatCode": f"demo-{county.residents[0].wechat_suffix}-e"}
    stepped_up = (await client.post("/auth/v1/step-up", json=proof)).json()
    for theirs in (second["deviceId"], phone.signed_in["deviceId"]):
        answer = await client.delete(f"/auth/v1/devices/{theirs}", headers={"X-Step-Up": stepped_up["stepUpToken"]})
        assert answer.json()["code"] == "thing.not_found"
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
    headers = await own_step_up(client)
    assert (await client.delete(f"/auth/v1/devices/{lost['deviceId']}", headers=headers)).status_code == 204
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
    answer = await client.delete(f"/auth/v1/devices/{theirs['deviceId']}", headers=await own_step_up(client))
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
        openid = await openid_of(session, await session.get_one(Staff, phone.id))
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
    headers = await own_step_up(phone.http)
    link = "/auth/v1/staff/link-wechat"
    assert (await phone.http.post(link, json={"code": "demo-newphone-1"}, headers=headers)).status_code == 204
    assert (await wechat(system, "demo-newphone-2")).json()["personId"] == str(phone.id)
    other = next(
        staff_member
        for staff_member in county.staff
        if staff_member.role == "caseworker" and staff_member.login != phone.signed_in["name"]
    )
    taken = next(staff_member.wechat_suffix for staff_member in county.staff if staff_member.role == "supervisor")
    answer = await phone.http.post(link, json={"code": f"demo-{taken}-1"}, headers=headers)
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


async def test_a_web_app_signs_out_by_its_cookie_alone_which_is_cleared(system, login):
    """As after a sign-out without a network, when the access token has expired."""
    body = {"login": login, "password": DEMO_PASSWORDS["caseworker"], "device": DEVICE, "webApp": "phone"}
    signed_in = await system.client().post("/auth/v1/staff/sign-in", json=body)
    cookie = {"Cookie": f"zoufang-phone={signed_in.cookies['zoufang-phone']}"}
    for _ in range(2):
        ended = await system.client(**cookie).delete("/auth/v1/refresh", params={"app": "phone"})
        assert (ended.status_code, ended.content) == (204, b"")
        assert "zoufang-phone=;" in ended.headers["Set-Cookie"] or 'zoufang-phone="";' in ended.headers["Set-Cookie"]
        assert "max-age=0" in ended.headers["Set-Cookie"].lower()
    token = {"Authorization": f"Bearer {signed_in.json()['accessToken']}"}
    assert (await system.client(**token).get("/auth/v1/me")).json()["code"] == "auth.device_ended"
    refused = await system.client(**cookie).post("/auth/v1/refresh", json={"webApp": "phone"})
    assert refused.json()["code"] == "auth.device_ended"
    assert (await system.client().delete("/auth/v1/refresh", params={"app": "desk"})).status_code == 204
