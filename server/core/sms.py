"""A client of Aliyun's text messages (短信服务, `SendSms` of 2017-05-25), with its signature of RPC calls.

The key and the signature go in the query, so nothing of it is logged. A refusal comes as a `Code` other than `OK`.
"""

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import uuid4

import msgspec

from server.core.clock import utc_now

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


class _Answer(msgspec.Struct, rename="pascal"):
    code: str


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

    async def send(self, phone: str, template: str, values: Mapping[str, str]) -> None:
        """Send one message to one number. Raises `SmsRefused` or `SmsUnavailable`; it is never repeated here."""
        if _ONE_NUMBER.fullmatch(phone) is None:
            raise SmsRefused("not_one_number")
        params = {
            "AccessKeyId": self._key_id,
            "Action": "SendSms",
            "Format": "JSON",
            "PhoneNumbers": phone,
            "RegionId": "cn-hangzhou",
            "SignName": self._sign_name,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureNonce": str(uuid4()),
            "SignatureVersion": "1.0",
            "TemplateCode": template,
            "TemplateParam": msgspec.json.encode(dict(values)).decode(),
            "Timestamp": utc_now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Version": "2017-05-25",
        }
        answer = await self._post(params | {"Signature": sign_call("POST", params, self._key_secret)})
        if answer.code != "OK":
            raise SmsRefused(answer.code)

    async def _post(self, params: dict[str, str]) -> _Answer:
        # 9 MB, which offices without text messages never load.
        import httpx  # noqa: PLC0415

        try:
            async with httpx.AsyncClient(timeout=self._timeout_s, transport=self._transport) as client:
                response = await client.post(f"{self._base_url}/", data=params)
        except httpx.HTTPError as error:
            not_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            raise SmsUnavailable(type(error).__name__, not_sent=not_sent) from None
        try:
            return msgspec.json.decode(response.content, type=_Answer)
        except msgspec.DecodeError:
            raise SmsUnavailable(f"HTTP {response.status_code}") from None


def sign_call(method: str, params: Mapping[str, str], secret: str) -> str:
    """Return the signature of a call: HMAC-SHA1 over the method and the sorted, encoded parameters."""
    query = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in sorted(params.items()))
    text = f"{method}&{_encode('/')}&{_encode(query)}"
    return b64encode(hmac.digest(f"{secret}&".encode(), text.encode(), hashlib.sha1)).decode()


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
