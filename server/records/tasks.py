"""Tasks: work that the desk gives to the field staff of a village. A phone carries those that are open."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import DESK_ROLES, FIELD_ROLES, Caller, in_areas, readable, require_found, require_role
from server.core.clock import utc_now
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.paging import Keyset, Page, fetch_page
from server.models.areas import Area
from server.models.people import Staff, StaffRole
from server.models.records import Task
from server.records import handouts
from server.records.declarations import DECLARATIONS
from server.sync_feed.documents import RecordKind, TaskDocument
from server.sync_feed.publish import publish_change, withdraw_change, works_today

_DUE_FIRST = Keyset(Task.due_on, Task.id)


class CreateTask(RequestBody):
    """`assigneeId` null: whoever works in the village. `note`: what is to be done, in the office's own words."""

    id: UUID
    kind: RecordKind
    area_code: Annotated[str, Meta(pattern="^[0-9]{12}$")]
    due_on: date
    assignee_id: UUID | None = None
    note: Annotated[str, Meta(max_length=1000)] = ""


class TaskLine(ResponseBody):
    id: UUID
    kind: str
    area_code: str
    area_name: str
    assignee_name: str | None
    due_on: date
    note: str
    state: str
    made_at: datetime
    closed_at: datetime | None


async def create_task(session: AsyncSession, caller: Caller, body: CreateTask) -> None:
    """Give a task. Idempotent by id.

    Raises `record.area_unknown`, `record.subject_unknown`, `task.assignee_unknown`.
    """
    require_role(caller, DESK_ROLES)
    if not caller.covers(body.area_code, DESK_ROLES) or await session.get(Area, body.area_code) is None:
        raise Problem("record.area_unknown")
    if DECLARATIONS[body.kind].subject_kind is not None:
        raise Problem("record.subject_unknown")
    if await session.get(Task, body.id) is not None:
        return
    if body.assignee_id is not None and not await _works_there(session, body.assignee_id, body.area_code):
        raise Problem("task.assignee_unknown")
    session.add(
        Task(
            id=body.id, kind=body.kind, area_code=body.area_code, assignee_id=body.assignee_id, due_on=body.due_on,
            note=body.note, made_by=caller.id,
        )
    )  # fmt: skip
    audit.record(session, caller, Action.TASK_GIVEN, "task", body.id, area_code=body.area_code, kind=body.kind)
    await session.flush()  # publish_change reads it
    await publish_change(session, "tasks", [body.id])


async def give_task_about(
    session: AsyncSession,
    kind: RecordKind,
    subject_kind: str,
    subject_id: UUID,
    area_code: str,
    due_on: date,
    note: str,
) -> None:
    """Give a task about something to whoever works in its village: for the rooms whose work it is."""
    await give_tasks_about(session, kind, subject_kind, subject_id, [area_code], due_on, note)


async def give_tasks_about(
    session: AsyncSession,
    kind: RecordKind,
    subject_kind: str,
    subject_id: UUID,
    area_codes: Sequence[str],
    due_on: date,
    note: str,
) -> None:
    """Give a task about something in each of these villages."""
    tasks = [
        Task(
            id=new_id(), kind=kind, area_code=area_code, subject_kind=subject_kind, subject_id=subject_id,
            due_on=due_on, note=note,
        )
        for area_code in area_codes
    ]  # fmt: skip
    session.add_all(tasks)
    for task in tasks:
        audit.record(session, None, Action.TASK_GIVEN, "task", task.id, area_code=task.area_code, kind=kind)
    await session.flush()  # publish_change reads them
    await publish_change(session, "tasks", [task.id for task in tasks])


async def send_tasks_about(
    session: AsyncSession, subject_kind: str, subject_id: UUID, area_codes: Collection[str]
) -> None:
    """Send what is open about something in these villages once more: its homes have changed."""
    rows = select(Task.id).where(
        Task.subject_kind == subject_kind,
        Task.subject_id == subject_id,
        Task.area_code.in_(area_codes),
        Task.state == "open",
    )
    await publish_change(session, "tasks", list(await session.scalars(rows)))


async def close_tasks_about(session: AsyncSession, subject_kind: str, subject_id: UUID) -> None:
    """Close what is open about something. Idempotent."""
    about = Task.subject_kind == subject_kind, Task.subject_id == subject_id, Task.state == "open"
    closed = update(Task).where(*about).values(state="done", closed_at=utc_now()).returning(Task.id)
    await withdraw_change(session, "tasks", list(await session.scalars(closed)))


async def _works_there(session: AsyncSession, staff_id: UUID, area_code: str) -> bool:
    prefixes = await session.scalars(
        select(StaffRole.area_code).where(
            StaffRole.staff_id == staff_id, StaffRole.role.in_(FIELD_ROLES), works_today()
        )
    )
    return any(area_code.startswith(prefix) for prefix in prefixes)


async def cancel_task(session: AsyncSession, caller: Caller, task_id: UUID) -> None:
    """Take an open task back. A record that a phone made meanwhile still comes in."""
    require_role(caller, DESK_ROLES)
    rows = readable(Task, caller).where(Task.id == task_id, in_areas(Task.area_code, caller, DESK_ROLES))
    task: Task = require_found(await session.scalar(rows.with_for_update()))
    if task.state != "open":
        return
    task.state, task.closed_at = "cancelled", utc_now()
    audit.record(session, caller, Action.TASK_CANCELLED, "task", task.id, area_code=task.area_code, kind=task.kind)
    await withdraw_change(session, "tasks", [task.id])


async def list_tasks(
    session: AsyncSession, caller: Caller, *, state: str | None, area: str | None, cursor: str | None, limit: int
) -> Page[TaskLine]:
    """List tasks of the caller's area, those due first on top."""
    require_role(caller, DESK_ROLES)
    rows = (
        select(Task, Area.name, Staff.name)
        .join(Area, Area.code == Task.area_code)
        .outerjoin(Staff, Staff.id == Task.assignee_id)
        .where(in_areas(Task.area_code, caller, DESK_ROLES))
    )
    if state:
        rows = rows.where(Task.state == state)
    if area:
        rows = rows.where(Task.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _DUE_FIRST, cursor, limit)
    return Page(items=[_line(*row) for row in page], next_cursor=next_cursor)


def _line(task: Task, area_name: str, assignee_name: str | None) -> TaskLine:
    return TaskLine(
        id=task.id,
        kind=task.kind,
        area_code=task.area_code,
        area_name=area_name,
        assignee_name=assignee_name,
        due_on=task.due_on,
        note=task.note,
        state=task.state,
        made_at=task.made_at,
        closed_at=task.closed_at,
    )


async def load_tasks(session: AsyncSession, caller: Caller, ids: Sequence[UUID]) -> dict[str, Any]:
    """Load tasks. One that is done home by home is nothing for whoever holds none of its homes."""
    result = await session.execute(
        readable(Task, caller).add_columns(Area.name).join(Area, Area.code == Task.area_code).where(Task.id.in_(ids))
    )
    rows = result.all()
    homes = await handouts.load_task_homes(session, caller, [task for task, _ in rows])
    return {
        str(task.id): TaskDocument(
            id=task.id,
            kind=task.kind,
            area_code=task.area_code,
            area_name=area_name,
            subject_kind=task.subject_kind,
            subject_id=task.subject_id,
            due_on=task.due_on,
            note=task.note,
            homes=homes.get(task.id, []),
        )
        for task, area_name in rows
        if homes.get(task.id) != []
    }
