import asyncio
import logging
from datetime import UTC, datetime

import httpx
import pytest

from server.core.wechat import Wechat, WechatRefused, WechatUnavailable
from server.core.wechat_messages import MessageInvalid, check_message, shape_field
from server.demo.wechat_stub import DEMO_APP_ID, DEMO_SECRET, create_stub

BASE = "http://wechat.test"
MESSAGE = {"thing1": "入户调查已完成", "date2": "2026-11-23 09:42"}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 1, 42, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now


class Counted(httpx.AsyncBaseTransport):
    """The stub, with every request counted by path and every answer made as slow as a network."""

    def __init__(self, stub):
        self.inner = httpx.ASGITransport(stub)
        self.paths = []

    async def handle_async_request(self, request):
        self.paths.append(request.url.path)
        await asyncio.sleep(0)
        return await self.inner.handle_async_request(request)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def transport(clock):
    return Counted(create_stub(clock=clock))


@pytest.fixture
async def wechat(transport, clock):
    client = make_wechat(transport, clock=clock)
    yield client
    await client.aclose()


def make_wechat(transport, **changes):
    settings = {"app_id": DEMO_APP_ID, "secret": DEMO_SECRET, "pauses_s": (0, 0, 0)} | changes
    return Wechat(BASE, transport=transport, **settings)


def answering(content, status=200, content_type="application/json"):
    headers = {"content-type": content_type}
    return httpx.MockTransport(lambda _: httpx.Response(status, content=content, headers=headers))


async def ask_stub(transport, method, path):
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        return (await client.request(method, path)).json()


async def test_a_code_signs_in_its_person_once(wechat):
    session = await wechat.code2session("demo-linhexi-1")
    assert (session.openid, session.unionid) == ("oZFdemo-linhexi", "uZFdemo-linhexi")
    with pytest.raises(WechatRefused) as again:
        await wechat.code2session("demo-linhexi-1")
    assert (again.value.errcode, again.value.kind) == (40163, "bad_code")


async def test_a_used_code_is_invalid_after_five_minutes(wechat, clock):
    await wechat.code2session("demo-linhexi-1")
    clock.now += 301
    with pytest.raises(WechatRefused) as late:
        await wechat.code2session("demo-linhexi-1")
    assert (late.value.errcode, late.value.kind) == (40029, "bad_code")


async def test_an_issued_code_lives_five_minutes(wechat, transport, clock):
    early, late = [(await ask_stub(transport, "GET", "/_stub/code?suffix=linhexi"))["code"] for _ in range(2)]
    clock.now += 299
    assert (await wechat.code2session(early)).openid == "oZFdemo-linhexi"
    clock.now += 2
    with pytest.raises(WechatRefused, match="bad_code"):
        await wechat.code2session(late)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("error-40029", "bad_code"),
        ("error-40163", "bad_code"),
        ("error-45011", "too_many"),
        ("error-40226", "blocked"),
        ("error--1", "busy"),
        ("error-40013", "invalid_credential"),
        ("error-88888", "other"),
        ("whatever", "bad_code"),
    ],
)
async def test_each_refusal_has_its_kind(wechat, code, kind):
    with pytest.raises(WechatRefused) as refused:
        await wechat.code2session(code)
    assert refused.value.kind == kind


async def test_a_busy_wechat_is_asked_again_but_not_for_ever(wechat, transport):
    assert (await wechat.code2session("busy-2-linhexi")).openid == "oZFdemo-linhexi"
    assert len(transport.paths) == 3
    with pytest.raises(WechatRefused, match="busy"):
        await wechat.code2session("busy-9-linhexi")
    assert len(transport.paths) == 3 + 4


async def test_only_a_busy_answer_is_asked_again(wechat, transport):
    with pytest.raises(WechatRefused):
        await wechat.code2session("error-45011")
    assert len(transport.paths) == 1


@pytest.mark.parametrize(("changes", "errcode"), [({"app_id": "wx-other"}, 40013), ({"secret": "guess"}, 40125)])
async def test_a_wrong_app_id_or_secret_is_an_invalid_credential(transport, changes, errcode):
    wechat = make_wechat(transport, **changes)
    for call in (wechat.code2session("demo-linhexi-1"), wechat.stable_token()):
        with pytest.raises(WechatRefused) as refused:
            await call
        assert (refused.value.errcode, refused.value.kind) == (errcode, "invalid_credential")


