"""Visits that were ordered where no checklist of their kind is published: shown at the desk, given out once one is."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.access import DESK_ROLES, Caller, Role, readable, require
from server.core.database import open_session
from server.core.ids import new_id
from server.core.paging import Page, cut_page, read_place
from server.core.services import Services
from server.core.tokens import utc_now
from server.core.wire import Answer
from server.models import audit
from server.models.areas import Area
from server.models.checklists import ChecklistTemplate, newest_checklist
from server.models.feed import announce
from server.models.households import Assignment, Household
from server.models.people import Staff
from server.models.workload import NO_CHECKLIST, BlockedVisit, say_blocked

LONGEST_PAGE = 200


class BlockedLine(Answer):
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
        **say_blocked(one.kind),
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
    await announce(session, "assignments", placed)
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
