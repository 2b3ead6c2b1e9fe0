"""Stub of WeChat's server API for development and tests: the same paths, JSON and errors, invented people.

| code for `/sns/jscode2session`  | what happens                                                             |
|---------------------------------|--------------------------------------------------------------------------|
| `demo-<suffix>-<nonce>`         | signs in openid `oZFdemo-<suffix>`; then 40163, after 5 minutes 40029    |
| `demo-<suffix>-t<unix seconds>` | the same, but its 5 minutes start at that time                           |
| `busy-<k>-<suffix>`             | k times -1 (system busy), then signs in once                             |
| `error-<errcode>`               | always that error: `error-40029`, `error-45011`, `error--1`              |
| anything else                   | 40029                                                                    |

`/wxa/business/getuserphonenumber` takes `phone-<11 digits>-<nonce>` under the same rules (and
`busy-<k>-<11 digits>`, `error-<errcode>`); `countryCode` is a string after an even last digit and a number
after an odd one, as both occur. `/cgi-bin/stable_token` returns the same token of an app until 5 minutes before it
expires; `force_refresh` ends it, 20 times a day. A code or a token of one app is worth nothing with the other's. A
person signs in 100 times a minute, then 45011.

The web sign-in of a service account: `wechat_web_stub`. Messages of both apps and the events that are pushed:
`wechat_message_stub`.

For people and tests: `GET /_stub/code?suffix=…` issues a code as `wx.login` does, valid from now,
`GET /_stub/messages` lists sent messages, `DELETE /_stub/messages` deletes them, `POST /_stub/forget-tokens`
invalidates every token (40001). `/_stub/consent?suffix=…&templates=a,b&answer=accept|reject`, `/_stub/revoke` and
`/_stub/follow?suffix=…&on=0|1` are what a person does on their phone; `/_stub/events` gives what
waits to be pushed. Run it alone with
`granian --interface asgi --factory server.demo.wechat_stub:create_stub`.
"""

import hashlib
import itertools
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import msgspec

from server.core.clock import utc_now
from server.demo.sms_stub import SmsStub
from server.demo.wechat_errors import ERRMSG
from server.demo.wechat_message_stub import MessageRefused, MessageStub, push_events
from server.demo.wechat_sdk_stub import DEMO_TICKET, build_script
from server.demo.wechat_web_stub import (
    SERVICE_APP_ID,
    SERVICE_SECRET,
    CodeRefused,
    WebStub,
    demo_unionid,
    list_demo_people,
)

DEMO_APP_ID = "wx-demo"
DEMO_SECRET = "demo"  # noqa: S105  valid for this stub only
CODE_LIFETIME_S = 300
TOKEN_LIFETIME_S = 7200
SIGN_INS_A_MINUTE = 100
FORCED_TOKENS_A_DAY = 20

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Reply = dict[str, Any]

_SUFFIX = "[A-Za-z0-9_]+"


def demo_openid(suffix: str) -> str:
    """Return the openid that codes with this suffix sign in; demo accounts have it from the start."""
    return f"oZFdemo-{suffix}"


def is_demo_openid(openid: str) -> bool:
    return re.fullmatch(re.escape(demo_openid("")) + _SUFFIX, openid) is not None


def demo_accounts(suffix: str) -> dict[str, str]:
    """Return what is known of a person who has used the mini-program: its openid and the unionid."""
    return {"miniprogram": demo_openid(suffix), "open_platform": demo_unionid(suffix)}


