"""A person's word on findings: pay in spite of it, or leave the home out. Each with a reason."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, require_found
from server.core.errors import Problem
from server.core.http import RequestBody
from server.models.rosters import BankAnswer, Roster, RosterFinding, RosterLine
from server.rosters.actions import draft_again, lock_roster, send_back
from server.rosters.finding_kinds import FINDING_KINDS

Verdict = Literal["pay", "leave_out"]
Reason = Annotated[str, Meta(min_length=2, max_length=1000)]


class JudgeFindings(RequestBody):
    """Judge findings of a roster together, all with one verdict and one reason."""

    finding_ids: Annotated[list[UUID], Meta(min_length=1, max_length=500)]
    verdict: Verdict
    reason: Reason


class LeaveOut(RequestBody):
    """Leave a home out of the roster; the month stays owed to it."""

    line_id: UUID
    reason: Reason


class ReadmitHome(RequestBody):
    """Take a home that was left out back into the roster."""

    household_id: UUID
    reason: Reason


async def judge_findings(
    session: AsyncSession, caller: Caller, roster_id: UUID, body: JudgeFindings, now: datetime
) -> Roster:
    """Judge findings while the roster is a draft. Again with the same verdict changes nothing.

    Raise `roster.not_now`, `roster.second_person`, and `roster.finding_certain` for one that nobody may pay in spite
    of.
    """
    roster = await _lock_draft(session, caller, roster_id)
    rows = await session.scalars(
        select(RosterFinding).where(RosterFinding.roster_id == roster.id, RosterFinding.id.in_(body.finding_ids))
    )
    findings = list(rows)
    if len(findings) != len(set(body.finding_ids)):
        raise Problem("thing.not_found")
    for finding in findings:
        _require_possible(finding, body.verdict)
        await _require_second_person(session, caller, finding, body.verdict)
        if finding.verdict != body.verdict:
            finding.verdict, finding.reason = body.verdict, body.reason
            finding.judged_by, finding.judged_at = caller.id, now
    await session.flush()  # the lines follow what stands in the table
    await _follow_verdicts(session, roster, {finding.household_id for finding in findings})
    audit.record(
        session, caller, Action.ROSTER_FINDINGS_JUDGED, "roster", roster.id, area_code=roster.area_code,
        verdict=body.verdict, reason=body.reason, count=len(findings),
        codes=sorted({finding.code for finding in findings}),
    )  # fmt: skip
    return roster


def _require_possible(finding: RosterFinding, verdict: Verdict) -> None:
    """A certain finding is never paid; one of the whole roster has no home to leave out."""
    if verdict == "pay" and FINDING_KINDS[finding.code].is_certain:
        raise Problem("roster.finding_certain")
    if verdict == "leave_out" and (finding.household_id is None or finding.code == "home_missing"):
        raise Problem("roster.finding_certain")


async def _require_second_person(
    session: AsyncSession, caller: Caller, finding: RosterFinding, verdict: Verdict
) -> None:
    """Raise `roster.second_person` for paying a home that the caller left out, or that the caller's file gave back."""
    if verdict != "pay":
        return
    did_before = finding.verdict == "leave_out" and caller.acts_as(finding.judged_by)
    if not did_before and finding.code == "returned_late":
        correction, returned = aliased(RosterLine), aliased(RosterLine)
        readers = await session.scalars(
            select(BankAnswer.read_by)
            .join(returned, (returned.roster_id == BankAnswer.roster_id) & (returned.answered_at == BankAnswer.read_at))
            .join(correction, correction.source_line_id == returned.id)
            .where(correction.roster_id == finding.roster_id, correction.household_id == finding.household_id)
        )
        did_before = any(caller.acts_as(reader) for reader in readers)
    if did_before:
        raise Problem("roster.second_person")


