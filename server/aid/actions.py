"""The steps of a batch: prepare, release by a second person, send back, close, cancel.

Before a step that lets aid go out everything is looked for again. A finding that nobody has judged refuses the step.
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.aid.batches import lock_batch
from server.aid.examine import examine_batch
from server.aid.phone_records import enter_waiting
from server.aid.phone_tasks import close_handout_tasks, give_handout_tasks
from server.audit.actions import Action
from server.core.access import Caller
from server.core.database import write_despite_failure
from server.core.errors import Problem
from server.core.http import RequestBody
from server.models.aid import DEAD_AID_STATES, AidBatch, AidLine

AidAct = Literal["prepare", "release", "send_back", "close", "cancel"]
# The states in which each act is possible.
POSSIBLE_IN: dict[AidAct, tuple[str, ...]] = {
    "prepare": ("drafted",),
    "release": ("prepared",),
    "send_back": ("prepared",),
    "close": ("released",),
    "cancel": ("drafted", "prepared"),
}
_NEED_REASON = {"send_back", "cancel"}
_NEED_JUDGING = {"prepare", "release", "close"}


class ActOnAidBatch(RequestBody):
    act: AidAct
    reason: Annotated[str, Meta(max_length=1000)] = ""


async def act_on_batch(
    session: AsyncSession, caller: Caller, batch_id: UUID, body: ActOnAidBatch, now: datetime
) -> AidBatch:
    """Do one step. The same step again by the same person changes nothing.

    Raise `aid.not_now`, `aid.second_person`, `aid.findings_open`, `aid.empty`, `aid.lines_open`,
    `review.reason_required`.
    """
    batch = await lock_batch(session, caller, batch_id)
    if _is_done(batch, caller, body.act):
        return batch
    if batch.state not in POSSIBLE_IN[body.act]:
        raise Problem("aid.not_now", state=batch.state)
    reason = body.reason.strip()
    if body.act in _NEED_REASON and not reason:
        raise Problem("review.reason_required")
    if body.act == "release" and caller.acts_as(batch.prepared_by):
        raise Problem("aid.second_person")
    if body.act in _NEED_JUDGING:
        await _require_judged(session, caller, batch, now)
    match body.act:
        case "prepare":
            await _prepare(session, caller, batch, now)
        case "release":
            batch.state, batch.released_by, batch.released_at = "released", caller.id, now
            _record(session, caller, Action.AID_BATCH_RELEASED, batch)
            await give_handout_tasks(session, batch, now)
        case "send_back":
            batch.state, batch.reason, batch.prepared_by, batch.prepared_at = "drafted", reason, None, None
            _record(session, caller, Action.AID_BATCH_SENT_BACK, batch, reason=reason)
        case "close":
            await _close(session, caller, batch, now)
        case "cancel":
            await _cancel(session, caller, batch, reason)
    return batch


def _is_done(batch: AidBatch, caller: Caller, act: AidAct) -> bool:
    done = {
        "prepare": ("prepared", batch.prepared_by),
        "release": ("released", batch.released_by),
        "close": ("closed", batch.closed_by),
    }
    return done.get(act) == (batch.state, caller.id)


async def _require_judged(session: AsyncSession, caller: Caller, batch: AidBatch, now: datetime) -> None:
    """Look for findings again. With any that nobody has judged, keep them and raise."""
    waiting = await _look_again(session, batch, now)
    if not waiting:
        return
    batch_id = batch.id
    async with write_despite_failure(session):
        batch = await lock_batch(session, caller, batch_id)
        waiting = await _look_again(session, batch, now)
        if batch.state == "prepared":
            batch.state, batch.prepared_by, batch.prepared_at = "drafted", None, None
            _record(session, caller, Action.AID_BATCH_SENT_BACK, batch)
    raise Problem("aid.findings_open", count=waiting)


async def _look_again(session: AsyncSession, batch: AidBatch, now: datetime) -> int:
    """Look for findings. Of a batch that is out, what phones have sent is entered first: once closed, it is late."""
    if batch.state == "released":
        return await enter_waiting(session, batch, now, is_closing=True)
    return await examine_batch(session, batch, now)


async def _prepare(session: AsyncSession, caller: Caller, batch: AidBatch, now: datetime) -> None:
    if not await _count_lines(session, batch, "planned"):
        raise Problem("aid.empty")
    batch.state, batch.prepared_by, batch.prepared_at, batch.reason = "prepared", caller.id, now, ""
    _record(session, caller, Action.AID_BATCH_PREPARED, batch)


async def _close(session: AsyncSession, caller: Caller, batch: AidBatch, now: datetime) -> None:
    """Close a batch of which every line was handed out or not."""
    waiting = await _count_lines(session, batch, "planned")
    if waiting:
        raise Problem("aid.lines_open", count=waiting)
    batch.state, batch.closed_by, batch.closed_at = "closed", caller.id, now
    _record(session, caller, Action.AID_BATCH_CLOSED, batch)
    await close_handout_tasks(session, batch)


async def _cancel(session: AsyncSession, caller: Caller, batch: AidBatch, reason: str) -> None:
    """Cancel a batch that was never released."""
    batch.state, batch.reason = "cancelled", reason
    await session.execute(
        update(AidLine)
        .where(AidLine.batch_id == batch.id, AidLine.state.not_in(DEAD_AID_STATES))
        .values(state="cancelled")
    )
    _record(session, caller, Action.AID_BATCH_CANCELLED, batch, reason=reason)


async def _count_lines(session: AsyncSession, batch: AidBatch, state: str) -> int:
    number = select(func.count()).where(AidLine.batch_id == batch.id, AidLine.state == state)
    return await session.scalar(number) or 0


def _record(session: AsyncSession, caller: Caller, action: Action, batch: AidBatch, **facts: object) -> None:
    audit.record(session, caller, action, "aid_batch", batch.id, area_code=batch.area_code, **facts)
