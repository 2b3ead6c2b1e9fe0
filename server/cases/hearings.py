"""The appraisal hearing (民主评议): a panel drawn by rotation, a quorum, and a count of votes.

Ballots are secret and on paper, counted aloud on the spot; only three totals are entered. No row, time or audit
entry exists for a single ballot, so nothing can show who voted how.
"""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from sqlalchemy import func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.cases.loading import load_case, lock_case
from server.cases.transitions import apply_transition
from server.core.access import Caller, Role, require_found, require_role
from server.core.clock import utc_now
from server.core.errors import Fault, Problem
from server.core.http import LongText, RequestBody, ResponseBody, ShortText
from server.core.normalise import sql_name_key
from server.households.conflicts import require_no_conflict_of_interest
from server.models.cases import CaseFile, RelativeOnStaff
from server.models.hearings import Hearing, PanelSeat
from server.models.people import Staff, StaffRole
from server.policy.resolver import load_policy_values

WRITERS = frozenset({Role.TOWN_OFFICER})
MAJORITY = "hearing.majority"
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
    """Who attended, and the votes. Everyone who attends votes; a blank ballot counts as a vote."""

    attended: Annotated[list[UUID], Meta(max_length=200)]
    ayes: Votes
    noes: Votes
    blanks: Votes


class Seat(ResponseBody):
    staff_id: UUID
    name: str
    conflict: str | None
    attended: bool


class HearingDetail(ResponseBody):
    """A hearing with its panel. `passed` is null until the votes are counted."""

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


