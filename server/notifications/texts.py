"""Text messages for what the law wants told: the last way, for households that nothing else has reached.

The area pays for them: `notice.sms_per_month` is a budget for the area that wrote it, all villages together. The text
names no person and no amount, because a telephone may have another owner by now.
"""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.clock import CHINA, utc_now
from server.core.database import advisory_lock, open_session
from server.core.ids import new_id
from server.core.job_types import CheckText, SendNoticeText
from server.core.services import Services
from server.core.sms import SmsReceipt, SmsRefused, SmsUnavailable
from server.core.working_days import day_of
from server.models.areas import PolicySetting
from server.models.households import Household
from server.models.notifications import Announcement, MessageDelivery, Notice
from server.models.people import ResidentBinding
from server.notifications.dispatch import QUIET_HOURS_KEY, compute_quiet_delay
from server.notifications.messages import template_values
from server.policy.resolver import load_policy_values, select_effective

BUDGET_KEY = "notice.sms_per_month"
# While a message by WeChat is still under way.
WAIT = timedelta(hours=1)
# After that the text goes, whatever WeChat still waits for.
LONGEST_WAIT = timedelta(days=2)
_COUNTED = ("sending", "sent", "unsure", "delivered")
# After how many minutes the service is asked what became of a text; its operators answer within three days.
CHECK_AFTER_MIN = (2, 15, 120, 720, 2880)


class PreparedText(NamedTuple):
    delivery_id: UUID
    phone: str
    template: str
    values: dict[str, str]


@jobs.task(SendNoticeText)
async def send_notice_text(services: Services, job: SendNoticeText) -> None:
    """Send once. What may have been sent is not sent again."""
    async with open_session(services.sessions) as session:
        prepared = await _prepare_text(session, services, job.announcement_id, utc_now())
    if prepared is None:
        return
    state, why, is_retried, message_id = "sent", None, False, None
    try:
        message_id = await services.sms.send(prepared.phone, prepared.template, prepared.values)
    except SmsRefused as refused:
        state, why = "failed", refused.code
    except SmsUnavailable as error:
        is_retried = error.not_sent
        state, why = ("waiting" if is_retried else "unsure"), str(error)
    async with open_session(services.sessions) as session:
        announcement = await session.get_one(Announcement, job.announcement_id, with_for_update=True)
        delivery = await session.get_one(MessageDelivery, prepared.delivery_id)
        delivery.state, delivery.why, delivery.ended_at = state, why, utc_now()
        delivery.message_id = message_id
        _set_text_state(session, announcement, state, why)
        if message_id is not None:
            check = CheckText(delivery_id=delivery.id)
            await jobs.defer(session, check, after=timedelta(minutes=CHECK_AFTER_MIN[0]))
    if is_retried:
        raise SmsUnavailable(why or "")


@jobs.task(CheckText)
async def check_text(services: Services, job: CheckText) -> None:
    """Write what became of a text message: the phone may be off, or the number another's by now."""
    async with open_session(services.sessions) as session:
        delivery = await session.get_one(MessageDelivery, job.delivery_id)
        announcement = await session.get_one(Announcement, delivery.announcement_id)
        household = await session.get_one(Household, announcement.household_id)
        if delivery.receipt_at is not None or delivery.message_id is None or household.phone_sealed is None:
            return
        phone = services.encryption.open("household.phone", household.id, household.phone_sealed)
        message_id, begun_at = delivery.message_id, delivery.begun_at
    try:
        receipt = await services.sms.load_receipt(phone, message_id, begun_at)
    except (SmsRefused, SmsUnavailable):
        receipt = SmsReceipt("waiting")  # asked again; what was sent stays sent
    async with open_session(services.sessions) as session:
        await _take_receipt(session, job, receipt, utc_now())


async def _take_receipt(session: AsyncSession, job: CheckText, receipt: SmsReceipt, now: datetime) -> None:
    delivery = await session.get_one(MessageDelivery, job.delivery_id, with_for_update=True)
    if delivery.receipt_at is not None:
        return
    if receipt.state == "waiting":
        tries = job.tries + 1
        if tries < len(CHECK_AFTER_MIN):
            check = CheckText(delivery_id=job.delivery_id, tries=tries)
            await jobs.defer(session, check, after=timedelta(minutes=CHECK_AFTER_MIN[tries]))
        return
    delivery.receipt_at, delivery.state, delivery.why = now, receipt.state, receipt.why
    if receipt.state == "failed":
        announcement = await session.get_one(Announcement, delivery.announcement_id, with_for_update=True)
        _set_text_state(session, announcement, "failed", receipt.why)


