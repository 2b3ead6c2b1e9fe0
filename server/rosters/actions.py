"""What people do with a roster: make, prepare, check, send, send back, cancel.

Two distinct people prepare and check; with `roster.people` 3 another sends. Before each step everything is looked for
again. A finding that nobody has judged refuses the step, and the roster goes back to its draft.
"""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, to_builtins
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import Caller, require_found, require_role
from server.core.database import write_despite_failure
from server.core.encryption import Encryption
from server.core.errors import Fault, Problem
from server.core.http import RequestBody
from server.core.job_types import AnnouncePayday, DraftRoster
from server.core.sequences import next_number
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.rosters import DEAD_LINE_STATES, ROSTER_ROLES, Roster, RosterLine
from server.policy.resolver import load_policy_values
from server.rosters.corrections import list_returned
from server.rosters.examine import count_open, examine_roster, load_live_lines, load_parts
from server.rosters.parts import add_months
from server.rosters.programs import find_program
from server.rosters.sending import find_bank_form, make_files
from server.rosters.snapshots import freeze, require_unaltered

PEOPLE = "roster.people"
_ALL_THREE = 3
_NUMBER_DIGITS = 4
ActName = Literal["prepare", "check", "send", "send_back", "draft_again", "cancel"]
# The states in which each act is possible.
POSSIBLE_IN: dict[ActName, tuple[str, ...]] = {
    "prepare": ("drafted",),
    "check": ("prepared",),
    "send": ("frozen",),
    "send_back": ("prepared", "frozen"),
    "draft_again": ("drafted",),
    "cancel": ("drafting", "drafted", "prepared", "frozen"),
}
_NEED_REASON = {"send_back", "cancel"}


class MakeRoster(RequestBody):
    """A roster of the month of a program in an area. `month` is any day of it."""

    id: UUID
    program: Annotated[str, Meta(min_length=1, max_length=80)]
    area_code: Annotated[str, Meta(pattern="^([0-9]{6}|[0-9]{9}|[0-9]{12})$")]
    month: date


class MakeCorrection(RequestBody):
    id: UUID


class ActOnRoster(RequestBody):
    """`bank_form` is for sending: a code of the setting `roster.bank_forms`; null for the area's first."""

    act: ActName
    reason: Annotated[str, Meta(max_length=1000)] = ""
    bank_form: Annotated[str, Meta(max_length=80)] | None = None


async def make_roster(session: AsyncSession, caller: Caller, body: MakeRoster, now: datetime) -> Roster:
    """Make a roster; a job drafts its lines. Idempotent by id. Raise `roster.exists`, `request.invalid`."""
    require_role(caller, ROSTER_ROLES)
    if not caller.covers(body.area_code, ROSTER_ROLES):
        raise Problem("auth.forbidden", roles=", ".join(sorted(ROSTER_ROLES)))
    month = body.month.replace(day=1)
    if month > add_months(day_of(now).replace(day=1), 1):
        raise Problem("request.invalid", faults=[Fault("/month", "field.invalid", month.isoformat())])
    if await session.get(Area, body.area_code) is None:
        raise Problem("request.invalid", faults=[Fault("/areaCode", "area.unknown", body.area_code)])
    earlier = await session.get(Roster, body.id)
    if earlier is not None:
        if (earlier.program, earlier.area_code, earlier.month) != (body.program, body.area_code, month):
            raise Problem("request.idempotency_key_reused")
        return earlier
    program = await find_program(session, body.area_code, body.program, month)
    roster = Roster(
        id=body.id,
        number=await next_number(session, Roster.number, f"FF{month:%Y%m}", _NUMBER_DIGITS),
        kind="monthly",
        program=program.code,
        program_zh=program.zh,
        program_en=program.en,
        fund=program.fund,
        area_code=body.area_code,
        month=month,
        state="drafting",
        made_by=caller.id,
        made_at=now,
    )
    return await _add(session, caller, roster)