async def call_hearing(session: AsyncSession, caller: Caller, case_id: UUID, body: CallHearing) -> HearingDetail:
    """Set a date and draw the panel. Idempotent by id.

    Raises `case.not_now` unless the case is in state `hearing`, `case.own_relative`, `hearing.panel_short`.
    """
    case = await _lock_for_writing(session, caller, case_id)
    existing = await session.scalar(select(Hearing).where(Hearing.id == body.id, Hearing.case_id == case.id))
    if existing is not None:
        return await _load_detail(session, existing)
    if case.state != "hearing":
        raise Problem("case.not_now", state=case.state)
    settings = await load_policy_values(session, case.area_code, case.rules_on)
    size = int(settings["hearing.panel_size"])
    drawn = await _draw_panel(session, case, size, excluded=[])
    if len(drawn) < size:
        raise Problem("hearing.panel_short", required=size, found=len(drawn))
    hearing = Hearing(
        id=body.id,
        case_id=case.id,
        held_on=body.held_on,
        place=body.place,
        presenter=body.presenter,
        observers=body.observers,
        quorum=-(-size * int(settings["hearing.quorum_percent"]) // 100),
        made_by=caller.id,
    )
    session.add(hearing)
    await session.flush()  # the seats refer to it
    _add_seats(session, hearing, drawn)
    audit.record(session, caller, Action.HEARING_CALLED, "hearing", hearing.id, area_code=case.area_code, panel=size)
    await session.flush()  # the response queries the seats
    return await _load_detail(session, hearing)


def _add_seats(session: AsyncSession, hearing: Hearing, staff_ids: Iterable[UUID]) -> None:
    """All seats get one time: a difference would tell them apart and help to link a voter to a ballot."""
    now = utc_now()
    session.add_all(
        PanelSeat(hearing_id=hearing.id, staff_id=staff_id, attended=False, drawn_at=now) for staff_id in staff_ids
    )


async def _lock_for_writing(session: AsyncSession, caller: Caller, case_id: UUID) -> CaseFile:
    require_role(caller, WRITERS)
    case = await lock_case(session, caller, case_id)
    await require_no_conflict_of_interest(session, caller, case.household_id)
    return case


async def _draw_panel(session: AsyncSession, case: CaseFile, size: int, *, excluded: list[UUID]) -> list[UUID]:
    """Draw by rotation: who sat least often, then longest ago. Relatives declared by the household are excluded."""
    seats = (
        select(PanelSeat.staff_id, func.count().label("sat"), func.max(PanelSeat.drawn_at).label("last"))
        .group_by(PanelSeat.staff_id)
        .subquery()
    )
    related = select(sql_name_key(RelativeOnStaff.name)).where(RelativeOnStaff.household_id == case.household_id)
    rows = await session.scalars(
        select(Staff.id)
        .join(StaffRole, StaffRole.staff_id == Staff.id)
        .outerjoin(seats, seats.c.staff_id == Staff.id)
        .where(
            StaffRole.role == Role.PANELIST,
            StaffRole.revoked_at.is_(None),
            literal(case.area_code).startswith(StaffRole.area_code),
            Staff.disabled_at.is_(None),
            sql_name_key(Staff.name).not_in(related),
            Staff.id.not_in(excluded),
        )
        .group_by(Staff.id, seats.c.sat, seats.c.last)
        .order_by(func.coalesce(seats.c.sat, 0), seats.c.last.asc().nulls_first(), Staff.id)
        .limit(size)
    )
    return list(rows)


async def declare_conflict(
    session: AsyncSession, caller: Caller, case_id: UUID, hearing_id: UUID, body: DeclareConflict
) -> HearingDetail:
    """Record a panelist's conflict of interest and give the seat to the next in the rotation. Idempotent."""
    case = await _lock_for_writing(session, caller, case_id)
    hearing = await _find_hearing(session, case, hearing_id)
    if hearing.counted_at is not None:
        raise Problem("hearing.counted")
    seat = await session.get(PanelSeat, (hearing.id, body.staff_id))
    if seat is None:
        raise Problem("request.invalid", faults=[Fault("/staffId", "seat.unknown", str(body.staff_id))])
    if seat.conflict is None:
        seat.conflict = body.conflict
        taken = list(await session.scalars(select(PanelSeat.staff_id).where(PanelSeat.hearing_id == hearing.id)))
        replacements = await _draw_panel(session, case, 1, excluded=taken)
        _add_seats(session, hearing, replacements)
        audit.record(session, caller, Action.HEARING_CONFLICT, "hearing", hearing.id, area_code=case.area_code)
        await session.flush()  # the response queries the seats
    return await _load_detail(session, hearing)


async def _find_hearing(session: AsyncSession, case: CaseFile, hearing_id: UUID) -> Hearing:
    hearing: Hearing = require_found(
        await session.scalar(select(Hearing).where(Hearing.id == hearing_id, Hearing.case_id == case.id))
    )
    return hearing


async def count_votes(
    session: AsyncSession, caller: Caller, case_id: UUID, hearing_id: UUID, body: CountVotes, now: datetime
) -> HearingDetail:
    """Record the count and move the case on. The area says which share of the votes passes. Idempotent.

    Raises `hearing.no_quorum`, `hearing.count_differs`, `hearing.counted` for a different count, and `case.not_now`
    for a case that no longer waits for it.
    """
    case = await _lock_for_writing(session, caller, case_id)
    hearing = await _find_hearing(session, case, hearing_id)
    if hearing.counted_at is not None:
        return await _repeat_count(session, hearing, body)
    if case.state != "hearing":
        raise Problem("case.not_now", state=case.state)
    attended, votes = set(body.attended), body.ayes + body.noes + body.blanks
    seats = list(await session.scalars(select(PanelSeat).where(PanelSeat.hearing_id == hearing.id)))
    if not attended <= {seat.staff_id for seat in seats if seat.conflict is None}:
        raise Problem("request.invalid", faults=[Fault("/attended", "seat.unknown", "attended")])
    if len(attended) < hearing.quorum:
        raise Problem("hearing.no_quorum", quorum=hearing.quorum)
    if votes != len(attended):
        raise Problem("hearing.count_differs", attended=len(attended), votes=votes)
    for seat in seats:
        seat.attended = seat.staff_id in attended
    settings = await load_policy_values(session, case.area_code, case.rules_on, [MAJORITY])
    hearing.ayes, hearing.noes, hearing.blanks = body.ayes, body.noes, body.blanks
    hearing.passed, hearing.counted_at = is_passed(body.ayes, votes, settings.get(MAJORITY)), now
    audit.record(
        session, caller, Action.HEARING_COUNTED, "hearing", hearing.id, area_code=case.area_code, passed=hearing.passed
    )
    step = "hearing_passed" if hearing.passed else "hearing_failed"
    facts = {"ayes": body.ayes, "noes": body.noes, "blanks": body.blanks}
    await apply_transition(
        session, case, step, cause=f"hearing:{hearing.id}", actor_id=caller.id, at=now, caller=caller, facts=facts
    )
    return await _load_detail(session, hearing)


def is_passed(ayes: int, votes: int, majority: str | None) -> bool:
    """Say whether the votes for it are enough: more than half, or at least two thirds where the area says so."""
    return 3 * ayes >= 2 * votes if majority == "two_thirds" else 2 * ayes > votes


async def _repeat_count(session: AsyncSession, hearing: Hearing, body: CountVotes) -> HearingDetail:
    detail = await _load_detail(session, hearing)
    attended = {seat.staff_id for seat in detail.panel if seat.attended}
    if (detail.ayes, detail.noes, detail.blanks, attended) != (body.ayes, body.noes, body.blanks, set(body.attended)):
        raise Problem("hearing.counted")
    return detail


async def list_hearings(session: AsyncSession, caller: Caller, case_id: UUID) -> list[HearingDetail]:
    case = await load_case(session, caller, case_id)
    rows = await session.scalars(select(Hearing).where(Hearing.case_id == case.id).order_by(Hearing.id))
    return [await _load_detail(session, hearing) for hearing in list(rows)]


async def _load_detail(session: AsyncSession, hearing: Hearing) -> HearingDetail:
    seats = await session.execute(
        select(PanelSeat, Staff.name)
        .join(Staff, Staff.id == PanelSeat.staff_id)
        .where(PanelSeat.hearing_id == hearing.id)
        .order_by(Staff.id)
    )
    return HearingDetail(
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
