"""Notices and WeChat's messages: told once, sent only with a consent, and never in the night."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, text, update

from server.core import jobs
from server.core.clock import CHINA
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import Notify, SendMessage
from server.core.wechat import Wechat
from server.demo.wechat_stub import create_stub, demo_openid
from server.models.areas import PolicySetting
from server.models.audit import AuditEntry
from server.models.cases import CaseFile
from server.models.feed import Feed
from server.models.households import Assignment, Caseload, Household, HouseholdMember
from server.models.notifications import MessageConsent, Notice
from server.models.people import ResidentBinding, Staff
from server.notifications import dispatch, messages
from server.notifications.dispatch import compute_quiet_delay
from server.notifications.wording import KINDS
from server.workload.reminders import remind_of_due
from tests import days
from tests.makers.cases import Office, done
from tests.makers.identities import give_wechat, make_resident
from tests.makers.visits import MORNING, Ground
from tests.phones import Desk
from tests.postings.test_postings import end, opened, to_posting

TEMPLATE = "template-assigned"
NOON = datetime.combine(days.in_days(0), time(12), tzinfo=CHINA)


class Wire:
    """WeChat as the tests play it: the stub, and what is put before its answers."""

    def __init__(self) -> None:
        self.stub = httpx.ASGITransport(create_stub())
        self.before: list[httpx.Response | Exception] = []
        self.token: list[httpx.Response] = []
        self.requests = 0

    async def handle(self, request: httpx.Request) -> httpx.Response:
        if "stable_token" in request.url.path and self.token:
            return self.token.pop(0)
        if "subscribe/send" in request.url.path:
            self.requests += 1
            if self.before:
                answer = self.before.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                return answer
        return await self.stub.handle_async_request(request)

    async def messages(self):
        async with httpx.AsyncClient(transport=self.stub, base_url="http://wechat.test") as client:
            return (await client.get("/_stub/messages")).json()["messages"]


@pytest.fixture
async def wire(services, monkeypatch):
    """Day in China, whatever the clock says, and WeChat at the other end."""
    played = Wire()
    for module in (dispatch, messages):
        monkeypatch.setattr(module, "utc_now", lambda: NOON)
    wechat = Wechat("http://wechat.test", "wx-demo", "demo", transport=httpx.MockTransport(played.handle), pauses_s=())
    object.__setattr__(services, "wechat", wechat)
    yield played
    await wechat.aclose()


@pytest.fixture
async def ground(services):
    return await Ground.open(services)


@pytest.fixture
async def office(system, services, county):
    return Office(system, services, county)


async def set_rule(services, key, value, area="339901"):
    async with open_session(services.sessions) as session:
        session.add(PolicySetting(key=key, area_code=area, effective_from=date(2021, 1, 1), value=value, source="test"))


@pytest.fixture
async def worker(system, services, county, wire):
    """A caseworker with WeChat, in a county that has a template."""
    for kind in ("assigned", "due_tomorrow", "returned"):
        fields = {"thing1": "what", "thing2": "where", "time3": "when", "number4": "count"}
        await set_rule(
            services,
            f"notice.template.{kind}",
            {"templateId": TEMPLATE, "page": "pages/home", "fields": fields},
            county.code,
        )
    phone = await system.sign_in("linhexi", "caseworker")
    async with open_session(services.sessions) as session:
        person = await session.get_one(Staff, phone.id)
        await give_wechat(session, person, demo_openid("linhexi"))
    return phone


async def consent(phone, *, place="field", report_id=None, **answers):
    results = answers or {TEMPLATE: "accept"}
    result = await phone.http.post(
        f"/{place}/v1/notices/consents", json={"id": str(report_id or new_id()), "results": results}
    )
    assert result.status_code == 200, result.text
    return {item["kind"]: item["left"] for item in result.json()}


async def tell(system, phone, thing="caseload:1", kind="assigned", area="339901001"):
    async with open_session(system.services.sessions) as session:
        facts = {"count": 3}
        job = Notify(kind=kind, thing=thing, area_code=area, staff_ids=[phone.id], facts=facts)
        await jobs.defer(session, job)
    await system.run_jobs()


async def only_notice(services):
    async with services.sessions() as session:
        return (await session.scalars(select(Notice))).one()


async def test_a_consent_is_spent_by_one_message_and_nobody_is_told_twice(system, worker, wire):
    report = new_id()
    assert (await consent(worker, report_id=report))["assigned"] == 1
    assert (await consent(worker, report_id=report))["assigned"] == 1
    await tell(system, worker)
    await tell(system, worker)
    [sent] = await wire.messages()
    assert sent["touser"] == demo_openid("linhexi")
    assert sent["page"] == "pages/home"
    assert {name: item["value"] for name, item in sent["data"].items()} == {
        "thing1": KINDS["assigned"].what,
        "thing2": sent["data"]["thing2"]["value"],
        "time3": sent["data"]["time3"]["value"],
        "number4": "3",
    }
    page = (await worker.http.get("/field/v1/notices")).json()
    assert [(item["zh"], item["message"], item["readAt"]) for item in page["items"]] == [
        ("新交给您 3 项走访任务", "sent", None)
    ]
    await tell(system, worker, "caseload:2")
    page = (await worker.http.get("/field/v1/notices")).json()
    assert [item["message"] for item in page["items"]] == ["no_consent", "sent"]
    assert page["unread"] == 2
    assert wire.requests == 1
    async with system.services.sessions() as session:
        made = select(func.count()).where(AuditEntry.action == "notice.made")
        assert await session.scalar(made) == 2
        sent_at = list(await session.scalars(select(Notice.sent_at).order_by(Notice.made_at)))
    assert sent_at == [NOON, None]


async def test_a_consent_is_spent_by_its_own_template_and_its_own_person(system, services, worker, wire, county):
    """Others' consents, and one's own for another message, stay what they are."""
    await set_rule(
        services, "notice.template.returned", {"templateId": "other", "page": "", "fields": {}}, county.code + "001"
    )
    colleague = await system.sign_in("hesuian", "caseworker")
    await consent(colleague)
    async with open_session(services.sessions) as session:
        session.add(MessageConsent(report_id=new_id(), template_id="other", staff_id=worker.id, answer="accept"))
    await tell(system, worker)
    assert (await only_notice(services)).message == "no_consent"
    assert (await left(services), wire.requests) == (2, 0)
    own = {item["kind"]: item["left"] for item in (await worker.http.get("/field/v1/notices/consents")).json()}
    assert (own["assigned"], own["returned"]) == (0, 1)


async def test_each_is_asked_for_the_messages_that_people_like_them_get(system, services, worker, county):
    fields = {"templateId": "t-accepted", "page": "", "fields": {}}
    await set_rule(services, "notice.template.accepted", fields, county.code)
    kinds = {item["kind"] for item in (await worker.http.get("/field/v1/notices/consents")).json()}
    assert kinds == {"assigned", "due_tomorrow", "returned"}


async def test_the_consent_given_first_is_spent_first(system, services, worker, wire):
    reports = [new_id(), new_id()]
    for report in reports:
        await consent(worker, report_id=report)
    await tell(system, worker)
    async with services.sessions() as session:
        spent = await session.scalar(select(MessageConsent.report_id).where(MessageConsent.notice_id.is_not(None)))
    assert spent == reports[0]


async def test_43101_voids_the_consents_of_that_person_for_that_template_alone(system, services, worker, wire):
    colleague = await system.sign_in("hesuian", "caseworker")
    await consent(colleague)
    await consent(worker)
    await consent(worker)
    async with open_session(services.sessions) as session:
        session.add(MessageConsent(report_id=new_id(), template_id="other", staff_id=worker.id, answer="accept"))
    wire.before = [httpx.Response(200, json={"errcode": 43101, "errmsg": "user refuse to accept the msg"})]
    await tell(system, worker)
    async with services.sessions() as session:
        rows = await session.execute(
            select(MessageConsent.staff_id, MessageConsent.template_id).where(MessageConsent.is_unspent())
        )
        assert {tuple(row) for row in rows} == {(colleague.id, TEMPLATE), (worker.id, "other")}


async def test_what_was_certainly_not_sent_gives_back_its_own_consent_and_no_other(system, services, worker, wire):
    await consent(worker)
    await tell(system, worker, "caseload:1")
    await consent(worker)
    wire.before = [httpx.Response(200, json={"errcode": 40037, "errmsg": "invalid"})]
    await tell(system, worker, "caseload:2")
    assert await left(services) == 1


async def test_words_that_do_not_fit_a_field_are_never_sent_and_cost_no_consent(system, services, worker, wire):
    longest = {"phrase1": "what"}  # five characters at most
    params = {"templateId": TEMPLATE, "page": "", "fields": longest}
    async with open_session(services.sessions) as session:
        await session.execute(
            update(PolicySetting).where(PolicySetting.key == "notice.template.assigned").values(value=params)
        )
    await consent(worker)
    await tell(system, worker)
    notice = await only_notice(services)
    assert (notice.message, wire.requests) == ("parked", 0)
    assert "phrase1" in notice.message_why
    assert await left(services) == 1


async def test_wechats_words_for_yes_are_a_consent_and_ones_for_no_are_none(worker, services):
    for n, answer in enumerate(("accept", "acceptWithAudio", "acceptWithForce"), start=1):
        assert (await consent(worker, **{TEMPLATE: answer}))["assigned"] == n
    for answer in ("reject", "ban", "filter"):
        assert (await consent(worker, **{TEMPLATE: answer}))["assigned"] == 3
    assert await left(services) == 3


async def test_a_token_that_wechat_refuses_sends_nothing_and_keeps_the_consent(system, services, worker, wire):
    await consent(worker)
    wire.token = [httpx.Response(200, json={"errcode": -1}), httpx.Response(200, json={"errcode": 40125})]
    await tell(system, worker)
    notice = await only_notice(services)
    assert (notice.message, notice.message_why, wire.requests) == ("waiting", "busy -1", 0)
    await messages.send_message(services, SendMessage(notice_id=notice.id))
    notice = await only_notice(services)
    assert (notice.message, wire.requests) == ("parked", 0)
    assert await left(services) == 1


async def test_who_has_left_or_lost_wechat_before_it_is_sent_gets_no_message(
    system, services, worker, wire, monkeypatch
):
    night = NOON.replace(hour=23, minute=30)
    for change in ("unlinked", "disabled"):
        for module in (dispatch, messages):
            monkeypatch.setattr(module, "utc_now", lambda: night)
        await consent(worker)
        await tell(system, worker, f"caseload:{change}")
        async with open_session(services.sessions) as session:
            person = await session.get_one(Staff, worker.id)
            person.disabled_at = NOON if change == "disabled" else None
            await give_wechat(session, person, None if change == "unlinked" else demo_openid("linhexi"))
            notices = select(Notice.id).order_by(Notice.made_at.desc(), Notice.id.desc())
            latest = (await session.scalars(notices.limit(1))).one()
        monkeypatch.setattr(messages, "utc_now", lambda: NOON + timedelta(days=1))
        await messages.send_message(services, SendMessage(notice_id=latest))
        async with open_session(services.sessions) as session:
            assert (await session.get_one(Notice, latest)).message == "none"
            person = await session.get_one(Staff, worker.id)
            person.disabled_at = None
            await give_wechat(session, person, demo_openid("linhexi"))
    assert wire.requests == 0


async def test_a_template_that_was_withdrawn_before_it_is_sent_sends_none(
    system, services, worker, wire, monkeypatch, county
):
    night = NOON.replace(hour=23, minute=30)
    for module in (dispatch, messages):
        monkeypatch.setattr(module, "utc_now", lambda: night)
    await consent(worker)
    await tell(system, worker)
    none = {"templateId": "", "page": "", "fields": {}}
    async with open_session(services.sessions) as session:
        await session.execute(
            update(PolicySetting).where(PolicySetting.key == "notice.template.assigned").values(value=none)
        )
    monkeypatch.setattr(messages, "utc_now", lambda: NOON + timedelta(days=1))
    await messages.send_message(services, SendMessage(notice_id=(await only_notice(services)).id))
    assert (await only_notice(services)).message == "none"
    assert (await left(services), wire.requests) == (1, 0)


async def test_only_whose_phones_have_a_visit_and_who_still_work_hear_of_it(system, services, worker, wire):
    held = next(iter(await worker.pull("assignments")))
    async with services.sessions() as session:
        having = set(
            await session.scalars(select(Feed.staff_id).where(Feed.collection == "assignments", Feed.doc_id == held))
        )
    assert len(having) > 1
    gone = next(item for item in having if item != worker.id)
    async with open_session(services.sessions) as session:
        feed = (Feed.collection == "assignments", Feed.doc_id == held, Feed.staff_id == gone)
        await session.execute(update(Feed).where(*feed).values(is_deleted=True))
    params: dict[str, Any] = {
        "kind": "assigned",
        "area_code": "339901001",
        "assignment_id": UUID(held),
        "facts": {"count": 1},
    }

    async def readers(thing):
        await dispatch.notify(services, Notify(thing=thing, **params))
        async with services.sessions() as session:
            return set(await session.scalars(select(Notice.staff_id).where(Notice.thing == thing)))

    assert await readers("one") == having - {gone}
    async with open_session(services.sessions) as session:
        await session.execute(update(Staff).where(Staff.id == worker.id).values(disabled_at=NOON))
    assert await readers("two") == having - {gone, worker.id}


async def test_who_is_no_longer_bound_to_a_household_hears_nothing_of_it(services):
    async with open_session(services.sessions) as session:
        home = (await session.scalars(select(Household).order_by(Household.number).limit(1))).one()
        member = await session.scalar(select(HouseholdMember).where(HouseholdMember.household_id == home.id).limit(1))
        people = [await make_resident(session, demo_openid(f"resident-{n}")) for n in range(2)]
        for item, ended in zip(people, (None, NOON), strict=True):
            binding = {"resident_id": item.id, "household_id": home.id, "member_id": member.id, "ended_at": ended}
            session.add(ResidentBinding(**binding))
    await dispatch.notify(services, Notify(kind="posted", thing="p", area_code=home.area_code, household_id=home.id))
    async with services.sessions() as session:
        assert list(await session.scalars(select(Notice.resident_id))) == [people[0].id]


async def test_43101_ends_the_consents_and_is_not_tried_again(system, services, worker, wire):
    await consent(worker)
    await consent(worker)
    wire.before = [httpx.Response(200, json={"errcode": 43101, "errmsg": "user refuse to accept the msg"})]
    await tell(system, worker)
    notice = await only_notice(services)
    assert (notice.message, notice.message_why) == ("refused", "refused_message 43101")
    await tell(system, worker, "caseload:2")
    assert wire.requests == 1
    assert (await consent(worker))["assigned"] == 1


async def test_a_busy_wechat_is_asked_again_later_with_the_same_consent(system, services, worker, wire):
    await consent(worker)
    busy = httpx.Response(200, json={"errcode": -1, "errmsg": "system error"})
    wire.before = [busy, httpx.ConnectError("no route")]
    await tell(system, worker)
    for expected in (1, 2):
        notice = await only_notice(services)
        assert (notice.message, notice.tries) == ("waiting", expected)
        assert await due_in_minutes(services) == messages.BACKOFF_MIN[expected - 1]
        await messages.send_message(services, SendMessage(notice_id=notice.id))
    assert (await only_notice(services)).message == "sent"
    assert len(await wire.messages()) == 1


async def due_in_minutes(services):
    """Of the message put off last; PostgreSQL's own time says when a job is due."""
    latest = text(
        "SELECT scheduled_at - now() FROM procrastinate_jobs WHERE task_name = 'notifications.send' AND "
        "status = 'todo' ORDER BY id DESC LIMIT 1"
    )
    async with services.sessions() as session:
        return round((await session.scalar(latest)).total_seconds() / 60)


