"""Proposals at the desk: an officer sees what a caseworker would change, beside what stands, and decides."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core.access import Caller, Role, found, readable, require
from server.core.errors import Problem
from server.core.http import BEARER, SIGNED, LongText, Officer, RequestBody, ResponseBody, Session, problems
from server.core.paging import Page, read_cursor, write_cursor
from server.core.tokens import utc_now
from server.households.conflicts import require_no_conflict_of_interest
from server.households.register import keep_first_version, keep_version
from server.http.exports import export_of, in_words
from server.models.households import Household, HouseholdMember
from server.models.people import Staff
from server.models.proposals import Proposal
from server.sync_feed.publish import publish_change

DECIDERS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
LONGEST_PAGE = 200
# The names on the wire and the columns they change.
MEMBER_COLUMNS = {"health": "health", "labourAbility": "labour_ability", "school": "school", "work": "work"}


class Change(ResponseBody):
    """One thing that would change; `member` names whose it is."""

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
    """Those in the caller's area, longest waiting first."""
    limit = max(1, min(limit, LONGEST_PAGE))
    rows = (
        readable(Proposal, caller)
        .add_columns(Household, Staff.name)
        .join(Household, Household.id == Proposal.household_id)
        .join(Staff, Staff.id == Proposal.author_id)
        .where(Proposal.state == state)
        .order_by(Proposal.id)
        .limit(limit + 1)
    )
    if (after := read_cursor(cursor, UUID)) is not None:
        rows = rows.where(Proposal.id > after[0])
    found_rows = (await session.execute(rows)).all()
    page = found_rows[:limit]
    members = await _members(session, {household.id for _, household, _ in page})
    lines = [_line(one, household, name, members) for one, household, name in page]
    return Page(items=lines, next_cursor=write_cursor([str(page[-1][0].id)]) if len(found_rows) > limit else None)


async def _members(session: AsyncSession, households: set[UUID]) -> dict[UUID, HouseholdMember]:
    rows = await session.scalars(select(HouseholdMember).where(HouseholdMember.household_id.in_(households)))
    return {one.id: one for one in rows}


def _line(one: Proposal, household: Household, author: str, members: dict[UUID, HouseholdMember]) -> ProposalLine:
    return ProposalLine(
        id=one.id,
        household_id=household.id,
        household_number=household.number,
        head_name=household.head_name,
        author_name=author,
        note=one.document.get("note", ""),
        state=one.state,
        received_at=one.received_at,
        changes=_changes(one.document["changes"], household, members),
    )


def _changes(told: dict[str, Any], household: Household, members: dict[UUID, HouseholdMember]) -> list[Change]:
    changes = []
    if told.get("address"):
        changes.append(Change(what="address", member=None, stands=household.address, proposed=told["address"]))
    if told.get("place"):
        stands = {"latitude": household.latitude, "longitude": household.longitude, "datum": household.datum}
        changes.append(Change(what="place", member=None, stands=stands, proposed=told["place"]))
    for line in told.get("members", []):
        member = members.get(UUID(line["memberId"]))
        changes += [
            Change(what=name, member=member.name, stands=getattr(member, column), proposed=line[name])
            for name, column in MEMBER_COLUMNS.items()
            if member is not None and member.household_id == household.id and line.get(name) is not None
        ]
    return changes


async def decide_proposal(
    session: AsyncSession, caller: Caller, proposal_id: UUID, asked: DecideProposal, now: datetime
) -> None:
    """Accept: the household changes, with a version kept, and its phones hear of it. Reject: with a reason.

    The same decision again changes nothing; another one is `proposal.decided`. Nobody decides on their own.
    """
    require(caller, DECIDERS)
    one: Proposal = found(
        await session.scalar(readable(Proposal, caller).where(Proposal.id == proposal_id).with_for_update())
    )
    if one.state == asked.outcome and one.decided_by == caller.id:
        return
    if one.state != "proposed":
        raise Problem("proposal.decided")
    if one.author_id == caller.id:
        raise Problem("review.own_visit")
    if asked.outcome == "rejected" and not asked.reason.strip():
        raise Problem("review.reason_required")
    if asked.outcome == "accepted":
        await _change_household(session, caller, one, now)
    one.state, one.decided_by, one.decided_at, one.reason = asked.outcome, caller.id, now, asked.reason
    await session.flush()  # announce reads it
    audit.record(session, caller, f"proposal.{asked.outcome}", "proposal", one.id)
    await publish_change(session, "proposals", [one.id])


async def _change_household(session: AsyncSession, caller: Caller, one: Proposal, now: datetime) -> None:
    household = await session.get_one(Household, one.household_id, with_for_update=True)
    await require_no_conflict_of_interest(session, caller, household.id)
    await keep_first_version(session, household, now)
    told = one.document["changes"]
    if told.get("address"):
        household.address = told["address"]
    if told.get("place"):
        place = told["place"]
        household.latitude, household.longitude, household.datum = place["latitude"], place["longitude"], place["datum"]
    members = await _members(session, {household.id})
    for line in told.get("members", []):
        if (member := members.get(UUID(line["memberId"]))) is not None:
            for name, column in MEMBER_COLUMNS.items():
                if line.get(name) is not None:
                    setattr(member, column, line[name])
    household.updated_at = now
    await session.flush()  # the version and the feed read what was just set
    await keep_version(session, caller, household, "采纳走访人员的建议", now)
    audit.record(
        session,
        caller,
        "household.changed",
        "household",
        household.id,
        area_code=household.area_code,
        proposal=str(one.id),
    )
    await publish_change(session, "households", [household.id])


@get("/proposals", responses=SIGNED)
async def list_household_proposals(
    officer: Officer,
    session: Session,
    decided: FromQuery[Literal["proposed", "accepted", "rejected"]] = "proposed",
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[ProposalLine]:
    return await list_proposals(session, officer, state=decided, cursor=cursor, limit=limit)


export_proposals = export_of(
    list_household_proposals,
    "/proposals/export",
    "proposals",
    {
        "户编号": lambda one: one.household_number,
        "户主": lambda one: one.head_name,
        "提出人": lambda one: one.author_name,
        "提出时间": lambda one: one.received_at,
        "状态": lambda one: {"proposed": "待处理", "accepted": "已采纳", "rejected": "未采纳"}[one.state],
        "内容": lambda one: [_say_change(change) for change in one.changes],
        "说明": lambda one: one.note,
    },
)


def _say_change(one: Change) -> str:
    what = {
        "address": "地址",
        "place": "位置",
        "health": "健康",
        "labourAbility": "劳动能力",
        "school": "就学",
        "work": "就业",
    }
    whose = f"{one.member} " if one.member else ""
    return f"{whose}{what[one.what]}：{in_words(one.stands) or '（无）'} → {in_words(one.proposed)}"


@post(
    "/proposals/{proposal_id:uuid}/decision",
    status_code=204,
    responses=SIGNED
    | problems("thing.not_found", "proposal.decided", "review.own_visit", "review.reason_required", "request.invalid"),
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
