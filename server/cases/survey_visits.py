"""The accepted visits that a case rests on: its survey, and the county's own visit.

A supervisor can reopen a decided visit, and its author can amend it. The case keeps its state meanwhile, so whoever
proposes or grants looks here again.
"""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.core.errors import Problem
from server.models.cases import CaseEvent, CaseFile
from server.models.review import Decision
from server.models.visits import Visit

_OF_DECISION, _OF_COUNTY_VISIT = "decision:", "county_visit:"


async def require_accepted_survey(session: AsyncSession, case: CaseFile) -> None:
    """Raise `case.survey_not_accepted` unless the visit that ended the survey, or a later intake visit, is accepted.

    An imported case names no visit: what it went through elsewhere is not judged here.
    """
    cause = await session.scalar(
        select(CaseEvent.cause)
        .where(CaseEvent.case_id == case.id, CaseEvent.step == "survey_done")
        .order_by(CaseEvent.at.desc(), CaseEvent.id.desc())
        .limit(1)
    )
    if cause is None or not cause.startswith(_OF_DECISION):
        return
    later = aliased(Visit)
    accepted = await session.scalar(
        select(later.id)
        .join(Visit, Visit.household_id == later.household_id)
        .join(Decision, Decision.visit_id == Visit.id)
        .where(
            Decision.id == UUID(cause.removeprefix(_OF_DECISION)),
            later.kind == "intake",
            later.state == "accepted",
            (later.id == Visit.id) | (later.started_at > Visit.started_at),
        )
        .limit(1)
    )
    if accepted is None:
        raise Problem("case.survey_not_accepted")


async def require_county_visit(session: AsyncSession, case: CaseFile) -> None:
    """Raise `case.county_visit_missing` unless an accepted visit of the county stands."""
    causes = await session.scalars(
        select(CaseEvent.cause).where(CaseEvent.case_id == case.id, CaseEvent.step == "county_visited")
    )
    visit_ids = [UUID(cause.removeprefix(_OF_COUNTY_VISIT)) for cause in causes if cause.startswith(_OF_COUNTY_VISIT)]
    if case.county_visited_at is not None and not visit_ids:  # an imported case names no visit
        return
    accepted = Visit.id.in_(visit_ids), Visit.state == "accepted"
    if await session.scalar(select(Visit.id).where(*accepted).limit(1)) is None:
        raise Problem("case.county_visit_missing")
