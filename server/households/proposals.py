"""Proposals at the desk: an officer compares what a caseworker proposes with the register, and decides."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import Caller, Role, readable, require_found, require_role
from server.core.clock import utc_now
from server.core.errors import Problem
from server.core.http import (
    BEARER,
    SIGNED_IN_ERRORS,
    LongText,
    Officer,
    PageLimit,
    RequestBody,
    ResponseBody,
    Session,
    error_responses,
)
from server.core.job_types import Notify
from server.core.normalise import name_key
from server.core.paging import Keyset, Page, fetch_page
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest
from server.households.guarded_changes import (
    apply_account,
    describe_account,
    load_account,
    load_relatives,
    read_relatives,
    write_relatives,
)
from server.households.versions import keep_first_version, keep_version
from server.http.exports import build_export_route, to_text
from server.http.reads import reads
from server.models.households import Household, HouseholdMember
from server.models.people import Staff
from server.models.proposals import Proposal
from server.sync_feed.publish import publish_change

DECIDERS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
_LONGEST_WAITING_FIRST = Keyset(Proposal.id)
_ACTIONS = {"accepted": Action.PROPOSAL_ACCEPTED, "rejected": Action.PROPOSAL_REJECTED}
# Wire names and the columns they change.
MEMBER_COLUMNS = {"health": "health", "labourAbility": "labour_ability", "school": "school", "work": "work"}


class Change(ResponseBody):
    """One proposed change; `member` is the member's name where it concerns one.

    `what` is a field of the household or the member, or `bank` or `relatives`, whose values are an account and a list.
    """

    what: str
    member: str | None
    stands: Any
    proposed: Any


class ProposalLine(ResponseBody):
    id: UUID
    household_id: UUID
    household_number: str
    head_name: str
    author_name: str
    note: str
    state: str
    received_at: datetime
    changes: list[Change]


class DecideProposal(RequestBody):
    outcome: Literal["accepted", "rejected"]
    reason: LongText = ""


async def list_proposals(
    session: AsyncSession, caller: Caller, *, state: str, cursor: str | None, limit: int
) -> Page[ProposalLine]:
    """List the proposals of the caller's areas, longest waiting first."""
    rows = (
        readable(Proposal, caller)
        .add_columns(Household, Staff.name)
        .join(Household, Household.id == Proposal.household_id)
        .join(Staff, Staff.id == Proposal.author_id)
        .where(Proposal.state == state)
    )
    page, next_cursor = await fetch_page(session, rows, _LONGEST_WAITING_FIRST, cursor, limit)
    members = await _members(session, {household.id for _, household, _ in page})
    lines = [_line(proposal, household, name, members) for proposal, household, name in page]
    await _compare_guarded(session, page, lines, members)
    return Page(items=lines, next_cursor=next_cursor)


async def _members(session: AsyncSession, households: set[UUID]) -> dict[UUID, HouseholdMember]:
    rows = await session.scalars(select(HouseholdMember).where(HouseholdMember.household_id.in_(households)))
    return {member.id: member for member in rows}


def _line(proposal: Proposal, household: Household, author: str, members: dict[UUID, HouseholdMember]) -> ProposalLine:
    return ProposalLine(
        id=proposal.id,
        household_id=household.id,
        household_number=household.number,
        head_name=household.head_name,
        author_name=author,
        note=proposal.document.get("note", ""),
        state=proposal.state,
        received_at=proposal.received_at,
        changes=_compare(proposal.document["changes"], household, members),
    )


def _compare(proposed: dict[str, Any], household: Household, members: dict[UUID, HouseholdMember]) -> list[Change]:
    changes = []
    if proposed.get("address"):
        changes.append(Change(what="address", member=None, stands=household.address, proposed=proposed["address"]))
    if proposed.get("place"):
        stands = {"latitude": household.latitude, "longitude": household.longitude, "datum": household.datum}
        changes.append(Change(what="place", member=None, stands=stands, proposed=proposed["place"]))
    for line in proposed.get("members", []):
        member = members.get(UUID(line["memberId"]))
        changes += [
            Change(what=name, member=member.name, stands=getattr(member, column), proposed=line[name])
            for name, column in MEMBER_COLUMNS.items()
            if member is not None and member.household_id == household.id and line.get(name) is not None
        ]
    return changes


async def _compare_guarded(
    session: AsyncSession, page: Sequence[Any], lines: list[ProposalLine], members: dict[UUID, HouseholdMember]
) -> None:
    """Add the changes that two people make, beside what the register holds."""
    for (proposal, household, _), line in zip(page, lines, strict=True):
        proposed = proposal.document["changes"]
        own = [member for member in members.values() if member.household_id == household.id]
        if "bank" in proposed:
            stored = await load_account(session, household, own)
            line.changes.append(
                Change(what="bank", member=None, stands=stored, proposed=describe_account(proposed["bank"], own))
            )
        if "relatives" in proposed:
            declared = await load_relatives(session, household.id)
            line.changes.append(
                Change(what="relatives", member=None, stands=declared, proposed=read_relatives(proposal))
            )


