"""Sending by WeChat: one consent spent on one message, and nobody told twice.

The consent is spent and the notice marked before WeChat is asked, in a transaction of its own. Where no answer
came back, nobody knows whether the person was told, so it is not said again: the notice in the app says the
same. What was certainly not sent gives its consent back.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core import jobs
from server.core.database import open_session
from server.core.services import Services
from server.core.tokens import utc_now
from server.core.wechat import MessageUnfit, WechatRefused, WechatUnavailable
from server.core.working_days import CHINA, day_of
from server.models.areas import Area
from server.models.notifications import MessageConsent, Notice
from server.models.people import Resident, Staff
from server.notifications.dispatch import QUIET, quiet_for
from server.notifications.wording import KINDS
from server.policy.resolver import policy_values

# WeChat is busy or not to be reached: again after so many minutes, then not any more.
BACKOFF_MIN = (1, 5, 15, 60, 240)
LONGEST_THING = 20


class Letter(NamedTuple):
    openid: str
    template_id: str
    page: str | None
    data: dict[str, str]


class Sent(NamedTuple):
    """What became of one attempt: the state, why, and whether the consent is there again."""

    state: str
    why: str | None = None
    keeps_consent: bool = False


@jobs.task("notifications.send")
async def send(services: Services, *, notice_id: str) -> None:
    """Send the message of a notice, if it is time and the person consented."""
    async with open_session(services.sessions) as session:
        letter = await _take(session, UUID(notice_id), utc_now())
    if letter is None:
        return
    sent = await _post(services, letter)
    async with open_session(services.sessions) as session:
        await _note(session, UUID(notice_id), letter, sent, utc_now())


async def _take(session: AsyncSession, notice_id: UUID, now: datetime) -> Letter | None:
    """Spend a consent and mark the notice, or say why nothing is to be sent (now)."""
    notice = await session.get_one(Notice, notice_id, with_for_update=True)
    if notice.message == "sending":
        # The one before was cut off between asking WeChat and writing down its answer.
        _mark(session, notice, Sent("unsure", "interrupted"), now)
    if notice.message != "waiting":
        return None
    key = f"notice.template.{notice.kind}"
    rules = await policy_values(session, notice.area_code, day_of(now), [key, QUIET])
    if (wait := quiet_for(rules[QUIET], now)) is not None:
        await jobs.defer(session, "notifications.send", after=wait, notice_id=str(notice_id))
        return None
    template = rules.get(key) or {}
    openid = await _openid(session, notice)
    if not template.get("templateId") or openid is None:
        _mark(session, notice, Sent("none"), now)
        return None
    consent = await session.scalar(
        select(MessageConsent)
        .where(_same_person(notice), MessageConsent.template_id == template["templateId"], MessageConsent.is_left())
        .order_by(MessageConsent.given_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if consent is None:
        _mark(session, notice, Sent("no_consent"), now)
        return None
    consent.notice_id, notice.message = notice.id, "sending"
    notice.tries += 1
    area_name = await session.scalar(select(Area.name).where(Area.code == notice.area_code))
    words = _words(notice, area_name or "")
    data = {name: words[source] for name, source in template["fields"].items()}
    return Letter(openid, template["templateId"], template.get("page") or None, data)


async def _openid(session: AsyncSession, notice: Notice) -> str | None:
    who: Any = (
        select(Staff.wechat_openid).where(Staff.id == notice.staff_id, Staff.disabled_at.is_(None))
        if notice.staff_id is not None
        else select(Resident.wechat_openid)
        .join(Notice, Notice.resident_id == Resident.id)
        .where(Notice.id == notice.id, Notice.of_bound_household(notice.resident_id))
    )
    found: str | None = await session.scalar(who)
    return found


def _same_person(notice: Notice) -> Any:
    if notice.staff_id is not None:
        return MessageConsent.staff_id == notice.staff_id
    return MessageConsent.resident_id == notice.resident_id


def _words(notice: Notice, area_name: str) -> dict[str, str]:
    """What a template's fields may hold: the words that an area's rule may name."""
    made = notice.made_at.astimezone(CHINA)
    return {
        "what": KINDS[notice.kind].what,
        "where": area_name[:LONGEST_THING] or "–",
        "when": str(notice.facts.get("on") or made.strftime("%Y-%m-%d %H:%M")),
        "count": str(notice.facts.get("count", 1)),
    }


async def _post(services: Services, letter: Letter) -> Sent:
    try:
        # Apart from the message, so that what fails here has certainly sent nothing.
        await services.wechat.stable_token()
    except (WechatRefused, WechatUnavailable) as error:
        is_final = isinstance(error, WechatRefused) and error.kind != "busy"
        return Sent("parked" if is_final else "waiting", _why(error), keeps_consent=True)
    try:
        await services.wechat.send_subscribe_message(letter.openid, letter.template_id, letter.data, page=letter.page)
    except MessageUnfit as unfit:
        return Sent("parked", str(unfit), keeps_consent=True)
    except WechatRefused as refused:
        if refused.kind == "refused_message":
            return Sent("refused", _why(refused))
        return Sent("waiting" if refused.kind == "busy" else "parked", _why(refused), keeps_consent=True)
    except WechatUnavailable as error:
        if error.never_left:
            return Sent("waiting", _why(error), keeps_consent=True)
        return Sent("unsure", _why(error))
    return Sent("sent")


def _why(error: WechatRefused | WechatUnavailable) -> str:
    """WeChat's code, or what kind of failure; never its text, which may quote what was sent."""
    return f"{error.kind} {error.errcode}" if isinstance(error, WechatRefused) else "unavailable"


async def _note(session: AsyncSession, notice_id: UUID, letter: Letter, sent: Sent, now: datetime) -> None:
    notice = await session.get_one(Notice, notice_id, with_for_update=True)
    if sent.keeps_consent:
        await session.execute(
            update(MessageConsent).where(MessageConsent.notice_id == notice_id).values(notice_id=None)
        )
    if sent.state == "refused":
        # Whatever we counted, WeChat has none left: only what is given from now on counts.
        await session.execute(
            update(MessageConsent)
            .where(_same_person(notice), MessageConsent.template_id == letter.template_id, MessageConsent.is_left())
            .values(void_at=func.now())
        )
    if sent.state == "waiting" and notice.tries > len(BACKOFF_MIN):
        sent = sent._replace(state="parked")
    _mark(session, notice, sent, now)
    if sent.state == "waiting":
        wait = timedelta(minutes=BACKOFF_MIN[notice.tries - 1])
        await jobs.defer(session, "notifications.send", after=wait, notice_id=str(notice_id))


def _mark(session: AsyncSession, notice: Notice, sent: Sent, now: datetime) -> None:
    notice.message, notice.message_why = sent.state, sent.why
    if sent.state == "sent":
        notice.sent_at = now
    audit.record(
        session, None, f"message.{sent.state}", "notice", notice.id, area_code=notice.area_code, why=sent.why or ""
    )
