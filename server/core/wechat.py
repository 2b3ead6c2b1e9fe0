"""The calls this server makes to WeChat: sign-in, phone number, access token, subscribe messages.

WeChat answers every refusal with HTTP 200 and an `errcode`, sometimes as `text/plain`; here each becomes one
exception with a kind that a caller can act on. The app secret and every code travel in query strings, so
the log lines of httpx are shortened before anything is sent, and `session_key` is dropped on arrival: nothing
here needs it, and what is not kept can't leak. Protocol: docs/domain.md#wechat.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    import httpx

RefusedKind = Literal[
    "bad_code",  # never issued, older than 5 minutes, or used before: the phone must call wx.login again
    "too_many",  # more than 100 a minute for this user, or the day's quota is gone
    "blocked",  # WeChat takes the user for a risk
    "busy",  # still busy after the retries
    "refused_message",  # the user said no, or the one-time consent is used up
    "bad_message",  # template or field not as WeChat wants it
    "bad_recipient",  # openid of another app
    "invalid_credential",  # app id, secret or token: for the operator, not for the user
    "other",
]

_KINDS: dict[int, RefusedKind] = {
    -1: "busy",
    40001: "invalid_credential",
    40003: "bad_recipient",
    40013: "invalid_credential",
    40014: "invalid_credential",
    40029: "bad_code",
    40037: "bad_message",
    40125: "invalid_credential",
    40163: "bad_code",
    40226: "blocked",
    41001: "invalid_credential",
    41002: "invalid_credential",
    41004: "invalid_credential",
    42001: "invalid_credential",
    43101: "refused_message",
    45009: "too_many",
    45011: "too_many",
    47003: "bad_message",
}
_TOKEN_ERRORS = frozenset({40001, 40014, 42001})

_RENEW_BEFORE_S = 300.0
"""`stable_token` starts to hand out the next token five minutes before the old one ends; both work then."""

_DATE = r"\d{4}([-/.]\d{1,2}[-/.]\d{1,2}|年\d{1,2}月\d{1,2}日)"
_CLOCK = r"\d{1,2}:\d{2}(:\d{2})?"
_HAN = "\u3400-\u9fff\U00020000-\U000323af"
_FIELD_RULES: dict[str, tuple[int, str | None]] = {
    "thing": (20, None),
    "phrase": (5, rf"[{_HAN}]+"),
    "name": (20, rf"[{_HAN}·]{{1,10}}|[^{_HAN}0-9]{{1,20}}"),
    "character_string": (32, r"[\x20-\x7e]+"),
    "letter": (32, r"[A-Za-z]+"),
    "number": (32, r"-?\d+(\.\d+)?"),
    "symbol": (5, r"[^\w\s]+"),
    "amount": (16, r"[¥$]?-?\d{1,10}(\.\d+)?元?"),
    "phone_number": (17, r"[-+\d()]+"),
    "car_number": (8, None),
    "date": (40, rf"{_DATE}( {_CLOCK})?"),
    "time": (40, rf"({_DATE} )?{_CLOCK}([~-]({_DATE} )?{_CLOCK})?"),
}
"""Longest value in characters, and the form, of each kind of template field."""


class WechatRefused(Exception):
    """WeChat answered, and said no."""

    def __init__(self, errcode: int, kind: RefusedKind, errmsg: str = "") -> None:
        super().__init__(f"WeChat refused: {kind} ({errcode}) {errmsg}".rstrip())
        self.errcode = errcode
        self.kind: RefusedKind = kind


class WechatUnavailable(Exception):
    """No usable answer: network, timeout, an HTTP error, or something that is not WeChat's JSON.

    `never_left`: there was no connection, so what was asked was certainly not done.
    """

    def __init__(self, message: str, *, never_left: bool = False) -> None:
        super().__init__(message)
        self.never_left = never_left


class MessageInvalid(ValueError):
    """A message that WeChat would refuse for its form, found before it was sent."""

    def __init__(self, field_name: str, reason: Literal["unknown_field", "empty", "too_long", "form"]) -> None:
        super().__init__(f"{field_name}: {reason}")
        self.field_name = field_name
        self.reason = reason


class WechatSession(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed in. `unionid` only where the app belongs to an open-platform account."""

    openid: str
    unionid: str | None = None


