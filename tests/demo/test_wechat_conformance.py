"""The stub refuses what WeChat refuses: one table of requests and the error codes that they get."""

import httpx
import pytest

from server.demo.wechat_stub import (
    DEMO_APP_ID,
    DEMO_SECRET,
    FORCED_TOKENS_A_DAY,
    SIGN_INS_A_MINUTE,
    create_stub,
)
from server.demo.wechat_web_stub import SERVICE_APP_ID, SERVICE_SECRET

MINI = {"appid": DEMO_APP_ID, "secret": DEMO_SECRET}
SERVICE = {"appid": SERVICE_APP_ID, "secret": SERVICE_SECRET}
LOGIN, WEB, TOKEN = "/sns/jscode2session", "/sns/oauth2/access_token", "/cgi-bin/stable_token"
PHONE, TICKET = "/wxa/business/getuserphonenumber", "/cgi-bin/ticket/getticket"
TO_MINI, TO_SERVICE = "/cgi-bin/message/subscribe/send", "/cgi-bin/message/subscribe/bizsend"
TEMPLATE = "/cgi-bin/message/template/send"
GRANT = {"grant_type": "authorization_code"}
CLIENT = {"grant_type": "client_credential"}
SENT = {"touser": "oZFdemo-a", "template_id": "t", "page": "pages/index", "data": {"thing1": {"value": "您好"}}}
TOLD = SENT | {"touser": "oSVdemo-a", "page": "https://a.example/r/"}


class Clock:
    now = 1_700_000_000.0

    def __call__(self):
        return self.now


class Stub:
    """The stub, with a token and a fresh code of each app at hand."""

    def __init__(self, http, clock):
        self.http, self.clock = http, clock

    async def get(self, path, query):
        return (await self.http.get(path, params=query)).json()

    async def post(self, path, body, **query):
        return (await self.http.post(path, json=body, params=query)).json()

    async def token(self, app, **more):
        return (await self.post(TOKEN, app | CLIENT | more))["access_token"]

    async def code(self, suffix="a"):
        return (await self.get("/_stub/code", {"suffix": suffix}))["code"]

    async def web_code(self, suffix="a"):
        return (await self.get("/_stub/web-code", {"suffix": suffix}))["code"]

    async def login(self, code, **changes):
        return await self.get(LOGIN, MINI | GRANT | {"js_code": code} | changes)

    async def exchange(self, code, **changes):
        return await self.get(WEB, SERVICE | GRANT | {"code": code} | changes)

    async def send(self, path, message, app=MINI, **changes):
        return await self.post(path, message | changes, access_token=await self.token(app))


@pytest.fixture
async def stub():
    clock = Clock()
    transport = httpx.ASGITransport(create_stub(clock=clock, redirect_hosts=["visits.example.cn"]))
    async with httpx.AsyncClient(transport=transport, base_url="http://wechat.test") as http:
        yield Stub(http, clock)


async def used(stub):
    code = await stub.code()
    await stub.login(code)
    return await stub.login(code)


async def late(stub):
    code = await stub.code()
    stub.clock.now += 301
    return await stub.login(code)


async def web_used(stub):
    code = await stub.web_code()
    await stub.exchange(code)
    return await stub.exchange(code)


async def web_late(stub):
    code = await stub.web_code()
    stub.clock.now += 301
    return await stub.exchange(code)


async def old_token(stub):
    token = await stub.token(MINI)
    stub.clock.now += 7200
    return await stub.post(TO_MINI, SENT, access_token=token)


async def ended_token(stub):
    token = await stub.token(MINI)
    await stub.token(MINI, force_refresh=True)
    return await stub.post(TO_MINI, SENT, access_token=token)


async def forced_too_often(stub):
    for _ in range(FORCED_TOKENS_A_DAY):
        await stub.token(MINI, force_refresh=True)
    return await stub.post(TOKEN, MINI | CLIENT | {"force_refresh": True})


async def signed_in_too_often(stub):
    for _ in range(SIGN_INS_A_MINUTE):
        assert "openid" in await stub.login(await stub.code())
    return await stub.login(await stub.code())


async def consent_spent(stub):
    await stub.get("/_stub/consent", {"suffix": "a", "templates": "t"})
    assert (await stub.send(TO_SERVICE, TOLD, SERVICE))["errcode"] == 0
    return await stub.send(TO_SERVICE, TOLD, SERVICE)


async def consent_revoked(stub):
    await stub.get("/_stub/consent", {"suffix": "a", "templates": "t"})
    await stub.get("/_stub/revoke", {"suffix": "a", "templates": "t"})
    return await stub.send(TO_SERVICE, TOLD, SERVICE)


