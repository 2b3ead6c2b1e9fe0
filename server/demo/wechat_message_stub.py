"""The part of the WeChat stub for messages: what is accepted, what is refused, and the events that WeChat pushes.

| openid ends in | what WeChat does with a message to it                            |
|----------------|------------------------------------------------------------------|
| `refused`      | 43101, whatever the person agreed to                             |
| `quota`        | 45009, the day's calls are used up                               |
| `blocked`      | takes it, and the receipt says `failed:user block`               |
| `failing`      | takes it, and the receipt says `failed: system failed`           |

A subscribe message of the service account costs a consent (`/_stub/consent`), else 43101; a template message wants a
follower (`/_stub/follow`), else 43004, and the same `client_msg_id` is taken once. Templates that begin with `bad` give
40037, malformed openids 40003, pages that no mini-program has 41030, fields that are too long or of another form 47003:
a `phrase` in Latin letters, a `time` without an hour.

Events go to the address of `PUSH_URL` in the environment, signed and encrypted as WeChat does; without one they wait
at `/_stub/events`.
"""

import itertools
import os
import re
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from server.core.wechat_push import encrypt, sign
from server.demo.wechat_web_stub import SERVICE_APP_ID, service_openid

PUSH_TOKEN = "demo-push"  # noqa: S105  valid for this stub only
PUSH_KEY = "ZGVtbyBrZXkgb2YgdGhlIHN0dWIgb2YgV2VDaGF0Li4"
# Where `make run` and tests tell the stub to push to.
PUSH_URL = "WECHAT_STUB_PUSH_URL"
_ACCOUNT = "gh_demo"
_LONGEST_FIELD = {"thing": 20, "phrase": 5, "name": 20, "character_string": 32}
_FIELD_FORMS = {
    "phrase": re.compile(r"[\u4e00-\u9fff]+"),
    "name": re.compile(r"[\u4e00-\u9fff·]{1,10}|[^\u4e00-\u9fff0-9]{1,20}"),
    "time": re.compile(r".*\d{1,2}:\d{2}.*"),
    "date": re.compile(r"\d{4}\D.*"),
}
_SUFFIX = "[A-Za-z0-9_]+"
Reply = dict[str, Any]


class MessageRefused(Exception):
    def __init__(self, errcode: int, detail: str = "") -> None:
        super().__init__(errcode, detail)
        self.errcode, self.detail = errcode, detail


class PushedEvent(NamedTuple):
    """An event of one of the two apps, as its push address names them."""

    pushed_by: str
    xml: str


class MessageStub:
    def __init__(self, clock: Callable[[], float], is_mini_openid: Callable[[str], bool]) -> None:
        self.clock, self.is_mini_openid = clock, is_mini_openid
        self.messages: list[Reply] = []
        self.consents: dict[tuple[str, str], int] = {}
        self.followers: set[str] = set()
        self.client_ids: dict[tuple[str, str], int] = {}
        self.events: list[PushedEvent] = []
        self.numbers = itertools.count(200228332)

    def send_mini(self, message: Reply) -> Reply:
        openid = str(message.get("touser"))
        if not self.is_mini_openid(openid):
            raise MessageRefused(40003)
        _check(message)
        if not re.fullmatch(r"([a-z][A-Za-z0-9_]*/)*[A-Za-z0-9_]+(\?.*)?", str(message.get("page") or "index")):
            raise MessageRefused(41030)
        _check_recipient(openid)
        number = self.take(message)
        self.report_sent("mini-program", openid, str(message["template_id"]), number)
        return {"errcode": 0, "errmsg": "ok", "msgid": number}

    def send_subscription(self, message: Reply) -> Reply:
        """Take a subscribe message of the service account; its answer has no id."""
        openid = _service_openid(message)
        _check(message)
        _check_recipient(openid)
        key = openid, str(message["template_id"])
        if self.consents.get(key, 0) < 1:
            raise MessageRefused(43101)
        self.consents[key] -= 1
        self.report_sent("service-account", openid, key[1], self.take(message))
        return {"errcode": 0, "errmsg": "ok"}

    def send_template(self, message: Reply) -> Reply:
        openid = _service_openid(message)
        _check(message)
        if openid not in self.followers:
            raise MessageRefused(43004)
        _check_recipient(openid)
        client_id = str(message.get("client_msg_id") or "")
        if client_id and (openid, client_id) in self.client_ids:
            return {"errcode": 0, "errmsg": "ok", "msgid": self.client_ids[openid, client_id]}
        number = self.take(message)
        if client_id:
            self.client_ids[openid, client_id] = number
        status = "success"
        if openid.endswith("blocked"):
            status = "failed:user block"
        elif openid.endswith("failing"):
            status = "failed: system failed"
        content = f"<MsgID>{number}</MsgID><Status><![CDATA[{status}]]></Status>"
        self.push("service-account", openid, "TEMPLATESENDJOBFINISH", content)
        return {"errcode": 0, "errmsg": "ok", "msgid": number}

    def take(self, message: Reply) -> int:
        self.messages.append(message)
        return next(self.numbers)

    def report_sent(self, pushed_by: str, openid: str, template_id: str, number: int) -> None:
        is_taken = not openid.endswith(("blocked", "failing"))
        content = (
            f"<SubscribeMsgSentEvent><List><TemplateId><![CDATA[{template_id}]]></TemplateId><MsgID>{number}</MsgID>"
            f"<ErrorCode>{0 if is_taken else 3}</ErrorCode>"
            f"<ErrorStatus><![CDATA[{'success' if is_taken else 'user refuse'}]]></ErrorStatus></List>"
            "</SubscribeMsgSentEvent>"
        )
        self.push(pushed_by, openid, "subscribe_msg_sent_event", content)

    def answer_dialog(self, suffix: str, templates: list[str], answer: str) -> Reply:
        """A person answers the dialog of `wx-open-subscribe`."""
        openid = service_openid(suffix)
        for template in templates:
            key = openid, template
            self.consents[key] = self.consents.get(key, 0) + 1 if answer == "accept" else 0
        self.push_answers(openid, "subscribe_msg_popup_event", "SubscribeMsgPopupEvent", templates, answer)
        return {"errcode": 0, "errmsg": "ok"}

    def revoke(self, suffix: str, templates: list[str]) -> Reply:
        """A person switches messages off in WeChat's settings."""
        openid = service_openid(suffix)
        for template in templates:
            self.consents[openid, template] = 0
        self.push_answers(openid, "subscribe_msg_change_event", "SubscribeMsgChangeEvent", templates, "reject")
        return {"errcode": 0, "errmsg": "ok"}

    def push_answers(self, openid: str, event: str, wrapper: str, templates: list[str], answer: str) -> None:
        lists = "".join(
            f"<List><TemplateId><![CDATA[{template}]]></TemplateId><SubscribeStatusString><![CDATA[{answer}]]>"
            "</SubscribeStatusString><PopupScene>2</PopupScene></List>"
            for template in templates
        )
        self.push("service-account", openid, event, f"<{wrapper}>{lists}</{wrapper}>")

    def follow(self, suffix: str, *, is_following: bool) -> Reply:
        openid = service_openid(suffix)
        (self.followers.add if is_following else self.followers.discard)(openid)
        self.push("service-account", openid, "subscribe" if is_following else "unsubscribe", "<EventKey></EventKey>")
        return {"errcode": 0, "errmsg": "ok"}

    def push(self, pushed_by: str, openid: str, event: str, content: str) -> None:
        xml = (
            f"<xml><ToUserName><![CDATA[{_ACCOUNT}]]></ToUserName><FromUserName><![CDATA[{openid}]]></FromUserName>"
            f"<CreateTime>{int(self.clock())}</CreateTime><MsgType><![CDATA[event]]></MsgType>"
            f"<Event><![CDATA[{event}]]></Event>{content}</xml>"
        )
        self.events.append(PushedEvent(pushed_by, xml))

    def take_events(self) -> list[PushedEvent]:
        events, self.events = self.events, []
        return events


