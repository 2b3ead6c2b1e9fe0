"""Changes at home that a resident reports: on the case and in the desk's inbox until an officer answers."""

from calendar import monthrange
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.cases.loading import lock_case
from server.core.access import Caller
from server.core.errors import Problem
from server.core.http import RequestBody
from server.core.working_days import day_of
from server.models.benefits import ChangeReport
from server.models.cases import CaseEvent, CaseFile
from server.policy.resolver import load_policy_values
from server.residents.feedback import record_case_event


class ReportChange(RequestBody):
    """`id` is generated on the phone, so that a repeated request is the same report."""

    id: UUID
    kind: Literal["new_job", "job_lost", "birth", "death", "moved", "other"]
    text: Annotated[str, Meta(min_length=2, max_length=2000)]
    happened_on: date | None = None


async def report_change(
    session: AsyncSession, caller: Caller, case_id: UUID, body: ReportChange, now: datetime
) -> None:
    """Record a change (a job, a birth, a death, a move) on the case and in the desk's inbox. Idempotent by id."""
    case = await lock_case(session, caller, case_id)
    cause = f"change:{body.id}"
    if await session.scalar(select(CaseEvent.id).where(CaseEvent.case_id == case.id, CaseEvent.cause == cause)) is None:
        facts = {"kind": body.kind, "residentId": str(caller.id), "reason": body.text.strip()}
        await record_case_event(session, caller, case, "change_reported", cause, facts, now)
        if await session.get(ChangeReport, body.id) is not None:
            raise Problem("request.idempotency_key_reused")  # the id belongs to another case's report
        session.add(
            ChangeReport(
                id=body.id,
                case_id=case.id,
                resident_id=caller.id,
                kind=body.kind,
                text=body.text.strip(),
                happened_on=body.happened_on,
                reported_at=now,
                due_on=await _due_date(session, case, body, day_of(now)),
            )
        )


async def _due_date(session: AsyncSession, case: CaseFile, body: ReportChange, today: date) -> date | None:
    """Return by when a death must be handled, by today's setting. A date that nobody believes counts as today."""
    if body.kind != "death":
        return None
    settings = await load_policy_values(session, case.area_code, today, ["change.death_months", "field.earliest_day"])
    earliest = date.fromisoformat(settings["field.earliest_day"])
    is_believed = body.happened_on is not None and earliest <= body.happened_on <= today
    happened_on = body.happened_on if is_believed and body.happened_on else today
    return months_after(happened_on, int(settings["change.death_months"]))


def months_after(on: date, months: int) -> date:
    """Return the same day of a later month, or that month's last day."""
    place = on.year * 12 + on.month - 1 + months
    year, month = place // 12, place % 12 + 1
    return date(year, month, min(on.day, monthrange(year, month)[1]))