async def test_a_wechat_that_stays_busy_is_given_up(system, services, worker, wire):
    await consent(worker)
    tries = len(messages.BACKOFF_MIN) + 1
    wire.before = [httpx.Response(200, json={"errcode": -1}) for _ in range(tries)]
    await tell(system, worker)
    notice = await only_notice(services)
    for _ in range(tries - 1):
        await messages.send_message(services, SendMessage(notice_id=notice.id))
    notice = await only_notice(services)
    assert (notice.message, notice.message_why, wire.requests) == ("parked", "busy -1", tries)
    assert await left(services) == 1


async def left(services):
    async with services.sessions() as session:
        return await session.scalar(select(func.count()).select_from(MessageConsent).where(MessageConsent.is_unspent()))


@pytest.mark.parametrize(("errcode", "why"), [(40037, "bad_message 40037"), (40003, "bad_recipient 40003")])
async def test_another_refusal_is_parked_with_its_reason_and_keeps_the_consent(
    system, services, worker, wire, desk, errcode, why
):
    await consent(worker)
    wire.before = [httpx.Response(200, json={"errcode": errcode, "errmsg": "invalid"})]
    await tell(system, worker)
    notice = await only_notice(services)
    assert (notice.message, notice.message_why) == ("parked", why)
    [parked] = (await desk.http.get("/desk/v1/messages/parked")).json()
    elsewhere = await system.sign_in_at_desk("yusonggu", "town_officer")
    assert (await elsewhere.http.get("/desk/v1/messages/parked")).json() == []
    assert (parked["noticeId"], parked["why"]) == (str(notice.id), why)
    assert await left(services) == 1


