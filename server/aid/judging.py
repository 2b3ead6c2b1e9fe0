"""A person's word on findings of aid: in order (dismissed), or so (upheld). Each with a reason.

A line that is not handed out yet and of which a finding is upheld is left out. What was handed out stays as it
happened; taking it back is an act of its own. A handout that a phone brought after the batch was closed is entered
once another person than who closed it says that it is so.
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.aid.batches import lock_batch
from server.aid.examine import GIVEN_AFTER_CLOSE, examine_batch
from server.aid.phone_records import enter_late_records
from server.aid.phone_tasks import send_handout_tasks
from server.audit.actions import Action
from server.core.access import Caller, require_found
from server.core.errors import Problem
from server.core.http import RequestBody
from server.models.aid import AidBatch, AidFinding, AidLine


class JudgeAidFindings(RequestBody):
    """Judge findings of a batch together, all with one verdict and one reason."""

    finding_ids: Annotated[list[UUID], Meta(min_length=1, max_length=500)]
    verdict: Literal["dismissed", "upheld"]
    reason: Annotated[str, Meta(min_length=2, max_length=1000)]


class LeaveOutAidLine(RequestBody):
    """Leave a line out of a draft for a reason that no finding names."""

    line_id: UUID
    reason: Annotated[str, Meta(min_length=2, max_length=1000)]


async def judge_findings(
    session: AsyncSession, caller: Caller, batch_id: UUID, body: JudgeAidFindings, now: datetime
) -> AidBatch:
    """Judge findings. Again with the same verdict changes nothing.

    Raise `aid.not_now`, `thing.not_found`, and of what came after the closing `aid.second_person`, `case.own_relative`.
    """
    batch = await lock_batch(session, caller, batch_id)
    if batch.state in {"prepared", "cancelled"}:
        raise Problem("aid.not_now", state=batch.state)
    rows = await session.scalars(
        select(AidFinding).where(AidFinding.batch_id == batch.id, AidFinding.id.in_(body.finding_ids))
    )
    findings = list(rows)
    if len(findings) != len(set(body.finding_ids)):
        raise Problem("thing.not_found")
    if body.verdict == "upheld":
        late = [each.line_id for each in findings if each.code == GIVEN_AFTER_CLOSE and each.verdict != "upheld"]
        await enter_late_records(session, caller, batch, [line_id for line_id in late if line_id], now)
    for finding in findings:
        if finding.verdict != body.verdict:
            finding.verdict, finding.reason = body.verdict, body.reason.strip()
            finding.judged_by, finding.judged_at = caller.id, now
    await session.flush()  # the lines follow what stands in the table
    await _follow_verdicts(session, batch)
    await examine_batch(session, batch, now)
    lines = {finding.line_id for finding in findings}
    await send_handout_tasks(
        session, batch, set(await session.scalars(select(AidLine.area_code).where(AidLine.id.in_(lines))))
    )
    audit.record(
        session, caller, Action.AID_FINDINGS_JUDGED, "aid_batch", batch.id, area_code=batch.area_code,
        verdict=body.verdict, reason=body.reason.strip(), count=len(findings),
        codes=sorted({finding.code for finding in findings}),
    )  # fmt: skip
    return batch


async def leave_out(
    session: AsyncSession, caller: Caller, batch_id: UUID, body: LeaveOutAidLine, now: datetime
) -> AidBatch:
    """Leave a line out. Idempotent. Raise `aid.not_now`, `thing.not_found`."""
    batch = await lock_batch(session, caller, batch_id)
    if batch.state != "drafted":
        raise Problem("aid.not_now", state=batch.state)
    line: AidLine = require_found(
        await session.scalar(select(AidLine).where(AidLine.batch_id == batch.id, AidLine.id == body.line_id))
    )
    if line.state == "left_out":
        return batch
    reason = body.reason.strip()
    session.add(
        AidFinding(
            batch_id=batch.id, line_id=line.id, code="by_hand", facts={}, found_at=now, verdict="upheld",
            reason=reason, judged_by=caller.id, judged_at=now,
        )
    )  # fmt: skip
    await session.flush()  # the line follows what stands in the table
    await _follow_verdicts(session, batch)
    await examine_batch(session, batch, now)
    audit.record(
        session, caller, Action.AID_LINE_LEFT_OUT, "aid_batch", batch.id, area_code=batch.area_code,
        line=str(line.id), reason=reason,
    )  # fmt: skip
    return batch


async def _follow_verdicts(session: AsyncSession, batch: AidBatch) -> None:
    """Leave out lines with a finding that is so, and take others back in while the batch is a draft."""
    upheld = select(AidFinding.line_id).where(
        AidFinding.batch_id == batch.id, AidFinding.verdict == "upheld", AidFinding.line_id.is_not(None)
    )
    of_batch = AidLine.batch_id == batch.id
    await session.execute(
        update(AidLine)
        .where(of_batch, AidLine.id.in_(upheld), AidLine.state == "planned")
        .values(state="left_out")
        .execution_options(synchronize_session="fetch")
    )
    if batch.state == "drafted":
        await session.execute(
            update(AidLine)
            .where(of_batch, AidLine.id.not_in(upheld), AidLine.state == "left_out")
            .values(state="planned")
            .execution_options(synchronize_session="fetch")
        )
