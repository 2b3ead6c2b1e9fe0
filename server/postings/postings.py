"""The life of a posting: drafted from the cases that wait, started, ended.

A posting starts once enough places are proven, and a job ends it after its last day.
"""

import secrets
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import Caller, Role, readable, require_role
from server.core.clock import utc_now
from server.core.database import advisory_lock, open_session
from server.core.errors import Problem
from server.core.http import RequestBody
from server.core.job_types import EndPostings, MoveCaseAfterPosting, Notify
from server.core.services import Services
from server.core.working_days import Deadline, day_of, end_of, length_of
from server.households.conflicts import require_no_conflict_of_interest_in_cases
from server.models.cases import CaseFile
from server.models.households import Household, HouseholdMember
from server.models.postings import Objection, Posting, PostingEntry, PostingPlace
from server.policy.resolver import load_overrides, load_policy_values
from server.postings.detail import (
    PostingDetail,
    load_posting,
    load_posting_detail,
    load_required_places,
    require_no_relatives_listed,
)
from server.postings.field_places import ask_to_hang, ask_to_take_down

DRAFT_ROLES = frozenset({Role.TOWN_OFFICER})


class CreatePosting(RequestBody):
    """The list contains every case of the village that waits for this round."""

    id: UUID
    area_code: Annotated[str, Meta(pattern="^[0-9]{12}$")]
    round: Annotated[int, Meta(ge=1, le=5)] = 1


async def create_posting(
    session: AsyncSession, services: Services, caller: Caller, data: CreatePosting
) -> PostingDetail:
    """Draft the list of a village. Idempotent by id.

    Raises `posting.not_now` if no case waits, and `case.own_relative` if an entry would be a relative's.
    """
    require_role(caller, DRAFT_ROLES)
    if not caller.covers(data.area_code, DRAFT_ROLES):
        raise Problem("auth.forbidden", roles=", ".join(sorted(DRAFT_ROLES)))
    await advisory_lock(session, f"posting:{data.area_code}")
    existing = await session.scalar(readable(Posting, caller).where(Posting.id == data.id))
    if existing is not None:
        return await load_posting_detail(session, services, caller, existing)
    cases = await _lock_waiting_cases(session, data)
    if not cases:
        raise Problem("posting.not_now", state="–")
    await require_no_conflict_of_interest_in_cases(session, caller, [case.id for case, _, _ in cases])
    posting = Posting(
        id=data.id, area_code=data.area_code, round=data.round, key=secrets.token_urlsafe(32), made_by=caller.id,
        state="draft", ends_certain=True,
    )  # fmt: skip
    session.add(posting)
    await session.flush()  # entries have a foreign key to it
    _add_entries(session, posting, cases)
    audit.record(
        session, caller, Action.POSTING_MADE, "posting", posting.id, area_code=data.area_code, cases=len(cases)
    )
    await session.flush()  # the detail reads the entries
    await ask_to_hang(session, posting, len(cases))
    return await load_posting_detail(session, services, caller, posting)


async def _lock_waiting_cases(session: AsyncSession, data: CreatePosting) -> list[tuple[CaseFile, str, int]]:
    """Lock and return the cases of the village that wait for this round and are in no open posting."""
    hanging = (
        select(PostingEntry.case_id)
        .join(Posting, Posting.id == PostingEntry.posting_id)
        .where(Posting.state != "ended", Posting.round == data.round, PostingEntry.removed_at.is_(None))
    )
    members = (
        select(func.count())
        .where(HouseholdMember.household_id == CaseFile.household_id)
        .correlate(CaseFile)
        .scalar_subquery()
    )
    rows = await session.execute(
        select(CaseFile, Household.head_name, members)
        .join(Household, Household.id == CaseFile.household_id)
        .where(
            CaseFile.area_code == data.area_code,
            CaseFile.state == "posting",
            CaseFile.posting_round == data.round - 1,
            CaseFile.id.not_in(hanging),
        )
        .order_by(CaseFile.number)
        .with_for_update(of=CaseFile)
    )
    return [(case, name, count) for case, name, count in rows]


