"""Found against record: the figures that an accepted visit proposes for a case, drafted and taken back.

A draft moves nothing. A later visit supersedes the lines of an earlier one; a visit that is no longer accepted takes
its lines back, with what was adopted from them, and the lines before it count again.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.benefits.adopted_figures import take_back
from server.benefits.figures_of_answers import AnsweredFigure, read_figures
from server.checklists.template import Template
from server.core.access import Caller
from server.core.ids import new_id
from server.models.cases import CaseFile
from server.models.checklists import ChecklistTemplate
from server.models.found_figures import INCOME_FIGURES, FoundFigure
from server.models.households import Household, HouseholdMember
from server.models.visits import Visit
from server.visits.answers import read_asked_answers

_VISITED_AT = func.coalesce(Visit.started_at, Visit.received_at)


async def draft_found_figures(session: AsyncSession, case: CaseFile, visit: Visit, now: datetime) -> None:
    """Draft a line for each figure that the accepted visit found. Idempotent. The case must be locked."""
    drafted_before = FoundFigure.visit_id == visit.id, FoundFigure.state != "withdrawn"
    if await session.scalar(select(FoundFigure.id).where(*drafted_before).limit(1)) is not None:
        return
    current = await _load_current(session, case.id)
    visited_at = visit.started_at or visit.received_at
    drafted: list[FoundFigure] = []
    for figure in await _read_visit(session, visit):
        clashes = [(line, at) for line, at in current if _is_same_figure(line, figure)]
        is_outdated = any(at > visited_at for _, at in clashes)
        for line, _ in clashes if not is_outdated else ():
            line.state = "superseded"
        drafted.append(_make_line(case, visit, figure, now, state="superseded" if is_outdated else "current"))
    await session.flush()  # what is superseded makes room for the new lines
    session.add_all(drafted)
    if drafted:
        audit.record(
            session, None, Action.CASE_FOUND_DRAFTED, "case", case.id, area_code=case.area_code,
            visit=str(visit.id), lines=len(drafted),
        )  # fmt: skip


async def _load_current(session: AsyncSession, case_id: UUID) -> list[tuple[FoundFigure, datetime]]:
    rows = await session.execute(
        select(FoundFigure, _VISITED_AT)
        .join(Visit, Visit.id == FoundFigure.visit_id)
        .where(FoundFigure.case_id == case_id, FoundFigure.state == "current")
        .order_by(FoundFigure.id)
    )
    return [(line, visited_at) for line, visited_at in rows]


async def _read_visit(session: AsyncSession, visit: Visit) -> list[AnsweredFigure]:
    of_visit = ChecklistTemplate.code == visit.checklist_code, ChecklistTemplate.version == visit.checklist_version
    body: dict[str, Any] = (await session.scalars(select(ChecklistTemplate.body).where(*of_visit))).one()
    household = await session.get_one(Household, visit.household_id)
    members = list(
        await session.scalars(
            select(HouseholdMember)
            .where(HouseholdMember.household_id == household.id)
            .order_by(HouseholdMember.position)
        )
    )
    answers = read_asked_answers(visit, body, household, members)
    return read_figures(msgspec.convert(body, Template), answers, [str(member.id) for member in members])


def _is_same_figure(line: FoundFigure | AnsweredFigure, other: FoundFigure | AnsweredFigure) -> bool:
    """A household's total and a member's part of it are the same figure, as are all costs and those of work."""
    figures = {line.figure, other.figure}
    if len(figures) > 1:
        return figures == {"cost", "work_cost"}
    is_income = line.figure in INCOME_FIGURES
    return line.member_id == other.member_id or (is_income and None in {line.member_id, other.member_id})


def _make_line(case: CaseFile, visit: Visit, figure: AnsweredFigure, now: datetime, *, state: str) -> FoundFigure:
    return FoundFigure(
        id=new_id(),
        visit_id=visit.id,
        visit_version=visit.version,
        case_id=case.id,
        household_id=case.household_id,
        area_code=case.area_code,
        drafted_at=now,
        state=state,
        replaced=[],
        **figure._asdict(),
    )


async def withdraw_found_figures(session: AsyncSession, caller: Caller | None, visit_id: UUID, now: datetime) -> None:
    """Take back what a visit proposed, now that it is not accepted any more, and count what came before it again."""
    lines = list(
        await session.scalars(
            select(FoundFigure)
            .where(FoundFigure.visit_id == visit_id, FoundFigure.state != "withdrawn")
            .order_by(FoundFigure.id)
        )
    )
    if not lines:
        return
    household = await session.get_one(Household, lines[0].household_id, with_for_update=True)
    for line in lines:
        await session.refresh(line)  # it may have been adopted while this waited for the household
        line.state = "withdrawn"
    await session.flush()  # the rows that are put back are read after it
    await take_back(session, caller, household, [line for line in lines if line.verdict == "adopted"], now)
    for case_id in {line.case_id for line in lines}:
        await _count_earlier_again(session, case_id)
    audit.record(
        session, caller, Action.CASE_FOUND_WITHDRAWN, "visit", visit_id, area_code=lines[0].area_code, lines=len(lines)
    )


async def _count_earlier_again(session: AsyncSession, case_id: UUID) -> None:
    current: list[FoundFigure] = [line for line, _ in await _load_current(session, case_id)]
    superseded: Iterable[FoundFigure] = await session.scalars(
        select(FoundFigure)
        .join(Visit, Visit.id == FoundFigure.visit_id)
        .where(FoundFigure.case_id == case_id, FoundFigure.state == "superseded", Visit.state == "accepted")
        .order_by(_VISITED_AT.desc(), FoundFigure.id.desc())
    )
    for line in superseded:
        clashes = [other for other in current if _is_same_figure(line, other) and other.visit_id != line.visit_id]
        if not clashes:
            line.state = "current"
            current.append(line)
    await session.flush()  # a line that counts again is read by whoever asks next
