"""Send the WeChat messages of notices: each spends its consent, and no person gets the same message twice.

The consent is spent and the way marked in a transaction of its own before the call to WeChat. If no answer comes back,
the message may have been delivered, so it is not retried; the notice in the app says the same. Template messages alone
carry an id by which WeChat itself refuses repeats. A message that was certainly not sent returns its consent. Each
refusal leads on: to a later time, or to the next way.
"""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.clock import CHINA, utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import SendMessage
from server.core.services import Services
from server.core.wechat import Wechat, WechatRefused, WechatUnavailable
from server.core.wechat_messages import MessageInvalid, shape_field
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.notifications import MessageConsent, MessageDelivery, Notice, WechatFollower
from server.notifications.dispatch import QUIET_HOURS_KEY, compute_quiet_delay
from server.notifications.ways import (
    WAYS_KEY,
    NextWay,
    NoWay,
    WayTemplate,
    WechatWay,
    belongs_to_reader,
    choose_way,
    list_templates,
)
from server.notifications.wording import KINDS
from server.policy.resolver import load_policy_values

# Minutes before each retry while WeChat is busy or unreachable; after the last, the way has failed.
BACKOFF_MIN = (1, 5, 15, 60, 240)
# WeChat refuses repeats of a template message for ten minutes: the first two retries fall into them.
SAFE_REPEATS = 2
# WeChat's limit for a `thing` field of a template.
MAX_THING_LENGTH = 20
# By the state that a notice's message enters.
_ACTIONS = {
    "none": Action.MESSAGE_NONE,
    "waiting": Action.MESSAGE_WAITING,
    "sent": Action.MESSAGE_SENT,
    "no_consent": Action.MESSAGE_NO_CONSENT,
    "refused": Action.MESSAGE_REFUSED,
    "parked": Action.MESSAGE_PARKED,
    "unsure": Action.MESSAGE_UNSURE,
}


class PreparedMessage(NamedTuple):
    delivery_id: UUID
    way: WechatWay
    openid: str
    template_id: str
    page: str | None
    data: dict[str, str]


class SendResult(NamedTuple):
    """The outcome of one attempt: the state of the delivery, the reason, and whether the consent may be used again."""

    state: str
    why: str | None = None
    returns_consent: bool = False
    message_id: str | None = None
    is_not_following: bool = False
    # The day's calls are used up: the next attempt is tomorrow's.
    is_quota: bool = False


@jobs.task(SendMessage)
async def send_message(services: Services, job: SendMessage) -> None:
    """Send the message of a notice by its next way, outside quiet hours."""
    async with open_session(services.sessions) as session:
        message = await _prepare_message(session, services, job.notice_id, utc_now())
    if message is None:
        return
    result = await deliver(services, message)
    async with open_session(services.sessions) as session:
        await _record_result(session, job.notice_id, message, result, utc_now())


async def _prepare_message(
    session: AsyncSession, services: Services, notice_id: UUID, now: datetime
) -> PreparedMessage | None:
    """Spend a consent and mark the notice as sending. Return None if there is nothing to send now."""
    notice = await session.get_one(Notice, notice_id, with_for_update=True)
    if notice.message == "sending":
        await _end_interrupted(session, notice, now)
    if notice.message != "waiting":
        return None
    settings = await load_policy_values(
        session, notice.area_code, day_of(now), [_key(notice), QUIET_HOURS_KEY, WAYS_KEY]
    )
    if (wait := compute_quiet_delay(settings[QUIET_HOURS_KEY], now)) is not None:
        await jobs.defer(session, SendMessage(notice_id=notice_id), after=wait)
        return None
    chosen = await choose_way(session, notice, list_templates(settings.get(_key(notice)), settings[WAYS_KEY]))
    if isinstance(chosen, NoWay):
        _set_message_state(session, notice, chosen, now)
        return None
    return await _begin(session, services, notice, chosen, now)