def _add_entries(session: AsyncSession, posting: Posting, cases: Sequence[tuple[CaseFile, str, int]]) -> None:
    for position, (case, name, members) in enumerate(cases, start=1):
        session.add(
            PostingEntry(
                posting_id=posting.id,
                case_id=case.id,
                position=position,
                name=name,
                members=members,
                amount_fen=case.amount_fen or 0,
            )
        )


async def start_posting(
    session: AsyncSession, services: Services, caller: Caller, posting_id: UUID, now: datetime
) -> PostingDetail:
    """Open the list from today. Idempotent.

    Raises `posting.places_missing`, `posting.ended`, and `case.own_relative` if an entry is a relative's.
    """
    require_role(caller, DRAFT_ROLES)
    posting = await load_posting(session, caller, posting_id)
    if posting.state == "ended":
        raise Problem("posting.ended")
    if posting.state == "open":
        return await load_posting_detail(session, services, caller, posting)
    await require_no_relatives_listed(session, caller, posting)
    today = day_of(now)
    required = await load_required_places(session, posting)
    proven = await session.scalar(
        select(func.count(func.distinct(func.lower(PostingPlace.name)))).where(
            PostingPlace.posting_id == posting.id, PostingPlace.taken_down_at.is_(None)
        )
    )
    if (proven or 0) < required:
        raise Problem("posting.places_missing", least=required)
    ends = await _compute_end(session, posting, today)
    posting.state, posting.starts_on, posting.ends_on, posting.ends_certain = "open", today, ends.on, ends.certain
    audit.record(session, caller, Action.POSTING_STARTED, "posting", posting.id, area_code=posting.area_code)
    await _notify_households(session, posting)
    return await load_posting_detail(session, services, caller, posting)


async def _notify_households(session: AsyncSession, posting: Posting) -> None:
    rows = await session.execute(
        select(CaseFile.id, CaseFile.household_id)
        .join(PostingEntry, PostingEntry.case_id == CaseFile.id)
        .where(PostingEntry.posting_id == posting.id, PostingEntry.removed_at.is_(None))
    )
    for case_id, household_id in rows:
        await jobs.defer(
            session,
            Notify(
                kind="posted",
                thing=f"posting:{posting.id}",
                area_code=posting.area_code,
                household_id=household_id,
                facts={"caseId": str(case_id)},
            ),
        )


async def _compute_end(session: AsyncSession, posting: Posting, today: date) -> Deadline:
    """Return the last day by the settings of the day on which the oldest of its cases began."""
    rules_on = await session.scalar(
        select(func.min(CaseFile.rules_on))
        .join(PostingEntry, PostingEntry.case_id == CaseFile.id)
        .where(PostingEntry.posting_id == posting.id)
    )
    rules = await load_policy_values(session, posting.area_code, rules_on or today, ["case.posting_days"])
    return end_of(today, length_of(rules, "case.posting_days"), await load_overrides(session))


@jobs.task(EndPostings, cron="2 * * * *")
async def end_postings(services: Services, _: EndPostings) -> None:
    """Every hour, end the postings whose last day is past and advance their cases."""
    async with open_session(services.sessions) as session:
        await end_due_postings(session, utc_now())


async def end_due_postings(session: AsyncSession, now: datetime) -> int:
    today = day_of(now)
    due_postings = list(
        await session.scalars(
            select(Posting)
            .where(Posting.state == "open", Posting.ends_on < today)
            .with_for_update(skip_locked=True)
            .limit(200)
        )
    )
    for posting in due_postings:
        posting.state, posting.ended_at = "ended", now
        audit.record(session, None, Action.POSTING_ENDED, "posting", posting.id, area_code=posting.area_code)
        await _advance_cases(session, posting)
        await ask_to_take_down(session, posting)
    return len(due_postings)


async def _advance_cases(session: AsyncSession, posting: Posting) -> None:
    """Advance the cases of an ended posting, except those with an open objection or a removed entry."""
    contested = select(Objection.case_id).where(Objection.answered_at.is_(None))
    case_ids = await session.scalars(
        select(PostingEntry.case_id).where(
            PostingEntry.posting_id == posting.id,
            PostingEntry.removed_at.is_(None),
            PostingEntry.case_id.not_in(contested),
        )
    )
    for case_id in case_ids:
        await jobs.defer(session, MoveCaseAfterPosting(case_id=case_id, posting_id=posting.id))