async def test_without_an_answer_nobody_knows_and_it_is_not_said_again(system, services, worker, wire):
    await consent(worker)
    wire.before = [httpx.ReadTimeout("cut")]
    await tell(system, worker)
    notice = await only_notice(services)
    assert notice.message == "unsure"
    await messages.send_message(services, SendMessage(notice_id=notice.id))
    assert wire.requests == 1
    assert await left(services) == 0


async def test_a_worker_killed_while_asking_does_not_ask_again(system, services, worker, wire):
    await consent(worker)
    await consent(worker)
    await tell(system, worker)
    async with open_session(services.sessions) as session:
        await session.execute(update(Notice).values(message="sending"))
    notice = await only_notice(services)
    await messages.send_message(services, SendMessage(notice_id=notice.id))
    notice = await only_notice(services)
    assert (notice.message, notice.message_why, wire.requests) == ("unsure", "interrupted", 1)


async def test_a_message_of_the_night_waits_until_morning(system, services, worker, wire, monkeypatch):
    await consent(worker)
    night = NOON.replace(hour=23, minute=30)
    for module in (dispatch, messages):
        monkeypatch.setattr(module, "utc_now", lambda: night)
    await tell(system, worker)
    assert (await worker.http.get("/field/v1/notices")).json()["unread"] == 1
    assert wire.requests == 0
    notice = await only_notice(services)
    await messages.send_message(services, SendMessage(notice_id=notice.id))
    assert (notice.message, wire.requests) == ("waiting", 0)
    assert await due_in_minutes(services) == 8 * 60 + 30
    monkeypatch.setattr(messages, "utc_now", lambda: night + timedelta(hours=8, minutes=31))
    await messages.send_message(services, SendMessage(notice_id=notice.id))
    assert wire.requests == 1