async def _begin(
    session: AsyncSession, services: Services, notice: Notice, chosen: NextWay, now: datetime
) -> PreparedMessage:
    template = chosen.template
    if chosen.consent is not None and not template.is_long_term:
        chosen.consent.notice_id = notice.id
    notice.message = "sending"
    notice.tries += 1
    row = insert(MessageDelivery).values(
        id=new_id(),
        notice_id=notice.id,
        announcement_id=notice.announcement_id,
        way=template.way,
        template_id=template.template_id,
        state="sending",
        begun_at=now,
    )
    again = row.on_conflict_do_update(
        index_elements=["notice_id", "way"], set_={"state": "sending", "begun_at": now}
    ).returning(MessageDelivery.id)
    delivery_id = await session.scalar(again)
    assert delivery_id is not None
    area_name = await session.scalar(select(Area.name).where(Area.code == notice.area_code))
    values = template_values(notice.kind, notice.facts, notice.made_at, area_name or "")
    return PreparedMessage(
        delivery_id,
        template.way,
        chosen.openid,
        template.template_id,
        page_of(services, template),
        fill_fields(template, values),
    )


async def _end_interrupted(session: AsyncSession, notice: Notice, now: datetime) -> None:
    """End an attempt that stopped before WeChat's answer was recorded: nobody knows whether it was sent."""
    await session.execute(
        update(MessageDelivery)
        .where(MessageDelivery.notice_id == notice.id, MessageDelivery.state == "sending")
        .values(state="unsure", why="interrupted", ended_at=now)
    )
    _set_message_state(session, notice, NoWay("unsure", "interrupted"), now)


def _key(notice: Notice) -> str:
    return f"notice.template.{notice.kind}"


def page_of(services: Services, template: WayTemplate) -> str | None:
    """Return the page that the message opens: of the mini-program, or an address of ours where one is set."""
    if template.way == "miniprogram":
        return template.page
    origin = services.settings.public_origin
    return f"{origin}{template.page}" if origin and template.page else None


def template_values(kind: str, facts: dict[str, Any], made_at: datetime, area_name: str) -> dict[str, str]:
    """Return the values by the names that a template setting may give to its fields."""
    made = made_at.astimezone(CHINA)
    return {
        "what": KINDS[kind].what,
        "where": area_name[:MAX_THING_LENGTH] or "–",
        "when": str(facts.get("on") or made.strftime("%Y-%m-%d %H:%M")),
        "count": str(facts.get("count", 1)),
    }