async def test_many_at_once_fetch_one_token(wechat, transport):
    tokens = await asyncio.gather(*(wechat.stable_token() for _ in range(20)))
    assert len(set(tokens)) == 1
    assert transport.paths == ["/cgi-bin/stable_token"]


async def test_a_token_is_renewed_five_minutes_before_its_end(wechat, transport, clock):
    first = await wechat.stable_token()
    clock.now += 6_899
    assert await wechat.stable_token() == first
    clock.now += 1
    assert await wechat.stable_token() != first
    assert len(transport.paths) == 2


async def test_a_second_replica_gets_the_same_token(wechat, transport, clock):
    assert await make_wechat(transport, clock=clock).stable_token() == await wechat.stable_token()


async def test_a_failed_fetch_of_the_token_does_not_block_the_next(clock):
    answers = iter([httpx.Response(502), httpx.Response(200, json={"access_token": "t", "expires_in": 7200})])
    wechat = make_wechat(httpx.MockTransport(lambda _: next(answers)), clock=clock)
    with pytest.raises(WechatUnavailable, match="502"):
        await wechat.stable_token()
    assert await wechat.stable_token() == "t"


async def test_a_forgotten_token_is_fetched_anew_once(wechat, transport):
    await wechat.stable_token()
    await ask_stub(transport, "POST", "/_stub/forget-tokens")
    await wechat.send_subscribe_message("oZFdemo-resident1", "template", MESSAGE)
    assert transport.paths.count("/cgi-bin/stable_token") == 2


async def test_a_token_that_stays_invalid_is_refused_and_not_tried_for_ever(clock):
    def answer(request):
        if request.url.path == "/cgi-bin/stable_token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 7200})
        return httpx.Response(200, json={"errcode": 40001, "errmsg": "invalid credential"})

    wechat = make_wechat(httpx.MockTransport(answer), clock=clock)
    with pytest.raises(WechatRefused, match="invalid_credential"):
        await wechat.phone_number("phone-19900000001-1")


@pytest.mark.parametrize("number", ["19900000001", "19900000002"])
async def test_a_phone_code_gives_the_number_whether_the_country_is_text_or_number(wechat, number):
    phone = await wechat.phone_number(f"phone-{number}-1")
    assert (phone.pure_number, phone.country_code) == (number, "86")
    assert number not in repr(phone)


async def test_a_login_code_is_no_phone_code(wechat):
    with pytest.raises(WechatRefused, match="bad_code"):
        await wechat.phone_number("demo-linhexi-1")


async def test_a_message_arrives_as_wechat_wants_it(wechat, transport):
    await wechat.send_subscribe_message("oZFdemo-resident1", "template", MESSAGE, page="pages/status", state="trial")
    assert (await ask_stub(transport, "GET", "/_stub/messages"))["messages"] == [
        {
            "touser": "oZFdemo-resident1",
            "template_id": "template",
            "page": "pages/status",
            "miniprogram_state": "trial",
            "lang": "zh_CN",
            "data": {"thing1": {"value": "入户调查已完成"}, "date2": {"value": "2026-11-23 09:42"}},
        }
    ]
    assert (await ask_stub(transport, "DELETE", "/_stub/messages"))["messages"] == []


@pytest.mark.parametrize(
    ("openid", "template", "kind"),
    [
        ("oZFdemo-refused", "template", "refused_message"),
        ("oOTHER-linhexi", "template", "bad_recipient"),
        ("oZFdemo-resident1", "bad-template", "bad_message"),
    ],
)
async def test_a_message_refused_by_user_or_wechat_has_its_kind(wechat, openid, template, kind):
    with pytest.raises(WechatRefused) as refused:
        await wechat.send_subscribe_message(openid, template, MESSAGE)
    assert refused.value.kind == kind


