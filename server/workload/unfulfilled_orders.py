"""Visits that were ordered where no checklist of their kind is published: shown at the desk, given out once one is."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.checklists.publishing import newest_checklist
from server.checklists.wording import say_visit
from server.core import jobs
from server.core.access import DESK_ROLES, Caller, Role, readable, require
from server.core.database import open_session
from server.core.http import ResponseBody
from server.core.ids import new_id
from server.core.paging import Page, cut_page, read_place
from server.core.services import Services
from server.core.tokens import utc_now
from server.models.areas import Area
from server.models.checklists import ChecklistTemplate
from server.models.households import Assignment, Household
from server.models.people import Staff, StaffRole
from server.models.workload import BlockedVisit
from server.sync_feed.publish import publish_change

LONGEST_PAGE = 200


class BlockedLine(ResponseBody):
    """`code` and the sentences say what stands in the way; `orderedByName` is null where the procedure asked for it."""

    id: UUID
    code: str
    zh: str
    en: str
    household_id: UUID
    household_number: str
    case_id: UUID | None
    area_code: str
    area_name: str
    kind: str
    due_on: date
    ordered_at: datetime
    ordered_by_name: str | None


async def list_blocked(
    session: AsyncSession, caller: Caller, *, area: str | None, kind: str | None, cursor: str | None, limit: int
) -> Page[BlockedLine]:
    """What waits in the caller's areas, the first due first. One query."""
    require(caller, DESK_ROLES | {Role.ADMIN})
    limit = max(1, min(limit, LONGEST_PAGE))
    rows = (
        readable(BlockedVisit, caller)
        .add_columns(Household.number, Area.name, Staff.name)
        .join(Household, Household.id == BlockedVisit.household_id)
        .join(Area, Area.code == BlockedVisit.area_code)
        .outerjoin(Staff, Staff.id == BlockedVisit.ordered_by)
        .where(BlockedVisit.ended_at.is_(None))
        .order_by(BlockedVisit.due_on, BlockedVisit.id)
        .limit(limit + 1)
    )
    if area is not None:
        rows = rows.where(BlockedVisit.area_code.startswith(area, autoescape=True))
    if kind is not None:
        rows = rows.where(BlockedVisit.kind == kind)
    if (after := read_place(cursor, date.fromisoformat)) is not None:
        rows = rows.where(tuple_(BlockedVisit.due_on, BlockedVisit.id) > after)
    found = (await session.execute(rows)).all()
    page, following = cut_page(found, limit, lambda row: [row[0].due_on.isoformat(), str(row[0].id)])
    return Page(items=[_line(*one) for one in page], next_cursor=following)


def _line(one: BlockedVisit, household_number: str, area_name: str, ordered_by_name: str | None) -> BlockedLine:
    return BlockedLine(
        id=one.id,
        code=NO_CHECKLIST,
        **unfulfilled_reason(one.kind),
        household_id=one.household_id,
        household_number=household_number,
        case_id=one.case_id,
        area_code=one.area_code,
        area_name=area_name,
        kind=one.kind,
        due_on=one.due_on,
        ordered_at=one.ordered_at,
        ordered_by_name=ordered_by_name,
    )


@jobs.task("workload.place_blocked")
async def place(services: Services, *, kind: str, area_code: str) -> None:
    """A checklist was published: what waited for one of its kind goes out."""
    async with open_session(services.sessions) as session:
        await place_blocked(session, BlockedVisit.kind == kind, BlockedVisit.area_code.startswith(area_code))


async def place_blocked(session: AsyncSession, *conditions: Any) -> list[UUID]:
    """Give out what a checklist now fits; returns the assignments. What somebody gave out otherwise just ends."""
    waiting = await session.scalars(
        select(BlockedVisit)
        .where(BlockedVisit.ended_at.is_(None), *conditions)
        .order_by(BlockedVisit.id)
        .with_for_update(skip_locked=True)
    )
    placed: list[UUID] = []
    for one in waiting:
        if (given := await _given_otherwise(session, one)) is not None:
            one.ended_at, one.assignment_id = utc_now(), given
        elif (checklist := await newest_checklist(session, one.area_code, one.kind)) is not None:
            placed.append(await _give(session, one, checklist))
    await publish_change(session, "assignments", placed)
    return placed