@pytest.mark.parametrize(
    ("hours", "at", "wait"),
    [
        ({"from": 21, "to": 8}, datetime(2025, 11, 10, 13, 0, tzinfo=UTC), timedelta(hours=11)),
        ({"from": 21, "to": 8}, datetime(2025, 11, 10, 12, 59, tzinfo=UTC), None),
        ({"from": 21, "to": 8}, datetime(2025, 11, 9, 23, 0, tzinfo=UTC), timedelta(hours=1)),
        ({"from": 21, "to": 8}, datetime(2025, 11, 10, 0, 0, tzinfo=UTC), None),
        ({"from": 12, "to": 14}, datetime(2025, 11, 10, 5, 0, tzinfo=UTC), timedelta(hours=1)),
        ({"from": 12, "to": 14}, datetime(2025, 11, 10, 4, 0, tzinfo=UTC), timedelta(hours=2)),
        ({"from": 12, "to": 14}, datetime(2025, 11, 10, 6, 0, tzinfo=UTC), None),
        ({"from": 0, "to": 0}, datetime(2025, 11, 10, 5, 0, tzinfo=UTC), None),
    ],
)
def test_quiet_hours_are_chinas_and_end_at_their_hour(hours, at, wait):
    assert compute_quiet_delay(hours, at) == wait


