"""Every way of a notice: the service account, its receipts, what people end, and the text message as the last way."""

from datetime import timedelta

import httpx
import msgspec
import pytest
from sqlalchemy import select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import CheckText, Notify, SendMessage, SendNoticeText
from server.core.wechat import WechatUnavailable
from server.demo.wechat_message_stub import PushedEvent, sign_event
from server.models.areas import PolicySetting
from server.models.cases import CaseFile
from server.models.households import Household
from server.models.notifications import Announcement, MessageDelivery, Notice, WechatFollower
from server.models.people import Identity, ResidentBinding, Staff
from server.notifications import dispatch, messages, texts
from tests.notifications.readers import FIELDS, SUBSCRIBE, TEMPLATE, make_reader, wechat
from tests.notifications.test_notifications import NOON, set_rule

SETTING = {
    "templateId": "",
    "page": "",
    "fields": {},
    "serviceSubscribe": {"templateId": SUBSCRIBE, "fields": FIELDS},
    "serviceTemplate": {"templateId": TEMPLATE, "fields": FIELDS, "page": "/r/"},
    "sms": "SMS_200000001",
}


@pytest.fixture(autouse=True)
def noon(monkeypatch):
    for module in (dispatch, messages, texts):
        monkeypatch.setattr(module, "utc_now", lambda: NOON)


@pytest.fixture
async def setting(services, county):
    await set_rule(services, "notice.template.decided", SETTING, county.code)


@pytest.fixture
async def reader(system, services, setting):
    return await make_reader(system, services)


async def test_a_pushed_consent_counts_once_is_spent_by_one_message_and_its_receipt_is_kept(reader, services, desk):
    assert await reader.agree(times=3) == 1
    assert await reader.messages() == {"service_subscribe": (1, True), "service_template": (None, True)}
    await reader.tell()
    [sent] = await reader.sent()
    assert (sent["touser"], sent["template_id"]) == ("oSVdemo-resident1", SUBSCRIBE)
    assert await reader.message() == ("sent", None)
    assert (await reader.messages())["service_subscribe"] == (0, True)
    assert await reader.push(times=2) == 1
    async with services.sessions() as session:
        delivery = (await session.scalars(select(MessageDelivery))).one()
        assert (delivery.way, delivery.state) == ("service_subscribe", "delivered")
        assert delivery.receipt_at is not None
    [line] = (await desk.http.get("/desk/v1/announcements", params={"kind": "decided"})).json()["items"]
    assert (line["outcome"], line["readers"], line["reached"], line["why"]) == ("reached", 1, 1, None)
    detail = (await desk.http.get(f"/desk/v1/announcements/{line['id']}")).json()
    [way] = detail["readers"][0]["deliveries"]
    assert (way["way"], way["state"]) == ("service_subscribe", "delivered")


async def test_consents_taken_back_in_wechats_settings_are_worth_nothing(reader):
    await reader.agree()
    await reader.stub("revoke", templates=SUBSCRIBE)
    await reader.push()
    assert await reader.left() == 0


async def test_a_refused_dialog_is_no_consent(reader):
    await reader.agree("reject")
    assert await reader.left() == 0


async def test_a_consent_that_wechat_does_not_have_leads_to_the_next_way(reader, services):
    await reader.agree()
    await reader.stub("revoke", templates=SUBSCRIBE)  # and its event never came
    await reader.stub("events")
    await reader.follow()
    await reader.tell()
    assert await reader.message() == ("sent", None)
    [sent] = await reader.sent()
    assert sent["template_id"] == TEMPLATE
    async with services.sessions() as session:
        rows = await session.execute(
            select(MessageDelivery.way, MessageDelivery.state, MessageDelivery.why).order_by(MessageDelivery.begun_at)
        )
        assert {tuple(row) for row in rows} == {
            ("service_subscribe", "refused", "refused_message 43101"),
            ("service_template", "sent", None),
        }
    assert await reader.left() == 0


async def test_who_does_not_follow_gets_no_template_message_and_is_not_tried_again_until_they_do(reader, services):
    await reader.tell()
    assert await reader.message() == ("refused", "not_follower 43004")
    async with services.sessions() as session:
        follower = await session.get_one(WechatFollower, "oSVdemo-resident1")
        assert follower.is_following is False
    assert await reader.messages() == {"service_subscribe": (0, True), "service_template": (None, False)}
    await reader.tell("event:2")
    assert await reader.message() == ("no_consent", None)
    await reader.follow()
    await reader.tell("event:3")
    assert await reader.message() == ("sent", None)