async def leave_out(session: AsyncSession, caller: Caller, roster_id: UUID, body: LeaveOut, now: datetime) -> Roster:
    """Leave a home out for a reason that no finding names. Idempotent."""
    roster = await _lock_draft(session, caller, roster_id)
    line: RosterLine = require_found(
        await session.scalar(select(RosterLine).where(RosterLine.roster_id == roster.id, RosterLine.id == body.line_id))
    )
    if line.state == "left_out":
        return roster
    session.add(
        RosterFinding(
            roster_id=roster.id, household_id=line.household_id, code="by_hand", facts={}, found_at=now,
            verdict="leave_out", reason=body.reason, judged_by=caller.id, judged_at=now,
        )
    )  # fmt: skip
    await session.flush()  # the line follows what stands in the table
    await _follow_verdicts(session, roster, {line.household_id})
    audit.record(
        session, caller, Action.ROSTER_LINE_LEFT_OUT, "roster", roster.id, area_code=roster.area_code,
        line=line.reference, reason=body.reason,
    )  # fmt: skip
    return roster


async def readmit_home(
    session: AsyncSession, caller: Caller, roster_id: UUID, body: ReadmitHome, now: datetime
) -> Roster:
    """Take a home that was left out back in, by another person, until the roster is checked. Idempotent.

    Its line is drafted anew and everything is looked for again: what is still wrong is open, and refuses the next step.
    Raise `roster.second_person`, `roster.not_now`.
    """
    roster = await lock_roster(session, caller, roster_id)
    of_home = RosterFinding.roster_id == roster.id, RosterFinding.household_id == body.household_id
    findings = list(
        await session.scalars(
            select(RosterFinding).where(*of_home, RosterFinding.verdict == "leave_out", RosterFinding.gone_at.is_(None))
        )
    )
    if not findings:
        await _require_listed(session, roster, body.household_id)
        return roster
    if roster.state not in {"drafted", "prepared"}:
        raise Problem("roster.not_now", state=roster.state)
    if any(caller.acts_as(finding.judged_by) for finding in findings):
        raise Problem("roster.second_person")
    audit.record(
        session, caller, Action.ROSTER_HOME_READMITTED, "roster", roster.id, area_code=roster.area_code,
        household=str(body.household_id), reason=body.reason, codes=sorted({finding.code for finding in findings}),
    )  # fmt: skip
    for finding in findings:
        finding.verdict = finding.judged_by = finding.judged_at = None
        finding.reason = ""
        if finding.code == "by_hand":
            finding.gone_at = now
    if roster.state == "prepared":
        await send_back(session, caller, roster, body.reason)
    await draft_again(session, roster)
    return roster


async def _require_listed(session: AsyncSession, roster: Roster, household_id: UUID) -> None:
    """Raise `thing.not_found` for a home without a line on the roster."""
    line = select(RosterLine.id).where(RosterLine.roster_id == roster.id, RosterLine.household_id == household_id)
    require_found(await session.scalar(line.limit(1)))


async def _lock_draft(session: AsyncSession, caller: Caller, roster_id: UUID) -> Roster:
    roster = await lock_roster(session, caller, roster_id)
    if roster.state != "drafted":
        raise Problem("roster.not_now", state=roster.state)
    return roster


async def _follow_verdicts(session: AsyncSession, roster: Roster, homes: set[UUID | None]) -> None:
    """Leave out the lines of homes with any such verdict, and take the others back in."""
    left_out = select(RosterFinding.household_id).where(
        RosterFinding.roster_id == roster.id,
        RosterFinding.verdict == "leave_out",
        RosterFinding.gone_at.is_(None),
    )
    of_homes = (RosterLine.roster_id == roster.id, RosterLine.household_id.in_([home for home in homes if home]))
    await session.execute(
        update(RosterLine)
        .where(*of_homes, RosterLine.household_id.in_(left_out), RosterLine.state == "drafted")
        .values(state="left_out")
    )
    try:
        await session.execute(
            update(RosterLine)
            .where(*of_homes, RosterLine.household_id.not_in(left_out), RosterLine.state == "left_out")
            .values(state="drafted")
        )
    except IntegrityError:  # another roster of the month, or another correction, has the home by now
        raise Problem("roster.exists") from None