def create_stub(
    *,
    app_id: str = DEMO_APP_ID,
    secret: str = DEMO_SECRET,
    redirect_hosts: Iterable[str] = (),
    clock: Callable[[], float] = lambda: utc_now().timestamp(),
    with_unionid: bool = True,
) -> AsgiApp:
    """Return an ASGI app with its own state. `clock` returns Unix seconds.

    The mini-program is `app_id`; the service account is the one of `wechat_web_stub`, whose people may come back to
    `redirect_hosts`.
    """
    web = WebStub(clock, redirect_hosts, cache(list_demo_people))
    texts = SmsStub()
    stub = _Stub(app_id, {app_id: secret, SERVICE_APP_ID: SERVICE_SECRET}, clock, web, with_unionid=with_unionid)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _handle_lifespan(receive, send)
        elif scope["type"] == "http":
            body = await _read_body(receive)
            raw_query = scope["query_string"].decode()
            if scope["path"] == "/":
                await _send_json(send, *texts.send(_read_form(body)))
                return
            if scope["path"] == "/_stub/sms":
                await _send_json(send, 200, {"messages": texts.sent})
                return
            if scope["path"] == "/open/js/jweixin-1.6.0.js":
                await _send(send, 200, {"Content-Type": "text/javascript"}, build_script())
                return
            if scope["path"] == "/connect/oauth2/authorize":
                await _send_html(send, *web.authorize(scope["method"], raw_query, body))
                return
            query = {name: values[-1] for name, values in parse_qs(raw_query).items()}
            await _send_json(send, *stub.handle(scope["path"], _Request(scope["method"], query, body)))
            await push_events(stub.sent, app_id)

    return app


class _Request(NamedTuple):
    method: str
    query: dict[str, str]
    body: bytes


class _Token(NamedTuple):
    app: str
    ends_at: float


class _WechatError(Exception):
    def __init__(self, errcode: int, detail: str = "") -> None:
        super().__init__(errcode, detail)
        self.errcode = errcode
        self.detail = detail