async def test_a_blocked_account_is_known_by_the_receipt_and_counted(system, services, setting, desk):
    reader = await make_reader(system, services, "blocked")
    await reader.follow()
    await reader.tell()
    assert await reader.message() == ("sent", None)
    await reader.push()
    assert await reader.message() == ("refused", "user_block")
    counts = (await desk.http.get("/desk/v1/announcements/counts")).json()["counts"]
    assert {"kind": "decided", "outcome": "waiting", "why": None, "count": 1} in counts  # the text is still to come


async def test_when_the_days_calls_are_used_up_the_message_waits_for_tomorrow(system, services, setting):
    reader = await make_reader(system, services, "quota")
    await reader.agree()
    await reader.tell()
    assert await reader.message() == ("waiting", "day_quota 45009")
    assert await reader.left() == 1
    assert messages.until_tomorrow(NOON) == timedelta(hours=12, minutes=10)


async def test_a_template_message_without_an_answer_is_repeated_under_the_same_id(reader, services, monkeypatch):
    await reader.follow()
    taken = []
    send = services.wechat_service.send_template_message

    async def cut_off(*arguments, **options):
        taken.append(options["client_id"])
        await send(*arguments, **options)
        if len(taken) == 1:
            raise WechatUnavailable("cut")

    monkeypatch.setattr(services.wechat_service, "send_template_message", cut_off)
    await reader.tell()
    assert await reader.message() == ("waiting", "unavailable")
    async with services.sessions() as session:
        notice_id = await session.scalar(select(Notice.id))
    await messages.send_message(services, SendMessage(notice_id=notice_id))
    assert (await reader.message())[0] == "sent"
    assert len(set(taken)) == 1
    assert len(await reader.sent()) == 1


async def test_a_long_term_consent_is_not_used_up(reader, services, county):
    long_term = SETTING | {"serviceSubscribe": {"templateId": SUBSCRIBE, "fields": FIELDS, "longTerm": True}}
    async with open_session(services.sessions) as session:
        mine = PolicySetting.key == "notice.template.decided", PolicySetting.area_code == county.code
        await session.execute(update(PolicySetting).where(*mine).values(value=long_term))
    await reader.agree()
    await reader.tell()
    assert await reader.left() == 1


async def test_who_ends_a_kind_of_message_reads_it_in_the_app_alone(reader):
    await reader.agree()
    stop = {"kind": "decided", "isStopped": True}
    [line] = (await reader.http.post("/resident/v1/messages/stop", json=stop)).json()
    assert line["isStopped"]
    await reader.tell()
    assert await reader.message() == ("none", "stopped")
    assert await reader.sent() == []
    assert (await reader.http.get("/resident/v1/notices")).json()["unread"] == 1
    answer = await reader.http.post("/resident/v1/messages/stop", json=stop | {"isStopped": False})
    assert [line["isStopped"] for line in answer.json()] == [False]
    await reader.tell("event:2")
    assert await reader.message() == ("sent", None)
    for kind in ("assigned", "nothing"):
        answer = await reader.http.post("/resident/v1/messages/stop", json={"kind": kind, "isStopped": True})
        assert answer.json()["code"] == "request.invalid"


async def test_a_push_that_wechat_did_not_sign_changes_nothing(system, services, reader):
    event = PushedEvent("service-account", "<xml><FromUserName>oSVdemo-resident1</FromUserName></xml>")
    query, body = sign_event(event, "wx-demo", utc_now().timestamp())
    for path, params in (
        ("service-account", query | {"msg_signature": "0" * 40}),
        ("mini-program", query),  # encrypted for the other app
        ("service-account", {}),
    ):
        answer = await wechat(system).post(f"/wechat/v1/push/{path}", params=params, content=body)
        assert answer.status_code == 403
    assert (await wechat(system).post("/wechat/v1/push/another", params=query, content=body)).status_code == 400


async def test_wechats_question_whether_the_address_is_ours_is_answered_to_wechat_alone(system):
    query, _ = sign_event(PushedEvent("service-account", "<xml/>"), "wx-demo", utc_now().timestamp())
    path = "/wechat/v1/push/service-account"
    answer = await wechat(system).get(path, params=query | {"echostr": "5837397576500011341"})
    assert (answer.status_code, answer.text) == (200, "5837397576500011341")
    answer = await wechat(system).get(path, params=query | {"signature": "0" * 40, "echostr": "1"})
    assert answer.status_code == 403


# --- text messages ---


@pytest.fixture
async def budget(services, county):
    await set_rule(services, "notice.sms_per_month", 1, county.code)


