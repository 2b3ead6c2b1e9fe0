"""The web apps as files: who serves them, with which headers, and how a browser stays signed in."""

import re

import httpx
import pytest
from litestar import Litestar

from server.demo.staff import DEMO_PASSWORDS
from server.http.error_handlers import EXCEPTION_HANDLERS
from server.http.web_apps import APPS, build_handlers
from tests.asgi import transport_to

DEVICE = {"label": "a browser", "platform": "web"}


@pytest.fixture
def built(tmp_path):
    for app in APPS:
        (tmp_path / app / "assets").mkdir(parents=True)
        (tmp_path / app / "index.html").write_text(f"<title>{app}</title>" + " " * 1200)
        (tmp_path / app / "assets" / "index-1a2b.js").write_text("let plain")
        (tmp_path / app / "assets" / "index-1a2b.js.br").write_bytes(b"brotli")
    return tmp_path


@pytest.fixture
def browser(settings, built):
    app = Litestar(build_handlers(settings, built), exception_handlers=EXCEPTION_HANDLERS, openapi_config=None)
    return httpx.AsyncClient(transport=transport_to(app), base_url="http://zoufang.test")


@pytest.mark.parametrize("app", APPS)
async def test_any_screen_of_an_app_is_its_page_and_is_asked_for_again_each_time(browser, app):
    for address in ("", "/", "/visits/0192"):
        answer = await browser.get(f"/{app}{address}", headers={"Accept-Encoding": "identity"})
        assert answer.status_code == 200
        assert answer.text.strip() == f"<title>{app}</title>"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_a_file_that_is_not_there_is_no_page(browser):
    assert (await browser.get("/m/assets/gone-3c4d.js")).status_code == 404


async def test_files_with_a_hash_are_kept_for_good_and_sent_as_compressed_at_the_build(browser):
    plain = await browser.get("/m/assets/index-1a2b.js", headers={"Accept-Encoding": "identity"})
    assert plain.text == "let plain"
    assert "immutable" in plain.headers["cache-control"]
    request = browser.build_request("GET", "/m/assets/index-1a2b.js", headers={"Accept-Encoding": "gzip, br"})
    packed = await browser.send(request, stream=True)
    assert packed.headers["content-encoding"] == "br"
    assert b"".join([part async for part in packed.aiter_raw()]) == b"brotli"


async def test_pages_run_no_script_but_ours_and_stand_in_no_frame(browser):
    headers = (await browser.get("/m/")).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["script-src"] == "'self'"
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in policy["style-src"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


async def test_wechats_own_script_is_allowed_on_phone_and_resident_pages_inside_wechat_alone(browser):
    inside = {
        "User-Agent": "Mozilla/5.0 (Linux; Android 14) XWEB/1300 MMWEBSDK/2026 MicroMessenger/8.0.50 WeChat/arm64"
    }
    policies = [
        (await browser.get(path, headers=headers)).headers["content-security-policy"]
        for path, headers in (("/m/", inside), ("/m/", {}), ("/r/", inside), ("/r/", {}), ("/desk/", inside))
    ]
    assert ["https://res.wx.qq.com" in policy for policy in policies] == [True, False, True, False, False]


@pytest.mark.parametrize(
    "address", ["/m/", "/r/", "/desk/", "/desk/visits/0192", "/p/unknown", "/l/unknown", "/schema"]
)
async def test_whatever_is_a_page_has_a_policy_and_names_no_other_host(system, address):
    client = httpx.AsyncClient(transport=httpx.ASGITransport(system.app), base_url="http://zoufang.test")
    answer = await client.get(address)
    if not answer.headers["content-type"].startswith("text/html"):
        assert answer.json()["openapi"]
        return
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy.get("script-src", "'self'") == "'self'"
    assert re.findall(r"https?://[^\s\"'<]+", answer.text) == []


async def test_an_unknown_desk_address_of_the_api_is_a_problem_and_not_a_page(system):
    answer = await system.client().get("/desk/v1/nothing-here")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


# --- the refresh token of a browser ---


async def sign_in(client, login, **words):
    body = {"login": login, "password": DEMO_PASSWORDS["caseworker"], "device": DEVICE, **words}
    return await client.post("/auth/v1/staff/sign-in", json=body)


@pytest.fixture
def login(county):
    return next(staff_member.login for staff_member in county.staff if staff_member.role == "caseworker")


async def test_a_web_app_gets_its_refresh_token_as_a_cookie_that_no_script_reads(system, login):
    client = system.client()
    answer = await sign_in(client, login, webApp="phone")
    assert answer.json()["refreshToken"] is None
    cookie = answer.headers["set-cookie"]
    for promised in ("zoufang-phone=", "HttpOnly", "SameSite=strict", "Path=/auth/v1/refresh", "Secure"):
        assert promised in cookie
    client.cookies.clear()
    token = cookie.partition("=")[2].partition(";")[0]
    headers = {"Cookie": f"zoufang-phone={token}"}
    fresh = await client.post("/auth/v1/refresh", json={"webApp": "phone"}, headers=headers)
    assert fresh.status_code == 200
    assert fresh.json()["refreshToken"] is None
    assert "zoufang-phone=" in fresh.headers["set-cookie"]


async def test_one_app_does_not_spend_the_cookie_of_another(system, login):
    client = system.client()
    answer = await sign_in(client, login, webApp="phone")
    token = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    refused = await client.post(
        "/auth/v1/refresh", json={"webApp": "desk"}, headers={"Cookie": f"zoufang-phone={token}"}
    )
    assert refused.json()["code"] == "auth.refresh_invalid"


async def test_programs_get_the_token_in_the_answer_as_before(system, login):
    answer = await sign_in(system.client(), login)
    assert answer.json()["refreshToken"]
    assert "set-cookie" not in answer.headers
