"""One's own account: who takes an access token can't take the account; passwords, second factor, notices, trail."""

import base64
import secrets
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, text, update

from server.core.clock import today, utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.demo.staff import DEMO_PASSWORDS
from server.identity.second_factor import PERIOD_S, check_code, make_code
from server.models.areas import PolicySetting
from server.models.audit import AuditEntry
from server.models.notifications import Notice
from server.models.people import Device, PhoneKey, Staff
from tests.makers.identities import openid_of
from tests.phones import step_up

NEW_PASSWORD = "水稻 sparrow 七月 ladder"
OFFICER = DEMO_PASSWORDS["town_officer"]


@pytest.fixture
def officer_login(county):
    return next(member.login for member in county.staff if member.role == "town_officer")


@pytest.fixture
async def officer(system, officer_login):
    return await system.sign_in_at_desk(officer_login, "town_officer")


async def sign_in(system, login, password=OFFICER, **more):
    body = {"login": login, "password": password, "device": {"label": "办公电脑"}, **more}
    return await system.client().post("/auth/v1/staff/sign-in", json=body)


def code_at(secret, at):
    return make_code(base64.b32decode(secret), int(at.timestamp()) // PERIOD_S)


async def set_second_factor(desk):
    """Set the second factor with the code of a moment ago, and return its secret and the recovery codes."""
    headers = await step_up(desk.http, OFFICER)
    begun = (await desk.http.post("/auth/v1/staff/second-factor", headers=headers)).json()
    code = code_at(begun["secret"], utc_now() - timedelta(seconds=PERIOD_S))
    answer = await desk.http.post("/auth/v1/staff/second-factor/confirm", json={"code": code}, headers=headers)
    assert answer.status_code == 200, answer.text
    return begun["secret"], answer.json()["recoveryCodes"]


async def actions_about(services, staff_id):
    async with services.sessions() as session:
        rows = await session.scalars(
            select(AuditEntry).where(AuditEntry.action.startswith("staff.")).order_by(AuditEntry.id)
        )
        return [(row.action, row.facts) for row in rows if row.thing_id == str(staff_id)]


CHANGES = [
    ("POST", "/auth/v1/staff/link-wechat", {"code": "demo-thief-1"}),
    ("DELETE", "/auth/v1/staff/link-wechat", None),
    ("POST", "/auth/v1/staff/link-wechat/begin", {"webApp": "desk", "target": "/desk/"}),
    ("POST", "/auth/v1/staff/password", {"password": NEW_PASSWORD}),
    ("POST", "/auth/v1/staff/second-factor", None),
    ("POST", "/auth/v1/staff/second-factor/confirm", {"code": "123456"}),
    ("POST", "/auth/v1/staff/second-factor/recovery-codes", None),
    ("DELETE", "/auth/v1/staff/second-factor", None),
    ("DELETE", "/auth/v1/devices/{other}", None),
    ("POST", "/auth/v1/phone-keys/{key}/release", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_a_stolen_access_token_changes_nothing_of_how_its_owner_signs_in(
    system, services, officer, officer_login, method, path, body
):
    other = await system.sign_in_at_desk(officer_login, "town_officer")
    path = path.format(other=other.signed_in["deviceId"], key=new_id())
    async with services.sessions() as session:
        before = await openid_of(session, await session.get_one(Staff, officer.id))
    foreign = await step_up(other.http, OFFICER)  # of the same person, on another device
    for headers in ({}, {"X-Step-Up": "x"}, {"X-Step-Up": officer.signed_in["accessToken"]}, foreign):
        answer = await officer.http.request(method, path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.step_up_required")
    async with services.sessions() as session:
        assert await openid_of(session, await session.get_one(Staff, officer.id)) == before
    assert (await sign_in(system, officer_login)).status_code == 200
    assert (await other.http.get("/auth/v1/me")).status_code == 200


async def test_every_change_to_sign_in_is_among_those_that_need_a_step_up(system):
    """A new route of the account joins the list above, or is named here with its reason."""
    free = {
        ("POST", "/auth/v1/step-up"),
        ("POST", "/auth/v1/refresh"),
        ("POST", "/auth/v1/sign-out"),
        ("DELETE", "/auth/v1/refresh"),
        ("POST", "/auth/v1/staff/sign-in"),
        ("POST", "/auth/v1/staff/sign-in-wechat"),
        ("POST", "/auth/v1/resident/sign-in-wechat"),
        ("POST", "/auth/v1/staff/set-password"),  # a one-time link is the proof
        ("POST", "/auth/v1/resident/bind"),  # two numbers are the proof
        ("POST", "/auth/v1/resident/unbind"),
        ("POST", "/auth/v1/phone-keys"),  # a key that is never replaced
        ("POST", "/auth/v1/wechat/begin"),
        ("POST", "/auth/v1/wechat/sign-in"),
        ("POST", "/auth/v1/wechat/js-config"),
        ("POST", "/auth/v1/staff/link-wechat/finish"),  # begun with a step-up, and bound to that browser
        ("POST", "/auth/v1/resident/sign-in"),
        ("POST", "/auth/v1/resident/sign-in-code"),
        ("POST", "/auth/v1/resident/bind-phone"),  # the number that WeChat names and the ID number are the proof
        ("POST", "/auth/v1/resident/binding-code"),  # an officer looks at the person and their ID card
        ("POST", "/auth/v1/qr/begin"),
        ("POST", "/auth/v1/qr/look"),
        ("POST", "/auth/v1/qr/confirm"),  # of staff it wants a step-up: test_qr_sign_in
        ("POST", "/auth/v1/qr/decline"),
        ("POST", "/auth/v1/qr/finish"),
    }
    changing = {
        (method, route.path_format)
        for route in system.app.routes
        if route.path.startswith("/auth/v1/")
        for method in route.methods
        if method in {"POST", "PUT", "PATCH", "DELETE"}
    }
    listed = {(method, path.format(other="{device_id}", key="{key_id}")) for method, path, _ in CHANGES}
    assert changing - free == listed


async def test_a_step_up_lasts_for_minutes_and_guessing_it_is_braked(system, services, officer, monkeypatch):
    headers = await step_up(officer.http, OFFICER)
    later = utc_now() + timedelta(minutes=services.settings.step_up_minutes, seconds=1)
    monkeypatch.setattr("server.core.tokens.utc_now", lambda: later)
    late = await officer.http.delete("/auth/v1/staff/second-factor", headers=headers)
    assert late.json()["code"] == "auth.step_up_required"
    monkeypatch.undo()
    for _ in range(services.settings.sign_in_attempts):
        wrong = await officer.http.post("/auth/v1/step-up", json={"password": "guess"})
        assert wrong.json()["code"] == "auth.step_up_failed"
    braked = await officer.http.post("/auth/v1/step-up", json={"password": OFFICER})
    assert braked.json()["code"] == "request.rate_limited"


async def test_a_new_password_ends_the_other_devices_and_its_owner_is_told(system, services, officer, officer_login):
    other = await system.sign_in_at_desk(officer_login, "town_officer")
    headers = await step_up(officer.http, OFFICER)
    path = "/auth/v1/staff/password"
    assert (await officer.http.post(path, json={"password": NEW_PASSWORD}, headers=headers)).status_code == 204
    assert (await other.http.get("/auth/v1/me")).json()["code"] == "auth.device_ended"
    assert (await officer.http.get("/auth/v1/me")).status_code == 200
    assert (await sign_in(system, officer_login)).json()["code"] == "auth.sign_in_failed"
    assert (await sign_in(system, officer_login, NEW_PASSWORD)).status_code == 200
    assert await actions_about(services, officer.id) == [("staff.password_changed", {"devices_ended": 1})]
    await system.run_jobs()
    notice = (await officer.http.get("/desk/v1/notices")).json()["items"][0]
    assert (notice["kind"], "修改了密码" in notice["zh"], "password" in notice["en"]) == ("sign_in_changed", True, True)


async def test_wechat_is_unlinked_and_no_longer_signs_in(system, services, county, officer):
    suffix = next(member.wechat_suffix for member in county.staff if member.login and member.role == "town_officer")
    headers = await step_up(officer.http, OFFICER)
    for _ in range(2):
        assert (await officer.http.delete("/auth/v1/staff/link-wechat", headers=headers)).status_code == 204
    body = {"code": f"demo-{suffix}-7", "device": {"label": "手机"}}
    answer = await system.client().post("/auth/v1/staff/sign-in-wechat", json=body)
    assert answer.json()["code"] == "auth.wechat_not_linked"
    assert [action for action, _ in await actions_about(services, officer.id)] == ["staff.wechat_unlinked"]


@pytest.mark.parametrize("password", ["short7!", "password", "12345678", "zoufang2026"])
async def test_an_easy_password_is_refused_and_the_old_one_stays(system, officer, officer_login, password):
    headers = await step_up(officer.http, OFFICER)
    answer = await officer.http.post("/auth/v1/staff/password", json={"password": password}, headers=headers)
    assert answer.json()["code"] == "auth.password_weak"
    assert (await sign_in(system, officer_login)).status_code == 200


@pytest.mark.parametrize(
    ("at", "code"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]
)
def test_codes_are_those_of_rfc_6238(at, code):
    assert make_code(b"12345678901234567890", at // PERIOD_S) == code


async def test_with_a_second_factor_a_password_alone_opens_nothing(system, services, officer, officer_login):
    secret, _ = await set_second_factor(officer)
    assert (await sign_in(system, officer_login)).json()["code"] == "auth.second_factor_required"
    assert (await sign_in(system, officer_login, secondFactor="000000")).json()["code"] == "auth.second_factor_wrong"
    code = code_at(secret, utc_now())
    assert (await sign_in(system, officer_login, "wrong", secondFactor=code)).json()["code"] == "auth.sign_in_failed"
    assert (await sign_in(system, officer_login, secondFactor=code)).status_code == 200
    again = await sign_in(system, officer_login, secondFactor=code)
    assert again.json()["code"] == "auth.second_factor_wrong"  # a code that was seen is used up
    alone = await officer.http.post("/auth/v1/step-up", json={"password": OFFICER})
    assert alone.json()["code"] == "auth.second_factor_required"
    async with services.sessions() as session:
        rows = str((await session.execute(text("SELECT t::text FROM second_factor t"))).all())
    assert secret not in rows
    assert [action for action, _ in await actions_about(services, officer.id)] == ["staff.second_factor_set"]


async def test_a_linked_wechat_does_not_go_round_the_second_factor(system, county, officer, officer_login):
    secret, _ = await set_second_factor(officer)
    suffix = next(member.wechat_suffix for member in county.staff if member.login == officer_login)
    body = {"code": f"demo-{suffix}-1", "device": {"label": "手机"}}
    path = "/auth/v1/staff/sign-in-wechat"
    assert (await system.client().post(path, json=body)).json()["code"] == "auth.second_factor_required"
    body = {"code": f"demo-{suffix}-2", "device": {"label": "手机"}, "secondFactor": code_at(secret, utc_now())}
    assert (await system.client().post(path, json=body)).status_code == 200


async def test_a_code_is_taken_one_period_early_or_late_and_no_earlier_code_after_it(services, officer):
    secret, _ = await set_second_factor(officer)
    now = utc_now() + timedelta(hours=1)
    period = timedelta(seconds=PERIOD_S)
    expected = [(-2, "wrong"), (2, "wrong"), (-1, "right"), (1, "right"), (0, "wrong"), (1, "wrong")]
    for shift, verdict in expected:
        async with open_session(services.sessions) as session:
            code = code_at(secret, now + shift * period)
            assert await check_code(session, services.encryption, officer.id, code, now) == verdict, shift


async def test_a_recovery_code_opens_once_and_new_ones_end_the_old(system, services, officer, officer_login):
    _, codes = await set_second_factor(officer)
    assert len(set(codes)) == 10
    typed = codes[0].lower().replace("-", " ")
    assert (await sign_in(system, officer_login, secondFactor=typed)).status_code == 200
    assert (await sign_in(system, officer_login, secondFactor=codes[0])).json()["code"] == "auth.second_factor_wrong"
    async with services.sessions() as session:
        rows = str((await session.execute(text("SELECT t::text FROM recovery_code t"))).all())
    assert not any(code.replace("-", "") in rows for code in codes)
    headers = await step_up(officer.http, OFFICER, code=codes[1])
    new = (await officer.http.post("/auth/v1/staff/second-factor/recovery-codes", headers=headers)).json()
    assert (await sign_in(system, officer_login, secondFactor=codes[2])).json()["code"] == "auth.second_factor_wrong"
    assert (await sign_in(system, officer_login, secondFactor=new["recoveryCodes"][0])).status_code == 200
    state = (await officer.http.get("/auth/v1/staff/second-factor")).json()
    assert state == {"isSet": True, "isDue": False, "recoveryCodesLeft": 9}


async def test_the_second_factor_is_removed_by_who_has_it_and_a_new_one_needs_that(system, officer, officer_login):
    _, codes = await set_second_factor(officer)
    headers = await step_up(officer.http, OFFICER, code=codes[0])
    again = await officer.http.post("/auth/v1/staff/second-factor", headers=headers)
    assert again.json()["code"] == "auth.second_factor_set"
    assert (await officer.http.delete("/auth/v1/staff/second-factor", headers=headers)).status_code == 204
    assert (await sign_in(system, officer_login)).status_code == 200


async def require_in(services, area_code):
    async with open_session(services.sessions) as session:
        session.add(
            PolicySetting(
                id=uuid4(), key="sign_in.second_factor_required", area_code=area_code,
                effective_from=today() - timedelta(days=1), value=True, source="示范县文件",
            )
        )  # fmt: skip


async def test_where_an_area_requires_it_an_officer_has_no_roles_until_it_is_set(
    system, services, officer, officer_login, phone
):
    await require_in(services, "339901")
    signed_in = (await sign_in(system, officer_login)).json()
    assert (signed_in["roles"], signed_in["secondFactorDue"]) == ([], True)
    client = system.client(Authorization=f"Bearer {signed_in['accessToken']}")
    for path in ("/desk/v1/queue", "/desk/v1/households", "/field/v1/sync/households/1/pull"):
        assert (await client.get(path)).json()["code"] == "auth.second_factor_due"
    # A device that was signed in before follows with its next refresh.
    old = await system.client().post("/auth/v1/refresh", json={"refreshToken": officer.signed_in["refreshToken"]})
    assert old.json()["secondFactorDue"]
    headers = await step_up(client, OFFICER)
    begun = (await client.post("/auth/v1/staff/second-factor", headers=headers)).json()
    path = "/auth/v1/staff/second-factor/confirm"
    wrong = await client.post(path, json={"code": "12345"}, headers=headers)
    assert wrong.json()["code"] == "auth.second_factor_wrong"
    code = code_at(begun["secret"], utc_now())
    assert (await client.post(path, json={"code": code}, headers=headers)).status_code == 200
    me = (await client.get("/auth/v1/me")).json()
    assert ([role["role"] for role in me["roles"]], me["secondFactorDue"]) == (["town_officer"], False)
    assert (await client.get("/desk/v1/households")).status_code == 200
    # It is a matter of the desk: caseworkers go on as before.
    assert (await phone.http.get("/auth/v1/me")).json()["roles"]


async def test_a_resident_ends_another_device_with_their_own_wechat_alone(system, services, county):
    first, second = county.residents[:2]

    async def open_wechat(resident, code):
        body = {"code": f"demo-{resident.wechat_suffix}-{code}", "device": {"label": "手机"}}
        return (await system.client().post("/auth/v1/resident/sign-in-wechat", json=body)).json()

    lost, mine = await open_wechat(first, "a"), await open_wechat(first, "b")
    client = system.client(Authorization=f"Bearer {mine['accessToken']}")
    path = f"/auth/v1/devices/{lost['deviceId']}"
    assert (await client.delete(path)).json()["code"] == "auth.step_up_required"
    for proof in ({"wechatCode": f"demo-{second.wechat_suffix}-c"}, {"password": "x"}):
        assert (await client.post("/auth/v1/step-up", json=proof)).json()["code"] == "auth.step_up_failed"
    proven = await client.post("/auth/v1/step-up", json={"wechatCode": f"demo-{first.wechat_suffix}-d"})
    headers = {"X-Step-Up": proven.json()["stepUpToken"]}
    assert (await client.delete(path, headers=headers)).status_code == 204
    assert (await client.post("/auth/v1/staff/password", json={"password": NEW_PASSWORD})).json()["code"] == (
        "auth.forbidden"
    )
    async with services.sessions() as session:
        assert (await session.get_one(Device, lost["deviceId"])).ended_at is not None


async def test_each_change_of_sign_in_leaves_a_notice(system, services, officer):
    secret, codes = await set_second_factor(officer)
    headers = await step_up(officer.http, OFFICER, code=code_at(secret, utc_now() + timedelta(seconds=PERIOD_S)))
    await officer.http.post("/auth/v1/staff/link-wechat", json={"code": "demo-newphone-1"}, headers=headers)
    await officer.http.delete("/auth/v1/staff/link-wechat", headers=headers)
    await officer.http.post("/auth/v1/staff/second-factor/recovery-codes", headers=headers)
    await officer.http.delete("/auth/v1/staff/second-factor", headers=headers)
    await system.run_jobs()
    async with services.sessions() as session:
        notices = await session.scalars(select(Notice.facts).where(Notice.staff_id == officer.id))
        notified_of = {facts["what"] for facts in notices}
    assert notified_of == {"设置了动态码", "关联了微信", "取消了微信关联", "生成了新的恢复码", "停用了动态码"}
    assert len(codes) == 10


async def test_an_account_without_a_password_keeps_its_wechat(system, services, county, officer, officer_login):
    suffix = next(member.wechat_suffix for member in county.staff if member.login == officer_login)
    async with open_session(services.sessions) as session:
        await session.execute(update(Staff).where(Staff.id == officer.id).values(password_hash=None))
    proven = await officer.http.post("/auth/v1/step-up", json={"wechatCode": f"demo-{suffix}-5"})
    headers = {"X-Step-Up": proven.json()["stepUpToken"]}
    answer = await officer.http.delete("/auth/v1/staff/link-wechat", headers=headers)
    assert answer.json()["code"] == "auth.no_other_sign_in"


async def test_a_reset_by_an_officer_is_the_way_back_for_a_lost_second_factor(
    system, officer, officer_login, county_desk
):
    await set_second_factor(officer)
    await county_desk.prove()
    link = (await county_desk.http.post(f"/desk/v1/staff/{officer.id}/reset")).json()
    body = {"token": link["token"], "password": NEW_PASSWORD}
    assert (await system.client().post("/auth/v1/staff/set-password", json=body)).status_code == 200
    assert (await sign_in(system, officer_login, NEW_PASSWORD)).status_code == 200


async def test_the_recovery_key_of_a_phone_is_handed_to_its_owner_alone_after_a_step_up(
    system, services, officer, officer_login, county
):
    key_id, key = new_id(), base64.b64encode(secrets.token_bytes(32)).decode()
    for _ in range(2):
        kept = await officer.http.post("/auth/v1/phone-keys", json={"id": str(key_id), "key": key})
        assert (kept.status_code, kept.content) == (204, b"")
    login = next(member.login for member in county.staff if member.role == "caseworker")
    other = await system.sign_in(login, "caseworker")
    usurped = await other.http.post("/auth/v1/phone-keys", json={"id": str(key_id), "key": key[::-1][1:] + "="})
    assert usurped.status_code == 204  # says nothing of whose it is, and changes nothing
    release = f"/auth/v1/phone-keys/{key_id}/release"
    stranger = await step_up(other.http, DEMO_PASSWORDS["caseworker"])
    assert (await other.http.post(release, headers=stranger)).json()["code"] == "thing.not_found"
    assert (await officer.http.post(release)).json()["code"] == "auth.step_up_required"
    released = await officer.http.post(release, headers=await step_up(officer.http, OFFICER))
    assert released.json() == {"key": key}
    async with services.sessions() as session:
        kept_row = await session.get_one(PhoneKey, key_id)
        assert key.encode() not in kept_row.key_sealed
        rows = (await session.scalars(select(AuditEntry).where(AuditEntry.thing_id == str(key_id)))).all()
        assert sorted(row.action for row in rows) == ["phone.key_kept", "phone.key_released"]
        assert key not in str([row.facts for row in rows])
