"""Two households that are the same become one: proposed by one person, confirmed by a second, undone until it is used.

A household that receives or applies is never merged away: it is the one to keep, and where both receive one payment is
stopped first by its case. So no payment moves and none is paid twice.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, in_areas, require_found, require_role
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.http import LongText, RequestBody, ResponseBody
from server.core.normalise import name_key
from server.core.paging import Keyset, Page, fetch_page
from server.households.conflicts import require_no_conflict_of_interest
from server.households.duplicates import ENDED_CASES, JUDGES, HomeLine, load_homes
from server.households.merge_moves import Moved, digest_household, move_back, move_everything, plan_merge
from server.households.versions import keep_first_version, keep_version
from server.models.benefits import BenefitChange
from server.models.cases import BankAccount, CaseFile
from server.models.duplicates import HouseholdMerge
from server.models.households import Assignment, Household
from server.models.people import Staff
from server.models.proposals import Proposal
from server.sync_feed.publish import publish_change, publish_tasks_of_homes

_NEWEST_FIRST = Keyset(HouseholdMerge.id, descending=True)
_REASON = "合并重复家庭"
MergeState = Literal["proposed", "merged", "rejected", "undone"]
Reason = Annotated[LongText, Meta(min_length=1)]


class ProposeMerge(RequestBody):
    """`id` is drawn by the client: the same proposal again is the same."""

    id: UUID
    kept_id: UUID
    merged_id: UUID
    reason: Reason


class DecideMerge(RequestBody):
    """A rejection needs a reason."""

    outcome: Literal["merged", "rejected"]
    reason: Annotated[str, Meta(max_length=1000)] = ""


class UndoMerge(RequestBody):
    reason: Reason


class MergeLine(ResponseBody):
    """`absorbed`: people who are in both households, by both names; `joining`: those who join the kept one. Both are
    empty once it is decided.
    """

    id: UUID
    state: MergeState
    kept: HomeLine
    merged: HomeLine
    absorbed: list[str]
    joining: list[str]
    reason: str
    proposed_by: str
    proposed_by_id: UUID
    proposed_at: datetime
    decided_by: str | None
    decided_by_id: UUID | None
    decided_at: datetime | None
    answer: str | None
    undone_by: str | None
    undone_at: datetime | None
    undo_reason: str | None


async def list_merges(
    session: AsyncSession, caller: Caller, *, state: MergeState, cursor: str | None, limit: int
) -> Page[MergeLine]:
    """List merges of households of the caller's areas, the newest first."""
    require_role(caller, JUDGES)
    page, next_cursor = await fetch_page(
        session, _select_merges(caller).where(HouseholdMerge.state == state), _NEWEST_FIRST, cursor, limit
    )
    return Page(items=await _lines(session, [merge for (merge,) in page]), next_cursor=next_cursor)


def _select_merges(caller: Caller) -> Select[Any]:
    kept, merged = aliased(Household), aliased(Household)
    return (
        select(HouseholdMerge)
        .join(kept, kept.id == HouseholdMerge.kept_id)
        .join(merged, merged.id == HouseholdMerge.merged_id)
        .where(and_(in_areas(kept.area_code, caller, JUDGES), in_areas(merged.area_code, caller, JUDGES)))
    )


async def propose_merge(session: AsyncSession, caller: Caller, body: ProposeMerge, now: datetime) -> MergeLine:
    """Keep a proposal. Nothing moves until another person confirms it. Idempotent by id.

    Raise `thing.not_found` outside the caller's areas, `merge.receives`, `merge.proposals_wait`, `merge.waiting`,
    `household.merged` and `case.own_relative`.
    """
    require_role(caller, JUDGES)
    earlier = await session.get(HouseholdMerge, body.id)
    if earlier is not None:
        stored = (earlier.kept_id, earlier.merged_id, earlier.reason, earlier.proposed_by)
        if stored != (body.kept_id, body.merged_id, body.reason, caller.id):
            raise Problem("request.idempotency_key_reused")
        return (await _lines(session, [earlier]))[0]
    kept, merged = await _lock_homes(session, caller, body.kept_id, body.merged_id)
    await _require_mergeable(session, caller, kept, merged)
    waiting = or_(HouseholdMerge.merged_id.in_([kept.id, merged.id]), HouseholdMerge.kept_id == merged.id)
    if await session.scalar(select(HouseholdMerge.id).where(waiting, HouseholdMerge.state == "proposed").limit(1)):
        raise Problem("merge.waiting")
    merge = HouseholdMerge(
        id=body.id, kept_id=kept.id, merged_id=merged.id, state="proposed", reason=body.reason,
        proposed_by=caller.id, proposed_at=now, moved={},
    )  # fmt: skip
    session.add(merge)
    await session.flush()  # the line below reads it
    _record(session, caller, Action.MERGE_PROPOSED, merge, kept, merged)
    return (await _lines(session, [merge]))[0]


