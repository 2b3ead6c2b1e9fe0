"""The stub's web sign-in refuses what WeChat refuses, and gives each code once."""

from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from server.demo.wechat_stub import create_stub
from server.demo.wechat_web_stub import SERVICE_APP_ID, SERVICE_SECRET

BACK = "https://visits.example.cn/r/wechat"


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def http(clock):
    stub = create_stub(clock=clock, redirect_hosts=["visits.example.cn"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(stub), base_url="http://wechat.test") as client:
        yield client


def address(redirect=BACK, *, app=SERVICE_APP_ID, scope="snsapi_base", state="a1B2"):
    return (
        f"/connect/oauth2/authorize?appid={app}&redirect_uri={quote(redirect, safe='')}&response_type=code"
        f"&scope={scope}&state={state}"
    )


async def exchange(http, code, **changes):
    query = {"appid": SERVICE_APP_ID, "secret": SERVICE_SECRET, "code": code, "grant_type": "authorization_code"}
    return (await http.get("/sns/oauth2/access_token", params=query | changes)).json()


async def consent(http, suffix="wanxia", **address_changes):
    answer = await http.post(address(**address_changes), data={"suffix": suffix})
    assert answer.status_code == 302
    return parse_qs(urlsplit(answer.headers["location"]).query)


async def test_the_page_offers_the_people_of_the_demo_and_sends_back_code_and_state(http):
    page = await http.get(address())
    assert "林禾溪" in page.text
    assert "申请人" in page.text
    sent = await http.post(address(), data={"suffix": "wanxia"})
    assert sent.headers["location"].startswith(f"{BACK}?code=web")
    assert sent.headers["location"].endswith("&state=a1B2")


async def test_who_declines_comes_back_with_the_state_alone(http):
    sent = await http.post(address(), data={"declined": "1"})
    assert sent.headers["location"] == f"{BACK}?state=a1B2"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (address("https://evil.example/r/wechat"), "10003"),
        (address("https://visits.example.cn:8443/r/wechat"), "10003"),
        (address("javascript:alert(1)"), "10003"),
        (address(state="a-b"), "10013"),
        (address(state="a" * 129), "10013"),
        (address(app="wx-other"), "10012"),
        (address(scope="snsapi_login"), "10005"),
        (address().replace("&response_type=code", "") + "&response_type=code", "顺序不对"),
    ],
)
async def test_an_address_that_wechat_refuses_is_refused_and_sends_nobody_anywhere(http, url, words):
    for answer in (await http.get(url), await http.post(url, data={"suffix": "wanxia"})):
        assert words in answer.text
        assert "location" not in answer.headers


async def test_a_code_works_once_and_for_five_minutes(http, clock):
    code = (await consent(http))["code"][0]
    first = await exchange(http, code)
    assert (first["openid"], first["scope"], "unionid" in first) == ("oSVdemo-wanxia", "snsapi_base", False)
    assert (await exchange(http, code))["errcode"] == 40163
    late = (await consent(http))["code"][0]
    clock.now += 301
    assert (await exchange(http, late))["errcode"] == 42003
    assert (await exchange(http, "nonsense"))["errcode"] == 40029
    assert (await exchange(http, ""))["errcode"] == 41008
    assert (await exchange(http, "x", secret="wrong"))["errcode"] == 40125
    assert (await exchange(http, "x", appid="wx-other"))["errcode"] == 40013


async def test_only_userinfo_shows_the_unionid_and_a_snapshot_user_is_marked(http):
    shown = await exchange(http, (await consent(http, scope="snsapi_userinfo"))["code"][0])
    assert shown["unionid"] == "uZFdemo-wanxia"
    virtual = await exchange(http, (await consent(http, "snapshot1"))["code"][0])
    assert virtual["is_snapshotuser"] == 1
