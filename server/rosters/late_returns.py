"""What the bank sent back after it had answered that it was paid (退票), entered at the desk by two people.

A file of the bank says the same by itself. Either way the line can be corrected once, and the correction names it.
"""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, require_found
from server.core.errors import Fault, Problem
from server.core.http import RequestBody
from server.core.working_days import day_of
from server.models.rosters import LateReturn, Roster, RosterLine
from server.rosters.actions import lock_roster
from server.rosters.bank_answers import mark_returned


class ReportLateReturn(RequestBody):
    """`returned_on` is the day of the bank's slip. `id` is drawn by the client: the same again is the same."""

    id: UUID
    line_id: UUID
    returned_on: date
    reason: Annotated[str, Meta(min_length=2, max_length=200)]


class DecideLateReturn(RequestBody):
    """One that is declined needs a reason."""

    outcome: Literal["confirmed", "declined"]
    reason: Annotated[str, Meta(max_length=1000)] = ""


async def report_late_return(
    session: AsyncSession, caller: Caller, roster_id: UUID, body: ReportLateReturn, now: datetime
) -> Roster:
    """Write down that a paid line came back. Nothing moves until another person confirms it. Idempotent by id.

    Raise `roster.line_not_paid`, `roster.return_waiting`, `request.invalid` for a day before it was sent.
    """
    roster = await lock_roster(session, caller, roster_id)
    earlier = await session.get(LateReturn, body.id)
    if earlier is not None:
        if (earlier.line_id, earlier.proposed_by) != (body.line_id, caller.id):
            raise Problem("request.idempotency_key_reused")
        return roster
    line = await _find_line(session, roster, body.line_id)
    assert roster.sent_at is not None
    if not day_of(roster.sent_at) <= body.returned_on <= day_of(now):
        raise Problem("request.invalid", faults=[Fault("/returnedOn", "field.invalid", body.returned_on.isoformat())])
    session.add(
        LateReturn(
            id=body.id, roster_id=roster.id, line_id=line.id, returned_on=body.returned_on, reason=body.reason.strip(),
            proposed_by=caller.id, proposed_at=now,
        )
    )  # fmt: skip
    try:
        await session.flush()  # the index refuses a second
    except IntegrityError:
        raise Problem("roster.return_waiting") from None
    _record(session, caller, Action.ROSTER_RETURN_REPORTED, roster, line, body.reason.strip())
    return roster


async def decide_late_return(
    session: AsyncSession, caller: Caller, roster_id: UUID, return_id: UUID, body: DecideLateReturn, now: datetime
) -> Roster:
    """Confirm that a line came back, which marks it as returned, or decline it. Idempotent.

    Raise `roster.second_person` for confirming one's own, `review.reason_required`, `roster.line_not_paid`.
    """
    roster = await lock_roster(session, caller, roster_id)
    report: LateReturn = require_found(
        await session.scalar(
            select(LateReturn).where(LateReturn.id == return_id, LateReturn.roster_id == roster.id).with_for_update()
        )
    )
    if report.outcome is not None:
        if (report.outcome, report.decided_by) != (body.outcome, caller.id):
            raise Problem("proposal.decided")
        return roster
    if caller.acts_as(report.proposed_by):
        raise Problem("roster.second_person")
    if body.outcome == "declined" and not body.reason.strip():
        raise Problem("review.reason_required")
    line = await session.get_one(RosterLine, report.line_id, with_for_update=True)
    report.outcome, report.answer = body.outcome, body.reason.strip()
    report.decided_by, report.decided_at = caller.id, now
    if body.outcome == "confirmed":
        _require_paid(line)
        mark_returned(line, report.reason, now)
    action = Action.ROSTER_RETURN_CONFIRMED if body.outcome == "confirmed" else Action.ROSTER_RETURN_DECLINED
    _record(session, caller, action, roster, line, report.answer or report.reason)
    await session.flush()  # the roster's sums are read next
    return roster


async def _find_line(session: AsyncSession, roster: Roster, line_id: UUID) -> RosterLine:
    rows = select(RosterLine).where(RosterLine.id == line_id, RosterLine.roster_id == roster.id).with_for_update()
    line: RosterLine = require_found(await session.scalar(rows))
    _require_paid(line)
    return line


def _require_paid(line: RosterLine) -> None:
    """Raise `roster.line_not_paid`, also for a line of which a recovery left nothing to pay."""
    if line.state != "paid" or not line.total_fen:
        raise Problem("roster.line_not_paid", state=line.state)


def _record(
    session: AsyncSession, caller: Caller, action: Action, roster: Roster, line: RosterLine, reason: str
) -> None:
    audit.record(
        session, caller, action, "roster", roster.id, area_code=roster.area_code, line=line.reference,
        total_fen=line.total_fen, reason=reason,
    )  # fmt: skip