async def _prepare_text(
    session: AsyncSession, services: Services, announcement_id: UUID, now: datetime
) -> PreparedText | None:
    announcement = await session.get_one(Announcement, announcement_id, with_for_update=True)
    if announcement.text_state == "sending":
        _set_text_state(session, announcement, "unsure", "interrupted")
    if announcement.text_state != "waiting" or announcement.household_id is None:
        return None
    key = f"notice.template.{announcement.kind}"
    settings = await load_policy_values(session, announcement.area_code, day_of(now), [key, QUIET_HOURS_KEY])
    wait = compute_quiet_delay(settings[QUIET_HOURS_KEY], now) or await _wait_for_others(session, announcement, now)
    if wait is not None:
        await jobs.defer(session, SendNoticeText(announcement_id=announcement_id), after=wait)
        return None
    household = await session.get_one(Household, announcement.household_id)
    template = str((settings.get(key) or {}).get("sms") or "")
    if state := await _find_obstacle(session, services, announcement, household, template, now):
        _set_text_state(session, announcement, state, None)
        return None
    assert household.phone_sealed is not None
    announcement.text_state = "sending"
    delivery = MessageDelivery(
        id=new_id(), announcement_id=announcement.id, way="sms", template_id=template, state="sending", begun_at=now
    )
    session.add(delivery)
    values = template_values(announcement.kind, {}, announcement.made_at, "")
    phone = services.encryption.open("household.phone", household.id, household.phone_sealed)
    return PreparedText(delivery.id, phone, template, {"what": values["what"], "when": values["when"]})


async def _wait_for_others(session: AsyncSession, announcement: Announcement, now: datetime) -> timedelta | None:
    if now > announcement.made_at + LONGEST_WAIT:
        return None
    under_way = select(Notice.id).where(
        Notice.announcement_id == announcement.id, Notice.message.in_(["waiting", "sending"])
    )
    return WAIT if await session.scalar(under_way.limit(1)) else None


async def _find_obstacle(
    session: AsyncSession,
    services: Services,
    announcement: Announcement,
    household: Household,
    template: str,
    now: datetime,
) -> str | None:
    """Return why no text is sent; None if it is.

    An account that one officer bound at the counter does not stand in for the registered telephone.
    """
    proven = select(ResidentBinding.resident_id).where(
        ResidentBinding.household_id == household.id,
        ResidentBinding.ended_at.is_(None),
        ResidentBinding.way.is_distinct_from("counter"),
    )
    reached = select(Notice.id).where(
        Notice.announcement_id == announcement.id,
        Notice.resident_id.in_(proven),
        (Notice.message == "sent") | Notice.read_at.is_not(None),
    )
    if await session.scalar(reached.limit(1)):
        return "unneeded"
    if not services.sms.is_set_up or not template:
        return "not_set_up"
    if household.phone_sealed is None:
        return "no_phone"
    return None if await has_budget(session, announcement.area_code, now) else "over_budget"


async def has_budget(session: AsyncSession, area_code: str, now: datetime) -> bool:
    """Tell whether the area that wrote the nearest budget has sent fewer texts in this month."""
    nearest = select_effective(area_code, day_of(now)).where(PolicySetting.key == BUDGET_KEY)
    row = (await session.execute(nearest.with_only_columns(PolicySetting.area_code, PolicySetting.value))).first()
    if row is None:
        return False
    payer, most = str(row[0]), int(row[1])
    await advisory_lock(session, f"sms_budget:{payer}")  # the budget holds for texts at the same moment too
    month = now.astimezone(CHINA).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    sent = await session.scalar(
        select(func.count())
        .select_from(MessageDelivery)
        .join(Announcement, Announcement.id == MessageDelivery.announcement_id)
        .where(
            MessageDelivery.way == "sms",
            # What the operator could not deliver was paid for too.
            MessageDelivery.state.in_(_COUNTED) | MessageDelivery.message_id.is_not(None),
            MessageDelivery.begun_at >= month,
            Announcement.area_code.startswith(payer, autoescape=True),
        )
    )
    return (sent or 0) < most


def _set_text_state(session: AsyncSession, announcement: Announcement, state: str, why: str | None) -> None:
    announcement.text_state, announcement.text_why = state, why
    if state != "waiting":
        audit.record(
            session, None, Action.MESSAGE_TEXT, "announcement", announcement.id, area_code=announcement.area_code,
            state=state, why=why or "",
        )  # fmt: skip
