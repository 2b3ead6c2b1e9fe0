"""How a case moves. One readable table says which cause takes it from where to where."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server.core import jobs
from server.core.database import open_session
from server.core.ids import new_id
from server.core.services import Services
from server.models import audit
from server.models.cases import CaseEvent, CaseFile
from server.models.review import Decision
from server.models.visits import Visit


class Move(NamedTuple):
    step: str
    from_states: frozenset[str]
    to_state: str
    # What the resident reads.
    zh: str
    en: str


# The visit's part of the procedure (审核确认办法): an accepted intake visit ends the survey.
MOVES = {
    "applied": Move("applied", frozenset(), "applied", "申请已提交", "Application made"),
    "accepted": Move("accepted", frozenset({"applied"}), "accepted", "申请已受理", "Application taken on"),
    "survey_begun": Move(
        "survey_begun", frozenset({"accepted"}), "survey", "开始入户调查", "The home visit is under way"
    ),
    "survey_done": Move(
        "survey_done",
        frozenset({"accepted", "survey"}),
        "preliminary",
        "入户调查已通过审核,进入初审",
        "The home visit was accepted; the town prepares its opinion",
    ),
    "survey_again": Move(
        "survey_again",
        frozenset({"accepted", "survey"}),
        "survey",
        "入户调查需补充,工作人员将再次联系您",
        "The home visit needs more; staff will contact you again",
    ),
}

_BY_OUTCOME = {"accepted": "survey_done", "returned": "survey_again"}


@jobs.task("cases.visit_decided")
async def on_visit_decided(services: Services, *, decision_id: str) -> None:
    """A reviewer decided on a visit: the case that asked for it moves."""
    async with open_session(services.sessions) as session:
        decision = await session.get_one(Decision, UUID(decision_id))
        visit = await session.get_one(Visit, decision.visit_id)
        step = _BY_OUTCOME.get(decision.outcome)
        if visit.kind != "intake" or step is None or decision.undone_at is not None:
            return
        case = await session.scalar(
            select(CaseFile)
            .where(
                CaseFile.household_id == visit.household_id,
                CaseFile.state.not_in(["confirmed", "refused", "withdrawn"]),
            )
            .with_for_update()
        )
        if case is not None:
            await move(
                session,
                case,
                step,
                cause=f"decision:{decision.id}",
                actor_id=decision.reviewer_id,
                at=decision.decided_at,
            )


async def move(
    session: AsyncSession, case: CaseFile, step: str, *, cause: str, actor_id: UUID | None, at: datetime
) -> bool:
    """Move a locked case; False when this cause already did, or does not apply where the case stands."""
    known = MOVES[step]
    if known.from_states and case.state not in known.from_states:
        return False
    entered = await session.scalar(
        insert(CaseEvent)
        .values(
            id=new_id(),
            case_id=case.id,
            at=at,
            step=step,
            state=known.to_state,
            actor_id=actor_id,
            cause=cause,
            facts={},
        )
        .on_conflict_do_nothing()
        .returning(CaseEvent.id)
    )
    if entered is None:
        return False
    case.state = known.to_state
    case.updated_at = func.now()
    audit.record(session, None, "case.moved", "case", case.id, area_code=case.area_code, step=step)
    return True
