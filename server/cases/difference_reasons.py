"""Why a decision stands although an accepted visit found other incomes than its calculation uses.

One officer writes the reason, another approves it; without both the step is refused. The resident reads the reason. It
holds for one step, one calculation and the lines of the visits it was written about.
"""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server import audit
from server.audit.actions import Action
from server.benefits.found_differences import TOLERANCE, FoundDifference, find_difference
from server.cases.loading import lock_case, roles_over_case
from server.core.access import Caller, Role
from server.core.errors import Problem
from server.core.http import LongText, RequestBody, ResponseBody
from server.core.money import format_fen
from server.households.conflicts import require_no_conflict_of_interest
from server.models.cases import CaseFile
from server.models.found_figures import DifferenceReason
from server.models.people import Staff
from server.policy.resolver import load_policy_values

_WRITERS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
Step = Literal["opinion_grant", "confirmed", "amount_changed", "came_back"]


class DifferenceReasonLine(ResponseBody):
    """`is_valid`: it is about the calculation and the visits as they are now."""

    id: UUID
    step: str
    reason: str
    difference_fen: int
    written_by_name: str
    written_at: datetime
    approved_by_name: str | None
    approved_at: datetime | None
    is_valid: bool


class WriteDifferenceReason(RequestBody):
    """The resident reads `reason`."""

    id: UUID
    step: Step
    reason: LongText


def starting_step(case: CaseFile) -> Step:
    """Return the decision that comes next and rests on a calculation."""
    if case.state == "in_force":
        return "amount_changed"
    if case.state == "stopped":
        return "came_back"
    return "confirmed" if case.state in {"posting", "objection", "county"} else "opinion_grant"


async def write_difference_reason(
    session: AsyncSession, caller: Caller, case_id: UUID, body: WriteDifferenceReason, now: datetime
) -> DifferenceReasonLine:
    """Write why the step stands. Idempotent by id.

    Raises `case.own_relative`, `case.reason_required`, `case.no_difference`, and `case.difference_explained` when there
    is a reason for the same step and figures.
    """
    if not body.reason.strip():
        raise Problem("case.reason_required")
    case = await _lock_for_writer(session, caller, case_id)
    earlier = await session.get(DifferenceReason, body.id)
    if earlier is None:
        difference = await find_difference(session, case, body.step)
        if difference is None or not await _is_above_tolerance(session, case, difference):
            raise Problem("case.no_difference")
        if await _find_reason(session, case, body.step, difference) is not None:
            raise Problem("case.difference_explained")
        row = DifferenceReason(
            id=body.id,
            case_id=case.id,
            step=body.step,
            calculation_id=difference.calculation.id,
            figures_hash=difference.figures_hash,
            difference_fen=difference.per_head_fen,
            reason=body.reason.strip(),
            written_by=caller.id,
            written_at=now,
        )
        session.add(row)
        await session.flush()  # the list below includes it
        _record(session, caller, case, Action.CASE_DIFFERENCE_EXPLAINED, body.step)
    elif (earlier.case_id, earlier.step, earlier.reason) != (case.id, body.step, body.reason.strip()):
        raise Problem("request.idempotency_key_reused")
    return await _load_line(session, case, body.id)


async def approve_difference_reason(
    session: AsyncSession, caller: Caller, case_id: UUID, reason_id: UUID, now: datetime
) -> DifferenceReasonLine:
    """Approve a reason as the second person. Idempotent. Raises `case.second_person` for the one who wrote it."""
    case = await _lock_for_writer(session, caller, case_id)
    row = await session.get(DifferenceReason, reason_id)
    if row is None or row.case_id != case.id:
        raise Problem("thing.not_found")
    if caller.acts_as(row.written_by):
        raise Problem("case.second_person")
    if row.approved_by is None:
        row.approved_by, row.approved_at = caller.id, now
        await session.flush()  # the list below includes it
        _record(session, caller, case, Action.CASE_DIFFERENCE_APPROVED, row.step)
    return await _load_line(session, case, reason_id)