async def text_of(services, case, thing="event:1"):
    """Send the text of what was told, as its job does a day later, and return what became of it."""
    async with services.sessions() as session:
        announcement = select(Announcement.id).where(
            Announcement.thing == thing, Announcement.household_id == case.household_id
        )
        announcement_id = (await session.scalars(announcement)).one()
    await texts.send_notice_text(services, SendNoticeText(announcement_id=announcement_id))
    async with services.sessions() as session:
        return (await session.get_one(Announcement, announcement_id)).text_state


async def received(services):
    async with httpx.AsyncClient(transport=services.sms._transport, base_url="http://sms.test") as client:
        return (await client.get("/_stub/sms")).json()["messages"]


async def test_a_household_that_nothing_reaches_gets_a_text_and_its_area_pays(reader, services, county, budget, desk):
    await reader.tell()
    assert await text_of(services, reader.case) == "sent"
    [text] = await received(services)
    home = next(item for item in county.households if item.phone == text["phone"])
    assert (text["template"], text["values"]["what"]) == ("SMS_200000001", "申请已有结果")
    assert home.head_name not in str(text)
    await reader.tell("event:2")
    assert await text_of(services, reader.case, "event:2") == "over_budget"
    lines = (await desk.http.get("/desk/v1/announcements")).json()["items"]
    assert {(line["outcome"], line["why"]) for line in lines} == {
        ("reached", None), ("not_reached", "text_over_budget"),
    }  # fmt: skip
    missed = (await desk.http.get("/desk/v1/announcements", params={"outcome": "not_reached"})).json()["items"]
    assert [line["textState"] for line in missed] == ["over_budget"]


@pytest.mark.parametrize(
    ("ending", "state", "why", "outcome"),
    [("5678", "delivered", None, "reached"), ("2222", "failed", "MOBILE_NOT_ON_SERVICE", "not_reached"),
     ("3333", "sent", None, "reached")],
)  # fmt: skip
async def test_the_receipt_of_a_text_is_asked_for_and_shown(
    reader, services, budget, desk, ending, state, why, outcome
):
    sealed = services.encryption.seal("household.phone", reader.case.household_id, f"1390000{ending}")
    async with open_session(services.sessions) as session:
        (await session.get_one(Household, reader.case.household_id)).phone_sealed = sealed
    await reader.tell()
    assert await text_of(services, reader.case) == "sent"
    async with services.sessions() as session:
        delivery_id = (await session.scalars(select(MessageDelivery.id).where(MessageDelivery.way == "sms"))).one()
    for _ in range(2):  # asked again, it stays as it is
        await texts.check_text(services, CheckText(delivery_id=delivery_id))
    [line] = (await desk.http.get("/desk/v1/announcements")).json()["items"]
    page = (await desk.http.get(f"/desk/v1/announcements/{line['id']}")).json()
    [text] = page["texts"]
    assert (text["state"], text["why"], line["outcome"]) == (state, why, outcome)
    assert (text["receiptAt"] is None) == (ending == "3333")
    async with services.sessions() as session:  # what could not be delivered was paid for too
        assert not await texts.has_budget(session, reader.case.area_code, NOON)


async def test_who_was_reached_or_has_read_it_gets_no_text(reader, services, budget):
    await reader.agree()
    await reader.tell()
    assert await text_of(services, reader.case) == "unneeded"
    await reader.tell("event:2")
    await reader.http.post("/resident/v1/notices/read", json={})
    assert await text_of(services, reader.case, "event:2") == "unneeded"
    assert await received(services) == []
    # An account that an officer bound at the counter is not the household's registered telephone.
    await reader.tell("event:3")
    await reader.http.post("/resident/v1/notices/read", json={})
    async with open_session(services.sessions) as session:
        officer = await session.scalar(select(Staff.id).limit(1))
        await session.execute(update(ResidentBinding).values(way="counter", bound_by=officer, bind_reason="窗口绑定"))
    assert await text_of(services, reader.case, "event:3") != "unneeded"


async def test_without_a_budget_a_phone_or_a_kind_the_law_wants_told_there_is_no_text(
    reader, services, desk, monkeypatch
):
    await reader.tell()
    assert await text_of(services, reader.case) == "over_budget"
    await set_rule(services, "notice.sms_per_month", 9, reader.case.area_code[:6])
    async with open_session(services.sessions) as session:
        (await session.get_one(Household, reader.case.household_id)).phone_sealed = None
    await reader.tell("event:2")
    assert await text_of(services, reader.case, "event:2") == "no_phone"
    await reader.tell("event:3", kind="accepted")
    assert await text_of(services, reader.case, "event:3") == "none"