def fill_fields(template: WayTemplate, values: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of a template, each value in the form that its kind wants."""
    return {name: shape_field(name, values[source]) for name, source in template.fields.items()}


async def deliver(services: Services, message: PreparedMessage) -> SendResult:
    """Call WeChat once."""
    client = services.wechat if message.way == "miniprogram" else services.wechat_service
    try:
        # Fetch the token separately: a failure here has certainly sent nothing.
        await client.stable_token()
    except (WechatRefused, WechatUnavailable) as error:
        is_final = isinstance(error, WechatRefused) and error.kind != "busy"
        return SendResult("failed" if is_final else "waiting", _describe_error(error), returns_consent=True)
    try:
        message_id = await _call(client, message)
    except MessageInvalid as unfit:
        return SendResult("failed", str(unfit), returns_consent=True)
    except WechatRefused as refused:
        return _judge_refusal(refused)
    except WechatUnavailable as error:
        if error.not_sent:
            return SendResult("waiting", _describe_error(error), returns_consent=True)
        return SendResult("unsure", _describe_error(error))
    return SendResult("sent", message_id=message_id)


async def _call(client: Wechat, message: PreparedMessage) -> str | None:
    if message.way == "service_template":
        return await client.send_template_message(
            message.openid, message.template_id, message.data, client_id=message.delivery_id.hex, page=message.page
        )
    send = client.send_subscribe_message if message.way == "miniprogram" else client.send_service_subscription
    return await send(message.openid, message.template_id, message.data, page=message.page)


def _judge_refusal(refused: WechatRefused) -> SendResult:
    why = _describe_error(refused)
    match refused.kind:
        case "refused_message":
            return SendResult("refused", why)
        case "not_follower":
            return SendResult("refused", why, is_not_following=True)
        case "day_quota":
            return SendResult("waiting", why, returns_consent=True, is_quota=True)
        case "busy" | "too_many":
            return SendResult("waiting", why, returns_consent=True)
        case _:
            return SendResult("failed", why, returns_consent=True)


def _describe_error(error: WechatRefused | WechatUnavailable) -> str:
    """Return WeChat's code or the kind of failure; never its text, which may quote the message."""
    return f"{error.kind} {error.errcode}" if isinstance(error, WechatRefused) else "unavailable"


async def _record_result(
    session: AsyncSession, notice_id: UUID, message: PreparedMessage, result: SendResult, now: datetime
) -> None:
    notice = await session.get_one(Notice, notice_id, with_for_update=True)
    delivery = await session.get_one(MessageDelivery, message.delivery_id)
    await _settle_consents(session, notice, message, result, now)
    if result.is_not_following:
        await set_following(session, message.openid, now, is_following=False)
    if result.state == "unsure" and message.way == "service_template" and notice.tries <= SAFE_REPEATS:
        result = result._replace(state="waiting")
    if result.state == "waiting" and notice.tries > len(BACKOFF_MIN):
        result = result._replace(state="failed")
    delivery.state, delivery.why, delivery.message_id = result.state, result.why, result.message_id
    delivery.ended_at = None if result.state == "waiting" else now
    if result.state == "waiting":
        wait = until_tomorrow(now) if result.is_quota else timedelta(minutes=BACKOFF_MIN[notice.tries - 1])
        _set_message_state(session, notice, NoWay("waiting", result.why), now)
        await jobs.defer(session, SendMessage(notice_id=notice_id), after=wait)
    elif result.state in {"refused", "failed"}:
        await try_next_way(session, notice, now)
    else:
        _set_message_state(session, notice, NoWay(result.state, result.why), now)


async def try_next_way(session: AsyncSession, notice: Notice, now: datetime) -> None:
    """Send the notice by another way, after one has ended without reaching the person; or say that none is left."""
    await session.flush()  # the ways that have ended are read in SQL
    settings = await load_policy_values(session, notice.area_code, day_of(now), [_key(notice), WAYS_KEY])
    chosen = await choose_way(session, notice, list_templates(settings.get(_key(notice)), settings[WAYS_KEY]))
    if isinstance(chosen, NextWay):
        _set_message_state(session, notice, NoWay("waiting"), now)
        await jobs.defer(session, SendMessage(notice_id=notice.id))
    else:
        _set_message_state(session, notice, chosen, now)


def until_tomorrow(now: datetime) -> timedelta:
    """Return the time until WeChat's day, which is China's, has just begun anew."""
    local = now.astimezone(CHINA)
    return datetime.combine(local.date() + timedelta(days=1), time(0, 10), tzinfo=CHINA) - local


async def _settle_consents(
    session: AsyncSession, notice: Notice, message: PreparedMessage, result: SendResult, now: datetime
) -> None:
    if result.returns_consent:
        await session.execute(
            update(MessageConsent).where(MessageConsent.notice_id == notice.id).values(notice_id=None)
        )
    if result.state == "refused" and not result.is_not_following:
        # WeChat has no consent left, whatever was counted: void all that were given before.
        await session.execute(
            update(MessageConsent)
            .where(
                belongs_to_reader(notice),
                MessageConsent.template_id == message.template_id,
                MessageConsent.is_unspent(),
            )
            .values(void_at=now)
        )


async def set_following(session: AsyncSession, openid: str, now: datetime, *, is_following: bool) -> None:
    """Note whether an account follows the service account."""
    values = {"is_following": is_following, "changed_at": now}
    row = insert(WechatFollower).values(openid=openid, **values)
    await session.execute(row.on_conflict_do_update(index_elements=["openid"], set_=values))


def _set_message_state(session: AsyncSession, notice: Notice, result: NoWay, now: datetime) -> None:
    notice.message, notice.message_why = result.state, result.why
    if result.state == "sent":
        notice.sent_at = now
    audit.record(
        session, None, _ACTIONS[result.state], "notice", notice.id, area_code=notice.area_code, why=result.why or ""
    )
