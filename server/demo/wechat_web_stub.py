"""The part of the WeChat stub for web sign-in (网页授权): the consent page, and the exchange of its codes.

`/connect/oauth2/authorize` shows a page on which one chooses whose WeChat this is, in any browser. It refuses what
WeChat refuses: parameters in another order, a `state` of other characters, a host that is not ours, a port. Loopback
may have a port, because the demo has one there. `/sns/oauth2/access_token` takes each code once within five minutes,
and gives a unionid only for `snsapi_userinfo`. Suffixes that begin with `snapshot` are virtual users.

`GET /_stub/web-code?suffix=…&scope=…` gives a code without the page. `error-<errcode>` is always that error.
"""

import html
import itertools
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

CODE_LIFETIME_S = 300
SERVICE_APP_ID = "wx-demo-service"
SERVICE_SECRET = "demo-service"  # noqa: S105  valid for this stub only
LOOPBACK = frozenset({"127.0.0.1", "localhost"})
SCOPES = ("snsapi_base", "snsapi_userinfo")
# One order of the parameters; WeChat compares the address with a pattern.
_QUERY = re.compile(r"appid=([^&]*)&redirect_uri=([^&]*)&response_type=code&scope=([^&]*)&state=([^&]*)")
_STATE = re.compile(r"[A-Za-z0-9]{1,128}")
_SUFFIX = re.compile(r"[A-Za-z0-9_]{1,40}")
Html = tuple[int, dict[str, str], str]


class Person(NamedTuple):
    """Somebody whose WeChat the page offers."""

    suffix: str
    label: str


class WebCode(NamedTuple):
    suffix: str
    scope: str
    issued_at: float


class CodeRefused(Exception):
    def __init__(self, errcode: int) -> None:
        super().__init__(errcode)
        self.errcode = errcode


def service_openid(suffix: str) -> str:
    """Return the openid of the service account, which is another than the mini-program's."""
    return f"oSVdemo-{suffix}"


def demo_unionid(suffix: str) -> str:
    return f"uZFdemo-{suffix}"


class WebStub:
    def __init__(
        self, clock: Callable[[], float], hosts: Iterable[str], list_people: Callable[[], list[Person]]
    ) -> None:
        self.clock, self.hosts, self.list_people = clock, frozenset(hosts), list_people
        self.codes: dict[str, WebCode] = {}
        self.used: set[str] = set()
        self.numbers = itertools.count(1)

    def authorize(self, method: str, raw_query: str, body: bytes) -> Html:
        """Show the consent page, or send the browser back with a code; without one when the person declines."""
        match = _QUERY.fullmatch(raw_query)
        if match is None:
            return _problem("链接的参数不全或顺序不对")
        params = {name: values[-1] for name, values in parse_qs(raw_query).items()}
        if fault := self.find_fault(params):
            return _problem(fault)
        if method != "POST":
            return 200, {}, _page(params["scope"], self.list_people())
        form = {name: values[-1] for name, values in parse_qs(body.decode()).items()}
        back = {"state": params["state"]}
        if "declined" not in form:
            suffix = form.get("other") or form.get("suffix", "")
            if not _SUFFIX.fullmatch(suffix):
                return _problem("没有这个微信用户")
            back = {"code": self.issue(suffix, params["scope"]), **back}
        return 302, {"Location": f"{params['redirect_uri']}?{urlencode(back)}"}, ""

    def find_fault(self, params: dict[str, str]) -> str | None:
        """Return WeChat's own words for what is wrong with the address."""
        redirect = urlsplit(params.get("redirect_uri", ""))
        if params.get("appid") != SERVICE_APP_ID:
            return "appid 参数错误（10012）"
        if params.get("scope") not in SCOPES:
            return "此公众号并没有这些 scope 的权限（10005）"
        if not _STATE.fullmatch(params.get("state", "")):
            return "state 参数错误（10013）"
        is_ours = redirect.hostname in LOOPBACK or (redirect.hostname in self.hosts and redirect.port is None)
        if redirect.scheme not in {"http", "https"} or not is_ours:
            return "redirect_uri 域名与后台配置不一致（10003）"
        return None

    def issue(self, suffix: str, scope: str) -> str:
        code = f"web{next(self.numbers):06d}{suffix}"
        self.codes[code] = WebCode(suffix, scope, self.clock())
        return code

    def exchange(self, code: str | None) -> dict[str, Any]:
        """Return the account of a code. Raise `CodeRefused`."""
        if not code:
            raise CodeRefused(41008)
        if error := re.fullmatch(r"error-(-?[0-9]{1,6})", code):
            raise CodeRefused(int(error[1]))
        if code in self.used:
            raise CodeRefused(40163)
        issued = self.codes.get(code)
        if issued is None:
            raise CodeRefused(40029)
        if self.clock() - issued.issued_at > CODE_LIFETIME_S:
            raise CodeRefused(42003)
        self.used.add(code)
        account: dict[str, Any] = {
            "access_token": f"web_{next(self.numbers)}",
            "expires_in": 7200,
            "refresh_token": f"again_{next(self.numbers)}",
            "openid": service_openid(issued.suffix),
            "scope": issued.scope,
        }
        if issued.scope == "snsapi_userinfo":
            account["unionid"] = demo_unionid(issued.suffix)
        if issued.suffix.startswith("snapshot"):
            account["is_snapshotuser"] = 1
        return account


def list_demo_people() -> list[Person]:
    """Return the people of the demo's sign-in table. The county is built when the page is first opened."""
    from server.demo.county import build_county, list_sign_ins  # noqa: PLC0415
    from server.demo.households import EPOCH  # noqa: PLC0415

    county = build_county(today=EPOCH)
    logins = {line.login: line.role_zh for line in list_sign_ins(county)}
    staff = [
        Person(member.wechat_suffix, f"{member.name} · {logins[member.login]}")
        for member in county.staff
        if member.login in logins
    ]
    return staff + [Person(resident.wechat_suffix, f"{resident.name} · 申请人") for resident in county.residents[:3]]


def _problem(text: str) -> Html:
    return 200, {}, _document(f"<h1>微信（演示）</h1><p role='alert'>{html.escape(text)}</p>")


def _page(scope: str, people: list[Person]) -> str:
    purpose = "登录" if scope == "snsapi_base" else "获取您的昵称、头像，以确认您是同一个人"
    buttons = "".join(
        f"<button name='suffix' value='{html.escape(person.suffix)}'>{html.escape(person.label)}</button>"
        for person in people
    )
    return _document(
        f"<h1>微信（演示）</h1><p>“走访”申请{purpose}。这是谁的微信？<br>Whose WeChat is this?</p>"
        f"<form method='post'>{buttons}"
        "<label>其他人 Somebody else<input name='other' pattern='[A-Za-z0-9_]*' placeholder='resident5'></label>"
        "<button>同意 Allow</button><button name='declined' value='1'>拒绝 Decline</button></form>"
    )


def _document(content: str) -> str:
    return (
        "<!doctype html><html lang='zh-CN'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        "<title>微信（演示）</title><style>"
        "body{font:17px/1.5 sans-serif;max-width:24rem;margin:2rem auto;padding:0 1rem}"
        "form,label{display:grid;gap:.5rem}button,input{min-height:44px;font:inherit;padding:0 .75rem;text-align:left;"
        "border:1px solid #8aa;border-radius:.4rem;background:#fff}h1{color:#056b3a;font-size:1.4rem}</style>"
        f"{content}</html>"
    )
