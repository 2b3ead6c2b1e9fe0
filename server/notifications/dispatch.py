"""Telling people: any room defers `notifications.notify` in the transaction of what it tells of.

Each person gets one notice for a kind and a thing, however often it is told. Where the area has a template and
the person a WeChat account, a message follows, which quiet hours put off until morning.
"""

from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core import jobs
from server.core.database import open_session
from server.core.ids import new_id
from server.core.services import Services
from server.core.tokens import utc_now
from server.core.working_days import CHINA, day_of
from server.models.feed import Feed
from server.models.notifications import Notice
from server.models.people import Resident, ResidentBinding, Staff
from server.policy.resolver import policy_values

QUIET = "notice.quiet_hours"


class Person(NamedTuple):
    column: str
    id: UUID
    openid: str | None


@jobs.task("notifications.tell")
async def notify(
    services: Services,
    *,
    kind: str,
    thing: str,
    area_code: str,
    staff_ids: list[str] | None = None,
    assignment_id: str | None = None,
    household_id: str | None = None,
    facts: dict[str, Any] | None = None,
) -> None:
    """Tell these members of staff, those an assignment is for, or a household's residents of one thing. Again is once.

    `facts` hold what the sentence of the kind needs and what a client opens: ids, counts, days.
    """
    async with open_session(services.sessions) as session:
        now = utc_now()
        template_key = f"notice.template.{kind}"
        rules = await policy_values(session, area_code, day_of(now), [template_key, QUIET])
        has_template = bool(rules.get(template_key, {}).get("templateId"))
        if household_id is not None:
            people = await _residents(session, UUID(household_id))
        else:
            people = await _staff(session, [UUID(one) for one in staff_ids or []], assignment_id)
        for person in people:
            row = insert(Notice).values(
                id=new_id(),
                **{person.column: person.id},
                kind=kind,
                thing=thing,
                area_code=area_code,
                facts=facts or {},
                message="waiting" if has_template and person.openid else "none",
                tries=0,
            )
            told = (await session.execute(row.on_conflict_do_nothing().returning(Notice.id, Notice.message))).first()
            if told is None:
                continue
            audit.record(session, None, "notice.made", "notice", told.id, area_code=area_code, kind=kind, about=thing)
            if told.message == "waiting":
                wait = quiet_for(rules[QUIET], now)
                await jobs.defer(session, "notifications.send", after=wait, notice_id=str(told.id))


async def _staff(session: AsyncSession, ids: list[UUID], assignment_id: str | None) -> list[Person]:
    if assignment_id is not None:
        # Whose phones have it: of a blind spot check that is its team alone.
        held = await session.scalars(
            select(Feed.staff_id).where(
                Feed.collection == "assignments", Feed.doc_id == assignment_id, Feed.is_deleted.is_(False)
            )
        )
        ids = [*ids, *held]
    rows = await session.execute(
        select(Staff.id, Staff.wechat_openid).where(Staff.id.in_(ids), Staff.disabled_at.is_(None)).order_by(Staff.id)
    )
    return [Person("staff_id", person, openid) for person, openid in rows]


async def _residents(session: AsyncSession, household_id: UUID) -> list[Person]:
    rows = await session.execute(
        select(Resident.id, Resident.wechat_openid)
        .distinct()
        .join(ResidentBinding, ResidentBinding.resident_id == Resident.id)
        .where(ResidentBinding.household_id == household_id, ResidentBinding.ended_at.is_(None))
        .order_by(Resident.id)
    )
    return [Person("resident_id", person, openid) for person, openid in rows]


def quiet_for(hours: dict[str, int], now: datetime) -> timedelta | None:
    """How long until one may be disturbed; None at once. `from` and `to` are hours of China's day, 21 to 8 say."""
    begin, end = hours["from"], hours["to"]
    here = now.astimezone(CHINA)
    is_quiet = begin <= here.hour < end if begin <= end else here.hour >= begin or here.hour < end
    if not is_quiet:
        return None
    wakes = datetime.combine(here.date(), time(end), tzinfo=CHINA)
    if wakes <= here:
        wakes += timedelta(days=1)
    return wakes.astimezone(UTC) - now.astimezone(UTC)