async def make_correction(
    session: AsyncSession, caller: Caller, roster_id: UUID, body: MakeCorrection, now: datetime
) -> Roster:
    """Make a roster of what the bank returned of another, and of nothing else. Idempotent by id.

    Raise `roster.nothing_returned`.
    """
    source = await lock_roster(session, caller, roster_id)
    earlier = await session.get(Roster, body.id)
    if earlier is not None:
        if earlier.source_id != source.id:
            raise Problem("request.idempotency_key_reused")
        return earlier
    roster = Roster(
        id=body.id,
        number=await next_number(session, Roster.number, f"GZ{source.month:%Y%m}", _NUMBER_DIGITS),
        kind="correction",
        program=source.program,
        program_zh=source.program_zh,
        program_en=source.program_en,
        fund=source.fund,
        area_code=source.area_code,
        month=source.month,
        source_id=source.id,
        state="drafting",
        made_by=caller.id,
        made_at=now,
    )
    if not await list_returned(session, roster):
        raise Problem("roster.nothing_returned")
    return await _add(session, caller, roster)


async def _add(session: AsyncSession, caller: Caller, roster: Roster) -> Roster:
    session.add(roster)
    try:
        await session.flush()  # two people may make the roster of a month at once
    except IntegrityError:
        raise Problem("roster.exists") from None
    await jobs.defer(session, DraftRoster(roster_id=roster.id))
    _record(session, caller, Action.ROSTER_MADE, roster, program=roster.program, month=roster.month.isoformat())
    return roster


async def lock_roster(session: AsyncSession, caller: Caller, roster_id: UUID) -> Roster:
    """Return the roster, locked, for somebody who may work on it."""
    require_role(caller, ROSTER_ROLES)
    roster: Roster = require_found(
        await session.scalar(select(Roster).where(Roster.id == roster_id, Roster.in_scope(caller)).with_for_update())
    )
    if not caller.covers(roster.area_code, ROSTER_ROLES):
        raise Problem("auth.forbidden", roles=", ".join(sorted(ROSTER_ROLES)))
    return roster


async def act_on_roster(
    session: AsyncSession, encryption: Encryption, caller: Caller, roster_id: UUID, body: ActOnRoster, now: datetime
) -> Roster:
    """Do one step. The same step again by the same person changes nothing.

    Raise `roster.not_now`, `roster.second_person`, `roster.findings_open`, `roster.altered`, `roster.empty`,
    `review.reason_required`.
    """
    roster = await lock_roster(session, caller, roster_id)
    if _is_done(roster, caller, body.act):
        return roster
    if roster.state not in POSSIBLE_IN[body.act]:
        raise Problem("roster.not_now", state=roster.state)
    if body.act in _NEED_REASON and not body.reason.strip():
        raise Problem("review.reason_required")
    if body.act in {"prepare", "check", "send"}:
        await _require_person(session, roster, caller, body.act)
        await _require_judged(session, encryption, caller, roster, now)
    match body.act:
        case "prepare":
            await _prepare(session, caller, roster, now)
        case "check":
            await _check(session, caller, roster, now)
        case "send":
            await _send(session, encryption, caller, roster, body.bank_form, now)
        case "send_back":
            await send_back(session, caller, roster, body.reason.strip())
        case "draft_again":
            await draft_again(session, roster)
            _record(session, caller, Action.ROSTER_DRAFTED_AGAIN, roster)
        case "cancel":
            await _cancel(session, caller, roster, body.reason.strip(), now)
    return roster


def _is_done(roster: Roster, caller: Caller, act: ActName) -> bool:
    done = {
        "prepare": ("prepared", roster.prepared_by),
        "check": ("frozen", roster.checked_by),
        "send": ("sent", roster.sent_by),
        "cancel": ("cancelled", roster.cancelled_by),
    }
    return done.get(act) == (roster.state, caller.id)


async def _require_person(session: AsyncSession, roster: Roster, caller: Caller, act: ActName) -> None:
    settings = await load_policy_values(session, roster.area_code, roster.month, [PEOPLE])
    if act == "check" and caller.acts_as(roster.prepared_by):
        raise Problem("roster.second_person")
    did_before = caller.acts_as(roster.prepared_by) or caller.acts_as(roster.checked_by)
    if act == "send" and int(settings[PEOPLE]) >= _ALL_THREE and did_before:
        raise Problem("roster.second_person")


