"""The appraisal hearing (民主评议): a panel drawn by rotation, a quorum, and a count.

Ballots are secret paper, counted aloud at once; what comes here is three numbers. There is no row, time or
audit fact of a single ballot, so nothing can say who voted how.
"""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from sqlalchemy import func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.cases.transitions import move
from server.core.access import Caller, Role, found, readable, require
from server.core.errors import Fault, Problem
from server.core.http import LongText, RequestBody, ResponseBody, ShortText
from server.households.conflicts import require_no_conflict_of_interest
from server.models.cases import CaseFile, RelativeOnStaff
from server.models.hearings import Hearing, PanelSeat
from server.models.people import Staff, StaffRole
from server.policy.resolver import policy_values

WRITERS = frozenset({Role.TOWN_OFFICER})
Votes = Annotated[int, Meta(ge=0, le=200)]


class CallHearing(RequestBody):
    id: UUID
    held_on: date
    place: ShortText
    presenter: ShortText
    observers: LongText = ""


class DeclareConflict(RequestBody):
    staff_id: UUID
    conflict: ShortText


class CountVotes(RequestBody):
    """Who came, and how the votes fell. Every one who came votes, blank ballots too."""

    attended: Annotated[list[UUID], Meta(max_length=200)]
    ayes: Votes
    noes: Votes
    blanks: Votes


class Seat(ResponseBody):
    staff_id: UUID
    name: str
    conflict: str | None
    attended: bool


class HearingPage(ResponseBody):
    """The minutes. `passed` is null until the votes are counted."""

    id: UUID
    case_id: UUID
    held_on: date
    place: str
    presenter: str
    observers: str
    quorum: int
    panel: list[Seat]
    ayes: int | None
    noes: int | None
    blanks: int | None
    passed: bool | None


async def call_hearing(session: AsyncSession, caller: Caller, case_id: UUID, asked: CallHearing) -> HearingPage:
    """Set a date and draw the panel. The same id again is the same hearing.

    Raises `case.not_now` unless the case stands at `hearing`, `case.own_relative`, `hearing.panel_short`.
    """
    case = await _locked(session, caller, case_id)
    before = await session.scalar(select(Hearing).where(Hearing.id == asked.id, Hearing.case_id == case.id))
    if before is not None:
        return await _page(session, before)
    if case.state != "hearing":
        raise Problem("case.not_now", state=case.state)
    rules = await policy_values(session, case.area_code, case.rules_on)
    size = int(rules["hearing.panel_size"])
    drawn = await _draw(session, case, size, leaving_out=[])
    if len(drawn) < size:
        raise Problem("hearing.panel_short", wanted=size, found=len(drawn))
    hearing = Hearing(
        id=asked.id,
        case_id=case.id,
        held_on=asked.held_on,
        place=asked.place,
        presenter=asked.presenter,
        observers=asked.observers,
        quorum=-(-size * int(rules["hearing.quorum_percent"]) // 100),
        made_by=caller.id,
    )
    session.add(hearing)
    await session.flush()  # seats name it
    session.add_all(PanelSeat(hearing_id=hearing.id, staff_id=one, attended=False) for one in drawn)
    audit.record(session, caller, "hearing.called", "hearing", hearing.id, area_code=case.area_code, panel=size)
    await session.flush()  # the page reads the seats
    return await _page(session, hearing)


async def _locked(session: AsyncSession, caller: Caller, case_id: UUID) -> CaseFile:
    require(caller, WRITERS)
    case: CaseFile = found(
        await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id).with_for_update())
    )
    await require_no_conflict_of_interest(session, caller, case.household_id)
    return case


async def _draw(session: AsyncSession, case: CaseFile, size: int, *, leaving_out: list[UUID]) -> list[UUID]:
    """By rotation: who sat least, then longest ago. Nobody whom the household declared as a relative."""
    seats = (
        select(PanelSeat.staff_id, func.count().label("sat"), func.max(PanelSeat.drawn_at).label("last"))
        .group_by(PanelSeat.staff_id)
        .subquery()
    )
    related = select(RelativeOnStaff.name).where(RelativeOnStaff.household_id == case.household_id)
    rows = await session.scalars(
        select(Staff.id)
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .outerjoin(seats, seats.c.staff_id == Staff.id)
        .where(
            StaffRole.role == Role.PANELIST,
            StaffRole.revoked_at.is_(None),
            literal(case.area_code).startswith(StaffRole.area_code),
            Staff.disabled_at.is_(None),
            Staff.name.not_in(related),
            Staff.id.not_in(leaving_out),
        )
        .group_by(Staff.id, seats.c.sat, seats.c.last)
        .order_by(func.coalesce(seats.c.sat, 0), seats.c.last.asc().nulls_first(), Staff.id)
        .limit(size)
    )
    return list(rows)


