"""Stub of Aliyun's text messages: checks the signature, keeps what was sent, refuses as the real one does.

Numbers that end in 0000 are refused with `isv.MOBILE_NUMBER_ILLEGAL`, in 1111 with `isv.BUSINESS_LIMIT_CONTROL`. The
same nonce twice is `SignatureNonceUsed`. `QuerySendDetails` says of numbers that end in 2222 that the phone was off, of
3333 that no receipt has come, of the others that they got it. The WeChat stub serves this too; its `GET /_stub/sms`
lists what was sent.
"""

import itertools
import re
from typing import Any

import msgspec

from server.core.sms import sign_call

KEY_ID = "demo-key"
KEY_SECRET = "demo-secret"  # noqa: S105  valid for this stub only
Reply = dict[str, Any]


class SmsStub:
    def __init__(self) -> None:
        self.sent: list[Reply] = []
        self.nonces: set[str] = set()
        self.numbers = itertools.count(900_619_746_936_498)

    def send(self, form: dict[str, str]) -> tuple[int, Reply]:
        signature = form.pop("Signature", "")
        if form.get("AccessKeyId") != KEY_ID:
            return 404, _refuse("InvalidAccessKeyId.NotFound")
        if signature != sign_call("POST", form, KEY_SECRET):
            return 400, _refuse("SignatureDoesNotMatch")
        if form["SignatureNonce"] in self.nonces:
            return 400, _refuse("SignatureNonceUsed")
        self.nonces.add(form["SignatureNonce"])
        if form.get("Action") == "QuerySendDetails":
            return 200, self.describe(form)
        code = self.judge(form)
        if code != "OK":
            return 200, _refuse(code)
        message_id = f"{next(self.numbers)}^0"
        self.sent[-1]["id"] = message_id
        return 200, _refuse("OK") | {"BizId": message_id}

    def describe(self, form: dict[str, str]) -> Reply:
        phone = form.get("PhoneNumber", "")
        if not re.fullmatch(r"[0-9]{8}", form.get("SendDate", "")):
            return _refuse("isv.INVALID_PARAMETERS")
        status, code = {"2222": (2, "MOBILE_NOT_ON_SERVICE"), "3333": (1, "")}.get(phone[-4:], (3, "DELIVERED"))
        mine = [item for item in self.sent if (item["id"], item["phone"]) == (form.get("BizId"), phone)]
        details = [
            {"PhoneNum": phone, "SendStatus": status, "ErrCode": code, "TemplateCode": item["template"]}
            for item in mine
        ]
        return _refuse("OK") | {"TotalCount": str(len(mine)), "SmsSendDetailDTOs": {"SmsSendDetailDTO": details}}

    def judge(self, form: dict[str, str]) -> str:
        phone = form.get("PhoneNumbers", "")
        if not re.fullmatch(r"1[0-9]{10}", phone) or phone.endswith("0000"):
            return "isv.MOBILE_NUMBER_ILLEGAL"
        if phone.endswith("1111"):
            return "isv.BUSINESS_LIMIT_CONTROL"
        if not form.get("TemplateCode", "").startswith("SMS_"):
            return "isv.SMS_TEMPLATE_ILLEGAL"
        values = msgspec.json.decode(form.get("TemplateParam", "{}"))
        self.sent.append({"phone": phone, "template": form["TemplateCode"], "values": values})
        return "OK"


def _refuse(code: str) -> Reply:
    return {"RequestId": "F655A8D5-B967-440B-8683-DAD6FF8DE990", "Code": code, "Message": code}