def test_what_a_message_says_fits_wechats_field():
    assert [kind for kind, result in KINDS.items() if len(result.what) > messages.MAX_THING_LENGTH] == []


async def test_ones_own_notices_are_listed_by_page_and_read(system, services, worker, desk):
    for n in range(3):
        await tell(system, worker, f"caseload:{n}")
    first = (await worker.http.get("/field/v1/notices", params={"limit": 2})).json()
    rest = (await worker.http.get("/field/v1/notices", params={"limit": 2, "cursor": first["nextCursor"]})).json()
    ids = [item["id"] for item in first["items"] + rest["items"]]
    assert len(set(ids)) == 3
    assert rest["nextCursor"] is None
    assert (await desk.http.post("/desk/v1/notices/read", json={"ids": ids})).json() == {"unread": 0}
    assert (await desk.http.get("/desk/v1/notices")).json()["items"] == []
    assert (await worker.http.post("/field/v1/notices/read", json={"ids": ids[:1]})).json() == {"unread": 2}
    assert (await worker.http.post("/field/v1/notices/read", json={})).json() == {"unread": 0}


async def test_a_template_nobody_uses_is_not_counted_and_a_refusal_is_no_consent(worker, services):
    assert (await consent(worker, another="accept"))["assigned"] == 0
    assert (await consent(worker, **{TEMPLATE: "reject"}))["assigned"] == 0
    assert await left(services) == 0


