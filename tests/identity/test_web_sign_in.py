"""Web sign-in by WeChat: bound to a browser, taken once within five minutes; who is known, who is joined, who is not."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from sqlalchemy import func, select

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.settings import SettingsError, load_settings
from server.demo.staff import DEMO_PASSWORDS
from server.identity import web_sign_in, wechat_routes
from server.models.people import Identity, Resident
from server.models.sign_in import WechatFlow
from tests.makers.identities import make_resident
from tests.phones import step_up

DEVICE = {"label": "微信"}
PAGES = {"phone": "/m/", "resident": "/r/", "desk": "/desk/"}


class Browser:
    """One browser: its cookies stay with it, and it holds the state that WeChat would hand back."""

    def __init__(self, system, app="resident", **headers):
        self.system, self.app = system, app
        self.http = system.client(**headers)
        self.url = ""

    async def begin(self, target=None, path="/auth/v1/wechat/begin", **options):
        body = {"webApp": self.app, "target": target or PAGES[self.app]}
        answer = await self.http.post(path, json=body, **options)
        if answer.status_code == 200:
            self.note(answer, answer.json()["url"])
        return answer

    def note(self, answer, url):
        """Keep the cookie as a browser does; the address of tests has no TLS, which its `Secure` asks for."""
        name = f"zoufang-{self.app}-wechat"
        assert re.search(rf"{name}=[^;]+;.*HttpOnly.*SameSite=strict", answer.headers["set-cookie"], re.IGNORECASE)
        self.http.headers["Cookie"] = f"{name}={answer.cookies[name]}"
        self.url = url

    @property
    def params(self):
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}

    async def consent(self, suffix):
        """Consent in WeChat, and return the code that it adds to the address."""
        return await web_code(self.system, suffix, self.params["scope"])

    async def come_back(self, code=None, *, state=None, **more):
        body = {"state": state or self.params["state"], "code": code, "webApp": self.app, "device": DEVICE}
        return await self.http.post("/auth/v1/wechat/sign-in", json=body | more)

    async def sign_in(self, suffix):
        """The whole flow, with the further consent that a person who is not known yet is asked for."""
        assert (await self.begin()).status_code == 200
        answer = await self.come_back(await self.consent(suffix))
        if answer.status_code == 200 and (url := answer.json()["consentUrl"]):
            self.note(answer, url)
            answer = await self.come_back(await self.consent(suffix))
        return answer


async def web_code(system, suffix, scope="snsapi_base"):
    client = system.services.wechat_service
    answer = await client._call("GET", "/_stub/web-code", {"suffix": suffix, "scope": scope})
    return answer["code"]


def code_of(answer):
    return answer.status_code, answer.json()["code"]


async def test_the_address_is_in_wechats_order_and_holds_no_target(system):
    browser = Browser(system)
    await browser.begin("/r/cases/7?from=slip")
    assert re.fullmatch(
        r"https://open\.weixin\.qq\.com/connect/oauth2/authorize\?appid=wx-demo-service"
        r"&redirect_uri=http%3A%2F%2Fzoufang\.test%2Fr%2Fwechat&response_type=code&scope=snsapi_base"
        r"&state=[a-zA-Z0-9]{48}#wechat_redirect",
        browser.url,
    )
    assert "slip" not in browser.url


async def test_a_resident_signs_in_on_the_web_and_is_shown_the_page_they_wanted(system, services):
    async with open_session(services.sessions) as session:
        resident = await make_resident(session, "oSVdemo-wanxia", app="service_account")
    browser = Browser(system)
    await browser.begin("/r/complain")
    answer = await browser.come_back(await browser.consent("wanxia"))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["target"], body["consentUrl"], body["signedIn"]["refreshToken"]) == ("/r/complain", None, None)
    assert body["signedIn"]["personId"] == str(resident.id)
    cookies = answer.headers.get_list("set-cookie")
    assert any(cookie.startswith("zoufang-resident=") for cookie in cookies)
    assert any("zoufang-resident-wechat=" in cookie and "Max-Age=0" in cookie for cookie in cookies)


async def test_the_mini_programs_resident_is_joined_once_by_the_unionid(system, services):
    code = {"code": "demo-qiaohe-1", "device": DEVICE}
    mini = (await system.client().post("/auth/v1/resident/sign-in-wechat", json=code)).json()
    browser = Browser(system)
    await browser.begin()
    first = await browser.come_back(await browser.consent("qiaohe"))
    assert "scope=snsapi_userinfo" in first.json()["consentUrl"]
    assert first.json()["signedIn"] is None
    browser.note(first, first.json()["consentUrl"])
    joined = await browser.come_back(await browser.consent("qiaohe"))
    assert joined.json()["signedIn"]["personId"] == mini["personId"]
    again = Browser(system)
    await again.begin()
    later = await again.come_back(await again.consent("qiaohe"))  # by `snsapi_base` alone from now on
    assert later.json()["signedIn"]["personId"] == mini["personId"]
    async with open_session(services.sessions) as session:
        apps = await session.scalars(select(Identity.app).where(Identity.resident_id == mini["personId"]))
        assert sorted(apps) == ["miniprogram", "open_platform", "service_account"]


async def test_who_declines_the_further_consent_is_a_resident_of_their_own(system, services):
    browser = Browser(system)
    await browser.begin()
    first = await browser.come_back(await browser.consent("suhe"))
    browser.note(first, first.json()["consentUrl"])
    answer = await browser.come_back(None)
    assert answer.json()["signedIn"]["personId"]
    async with open_session(services.sessions) as session:
        apps = await session.scalars(select(Identity.app).where(Identity.subject == "oSVdemo-suhe"))
        assert list(apps) == ["service_account"]


async def test_who_declines_is_not_signed_in_and_has_made_nothing(system, services):
    browser = Browser(system)
    await browser.begin()
    assert code_of(await browser.come_back(None)) == (403, "wechat.declined")
    async with open_session(services.sessions) as session:
        assert await session.scalar(select(func.count()).select_from(Resident)) == 0


async def test_the_further_consent_of_another_person_is_refused(system):
    browser = Browser(system)
    await browser.begin()
    first = await browser.come_back(await browser.consent("suhe"))
    browser.note(first, first.json()["consentUrl"])
    assert code_of(await browser.come_back(await browser.consent("other"))) == (400, "wechat.state_invalid")


async def test_a_state_works_in_the_browser_that_began_and_in_no_other(system):
    """A stolen state brings nobody in, and a planted one signs nobody in as somebody else."""
    victim, thief = Browser(system), Browser(system)
    await victim.begin()
    code = await victim.consent("wanxia")
    assert code_of(await thief.come_back(code, state=victim.params["state"])) == (400, "wechat.state_invalid")
    await thief.begin()
    assert code_of(await thief.come_back(code, state=victim.params["state"])) == (400, "wechat.state_invalid")
    other_app = await victim.come_back(code, webApp="phone")
    assert code_of(other_app) == (400, "wechat.state_invalid")
    assert (await victim.come_back(code)).status_code == 200


async def test_a_state_is_taken_once_also_when_wechat_refused_its_code(system):
    browser = Browser(system)
    await browser.begin()
    assert code_of(await browser.come_back("error-40029")) == (400, "wechat.web_code_invalid")
    assert code_of(await browser.come_back(await browser.consent("wanxia"))) == (409, "wechat.state_used")
    signed_in = Browser(system)
    assert (await signed_in.sign_in("wanxia")).status_code == 200
    assert code_of(await signed_in.come_back(await signed_in.consent("wanxia"))) == (409, "wechat.state_used")


async def test_a_state_ends_after_five_minutes(system, monkeypatch):
    browser = Browser(system)
    await browser.begin()
    code = await browser.consent("wanxia")
    monkeypatch.setattr(wechat_routes, "utc_now", lambda: utc_now() + timedelta(minutes=5))
    assert code_of(await browser.come_back(code)) == (400, "wechat.state_expired")


@pytest.mark.parametrize(
    ("code", "status", "result"),
    [
        ("error-40029", 400, "wechat.web_code_invalid"),
        ("error-40163", 400, "wechat.web_code_invalid"),
        ("error-42003", 400, "wechat.web_code_invalid"),
        ("error-41008", 400, "wechat.web_code_invalid"),
        ("error-40226", 403, "wechat.blocked"),
        ("error-45011", 429, "wechat.too_many"),
        ("error-40125", 503, "wechat.unavailable"),
        ("error--1", 503, "wechat.unavailable"),
    ],
)
async def test_each_refusal_of_the_web_sign_in_has_its_code(system, code, status, result):
    browser = Browser(system)
    await browser.begin()
    assert code_of(await browser.come_back(code)) == (status, result)


async def test_a_code_that_was_used_before_is_refused(system, services):
    async with open_session(services.sessions) as session:
        await make_resident(session, "oSVdemo-wanxia", app="service_account")
    first, second = Browser(system), Browser(system)
    await first.begin()
    await second.begin()
    code = await first.consent("wanxia")
    assert (await first.come_back(code)).status_code == 200
    assert code_of(await second.come_back(code)) == (400, "wechat.web_code_invalid")


async def test_a_snapshot_user_is_told_to_open_the_full_page_and_gets_no_account(system, services):
    browser = Browser(system)
    await browser.begin()
    answer = await browser.come_back(await browser.consent("snapshot1"))
    assert code_of(answer) == (403, "wechat.snapshot")
    assert "使用完整服务" in answer.json()["detail"]
    async with open_session(services.sessions) as session:
        assert await session.scalar(select(func.count()).select_from(Resident)) == 0


@pytest.mark.parametrize(
    ("web_app", "target"),
    [
        ("resident", "https://evil.example/"),
        ("resident", "//evil.example/"),
        ("resident", "/r//evil.example/"),
        ("resident", "/r/\\evil"),
        ("resident", "/desk/"),
        ("resident", "/r/#x"),
        ("phone", "/r/"),
    ],
)
async def test_nobody_is_sent_elsewhere_after_the_sign_in(system, web_app, target):
    assert code_of(await Browser(system, web_app).begin(target)) == (400, "request.invalid")


async def test_an_installation_without_a_service_account_says_so(system, services, monkeypatch):
    settings = msgspec.structs.replace(services.settings, wechat_service_app_id="")
    monkeypatch.setitem(services.__dict__, "settings", settings)
    assert code_of(await Browser(system).begin()) == (404, "wechat.web_not_set_up")


async def test_one_address_begins_so_many_sign_ins_and_no_more(system, monkeypatch):
    monkeypatch.setattr(web_sign_in, "MAX_BEGUN", 3)
    browser = Browser(system)
    for _ in range(3):
        assert (await browser.begin()).status_code == 200
    assert code_of(await browser.begin()) == (429, "request.rate_limited")


async def test_staff_sign_in_on_the_web_once_the_mini_program_has_linked_them(system, county):
    person = next(member for member in county.staff if member.role == "caseworker")
    for app in ("phone", "desk"):
        answer = await Browser(system, app).sign_in(person.wechat_suffix)
        assert answer.json()["signedIn"]["name"] == person.name


async def test_a_strangers_wechat_is_no_staff_account(system):
    assert code_of(await Browser(system, "desk").sign_in("stranger")) == (404, "auth.wechat_not_linked")


async def linked(system, officer, suffix, app="desk"):
    """Link this WeChat by the web flow; return the last answer and the browser."""
    browser = Browser(system, app, Authorization=officer.http.headers["Authorization"])
    proof = await step_up(officer.http, DEMO_PASSWORDS["town_officer"])
    begun = await browser.begin(path="/auth/v1/staff/link-wechat/begin", headers=proof)
    assert begun.status_code == 200, begun.text
    body = {"state": browser.params["state"], "code": await browser.consent(suffix)}
    path = f"/auth/v1/staff/link-wechat/finish?app={app}"
    return await browser.http.post(path, json=body), browser


@pytest.fixture
async def officer(system, county):
    login = next(member.login for member in county.staff if member.role == "town_officer")
    return await system.sign_in_at_desk(login, "town_officer")


async def test_staff_link_a_wechat_while_signed_in_and_sign_in_by_it_until_it_is_unlinked(system, officer):
    answer, _ = await linked(system, officer, "mynew")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"target": "/desk/"}
    signed_in = await Browser(system, "desk").sign_in("mynew")
    assert signed_in.json()["signedIn"]["personId"] == str(officer.id)
    proof = await step_up(officer.http, DEMO_PASSWORDS["town_officer"])
    assert (await officer.http.delete("/auth/v1/staff/link-wechat", headers=proof)).status_code == 204
    assert code_of(await Browser(system, "desk").sign_in("mynew")) == (404, "auth.wechat_not_linked")


async def test_linking_takes_a_step_up_and_another_persons_wechat_stays_theirs(system, county, officer):
    browser = Browser(system, "desk", Authorization=officer.http.headers["Authorization"])
    refused = await browser.begin(path="/auth/v1/staff/link-wechat/begin")
    assert code_of(refused) == (403, "auth.step_up_required")
    other = next(member for member in county.staff if member.role == "supervisor")
    answer, _ = await linked(system, officer, other.wechat_suffix)
    assert code_of(answer) == (409, "auth.wechat_linked_elsewhere")


async def test_a_link_is_ended_by_whom_it_was_begun_and_is_no_sign_in(system, county, officer):
    browser = Browser(system, "desk", Authorization=officer.http.headers["Authorization"])
    proof = await step_up(officer.http, DEMO_PASSWORDS["town_officer"])
    await browser.begin(path="/auth/v1/staff/link-wechat/begin", headers=proof)
    code = await browser.consent("mynew")
    assert code_of(await browser.come_back(code)) == (400, "wechat.state_invalid")
    login = next(member.login for member in county.staff if member.role == "county_officer")
    other = await system.sign_in_at_desk(login, "county_officer")
    headers = {"Authorization": other.http.headers["Authorization"]}
    body = {"state": browser.params["state"], "code": code}
    path = "/auth/v1/staff/link-wechat/finish?app=desk"
    assert code_of(await browser.http.post(path, json=body, headers=headers)) == (400, "wechat.state_invalid")
    assert (await browser.http.post(path, json=body)).status_code == 200


async def test_a_second_factor_follows_on_the_same_state_although_the_code_is_spent(system, officer, monkeypatch):
    await linked(system, officer, "mynew")
    browser = Browser(system, "desk")
    given = {}

    async def check(session, encryption, staff_id, code, now):
        given["staff"] = staff_id
        return {None: "required", "123456": "right"}.get(code, "wrong")

    monkeypatch.setattr("server.identity.sign_in.check_code", check)
    await browser.begin()
    code = await browser.consent("mynew")
    assert code_of(await browser.come_back(code)) == (401, "auth.second_factor_required")
    assert code_of(await browser.come_back(code)) == (409, "wechat.state_used")
    assert code_of(await browser.come_back(secondFactor="000000")) == (401, "auth.second_factor_wrong")
    assert (await browser.come_back(secondFactor="123456")).json()["signedIn"]["personId"] == str(officer.id)
    assert code_of(await browser.come_back(secondFactor="123456")) == (409, "wechat.state_used")


async def test_sign_ins_that_were_begun_are_deleted_after_a_day(system, services):
    await Browser(system).begin()
    async with open_session(services.sessions) as session:
        await web_sign_in.purge_flows(session, utc_now() + timedelta(hours=23))
        assert await session.scalar(select(func.count()).select_from(WechatFlow)) == 1
        await web_sign_in.purge_flows(session, utc_now() + timedelta(hours=25))
        assert await session.scalar(select(func.count()).select_from(WechatFlow)) == 0


async def test_wechats_verification_file_is_served_at_the_root_and_no_other(system):
    transport = httpx.ASGITransport(system.app)  # it is no part of the described API
    async with httpx.AsyncClient(transport=transport, base_url="http://zoufang.test") as client:
        answer = await client.get("/MP_verify_k7Qz.txt")
        assert (answer.status_code, answer.text) == (200, "k7Qz")
        assert (await client.get("/MP_verify_other.txt")).status_code == 404


@pytest.mark.parametrize(
    "value", ["robots.txt=x", "MP_verify_x.txt", "MP_verify_../x.txt=y", "MP_verify_x.html=y", "MP_verify_x.txt=<b>"]
)
def test_the_name_of_a_verification_file_is_checked(value):
    with pytest.raises(SettingsError, match="WECHAT_VERIFICATION"):
        load_settings({"ZOUFANG_WECHAT_VERIFICATION": value}, complete=False)