async def _given_otherwise(session: AsyncSession, one: BlockedVisit) -> UUID | None:
    found: UUID | None = await session.scalar(
        select(Assignment.id)
        .where(Assignment.household_id == one.household_id, Assignment.kind == one.kind, Assignment.state == "open")
        .limit(1)
    )
    return found


async def _give(session: AsyncSession, one: BlockedVisit, checklist: ChecklistTemplate) -> UUID:
    assignment = Assignment(
        id=new_id(),
        household_id=one.household_id,
        kind=one.kind,
        due_on=one.due_on,
        checklist_code=checklist.code,
        checklist_version=checklist.version,
        case_id=one.case_id,
    )
    session.add(assignment)
    await session.flush()  # the order names the assignment, and announce reads it
    one.ended_at, one.assignment_id = utc_now(), assignment.id
    audit.record(
        session,
        None,
        "visit.unblocked",
        "blocked_visit",
        one.id,
        area_code=one.area_code,
        assignment=str(assignment.id),
    )
    await jobs.defer(
        session, "notifications.tell", kind="assigned", thing=f"assignment:{assignment.id}", area_code=one.area_code,
        assignment_id=str(assignment.id), facts={"count": 1, "on": one.due_on.isoformat()},
    )  # fmt: skip
    return assignment.id


NO_CHECKLIST = "visit.no_checklist"


def unfulfilled_reason(kind: str) -> dict[str, str]:
    what = say_visit(kind)
    return {
        "zh": f"“{what.zh}”任务暂不能下达：本地区没有已发布的此类检查表；发布后自动下达。",
        "en": f"This visit ({what.en}) waits: no checklist of its kind is published here; it goes out once one is.",
    }


async def record_unfulfilled_order(
    session: AsyncSession,
    *,
    household_id: UUID,
    area_code: str,
    kind: str,
    due_on: date,
    case_id: UUID | None = None,
    ordered_by: UUID | None = None,
) -> UUID | None:
    """Keep an order that no checklist fits; None where one of that kind is kept for the home already."""
    row = insert(BlockedVisit).values(
        id=new_id(),
        household_id=household_id,
        case_id=case_id,
        area_code=area_code,
        kind=kind,
        due_on=due_on,
        ordered_by=ordered_by,
    )
    kept: UUID | None = await session.scalar(row.on_conflict_do_nothing().returning(BlockedVisit.id))
    if kept is not None:
        audit.record(session, None, "visit.blocked", "blocked_visit", kept, area_code=area_code, kind=kind)
    return kept


async def end_unfulfilled_orders(session: AsyncSession, *conditions: Any) -> None:
    """What asked for these visits has ended, or has been answered otherwise."""
    await session.execute(
        update(BlockedVisit).where(BlockedVisit.ended_at.is_(None), *conditions).values(ended_at=func.now())
    )


async def who_can_fulfil(session: AsyncSession, area_code: str, also: Collection[UUID] = ()) -> list[str]:
    """The administrators of an area, who publish its checklists, its county's officers, and whoever ordered."""
    rows = await session.scalars(
        select(StaffRole.staff_id)
        .distinct()
        .join(Staff, Staff.id == StaffRole.staff_id)
        .where(
            StaffRole.role.in_([Role.ADMIN, Role.COUNTY_OFFICER]),
            StaffRole.revoked_at.is_(None),
            Staff.disabled_at.is_(None),
            literal(area_code).startswith(StaffRole.area_code),
        )
    )
    return sorted({*(str(one) for one in rows), *(str(one) for one in also)})