async def test_who_has_no_wechat_or_template_reads_it_in_the_app(system, services, wire):
    phone = await system.sign_in("zhoutonglan", "caseworker")
    async with open_session(services.sessions) as session:
        await give_wechat(session, await session.get_one(Staff, phone.id), None)
    await tell(system, phone)
    [result] = (await phone.http.get("/field/v1/notices")).json()["items"]
    assert result["message"] == "none"
    assert wire.requests == 0


async def test_homes_given_and_visits_due_tomorrow_are_told_once_each(system, services, worker, county):
    officer = await system.sign_in_at_desk(
        next(staff_member.login for staff_member in county.staff if staff_member.role == "county_officer"),
        "county_officer",
    )
    async with services.sessions() as session:
        held = select(Caseload.household_id).where(Caseload.staff_id == worker.id)
        homes = list(await session.scalars(select(Household.id).where(Household.id.not_in(held)).limit(3)))
    body = {"toStaffId": str(worker.id), "householdIds": [str(home) for home in homes]}
    for _ in range(2):
        assert (await officer.http.post("/desk/v1/caseload/assign", json=body)).status_code == 200
    await system.run_jobs()
    [given] = (await worker.http.get("/field/v1/notices")).json()["items"]
    assert (given["kind"], given["zh"]) == ("assigned", "新交给您 3 项走访任务")
    on = days.in_days(90)
    async with open_session(services.sessions) as session:
        due = list(await worker.pull("assignments"))
        await session.execute(update(Assignment).where(Assignment.id.in_(due)).values(due_on=on))
        gone = update(Feed).where(Feed.staff_id == worker.id, Feed.doc_id == due[0]).values(is_deleted=True)
        await session.execute(gone)
    for _ in range(2):
        async with open_session(services.sessions) as session:
            assert await remind_of_due(session, on) >= 1
        await system.run_jobs()
    tomorrow = [
        item for item in (await worker.http.get("/field/v1/notices")).json()["items"] if item["kind"] == "due_tomorrow"
    ]
    assert [(item["zh"], item["en"]) for item in tomorrow] == [
        (f"{len(due) - 1} 项走访于 {on} 到期", f"{len(due) - 1} visits are due on {on}")
    ]


@pytest.fixture
async def follower(system, services, wire, county):
    """A resident bound to a household that applies, in a county that has a template; who they are, and the case."""
    fields = {"thing1": "what", "date2": "when"}
    await set_rule(
        services, "notice.template.accepted", {"templateId": "t-accepted", "page": "", "fields": fields}, county.code
    )
    code = await httpx_code(wire, "resident1")
    answer = await system.client().post(
        "/auth/v1/resident/sign-in-wechat", json={"code": code, "device": {"label": "test", "platform": "test"}}
    )
    assert answer.status_code == 200, answer.text
    follower = Desk(system, answer.json())
    async with open_session(services.sessions) as session:
        case = (await session.scalars(select(CaseFile).order_by(CaseFile.number).limit(1))).one()
        of_case = HouseholdMember.household_id == case.household_id
        member = await session.scalar(select(HouseholdMember).where(of_case).limit(1))
        binding = {"household_id": case.household_id, "member_id": member.id}
        session.add(ResidentBinding(resident_id=follower.id, **binding))
    return follower, case