class _Stub:
    def __init__(
        self, mini_app: str, secrets: dict[str, str], clock: Callable[[], float], web: WebStub, *, with_unionid: bool
    ) -> None:
        self.mini_app, self.secrets, self.clock, self.web, self.with_unionid = (
            mini_app,
            secrets,
            clock,
            web,
            with_unionid,
        )
        self.used_at: dict[str, float] = {}
        self.busy_counts: dict[str, int] = {}
        self.tokens: dict[str, _Token] = {}
        self.sign_ins: dict[str, list[float]] = {}
        self.forced: dict[str, list[float]] = {}
        self.sent = MessageStub(clock, is_demo_openid)
        self.numbers = itertools.count(1)
        self.tickets = 0
        self.routes: dict[str, Callable[[_Request], Reply]] = {
            "/sns/jscode2session": self.code2session,
            "/sns/oauth2/access_token": self.exchange_web_code,
            "/cgi-bin/stable_token": self.stable_token,
            "/wxa/business/getuserphonenumber": self.phone_number,
            "/cgi-bin/message/subscribe/send": lambda request: self.send(request, mini_app, self.sent.send_mini),
            "/cgi-bin/message/subscribe/bizsend": lambda request: self.send(
                request, SERVICE_APP_ID, self.sent.send_subscription
            ),
            "/cgi-bin/message/template/send": lambda request: self.send(
                request, SERVICE_APP_ID, self.sent.send_template
            ),
            "/cgi-bin/ticket/getticket": self.jsapi_ticket,
            "/_stub/code": self.issue_code,
            "/_stub/web-code": self.issue_web_code,
            "/_stub/messages": self.list_messages,
            "/_stub/consent": lambda request: self.sent.answer_dialog(
                request.query.get("suffix", ""), _list(request, "templates"), request.query.get("answer", "accept")
            ),
            "/_stub/revoke": lambda request: self.sent.revoke(
                request.query.get("suffix", ""), _list(request, "templates")
            ),
            "/_stub/follow": lambda request: self.sent.follow(
                request.query.get("suffix", ""), is_following=request.query.get("on", "1") == "1"
            ),
            "/_stub/events": lambda _: {"events": [event._asdict() for event in self.sent.take_events()]},
            "/_stub/forget-tokens": self.forget_tokens,
        }

    def handle(self, path: str, request: _Request) -> tuple[int, Reply]:
        if path not in self.routes:
            return 404, {}
        try:
            return 200, self.routes[path](request)
        except _WechatError as error:
            errmsg = ERRMSG.get(error.errcode, "error") + error.detail
            rid = f"{int(self.clock()):08x}-{next(self.numbers):08x}"
            return 200, {"errcode": error.errcode, "errmsg": f"{errmsg}, rid: {rid}"}

    def code2session(self, request: _Request) -> Reply:
        self.check_app(request.query)
        if request.query.get("grant_type") != "authorization_code":
            raise _WechatError(40002)
        if request.query["appid"] != self.mini_app:
            raise _WechatError(40029)
        suffix = self.redeem_code(request.query.get("js_code"), "demo", _SUFFIX)
        _limit(self.sign_ins.setdefault(suffix, []), SIGN_INS_A_MINUTE, 60, self.clock(), 45011)
        session = {"session_key": _opaque_value(f"session/{suffix}/{self.clock()}"), "openid": demo_openid(suffix)}
        return session | ({"unionid": demo_unionid(suffix)} if self.with_unionid else {})

    def exchange_web_code(self, request: _Request) -> Reply:
        self.check_app(request.query)
        if request.query.get("grant_type") != "authorization_code":
            raise _WechatError(40002)
        if request.query["appid"] != SERVICE_APP_ID:
            raise _WechatError(40029)
        try:
            return self.web.exchange(request.query.get("code"))
        except CodeRefused as refused:
            raise _WechatError(refused.errcode) from None

    def issue_web_code(self, request: _Request) -> Reply:
        return {"code": self.web.issue(request.query.get("suffix", ""), request.query.get("scope", "snsapi_base"))}

    def stable_token(self, request: _Request) -> Reply:
        body = _read_json(request)
        if body.get("grant_type") != "client_credential":
            raise _WechatError(40002)
        self.check_app(body)
        now, app = self.clock(), str(body["appid"])
        mine = {value: token for value, token in self.tokens.items() if token.app == app}
        if body.get("force_refresh") is True:
            _limit(self.forced.setdefault(app, []), FORCED_TOKENS_A_DAY, 86_400, now, 45009)
            for value in mine:
                del self.tokens[value]
            mine = {}
        for value, token in mine.items():
            if token.ends_at - now > CODE_LIFETIME_S:
                return {"access_token": value, "expires_in": int(token.ends_at - now)}
        value = f"stub_{next(self.numbers)}_{_opaque_value(f'token/{now}')}"
        self.tokens[value] = _Token(app, now + TOKEN_LIFETIME_S)
        return {"access_token": value, "expires_in": TOKEN_LIFETIME_S}

    def jsapi_ticket(self, request: _Request) -> Reply:
        self.check_token(request.query, SERVICE_APP_ID)
        if request.query.get("type") != "jsapi":
            raise _WechatError(40097)
        self.tickets += 1
        return {"errcode": 0, "errmsg": "ok", "ticket": DEMO_TICKET, "expires_in": TOKEN_LIFETIME_S}

    def phone_number(self, request: _Request) -> Reply:
        self.check_token(request.query, self.mini_app)
        number = self.redeem_code(_read_json(request).get("code"), "phone", "[0-9]{11}")
        country_code = "86" if int(number[-1]) % 2 == 0 else 86
        watermark = {"timestamp": int(self.clock()), "appid": DEMO_APP_ID}
        info = {"phoneNumber": number, "purePhoneNumber": number, "countryCode": country_code}
        return {"errcode": 0, "errmsg": "ok", "phone_info": info | {"watermark": watermark}}

    def send(self, request: _Request, app: str, take: Callable[[Reply], Reply]) -> Reply:
        self.check_token(request.query, app)
        try:
            return take(_read_json(request))
        except MessageRefused as refused:
            raise _WechatError(refused.errcode, refused.detail) from None

    def issue_code(self, request: _Request) -> Reply:
        """Issue a code; a counter after the time makes two codes of the same second different."""
        return {"code": f"demo-{request.query.get('suffix', '')}-t{int(self.clock())}-{next(self.numbers)}"}

    def list_messages(self, request: _Request) -> Reply:
        if request.method == "DELETE":
            self.sent.messages.clear()
        return {"messages": list(self.sent.messages)}

    def forget_tokens(self, request: _Request) -> Reply:  # noqa: ARG002  all routes have this signature
        self.tokens.clear()
        return {"errcode": 0, "errmsg": "ok"}

    def check_app(self, params: dict[str, Any]) -> None:
        for name, missing in (("appid", 41002), ("secret", 41004)):
            if not params.get(name):
                raise _WechatError(missing)
        if params["appid"] not in self.secrets:
            raise _WechatError(40013)
        if params["secret"] != self.secrets[params["appid"]]:
            raise _WechatError(40125)

    def check_token(self, query: dict[str, str], app: str) -> None:
        token = query.get("access_token")
        if not token:
            raise _WechatError(41001)
        if token not in self.tokens:
            raise _WechatError(40001)
        if self.clock() >= self.tokens[token].ends_at:
            raise _WechatError(42001)
        if self.tokens[token].app != app:
            raise _WechatError(48001)

    def redeem_code(self, code: Any, prefix: str, subject_pattern: str) -> str:
        """Return the suffix or number of a code, which is valid once."""
        if not isinstance(code, str) or not code:
            raise _WechatError(41008)
        if error := re.fullmatch(r"error-(-?[0-9]{1,6})", code):
            raise _WechatError(int(error[1]))
        if busy := re.fullmatch(rf"busy-([0-9]{{1,3}})-({subject_pattern})", code):
            self.count_busy_reply(code, int(busy[1]))
            return self.redeem_once(code, busy[2], None)
        normal = re.fullmatch(rf"{prefix}-({subject_pattern})-(?:t([0-9]{{9,11}})(?:-.+)?|.+)", code)
        if normal is None:
            raise _WechatError(40029)
        return self.redeem_once(code, normal[1], normal[2])

    def count_busy_reply(self, code: str, times: int) -> None:
        self.busy_counts[code] = self.busy_counts.get(code, 0) + 1
        if self.busy_counts[code] <= times:
            raise _WechatError(-1)

    def redeem_once(self, code: str, subject: str, issued: str | None) -> str:
        """Redeem a code; a code without a time counts as issued when it is first seen."""
        now = self.clock()
        issued_at = float(issued) if issued else self.used_at.get(code, now)
        if now - issued_at > CODE_LIFETIME_S:
            raise _WechatError(40029)
        if code in self.used_at:
            raise _WechatError(40163)
        self.used_at[code] = now
        return subject


