"""The visits that the procedure asks for: ordered when a case needs one, taken back when it no longer does.

Whoever holds the household finds the visit on their phone; where nobody does, the town assigns the household.
"""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.ids import new_id
from server.core.workdays import end_of, length_of
from server.models.areas import load_overrides, rule_values
from server.models.cases import CLOSED_STATES, CaseDeadline, CaseFile
from server.models.checklists import ChecklistTemplate
from server.models.feed import announce
from server.models.households import Assignment, Household

_ORDERING = frozenset({"accepted", "survey_ordered", "returned_to_survey"})
_SURVEY = "case.survey_start_working_days"


async def keep_visits(session: AsyncSession, case: CaseFile, step: str, on: date) -> None:
    """After a step: order the intake visit it asks for, or take back what an ended application had ordered."""
    if step in _ORDERING:
        due = await session.scalar(
            select(CaseDeadline.due_on).where(
                CaseDeadline.case_id == case.id, CaseDeadline.kind == "survey", CaseDeadline.met_on.is_(None)
            )
        )
        await order_visit(session, case, "intake", due or await soon(session, case, on))
    elif case.state in CLOSED_STATES and step in {"withdrawn", "refused", "not_accepted"}:
        await _take_back(session, case)


async def soon(session: AsyncSession, case: CaseFile, on: date) -> date:
    """A second survey has the time of the first."""
    rules = await rule_values(session, case.area_code, case.rules_on, [_SURVEY])
    return end_of(on, length_of(rules, _SURVEY), await load_overrides(session)).on


async def order_visit(session: AsyncSession, case: CaseFile, kind: str, due_on: date) -> None:
    """One open visit of a kind per case: a second order changes nothing."""
    waiting = select(Assignment.id).where(
        Assignment.case_id == case.id, Assignment.kind == kind, Assignment.state == "open"
    )
    await _order(session, case.household_id, case.area_code, case.id, kind, due_on, unless=waiting)


async def order_home_visit(session: AsyncSession, household: Household, kind: str, due_on: date) -> None:
    """The same for a household without an open case; one open visit of a kind."""
    waiting = select(Assignment.id).where(
        Assignment.household_id == household.id, Assignment.kind == kind, Assignment.state == "open"
    )
    await _order(session, household.id, household.area_code, None, kind, due_on, unless=waiting)


async def _order(
    session: AsyncSession,
    household_id: UUID,
    area_code: str,
    case_id: UUID | None,
    kind: str,
    due_on: date,
    *,
    unless: Any,
) -> None:
    checklist = await _checklist(session, area_code, kind)
    if checklist is None or await session.scalar(unless.limit(1)) is not None:
        return
    assignment = Assignment(
        id=new_id(),
        household_id=household_id,
        kind=kind,
        due_on=due_on,
        checklist_code=checklist.code,
        checklist_version=checklist.version,
        case_id=case_id,
        state="open",
    )
    session.add(assignment)
    await session.flush()  # announce reads it
    await announce(session, "assignments", [assignment.id])
    await jobs.defer(
        session, "notifications.tell", kind="assigned", thing=f"assignment:{assignment.id}", area_code=area_code,
        assignment_id=str(assignment.id), facts={"count": 1, "on": due_on.isoformat()},
    )  # fmt: skip


async def _checklist(session: AsyncSession, area_code: str, kind: str) -> ChecklistTemplate | None:
    """The newest of the nearest area."""
    newest: ChecklistTemplate | None = await session.scalar(
        select(ChecklistTemplate)
        .where(
            ChecklistTemplate.kind == kind,
            ChecklistTemplate.retired_at.is_(None),
            literal(area_code).startswith(ChecklistTemplate.area_code),
        )
        .order_by(func.length(ChecklistTemplate.area_code).desc(), ChecklistTemplate.version.desc())
        .limit(1)
    )
    return newest


async def _take_back(session: AsyncSession, case: CaseFile) -> None:
    ids: list[UUID] = list(
        await session.scalars(
            update(Assignment)
            .where(Assignment.case_id == case.id, Assignment.state == "open", Assignment.kind == "intake")
            .values(state="cancelled")
            .returning(Assignment.id)
        )
    )
    await announce(session, "assignments", ids, reason="case_closed")