async def decide_proposal(
    session: AsyncSession, caller: Caller, proposal_id: UUID, decision: DecideProposal, now: datetime
) -> None:
    """Accept a proposal, which changes the household and keeps a version, or reject it with a reason.

    Idempotent; raise `proposal.decided` for another decision, `review.own_visit` for one's own proposal and
    `case.own_relative` for a declared relative, also one that the proposal itself declares.
    """
    require_role(caller, DECIDERS)
    proposal: Proposal = require_found(
        await session.scalar(readable(Proposal, caller).where(Proposal.id == proposal_id).with_for_update())
    )
    if proposal.state == decision.outcome and proposal.decided_by == caller.id:
        return
    if proposal.state != "proposed":
        raise Problem("proposal.decided")
    if caller.acts_as(proposal.author_id):
        raise Problem("review.own_visit")
    await _require_independent(session, caller, proposal)
    if decision.outcome == "rejected" and not decision.reason.strip():
        raise Problem("review.reason_required")
    if decision.outcome == "accepted":
        await _apply(session, caller, proposal, now)
    proposal.state, proposal.reason = decision.outcome, decision.reason
    proposal.decided_by, proposal.decided_at = caller.id, now
    await session.flush()  # publish_change reads it
    audit.record(
        session, caller, _ACTIONS[decision.outcome], "proposal", proposal.id,
        what=proposal.guards, household=str(proposal.household_id), author=str(proposal.author_id),
    )  # fmt: skip
    if proposal.guards is None:
        await publish_change(session, "proposals", [proposal.id])
    elif decision.outcome == "accepted":
        await _notify_residents(session, proposal)


async def _require_independent(session: AsyncSession, caller: Caller, proposal: Proposal) -> None:
    household = await session.get_one(Household, proposal.household_id)
    if not caller.covers(household.area_code, DECIDERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(DECIDERS)))
    await require_no_conflict_of_interest(session, caller, household.id)
    proposed = {name_key(relative.name) for relative in read_relatives(proposal)}
    proposed.add(name_key(proposal.document["changes"].get("bank", {}).get("holderName", "")))
    if name_key(caller.name) in proposed:
        raise Problem("case.own_relative")


async def _notify_residents(session: AsyncSession, proposal: Proposal) -> None:
    household = await session.get_one(Household, proposal.household_id)
    what, what_en = {"bank": ("收款账户", "bank account"), "relatives": ("近亲属备案", "declared relatives")}[
        proposal.guards or ""
    ]
    await jobs.defer(
        session,
        Notify(
            kind="register_changed",
            thing=f"proposal:{proposal.id}",
            area_code=household.area_code,
            household_id=household.id,
            facts={"what": what, "whatEn": what_en},
        ),
    )


async def _apply(session: AsyncSession, caller: Caller, proposal: Proposal, now: datetime) -> None:
    household = await session.get_one(Household, proposal.household_id, with_for_update=True)
    if household.merged_into is not None:
        raise Problem("household.merged")
    await keep_first_version(session, household, now)
    proposed = proposal.document["changes"]
    if proposed.get("address"):
        household.address = proposed["address"]
    if proposed.get("place"):
        place = proposed["place"]
        household.latitude, household.longitude, household.datum = place["latitude"], place["longitude"], place["datum"]
    if "bank" in proposed:
        await apply_account(session, household, proposed["bank"])
    if "relatives" in proposed:
        await write_relatives(session, household, read_relatives(proposal), day_of(now))
    members = await _members(session, {household.id})
    for line in proposed.get("members", []):
        if (member := members.get(UUID(line["memberId"]))) is not None:
            for name, column in MEMBER_COLUMNS.items():
                if line.get(name) is not None:
                    setattr(member, column, line[name])
    household.updated_at = now
    await session.flush()  # keep_version and publish_change read the new values
    await keep_version(session, caller, household, "采纳更正申请", now)
    audit.record(
        session,
        caller,
        Action.HOUSEHOLD_CHANGED,
        "household",
        household.id,
        area_code=household.area_code,
        proposal=str(proposal.id),
    )
    await publish_change(session, "households", [household.id])


@get(
    "/proposals",
    opt=reads("proposal"),
    responses=SIGNED_IN_ERRORS,
    description="What caseworkers would change about households of the caller's area, the longest waiting first.",
)
async def list_household_proposals(
    officer: Officer,
    session: Session,
    decided: FromQuery[Literal["proposed", "accepted", "rejected"]] = "proposed",
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[ProposalLine]:
    return await list_proposals(session, officer, state=decided, cursor=cursor, limit=limit)


export_proposals = build_export_route(
    list_household_proposals,
    "proposals",
    {
        "户编号": lambda line: line.household_number,
        "户主": lambda line: line.head_name,
        "提出人": lambda line: line.author_name,
        "提出时间": lambda line: line.received_at,
        "状态": lambda line: {"proposed": "待处理", "accepted": "已采纳", "rejected": "未采纳"}[line.state],
        "内容": lambda line: [_change_text(change) for change in line.changes],
        "说明": lambda line: line.note,
    },
)


def _change_text(change: Change) -> str:
    what = {
        "address": "地址",
        "place": "位置",
        "bank": "收款账户",
        "relatives": "近亲属备案",
        "health": "健康",
        "labourAbility": "劳动能力",
        "school": "就学",
        "work": "就业",
    }
    whose = f"{change.member} " if change.member else ""
    return f"{whose}{what[change.what]}：{to_text(change.stands) or '（无）'} → {to_text(change.proposed)}"


@post(
    "/proposals/{proposal_id:uuid}/decision",
    status_code=204,
    responses=SIGNED_IN_ERRORS
    | error_responses(
        "thing.not_found",
        "proposal.decided",
        "household.merged",
        "review.own_visit",
        "case.own_relative",
        "review.reason_required",
        "request.invalid",
    ),
    description="Accept a proposal, which changes the household and keeps its version, or reject it with a reason. "
    "Repeating the decision changes nothing.",
)
async def decide_household_proposal(
    proposal_id: FromPath[UUID], data: JSONBody[DecideProposal], officer: Officer, session: Session
) -> None:
    await decide_proposal(session, officer, proposal_id, data, utc_now())


router = Router(
    "/desk/v1",
    route_handlers=[list_household_proposals, export_proposals, decide_household_proposal],
    tags=["desk"],
    security=BEARER,
)