@dataclass(frozen=True, kw_only=True)
class PhoneNumber:
    """`number` with the country prefix where it is foreign, `pure_number` without; left out of `repr`."""

    number: str = field(repr=False)
    pure_number: str = field(repr=False)
    country_code: str


@dataclass(frozen=True)
class _Token:
    value: str = field(repr=False)
    renew_at: float


class Wechat:
    """One app's line to WeChat; share it for the life of the process, and `aclose` it at the end.

    `timeout_s` is per request; `pauses_s` are the waits before each retry of a busy answer, so their number
    bounds the retries. `transport` and `clock` (monotonic seconds) are there for tests.
    """

    def __init__(
        self,
        base_url: str,
        app_id: str,
        secret: str,
        *,
        timeout_s: float = 5.0,
        pauses_s: Sequence[float] = (0.2, 0.6, 1.8),
        transport: "httpx.AsyncBaseTransport | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        logging.getLogger("httpx").addFilter(_hide_query)
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._app_id = app_id
        self._secret = secret
        self._pauses_s = tuple(pauses_s)
        self._clock = clock
        self._token: _Token | None = None
        self._token_lock = asyncio.Lock()

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def code2session(self, code: str) -> WechatSession:
        """Exchange the code of `wx.login`, which lives 5 minutes and works once."""
        query = {
            "appid": self._app_id,
            "secret": self._secret,
            "js_code": code,
            "grant_type": "authorization_code",
        }
        answer = await self._call("GET", "/sns/jscode2session", query)
        return WechatSession(openid=_text(answer, "openid"), unionid=answer.get("unionid") or None)

    async def phone_number(self, code: str) -> PhoneNumber:
        """Exchange the code of a `getPhoneNumber` button: another code than the login's, as short-lived."""
        answer = await self._call_with_token("/wxa/business/getuserphonenumber", {"code": code})
        info = answer.get("phone_info")
        if not isinstance(info, dict):
            raise WechatUnavailable("answer without phone_info")
        return PhoneNumber(
            number=_text(info, "phoneNumber"),
            pure_number=_text(info, "purePhoneNumber"),
            country_code=str(info.get("countryCode", "")),  # WeChat sends 86 and "86"
        )

    async def send_subscribe_message(
        self,
        openid: str,
        template_id: str,
        data: Mapping[str, str],
        *,
        page: str | None = None,
        state: Literal["developer", "trial", "formal"] = "formal",
    ) -> None:
        """Send one message for which the user gave a one-time consent.

        `data` maps template fields (`thing1`, `date2`) to their texts; raises `MessageInvalid` before anything
        is sent when one would be refused for its form.
        """
        check_message(data)
        body: dict[str, Any] = {
            "touser": openid,
            "template_id": template_id,
            "miniprogram_state": state,
            "lang": "zh_CN",
            "data": {name: {"value": value} for name, value in data.items()},
        }
        if page is not None:
            body["page"] = page
        await self._call_with_token("/cgi-bin/message/subscribe/send", body)

    async def stable_token(self) -> str:
        """The app's access token, fetched once however many ask, and again shortly before it ends.

        WeChat gives every replica the same stable token, so replicas need not share it among themselves.
        """
        async with self._token_lock:
            if self._token is None or self._clock() >= self._token.renew_at:
                self._token = await self._fetch_token()
            return self._token.value

    async def _fetch_token(self) -> _Token:
        asked_at = self._clock()
        body = {"grant_type": "client_credential", "appid": self._app_id, "secret": self._secret}
        answer = await self._call("POST", "/cgi-bin/stable_token", {}, body)
        lives_s = answer.get("expires_in")
        if not isinstance(lives_s, int | float):
            raise WechatUnavailable("answer without expires_in")
        return _Token(_text(answer, "access_token"), asked_at + max(lives_s - _RENEW_BEFORE_S, lives_s / 2))

    async def _call_with_token(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """One more try with a new token when WeChat has forgotten the one we hold."""
        token = await self.stable_token()
        try:
            return await self._call("POST", path, {"access_token": token}, body)
        except WechatRefused as refused:
            if refused.errcode not in _TOKEN_ERRORS:
                raise
        await self._forget_token(token)
        return await self._call("POST", path, {"access_token": await self.stable_token()}, body)

    async def _forget_token(self, refused: str) -> None:
        """Only the token that was refused: another request may have fetched a good one meanwhile."""
        async with self._token_lock:
            if self._token is not None and self._token.value == refused:
                self._token = None

    async def _call(
        self, method: str, path: str, query: dict[str, str], body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Ask until WeChat is no longer busy or the retries are used up; only a busy answer is retried, since
        a request lost on the way may have spent its one-time code.
        """
        for pause_s in (*self._pauses_s, None):
            answer = await self._ask(method, path, query, body)
            errcode = _errcode(answer)
            if errcode == 0:
                return answer
            if _KINDS.get(errcode) != "busy" or pause_s is None:
                break
            await asyncio.sleep(pause_s)
        raise WechatRefused(errcode, _KINDS.get(errcode, "other"), str(answer.get("errmsg", "")))

    async def _ask(self, method: str, path: str, query: dict[str, str], body: dict[str, Any] | None) -> dict[str, Any]:
        """One request. Failures keep their class name only: httpx's errors carry the URL with the secret."""
        # 9 MB, with the command line that it brings: many offices have no WeChat, and their processes do without.
        import httpx  # noqa: PLC0415

        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self._base_url, timeout=self._timeout_s, transport=self._transport
            )
        never_left = False
        try:
            response = await self._client.request(method, path, params=query, json=body)
        except httpx.HTTPError as error:
            failure = type(error).__name__
            never_left = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        else:
            if response.status_code == httpx.codes.OK:
                return _decode(response.content)
            failure = f"HTTP {response.status_code}"
        raise WechatUnavailable(f"{path}: {failure}", never_left=never_left)


def check_message(data: Mapping[str, str]) -> None:
    """Hold each field to its template kind: `thing` ≤ 20 characters, `phrase` ≤ 5 Chinese ones, and so on."""
    for name, value in data.items():
        kind = re.fullmatch(r"([a-z_]+?)\d+", name)
        if kind is None or kind[1] not in _FIELD_RULES:
            raise MessageInvalid(name, "unknown_field")
        longest, form = _FIELD_RULES[kind[1]]
        if not value.strip():
            raise MessageInvalid(name, "empty")
        if len(value) > longest:
            raise MessageInvalid(name, "too_long")
        if form is not None and not re.fullmatch(form, value):
            raise MessageInvalid(name, "form")


def _errcode(answer: dict[str, Any]) -> int:
    """Absent and 0 both mean success."""
    errcode = answer.get("errcode", 0)
    if not isinstance(errcode, int):
        raise WechatUnavailable("errcode is not a number")
    return errcode


def _text(answer: dict[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise WechatUnavailable(f"answer without {name}")
    return value


def _decode(content: bytes) -> dict[str, Any]:
    """Whatever the content type says: WeChat labels its JSON text/plain on some calls."""
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError:
        failure = f"{len(content)} bytes that are not a JSON object"
    raise WechatUnavailable(failure)


def _hide_query(record: logging.LogRecord) -> bool:
    """At INFO, httpx logs each request's full URL; here the query holds the secret, the code or the token."""
    import httpx  # noqa: PLC0415

    if isinstance(record.args, tuple):
        record.args = tuple(arg.copy_with(query=None) if isinstance(arg, httpx.URL) else arg for arg in record.args)
    return True
