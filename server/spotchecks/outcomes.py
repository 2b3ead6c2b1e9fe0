"""Compare a second visit with the first when it is complete, and report the differences as a finding."""

from typing import Any
from uuid import UUID

from msgspec import convert, to_builtins
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from server import audit
from server.audit.actions import Action
from server.checklists.template import Template
from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.job_types import CompareVisits, RecheckVisit
from server.core.services import Services
from server.models.checklists import ChecklistTemplate
from server.models.households import Household
from server.models.review import SpotCheck
from server.models.visits import Visit, VisitInvestigator
from server.spotchecks.comparison import compare_answers
from server.spotchecks.teams import revoke_grants
from server.visits.answers import read_asked_answers


@jobs.task(CompareVisits)
async def compare_visits(services: Services, job: CompareVisits) -> None:
    """Compare a complete visit of kind `spot_check` with the first visit. Idempotent.

    A visit in which anyone of the first team took part does not count and is ignored. A comparison is final: the author
    of a later correction may have read the first visit by then.
    """
    async with open_session(services.sessions) as session:
        second = await session.get_one(Visit, job.visit_id)
        check = await session.scalar(
            select(SpotCheck).where(SpotCheck.assignment_id == second.assignment_id).with_for_update()
        )
        if second.assignment_id is None or check is None or check.state != "assigned":
            return
        if await _share_an_investigator(session, check.visit_id, second.id):
            return
        first = await session.get_one(Visit, check.visit_id)
        now = utc_now()
        check.comparison = await _compare_answers(session, first, second)
        check.state, check.second_visit_id, check.compared_at = "compared", second.id, now
        agreed = sum(answer["agrees"] for answer in check.comparison)
        audit.record(
            session,
            None,
            Action.SPOT_CHECK_COMPARED,
            "spot_check",
            check.id,
            area_code=check.area_code,
            compared=len(check.comparison),
            agreed=agreed,
        )
        await session.flush()  # the feed reads that the household is no longer the team's
        await revoke_grants(session, check, first.household_id, now)
        await jobs.defer(session, RecheckVisit(visit_id=first.id, codes=["visit.differs_at_spot_check"]))


async def _share_an_investigator(session: AsyncSession, first_id: UUID, second_id: UUID) -> bool:
    first_team = select(VisitInvestigator.staff_id).where(VisitInvestigator.visit_id == first_id)
    shared = select(VisitInvestigator.staff_id).where(
        VisitInvestigator.visit_id == second_id, VisitInvestigator.staff_id.in_(first_team)
    )
    return await session.scalar(shared.limit(1)) is not None


async def _compare_answers(session: AsyncSession, first: Visit, second: Visit) -> list[dict[str, Any]]:
    """Compare by the first visit's questions, as far as the second visit's checklist has them too."""
    household = await session.get_one(
        Household, first.household_id, options=[selectinload(Household.members)], populate_existing=True
    )
    first_body, second_body = await read_checklist(session, first), await read_checklist(session, second)
    answers = [
        read_asked_answers(visit, body, household, household.members)
        for visit, body in ((first, first_body), (second, second_body))
    ]
    shared = {question["id"] for section in second_body["sections"] for question in section["questions"]}
    return [
        to_builtins(entry)
        for entry in compare_answers(convert(first_body, Template), *answers)
        if entry.question.partition(".")[0] in shared
    ]


async def read_checklist(session: AsyncSession, visit: Visit) -> dict[str, Any]:
    """Return the body of the checklist version that the visit answered."""
    body = await session.scalar(
        select(ChecklistTemplate.body).where(
            ChecklistTemplate.code == visit.checklist_code, ChecklistTemplate.version == visit.checklist_version
        )
    )
    assert body is not None, "a foreign key guarantees a visit's checklist"
    return body