async def decide_merge(
    session: AsyncSession, encryption: Encryption, caller: Caller, merge_id: UUID, body: DecideMerge, now: datetime
) -> MergeLine:
    """Confirm a proposal, which moves everything, or reject it. Idempotent.

    Raise `merge.second_person` for one's own proposal, and what `propose_merge` raises if it no longer holds.
    """
    merge, kept, merged = await _lock_merge(session, caller, merge_id)
    if (merge.state, merge.decided_by) == (body.outcome, caller.id):
        return (await _lines(session, [merge]))[0]
    if merge.state != "proposed":
        raise Problem("proposal.decided")
    if caller.acts_as(merge.proposed_by):
        raise Problem("merge.second_person")
    if body.outcome == "rejected" and not body.reason.strip():
        raise Problem("review.reason_required")
    merge.state, merge.answer = body.outcome, body.reason.strip() or None
    merge.decided_by, merge.decided_at = caller.id, now
    if body.outcome == "rejected":
        _record(session, caller, Action.MERGE_REJECTED, merge, kept, merged)
    else:
        await _require_mergeable(session, caller, kept, merged)
        await _merge(session, encryption, caller, merge, kept, merged, now)
    return (await _lines(session, [merge]))[0]


async def _merge(
    session: AsyncSession, encryption: Encryption, caller: Caller, merge: HouseholdMerge, kept: Household,
    merged: Household, now: datetime,
) -> None:  # fmt: skip
    for household in (kept, merged):
        await keep_first_version(session, household, now)
    moved = await move_everything(session, encryption, caller, kept, merged, _REASON, now)
    await _keep_versions(session, caller, kept, merged, _REASON, now)
    merge.moved = msgspec.to_builtins(moved)
    merge.digest = await digest_household(session, kept.id)
    _record(session, caller, Action.MERGE_CONFIRMED, merge, kept, merged)


async def undo_merge(
    session: AsyncSession, encryption: Encryption, caller: Caller, merge_id: UUID, body: UndoMerge, now: datetime
) -> MergeLine:
    """Take a merge back as a whole, by another person than the one who confirmed it. Idempotent.

    Raise `merge.acted_upon` once somebody has acted on the kept household.
    """
    merge, kept, merged = await _lock_merge(session, caller, merge_id)
    if merge.state == "undone":
        return (await _lines(session, [merge]))[0]
    if merge.state != "merged":
        raise Problem("merge.not_merged")
    if caller.acts_as(merge.decided_by):
        raise Problem("merge.second_person")
    for household in (kept, merged):
        await require_no_conflict_of_interest(session, caller, household.id)
    if kept.merged_into is not None or await digest_household(session, kept.id) != merge.digest:
        raise Problem("merge.acted_upon")
    moved = msgspec.convert(merge.moved, Moved)
    await move_back(session, encryption, caller, moved, kept, merged, now)
    merge.state, merge.undo_reason = "undone", body.reason
    merge.undone_by, merge.undone_at = caller.id, now
    await _keep_versions(session, caller, kept, merged, "撤销合并", now)
    _record(session, caller, Action.MERGE_UNDONE, merge, kept, merged)
    return (await _lines(session, [merge]))[0]


async def _keep_versions(
    session: AsyncSession, caller: Caller, kept: Household, merged: Household, reason: str, now: datetime
) -> None:
    """Keep a version of both, and send phones what is due where by now."""
    await session.flush()  # versions are read from the tables
    for household in (kept, merged):
        await keep_version(session, caller, household, reason, now)
    homes = [kept.id, merged.id]
    due = await session.scalars(select(Assignment.id).where(Assignment.household_id.in_(homes)))
    await publish_change(session, "households", homes, reason=reason)
    await publish_change(session, "assignments", list(due), reason=reason)
    await publish_tasks_of_homes(session, homes)


