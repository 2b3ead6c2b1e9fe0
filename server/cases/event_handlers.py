"""What other rooms tell a case: a posting ended, somebody objected, somebody complained. By job, once each."""

from datetime import date
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.cases.transitions import move
from server.cases.visit_orders import order_home_visit, order_visit
from server.core import jobs
from server.core.database import open_session
from server.core.services import Services
from server.core.tokens import utc_now
from server.core.working_days import day_of, end_of, length_of
from server.models.cases import CLOSED_STATES, CaseFile
from server.models.households import Household
from server.models.postings import Objection
from server.policy.resolver import load_overrides, policy_values

_COMPLAINT_VISIT = "complaint.visit_days"


@jobs.task("cases.posting_ended")
async def on_posting_ended(services: Services, *, case_id: str, posting_id: str) -> None:
    """The list came down without an open objection: the next round, or the county's desk."""
    async with open_session(services.sessions) as session:
        await _end_round(session, await _locked(session, case_id), posting_id)


async def _end_round(session: AsyncSession, case: CaseFile, posting_id: str) -> None:
    rules = await policy_values(session, case.area_code, case.rules_on, ["case.posting_rounds"])
    is_last = case.posting_round + 1 >= int(rules.get("case.posting_rounds", 1))
    step = "posting_ended" if is_last else "posting_round_ended"
    await move(session, case, step, cause=f"posting:{posting_id}", actor_id=None, at=utc_now())


@jobs.task("cases.objection_made")
async def on_objection_made(services: Services, *, case_id: str, objection_id: str) -> None:
    async with open_session(services.sessions) as session:
        case = await _locked(session, case_id)
        if await _is_dismissed(session, objection_id):
            return
        await move(session, case, "objection_made", cause=f"objection:{objection_id}", actor_id=None, at=utc_now())


async def _is_dismissed(session: AsyncSession, objection_id: str) -> bool:
    """Answered before this job came to its turn: the posting simply goes on."""
    return (await session.get_one(Objection, UUID(objection_id))).outcome == "dismissed"


@jobs.task("cases.objection_answered")
async def on_objection_answered(
    services: Services, *, case_id: str, objection_id: str, actor_id: str, ended_posting_id: str | None = None
) -> None:
    """Back to the posting; and on from there where that has ended meanwhile."""
    async with open_session(services.sessions) as session:
        case = await _locked(session, case_id)
        cause = f"objection_answered:{objection_id}"
        await move(session, case, "objection_answered", cause=cause, actor_id=UUID(actor_id), at=utc_now())
        if ended_posting_id is not None:
            await _end_round(session, case, ended_posting_id)


@jobs.task("cases.complained")
async def on_complained(services: Services, *, household_id: str) -> None:
    """A complaint makes the county's own visit a must for an open case (law), and is looked into at any home."""
    async with open_session(services.sessions) as session:
        household = await session.get_one(Household, UUID(household_id))
        case = await session.scalar(
            select(CaseFile)
            .where(CaseFile.household_id == household.id, CaseFile.state.not_in(CLOSED_STATES))
            .with_for_update()
        )
        due = await _complaint_visit_due(session, household.area_code, day_of(utc_now()))
        if case is None:
            await order_home_visit(session, household, "complaint", due)
            return
        if not case.needs_county_visit:
            case.needs_county_visit = True
            case.version += 1
        await order_visit(session, case, "complaint", due, None)


async def _complaint_visit_due(session: AsyncSession, area_code: str, today: date) -> date:
    rules = await policy_values(session, area_code, today, [_COMPLAINT_VISIT])
    return end_of(today, length_of(rules, _COMPLAINT_VISIT), await load_overrides(session)).on


async def _locked(session: AsyncSession, case_id: str) -> CaseFile:
    return (await session.scalars(select(CaseFile).where(CaseFile.id == UUID(case_id)).with_for_update())).one()