def accepted(case):
    return Notify(
        kind="accepted",
        thing="event:1",
        area_code=case.area_code,
        household_id=case.household_id,
        facts={"caseId": str(case.id)},
    )


async def test_a_resident_hears_of_the_household_and_nobody_elses(system, services, wire, follower):
    resident, case = follower
    assert await consent(resident, place="resident", **{"t-accepted": "accept"}) == {"accepted": 1}
    async with open_session(services.sessions) as session:
        await jobs.defer(session, accepted(case))
        home = await session.get_one(Household, case.household_id)
    await system.run_jobs()
    [sent] = await wire.messages()
    assert sent["data"]["thing1"]["value"] == "申请已受理"
    [line] = (await resident.http.get("/resident/v1/notices")).json()["items"]
    assert (line["zh"], line["message"]) == ("您的申请已受理", "sent")
    assert home.head_name not in str(sent)


async def test_a_message_that_waits_is_not_sent_once_the_binding_has_ended_and_costs_no_consent(
    system, services, wire, follower
):
    resident, case = follower
    await consent(resident, place="resident", **{"t-accepted": "accept"})
    await dispatch.notify(services, accepted(case))
    assert (await only_notice(services)).message == "waiting"
    answer = await resident.http.post("/auth/v1/resident/unbind", json={"caseId": str(case.id)})
    assert answer.status_code == 204
    await system.run_jobs()
    assert (await wire.messages(), (await only_notice(services)).message) == ([], "none")
    async with services.sessions() as session:
        assert await session.scalar(select(MessageConsent.notice_id)) is None


async def httpx_code(wire, suffix):
    async with httpx.AsyncClient(transport=wire.stub, base_url="http://wechat.test") as client:
        return (await client.get("/_stub/code", params={"suffix": suffix})).json()["code"]


async def test_a_return_is_told_once_its_minute_is_over_and_not_when_it_was_taken_back(ground, desk, system):
    kept, undone = await ground.examined(0), await ground.examined(1, started_at=MORNING + timedelta(days=1))
    async with open_session(ground.services.sessions) as session:
        await session.execute(update(PolicySetting).where(PolicySetting.key == "review.undo_s").values(value=60))
    for visit in (kept, undone):
        await desk.http.post(f"/desk/v1/queue/{visit}/claim")
        body = {"outcome": "returned", "reason": "看不清", "questioned": []}
        assert (await desk.http.post(f"/desk/v1/visits/{visit}/decision", json=body)).status_code == 200
    assert (await desk.http.post(f"/desk/v1/visits/{undone}/decision/undo")).status_code == 200
    await system.run_jobs()
    author = await system.sign_in("linhexi", "caseworker")
    assert (await author.http.get("/field/v1/notices")).json()["items"] == []
    async with open_session(ground.services.sessions) as session:
        await session.execute(text("UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE status = 'todo'"))
    await system.run_jobs()
    result = (await author.http.get("/field/v1/notices")).json()["items"]
    assert [(item["kind"], item["facts"]) for item in result] == [("returned", {"visitId": str(kept)})]


async def test_a_household_hears_that_it_was_taken_on_posted_and_decided(office, system):
    case_id = await office.case(state="applied")
    async with open_session(system.services.sessions) as session:
        case = await session.get_one(CaseFile, case_id)
        member = await session.scalar(
            select(HouseholdMember).where(HouseholdMember.household_id == case.household_id).limit(1)
        )
        resident = await make_resident(session, demo_openid("neighbour"))
        binding = ResidentBinding(resident_id=resident.id, household_id=case.household_id, member_id=member.id)
        session.add(binding)
    await office.system_step(case_id, "accepted")
    await to_posting(office)
    posting = await opened(office)
    await end(office, posting["id"])
    county_officer = await office.person("county_officer")
    await done(county_officer, case_id, "refused", reason="收入超过标准")
    await system.run_jobs()
    async with system.services.sessions() as session:
        kinds = list(
            await session.scalars(select(Notice.kind).where(Notice.resident_id == resident.id).order_by(Notice.made_at))
        )
    assert kinds == ["accepted", "posted", "decided"]
