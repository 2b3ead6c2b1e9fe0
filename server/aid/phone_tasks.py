"""Tasks of handouts: once two people have let a batch go, each village's caseworkers carry their own homes of it."""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.working_days import day_of
from server.models.aid import AidBatch, AidLine
from server.models.households import Caseload
from server.policy.resolver import load_policy_values
from server.records.handouts import BATCH, KIND
from server.records.tasks import close_tasks_about, give_tasks_about, send_tasks_about

_DAYS = "aid.handout_days"


async def give_handout_tasks(session: AsyncSession, batch: AidBatch, now: datetime) -> None:
    """Give a task in each village where somebody holds a home of the batch; with 0 days in the area, none."""
    days = (await load_policy_values(session, batch.area_code, day_of(now), [_DAYS])).get(_DAYS, 0)
    if not days:
        return
    held = select(Caseload.household_id).where(Caseload.revoked_at.is_(None))
    areas = await session.scalars(
        select(AidLine.area_code)
        .distinct()
        .where(AidLine.batch_id == batch.id, AidLine.state == "planned", AidLine.household_id.in_(held))
        .order_by(AidLine.area_code)
    )
    note = f"{batch.kind_zh} · {batch.month:%Y-%m} · {batch.number}"
    due_on = day_of(now) + timedelta(days=days)
    await give_tasks_about(session, KIND, BATCH, batch.id, list(areas), due_on, note)


async def send_handout_tasks(session: AsyncSession, batch: AidBatch, area_codes: Collection[str]) -> None:
    """Show the phones of these villages what has become of their homes."""
    await send_tasks_about(session, BATCH, batch.id, area_codes)


async def close_handout_tasks(session: AsyncSession, batch: AidBatch) -> None:
    await close_tasks_about(session, BATCH, batch.id)
