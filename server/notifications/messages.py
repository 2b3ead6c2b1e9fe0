"""Send WeChat subscribe messages: each spends one consent, and no person gets the same message twice.

The consent is spent and the notice marked in a transaction of its own before the call to WeChat. If no answer comes
back, the message may have been delivered, so it is not retried; the notice in the app says the same. A message that
was certainly not sent returns its consent.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.clock import CHINA, utc_now
from server.core.database import open_session
from server.core.job_types import SendMessage
from server.core.services import Services
from server.core.wechat import MessageInvalid, WechatRefused, WechatUnavailable
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.notifications import MessageConsent, Notice
from server.models.people import Identity, Staff
from server.notifications.dispatch import QUIET_HOURS_KEY, compute_quiet_delay
from server.notifications.wording import KINDS
from server.policy.resolver import load_policy_values

# Minutes before each retry while WeChat is busy or unreachable; after the last, the message fails.
BACKOFF_MIN = (1, 5, 15, 60, 240)
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
    openid: str
    template_id: str
    page: str | None
    data: dict[str, str]


class SendResult(NamedTuple):
    """The outcome of one attempt: the new state, the reason, and whether the consent may be used again."""

    state: str
    why: str | None = None
    returns_consent: bool = False


@jobs.task(SendMessage)
async def send_message(services: Services, job: SendMessage) -> None:
    """Send the message of a notice, outside quiet hours and with a consent."""
    async with open_session(services.sessions) as session:
        message = await _prepare_message(session, job.notice_id, utc_now())
    if message is None:
        return
    result = await _deliver(services, message)
    async with open_session(services.sessions) as session:
        await _record_result(session, job.notice_id, message, result, utc_now())


async def _prepare_message(session: AsyncSession, notice_id: UUID, now: datetime) -> PreparedMessage | None:
    """Spend a consent and mark the notice as sending. Return None if there is nothing to send now."""
    notice = await session.get_one(Notice, notice_id, with_for_update=True)
    if notice.message == "sending":
        # The previous attempt was interrupted before the answer of WeChat was recorded.
        _set_message_state(session, notice, SendResult("unsure", "interrupted"), now)
    if notice.message != "waiting":
        return None
    key = f"notice.template.{notice.kind}"
    settings = await load_policy_values(session, notice.area_code, day_of(now), [key, QUIET_HOURS_KEY])
    if (wait := compute_quiet_delay(settings[QUIET_HOURS_KEY], now)) is not None:
        await jobs.defer(session, SendMessage(notice_id=notice_id), after=wait)
        return None
    template = settings.get(key) or {}
    openid = await _load_openid(session, notice)
    if not template.get("templateId") or openid is None:
        _set_message_state(session, notice, SendResult("none"), now)
        return None
    consent = await session.scalar(
        select(MessageConsent)
        .where(
            _belongs_to_recipient(notice),
            MessageConsent.template_id == template["templateId"],
            MessageConsent.is_unspent(),
        )
        .order_by(MessageConsent.given_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if consent is None:
        _set_message_state(session, notice, SendResult("no_consent"), now)
        return None
    consent.notice_id, notice.message = notice.id, "sending"
    notice.tries += 1
    area_name = await session.scalar(select(Area.name).where(Area.code == notice.area_code))
    values = _template_values(notice, area_name or "")
    data = {name: values[source] for name, source in template["fields"].items()}
    return PreparedMessage(openid, template["templateId"], template.get("page") or None, data)


async def _load_openid(session: AsyncSession, notice: Notice) -> str | None:
    query: Any = (
        select(Identity.subject)
        .join(Staff, Staff.id == Identity.staff_id)
        .where(Staff.id == notice.staff_id, Staff.disabled_at.is_(None), Identity.is_of_miniprogram())
        if notice.staff_id is not None
        else select(Identity.subject)
        .join(Notice, Notice.resident_id == Identity.resident_id)
        .where(Notice.id == notice.id, Notice.in_bound_household(notice.resident_id), Identity.is_of_miniprogram())
    )
    openid: str | None = await session.scalar(query)
    return openid


def _belongs_to_recipient(notice: Notice) -> Any:
    if notice.staff_id is not None:
        return MessageConsent.staff_id == notice.staff_id
    return MessageConsent.resident_id == notice.resident_id


def _template_values(notice: Notice, area_name: str) -> dict[str, str]:
    """Return the values by the names that a template setting may give to its fields."""
    made = notice.made_at.astimezone(CHINA)
    return {
        "what": KINDS[notice.kind].what,
        "where": area_name[:MAX_THING_LENGTH] or "–",
        "when": str(notice.facts.get("on") or made.strftime("%Y-%m-%d %H:%M")),
        "count": str(notice.facts.get("count", 1)),
    }


async def _deliver(services: Services, message: PreparedMessage) -> SendResult:
    try:
        # Fetch the token separately: a failure here has certainly sent nothing.
        await services.wechat.stable_token()
    except (WechatRefused, WechatUnavailable) as error:
        is_final = isinstance(error, WechatRefused) and error.kind != "busy"
        return SendResult("parked" if is_final else "waiting", _describe_error(error), returns_consent=True)
    try:
        await services.wechat.send_subscribe_message(
            message.openid, message.template_id, message.data, page=message.page
        )
    except MessageInvalid as unfit:
        return SendResult("parked", str(unfit), returns_consent=True)
    except WechatRefused as refused:
        if refused.kind == "refused_message":
            return SendResult("refused", _describe_error(refused))
        return SendResult(
            "waiting" if refused.kind == "busy" else "parked", _describe_error(refused), returns_consent=True
        )
    except WechatUnavailable as error:
        if error.not_sent:
            return SendResult("waiting", _describe_error(error), returns_consent=True)
        return SendResult("unsure", _describe_error(error))
    return SendResult("sent")


def _describe_error(error: WechatRefused | WechatUnavailable) -> str:
    """Return WeChat's code or the kind of failure; never its text, which may quote the message."""
    return f"{error.kind} {error.errcode}" if isinstance(error, WechatRefused) else "unavailable"


async def _record_result(
    session: AsyncSession, notice_id: UUID, message: PreparedMessage, result: SendResult, now: datetime
) -> None:
    notice = await session.get_one(Notice, notice_id, with_for_update=True)
    if result.returns_consent:
        await session.execute(
            update(MessageConsent).where(MessageConsent.notice_id == notice_id).values(notice_id=None)
        )
    if result.state == "refused":
        # WeChat has no consent left, whatever was counted: void all that were given before.
        await session.execute(
            update(MessageConsent)
            .where(
                _belongs_to_recipient(notice),
                MessageConsent.template_id == message.template_id,
                MessageConsent.is_unspent(),
            )
            .values(void_at=now)
        )
    if result.state == "waiting" and notice.tries > len(BACKOFF_MIN):
        result = result._replace(state="parked")
    _set_message_state(session, notice, result, now)
    if result.state == "waiting":
        wait = timedelta(minutes=BACKOFF_MIN[notice.tries - 1])
        await jobs.defer(session, SendMessage(notice_id=notice_id), after=wait)


def _set_message_state(session: AsyncSession, notice: Notice, result: SendResult, now: datetime) -> None:
    notice.message, notice.message_why = result.state, result.why
    if result.state == "sent":
        notice.sent_at = now
    audit.record(
        session, None, _ACTIONS[result.state], "notice", notice.id, area_code=notice.area_code, why=result.why or ""
    )
