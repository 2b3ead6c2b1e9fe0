"""Create notices for staff and residents. Other rooms defer the job `Notify` in their own transaction.

Each recipient gets one notice per kind and thing. If the area has a WeChat template for the kind and the recipient a
WeChat account, a message follows, which quiet hours delay until the morning.
"""

from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.clock import CHINA, utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import Notify, SendMessage
from server.core.services import Services
from server.core.working_days import day_of
from server.models.feed import Feed
from server.models.notifications import Notice
from server.models.people import Identity, Resident, ResidentBinding, Staff
from server.policy.resolver import load_policy_values

QUIET_HOURS_KEY = "notice.quiet_hours"


class Recipient(NamedTuple):
    column: str
    id: UUID
    openid: str | None


@jobs.task(Notify)
async def notify(services: Services, job: Notify) -> None:
    """Create the notices of a job, and defer their messages. Idempotent."""
    async with open_session(services.sessions) as session:
        now = utc_now()
        template_key = f"notice.template.{job.kind}"
        settings = await load_policy_values(session, job.area_code, day_of(now), [template_key, QUIET_HOURS_KEY])
        has_template = bool(settings.get(template_key, {}).get("templateId"))
        if job.household_id is not None:
            recipients = await _list_resident_recipients(session, job.household_id)
        else:
            recipients = await _list_staff_recipients(session, job.staff_ids, job.assignment_id)
        for recipient in recipients:
            message = "waiting" if has_template and recipient.openid else "none"
            row = insert(Notice).values(
                **{recipient.column: recipient.id},
                id=new_id(),
                kind=job.kind,
                thing=job.thing,
                area_code=job.area_code,
                facts=job.facts,
                message=message,
                tries=0,
            )
            notice_id = await session.scalar(row.on_conflict_do_nothing().returning(Notice.id))
            if notice_id is None:
                continue
            audit.record(
                session,
                None,
                Action.NOTICE_MADE,
                "notice",
                notice_id,
                area_code=job.area_code,
                kind=job.kind,
                about=job.thing,
            )
            if message == "waiting":
                wait = compute_quiet_delay(settings[QUIET_HOURS_KEY], now)
                await jobs.defer(session, SendMessage(notice_id=notice_id), after=wait)


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
        select(Staff.id, Identity.subject)
        .outerjoin(Identity, (Identity.staff_id == Staff.id) & Identity.is_of_miniprogram())
        .where(Staff.id.in_(ids), Staff.disabled_at.is_(None))
        .order_by(Staff.id)
    )
    return [Recipient("staff_id", staff_id, openid) for staff_id, openid in rows]


async def _list_resident_recipients(session: AsyncSession, household_id: UUID) -> list[Recipient]:
    rows = await session.execute(
        select(Resident.id, Identity.subject)
        .distinct()
        .outerjoin(Identity, (Identity.resident_id == Resident.id) & Identity.is_of_miniprogram())
        .join(ResidentBinding, ResidentBinding.resident_id == Resident.id)
        .where(ResidentBinding.household_id == household_id, ResidentBinding.ended_at.is_(None))
        .order_by(Resident.id)
    )
    return [Recipient("resident_id", resident_id, openid) for resident_id, openid in rows]


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
