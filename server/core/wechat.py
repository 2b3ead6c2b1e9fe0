"""A client of WeChat's server API: sign-in in the mini-program and on the web, phone number, access token, messages.

WeChat answers every error with HTTP 200 and an `errcode`, sometimes as `text/plain`; the client raises one exception
with a kind that a caller can act on. The app secret and the codes are sent in query strings, so the client removes
query strings from httpx's log lines. `session_key` is discarded, because nothing needs it. Protocol:
docs/domain.md#wechat.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from server.core.wechat_messages import check_message

if TYPE_CHECKING:
    import httpx

RefusedKind = Literal[
    "bad_code",  # never issued, older than 5 minutes, or used before: the phone must call wx.login again
    "too_many",  # more than 100 a minute for this user, or the daily quota is used up
    "blocked",  # WeChat blocks the user as high-risk
    "busy",  # still busy after the retries
    "refused_message",  # the user refused, or the one-time consent is used up
    "bad_message",  # invalid template or field
    "bad_recipient",  # openid of another app
    "not_follower",  # does not follow the service account, which template messages need
    "day_quota",  # the account's calls of this day are used up
    "invalid_credential",  # app id, secret or token: the operator must fix it, not the user
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
    41030: "bad_message",
    41001: "invalid_credential",
    41002: "invalid_credential",
    41004: "invalid_credential",
    41008: "bad_code",
    42001: "invalid_credential",
    42003: "bad_code",
    43004: "not_follower",
    43101: "refused_message",
    45009: "day_quota",
    45011: "too_many",
    47003: "bad_message",
}
_TOKEN_ERRORS = frozenset({40001, 40014, 42001})

_RENEW_BEFORE_S = 300.0
"""WeChat issues the next stable token five minutes before the current one expires; both are valid until then."""


class WechatRefused(Exception):
    """WeChat answered with an error code."""

    def __init__(self, errcode: int, kind: RefusedKind, errmsg: str = "") -> None:
        super().__init__(f"WeChat refused: {kind} ({errcode}) {errmsg}".rstrip())
        self.errcode = errcode
        self.kind: RefusedKind = kind


class WechatUnavailable(Exception):
    """No usable response: network error, timeout, HTTP error, or a body that is not WeChat's JSON.

    `not_sent`: no connection was made, so WeChat certainly did not process the request.
    """

    def __init__(self, message: str, *, not_sent: bool = False) -> None:
        super().__init__(message)
        self.not_sent = not_sent


class WechatSession(msgspec.Struct, frozen=True, kw_only=True):
    """The user who signed in. `unionid` is set only where the app belongs to an open-platform account."""

    openid: str
    unionid: str | None = None


class WebAccount(WechatSession, frozen=True, kw_only=True):
    """The user who came back from WeChat's web sign-in. `unionid` comes only with the scope `snsapi_userinfo`.

    `is_virtual`: WeChat shows the page in its snapshot mode and has made the account up for it.
    """

    is_virtual: bool = False


@dataclass(frozen=True, kw_only=True)
class PhoneNumber:
    """`number` has a country prefix where it is foreign, `pure_number` has none. Both are left out of `repr`."""

    number: str = field(repr=False)
    pure_number: str = field(repr=False)
    country_code: str


@dataclass(frozen=True)
class _Token:
    value: str = field(repr=False)
    renew_at: float


class Wechat:
    """The client of one app. Share one instance in a process, and `aclose` it at the end.

    `timeout_s` is per request. `pauses_s` are the waits before each retry after a busy response, so their number limits
    the retries. `transport` and `clock` (monotonic seconds) are for tests.
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
        """Exchange a code of `wx.login`, which is valid for 5 minutes and works once."""
        query = {
            "appid": self._app_id,
            "secret": self._secret,
            "js_code": code,
            "grant_type": "authorization_code",
        }
        answer = await self._call("GET", "/sns/jscode2session", query)
        return WechatSession(openid=_text(answer, "openid"), unionid=answer.get("unionid") or None)

    async def exchange_web_code(self, code: str) -> WebAccount:
        """Exchange a code of the web sign-in (网页授权), which is valid for 5 minutes and works once.

        It is never sent a second time: after "busy" the code may be spent, and the person begins anew.
        """
        query = {"appid": self._app_id, "secret": self._secret, "code": code, "grant_type": "authorization_code"}
        answer = await self._call("GET", "/sns/oauth2/access_token", query, pauses_s=())
        return WebAccount(
            openid=_text(answer, "openid"),
            unionid=answer.get("unionid") or None,
            is_virtual=answer.get("is_snapshotuser") == 1,
        )

    async def phone_number(self, code: str) -> PhoneNumber:
        """Exchange a code of a `getPhoneNumber` button. It is not the code of `wx.login`, but lives as short."""
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
    ) -> str | None:
        """Send one message of the mini-program, for which the user gave a one-time consent. Return WeChat's id of it.

        `data` maps template fields (`thing1`, `date2`) to their texts. Raise `MessageInvalid` before sending when
        WeChat would refuse a field for its format.
        """
        check_message(data)
        body: dict[str, Any] = {
            "touser": openid,
            "template_id": template_id,
            "miniprogram_state": state,
            "lang": "zh_CN",
            "data": _values(data),
        }
        if page is not None:
            body["page"] = page
        return _message_id(await self._call_with_token("/cgi-bin/message/subscribe/send", body))

    async def send_service_subscription(
        self, openid: str, template_id: str, data: Mapping[str, str], *, page: str | None = None
    ) -> str | None:
        """Send one subscribe message of the service account. `page` is an address of ours."""
        check_message(data)
        body: dict[str, Any] = {"touser": openid, "template_id": template_id, "data": _values(data)}
        if page is not None:
            body["page"] = page
        return _message_id(await self._call_with_token("/cgi-bin/message/subscribe/bizsend", body))

    async def send_template_message(
        self, openid: str, template_id: str, data: Mapping[str, str], *, client_id: str, page: str | None = None
    ) -> str | None:
        """Send one template message to a follower. For ten minutes WeChat sends no second one with this `client_id`."""
        check_message(data)
        body: dict[str, Any] = {
            "touser": openid,
            "template_id": template_id,
            "client_msg_id": client_id,
            "data": _values(data),
        }
        if page is not None:
            body["url"] = page
        return _message_id(await self._call_with_token("/cgi-bin/message/template/send", body))

    async def jsapi_ticket(self) -> tuple[str, float]:
        """Fetch a ticket for signatures of the JS-SDK, and for how many seconds it works."""
        answer = await self._call_with_token("/cgi-bin/ticket/getticket", None, {"type": "jsapi"})
        lifetime_s = answer.get("expires_in")
        if not isinstance(lifetime_s, int | float):
            raise WechatUnavailable("answer without expires_in")
        return _text(answer, "ticket"), float(lifetime_s)

    async def stable_token(self) -> str:
        """Return the cached access token, which is fetched once for concurrent callers and renewed before it expires.

        WeChat gives every replica the same stable token, so replicas need not share it.
        """
        async with self._token_lock:
            if self._token is None or self._clock() >= self._token.renew_at:
                self._token = await self._fetch_token()
            return self._token.value

    async def _fetch_token(self) -> _Token:
        requested_at = self._clock()
        body = {"grant_type": "client_credential", "appid": self._app_id, "secret": self._secret}
        answer = await self._call("POST", "/cgi-bin/stable_token", {}, body)
        lifetime_s = answer.get("expires_in")
        if not isinstance(lifetime_s, int | float):
            raise WechatUnavailable("answer without expires_in")
        return _Token(_text(answer, "access_token"), requested_at + max(lifetime_s - _RENEW_BEFORE_S, lifetime_s / 2))

    async def _call_with_token(
        self, path: str, body: dict[str, Any] | None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Call, and retry once with a new token when WeChat no longer accepts the cached one. Without a body: GET."""
        method, more = "POST" if body is not None else "GET", dict(query or {})
        token = await self.stable_token()
        try:
            return await self._call(method, path, {"access_token": token, **more}, body)
        except WechatRefused as refused:
            if refused.errcode not in _TOKEN_ERRORS:
                raise
        await self._forget_token(token)
        return await self._call(method, path, {"access_token": await self.stable_token(), **more}, body)

    async def _forget_token(self, refused: str) -> None:
        """Drop the cached token if it is the refused one; another request may have fetched a new one meanwhile."""
        async with self._token_lock:
            if self._token is not None and self._token.value == refused:
                self._token = None

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        body: dict[str, Any] | None = None,
        *,
        pauses_s: Sequence[float] | None = None,
    ) -> dict[str, Any]:
        """Send a request, with retries while WeChat is busy.

        Other failures are not retried, because a lost request may have used up its one-time code.
        """
        for pause_s in (*(self._pauses_s if pauses_s is None else pauses_s), None):
            answer = await self._send(method, path, query, body)
            errcode = _errcode(answer)
            if errcode == 0:
                return answer
            if _KINDS.get(errcode) != "busy" or pause_s is None:
                break
            await asyncio.sleep(pause_s)
        raise WechatRefused(errcode, _KINDS.get(errcode, "other"), str(answer.get("errmsg", "")))

    async def _send(self, method: str, path: str, query: dict[str, str], body: dict[str, Any] | None) -> dict[str, Any]:
        """Send one request. Report only the class name of a failure: httpx's errors contain the URL with the secret."""
        # 9 MB, with the command line that it imports; many offices do not use WeChat and never load it.
        import httpx  # noqa: PLC0415

        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self._base_url, timeout=self._timeout_s, transport=self._transport
            )
        not_sent = False
        try:
            response = await self._client.request(method, path, params=query, json=body)
        except httpx.HTTPError as error:
            failure = type(error).__name__
            not_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        else:
            if response.status_code == httpx.codes.OK:
                return _decode(response.content)
            failure = f"HTTP {response.status_code}"
        raise WechatUnavailable(f"{path}: {failure}", not_sent=not_sent)


def _values(data: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"value": value} for name, value in data.items()}


def _message_id(answer: dict[str, Any]) -> str | None:
    """Return WeChat's id of a message, a number that JavaScript would round; some answers have none."""
    message_id = answer.get("msgid")
    return None if message_id is None else str(message_id)


def _errcode(answer: dict[str, Any]) -> int:
    """Return the error code; both 0 and an absent code mean success."""
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
    """Decode the body without regard to its content type: WeChat sends JSON as text/plain on some calls."""
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError:
        failure = f"{len(content)} bytes that are not a JSON object"
    raise WechatUnavailable(failure)


def _hide_query(record: logging.LogRecord) -> bool:
    """Remove queries from httpx's log records: at INFO it logs full URLs, which contain the secret, code or token."""
    import httpx  # noqa: PLC0415

    if isinstance(record.args, tuple):
        record.args = tuple(arg.copy_with(query=None) if isinstance(arg, httpx.URL) else arg for arg in record.args)
    return True
