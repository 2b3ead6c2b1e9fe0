"""A task is done once a record of its kind comes for it."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller, readable
from server.core.clock import utc_now
from server.models.records import Task
from server.sync_feed.publish import withdraw_change


async def close_task(session: AsyncSession, task_id: UUID | None, kind: str, caller: Caller) -> None:
    """Close an open task of this kind that the caller may do. Idempotent: a task that is closed stays as it is."""
    if task_id is None:
        return
    rows = readable(Task, caller).where(Task.id == task_id, Task.kind == kind, Task.state == "open")
    task: Task | None = await session.scalar(rows.with_for_update())
    if task is None:
        return
    task.state, task.closed_at = "done", utc_now()
    await session.flush()  # the feed is withdrawn in the same transaction
    await withdraw_change(session, "tasks", [task.id])