async def declare_conflict(
    session: AsyncSession, caller: Caller, case_id: UUID, hearing_id: UUID, asked: DeclareConflict
) -> HearingPage:
    """A drawn panelist gives up the seat; the next in the rotation takes it. Again is once."""
    case = await _locked(session, caller, case_id)
    hearing = await _found(session, case, hearing_id)
    if hearing.counted_at is not None:
        raise Problem("hearing.counted")
    seat = await session.get(PanelSeat, (hearing.id, asked.staff_id))
    if seat is None:
        raise Problem("request.invalid", faults=[Fault("/staffId", "seat.unknown", str(asked.staff_id))])
    if seat.conflict is None:
        seat.conflict = asked.conflict
        taken = list(await session.scalars(select(PanelSeat.staff_id).where(PanelSeat.hearing_id == hearing.id)))
        next_one = await _draw(session, case, 1, leaving_out=taken)
        session.add_all(PanelSeat(hearing_id=hearing.id, staff_id=one, attended=False) for one in next_one)
        audit.record(session, caller, "hearing.conflict", "hearing", hearing.id, area_code=case.area_code)
        await session.flush()  # the page reads the seats
    return await _page(session, hearing)


async def _found(session: AsyncSession, case: CaseFile, hearing_id: UUID) -> Hearing:
    hearing: Hearing = found(
        await session.scalar(select(Hearing).where(Hearing.id == hearing_id, Hearing.case_id == case.id))
    )
    return hearing


async def count_votes(
    session: AsyncSession, caller: Caller, case_id: UUID, hearing_id: UUID, asked: CountVotes, now: datetime
) -> HearingPage:
    """Write the count, once; the case goes on. More than half of the votes passes (law). The same again is once.

    Raises `hearing.no_quorum`, `hearing.count_differs`, `hearing.counted`, and `case.not_now` for a case that no
    longer waits for it.
    """
    case = await _locked(session, caller, case_id)
    hearing = await _found(session, case, hearing_id)
    if hearing.counted_at is not None:
        return await _same_count(session, hearing, asked)
    if case.state != "hearing":
        raise Problem("case.not_now", state=case.state)
    attended, votes = set(asked.attended), asked.ayes + asked.noes + asked.blanks
    seats = list(await session.scalars(select(PanelSeat).where(PanelSeat.hearing_id == hearing.id)))
    if not attended <= {one.staff_id for one in seats if one.conflict is None}:
        raise Problem("request.invalid", faults=[Fault("/attended", "seat.unknown", "attended")])
    if len(attended) < hearing.quorum:
        raise Problem("hearing.no_quorum", quorum=hearing.quorum)
    if votes != len(attended):
        raise Problem("hearing.count_differs", attended=len(attended), votes=votes)
    for seat in seats:
        seat.attended = seat.staff_id in attended
    hearing.ayes, hearing.noes, hearing.blanks = asked.ayes, asked.noes, asked.blanks
    hearing.passed, hearing.counted_at = 2 * asked.ayes > votes, now
    audit.record(
        session, caller, "hearing.counted", "hearing", hearing.id, area_code=case.area_code, passed=hearing.passed
    )
    step = "hearing_passed" if hearing.passed else "hearing_failed"
    facts = {"ayes": asked.ayes, "noes": asked.noes, "blanks": asked.blanks}
    await move(
        session, case, step, cause=f"hearing:{hearing.id}", actor_id=caller.id, at=now, caller=caller, facts=facts
    )
    return await _page(session, hearing)


async def _same_count(session: AsyncSession, hearing: Hearing, asked: CountVotes) -> HearingPage:
    page = await _page(session, hearing)
    attended = {one.staff_id for one in page.panel if one.attended}
    if (page.ayes, page.noes, page.blanks, attended) != (asked.ayes, asked.noes, asked.blanks, set(asked.attended)):
        raise Problem("hearing.counted")
    return page


async def list_hearings(session: AsyncSession, caller: Caller, case_id: UUID) -> list[HearingPage]:
    case = found(await session.scalar(readable(CaseFile, caller).where(CaseFile.id == case_id)))
    rows = await session.scalars(select(Hearing).where(Hearing.case_id == case.id).order_by(Hearing.id))
    return [await _page(session, one) for one in list(rows)]


async def _page(session: AsyncSession, hearing: Hearing) -> HearingPage:
    seats = await session.execute(
        select(PanelSeat, Staff.name)
        .join(Staff, Staff.id == PanelSeat.staff_id)
        .where(PanelSeat.hearing_id == hearing.id)
        .order_by(Staff.id)
    )
    return HearingPage(
        id=hearing.id,
        case_id=hearing.case_id,
        held_on=hearing.held_on,
        place=hearing.place,
        presenter=hearing.presenter,
        observers=hearing.observers,
        quorum=hearing.quorum,
        panel=[
            Seat(staff_id=seat.staff_id, name=name, conflict=seat.conflict, attended=seat.attended)
            for seat, name in seats
        ],
        ayes=hearing.ayes,
        noes=hearing.noes,
        blanks=hearing.blanks,
        passed=hearing.passed,
    )