def sign_event(event: PushedEvent, mini_app_id: str, at: float) -> tuple[dict[str, str], bytes]:
    """Return the query and the body of a push, in WeChat's encrypted mode."""
    app_id = mini_app_id if event.pushed_by == "mini-program" else SERVICE_APP_ID
    sealed = encrypt(PUSH_KEY, app_id, event.xml.encode())
    timestamp, nonce = str(int(at)), secrets.token_hex(5)
    query = {
        "signature": sign(PUSH_TOKEN, timestamp, nonce),
        "timestamp": timestamp,
        "nonce": nonce,
        "encrypt_type": "aes",
        "msg_signature": sign(PUSH_TOKEN, timestamp, nonce, sealed),
    }
    to, encrypted = f"<ToUserName><![CDATA[{_ACCOUNT}]]></ToUserName>", f"<Encrypt><![CDATA[{sealed}]]></Encrypt>"
    return query, f"<xml>{to}{encrypted}</xml>".encode()


async def push_events(stub: MessageStub, mini_app_id: str) -> None:
    """Push what has happened to the address in the environment, three times each as WeChat does while it fails."""
    url = os.environ.get(PUSH_URL)
    if not url:
        return
    import httpx  # noqa: PLC0415  9 MB, which a stub without an address never loads

    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        for event in stub.take_events():
            for _ in range(3):
                query, body = sign_event(event, mini_app_id, stub.clock())
                try:
                    answer = await client.post(f"{url}/{event.pushed_by}", params=query, content=body)
                except httpx.HTTPError:
                    continue
                if answer.status_code == httpx.codes.OK:
                    break


def _service_openid(message: Reply) -> str:
    openid = str(message.get("touser"))
    if not re.fullmatch(re.escape(service_openid("")) + _SUFFIX, openid):
        raise MessageRefused(40003)
    return openid


def _check(message: Reply) -> None:
    if not message.get("template_id") or str(message["template_id"]).startswith("bad"):
        raise MessageRefused(40037)
    data = message.get("data")
    if not isinstance(data, dict) or not data:
        raise MessageRefused(47003, " data is empty")
    for name, entry in data.items():
        value = entry.get("value") if isinstance(entry, dict) else None
        kind = re.sub(r"[0-9]+$", "", name)
        longest, form = _LONGEST_FIELD.get(kind, 100), _FIELD_FORMS.get(kind)
        if not value or len(str(value)) > longest or (form is not None and not form.fullmatch(str(value))):
            raise MessageRefused(47003, f" data.{name}.value invalid")


def _check_recipient(openid: str) -> None:
    if openid.endswith("quota"):
        raise MessageRefused(45009)
    if openid.endswith("refused"):
        raise MessageRefused(43101)
