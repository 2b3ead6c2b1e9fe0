"""Settings that take two people: one proposes a row, another person of the area takes it over or rejects it.

They decide what families are paid and who decides on it, so one stolen or careless account must not set them. A
proposal holds nothing until it is accepted; the row that it becomes names both.
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import ColumnElement, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, Role, in_areas, require_found, require_role
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody, ShortText
from server.core.paging import Keyset, Page, fetch_page
from server.models.areas import Area, SettingProposal
from server.models.people import Staff
from server.policy.schemas import takes_two_people
from server.policy.settings import READ_ROLES, WritePolicySetting, validate_setting, write_row

# Who may take over what an administrator proposed: another administrator or the county, of the area.
DECIDERS = frozenset({Role.ADMIN, Role.COUNTY_OFFICER})
_LATEST_FIRST = Keyset(SettingProposal.id, descending=True)
ProposalState = Literal["proposed", "accepted", "rejected"]


class ProposeSetting(WritePolicySetting):
    """`id` is drawn by the client: the same proposal again is the same."""

    id: UUID


class DecideSetting(RequestBody):
    """A rejection needs a reason."""

    outcome: Literal["accepted", "rejected"]
    reason: Annotated[str, Meta(max_length=1000)] = ""


class SettingProposalLine(ResponseBody):
    id: UUID
    key: str
    value: Any
    area_code: str
    area_name: str | None
    effective_from: date
    source: str
    state: str
    proposed_by: ShortText
    proposed_by_id: UUID
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None


async def list_proposals(
    session: AsyncSession, caller: Caller, *, state: ProposalState, cursor: str | None, limit: int
) -> Page[SettingProposalLine]:
    """List proposals that concern the caller's areas, the latest first."""
    require_role(caller, READ_ROLES)
    proposer, decider = aliased(Staff), aliased(Staff)
    rows = (
        select(SettingProposal, proposer.name, decider.name, Area.name)
        .join(proposer, proposer.id == SettingProposal.proposed_by)
        .outerjoin(decider, decider.id == SettingProposal.decided_by)
        .outerjoin(Area, Area.code == SettingProposal.area_code)
        .where(_concerns(caller), SettingProposal.state == state)
    )
    page, next_cursor = await fetch_page(session, rows, _LATEST_FIRST, cursor, limit)
    return Page(items=[_line(*row) for row in page], next_cursor=next_cursor)


def _concerns(caller: Caller) -> ColumnElement[bool]:
    """A row holds in its area and below it, so it concerns whoever works in, below or above it."""
    area: Any = SettingProposal.area_code
    below = [literal(prefix).startswith(area) for prefix in caller.prefixes(READ_ROLES)]
    return or_(in_areas(area, caller, READ_ROLES), *below)


async def propose_setting(
    session: AsyncSession, caller: Caller, data: ProposeSetting, finding_codes: Collection[str], now: datetime
) -> SettingProposalLine:
    """Keep a proposal. Raises as `write_setting` does, and `rule.takes_one` for a setting that one person writes."""
    await validate_setting(session, caller, data, finding_codes)
    if not takes_two_people(data.key):
        raise Problem("rule.takes_one")
    proposal = await session.get(SettingProposal, data.id)
    if proposal is None:
        proposal = SettingProposal(
            id=data.id,
            key=data.key,
            area_code=data.area_code,
            effective_from=data.effective_from,
            value=data.value,
            source=data.reason,
            state="proposed",
            proposed_by=caller.id,
            proposed_at=now,
        )
        session.add(proposal)
        _record(session, caller, Action.RULE_PROPOSED, proposal)
    elif proposal.proposed_by != caller.id or not _is_same(proposal, data):
        raise Problem("request.idempotency_key_reused")
    area = await session.get(Area, proposal.area_code)
    return _line(proposal, caller.name, None, area.name if area else None)


def _is_same(proposal: SettingProposal, data: ProposeSetting) -> bool:
    stored = (proposal.key, proposal.area_code, proposal.effective_from, proposal.value, proposal.source)
    return stored == (data.key, data.area_code, data.effective_from, data.value, data.reason)


async def decide_setting(
    session: AsyncSession, caller: Caller, proposal_id: UUID, decision: DecideSetting, now: datetime
) -> SettingProposalLine:
    """Take a proposal over, which writes its row, or reject it. Idempotent.

    Raises `rule.second_person` for one's own proposal, `proposal.decided`, `review.reason_required` and, where the day
    has another row by now, `rule.written`.
    """
    require_role(caller, DECIDERS)
    rows = select(SettingProposal).where(SettingProposal.id == proposal_id).with_for_update()
    proposal: SettingProposal = require_found(await session.scalar(rows))
    if not caller.covers(proposal.area_code, DECIDERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(DECIDERS)))
    if (proposal.state, proposal.decided_by) != (decision.outcome, caller.id):
        await _decide(session, caller, proposal, decision, now)
    proposer = await session.get_one(Staff, proposal.proposed_by)
    area = await session.get(Area, proposal.area_code)
    return _line(proposal, proposer.name, caller.name, area.name if area else None)


async def _decide(
    session: AsyncSession, caller: Caller, proposal: SettingProposal, decision: DecideSetting, now: datetime
) -> None:
    if caller.acts_as(proposal.proposed_by):
        raise Problem("rule.second_person")
    if proposal.state != "proposed":
        raise Problem("proposal.decided")
    if decision.outcome == "rejected" and not decision.reason.strip():
        raise Problem("review.reason_required")
    proposal.state, proposal.reason = decision.outcome, decision.reason.strip() or None
    proposal.decided_by, proposal.decided_at = caller.id, now
    if decision.outcome == "accepted":
        await write_row(session, caller, proposal, now)
    else:
        _record(session, caller, Action.RULE_REJECTED, proposal)


def _record(session: AsyncSession, caller: Caller, action: Action, proposal: SettingProposal) -> None:
    audit.record(
        session, caller, action, "area_rule", proposal.key, area_code=proposal.area_code or None,
        proposal=str(proposal.id), value=proposal.value, reason=proposal.reason or proposal.source,
        effective_from=proposal.effective_from.isoformat(),
    )  # fmt: skip


def _line(proposal: SettingProposal, proposer: str, decider: str | None, area: str | None) -> SettingProposalLine:
    return SettingProposalLine(
        id=proposal.id,
        key=proposal.key,
        value=proposal.value,
        area_code=proposal.area_code,
        area_name=area,
        effective_from=proposal.effective_from,
        source=proposal.source,
        state=proposal.state,
        proposed_by=proposer,
        proposed_by_id=proposal.proposed_by,
        proposed_at=proposal.proposed_at,
        decided_by=decider,
        decided_at=proposal.decided_at,
        reason=proposal.reason,
    )