REFUSED = {
    "mini: no code": (41008, lambda stub: stub.login("")),
    "mini: never issued": (40029, lambda stub: stub.login("nonsense")),
    "mini: a code used before": (40163, used),
    "mini: a code after five minutes": (40029, late),
    "mini: no grant type": (40002, lambda stub: stub.get(LOGIN, MINI | {"js_code": "demo-a-1"})),
    "mini: no app": (41002, lambda stub: stub.login("demo-a-1", appid="")),
    "mini: no secret": (41004, lambda stub: stub.login("demo-a-1", secret="")),
    "mini: unknown app": (40013, lambda stub: stub.login("demo-a-1", appid="wx-other")),
    "mini: wrong secret": (40125, lambda stub: stub.login("demo-a-1", secret="wrong")),
    "mini: the other app": (40029, lambda stub: stub.login("demo-a-1", **SERVICE)),
    "mini: system busy": (-1, lambda stub: stub.login("busy-1-a")),
    "mini: 101 times in a minute": (45011, signed_in_too_often),
    "web: no code": (41008, lambda stub: stub.exchange("")),
    "web: never issued": (40029, lambda stub: stub.exchange("nonsense")),
    "web: a code used before": (40163, web_used),
    "web: a code after five minutes": (42003, web_late),
    "web: no grant type": (40002, lambda stub: stub.get(WEB, SERVICE | {"code": "x"})),
    "web: no app": (41002, lambda stub: stub.exchange("x", appid="")),
    "web: wrong secret": (40125, lambda stub: stub.exchange("x", secret="wrong")),
    "web: the other app": (40029, lambda stub: stub.exchange("x", **MINI)),
    "token: by GET": (43002, lambda stub: stub.get(TOKEN, {})),
    "token: no JSON": (47001, lambda stub: stub.post(TOKEN, [])),
    "token: no grant type": (40002, lambda stub: stub.post(TOKEN, MINI)),
    "token: forced 21 times in a day": (45009, forced_too_often),
    "phone: no token": (41001, lambda stub: stub.post(PHONE, {})),
    "phone: unknown token": (40001, lambda stub: stub.post(PHONE, {}, access_token="x")),
    "phone: a code of wx.login": (40029, lambda stub: stub.send(PHONE, {"code": "demo-a-1"})),
    "ticket: of the mini-program": (48001, lambda stub: ticket(stub, MINI, "jsapi")),
    "ticket: of another type": (40097, lambda stub: ticket(stub, SERVICE, "wx_card")),
    "message: a token that expired": (42001, old_token),
    "message: a token that was ended": (40001, ended_token),
    "message: a token of the other app": (48001, lambda stub: stub.send(TO_MINI, SENT, SERVICE)),
    "message: an openid of the other app": (40003, lambda stub: stub.send(TO_MINI, SENT, touser="oSVdemo-a")),
    "message: unknown template": (40037, lambda stub: stub.send(TO_MINI, SENT, template_id="bad")),
    "message: unknown page": (41030, lambda stub: stub.send(TO_MINI, SENT, page="https://a.example/")),
    "message: a field too long": (47003, lambda stub: stub.send(TO_MINI, field("thing1", "字" * 21))),
    "message: a phrase in Latin": (47003, lambda stub: stub.send(TO_MINI, field("phrase1", "done"))),
    "message: a time without an hour": (47003, lambda stub: stub.send(TO_MINI, field("time1", "2021年5月3日"))),
    "message: no fields": (47003, lambda stub: stub.send(TO_MINI, SENT, data={})),
    "message: refused": (43101, lambda stub: stub.send(TO_MINI, SENT, touser="oZFdemo-refused")),
    "message: the day's calls": (45009, lambda stub: stub.send(TO_MINI, SENT, touser="oZFdemo-quota")),
    "subscribed: no consent": (43101, lambda stub: stub.send(TO_SERVICE, TOLD, SERVICE)),
    "subscribed: consent spent": (43101, consent_spent),
    "subscribed: consent revoked": (43101, consent_revoked),
    "template: no follower": (43004, lambda stub: stub.send(TEMPLATE, TOLD, SERVICE)),
}


async def ticket(stub, app, kind):
    return await stub.get(TICKET, {"access_token": await stub.token(app), "type": kind})


def field(name, value):
    return SENT | {"data": {name: {"value": value}}}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_request_that_wechat_refuses_gets_its_error_code(stub, name):
    errcode, ask = REFUSED[name]
    answer = await ask(stub)
    assert answer["errcode"] == errcode, answer
    assert "rid" in answer["errmsg"]


async def test_each_app_has_a_token_of_its_own_that_stays_until_it_is_about_to_expire(stub):
    mini, service = await stub.token(MINI), await stub.token(SERVICE)
    assert mini != service
    assert [await stub.token(MINI), await stub.token(SERVICE)] == [mini, service]
    stub.clock.now += 7000
    assert await stub.token(MINI) != mini
    assert (await stub.post(TO_MINI, SENT, access_token=mini))["errcode"] == 0
