"""A QR code signs in the browser that shows it, once, when somebody inside WeChat types the number beside it."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.demo.staff import DEMO_PASSWORDS
from server.identity import qr_routes
from server.identity.links import end_all_devices
from server.models.audit import AuditEntry
from server.models.people import Identity
from server.models.sign_in import QrSignIn
from tests.identity.test_web_sign_in import Browser
from tests.phones import step_up

DEVICE = {"label": "浏览器"}


class Screen:
    """The browser that shows a code."""

    def __init__(self, system, app="desk"):
        self.system, self.app = system, app
        self.http = system.client()

    async def begin(self):
        body = {"webApp": self.app, "label": "Windows 电脑"}
        answer = await self.http.post("/auth/v1/qr/begin", json=body)
        name = f"zoufang-{self.app}-qr"
        assert re.search(rf"{name}=[^;]+;.*HttpOnly.*SameSite=strict", answer.headers["set-cookie"], re.IGNORECASE)
        self.http.headers["Cookie"] = f"{name}={answer.cookies[name]}"
        shown = answer.json()
        self.code, self.number = shown["url"].partition("#")[2], shown["number"]
        return self

    async def finish(self, **more):
        return await self.http.post("/auth/v1/qr/finish", json={"webApp": self.app, "device": DEVICE} | more)

    async def state(self):
        return (await self.finish()).json()["state"]


def code_of(answer):
    return answer.status_code, answer.json()["code"]


@pytest.fixture
async def officer(system, services):
    """An officer signed in on their phone, in WeChat."""
    desk = await system.sign_in_at_desk("panhuaixu", "town_officer")
    async with open_session(services.sessions) as session:
        session.add(
            Identity(id=new_id(), staff_id=desk.id, provider="wechat", app="service_account", subject="oSVdemo-pan")
        )
    return desk


@pytest.fixture
async def resident(system):
    answer = await Browser(system).sign_in("resident1")
    return system.client(Authorization=f"Bearer {answer.json()['signedIn']['accessToken']}")


async def confirm(http, screen, number=None):
    """Type the number; staff with their password, as every change to sign-in wants it."""
    body = {"code": screen.code, "number": number or screen.number}
    is_staff = (await http.get("/auth/v1/me")).json().get("name")
    headers = await step_up(http, DEMO_PASSWORDS["town_officer"]) if is_staff else {}
    return await http.post("/auth/v1/qr/confirm", json=body, headers=headers)


async def test_the_browser_that_shows_the_code_is_signed_in_once_the_number_was_typed(system, services, officer):
    screen = await Screen(system).begin()
    assert await screen.state() == "waiting"
    seen = (await officer.http.post("/auth/v1/qr/look", json={"code": screen.code})).json()
    assert (seen["webApp"], seen["label"], seen["isSameNetwork"]) == ("desk", "Windows 电脑", True)
    assert (await confirm(officer.http, screen)).status_code == 204
    answer = await screen.finish()
    body = answer.json()
    assert (body["state"], body["signedIn"]["personId"]) == ("signed_in", str(officer.id))
    assert body["signedIn"]["refreshToken"] is None
    assert any(cookie.startswith("zoufang-desk=") for cookie in answer.headers.get_list("set-cookie"))
    assert code_of(await screen.finish()) == (409, "qr.ended")
    async with services.sessions() as session:
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "device.confirmed"))
        assert entry.actor_id == officer.id
    await system.run_jobs()
    notices = (await officer.http.get("/desk/v1/notices")).json()["items"]
    assert [(line["kind"], line["facts"]["what"]) for line in notices] == [("sign_in_changed", "扫码登录了一台电脑")]


async def test_staff_confirm_with_their_password_so_that_a_stolen_token_is_no_session(system, officer):
    screen = await Screen(system).begin()
    body = {"code": screen.code, "number": screen.number}
    answer = await officer.http.post("/auth/v1/qr/confirm", json=body)
    assert code_of(answer) == (403, "auth.step_up_required")
    assert await screen.state() == "waiting"


async def test_no_other_browser_is_signed_in_by_a_code_that_was_passed_on(system, officer):
    screen, other = await Screen(system).begin(), await Screen(system).begin()
    await confirm(officer.http, screen)
    assert await other.state() == "waiting"
    stranger = system.client()
    answer = await stranger.post("/auth/v1/qr/finish", json={"webApp": "desk", "device": DEVICE})
    assert code_of(answer) == (404, "qr.invalid")


async def test_a_wrong_number_ends_the_code(system, officer):
    screen = await Screen(system).begin()
    wrong = "10" if screen.number != "10" else "11"
    assert code_of(await confirm(officer.http, screen, wrong)) == (400, "qr.number_wrong")
    assert code_of(await confirm(officer.http, screen)) == (409, "qr.ended")
    assert await screen.state() == "declined"


async def test_a_code_that_was_declined_or_is_late_signs_nobody_in(system, officer, monkeypatch):
    screen = await Screen(system).begin()
    assert (await officer.http.post("/auth/v1/qr/decline", json={"code": screen.code})).status_code == 204
    assert await screen.state() == "declined"
    late = await Screen(system).begin()
    monkeypatch.setattr(qr_routes, "utc_now", lambda: utc_now() + timedelta(minutes=2))
    assert code_of(await confirm(officer.http, late)) == (409, "qr.ended")
    assert code_of(await late.finish()) == (409, "qr.ended")


async def test_a_code_is_confirmed_by_people_of_its_app_who_have_wechat(system, officer, resident):
    screen = await Screen(system).begin()
    assert (await confirm(resident, screen)).json()["code"] == "auth.forbidden"
    without = await system.sign_in_at_desk("yusonggu", "town_officer")
    async with open_session(system.services.sessions) as session:
        for identity in await session.scalars(select(Identity).where(Identity.staff_id == without.id)):
            await session.delete(identity)
    assert code_of(await confirm(without.http, screen)) == (404, "auth.wechat_not_linked")
    assert (await confirm(system.client(), screen)).status_code == 401
    unknown = await officer.http.post("/auth/v1/qr/look", json={"code": "x"})
    assert code_of(unknown) == (404, "qr.invalid")
    own = await Screen(system, "resident").begin()
    assert (await confirm(resident, own)).status_code == 204
    assert await own.state() == "signed_in"


async def test_another_network_is_said_to_who_confirms(system, officer, services):
    screen = await Screen(system).begin()
    elsewhere = await officer.http.post("/auth/v1/qr/look", json={"code": screen.code})
    assert elsewhere.json()["isSameNetwork"] is True
    async with open_session(services.sessions) as session:
        (await session.scalars(select(QrSignIn))).one().address_hash = b"another"
    elsewhere = await officer.http.post("/auth/v1/qr/look", json={"code": screen.code})
    assert elsewhere.json()["isSameNetwork"] is False


async def test_a_device_that_was_ended_after_it_confirmed_signs_in_nothing(system, services, officer, resident):
    screen, page = await Screen(system).begin(), await Screen(system, "resident").begin()
    assert (await confirm(officer.http, screen)).status_code == 204
    assert (await confirm(resident, page)).status_code == 204
    async with open_session(services.sessions) as session:
        await end_all_devices(session, officer.id, utc_now(), "ended_by_officer")
    assert await screen.state() == "declined"
    assert await page.state() == "signed_in"
