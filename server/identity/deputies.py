"""Deputyships on their days: what a deputy has for a person on leave begins, follows and ends.

A deputy has the homes and duties of the person in their own name: the trail says who acted and for whom
(docs/decisions/0026). Naming one is in `deputy_naming`.
"""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Select, and_, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import FIELD_ROLES, Caller, Role
from server.core.clock import today as today_in_china
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.job_types import TurnDeputies
from server.core.log import log, traceback_lines
from server.core.services import Services
from server.households.caseload import return_homes, share_homes
from server.models.checklists import ChecklistTemplate
from server.models.people import Deputyship, Staff, StaffRole
from server.models.records import Task
from server.sync_feed.publish import publish_change, publish_to

_TOWN_DIGITS = 9


async def start_deputyship(session: AsyncSession, caller: Caller | None, deputyship: Deputyship, now: datetime) -> None:
    """Give the deputy the homes, and the duties that the person still has."""
    held = await _load_held(session, deputyship.staff_id)
    for role, area_code in deputyship.duties:
        if (role, area_code) in held:
            await _lend_role(session, deputyship, role, area_code, held[role, area_code])
    if deputyship.with_homes:
        await share_homes(session, caller, deputyship, now)
    deputyship.started_at = now
    _record(session, caller, Action.STAFF_DEPUTY_STARTED, deputyship)


async def _lend_role(
    session: AsyncSession, deputyship: Deputyship, role: str, area_code: str, held_until: date
) -> None:
    row = StaffRole(
        staff_id=deputyship.deputy_id,
        role=role,
        area_code=area_code,
        ends_on=min(held_until, deputyship.ends_on),
        deputy_for=deputyship.staff_id,
    )
    session.add(row)
    await session.flush()  # the checklists are sent to those who have it
    if role in FIELD_ROLES:
        await send_checklists(session, deputyship.deputy_id, area_code)
        await send_tasks(session, area_code)


def may_lend_casework(role: str, area_code: str) -> bool:
    """Say whether a role lets its holder lend a caseworker's, which is how a phone works in the area.

    A county's officer or supervisor has none to lend: it would open the whole county's field to one caseworker.
    """
    return role == Role.CASEWORKER or (role == Role.TOWN_OFFICER and len(area_code) >= _TOWN_DIGITS)


async def _load_held(session: AsyncSession, staff_id: UUID) -> dict[tuple[str, str], date]:
    """Load what a person may lend, with its last day."""
    is_current = or_(StaffRole.ends_on.is_(None), StaffRole.ends_on >= today_in_china())
    rows = await session.execute(
        select(StaffRole.role, StaffRole.area_code, StaffRole.ends_on).where(
            StaffRole.staff_id == staff_id, StaffRole.revoked_at.is_(None), StaffRole.deputy_for.is_(None), is_current
        )
    )
    held: dict[tuple[str, str], date] = {}
    for role, area_code, ends_on in rows:
        lent = {role, str(Role.CASEWORKER)} if may_lend_casework(role, area_code) else {role}
        for name in lent:
            held[name, area_code] = max(held.get((name, area_code), date.min), ends_on or date.max)
    return held


async def align_lent_roles(session: AsyncSession, staff_id: UUID, now: datetime) -> None:
    """Keep what is lent of a person's roles in step with them: it ends with the role, or on its last day."""
    held = await _load_held(session, staff_id)
    of_deputy = Deputyship.staff_id == StaffRole.deputy_for, Deputyship.deputy_id == StaffRole.staff_id
    lent = await session.execute(
        select(StaffRole, Deputyship.ends_on)
        .join(Deputyship, and_(*of_deputy, Deputyship.ended_at.is_(None)))
        .where(StaffRole.deputy_for == staff_id, StaffRole.revoked_at.is_(None))
    )
    ended = []
    for row, last_day in lent:
        held_until = held.get((row.role, row.area_code))
        if held_until is None:
            row.revoked_at = now
            ended.append(row.area_code)
        else:
            row.ends_on = min(held_until, last_day)
    await session.flush()  # the tasks are taken from those who have lost it
    for area_code in ended:
        await send_tasks(session, area_code)


