"""What one officer proposes about a payment and another decides: raise or cut it, stop it, take it up again.

What moves money takes two people. The proposal fixes what is decided: the calculation, the ground, the month.
"""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.benefits.changes import latest_calculation
from server.benefits.stop_grounds import find_stop_ground
from server.core.access import Caller
from server.core.errors import Problem
from server.core.http import ResponseBody
from server.core.ids import new_id
from server.models.benefits import PaymentProposal
from server.models.cases import Calculation, CaseFile
from server.models.people import Staff

# The step that decides, by the step that proposes.
DECIDING_STEPS = {"change_proposed": "amount_changed", "stop_proposed": "stopped", "return_proposed": "came_back"}


class PaymentProposalLine(ResponseBody):
    """A proposal that waits for another person. `step` is what it proposes to do.

    `amount_fen`: what would be paid each month. `ground` of a stop is a code of the area, named in `ground_zh`.
    """

    id: UUID
    step: str
    reason: str
    ground: str | None
    ground_zh: str | None
    ground_en: str | None
    from_month: date | None
    amount_fen: int
    proposed_by_name: str
    proposed_at: datetime
    is_own: bool


class Proposed(NamedTuple):
    """What a proposal is about."""

    step: str
    reason: str
    ground: str | None = None
    from_month: date | None = None
    calculation: Calculation | None = None


async def propose_payment(
    session: AsyncSession, caller: Caller, case: CaseFile, proposed: Proposed, now: datetime
) -> dict[str, object]:
    """Write a proposal for the locked case. Return the facts for the event. Raises `case.proposal_open`."""
    if await find_open_proposal(session, case) is not None:
        raise Problem("case.proposal_open")
    calculation = proposed.calculation
    proposal = PaymentProposal(
        id=new_id(),
        case_id=case.id,
        step=proposed.step,
        reason=proposed.reason,
        ground=proposed.ground,
        from_month=proposed.from_month,
        calculation_id=calculation.id if calculation else None,
        amount_fen=calculation.amount_fen if calculation else 0,
        proposed_by=caller.id,
        proposed_at=now,
    )
    session.add(proposal)
    return {"proposalId": str(proposal.id), "amountFen": proposal.amount_fen}


async def find_open_proposal(session: AsyncSession, case: CaseFile) -> PaymentProposal | None:
    proposal: PaymentProposal | None = await session.scalar(
        select(PaymentProposal).where(PaymentProposal.case_id == case.id, PaymentProposal.outcome.is_(None))
    )
    return proposal


async def decide_proposal(
    session: AsyncSession, caller: Caller, case: CaseFile, step: str, now: datetime
) -> PaymentProposal:
    """Decide as proposed, as the second person.

    Raises `case.proposal_missing`, `case.second_person` for the one who proposed it, and `case.proposal_outdated` once
    the amount was calculated again.
    """
    proposal = await find_open_proposal(session, case)
    if proposal is None or proposal.step != step:
        raise Problem("case.proposal_missing")
    if caller.acts_as(proposal.proposed_by):
        raise Problem("case.second_person")
    if proposal.calculation_id is not None:
        latest = await latest_calculation(session, case)
        if latest is None or latest.id != proposal.calculation_id:
            raise Problem("case.proposal_outdated")
    proposal.outcome, proposal.decided_by, proposal.decided_at = "decided", caller.id, now
    return proposal


async def decline_proposal(session: AsyncSession, caller: Caller, case: CaseFile, reason: str, now: datetime) -> str:
    """Put a proposal aside; nothing moves. Return its step. Raises `case.proposal_missing`."""
    proposal = await find_open_proposal(session, case)
    if proposal is None:
        raise Problem("case.proposal_missing")
    proposal.outcome, proposal.answer = "declined", reason
    proposal.decided_by, proposal.decided_at = caller.id, now
    return proposal.step


async def load_open_proposal(session: AsyncSession, caller: Caller, case: CaseFile) -> PaymentProposalLine | None:
    proposer = aliased(Staff)
    row = (
        await session.execute(
            select(PaymentProposal, proposer.name)
            .join(proposer, proposer.id == PaymentProposal.proposed_by)
            .where(PaymentProposal.case_id == case.id, PaymentProposal.outcome.is_(None))
        )
    ).one_or_none()
    if row is None:
        return None
    proposal, name = row
    ground = await find_stop_ground(session, case.area_code, proposal.ground) if proposal.ground else None
    return PaymentProposalLine(
        id=proposal.id,
        step=proposal.step,
        reason=proposal.reason,
        ground=proposal.ground,
        ground_zh=ground.zh if ground else None,
        ground_en=ground.en if ground else None,
        from_month=proposal.from_month,
        amount_fen=proposal.amount_fen,
        proposed_by_name=name,
        proposed_at=proposal.proposed_at,
        is_own=caller.acts_as(proposal.proposed_by),
    )