def _limit(times: list[float], most: int, window_s: float, now: float, errcode: int) -> None:
    """Count one more of at most so many in a time."""
    times[:] = [at for at in times if at > now - window_s]
    if len(times) >= most:
        raise _WechatError(errcode)
    times.append(now)


def _list(request: _Request, name: str) -> list[str]:
    return [part for part in request.query.get(name, "").split(",") if part]


def _read_json(request: _Request) -> dict[str, Any]:
    if request.method != "POST":
        raise _WechatError(43002)
    try:
        return msgspec.json.decode(request.body, type=dict[str, Any])
    except msgspec.DecodeError:
        raise _WechatError(47001) from None


def _read_form(body: bytes) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}


def _opaque_value(seed: str) -> str:
    """Return a value that looks like WeChat's opaque keys."""
    return hashlib.sha256(seed.encode()).hexdigest()[:24]


async def _handle_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _read_body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _send_html(send: Send, status: int, headers: dict[str, str], content: str) -> None:
    await _send(send, status, {**headers, "Content-Type": "text/html; charset=utf-8"}, content)


async def _send(send: Send, status: int, headers: dict[str, str], content: str) -> None:
    fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": content.encode()})


async def _send_json(send: Send, status: int, reply: Reply) -> None:
    """Send JSON as text/plain, which is WeChat's content type for its sign-in."""
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(reply)})
