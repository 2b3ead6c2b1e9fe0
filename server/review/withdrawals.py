"""Taking back figures by which a payment was decided takes two people: by voiding their visit, or by reopening it."""

from datetime import datetime
from typing import Literal

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.database import write_despite_failure
from server.core.errors import Problem
from server.models.benefits import BenefitChange
from server.models.found_figures import FoundFigure
from server.models.visits import Visit, WithdrawalProposal


async def require_second_person(
    session: AsyncSession, caller: Caller, visit: Visit, act: Literal["void", "reopen"], reason: str, now: datetime
) -> None:
    """Keep the first person's reason and raise `visit.withdrawal_waits`; let another person through.

    Only where a payment of the case was decided on since a figure of the visit was adopted.
    """
    if not await _has_moved_money(session, visit):
        return
    visit_id, area_code = visit.id, visit.area_code
    proposal = await session.get(WithdrawalProposal, (visit_id, act))
    if proposal is not None and not caller.acts_as(proposal.proposed_by):
        await session.delete(proposal)
        return
    if proposal is None:
        async with write_despite_failure(session):
            session.add(
                WithdrawalProposal(
                    visit_id=visit_id, act=act, proposed_by=caller.id, proposed_at=now, reason=reason
                )
            )  # fmt: skip
            audit.record(
                session, caller, Action.VISIT_WITHDRAWAL_PROPOSED, "visit", visit_id, area_code=area_code, act=act,
                reason=reason,
            )  # fmt: skip
    raise Problem("visit.withdrawal_waits")


async def _has_moved_money(session: AsyncSession, visit: Visit) -> bool:
    decided = exists().where(
        FoundFigure.visit_id == visit.id,
        FoundFigure.verdict == "adopted",
        FoundFigure.figure != "recommendation",
        FoundFigure.state != "withdrawn",
        BenefitChange.case_id == FoundFigure.case_id,
        BenefitChange.decided_on >= func.date(func.timezone("Asia/Shanghai", FoundFigure.decided_at)),
    )
    return bool(await session.scalar(select(decided)))
