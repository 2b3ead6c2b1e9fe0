"""Proposals from a phone: a change of the register that a caseworker suggests and an officer decides."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import DESK_ROLES, Caller, in_areas, readable
from server.core.clock import utc_now
from server.core.errors import Problem
from server.core.services import Services
from server.models.households import Caseload, Household
from server.models.proposals import Proposal
from server.sync_feed.documents import ProposalDocument
from server.sync_feed.publish import publish_change
from server.sync_feed.verdicts import Applied, Conflict, Incoming, Quarantine, Verdict, judge


async def apply_proposals(
    session: AsyncSession, services: Services, caller: Caller, rows: Sequence[Incoming[ProposalDocument]]
) -> list[Verdict]:
    """Store proposals. Until it is decided, its author may change a proposal or withdraw it (`_deleted`)."""
    del services
    now = utc_now()
    stored = {
        proposal.id: proposal
        for proposal in await session.scalars(
            select(Proposal)
            .where(Proposal.id.in_([row.document.id for row in rows]))
            .order_by(Proposal.id)
            .with_for_update()
        )
    }
    reachable = await _reachable_households(session, caller, {row.document.household_id for row in rows})
    verdicts = []
    for row in rows:
        verdict = _judge(stored.get(row.document.id), reachable, caller, row)
        verdicts.append(verdict or await _write(session, caller, stored.get(row.document.id), row, now))
    return verdicts


async def _reachable_households(session: AsyncSession, caller: Caller, ids: set[UUID]) -> set[UUID]:
    """Return the households that the caller holds, formerly held (a phone may sync late), or covers by area."""
    held = select(Caseload.household_id).where(Caseload.staff_id == caller.id)
    mine = or_(Household.id.in_(held), in_areas(Household.area_code, caller, DESK_ROLES))
    return set(await session.scalars(select(Household.id).where(Household.id.in_(ids), mine)))


def _judge(
    stored: Proposal | None, reachable: set[UUID], caller: Caller, row: Incoming[ProposalDocument]
) -> Verdict | None:
    if stored is not None:
        if stored.author_id != caller.id:
            return Conflict()
        verdict = judge(row, stored.content_hash)
        if verdict is not None:
            return verdict
        if stored.decided_at is not None:
            return Conflict(Problem("proposal.decided"))
    if row.document.household_id not in reachable:
        return Quarantine(Problem("visit.household_unknown"))
    return None


async def _write(
    session: AsyncSession, caller: Caller, stored: Proposal | None, row: Incoming[ProposalDocument], now: datetime
) -> Verdict:
    columns = {
        "household_id": row.document.household_id,
        "author_id": caller.id,
        "device_id": caller.device_id,
        "state": "withdrawn" if row.document.deleted else "proposed",
        "document": row.raw,
        "content_hash": row.content_hash,
        "received_at": now,
    }
    if stored is not None:
        for name, value in columns.items():
            setattr(stored, name, value)
    else:
        fresh = insert(Proposal).values(id=row.document.id, **columns).on_conflict_do_nothing().returning(Proposal.id)
        if await session.scalar(fresh) is None:
            duplicate = await session.get_one(Proposal, row.document.id)
            return judge(row, duplicate.content_hash) or Conflict()
    action = Action.PROPOSAL_WITHDRAWN if row.document.deleted else Action.PROPOSAL_PROPOSED
    audit.record(session, caller, action, "proposal", row.document.id)
    await session.flush()  # publish_change reads it
    await publish_change(session, "proposals", [row.document.id])
    return Applied()


async def load_proposals(session: AsyncSession, caller: Caller, ids: Sequence[UUID]) -> dict[str, Any]:
    rows = await session.scalars(
        readable(Proposal, caller).where(
            Proposal.id.in_(ids), Proposal.author_id == caller.id, Proposal.guards.is_(None)
        )
    )
    return {
        str(proposal.id): {
            "_deleted": False,
            **proposal.document,
            "server": {
                "state": proposal.state,
                "reason": proposal.reason,
                "receivedAt": proposal.received_at.isoformat(),
                "decidedAt": proposal.decided_at.isoformat() if proposal.decided_at else None,
            },
        }
        for proposal in rows
    }
