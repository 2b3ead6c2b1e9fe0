"""What WeChat pushes: its signature, its encryption, and what is refused before it is read."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from server.core import wechat_push
from server.core.clock import utc_now
from server.core.http import client_address
from server.core.sms import Sms, SmsRefused
from server.core.wechat_push import PushRefused, decrypt, encrypt, parse, read_event, sign
from server.demo.wechat_message_stub import PUSH_KEY, PUSH_TOKEN, PushedEvent, sign_event

APP = "wx-demo-service"
NOW = utc_now()
EVENT = PushedEvent("service-account", "<xml><Event><![CDATA[subscribe]]></Event></xml>")


def test_the_signature_is_the_sorted_parts_and_not_their_order():
    assert sign("a", "c", "b") == sign("b", "a", "c") == "a9993e364706816aba3e25717850c26c9cd0d89d"  # of "abc"


def test_a_message_is_read_as_it_was_encrypted():
    for text in ("", "x", "走访" * 500):
        assert decrypt(PUSH_KEY, APP, encrypt(PUSH_KEY, APP, text.encode())) == text.encode()


def test_an_event_of_another_app_or_key_is_refused():
    other = "b3RoZXIga2V5IG9mIHRoZSBzdHViIG9mIFdlQ2hhdC4"
    for sealed in (encrypt(PUSH_KEY, "wx-other", b"{}"), encrypt(other, APP, b"{}"), "", "AAAA", "not base64"):
        with pytest.raises(PushRefused):
            decrypt(PUSH_KEY, APP, sealed)


def test_a_signed_event_is_read_and_one_with_another_signature_or_age_is_not():
    query, body = sign_event(EVENT, "wx-demo", NOW.timestamp())
    assert read_event(PUSH_TOKEN, PUSH_KEY, APP, query, body, NOW) == {"Event": "subscribe"}
    refused = [
        (PUSH_TOKEN, query | {"msg_signature": "0" * 40}, NOW),
        (PUSH_TOKEN, query | {"nonce": "other"}, NOW),
        ("another token", query, NOW),
        (PUSH_TOKEN, query, NOW + timedelta(seconds=wechat_push.LONGEST_AGE_S + 1)),
        (PUSH_TOKEN, query | {"timestamp": "soon"}, NOW),
        (PUSH_TOKEN, {}, NOW),
    ]
    for token, changed, at in refused:
        with pytest.raises(PushRefused):
            read_event(token, PUSH_KEY, APP, changed, body, at)


def test_nothing_plain_is_taken_whoever_signed_it():
    query, _ = sign_event(EVENT, "wx-demo", NOW.timestamp())
    with pytest.raises(PushRefused):
        read_event(PUSH_TOKEN, PUSH_KEY, APP, query, EVENT.xml.encode(), NOW)


def test_repeated_elements_are_a_list_and_json_is_read_too():
    assert parse(b"<xml><List><A>1</A></List><List><A>2</A></List></xml>") == {"List": [{"A": "1"}, {"A": "2"}]}
    assert parse(b'{"List": {"A": "1"}}') == {"List": {"A": "1"}}


DOCTYPE = '<!DOCTYPE x [<!ENTITY a "b">]><xml>&a;</xml>'


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<xml", b"{", b"[]", DOCTYPE.encode(), DOCTYPE.encode("utf-16"), DOCTYPE.encode("utf-16-le"),
        b"<xml>\xff</xml>", b"<a>" * 5000 + b"</a>" * 5000, b'{"a":' * 9000 + b"1" + b"}" * 9000,
        b"<xml>" + b" " * wechat_push.LARGEST_BODY + b"</xml>",
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused(body):
    with pytest.raises(PushRefused):
        parse(body)


def test_an_unsigned_body_is_never_parsed(monkeypatch):
    def refuse(*_):
        raise AssertionError("parsed")

    monkeypatch.setattr("xml.etree.ElementTree.fromstring", refuse)
    query, body = sign_event(EVENT, "wx-demo", NOW.timestamp())
    for unsigned in (body, b"<xml><Encrypt>AAAA</Encrypt></xml>", b"<xml/>", b'{"Encrypt": "AAAA"}', b'{"Encrypt": 1}'):
        with pytest.raises(PushRefused):
            read_event(PUSH_TOKEN, PUSH_KEY, APP, query | {"msg_signature": "0" * 40}, unsigned, NOW)


def test_many_repeated_elements_are_read_at_once():
    assert len(parse(b"<x>" + b"<a>1</a>" * 8000 + b"</x>")["a"]) == 8000


@pytest.mark.parametrize(("host", "counted"), [
    ("203.0.113.7", "203.0.113.7"), ("::1", "::1"), ("::ffff:203.0.113.7", "203.0.113.7"), ("testclient", "testclient"),
    ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"), ("2001:db8:1:2::9", "2001:db8:1:2::"),
])  # fmt: skip
def test_an_address_of_ipv6_counts_by_its_network(host, counted):
    assert client_address(cast("Any", SimpleNamespace(client=SimpleNamespace(host=host)))) == counted


async def test_a_text_message_goes_to_one_number_or_nowhere():
    def fail(_):
        raise AssertionError("sent")

    sms = Sms("http://127.0.0.1:1", "id", "secret", "走访", transport=httpx.MockTransport(fail))
    for phone in ("13800000001,13800000002", "13800000001、13800000002", "", "1380000 0001", "138", "+"):
        with pytest.raises(SmsRefused, match="not_one_number"):
            await sms.send(phone, "SMS_1", {})