async def _lock_for_writer(session: AsyncSession, caller: Caller, case_id: UUID) -> CaseFile:
    case = await lock_case(session, caller, case_id)
    if not roles_over_case(caller, case) & _WRITERS:
        raise Problem("auth.forbidden", roles=", ".join(sorted(_WRITERS)))
    await require_no_conflict_of_interest(session, caller, case.household_id)
    return case


def _record(session: AsyncSession, caller: Caller, case: CaseFile, action: Action, step: str) -> None:
    audit.record(session, caller, action, "case", case.id, area_code=case.area_code, step=step)


async def require_explained(
    session: AsyncSession, case: CaseFile, step: Step, settings: dict[str, Any]
) -> dict[str, Any]:
    """Raise `case.visit_differs` unless the visit agrees with the calculation, or two people have said why not.

    Return the facts for the event: the reason that the resident reads, and who wrote and approved it.
    """
    difference = await find_difference(session, case, step)
    if difference is None or difference.per_head_fen <= int(settings.get(TOLERANCE, 0)):
        return {}
    row = await _find_reason(session, case, step, difference)
    if row is None or row.approved_by is None:
        raise Problem(
            "case.visit_differs",
            difference=format_fen(difference.per_head_fen),
            tolerance=format_fen(int(settings.get(TOLERANCE, 0))),
        )
    return {
        "differenceFen": difference.per_head_fen,
        "differenceReason": row.reason,
        "differenceWrittenBy": str(row.written_by),
        "differenceApprovedBy": str(row.approved_by),
    }


async def _is_above_tolerance(session: AsyncSession, case: CaseFile, difference: FoundDifference) -> bool:
    settings = await load_policy_values(session, case.area_code, case.rules_on, [TOLERANCE])
    return difference.per_head_fen > int(settings.get(TOLERANCE, 0))


async def _find_reason(
    session: AsyncSession, case: CaseFile, step: str, difference: FoundDifference
) -> DifferenceReason | None:
    row: DifferenceReason | None = await session.scalar(
        select(DifferenceReason).where(
            DifferenceReason.case_id == case.id,
            DifferenceReason.step == step,
            DifferenceReason.calculation_id == difference.calculation.id,
            DifferenceReason.figures_hash == difference.figures_hash,
        )
    )
    return row


async def list_difference_reasons(session: AsyncSession, case: CaseFile) -> list[DifferenceReasonLine]:
    """List the reasons of a case, the newest first."""
    writer, approver = aliased(Staff), aliased(Staff)
    rows = (
        await session.execute(
            select(DifferenceReason, writer.name, approver.name)
            .join(writer, writer.id == DifferenceReason.written_by)
            .outerjoin(approver, approver.id == DifferenceReason.approved_by)
            .where(DifferenceReason.case_id == case.id)
            .order_by(DifferenceReason.written_at.desc(), DifferenceReason.id.desc())
        )
    ).all()
    differences = {step: await find_difference(session, case, step) for step in {row.step for row, _, _ in rows}}
    return [
        DifferenceReasonLine(
            id=row.id,
            step=row.step,
            reason=row.reason,
            difference_fen=row.difference_fen,
            written_by_name=written_by,
            written_at=row.written_at,
            approved_by_name=approved_by,
            approved_at=row.approved_at,
            is_valid=_is_about(row, differences[row.step]),
        )
        for row, written_by, approved_by in rows
    ]


def _is_about(row: DifferenceReason, difference: FoundDifference | None) -> bool:
    return difference is not None and (row.calculation_id, row.figures_hash) == (
        difference.calculation.id,
        difference.figures_hash,
    )


async def _load_line(session: AsyncSession, case: CaseFile, reason_id: UUID) -> DifferenceReasonLine:
    return next(line for line in await list_difference_reasons(session, case) if line.id == reason_id)