async def end_deputyship(session: AsyncSession, caller: Caller | None, deputyship: Deputyship, now: datetime) -> None:
    """Take homes and duties back from the deputy. Idempotent."""
    if deputyship.ended_at is not None:
        return
    lent = update(StaffRole).where(
        StaffRole.staff_id == deputyship.deputy_id,
        StaffRole.deputy_for == deputyship.staff_id,
        StaffRole.revoked_at.is_(None),
    )
    ended = lent.values(revoked_at=now).returning(StaffRole.area_code).execution_options(synchronize_session=False)
    for area_code in sorted(set(await session.scalars(ended))):
        await send_tasks(session, area_code)
    await return_homes(session, caller, deputyship, now)
    deputyship.ended_at, deputyship.ended_by = now, caller.id if caller else None
    _record(session, caller, Action.STAFF_DEPUTY_ENDED, deputyship)


async def end_deputyships_of(session: AsyncSession, caller: Caller | None, staff_id: UUID, now: datetime) -> None:
    """End what somebody who leaves the office is part of, on either side."""
    for deputyship in await _lock_open(session, staff_id):
        await end_deputyship(session, caller, deputyship, now)


async def _lock_open(session: AsyncSession, staff_id: UUID) -> Sequence[Deputyship]:
    involved = or_(Deputyship.staff_id == staff_id, Deputyship.deputy_id == staff_id)
    rows = select(Deputyship).where(involved, Deputyship.ended_at.is_(None)).order_by(Deputyship.id)
    return (await session.scalars(rows.with_for_update())).all()


@jobs.task(TurnDeputies, cron="6 16 * * *")
async def turn_deputies(services: Services, _: TurnDeputies) -> None:
    """Run just after China's midnight: end those that are over, start those of today, follow the others' homes.

    Each in a transaction of its own: one that fails must not keep the others, and fails the job after them.
    """
    today, now = today_in_china(), utc_now()
    async with open_session(services.sessions) as session:
        due = await session.scalars(_select_due(today))
        ids = list(due)
    failed: Exception | None = None
    for deputyship_id in ids:
        try:
            async with open_session(services.sessions) as session:
                await turn_deputyship(session, deputyship_id, today, now)
        except Exception as error:  # noqa: BLE001  raised below
            log.error("deputyship.failed", deputyship=str(deputyship_id), error=type(error).__name__,
                place=traceback_lines(error),
            )  # fmt: skip
            failed = failed or error
    if failed is not None:
        raise failed


def _select_due(today: date) -> Select[UUID]:
    """Those that are over come first: a person may begin another leave on the day after."""
    is_due = or_(Deputyship.started_at.is_not(None), Deputyship.starts_on <= today)
    return select(Deputyship.id).where(is_due, Deputyship.ended_at.is_(None)).order_by(Deputyship.ends_on)


async def turn_deputyship(session: AsyncSession, deputyship_id: UUID, today: date, now: datetime) -> None:
    """Bring one to where it should be on a day. Idempotent."""
    deputyship = await session.get(Deputyship, deputyship_id, with_for_update=True)
    if deputyship is None or deputyship.ended_at is not None:
        return
    if deputyship.ends_on < today or await _has_left(session, deputyship):
        await end_deputyship(session, None, deputyship, now)
    elif deputyship.started_at is None:
        await start_deputyship(session, None, deputyship, now)
    elif deputyship.with_homes:
        await share_homes(session, None, deputyship, now)


async def _has_left(session: AsyncSession, deputyship: Deputyship) -> bool:
    either = Staff.id.in_([deputyship.staff_id, deputyship.deputy_id])
    return await session.scalar(select(Staff.id).where(either, Staff.disabled_at.is_not(None)).limit(1)) is not None


async def send_checklists(session: AsyncSession, staff_id: UUID, area_code: str) -> None:
    """Send the checklists in use to a person who is new in the field: they were published before."""
    reach = or_(
        literal(area_code).startswith(ChecklistTemplate.area_code), ChecklistTemplate.area_code.startswith(area_code)
    )
    ids = await session.scalars(select(ChecklistTemplate.id).where(reach, ChecklistTemplate.retired_at.is_(None)))
    await publish_to(session, staff_id, "checklists", [str(checklist_id) for checklist_id in ids])


async def send_tasks(session: AsyncSession, area_code: str) -> None:
    """Send the open tasks of the area to whoever works there now, and take them from who no longer does."""
    open_tasks = select(Task.id).where(Task.state == "open", Task.area_code.startswith(area_code, autoescape=True))
    await publish_change(session, "tasks", list(await session.scalars(open_tasks)))


def _record(session: AsyncSession, caller: Caller | None, action: Action, deputyship: Deputyship) -> None:
    audit.record(
        session,
        caller,
        action,
        "staff",
        deputyship.staff_id,
        deputy=str(deputyship.deputy_id),
        starts_on=deputyship.starts_on.isoformat(),
        ends_on=deputyship.ends_on.isoformat(),
    )