async def _require_judged(
    session: AsyncSession, encryption: Encryption, caller: Caller, roster: Roster, now: datetime
) -> None:
    """Look for findings again. With any that nobody has judged, keep them, send the roster back and raise."""
    program = await find_program(session, roster.area_code, roster.program, roster.month)
    waiting = await examine_roster(session, encryption, roster, program, now)
    if not waiting:
        return
    roster_id = roster.id
    async with write_despite_failure(session):
        roster = await lock_roster(session, caller, roster_id)
        await examine_roster(session, encryption, roster, program, now)
        waiting = await count_open(session, roster)
        if roster.state != "drafted":
            await send_back(session, caller, roster, "")
    raise Problem("roster.findings_open", count=waiting)


async def _prepare(session: AsyncSession, caller: Caller, roster: Roster, now: datetime) -> None:
    if not await load_live_lines(session, roster):
        raise Problem("roster.empty")
    roster.state, roster.prepared_by, roster.prepared_at = "prepared", caller.id, now
    roster.checked_by = roster.checked_at = None
    _record(session, caller, Action.ROSTER_PREPARED, roster)


async def _check(session: AsyncSession, caller: Caller, roster: Roster, now: datetime) -> None:
    """Freeze the lines: from here on, they are what is sent."""
    lines = await load_live_lines(session, roster)
    freeze(roster, lines, await load_parts(session, roster))
    roster.state, roster.checked_by, roster.checked_at = "frozen", caller.id, now
    _record(
        session, caller, Action.ROSTER_CHECKED, roster, homes=roster.homes, total_fen=roster.total_fen,
        hash=roster.lines_hash,
    )  # fmt: skip


async def _send(
    session: AsyncSession, encryption: Encryption, caller: Caller, roster: Roster, form_code: str | None, now: datetime
) -> None:
    """Make the bank's files of exactly what was checked, and mark each line as sent."""
    lines = await load_live_lines(session, roster)
    require_unaltered(roster, lines, await load_parts(session, roster))
    form = await find_bank_form(session, roster, form_code)
    _, file_hash = await make_files(encryption, roster, form, [line for line in lines if line.total_fen])
    roster.file_form, roster.file_hash = to_builtins(form), file_hash
    for line in lines:
        # Where a recovery leaves nothing, there is nothing for the bank to answer.
        line.state = "sent" if line.total_fen else "paid"
    roster.state, roster.sent_by, roster.sent_at = "sent", caller.id, now
    await jobs.defer(session, AnnouncePayday(roster_id=roster.id))
    _record(
        session, caller, Action.ROSTER_SENT, roster, homes=roster.homes, total_fen=roster.total_fen, file=file_hash,
        form=form.code,
    )  # fmt: skip


async def draft_again(session: AsyncSession, roster: Roster) -> None:
    """Let a job write all lines anew."""
    roster.state, roster.examined_at = "drafting", None
    await jobs.defer(session, DraftRoster(roster_id=roster.id))


async def send_back(session: AsyncSession, caller: Caller, roster: Roster, reason: str) -> None:
    """Thaw the roster: its lines may be left out or drafted again, and two people look at it anew."""
    roster.state, roster.reason = "drafted", reason
    roster.prepared_by = roster.prepared_at = roster.checked_by = roster.checked_at = None
    roster.homes = roster.people = roster.total_fen = roster.lines_hash = None
    await session.execute(
        update(RosterLine)
        .where(RosterLine.roster_id == roster.id, RosterLine.state == "frozen")
        .values(state="drafted", hash=None)
    )
    _record(session, caller, Action.ROSTER_SENT_BACK, roster, reason=reason or None)


async def _cancel(session: AsyncSession, caller: Caller, roster: Roster, reason: str, now: datetime) -> None:
    """Cancel a roster that was never sent; its months are free for another."""
    roster.state, roster.reason = "cancelled", reason
    roster.cancelled_by, roster.cancelled_at = caller.id, now
    await session.execute(
        update(RosterLine)
        .where(RosterLine.roster_id == roster.id, RosterLine.state.not_in(DEAD_LINE_STATES))
        .values(state="cancelled")
    )
    _record(session, caller, Action.ROSTER_CANCELLED, roster, reason=reason)


def _record(session: AsyncSession, caller: Caller, action: Action, roster: Roster, **facts: object) -> None:
    audit.record(session, caller, action, "roster", roster.id, area_code=roster.area_code, **facts)