async def test_a_household_to_which_nobody_is_bound_is_counted_as_such(system, services, setting, desk):
    async with services.sessions() as session:
        case = (await session.scalars(select(CaseFile).order_by(CaseFile.number).limit(1))).one()
    job = Notify(kind="posted", thing="p", area_code=case.area_code, household_id=case.household_id)
    await dispatch.notify(services, job)
    await dispatch.notify(services, job)
    counts = (await desk.http.get("/desk/v1/announcements/counts")).json()["counts"]
    assert counts == [{"kind": "posted", "outcome": "not_reached", "why": "nobody_bound", "count": 1}]
    elsewhere = await system.sign_in_at_desk("yusonggu", "town_officer")
    assert (await elsewhere.http.get("/desk/v1/announcements")).json()["items"] == []


# --- preview and test ---


@pytest.fixture
async def writer(system, county):
    login = next(member.login for member in county.staff if member.role == "county_officer")
    return await system.sign_in_at_desk(login, "county_officer")


async def test_a_preview_shows_what_is_sent_and_what_wechat_would_refuse(services, county, setting, writer):
    body = {"areaCode": county.code, "kind": "decided"}
    preview = (await writer.http.post("/desk/v1/messages/preview", json=body)).json()
    assert [(way["way"], way["fault"]) for way in preview["ways"]] == [
        ("service_subscribe", None), ("service_template", None), ("sms", None),
    ]  # fmt: skip
    assert preview["ways"][0]["values"]["thing1"] == "申请已有结果"
    unfit = SETTING | {"serviceTemplate": {"templateId": "t", "fields": {"phrase1": "what"}}}
    await set_rule(services, "notice.template.posted", unfit, county.code)
    preview = (await writer.http.post("/desk/v1/messages/preview", json=body | {"kind": "posted"})).json()
    assert preview["ways"][1]["fault"] == "phrase1: too_long"
    assert (await writer.http.post("/desk/v1/messages/preview", json=body | {"kind": "x"})).status_code == 400


async def test_a_test_message_goes_to_ones_own_wechat_and_answers_what_wechat_said(
    system, services, county, setting, writer
):
    body = {"areaCode": county.code, "kind": "decided", "way": "service_template"}
    answer = await writer.http.post("/desk/v1/messages/test", json=body)
    assert answer.json()["code"] == "auth.wechat_not_linked"
    async with open_session(services.sessions) as session:
        staff = await session.get_one(Staff, writer.id)
        session.add(
            Identity(id=new_id(), staff_id=staff.id, provider="wechat", app="service_account", subject="oSVdemo-boss")
        )
    answer = (await writer.http.post("/desk/v1/messages/test", json=body)).json()
    assert (answer["state"], answer["why"]) == ("refused", "not_follower 43004")
    await services.wechat_service._call("GET", "/_stub/follow", {"suffix": "boss"})
    answer = (await writer.http.post("/desk/v1/messages/test", json=body)).json()
    assert (answer["state"], answer["why"]) == ("sent", None)
    none = await writer.http.post("/desk/v1/messages/test", json=body | {"way": "miniprogram"})
    assert none.json()["code"] == "message.no_template"
    town = await system.sign_in_at_desk("panhuaixu", "town_officer")
    assert (await town.http.post("/desk/v1/messages/test", json=body)).status_code == 403


async def test_a_receipt_before_our_own_commit_is_pushed_again(reader, services):
    await reader.agree()
    await reader.tell()
    async with open_session(services.sessions) as session:
        sent = (await session.scalars(select(MessageDelivery))).one()
        message_id, begun_at = sent.message_id, sent.begun_at
        sent.message_id, sent.state, sent.begun_at = None, "sending", utc_now()
    [event] = (await reader.stub("events"))["events"]

    async def push():
        query, body = sign_event(PushedEvent(**event), "wx-demo", utc_now().timestamp())
        path = f"/wechat/v1/push/{event['pushed_by']}"
        return (await wechat(reader.system).post(path, params=query, content=body)).status_code

    assert await push() == 503
    async with open_session(services.sessions) as session:
        sent = (await session.scalars(select(MessageDelivery))).one()
        sent.message_id, sent.state, sent.begun_at = message_id, "sent", begun_at
    assert await push() == 200
    async with services.sessions() as session:
        assert (await session.scalars(select(MessageDelivery))).one().state == "delivered"


async def test_without_a_key_no_events_are_taken(system, services, monkeypatch):
    plain = msgspec.structs.replace(services.settings, wechat_push_key="")
    monkeypatch.setitem(services.__dict__, "settings", plain)
    assert (await wechat(system).post("/wechat/v1/push/mini-program", content=b"<xml/>")).status_code == 404
