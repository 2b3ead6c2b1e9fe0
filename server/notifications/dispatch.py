"""Create notices for staff and residents. Other rooms defer the job `Notify` in their own transaction.

Each recipient gets one notice per kind and thing. If the area has a WeChat template for the kind and the recipient an
account of its app, a message follows, which quiet hours delay until the morning. What the law wants told follows as a
text message where nothing else has reached anybody.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.clock import CHINA, utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import Notify, SendMessage, SendNoticeText
from server.core.services import Services
from server.core.working_days import day_of
from server.models.feed import Feed
from server.models.households import Household
from server.models.notifications import Announcement, Notice
from server.models.people import Identity, Resident, ResidentBinding, Staff
from server.notifications.ways import APPS, WAYS_KEY, list_templates
from server.policy.resolver import load_policy_values

QUIET_HOURS_KEY = "notice.quiet_hours"
SMS_KINDS_KEY = "notice.sms_kinds"
SMS_AFTER_KEY = "notice.sms_after_hours"
TEXT_KEYS = (SMS_KINDS_KEY, SMS_AFTER_KEY)


class Recipient(NamedTuple):
    column: str
    id: UUID
    apps: frozenset[str]


@jobs.task(Notify)
async def notify(services: Services, job: Notify) -> None:
    """Create the notices of a job, and defer their messages. Idempotent."""
    async with open_session(services.sessions) as session:
        now = utc_now()
        keys = [f"notice.template.{job.kind}", QUIET_HOURS_KEY, WAYS_KEY, *TEXT_KEYS]
        settings = await load_policy_values(session, job.area_code, day_of(now), keys)
        template = settings.get(keys[0])
        apps = {APPS[way.way] for way in list_templates(template, settings[WAYS_KEY])}
        if job.household_id is not None:
            recipients = await _list_resident_recipients(session, _is_bound_to(job.household_id))
        elif job.resident_ids:
            recipients = await _list_resident_recipients(session, Resident.id.in_(job.resident_ids))
        else:
            recipients = await _list_staff_recipients(session, job.staff_ids, job.assignment_id)
        if not recipients and (job.household_id is None or await session.get(Household, job.household_id) is None):
            return
        announcement_id = await _announce(session, job, settings, now)
        wait = compute_quiet_delay(settings[QUIET_HOURS_KEY], now)
        for recipient in recipients:
            message = "waiting" if apps & recipient.apps else "none"
            notice_id = await _create_notice(session, job, recipient, message, announcement_id)
            if notice_id is not None and message == "waiting":
                await jobs.defer(session, SendMessage(notice_id=notice_id), after=wait)


async def _announce(session: AsyncSession, job: Notify, settings: Mapping[str, Any], now: datetime) -> UUID:
    """Keep what is told, also where nobody is there to read it; the law may want a text message then."""
    # Whoever was bound at the counter may be the only account to read of it: the registered telephone is told too.
    is_at_counter = job.kind == "bound" and job.facts.get("way") == "counter"
    wants_text = job.household_id is not None and (job.kind in settings[SMS_KINDS_KEY] or is_at_counter)
    row = insert(Announcement).values(
        id=new_id(),
        kind=job.kind,
        thing=job.thing,
        household_id=job.household_id,
        area_code=job.area_code,
        made_at=now,
        text_state="waiting" if wants_text else "none",
    )
    made: UUID | None = await session.scalar(row.on_conflict_do_nothing().returning(Announcement.id))
    if made is None:
        same: Select[UUID] = select(Announcement.id).where(
            Announcement.kind == job.kind,
            Announcement.thing == job.thing,
            Announcement.household_id.is_not_distinct_from(job.household_id),
        )
        return (await session.scalars(same)).one()
    if wants_text:
        after = timedelta(hours=settings[SMS_AFTER_KEY])
        await jobs.defer(session, SendNoticeText(announcement_id=made), after=after)
    return made


async def _create_notice(
    session: AsyncSession, job: Notify, recipient: Recipient, message: str, announcement_id: UUID
) -> UUID | None:
    """Return the id of the notice; None if the person has it already."""
    row = insert(Notice).values(
        **{recipient.column: recipient.id},
        id=new_id(),
        kind=job.kind,
        thing=job.thing,
        area_code=job.area_code,
        facts=job.facts,
        message=message,
        tries=0,
        announcement_id=announcement_id,
    )
    notice_id = await session.scalar(row.on_conflict_do_nothing().returning(Notice.id))
    if notice_id is not None:
        audit.record(
            session, None, Action.NOTICE_MADE, "notice", notice_id, area_code=job.area_code, kind=job.kind,
            about=job.thing,
        )  # fmt: skip
    return notice_id


async def _list_staff_recipients(session: AsyncSession, ids: list[UUID], assignment_id: UUID | None) -> list[Recipient]:
    if assignment_id is not None:
        # The staff whose phones have it. Of a blind spot check, that is only its team.
        holders = await session.scalars(
            select(Feed.staff_id).where(
                Feed.collection == "assignments", Feed.doc_id == str(assignment_id), Feed.is_deleted.is_(False)
            )
        )
        ids = [*ids, *holders]
    rows = await session.execute(
        select(Staff.id, func.array_agg(Identity.app))
        .outerjoin(Identity, (Identity.staff_id == Staff.id) & _is_current())
        .where(Staff.id.in_(ids), Staff.disabled_at.is_(None))
        .group_by(Staff.id)
        .order_by(Staff.id)
    )
    return [Recipient("staff_id", staff_id, frozenset(apps)) for staff_id, apps in rows]


async def _list_resident_recipients(session: AsyncSession, who: ColumnElement[bool]) -> list[Recipient]:
    rows = await session.execute(
        select(Resident.id, func.array_agg(Identity.app))
        .outerjoin(Identity, (Identity.resident_id == Resident.id) & _is_current())
        .where(who)
        .group_by(Resident.id)
        .order_by(Resident.id)
    )
    return [Recipient("resident_id", resident_id, frozenset(apps)) for resident_id, apps in rows]


def _is_bound_to(household_id: UUID) -> ColumnElement[bool]:
    bound = select(ResidentBinding.resident_id).where(
        ResidentBinding.household_id == household_id, ResidentBinding.ended_at.is_(None)
    )
    return Resident.id.in_(bound)


def _is_current() -> ColumnElement[bool]:
    return (Identity.provider == "wechat") & Identity.ended_at.is_(None)


def compute_quiet_delay(hours: dict[str, int], now: datetime) -> timedelta | None:
    """Return the time until quiet hours end, None outside them. `from` and `to` are hours in China time."""
    begin, end = hours["from"], hours["to"]
    local = now.astimezone(CHINA)
    is_quiet = begin <= local.hour < end if begin <= end else local.hour >= begin or local.hour < end
    if not is_quiet:
        return None
    quiet_end = datetime.combine(local.date(), time(end), tzinfo=CHINA)
    if quiet_end <= local:
        quiet_end += timedelta(days=1)
    return quiet_end.astimezone(UTC) - now.astimezone(UTC)
