"""A client of Aliyun's text messages (短信服务, `SendSms` and `QuerySendDetails` of 2017-05-25), with its signature of
RPC calls. Receipts are asked for: those that it pushes carry no signature, so that anybody could forge them.

The key and the signature go in the query, so nothing of it is logged. A refusal comes as a `Code` other than `OK`.
"""

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar
from urllib.parse import quote
from uuid import uuid4

import msgspec

from server.core.clock import CHINA, utc_now

if TYPE_CHECKING:
    import httpx


# Aliyun sends to every number of a list by comma, which a phone field might hold.
_ONE_NUMBER = re.compile(r"\+?[0-9]{5,20}")


class SmsRefused(Exception):
    """The service answered with a code other than `OK`, as `isv.BUSINESS_LIMIT_CONTROL`."""

    def __init__(self, code: str) -> None:
        super().__init__(f"text message refused: {code}")
        self.code = code


class SmsUnavailable(Exception):
    """No usable answer. `not_sent`: no connection was made, so certainly nothing was sent."""

    def __init__(self, failure: str, *, not_sent: bool = False) -> None:
        super().__init__(failure)
        self.not_sent = not_sent


class SmsReceipt(NamedTuple):
    """What became of a message. `why` is the operator's code of a failure, as `MOBILE_NOT_ON_SERVICE`."""

    state: Literal["waiting", "delivered", "failed"]
    why: str | None = None


class _Answer(msgspec.Struct, rename="pascal"):
    code: str
    biz_id: str | None = None


class _Detail(msgspec.Struct, rename="pascal"):
    send_status: int
    err_code: str = ""


class _DetailList(msgspec.Struct):
    details: list[_Detail] = msgspec.field(name="SmsSendDetailDTO", default_factory=list)


class _Details(msgspec.Struct):
    code: str = msgspec.field(name="Code")
    found: _DetailList = msgspec.field(name="SmsSendDetailDTOs", default_factory=_DetailList)


_STATES: dict[int, Literal["failed", "delivered"]] = {2: "failed", 3: "delivered"}
_A = TypeVar("_A", _Answer, _Details)


class Sms:
    """The client of one account. `transport` is for tests."""

    def __init__(
        self,
        base_url: str,
        key_id: str,
        key_secret: str,
        sign_name: str,
        *,
        timeout_s: float = 5.0,
        transport: "httpx.AsyncBaseTransport | None" = None,
    ) -> None:
        self._base_url, self._key_id, self._key_secret = base_url, key_id, key_secret
        self._sign_name, self._timeout_s, self._transport = sign_name, timeout_s, transport

    @property
    def is_set_up(self) -> bool:
        return all((self._base_url, self._key_id, self._key_secret, self._sign_name))

    async def send(self, phone: str, template: str, values: Mapping[str, str]) -> str | None:
        """Send one message to one number and return its id. Raises `SmsRefused` or `SmsUnavailable`; it is never
        repeated here.
        """
        if _ONE_NUMBER.fullmatch(phone) is None:
            raise SmsRefused("not_one_number")
        answer = await self._call(
            "SendSms",
            {
                "PhoneNumbers": phone,
                "SignName": self._sign_name,
                "TemplateCode": template,
                "TemplateParam": msgspec.json.encode(dict(values)).decode(),
            },
            _Answer,
        )
        return answer.biz_id

    async def load_receipt(self, phone: str, message_id: str, sent_at: datetime) -> SmsReceipt:
        """Ask what became of a message of the last 30 days. Raises `SmsRefused` or `SmsUnavailable`."""
        day = sent_at.astimezone(CHINA).strftime("%Y%m%d")
        params = {"PhoneNumber": phone, "BizId": message_id, "SendDate": day, "PageSize": "1", "CurrentPage": "1"}
        answer = await self._call("QuerySendDetails", params, _Details)
        for detail in answer.found.details:
            if state := _STATES.get(detail.send_status):
                return SmsReceipt(state, detail.err_code or None if state == "failed" else None)
        return SmsReceipt("waiting")

    async def _call(self, action: str, more: Mapping[str, str], kind: type[_A]) -> _A:
        params = {
            "AccessKeyId": self._key_id,
            "Action": action,
            "Format": "JSON",
            "RegionId": "cn-hangzhou",
            "SignatureMethod": "HMAC-SHA1",
            "SignatureNonce": str(uuid4()),
            "SignatureVersion": "1.0",
            "Timestamp": utc_now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Version": "2017-05-25",
            **more,
        }
        answer = await self._post(params | {"Signature": sign_call("POST", params, self._key_secret)}, kind)
        if answer.code != "OK":
            raise SmsRefused(answer.code)
        return answer

    async def _post(self, params: dict[str, str], kind: type[_A]) -> _A:
        # 9 MB, which offices without text messages never load.
        import httpx  # noqa: PLC0415

        try:
            async with httpx.AsyncClient(timeout=self._timeout_s, transport=self._transport) as client:
                response = await client.post(f"{self._base_url}/", data=params)
        except httpx.HTTPError as error:
            not_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            raise SmsUnavailable(type(error).__name__, not_sent=not_sent) from None
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.DecodeError:
            raise SmsUnavailable(f"HTTP {response.status_code}") from None


def sign_call(method: str, params: Mapping[str, str], secret: str) -> str:
    """Return the signature of a call: HMAC-SHA1 over the method and the sorted, encoded parameters."""
    query = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in sorted(params.items()))
    text = f"{method}&{_encode('/')}&{_encode(query)}"
    return b64encode(hmac.digest(f"{secret}&".encode(), text.encode(), hashlib.sha1)).decode()


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