async def test_an_unfit_message_is_not_sent(wechat, transport):
    with pytest.raises(MessageInvalid, match="thing1: too_long"):
        await wechat.send_subscribe_message("oZFdemo-resident1", "template", {"thing1": "字" * 21})
    assert transport.paths == []


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("thing1", "字" * 20),
        ("phrase1", "已经受理了"),
        ("name1", "马稔柚"),
        ("name1", "𠮷禾溪"),
        ("name1", "Ma Renyou"),
        ("character_string3", "YQ2026-000123"),
        ("date2", "2026年11月23日 09:42"),
        ("time2", "09:42"),
        ("number4", "4"),
        ("amount5", "¥360.00元"),
        ("phone_number6", "0570-1234567"),
    ],
)
def test_fields_as_the_templates_want_them_fit(name, fits):
    check_message({name: fits})


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("thing1", "字" * 21, "too_long"),
        ("thing1", "  ", "empty"),
        ("phrase1", "已经受理完了", "too_long"),
        ("phrase1", "OK", "form"),
        ("name1", "禾" * 11, "form"),
        ("character_string3", "9" * 33, "too_long"),
        ("character_string3", "编号一", "form"),
        ("date2", "23.11.", "form"),
        ("amount5", "¥1,234.56", "form"),
        ("thing", "x", "unknown_field"),
        ("remark1", "x", "unknown_field"),
    ],
)
def test_fields_that_wechat_would_refuse_are_found_before(name, value, reason):
    with pytest.raises(MessageInvalid) as unfit:
        check_message({name: value})
    assert (unfit.value.field_name, unfit.value.reason) == (name, reason)


def test_a_day_in_a_time_field_gets_an_hour_and_all_else_stays_as_it_is():
    assert shape_field("time2", "2026-12-01") == "2026年12月1日 23:59"
    check_message({"time2": shape_field("time2", "2026-12-01")})
    for name, value in [("date2", "2026-12-01"), ("time2", "2026-12-01 09:30"), ("thing1", "2026-12-01")]:
        assert shape_field(name, value) == value


@pytest.mark.parametrize(
    "content", [b'{"openid":"o1","session_key":"k"}', b'{"openid":"o1","session_key":"k","errcode":0}']
)
async def test_no_errcode_and_errcode_0_both_mean_success_and_unionid_may_be_absent(content):
    session = await make_wechat(answering(content, content_type="text/plain")).code2session("c")
    assert (session.openid, session.unionid) == ("o1", None)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"<html>gateway</html>", 200),
        (b"", 200),
        (b"[]", 200),
        (b'{"errcode":"busy"}', 200),
        (b'{"session_key":"k"}', 200),
        (b'{"openid":7}', 200),
        (b'{"openid":"o1"}', 503),
    ],
)
async def test_an_answer_that_is_not_wechats_makes_it_unavailable(content, status):
    with pytest.raises(WechatUnavailable):
        await make_wechat(answering(content, status)).code2session("c")


@pytest.mark.parametrize("failure", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError])
async def test_a_network_failure_is_unavailable_is_not_tried_again_and_carries_no_secret(failure):
    query = []

    def fail(request):
        query.append(request)
        raise failure(f"could not fetch {request.url}", request=request)

    with pytest.raises(WechatUnavailable) as unavailable:
        await make_wechat(httpx.MockTransport(fail), secret="s3cr3t").code2session("c0de")
    assert str(unavailable.value) == f"/sns/jscode2session: {failure.__name__}"
    assert unavailable.value.__context__ is None
    assert len(query) == 1


async def test_neither_logs_nor_reprs_show_secret_code_token_or_session_key(caplog):
    caplog.set_level(logging.DEBUG)
    wechat = make_wechat(answering(b'{"openid":"o1","session_key":"k3y"}'), secret="s3cr3t")
    session = await wechat.code2session("c0de")
    assert "/sns/jscode2session" in caplog.text
    for hidden in ("s3cr3t", "c0de", "k3y"):
        assert hidden not in caplog.text
        assert hidden not in repr(session) + repr(wechat)


async def test_the_stub_answers_its_lifespan_and_404_elsewhere(transport):
    sent = []
    inbox = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive():
        return next(inbox)

    async def send(message):
        sent.append(message["type"])

    await create_stub()({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
        assert (await client.get("/cgi-bin/token")).status_code == 404