async def _lock_merge(
    session: AsyncSession, caller: Caller, merge_id: UUID
) -> tuple[HouseholdMerge, Household, Household]:
    require_role(caller, JUDGES)
    query = _select_merges(caller).where(HouseholdMerge.id == merge_id).with_for_update(of=HouseholdMerge)
    merge: HouseholdMerge = require_found(await session.scalar(query))
    kept, merged = await _lock_homes(session, caller, merge.kept_id, merge.merged_id)
    return merge, kept, merged


async def _lock_homes(
    session: AsyncSession, caller: Caller, kept_id: UUID, merged_id: UUID
) -> tuple[Household, Household]:
    rows = await session.scalars(
        select(Household)
        .where(Household.id.in_([kept_id, merged_id]), in_areas(Household.area_code, caller, JUDGES))
        .order_by(Household.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    homes = {household.id: household for household in rows}
    if kept_id == merged_id or len(homes) < 2:  # noqa: PLR2004  the two
        raise Problem("thing.not_found")
    return homes[kept_id], homes[merged_id]


async def _require_mergeable(session: AsyncSession, caller: Caller, kept: Household, merged: Household) -> None:
    for household in (kept, merged):
        await require_no_conflict_of_interest(session, caller, household.id)
        if household.merged_into is not None:
            raise Problem("household.merged")
    account = await session.get(BankAccount, merged.id)
    if account is not None and name_key(account.holder_name) == name_key(caller.name):
        raise Problem("case.own_relative")
    open_case = select(CaseFile.id).where(CaseFile.household_id == merged.id, CaseFile.state.not_in(ENDED_CASES))
    to_come = select(BenefitChange.id).where(
        BenefitChange.household_id == merged.id, BenefitChange.in_effect_at.is_(None)
    )
    receives = (merged.monthly_amount_fen or 0) > 0
    if receives or await session.scalar(open_case.limit(1)) or await session.scalar(to_come.limit(1)):
        raise Problem("merge.receives")
    # They are sealed for the household or name members of it, so they are decided before.
    waiting = select(Proposal.id).where(Proposal.household_id == merged.id, Proposal.state == "proposed")
    if await session.scalar(waiting.limit(1)):
        raise Problem("merge.proposals_wait")


def _record(
    session: AsyncSession, caller: Caller, action: Action, merge: HouseholdMerge, kept: Household, merged: Household
) -> None:
    """One line for each household, so that both histories tell of it."""
    for household, other in ((kept, merged), (merged, kept)):
        audit.record(
            session, caller, action, "household", household.id, area_code=household.area_code, merge=str(merge.id),
            household=str(other.id), reason=merge.undo_reason or merge.answer or merge.reason,
        )  # fmt: skip


async def _lines(session: AsyncSession, merges: Sequence[HouseholdMerge]) -> list[MergeLine]:
    homes = await load_homes(session, {home for merge in merges for home in (merge.kept_id, merge.merged_id)})
    people = {person for merge in merges for person in (merge.proposed_by, merge.decided_by, merge.undone_by)}
    rows = await session.execute(select(Staff.id, Staff.name).where(Staff.id.in_(people - {None})))
    names: dict[UUID | None, str] = dict(rows.all())
    return [await _line(session, merge, homes, names) for merge in merges]


async def _line(
    session: AsyncSession, merge: HouseholdMerge, homes: dict[UUID, HomeLine], names: dict[UUID | None, str]
) -> MergeLine:
    absorbed: list[str] = []
    joining: list[str] = []
    if merge.state == "proposed":
        plan = await plan_merge(session, merge.kept_id, merge.merged_id)
        absorbed = ["／".join(dict.fromkeys([pair.merged.name, pair.kept.name])) for pair in plan.absorbed]
        joining = [member.name for member in plan.joining]
    return MergeLine(
        id=merge.id,
        state=msgspec.convert(merge.state, MergeState),
        kept=homes[merge.kept_id],
        merged=homes[merge.merged_id],
        absorbed=absorbed,
        joining=joining,
        reason=merge.reason,
        proposed_by=names[merge.proposed_by],
        proposed_by_id=merge.proposed_by,
        proposed_at=merge.proposed_at,
        decided_by=names.get(merge.decided_by),
        decided_by_id=merge.decided_by,
        decided_at=merge.decided_at,
        answer=merge.answer,
        undone_by=names.get(merge.undone_by),
        undone_at=merge.undone_at,
        undo_reason=merge.undo_reason,
    )
