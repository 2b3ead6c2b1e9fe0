"""Signatures for WeChat's JS-SDK: the published vectors, our own pages alone, one ticket for all replicas."""

from datetime import timedelta

import msgspec
import pytest

from server.core.clock import utc_now
from server.core.wechat import Wechat
from server.demo.wechat_sdk_stub import DEMO_TICKET
from server.identity import wechat_routes
from server.identity.js_config import compute_js_signature

TICKET = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
PATH = "/auth/v1/wechat/js-config"
PAGE = "http://zoufang.test/m/visit/7?from=plan"


@pytest.mark.parametrize(
    ("url", "signature"),
    [
        ("http://mp.weixin.qq.com?params=value", "0f9de62fce790f9a083d5c99e95740ceb90c27ed"),
        ("http://mp.weixin.qq.com", "f4d90daf4b3bca3078ab155816175ba34c443a7b"),
    ],
)
def test_the_signature_is_wechats_published_one(url, signature):
    assert compute_js_signature(TICKET, "Wm3WZYTPz0wzccnW", 1414587457, url) == signature


async def test_a_page_is_signed_with_its_query_and_without_what_is_behind_the_hash(phone):
    answer = (await phone.http.post(PATH, json={"url": f"{PAGE}#place"})).json()
    assert answer["appId"] == "wx-demo-service"
    assert answer["signature"] == compute_js_signature(DEMO_TICKET, answer["nonceStr"], answer["timestamp"], PAGE)


@pytest.mark.parametrize("url", ["https://evil.example/m/", "http://zoufang.test.evil.example/", "ftp://zoufang.test/"])
async def test_no_page_of_others_is_signed(phone, url):
    answer = await phone.http.post(PATH, json={"url": url})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")


async def test_a_ticket_is_fetched_once_for_all_replicas_and_again_before_it_expires(phone, services, monkeypatch):
    fetched = []
    fetch = Wechat.jsapi_ticket

    async def count(self):
        fetched.append(1)
        return await fetch(self)

    monkeypatch.setattr(Wechat, "jsapi_ticket", count)
    for _ in range(3):
        assert (await phone.http.post(PATH, json={"url": PAGE})).status_code == 200
    assert len(fetched) == 1
    monkeypatch.setattr(wechat_routes, "utc_now", lambda: utc_now() + timedelta(minutes=111))
    assert (await phone.http.post(PATH, json={"url": PAGE})).status_code == 200
    assert len(fetched) == 2


async def test_without_a_service_account_the_server_says_so(phone, services, monkeypatch):
    settings = msgspec.structs.replace(services.settings, wechat_service_app_id="")
    monkeypatch.setitem(services.__dict__, "settings", settings)
    answer = await phone.http.post(PATH, json={"url": PAGE})
    assert (answer.status_code, answer.json()["code"]) == (404, "wechat.web_not_set_up")
